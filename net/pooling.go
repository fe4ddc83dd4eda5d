package net

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// pool adds the pooling of the variant by a square window with a stride of its size.
func (b *builder) pool(size int) {
	if b.variant.meanPool {
		b.meanPool(size)
		return
	}
	b.maxPool(size)
}

// poolOver adds the pooling of the variant by a square window with a stride of its own and padding on every side.
func (b *builder) poolOver(size, stride, padding int) {
	if b.variant.meanPool {
		b.meanPoolOver(size, stride, padding)
		return
	}
	b.maxPoolOver(size, stride, padding)
}

// globalPool reduces every channel's plane to one value: its largest, or its mean where the variant pools by means.
func (b *builder) globalPool() {
	if b.variant.meanPool {
		b.globalMean()
		return
	}
	b.globalMax()
}

// windows moves the dimensions on by a pooling, and says whether the input is large enough.
func (b *builder) windows(kind string, size, stride, padding int) bool {
	if b.err != nil {
		return false
	}
	if b.dims[0]+2*padding < size || b.dims[1]+2*padding < size {
		b.tooSmall(fmt.Sprintf("%s by %d", kind, size), size-2*padding)
		return false
	}
	out := func(n int) int { return (n+2*padding-size)/stride + 1 }
	b.dims = []int{out(b.dims[0]), out(b.dims[1]), b.dims[2]}
	b.reach += max(padding, size-1-padding) * b.grid
	b.coarsen(stride)
	b.list("", fmt.Sprintf("%s %dx%d, stride %d", kind, size, size, stride))
	return true
}

// maxPool adds max-pooling by a square window with a stride of its size. Rows and columns that do not fill a window at
// the end are left out.
func (b *builder) maxPool(size int) {
	if !b.windows("max-pooling", size, size, 0) {
		return
	}
	b.add(func(_ *flow, x *Node) *Node { return MaxPool(x).Window(size).Strides(size).NoPadding().Done() })
}

// maxPoolOver adds max-pooling with a stride of its own and padding, which is never the largest.
func (b *builder) maxPoolOver(size, stride, padding int) {
	if !b.windows("max-pooling", size, stride, padding) {
		return
	}
	pad := [2]int{padding, padding}
	b.add(func(_ *flow, x *Node) *Node {
		return MaxPool(x).Window(size).Strides(stride).PaddingPerDim([][2]int{pad, pad}).Done()
	})
}

// meanPool adds average pooling by a square window with a stride of its size. Rows and columns that do not fill a window
// at the end are left out.
func (b *builder) meanPool(size int) {
	if !b.windows("average pooling", size, size, 0) {
		return
	}
	height, width := b.dims[0], b.dims[1]
	// Windows that lie side by side are sums over split axes, whose derivatives of any order are sums and broadcasts.
	b.add(func(_ *flow, x *Node) *Node {
		if dims := x.Shape().Dimensions; dims[1] > height*size || dims[2] > width*size {
			x = Slice(x, AxisRange(), AxisRange(0, height*size), AxisRange(0, width*size), AxisRange())
		}
		for axis := 1; axis <= 2; axis++ {
			dims := x.Shape().Dimensions
			x = ReduceSum(Reshape(x, slices.Concat(dims[:axis], []int{dims[axis] / size, size}, dims[axis+1:])...), axis+1)
		}
		return MulScalar(x, 1/float64(size*size))
	})
}

// meanPoolOver adds average pooling with a stride of its own and padding, which does not count: at an edge the mean is
// over the pixels that are there.
func (b *builder) meanPoolOver(size, stride, padding int) {
	before := b.dims
	if !b.windows("average pooling", size, stride, padding) {
		return
	}
	out := b.dims
	// One axis after the other, the places in a window are strided slices, which are linear and so are their derivatives.
	b.add(func(_ *flow, x *Node) *Node {
		for axis := 1; axis <= 2; axis++ {
			n, windows := before[axis-1], out[axis-1]
			pads, cut := make([]PadAxis, 4), make([]SliceAxisSpec, 4)
			for k := range cut {
				cut[k] = AxisRange()
			}
			pads[axis] = PadAxis{Start: padding, End: padding}
			padded := x
			if padding > 0 {
				padded = Pad(x, ScalarZero(x.Graph(), x.DType()), pads...)
			}
			x = nil
			for place := range size {
				cut[axis] = AxisRange(place, place+(windows-1)*stride+1).Stride(stride)
				if part := Slice(padded, cut...); x == nil {
					x = part
				} else {
					x = Add(x, part)
				}
			}
			share := make([]float64, windows)
			for k := range share {
				first := k*stride - padding
				share[k] = 1 / float64(min(first+size, n)-max(first, 0))
			}
			dims := []int{1, 1, 1, 1}
			dims[axis] = windows
			x = Mul(x, Reshape(ConstAs(x, share), dims...))
		}
		return x
	})
}

// globalMax and globalMean reduce every channel's plane to one value. Of equal largest values the first has the whole gradient, as in
// a window of max-pooling; ReduceMax would give it to each of them.
func (b *builder) globalMax() {
	b.global("maximum over the image", func(x *Node) *Node {
		dims := x.Shape().Dimensions
		return Reshape(MaxPool(x).WindowPerAxis(dims[1], dims[2]).NoPadding().Done(), dims[0], dims[3])
	})
}

func (b *builder) globalMean() {
	b.global("mean over the image", func(x *Node) *Node { return ReduceMean(x, 1, 2) })
}

func (b *builder) global(kind string, reduce func(x *Node) *Node) {
	if b.err != nil {
		return
	}
	b.dims = b.dims[2:]
	b.unbounded = true
	b.list("", kind)
	b.add(func(_ *flow, x *Node) *Node { return reduce(x) })
}
