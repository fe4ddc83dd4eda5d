package cpu

import (
	"cmp"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// A reduction is laid out as [outer, reduced, inner], and cut into blocks of about reduceBlock elements by its
// shape alone. Every block has its own partial result; a second step combines them in order. So the order of all
// additions is fixed, whatever the number of threads.
const reduceBlock = 32 << 10

// number is what the generic kernels work on.
type number interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// reduction is the geometry of a reduction.
type reduction struct {
	outer, reduced, inner int
	blocks                int // of the reduced axis
	rows                  int // of the reduced axis in a block
	perPart               int // outer indices in a part, where there is one block
}

func newReduction(outer, reduced, inner int) reduction {
	g := reduction{outer: outer, reduced: reduced, inner: inner, blocks: 1, rows: reduced, perPart: 1}
	if work := reduced * inner; work <= 2*reduceBlock {
		g.perPart = max(1, reduceBlock/work)
		return g
	}
	if g.rows = reduceBlock / inner; g.rows < 2 {
		g.rows = 8 // blocks of one long row would leave as many partial results as there are rows
	}
	g.blocks = (reduced + g.rows - 1) / g.rows
	return g
}

func (g *reduction) parts() int {
	if g.blocks > 1 {
		return g.outer * g.blocks
	}
	return (g.outer + g.perPart - 1) / g.perPart
}

// normalAxes are the axes to reduce: all if none are given, none negative, sorted.
func normalAxes(axes []int, rank int) []int {
	if len(axes) == 0 {
		axes = make([]int, rank)
		for i := range axes {
			axes[i] = i
		}
		return axes
	}
	axes = slices.Clone(axes)
	for i := range axes {
		if axes[i] < 0 {
			axes[i] += rank
		}
	}
	slices.Sort(axes)
	return slices.Compact(axes)
}

// reducible brings a value into the form [outer, reduced, inner]; its axes are moved if they have to be.
func (p *planner) reducible(in *value, axes []int) (x *view, outer, reduced, inner int) {
	x = p.dense(in)
	dims := in.shape.Dimensions
	var keep []int
	for axis := range dims {
		if !slices.Contains(axes, axis) {
			keep = append(keep, axis)
		}
	}
	outer, reduced, inner = 1, 1, 1
	phase := 0
	for axis, n := range dims {
		is := slices.Contains(axes, axis)
		switch {
		case n == 1:
		case is && phase <= 1:
			phase = 1
			reduced *= n
		case !is && phase == 0:
			outer *= n
		case !is:
			phase = 2
			inner *= n
		default:
			phase = 3
		}
		if phase == 3 {
			break
		}
	}
	if phase < 3 {
		return x, outer, reduced, inner
	}
	moved := &view{slot: x.slot, dtype: x.dtype, off: x.off}
	outer, reduced, inner = 1, 1, 1
	for _, axis := range keep {
		moved.dims, moved.strides = append(moved.dims, dims[axis]), append(moved.strides, x.strides[axis])
		outer *= dims[axis]
	}
	for _, axis := range axes {
		moved.dims, moved.strides = append(moved.dims, dims[axis]), append(moved.strides, x.strides[axis])
		reduced *= dims[axis]
	}
	x = &view{
		slot:  p.temporary(byteSize(in.shape), in.shape),
		dtype: moved.dtype, dims: moved.dims, strides: rowMajor(moved.dims),
	}
	p.copyStep("Transpose", moved, x)
	return x, outer, reduced, inner
}

// lowerReduce adds the steps of ReduceSum and the like.
func (p *planner) lowerReduce(op *operation) bool {
	in, v := op.in[0], op.out[0]
	if in.shape.Size() == 0 {
		return false
	}
	var axes []int
	switch a := op.attrs.(type) {
	case attrsReduceSum:
		axes = a.axes
	case attrsReduceMax:
		axes = a.axes
	case attrsReduceMin:
		axes = a.axes
	case attrsReduceProduct:
		axes = a.axes
	}
	kind := reduceType(op.kind)
	kernels, ok := reducersOf(in.shape.DType, kind)
	if !ok {
		return false
	}
	x, outer, reduced, inner := p.reducible(in, normalAxes(axes, in.shape.Rank()))
	from := x.ref()
	to := p.result(v).ref()
	p.addReduction(op.kind.String(), newReduction(outer, reduced, inner), from, to, v.shape.DType, kernels)
	return true
}

// addReduction adds the step that reduces blocks, and the one that combines them.
func (p *planner) addReduction(name string, g reduction, from, to ref, dtype dtypes.DType, k reducers) {
	if g.blocks == 1 {
		p.add(step{
			name: name, reads: []int{from.slot}, writes: []int{to.slot}, parts: g.parts(),
			part: func(r *run, i, _ int) {
				first := i * g.perPart
				k(r.bytes(to), first, r.bytes(from), first*g.reduced, min(g.perPart, g.outer-first), g.reduced, g.reduced, g.inner)
			},
		})
		return
	}
	n := g.outer * g.blocks * g.inner * dtype.Size()
	partial := ref{slot: p.addSlot(slot{kind: inArena, size: n}), size: n}
	p.add(step{
		name: name, reads: []int{from.slot}, writes: []int{partial.slot}, parts: g.parts(),
		part: func(r *run, i, _ int) {
			o, b := i/g.blocks, i%g.blocks
			rows := min(g.rows, g.reduced-b*g.rows)
			k(r.bytes(partial), i, r.bytes(from), o*g.reduced+b*g.rows, 1, rows, rows, g.inner)
		},
	})
	p.addReduction(name, newReduction(g.outer, g.blocks, g.inner), partial, to, dtype, k)
}

// reducers reduces, for each of n outer indices, rows rows of inner elements. Outer index o starts at row
// from + o*pitch of src, and its result is row at+o of dst.
type reducers func(dst []byte, at int, src []byte, from, n, rows, pitch, inner int)

func reducersOf(t dtypes.DType, kind compute.ReduceOpType) (reducers, bool) {
	switch t {
	case dtypes.Float32:
		return reduceFloats(kind), true
	case dtypes.Float64:
		return reduceRows[float64](kind), true
	case dtypes.Int32:
		return reduceRows[int32](kind), true
	case dtypes.Int64:
		return reduceRows[int64](kind), true
	}
	return nil, false
}

// reduceFloats is reduceRows for float32, with vector code for sums and maxima.
func reduceFloats(kind compute.ReduceOpType) reducers {
	general := reduceRows[float32](kind)
	if kind != compute.ReduceOpSum && kind != compute.ReduceOpMax {
		return general
	}
	return func(dst []byte, at int, src []byte, from, n, rows, pitch, inner int) {
		d, s := typed[float32](dst), typed[float32](src)
		for o := range n {
			x := s[(from+o*pitch)*inner:][:rows*inner]
			switch {
			case inner > 1 && kind == compute.ReduceOpSum:
				kernel.ColumnSums(d[(at+o)*inner:][:inner], x, rows, inner, false)
			case inner > 1:
				y := d[(at+o)*inner:][:inner]
				copy(y, x)
				for k := 1; k < rows; k++ {
					kernel.Binary(kernel.Max, y, y, x[k*inner:])
				}
			case kind == compute.ReduceOpSum:
				d[at+o] = float32(kernel.Sum(x))
			default:
				d[at+o] = kernel.Largest(x)
			}
		}
	}
}

func reduceRows[T number](kind compute.ReduceOpType) reducers {
	combine, row := combiner[T](kind)
	return func(dst []byte, at int, src []byte, from, n, rows, pitch, inner int) {
		d, s := typed[T](dst), typed[T](src)
		for o := range n {
			x := s[(from+o*pitch)*inner:][:rows*inner]
			if inner == 1 {
				d[at+o] = row(x)
				continue
			}
			y := d[(at+o)*inner:][:inner]
			copy(y, x)
			for k := 1; k < rows; k++ {
				combine(y, x[k*inner:][:len(y)])
			}
		}
	}
}

// combiner returns dst[i] = op(dst[i], src[i]), and the reduction of a row.
func combiner[T number](kind compute.ReduceOpType) (combine func(dst, src []T), row func(x []T) T) {
	switch kind {
	case compute.ReduceOpSum:
		return func(dst, src []T) {
			src = src[:len(dst)]
			for i := range dst {
				dst[i] += src[i]
			}
		}, sumRow[T]
	case compute.ReduceOpProduct:
		return func(dst, src []T) {
				src = src[:len(dst)]
				for i := range dst {
					dst[i] *= src[i]
				}
			}, func(x []T) T {
				p := T(1)
				for _, v := range x {
					p *= v
				}
				return p
			}
	case compute.ReduceOpMax:
		return func(dst, src []T) {
			src = src[:len(dst)]
			for i := range dst {
				dst[i] = max(dst[i], src[i])
			}
		}, func(x []T) T { return extreme(x, func(a, b T) T { return max(a, b) }) }
	}
	return func(dst, src []T) {
		src = src[:len(dst)]
		for i := range dst {
			dst[i] = min(dst[i], src[i])
		}
	}, func(x []T) T { return extreme(x, func(a, b T) T { return min(a, b) }) }
}

func extreme[T cmp.Ordered](x []T, pick func(a, b T) T) T {
	m := x[0]
	for _, v := range x[1:] {
		m = pick(m, v)
	}
	return m
}

// sumRow adds in eight interleaved sums, which is faster and more accurate than one.
func sumRow[T number](x []T) T {
	var s [8]T
	for len(x) >= 8 {
		for i := range s {
			s[i] += x[i]
		}
		x = x[8:]
	}
	for i, v := range x {
		s[i] += v
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// lowerArgMinMax adds the step of ArgMinMax on float32.
func (p *planner) lowerArgMinMax(op *operation) bool {
	in, v := op.in[0], op.out[0]
	a := op.attrs.(attrsArgMinMax)
	if in.shape.DType != dtypes.Float32 || in.shape.Size() == 0 {
		return false
	}
	size := v.shape.DType.Size()
	switch v.shape.DType {
	case dtypes.Int32, dtypes.Int64, dtypes.Uint8, dtypes.Int8, dtypes.Uint16, dtypes.Int16, dtypes.Uint32, dtypes.Uint64:
	default:
		return false
	}
	axis := a.axis
	if axis < 0 {
		axis += in.shape.Rank()
	}
	dims := in.shape.Dimensions
	outer, reduced, inner := product(dims[:axis]), dims[axis], product(dims[axis+1:])
	from := p.dense(in).ref()
	to := p.result(v).ref()
	perPart := max(1, reduceBlock/(reduced*inner))
	p.add(step{
		name: op.kind.String(), reads: []int{from.slot}, writes: []int{to.slot}, parts: (outer + perPart - 1) / perPart,
		part: func(r *run, i, _ int) {
			x, y := r.f32(from), r.bytes(to)
			for o := i * perPart; o < min(outer, (i+1)*perPart); o++ {
				for k := range inner {
					at := argument(x[o*reduced*inner+k:], reduced, inner, a.isMin)
					putInteger(y[(o*inner+k)*size:][:size], at)
				}
			}
		},
	})
	return true
}

// argument is the position of the first extreme of n elements, stride apart; a NaN counts as extreme, the
// last one most, as in the pure-Go backend.
func argument(x []float32, n, stride int, isMin bool) int {
	best, at := x[0], 0
	for i := 1; i < n; i++ {
		v := x[i*stride]
		if v != v || isMin && v < best || !isMin && v > best {
			best, at = v, i
		}
	}
	return at
}

// putInteger writes an integer of len(dst) bytes.
func putInteger(dst []byte, n int) {
	switch len(dst) {
	case 1:
		dst[0] = uint8(n)
	case 2:
		typed[uint16](dst)[0] = uint16(n)
	case 4:
		typed[uint32](dst)[0] = uint32(n)
	default:
		typed[uint64](dst)[0] = uint64(n)
	}
}
