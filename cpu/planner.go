package cpu

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// planner turns a graph into a plan.
type planner struct {
	*plan
	ops    []*operation
	views  map[*value]*view // where the values lie that have a place
	copies map[*value]*view // dense copies of values that have only a strided view
	direct map[*value]int   // values that are computed into an output, and its number
	parts  map[*value]part  // values that are computed into a part of a concatenation

	readers map[*value][]reader // of the values, views looked through
}

// newPlan compiles the main function.
func newPlan(b *Backend, f *Function) (*plan, error) {
	fold(b, live(f))
	simplify(f)
	if b.fuse {
		pickWindows(f)
		distribute(f)
		regroup(f)
	}
	p := &planner{
		plan:   &plan{backend: b},
		ops:    live(f),
		views:  make(map[*value]*view),
		copies: make(map[*value]*view),
		direct: make(map[*value]int),
		parts:  make(map[*value]part),
	}
	for i, q := range f.parameters {
		k := p.addSlot(slot{kind: inParameter, index: i, size: byteSize(q.value.shape), shape: q.value.shape})
		p.params = append(p.params, k)
		p.views[q.value] = denseView(k, q.value)
	}
	p.outputs = make([]int, len(f.outputs))
	for i, v := range f.outputs {
		p.outputs[i] = p.addSlot(slot{kind: inOutput, index: i, size: byteSize(v.shape), shape: v.shape})
		if root := origin(v); !isGiven(root.op) {
			if _, taken := p.direct[root]; !taken {
				p.direct[root] = i
			}
		}
	}
	for _, op := range p.ops {
		if op.kind == compute.OpTypeConstant {
			p.constant(op)
		}
	}
	p.placeParts()
	units, err := p.fuse(f)
	if err != nil {
		return nil, err
	}
	for _, unit := range units {
		if err := p.lower(unit); err != nil {
			return nil, err
		}
	}
	for i, v := range f.outputs {
		if n, ok := p.direct[origin(v)]; ok && n == i {
			continue
		}
		p.copyOutput(v, p.outputs[i])
	}
	p.place()
	return p.plan, nil
}

// origin is the value that v shows all elements of, in the same order.
func origin(v *value) *value {
	for {
		switch v.op.kind {
		case compute.OpTypeIdentity, compute.OpTypeReshape, compute.OpTypeOptimizationBarrier, compute.OpTypeSchedulingBarrier:
			v = v.op.in[v.index]
		default:
			return v
		}
	}
}

func isGiven(op *operation) bool {
	return op.kind == compute.OpTypeParameter || op.kind == compute.OpTypeConstant || isView(op)
}

func (p *planner) addSlot(s slot) int {
	p.slots = append(p.slots, s)
	return len(p.slots) - 1
}

// newSlot makes room for a value: in the output it is going to be, or in the arena.
func (p *planner) newSlot(v *value) int {
	if n, ok := p.direct[v]; ok {
		return p.outputs[n]
	}
	return p.temporary(byteSize(v.shape), v.shape)
}

func (p *planner) temporary(size int, shape shapes.Shape) int {
	return p.addSlot(slot{kind: inArena, size: size, shape: shape})
}

// result makes room for an output of an operation.
func (p *planner) result(v *value) *view {
	var w *view
	if at, ok := p.parts[v]; ok {
		whole, made := p.views[at.whole]
		if !made {
			whole = p.result(at.whole)
		}
		w = denseView(whole.slot, v)
		w.off = whole.off + at.off
	} else {
		w = denseView(p.newSlot(v), v)
	}
	p.views[v] = w
	return w
}

// part is a range of elements of a concatenation.
type part struct {
	whole *value
	off   int
}

// placeParts finds values that can be computed where a concatenation wants them.
func (p *planner) placeParts() {
	for _, op := range p.ops {
		if op.kind != compute.OpTypeConcatenate || isGiven(op) || op.out[0].shape.DType.IsPacked() {
			continue
		}
		v := op.out[0]
		axis := op.attrs.(attrsConcatenate).axis
		if product(v.shape.Dimensions[:axis]) != 1 {
			continue
		}
		off := 0
		for _, in := range op.in {
			root := origin(in)
			_, isOutput := p.direct[root]
			_, isPart := p.parts[root]
			if !isGiven(root.op) && !isOutput && !isPart {
				p.parts[root] = part{whole: v, off: off}
			}
			off += in.shape.Size()
		}
	}
}

func (p *planner) add(s step) {
	if s.whole == nil && s.parts == 0 {
		return // nothing to do: a tensor without elements
	}
	p.steps = append(p.steps, s)
}

// copyOutput adds a step that copies a value to an output.
func (p *planner) copyOutput(v *value, slot int) {
	from, to := p.viewOf(v), denseView(slot, v)
	if !from.isDense() {
		p.copyStep("output", from, to)
		return
	}
	src := from.ref()
	if src.size == 0 {
		return
	}
	const chunk = 1 << 20
	p.add(step{
		name: "output", reads: []int{src.slot}, writes: []int{slot},
		inPlace: [][2]int{{slot, src.slot}},
		parts:   (src.size + chunk - 1) / chunk,
		part: func(r *run, i, _ int) {
			copy(r.mem[slot][i*chunk:min((i+1)*chunk, src.size)], r.bytes(src)[i*chunk:])
		},
	})
}

func (p *planner) constant(op *operation) {
	v := op.out[0]
	k := p.addSlot(slot{kind: inConstant, data: op.data, size: len(op.data), shape: v.shape})
	p.views[v] = denseView(k, v)
}

// lower adds the steps of a unit.
func (p *planner) lower(u *unit) error {
	op := u.ops[0]
	if len(u.ops) > 1 || isElementwise(op) {
		return p.lowerElementwise(u)
	}
	var done bool
	var err error
	switch op.kind {
	case compute.OpTypeConvertDType:
		done = p.lowerConvert(op)
	case compute.OpTypePad:
		done = p.lowerPad(op)
	case compute.OpTypeConcatenate:
		done = p.lowerConcatenate(op)
	case compute.OpTypeReduceSum, compute.OpTypeReduceMax, compute.OpTypeReduceMin, compute.OpTypeReduceProduct:
		done = p.lowerReduce(op)
	case compute.OpTypeArgMinMax:
		done = p.lowerArgMinMax(op)
	case compute.OpTypeReduceWindow:
		done = p.lowerReduceWindow(op)
	case compute.OpTypeSelectAndScatterMax, compute.OpTypeSelectAndScatterMin:
		done = p.lowerSelectAndScatter(op)
	case opPick:
		done = p.lowerPick(op)
	case compute.OpTypeDotGeneral:
		done = p.lowerDotGeneral(op)
	case compute.OpTypeConvGeneral:
		done, err = p.lowerConv(op)
	}
	if err != nil || done {
		return err
	}
	return p.lowerDelegate(op)
}

// lowerDelegate hands the operation to the pure-Go backend.
func (p *planner) lowerDelegate(op *operation) error {
	d, err := newDelegate(p.backend, op)
	if err != nil {
		return fmt.Errorf("operation %s: %w", op.kind, err)
	}
	s := step{name: op.kind.String(), whole: d.run}
	for _, v := range op.in {
		x := p.dense(v)
		d.in = append(d.in, x.ref())
		s.reads = append(s.reads, x.slot)
	}
	for _, v := range op.out {
		x := p.result(v)
		d.out = append(d.out, x.ref())
		s.writes = append(s.writes, x.slot)
	}
	p.add(s)
	return nil
}
