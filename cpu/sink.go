package cpu

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// A sink is a sum at the end of a program: over all elements, or over all but the last axes, as for the gradient of a
// bias and for the statistics of batch normalization. What is summed need not pass through memory then. Every part of
// the program has a partial sum of its own, and a step after it adds these in order.
type sink struct {
	reg     int
	other   int // register of a second factor, or -1
	inner   int // elements of a sum: 1, or those of the axes that stay
	partial ref // [parts, inner]
}

// sinkInner says whether the operation can be a sink, and the number of its sums.
func sinkInner(op *operation) (inner int, ok bool) {
	if op.kind != compute.OpTypeReduceSum || op.in[0].shape.DType != dtypes.Float32 || op.in[0].shape.Size() == 0 {
		return 0, false
	}
	dims := op.in[0].shape.Dimensions
	axes := normalAxes(op.attrs.(attrsReduceSum).axes, len(dims))
	reduced := make([]bool, len(dims))
	for _, axis := range axes {
		reduced[axis] = true
	}
	axis := len(dims)
	inner = 1
	for ; axis > 0 && (!reduced[axis-1] || dims[axis-1] == 1); axis-- {
		inner *= dims[axis-1]
	}
	for ; axis > 0; axis-- {
		if !reduced[axis-1] && dims[axis-1] != 1 {
			return 0, false
		}
	}
	return inner, inner <= 2*baseTile
}

func isSink(op *operation) bool {
	_, ok := sinkInner(op)
	return ok
}

// add adds a tile to the partial sums of a part, k being the number of the sink; end stores what is kept in between.
func (s *sink) add(r *run, t *tileState, k, part int, first bool) {
	x := t.f[s.reg]
	switch {
	case s.inner == 1 && s.other < 0:
		t.sums[k] += kernel.Sum(x)
		return
	case s.inner == 1:
		t.sums[k] += kernel.Dot(x, t.f[s.other])
		return
	case s.other >= 0:
		kernel.ColumnDots(r.f32(s.partial)[part*s.inner:][:s.inner], x, t.f[s.other], len(x)/s.inner, s.inner, s.inner, !first)
		return
	}
	kernel.ColumnSums(r.f32(s.partial)[part*s.inner:][:s.inner], x, len(x)/s.inner, s.inner, !first)
}

func (s *sink) end(r *run, t *tileState, k, part int) {
	if s.inner == 1 {
		r.f32(s.partial)[part] = float32(t.sums[k])
	}
}
