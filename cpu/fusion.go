package cpu

import (
	"cmp"
	"container/heap"
	"errors"
	"slices"
	"strings"

	"github.com/gomlx/compute"
)

// unit is what one step (or a few) computes: one operation, or a group of elementwise operations with the same number
// of elements, fused into one program, which may end in a sink.
type unit struct {
	ops    []*operation
	needed map[*value]bool // what others read of a group
	n      int             // elements, for groups
	cost   int             // bound of the registers of a group
	inner  int             // elements of the sums of its sinks, 0 if it has none

	next []*unit // the units that read its results, some of them more than once, and perhaps itself
	into *unit   // the one that it went into, nil if it is still there
	seen int     // the last search that came here
}

// isNeeded says whether somebody outside of the unit reads the value.
func (u *unit) isNeeded(v *value) bool { return u.needed == nil || u.needed[v] }

// name says what a unit computes, for profiles and errors.
func (u *unit) name() string {
	var names []string
	for _, op := range u.ops {
		switch op.kind {
		case opIndicator:
			names = append(names, "Indicator")
		case opReLU:
			names = append(names, "ReLU")
		case opReLUGrad:
			names = append(names, "ReLUGrad")
		default:
			names = append(names, op.kind.String())
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	return "fused(" + strings.Join(names, ",") + ")"
}

// reader is an operation that reads a value, itself or through views.
type reader struct {
	op    *operation // nil for an output of the function
	plain bool       // element by element: only through reshapes, and with as many elements
}

// fuser groups elementwise operations. It walks the graph from the results to the inputs, so that when it comes to
// an operation all of its readers have their units.
//
// Groups that read the same value become one, if neither depends on the other (merge.go): they read it once then.
//
// An operation joins the group of its readers. If it has readers elsewhere, it still may, as an additional result of
// the group, unless the group depends on one of these. If all readers are in groups, and it is cheap to compute from
// one array, it is computed in each of them instead of passing through memory.
type fuser struct {
	units    map[*operation][]*unit
	readers  map[*value][]reader
	searches int // how many were made; see leadsTo
}

func (p *planner) fuse(f *Function) ([]*unit, error) {
	s := &fuser{units: make(map[*operation][]*unit), readers: make(map[*value][]reader)}
	for _, op := range p.ops {
		if isView(op) {
			continue
		}
		for _, in := range op.in {
			s.addReader(in, op)
		}
	}
	for _, v := range f.outputs {
		s.addReader(v, nil)
	}
	p.readers = s.readers
	var all []*unit
	for _, op := range slices.Backward(p.ops) {
		if isGiven(op) {
			continue
		}
		all = append(all, s.place(op, p.backend.fuse)...)
	}
	all = slices.DeleteFunc(all, func(u *unit) bool { return u.into != nil })
	for _, u := range all {
		slices.SortFunc(u.ops, func(a, b *operation) int { return cmp.Compare(a.id, b.id) })
	}
	sorted := s.order(all)
	if len(sorted) != len(all) {
		return nil, errors.New("the fused graph has a cycle")
	}
	return sorted, nil
}

// addReader notes that op reads v; through views, it reads what they show.
func (s *fuser) addReader(v *value, op *operation) {
	base := origin(v)
	plain := op != nil
	for isView(base.op) {
		plain = false
		base = origin(base.op.in[base.index])
	}
	if plain {
		size := op.out[0].shape.Size()
		if isSink(op) {
			size = op.in[0].shape.Size()
		}
		plain = len(op.out) == 1 && size == base.shape.Size()
	}
	s.readers[base] = append(s.readers[base], reader{op, plain})
}

// place finds the units of an operation, and returns the new ones.
func (s *fuser) place(op *operation, fuse bool) []*unit {
	alone := func() []*unit {
		u := &unit{ops: []*operation{op}}
		if isElementwise(op) {
			u.n, u.cost = op.out[0].shape.Size(), operationCost(op)
			u.needed = map[*value]bool{op.out[0]: true}
		} else if inner, ok := sinkInner(op); ok && fuse {
			u.n, u.cost, u.inner = op.in[0].shape.Size(), 1, inner
			u.needed = map[*value]bool{op.out[0]: true}
		}
		s.units[op] = append(s.units[op], u)
		for _, out := range op.out {
			s.follow(u, out)
		}
		return []*unit{u}
	}
	if !fuse || len(op.out) != 1 {
		return alone()
	}
	v := op.out[0]
	groups, outside := s.groups(v)
	groups = s.merge(groups)
	if !isElementwise(op) {
		return alone()
	}
	groups = slices.DeleteFunc(groups, func(u *unit) bool {
		if u.cost+operationCost(op) > maxRegisters {
			outside = true
			return true
		}
		return false
	})
	join := func(u *unit, needed bool) {
		u.ops = append(u.ops, op)
		u.cost += operationCost(op)
		if needed {
			u.needed[v] = true
			s.follow(u, v)
		}
		s.units[op] = append(s.units[op], u)
	}
	switch {
	case len(groups) == 0:
		return alone()
	case !outside && (len(groups) == 1 || isCheap(op)):
		for _, u := range groups {
			join(u, false)
		}
		return nil
	}
	for _, u := range slices.Backward(groups) {
		if s.mayLead(v, u) {
			join(u, true)
			return nil
		}
	}
	return alone()
}

// operationCost bounds the registers that an operation adds to a group: its result, its arguments, and one more.
func operationCost(op *operation) int { return len(op.in) + 2 }

// isCheap says whether computing the operation again costs less than writing its result and reading it.
func isCheap(op *operation) bool {
	switch op.kind {
	case compute.OpTypeAdd, compute.OpTypeSub, compute.OpTypeMul, compute.OpTypeMax, compute.OpTypeMin, compute.OpTypeNeg,
		compute.OpTypeAbs, compute.OpTypeClamp, compute.OpTypeWhere, compute.OpTypeConvertDType, opIndicator, opReLU, opReLUGrad:
	default:
		if _, ok := vectorCompare[op.kind]; !ok && logic[op.kind] == nil {
			return false
		}
	}
	var arrays []*value
	for _, in := range op.in {
		base := origin(in)
		if base.shape.Size() == op.out[0].shape.Size() && base.op.kind != compute.OpTypeBroadcastInDim && !slices.Contains(arrays, base) {
			arrays = append(arrays, base)
		}
	}
	return len(arrays) <= 1
}

// mayLead says whether a group can compute v as a result for others too: none of v's other readers leads to the group.
func (s *fuser) mayLead(v *value, group *unit) bool {
	reaches := s.leadsTo(group)
	for _, r := range s.readers[v] {
		if r.op == nil {
			continue
		}
		for _, u := range s.units[r.op] {
			if u != group && reaches(u) {
				return false
			}
			if u == group && !r.plain {
				return false // the group reads v in another order than it computes it
			}
		}
	}
	return true
}

// order sorts the units so that inputs come before their readers, and otherwise as the graph was written.
func (s *fuser) order(all []*unit) []*unit {
	key := make(map[*unit]int, len(all))
	for _, u := range all {
		key[u] = u.ops[len(u.ops)-1].id
	}
	// successors and the number of units each waits for.
	next := make(map[*unit][]*unit)
	waits := make(map[*unit]int)
	for _, u := range all {
		after := make(map[*unit]bool)
		for _, op := range u.ops {
			for _, out := range op.out {
				if u.needed != nil && !u.needed[out] {
					continue
				}
				for _, r := range s.readers[out] {
					if r.op == nil {
						continue
					}
					for _, w := range s.units[r.op] {
						if w != u && !after[w] {
							after[w] = true
							next[u] = append(next[u], w)
							waits[w]++
						}
					}
				}
			}
		}
	}
	ready := &unitHeap{key: key}
	for _, u := range all {
		if waits[u] == 0 {
			heap.Push(ready, u)
		}
	}
	var sorted []*unit
	for ready.Len() > 0 {
		u := heap.Pop(ready).(*unit)
		sorted = append(sorted, u)
		for _, w := range next[u] {
			if waits[w]--; waits[w] == 0 {
				heap.Push(ready, w)
			}
		}
	}
	return sorted
}

// unitHeap yields the unit with the lowest key.
type unitHeap struct {
	units []*unit
	key   map[*unit]int
}

func (h *unitHeap) Len() int           { return len(h.units) }
func (h *unitHeap) Less(i, j int) bool { return h.key[h.units[i]] < h.key[h.units[j]] }
func (h *unitHeap) Swap(i, j int)      { h.units[i], h.units[j] = h.units[j], h.units[i] }
func (h *unitHeap) Push(u any)         { h.units = append(h.units, u.(*unit)) }
func (h *unitHeap) Pop() any {
	u := h.units[len(h.units)-1]
	h.units = h.units[:len(h.units)-1]
	return u
}
