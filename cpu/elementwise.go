package cpu

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// isElementwise says whether a program can compute the operation: float32 and bool values in, one of them out.
func isElementwise(op *operation) bool {
	if len(op.out) != 1 || !isTileType(op.out[0].shape.DType) {
		return false
	}
	for _, v := range op.in {
		if !isTileType(v.shape.DType) {
			return false
		}
	}
	boolIn := len(op.in) > 0 && op.in[0].shape.DType == dtypes.Bool
	switch op.kind {
	case compute.OpTypeWhere, opIndicator:
		return true
	case compute.OpTypeClamp, compute.OpTypeLogicalNot:
		return boolIn == (op.kind == compute.OpTypeLogicalNot)
	case compute.OpTypeConvertDType:
		return op.in[0].shape.DType != op.out[0].shape.DType
	}
	if boolIn {
		return logic[op.kind] != nil
	}
	if plainUnary[op.kind] != nil || plainBinary[op.kind] != nil || plainPredicate[op.kind] != nil {
		return true
	}
	_, isUnary := vectorUnary[op.kind]
	_, isBinary := vectorBinary[op.kind]
	_, isCompare := vectorCompare[op.kind]
	return isUnary || isBinary || isCompare
}

func isTileType(t dtypes.DType) bool { return t == dtypes.Float32 || t == dtypes.Bool }

// programBuilder writes a program.
type programBuilder struct {
	p     *planner
	g     *program
	step  step
	regOf map[*value]int     // registers of the values that are computed
	parts map[*value]factors // products that the operation that reads them computes
	loads map[string]int     // registers by what is loaded
	tiles map[int]int        // tiles that scalars were spread to
	last  map[int]int        // last instruction that reads a register
	wrote map[int]int        // registers of results, and the instruction that writes them
}

// lowerElementwise adds the step that computes the unit's operations, all elementwise with the same number of elements.
func (p *planner) lowerElementwise(u *unit) error {
	inside := make(map[*value]bool)
	for _, op := range u.ops {
		inside[op.out[0]] = true
	}
	w := &programBuilder{
		p: p, g: &program{n: u.n},
		regOf: make(map[*value]int), parts: make(map[*value]factors), loads: make(map[string]int), tiles: make(map[int]int),
		last: make(map[int]int), wrote: make(map[int]int),
	}
	w.step.name = u.name()
	var sums []*operation
	for _, op := range u.ops {
		v := op.out[0]
		if inner, ok := sinkInner(op); ok {
			s := &sink{inner: inner, other: -1}
			if f, ok := w.parts[origin(op.in[0])]; ok {
				s.reg, s.other = f[0], w.spread(f[1])
			} else {
				s.reg = w.spread(w.source(op.in[0]))
			}
			w.g.sinks = append(w.g.sinks, s)
			sums = append(sums, op)
			continue
		}
		args := make([]int, len(op.in))
		left := -1 // argument that is a contracted product
		for i, in := range op.in {
			if _, ok := w.parts[origin(in)]; ok {
				left = i
				continue
			}
			if base := origin(in); inside[base] {
				args[i] = w.regOf[base]
				continue
			}
			args[i] = w.operand(in, v)
		}
		if p.backend.fuse && p.contracts(u, op) {
			if f, ok := w.contracted(args); ok {
				w.parts[v] = f
				continue
			}
		}
		var target *view
		if u.isNeeded(v) {
			target = p.result(v)
		}
		if left >= 0 {
			w.regOf[v] = w.compute(v, []instruction{w.multiplyAdd(w.parts[origin(op.in[left])], args[1-left])}, target)
		} else {
			w.regOf[v] = w.compute(v, w.instructions(op, args), target)
		}
	}
	if w.g.n == 0 {
		return nil
	}
	if len(w.g.regs) > maxRegisters {
		return fmt.Errorf("program of %d registers", len(w.g.regs))
	}
	for _, s := range w.g.sinks {
		for _, reg := range []int{s.reg, s.other} {
			if reg >= 0 {
				w.last[reg] = len(w.g.code) + 1 // after all instructions
			}
		}
	}
	w.findInPlace()
	w.shareScratch()
	g := w.g
	pooling := p.poolingBefore(g)
	chained := pooling != nil && g.partitionByImage(pooling.images)
	if !chained {
		g.choosePartition()
	}
	w.step.parts = g.parts()
	w.step.part = g.part
	w.step.program = g
	whole := make([]ref, len(sums))
	for i, op := range sums {
		s := g.sinks[i]
		whole[i] = p.result(op.out[0]).ref()
		s.partial = whole[i]
		if g.parts() > 1 {
			n := 4 * s.inner * g.parts()
			s.partial = ref{slot: p.addSlot(slot{kind: inArena, size: n}), size: n}
		}
		w.step.writes = append(w.step.writes, s.partial.slot)
	}
	if chained {
		p.join(w.step)
	} else {
		p.add(w.step)
	}
	if g.parts() > 1 {
		for i, s := range g.sinks {
			p.addReduction("ReduceSum", newReduction(1, g.parts(), s.inner), s.partial, whole[i], dtypes.Float32,
				reduceFloats(compute.ReduceOpSum))
		}
	}
	return nil
}

// source is the register with what a sink adds up: what the program computes, or an array.
func (w *programBuilder) source(in *value) int {
	if reg, ok := w.regOf[origin(in)]; ok {
		return reg
	}
	return w.operand(in, in)
}

// operand loads an input from memory, broadcast to the shape of v.
func (w *programBuilder) operand(in, v *value) int {
	x := w.p.viewOf(in)
	dims, strides := broadcastTo(x, v)
	if inner := strides[len(dims)-1]; inner != 0 && inner != 1 && dims[len(dims)-1] > 1 && w.g.n > 64 {
		// Reading with gaps is slow in tiles: let the blocked copy do it.
		x = w.p.dense(in)
		dims, strides = broadcastTo(x, v)
	}
	return w.load(x, dims, strides)
}

// broadcastTo walks a view in the order of the elements of v; axes of size 1 repeat.
func broadcastTo(x *view, v *value) (dims, strides []int) {
	dims = v.shape.Dimensions
	strides = make([]int, len(dims))
	for axis := range x.dims {
		if x.dims[axis] == dims[axis] {
			strides[axis] = x.strides[axis]
		}
	}
	dims, all := collapse(dims, strides)
	return dims, all[0]
}

// load returns the register that holds the elements of a view in the given order.
func (w *programBuilder) load(x *view, dims, strides []int) int {
	isBool := x.dtype == dtypes.Bool
	key := fmt.Sprint(x.slot, x.off, dims, strides)
	if reg, ok := w.loads[key]; ok {
		return reg
	}
	w.step.reads = append(w.step.reads, x.slot)
	size := x.dtype.Size()
	var reg int
	switch {
	case len(dims) == 1 && (strides[0] == 1 || dims[0] == 1):
		reg = w.register(register{kind: inMemory, isBool: isBool, mem: ref{slot: x.slot, off: size * x.off, size: size * dims[0]}})
	case len(dims) == 1 && strides[0] == 0 && !isBool:
		reg = w.register(register{kind: isScalar, mem: ref{slot: x.slot, off: size * x.off, size: size}})
	default:
		reg = w.register(register{isBool: isBool})
		w.g.loads = append(w.g.loads, load{reg: reg, slot: x.slot, off: x.off, dims: dims, strides: strides})
	}
	w.loads[key] = reg
	return reg
}

func (w *programBuilder) register(r register) int {
	w.g.regs = append(w.g.regs, r)
	return len(w.g.regs) - 1
}

func (w *programBuilder) isScalar(reg int) bool { return w.g.regs[reg].kind == isScalar }

// spread returns a register with a tile of the value, where a scalar won't do.
func (w *programBuilder) spread(reg int) int {
	if !w.isScalar(reg) {
		return reg
	}
	if tile, ok := w.tiles[reg]; ok {
		return tile
	}
	tile := w.register(register{})
	w.g.code = append(w.g.code, instruction{do: doFill, dst: tile, a: reg, b: -1, c: -1})
	w.tiles[reg] = tile
	return tile
}

// compute adds the instructions of a value and returns the register that holds it, which lies in target if others need
// it.
func (w *programBuilder) compute(v *value, c []instruction, target *view) int {
	r := register{isBool: v.shape.DType == dtypes.Bool}
	if target != nil {
		r.kind, r.mem = inMemory, target.ref()
		w.step.writes = append(w.step.writes, target.slot)
	}
	dst := w.register(r)
	for i := range c {
		for _, a := range []int{c[i].a, c[i].b, c[i].c} {
			if a >= 0 {
				w.last[a] = len(w.g.code)
			}
		}
		c[i].dst = dst
		w.g.code = append(w.g.code, c[i])
	}
	if target != nil {
		w.wrote[dst] = len(w.g.code) - len(c)
	}
	return dst
}

// instructions are those of an operation; all of them compute its result, the later ones from the earlier.
func (w *programBuilder) instructions(op *operation, args []int) []instruction {
	c := instruction{a: -1, b: -1, c: -1}
	boolIn := w.g.regs[args[0]].isBool
	switch {
	case op.kind == compute.OpTypeWhere:
		return []instruction{w.where(args)}
	case op.kind == compute.OpTypeClamp:
		low, high := w.binary(kernel.Max, args[1], args[0]), w.spread(args[2])
		// The second half works on the result of the first.
		return []instruction{low, {do: doBinaryInto, binary: kernel.Min, a: high, b: -1, c: -1}}
	case op.kind == opIndicator:
		c.do, c.a = doIndicator, w.spread(args[0])
		c.b = w.register(register{isBool: true})
	case op.kind == compute.OpTypeConvertDType && boolIn:
		c.do, c.a = doFromBool, args[0]
	case op.kind == compute.OpTypeConvertDType:
		c.do, c.a = doToBool, w.spread(args[0])
	case op.kind == compute.OpTypeLogicalNot:
		c.do, c.a = doNot, args[0]
	case boolIn:
		c.do, c.a, c.b, c.plain = doLogic, args[0], args[1], logic[op.kind]
	case plainUnary[op.kind] != nil:
		c.do, c.a, c.plain = doPlainUnary, w.spread(args[0]), plainUnary[op.kind]
	case plainBinary[op.kind] != nil:
		c.do, c.a, c.b, c.plain = doPlainBinary, w.spread(args[0]), w.spread(args[1]), plainBinary[op.kind]
	case plainPredicate[op.kind] != nil:
		c.do, c.a, c.plain = doPredicate, w.spread(args[0]), plainPredicate[op.kind]
	default:
		if cmp, ok := vectorCompare[op.kind]; ok {
			return []instruction{w.compare(cmp, args[0], args[1])}
		}
		if bin, ok := vectorBinary[op.kind]; ok {
			return []instruction{w.binary(bin, args[0], args[1])}
		}
		c.do, c.a, c.unary = doUnary, w.spread(args[0]), vectorUnary[op.kind]
	}
	return []instruction{c}
}

// doBinaryInto is dst = dst op a.
func doBinaryInto(t *tileState, c *instruction) {
	kernel.Binary(c.binary, t.f[c.dst], t.f[c.dst], t.f[c.a])
}

func (w *programBuilder) binary(op kernel.BinaryOp, a, b int) instruction {
	c := instruction{do: doBinary, binary: op, a: a, b: b, c: -1}
	switch {
	case w.isScalar(a) && w.isScalar(b):
		c.a, c.do = w.spread(a), doBinaryScalar
	case w.isScalar(a):
		c.do = doScalarBinary
	case w.isScalar(b):
		c.do = doBinaryScalar
	}
	return c
}

func (w *programBuilder) compare(op kernel.CompareOp, a, b int) instruction {
	if w.isScalar(a) && !w.isScalar(b) {
		a, b, op = b, a, mirrored[op]
	}
	c := instruction{do: doCompare, compare: op, a: w.spread(a), b: b, c: -1}
	if w.isScalar(b) {
		c.do = doCompareScalar
	}
	return c
}

func (w *programBuilder) where(args []int) instruction {
	c := instruction{do: doSelect, a: args[0], b: args[1], c: args[2]}
	switch {
	case w.g.regs[args[1]].isBool:
		c.do = doSelectBools
	case w.isScalar(args[1]) && w.isScalar(args[2]):
		c.do = doSelectScalars
	case w.isScalar(args[1]):
		c.do = doSelectScalar
	case w.isScalar(args[2]):
		c.do = doSelectElse
	}
	return c
}

// findInPlace finds results that can lie where an input does: the input is read in one way only, element by
// element, and never after the instruction that writes the result.
func (w *programBuilder) findInPlace() {
	reads := make(map[int]int) // by slot: the register, or -1 if it is read in several ways
	note := func(slot, reg int) {
		if _, ok := reads[slot]; ok {
			reg = -1
		}
		reads[slot] = reg
	}
	for i, reg := range w.g.regs {
		if _, isResult := w.wrote[i]; !isResult && reg.kind != inScratch {
			if reg.kind == isScalar || !w.whole(reg.mem) {
				note(reg.mem.slot, -1)
			}
			note(reg.mem.slot, i)
		}
	}
	for _, l := range w.g.loads {
		note(l.slot, -1)
	}
	for dst, at := range w.wrote {
		to := w.g.regs[dst].mem
		if !w.whole(to) {
			continue
		}
		for slot, reg := range reads {
			if reg >= 0 && w.last[reg] <= at {
				w.step.inPlace = append(w.step.inPlace, [2]int{to.slot, slot})
			}
		}
	}
	slices.SortFunc(w.step.inPlace, func(a, b [2]int) int {
		if a[0] != b[0] {
			return a[0] - b[0]
		}
		return a[1] - b[1]
	})
}

// whole says whether a range is all of its slot.
func (w *programBuilder) whole(x ref) bool { return x.off == 0 && x.size == w.p.slots[x.slot].size }

// shareScratch gives registers that are not in use at the same time the same tile. (An operation's result never
// takes the tile of an argument: it may be written before the argument is read for the last time.)
func (w *programBuilder) shareScratch() {
	g := w.g
	var busy [2][]int // floats and bools, by tile: the instruction that reads it last
	assign := func(reg, from, until int) {
		list := &busy[0]
		if g.regs[reg].isBool {
			list = &busy[1]
		}
		for t, end := range *list {
			if end < from {
				(*list)[t] = until
				g.regs[reg].tile = t
				return
			}
		}
		g.regs[reg].tile = len(*list)
		*list = append(*list, until)
	}
	placed := make(map[int]bool)
	for _, l := range g.loads {
		// Loads that are filled once must stay; the others are filled before any instruction runs.
		until := w.last[l.reg]
		if l.period() > 0 {
			until = len(g.code)
		}
		assign(l.reg, -1, until)
		placed[l.reg] = true
	}
	for i, c := range g.code {
		for _, reg := range []int{c.b, c.dst} {
			// Masks that an instruction has for itself are placed like its result.
			if reg < 0 || placed[reg] || g.regs[reg].kind != inScratch {
				continue
			}
			assign(reg, i, max(i, w.last[reg]))
			placed[reg] = true
		}
	}
	g.floats, g.bools = len(busy[0]), len(busy[1])
}
