package cpu

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// opPick is an operation that pickWindows makes: of every window over its first input, which the windows tile, the
// element of the second input that lies where the first has its extreme.
const opPick = compute.OpTypeLast + 2

// attrsPick holds the attributes of opPick.
type attrsPick struct {
	window pooling
	isMin  bool
}

// pickWindows finds the derivative of max-pooling in forward mode: a tensor times a mask of the selected elements, the
// gradient of pooling at ones, summed over windows, one axis after the other. It makes one operation of it. Where what
// is not selected is infinite or NaN, so is the sum; the pick is not.
func pickWindows(f *Function) {
	for _, op := range live(f) {
		columns, ok := halved(op, 3)
		if !ok {
			continue
		}
		rows, ok := halved(columns.op, 2)
		if !ok || rows.op.kind != compute.OpTypeMul {
			continue
		}
		for k := range 2 {
			mask, x := origin(rows.op.in[k]).op, rows.op.in[1-k]
			if a, ok := isPick(mask, op.out[0]); ok && x.shape.Equal(mask.in[0].shape) {
				op.kind, op.in, op.attrs, op.emit = opPick, []*value{mask.in[0], x}, a, nil
				break
			}
		}
	}
}

// halved is what an operation sums over the parts of an axis that was split in two: the sum is over the given axis of
// five.
func halved(op *operation, axis int) (*value, bool) {
	if op.kind != compute.OpTypeReduceSum || op.out[0].shape.DType != dtypes.Float32 || op.in[0].op.kind != compute.OpTypeReshape {
		return nil, false
	}
	split := op.in[0].shape.Dimensions
	v := origin(op.in[0])
	if len(split) != 5 || v.shape.Rank() != 4 || !slices.Equal(normalAxes(op.attrs.(attrsReduceSum).axes, 5), []int{axis}) {
		return nil, false
	}
	joined := slices.Concat(split[:axis-1], []int{split[axis-1] * split[axis]}, split[axis+1:])
	return v, slices.Equal(joined, v.shape.Dimensions)
}

// isPick says whether the operation makes the mask of windows that tile its input, with the results in v's shape.
func isPick(op *operation, v *value) (a attrsPick, ok bool) {
	var window, strides []int
	var paddings [][2]int
	switch s := op.attrs.(type) {
	case attrsSelectAndScatterMax:
		window, strides, paddings = s.windowDimensions, s.windowStrides, s.paddings
	case attrsSelectAndScatterMin:
		window, strides, paddings = s.windowDimensions, s.windowStrides, s.paddings
		a.isMin = true
	default:
		return a, false
	}
	if !isConstant(op.in[1], 1) || !op.in[1].shape.Equal(v.shape) {
		return a, false
	}
	g, ok := newPooling(op.in[0], v, window, strides, nil, paddings)
	a.window = g
	return a, ok && g.top == 0 && g.left == 0 && g.height == g.strideY && g.width == g.strideX &&
		g.inHeight == g.outHeight*g.height && g.inWidth == g.outWidth*g.width
}

// lowerPick adds the step of opPick.
func (p *planner) lowerPick(op *operation) bool {
	a := op.attrs.(attrsPick)
	g := a.window
	x, t := p.dense(op.in[0]).ref(), p.dense(op.in[1]).ref()
	to := p.result(op.out[0]).ref()
	p.addPoolingRows("PickWindow", &g, []ref{x, t}, to, func(r *run, i, worker int) {
		in, out := g.height*g.inWidth*g.channels, g.outWidth*g.channels
		g.pickRow(r.f32(to)[i*out:][:out], r.f32(x)[i*in:][:in], r.f32(t)[i*in:][:in], r.floats(worker, 3*out), a.isMin)
	})
	return true
}

// pickRow picks from the windows of one row: going backwards through the places in a window, an earlier hit overwrites
// a later one.
func (g *pooling) pickRow(out, x, t, scratch []float32, isMin bool) {
	c, n := g.channels, len(out)
	best, here := scratch[:n], scratch[n:2*n]
	mask := typed[bool](asBytes(scratch[2*n:]))[:n]
	kind := kernel.Max
	if isMin {
		kind = kernel.Min
	}
	if row := g.inWidth * c; g.byTwo() && kernel.Pool2Pick(kind, out, x[:row], x[row:], t[:row], t[row:], g.outWidth, c) {
		return
	}
	pitch := g.width * c
	gather := func(dst, src []float32, ky, kx int) {
		src = src[(ky*g.inWidth+kx)*c:]
		for i := range g.outWidth {
			copy(dst[i*c:][:c], src[i*pitch:])
		}
	}
	gather(best, x, 0, 0)
	for k := 1; k < g.height*g.width; k++ {
		ky, kx := k/g.width, k%g.width
		kernel.BinaryRows(kind, best, best, x[(ky*g.inWidth+kx)*c:], &kernel.Grid{Rows: g.outWidth, Cols: c, Dst: c, A: c, B: pitch})
	}
	if m := kernel.Largest(best); m != m {
		g.pickSlowly(out, x, t, isMin)
		return
	}
	for k := g.height*g.width - 1; k >= 0; k-- {
		ky, kx := k/g.width, k%g.width
		kernel.CompareRows(kernel.Equal, mask, x[(ky*g.inWidth+kx)*c:], best, &kernel.Grid{Rows: g.outWidth, Cols: c, Dst: c, A: pitch, B: c})
		gather(here, t, ky, kx)
		kernel.Select(out, mask, here, out)
	}
}

// pickSlowly is pickRow with NaN among the elements: the last one is selected.
func (g *pooling) pickSlowly(out, x, t []float32, isMin bool) {
	c := g.channels
	for i := range out {
		first := i/c*g.width*c + i%c
		at, best := first, x[first]
		for ky := range g.height {
			for kx := range g.width {
				k := first + (ky*g.inWidth+kx)*c
				if v := x[k]; v != v || !isMin && v > best || isMin && v < best {
					at, best = k, v
				}
			}
		}
		out[i] = t[at]
	}
}
