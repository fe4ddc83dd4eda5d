package net

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// meanPool adds average pooling by a square window with a stride of its size. Rows and columns that do not fill a window
// at the end are left out.
func (b *builder) meanPool(size int) {
	if b.err != nil {
		return
	}
	if b.dims[0] < size || b.dims[1] < size {
		b.err = fmt.Errorf("average pooling by %d needs at least %dx%d, there is %dx%d", size, size, size, b.dims[0], b.dims[1])
		return
	}
	b.dims = []int{b.dims[0] / size, b.dims[1] / size, b.dims[2]}
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
