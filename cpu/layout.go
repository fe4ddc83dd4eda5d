package cpu

import (
	"slices"

	"github.com/gomlx/compute"
)

// lowerPad fills the result with the padding value, and copies the operand into it.
func (p *planner) lowerPad(op *operation) bool {
	a := op.attrs.(attrsPad)
	v := op.out[0]
	if v.shape.DType.IsPacked() || v.shape.Size() == 0 {
		return false
	}
	x, value := p.viewOf(op.in[0]), p.dense(op.in[1]).ref()
	out := p.result(v)
	to := out.ref()
	size := v.shape.DType.Size()
	const chunk = 64 << 10 // elements
	n := v.shape.Size()
	p.add(step{
		name: "Pad", reads: []int{value.slot}, writes: []int{to.slot}, parts: (n + chunk - 1) / chunk,
		part: func(r *run, i, _ int) {
			repeat(r.bytes(to)[i*chunk*size:min((i+1)*chunk, n)*size], r.bytes(value))
		},
	})
	from := *x
	from.dims, from.strides = slices.Clone(x.dims), slices.Clone(x.strides)
	dst := *out
	dst.strides = slices.Clone(out.strides)
	for axis := range from.dims {
		if axis >= len(a.axesConfig) {
			continue
		}
		c := a.axesConfig[axis]
		gap := c.Interior + 1
		// Element i of the operand goes to Start + i*gap; negative padding crops.
		first := 0
		if c.Start < 0 {
			first = (-c.Start + gap - 1) / gap
		}
		end := from.dims[axis]
		if limit := out.dims[axis] - c.Start; limit <= 0 {
			end = 0
		} else {
			end = min(end, (limit-1)/gap+1)
		}
		from.off += first * from.strides[axis]
		dst.off += (c.Start + first*gap) * out.strides[axis]
		dst.strides[axis] = out.strides[axis] * gap
		from.dims[axis] = max(0, end-first)
	}
	dst.dims = from.dims
	p.copyStep("Pad", &from, &dst)
	return true
}

// repeat fills dst with copies of the element.
func repeat(dst, element []byte) {
	n := copy(dst, element)
	for n < len(dst) {
		n += copy(dst[n:], dst[:n])
	}
}

// lowerConcatenate copies every operand to its place.
func (p *planner) lowerConcatenate(op *operation) bool {
	v := op.out[0]
	if v.shape.DType.IsPacked() {
		return false
	}
	axis := op.attrs.(attrsConcatenate).axis
	var from []*view
	for _, in := range op.in {
		from = append(from, p.viewOf(in))
	}
	out, made := p.views[v]
	if !made {
		out = p.result(v)
	}
	at := 0
	for i, x := range from {
		if where, ok := p.parts[origin(op.in[i])]; ok && where == (part{v, at * out.strides[axis]}) {
			at += x.dims[axis]
			continue
		}
		dst := *out
		dst.dims = x.dims
		dst.off = out.off + at*out.strides[axis]
		p.copyStep(op.kind.String(), x, &dst)
		at += x.dims[axis]
	}
	return true
}

// reduceType is what an operation that reduces axes does with their elements.
func reduceType(kind compute.OpType) compute.ReduceOpType {
	switch kind {
	case compute.OpTypeReduceSum:
		return compute.ReduceOpSum
	case compute.OpTypeReduceProduct:
		return compute.ReduceOpProduct
	case compute.OpTypeReduceMax:
		return compute.ReduceOpMax
	}
	return compute.ReduceOpMin
}
