package cpu

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// pooling is the geometry of windows over images with the channels last.
type pooling struct {
	batch, inHeight, inWidth, outHeight, outWidth, channels int
	height, width, strideY, strideX, dilationY, dilationX   int
	top, left                                               int
}

// newPooling reads the geometry, and says whether it is one: four axes, and windows over the middle two only.
func newPooling(in, out *value, window, strides, dilations []int, paddings [][2]int) (g pooling, ok bool) {
	if in.shape.Rank() != 4 || in.shape.DType != dtypes.Float32 || in.shape.Size() == 0 || out.shape.Size() == 0 {
		return g, false
	}
	get := func(list []int, axis, missing int) int {
		if len(list) == 0 {
			return missing
		}
		return list[axis]
	}
	for _, axis := range []int{0, 3} {
		w := get(window, axis, 1)
		if w != 1 || get(strides, axis, w) != 1 || get(dilations, axis, 1) != 1 ||
			len(paddings) > 0 && paddings[axis] != [2]int{} {
			return g, false
		}
	}
	d, o := in.shape.Dimensions, out.shape.Dimensions
	g = pooling{
		batch: d[0], inHeight: d[1], inWidth: d[2], channels: d[3], outHeight: o[1], outWidth: o[2],
		height: get(window, 1, 1), width: get(window, 2, 1),
		dilationY: get(dilations, 1, 1), dilationX: get(dilations, 2, 1),
	}
	g.strideY, g.strideX = get(strides, 1, g.height), get(strides, 2, g.width)
	if len(paddings) > 0 {
		g.top, g.left = paddings[1][0], paddings[2][0]
	}
	return g, true
}

// rows are the window rows (or columns) that lie inside of n, for a window that starts at from.
func inside(from, size, dilation, n int) (first, end int) {
	for first < size && from+first*dilation < 0 {
		first++
	}
	end = size
	for end > first && from+(end-1)*dilation >= n {
		end--
	}
	return first, end
}

// lowerReduceWindow adds the step of a pooling.
func (p *planner) lowerReduceWindow(op *operation) bool {
	a := op.attrs.(attrsReduceWindow)
	in, v := op.in[0], op.out[0]
	for _, d := range a.inputDilations {
		if d > 1 {
			return false
		}
	}
	g, ok := newPooling(in, v, a.windowDimensions, a.strides, a.windowDilations, a.paddings)
	if !ok {
		return false
	}
	var kind kernel.BinaryOp
	var empty float32
	switch a.reductionType {
	case compute.ReduceOpSum:
		kind = kernel.Add
	case compute.ReduceOpProduct:
		kind, empty = kernel.Mul, 1
	case compute.ReduceOpMax:
		kind, empty = kernel.Max, dtypes.Float32.LowestValue().(float32)
	case compute.ReduceOpMin:
		kind, empty = kernel.Min, dtypes.Float32.HighestValue().(float32)
	default:
		return false
	}
	from := p.dense(in).ref()
	to := p.result(v).ref()
	p.addPoolingRows(op.kind.String(), &g, []ref{from}, to, func(r *run, i, _ int) {
		g.poolRow(r.f32(to), r.f32(from), i, kind, empty)
	})
	return true
}

// byTwo says whether the windows are of 2 by 2 pixels that follow each other, which have kernels of their own.
func (g *pooling) byTwo() bool {
	return g.height == 2 && g.width == 2 && g.strideY == 2 && g.strideX == 2 && g.dilationY == 1 && g.dilationX == 1 &&
		g.top == 0 && g.left == 0 && 2*g.outHeight <= g.inHeight && 2*g.outWidth <= g.inWidth
}

// middle is the range of output columns whose windows lie between the left and the right edge of the image.
func (g *pooling) middle() (first, end int) {
	for first < g.outWidth && first*g.strideX-g.left < 0 {
		first++
	}
	end = g.outWidth
	for end > first && (end-1)*g.strideX-g.left+(g.width-1)*g.dilationX >= g.inWidth {
		end--
	}
	return first, end
}

// poolRow reduces the windows of one output row: those in the middle all at once, row by row of the window.
func (g *pooling) poolRow(out, in []float32, row int, kind kernel.BinaryOp, empty float32) {
	n, oy := row/g.outHeight, row%g.outHeight
	image := in[n*g.inHeight*g.inWidth*g.channels:][:g.inHeight*g.inWidth*g.channels]
	out = out[row*g.outWidth*g.channels:][:g.outWidth*g.channels]
	y0 := oy*g.strideY - g.top
	ky0, ky1 := inside(y0, g.height, g.dilationY, g.inHeight)
	first, end := g.middle()
	c := g.channels
	if (kind == kernel.Max || kind == kernel.Min) && g.byTwo() {
		pitch := g.inWidth * c
		kernel.Pool2(kind, out, image[y0*pitch:][:pitch], image[(y0+1)*pitch:][:pitch], g.outWidth, c)
		return
	}
	if ky0 == ky1 {
		first, end = 0, 0
	}
	for ox := range g.outWidth {
		if ox < first || ox >= end {
			g.poolWindow(out[ox*c:][:c], image, y0, ky0, ky1, ox*g.strideX-g.left, kind, empty)
		}
	}
	if first == end {
		return
	}
	dst := out[first*c : end*c]
	at := func(ky, kx int) []float32 {
		return image[((y0+ky*g.dilationY)*g.inWidth+first*g.strideX-g.left+kx*g.dilationX)*c:]
	}
	grid := kernel.Grid{Rows: end - first, Cols: c, Dst: c, A: c, B: g.strideX * c}
	for ky := ky0; ky < ky1; ky++ {
		for kx := range g.width {
			src := at(ky, kx)
			switch {
			case ky > ky0 || kx > 1:
				kernel.BinaryRows(kind, dst, dst, src, &grid)
			case kx == 1:
				both := grid
				both.A = grid.B
				kernel.BinaryRows(kind, dst, at(ky, 0), src, &both)
			case g.width == 1: // no pair to begin with
				for i := range end - first {
					copy(dst[i*c:][:c], src[i*g.strideX*c:])
				}
			}
		}
	}
}

// poolWindow reduces one window at an edge.
func (g *pooling) poolWindow(dst, image []float32, y0, ky0, ky1, x0 int, kind kernel.BinaryOp, empty float32) {
	kx0, kx1 := inside(x0, g.width, g.dilationX, g.inWidth)
	if ky0 == ky1 || kx0 == kx1 {
		for i := range dst {
			dst[i] = empty
		}
		return
	}
	for ky := ky0; ky < ky1; ky++ {
		for kx := kx0; kx < kx1; kx++ {
			src := image[((y0+ky*g.dilationY)*g.inWidth+x0+kx*g.dilationX)*g.channels:][:g.channels]
			if ky == ky0 && kx == kx0 {
				copy(dst, src)
			} else {
				kernel.Binary(kind, dst, dst, src)
			}
		}
	}
}

// lowerSelectAndScatter adds the step of the gradient of a max- or min-pooling.
func (p *planner) lowerSelectAndScatter(op *operation) bool {
	var window, strides []int
	var paddings [][2]int
	isMin := op.kind == compute.OpTypeSelectAndScatterMin
	switch a := op.attrs.(type) {
	case attrsSelectAndScatterMax:
		window, strides, paddings = a.windowDimensions, a.windowStrides, a.paddings
	case attrsSelectAndScatterMin:
		window, strides, paddings = a.windowDimensions, a.windowStrides, a.paddings
	}
	in, source, v := op.in[0], op.in[1], op.out[0]
	g, ok := newPooling(in, source, window, strides, nil, paddings)
	if !ok || source.shape.DType != dtypes.Float32 {
		return false
	}
	operand, grad := p.dense(in).ref(), p.dense(source).ref()
	to := p.result(v).ref()
	p.addPoolingImages(op.kind.String(), byImage{
		images: g.batch, reads: []ref{operand, grad}, writes: []ref{to},
		image: func(r *run, i, worker int) {
			g.scatterImage(r, worker, r.f32(to), r.f32(operand), r.f32(grad), i, isMin)
		},
	})
	return true
}

// scatterImage adds the gradient of every window of an image to the element that the window had selected: the first
// extreme one, or the last NaN.
func (g *pooling) scatterImage(r *run, worker int, out, in, grad []float32, n int, isMin bool) {
	size := g.inHeight * g.inWidth * g.channels
	out, in = out[n*size:][:size], in[n*size:][:size]
	grad = grad[n*g.outHeight*g.outWidth*g.channels:]
	if g.byTwo() && g.scatterByTwo(out, in, grad, isMin) {
		return
	}
	clear(out)
	c := g.channels
	first, end := g.middle()
	row := (end - first) * c
	scratch := r.floats(worker, 4*row)
	for oy := range g.outHeight {
		y0 := oy*g.strideY - g.top
		ky0, ky1 := inside(y0, g.height, 1, g.inHeight)
		if ky0 == ky1 {
			continue
		}
		from := grad[oy*g.outWidth*c:][:g.outWidth*c]
		done := first < end && g.scatterRow(out, in, from[first*c:end*c], scratch, y0, ky0, ky1, first, end, isMin)
		for ox := range g.outWidth {
			if !done || ox < first || ox >= end {
				g.scatterWindow(out, in, from[ox*c:][:c], y0, ky0, ky1, ox*g.strideX-g.left, isMin)
			}
		}
	}
}

// scatterByTwo is scatterImage for windows of 2 by 2. It returns false if there is a NaN.
func (g *pooling) scatterByTwo(out, in, grad []float32, isMin bool) bool {
	kind := kernel.Max
	if isMin {
		kind = kernel.Min
	}
	pitch, width := g.inWidth*g.channels, g.outWidth*g.channels
	for oy := range g.outHeight {
		top, bottom := 2*oy*pitch, (2*oy+1)*pitch
		if !kernel.Pool2Grad(kind, out[top:bottom], out[bottom:][:pitch], in[top:bottom], in[bottom:][:pitch], grad[oy*width:][:width], g.outWidth, g.channels) {
			return false
		}
		if g.inWidth > 2*g.outWidth {
			clear(out[top+2*width : bottom])
			clear(out[bottom+2*width : bottom+pitch])
		}
	}
	clear(out[2*g.outHeight*pitch:])
	return true
}

// scatterRow is scatterWindow for the windows first to end of a row at once: every element that equals the extreme
// takes what is left of the gradient, which is nothing after the first. It does nothing if there is a NaN.
func (g *pooling) scatterRow(out, in, grad, scratch []float32, y0, ky0, ky1, first, end int, isMin bool) bool {
	c := g.channels
	row := (end - first) * c
	best, left, part := scratch[:row], scratch[row:2*row], scratch[2*row:3*row]
	mask := typed[bool](asBytes(scratch[3*row:]))[:row]
	kind := kernel.Max
	if isMin {
		kind = kernel.Min
	}
	at := func(x []float32, ky, kx int) []float32 {
		return x[((y0+ky)*g.inWidth+first*g.strideX-g.left+kx)*c:]
	}
	pitch := g.strideX * c
	for i := range end - first {
		copy(best[i*c:][:c], at(in, ky0, 0)[i*pitch:])
	}
	for ky := ky0; ky < ky1; ky++ {
		for kx := range g.width {
			if ky > ky0 || kx > 0 {
				kernel.BinaryRows(kind, best, best, at(in, ky, kx), &kernel.Grid{Rows: end - first, Cols: c, Dst: c, A: c, B: pitch})
			}
		}
	}
	if m := kernel.Largest(best); m != m {
		return false
	}
	copy(left, grad)
	for ky := ky0; ky < ky1; ky++ {
		for kx := range g.width {
			kernel.CompareRows(kernel.Equal, mask, at(in, ky, kx), best, &kernel.Grid{Rows: end - first, Cols: c, Dst: c, A: pitch, B: c})
			kernel.SelectElse(part, mask, left, 0)
			kernel.SelectScalar(left, mask, 0, left)
			to := at(out, ky, kx)
			kernel.BinaryRows(kernel.Add, to, to, part, &kernel.Grid{Rows: end - first, Cols: c, Dst: pitch, A: pitch, B: c})
		}
	}
	return true
}

// scatterWindow adds the gradient of one window.
func (g *pooling) scatterWindow(out, in, grad []float32, y0, ky0, ky1, x0 int, isMin bool) {
	kx0, kx1 := inside(x0, g.width, 1, g.inWidth)
	if kx0 == kx1 {
		return
	}
	c := g.channels
	for k, d := range grad {
		at := ((y0+ky0)*g.inWidth+x0+kx0)*c + k
		best := in[at]
		for ky := ky0; ky < ky1; ky++ {
			row := ((y0+ky)*g.inWidth+x0)*c + k
			for kx := kx0; kx < kx1; kx++ {
				x := in[row+kx*c]
				if x != x || !isMin && x > best || isMin && x < best {
					best, at = x, row+kx*c
				}
			}
		}
		out[at] += d
	}
}
