package cpu

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// lowerDotGeneral maps the product to a batch of matrix products. An operand is used where it lies if its
// batch, free and contracted axes can each be walked with one stride; otherwise it is copied in that order.
func (p *planner) lowerDotGeneral(op *operation) bool {
	a := op.attrs.(attrsDotGeneral)
	lhs, rhs, v := op.in[0], op.in[1], op.out[0]
	dtype := v.shape.DType
	if lhs.shape.DType != dtype || rhs.shape.DType != dtype || !isDefaultOr(a.config.AccumulatorDType, dtype) {
		return false
	}
	plain, ok := plainProducts[dtype]
	if !ok && dtype != dtypes.Float32 || lhs.shape.Size() == 0 || rhs.shape.Size() == 0 {
		return false
	}
	x := p.matrix(lhs, a.lhsBatchAxes, a.lhsContractingAxes, false)
	y := p.matrix(rhs, a.rhsBatchAxes, a.rhsContractingAxes, true)
	g := &kernel.Gemm{
		Batch: x.batch, M: x.free, N: y.free, K: x.contracted,
		ARow: x.freeStride, ACol: x.contractedStride, ABatch: x.batchStride,
		BRow: y.contractedStride, BCol: y.freeStride, BBatch: y.batchStride,
		CRow: y.free, CBatch: x.free * y.free,
	}
	to := p.result(v).ref()
	if ok {
		p.add(step{
			name: op.kind.String(), reads: []int{x.slot, y.slot}, writes: []int{to.slot}, parts: g.Batch * g.M,
			part: func(r *run, i, _ int) { plain(g, r.bytes(to), r.mem[x.slot], r.mem[y.slot], x.off, y.off, i) },
		})
		return true
	}
	p.add(step{
		name: op.kind.String(), reads: []int{x.slot, y.slot}, writes: []int{to.slot},
		whole: func(r *run) error {
			g.Run(p.backend.pool, typed[float32](r.mem[x.slot])[x.off:], typed[float32](r.mem[y.slot])[y.off:], r.f32(to))
			return nil
		},
	})
	return true
}

// plainProducts compute a row of a product of other types than float32.
var plainProducts = map[dtypes.DType]func(g *kernel.Gemm, c, a, b []byte, aOff, bOff, row int){
	dtypes.Float64: plainProduct[float64],
	dtypes.Int32:   plainProduct[int32],
	dtypes.Int64:   plainProduct[int64],
}

func plainProduct[T number](g *kernel.Gemm, cBytes, aBytes, bBytes []byte, aOff, bOff, row int) {
	batch, m := row/g.M, row%g.M
	c := typed[T](cBytes)[row*g.N:][:g.N]
	a := typed[T](aBytes)[aOff+batch*g.ABatch+m*g.ARow:]
	b := typed[T](bBytes)[bOff+batch*g.BBatch:]
	clear(c)
	for k := range g.K {
		x := a[k*g.ACol]
		if g.BCol == 1 {
			for n, y := range b[k*g.BRow:][:g.N] {
				c[n] += x * y
			}
			continue
		}
		at := k * g.BRow
		for n := range c {
			c[n] += x * b[at]
			at += g.BCol
		}
	}
}

func isDefaultOr(t, want dtypes.DType) bool { return t == dtypes.InvalidDType || t == want }

// matrix is an operand of a product: [batch, free, contracted] with one stride each.
type matrix struct {
	slot, off                                 int
	batch, free, contracted                   int
	batchStride, freeStride, contractedStride int
}

// matrix finds the strides of an operand. freeLast is the order of a copy, if one has to be made.
func (p *planner) matrix(in *value, batchAxes, contractedAxes []int, freeLast bool) matrix {
	rank := in.shape.Rank()
	normal := func(axes []int) []int {
		axes = slices.Clone(axes)
		for i := range axes {
			if axes[i] < 0 {
				axes[i] += rank
			}
		}
		return axes
	}
	batchAxes, contractedAxes = normal(batchAxes), normal(contractedAxes)
	var freeAxes []int
	for axis := range rank {
		if !slices.Contains(batchAxes, axis) && !slices.Contains(contractedAxes, axis) {
			freeAxes = append(freeAxes, axis)
		}
	}
	x := p.viewOf(in)
	groups := [3][]int{batchAxes, freeAxes, contractedAxes}
	var sizes, strides [3]int
	ok := true
	for i, axes := range groups {
		var dims, st []int
		for _, axis := range axes {
			dims, st = append(dims, x.dims[axis]), append(st, x.strides[axis])
		}
		d, s := collapse(dims, st)
		sizes[i], strides[i] = product(d), s[0][0]
		if len(d) > 1 || d[0] > 1 && s[0][0] <= 0 {
			ok = false
		}
	}
	if ok {
		return matrix{x.slot, x.off, sizes[0], sizes[1], sizes[2], strides[0], strides[1], strides[2]}
	}
	order := slices.Concat(batchAxes, freeAxes, contractedAxes)
	if freeLast {
		order = slices.Concat(batchAxes, contractedAxes, freeAxes)
	}
	moved := &view{slot: x.slot, dtype: x.dtype, off: x.off}
	for _, axis := range order {
		moved.dims, moved.strides = append(moved.dims, x.dims[axis]), append(moved.strides, x.strides[axis])
	}
	w := p.reordered(moved)
	m := matrix{slot: w.slot, batch: sizes[0], free: sizes[1], contracted: sizes[2]}
	m.batchStride = m.free * m.contracted
	if freeLast {
		m.contractedStride, m.freeStride = m.free, 1
	} else {
		m.freeStride, m.contractedStride = m.contracted, 1
	}
	return m
}

// reordered copies a view, its elements one after the other.
func (p *planner) reordered(x *view) *view {
	shape := shapes.Make(x.dtype, x.dims...)
	w := &view{slot: p.temporary(byteSize(shape), shape), dtype: x.dtype, dims: x.dims, strides: rowMajor(x.dims)}
	p.copyStep("Transpose", x, w)
	return w
}
