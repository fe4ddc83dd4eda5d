package cpu

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// view says how a value lies in memory: its element at index (i0, i1, ...) is element off + sum i_k strides_k of the
// slot. Operations that only rearrange indices make views and move nothing; who needs the elements one
// after the other asks for the dense value.
type view struct {
	slot    int
	dtype   dtypes.DType
	off     int
	dims    []int
	strides []int
}

// isDense says whether the elements lie one after the other.
func (v *view) isDense() bool {
	if product(v.dims) == 0 {
		return true
	}
	dims, s := collapse(v.dims, v.strides)
	return len(dims) == 1 && (s[0][0] == 1 || dims[0] == 1)
}

func (v *view) size() int { return product(v.dims) }

// ref is the range of bytes of a dense view.
func (v *view) ref() ref {
	if v.dtype.IsPacked() {
		return ref{slot: v.slot, size: v.dtype.SizeForDimensions(v.size())}
	}
	return ref{slot: v.slot, off: v.off * v.dtype.Size(), size: v.size() * v.dtype.Size()}
}

// denseView is a view of a slot of its own.
func denseView(slot int, v *value) *view {
	return &view{slot: slot, dtype: v.shape.DType, dims: v.shape.Dimensions, strides: rowMajor(v.shape.Dimensions)}
}

// isView says whether the operation only rearranges the indices of its input.
func isView(op *operation) bool {
	if op.out[0].shape.DType.IsPacked() || len(op.in) > 0 && op.in[0].shape.DType.IsPacked() {
		return op.kind == compute.OpTypeIdentity || op.kind == compute.OpTypeReshape
	}
	switch op.kind {
	case compute.OpTypeIdentity, compute.OpTypeReshape, compute.OpTypeBroadcastInDim, compute.OpTypeTranspose,
		compute.OpTypeSlice, compute.OpTypeReverse, compute.OpTypeOptimizationBarrier, compute.OpTypeSchedulingBarrier:
		return true
	case compute.OpTypeConvertDType:
		return op.in[0].shape.DType == op.out[0].shape.DType
	case compute.OpTypeConcatenate:
		return len(op.in) == 1
	}
	return false
}

// viewOf is the view of a value; a value whose operation only rearranges is viewed through it.
func (p *planner) viewOf(v *value) *view {
	if w, ok := p.views[v]; ok {
		return w
	}
	w := p.rearranged(v)
	p.views[v] = w
	return w
}

func (p *planner) rearranged(v *value) *view {
	op := v.op
	from := op.in[v.index]
	if op.kind == compute.OpTypeReshape {
		x := p.viewOf(from)
		if !x.isDense() {
			x = p.dense(from)
		}
		return &view{slot: x.slot, dtype: x.dtype, off: x.off, dims: v.shape.Dimensions, strides: rowMajor(v.shape.Dimensions)}
	}
	x := p.viewOf(from)
	w := &view{slot: x.slot, dtype: x.dtype, off: x.off, dims: v.shape.Dimensions}
	switch op.kind {
	case compute.OpTypeBroadcastInDim:
		a := op.attrs.(attrsBroadcastInDim)
		w.strides = make([]int, len(w.dims))
		for i, axis := range a.broadcastAxes {
			if x.dims[i] != 1 || w.dims[axis] == 1 {
				w.strides[axis] = x.strides[i]
			}
		}
	case compute.OpTypeTranspose:
		a := op.attrs.(attrsTranspose)
		w.strides = make([]int, len(w.dims))
		for i, axis := range a.permutation {
			w.strides[i] = x.strides[axis]
		}
	case compute.OpTypeSlice:
		a := op.attrs.(attrsSlice)
		w.strides = slices.Clone(x.strides)
		for axis, start := range a.starts {
			w.off += start * x.strides[axis]
			if len(a.strides) > 0 {
				w.strides[axis] *= a.strides[axis]
			}
		}
	case compute.OpTypeReverse:
		a := op.attrs.(attrsReverse)
		w.strides = slices.Clone(x.strides)
		for _, axis := range a.axes {
			if axis < 0 {
				axis += len(w.dims)
			}
			w.off += (w.dims[axis] - 1) * x.strides[axis]
			w.strides[axis] = -x.strides[axis]
		}
	default:
		w.strides = x.strides
	}
	return w
}

// dense is a view of the value whose elements lie one after the other; if they do not yet, a step copies them.
func (p *planner) dense(v *value) *view {
	x := p.viewOf(v)
	if x.isDense() {
		return x
	}
	if w, ok := p.copies[v]; ok {
		return w
	}
	w := denseView(p.newSlot(v), v)
	p.copyStep(v.op.kind.String(), x, w)
	p.copies[v] = w
	return w
}

// copyStep adds a step that copies one view to another of the same dimensions.
func (p *planner) copyStep(name string, from, to *view) {
	size := from.dtype.Size()
	c := newStridedCopy(from.dims, from.strides, from.off, to.strides, to.off, size)
	src, dst := from.slot, to.slot
	p.add(step{
		name: name, reads: []int{src}, writes: []int{dst}, parts: c.parts(),
		part: func(r *run, i, _ int) { c.part(r.mem[dst], r.mem[src], size, i) },
	})
}
