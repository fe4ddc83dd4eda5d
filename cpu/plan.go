package cpu

import (
	"slices"
	"sync"
	"unsafe"

	"github.com/gomlx/compute/shapes"
)

// plan is a compiled graph: steps in the order they run, and where each of the tensors lives. It never changes
// after it was made; what belongs to one execution is in a run.
type plan struct {
	backend *Backend
	steps   []step
	slots   []slot
	arena   int // bytes of scratch memory that a run needs
	params  []int
	outputs []int

	mu   sync.Mutex
	idle []*run
}

// step is a unit of execution. Either it has parts, which are independent of each other and may run at the same
// time, or it is one function that does as it likes with the workers.
type step struct {
	name    string
	reads   []int // slots
	writes  []int
	inPlace [][2]int // {written, read}: the first may lie where the second does if nobody reads that later
	parts   int
	part    func(r *run, i, worker int)
	whole   func(r *run) error

	images  *byImage // how to do it image by image, if it can be
	program *program // what it evaluates, if that is all
}

// slotKind says where the memory of a slot comes from.
type slotKind uint8

const (
	inArena slotKind = iota
	inParameter
	inConstant
	inOutput
)

// slot is the memory of a tensor.
type slot struct {
	kind   slotKind
	size   int    // bytes
	index  int    // number of the parameter or output
	data   []byte // of a constant
	shape  shapes.Shape
	offset int // in the arena
	shares int // arena slot that lies at the same place, or -1
	donor  int // parameter whose memory an output takes if it was donated, or -1

	first, last int // steps that use it
}

// ref is a range of bytes of a slot.
type ref struct{ slot, off, size int }

// run is the state of one execution.
type run struct {
	plan    *plan
	mem     [][]byte // by slot
	current *step
	body    func(part, worker int)
	scratch [][]float32  // by worker
	tiles   []*tileState // by worker
}

func (r *run) bytes(x ref) []byte { return r.mem[x.slot][x.off : x.off+x.size] }

// typed views a range of bytes as elements.
func typed[T any](b []byte) []T {
	var t T
	n := len(b) / int(unsafe.Sizeof(t))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// asBytes views floats as bytes.
func asBytes(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

func (r *run) f32(x ref) []float32 { return typed[float32](r.bytes(x)) }

func (p *plan) newRun() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		r := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return r
	}
	r := &run{plan: p, mem: make([][]byte, len(p.slots)), scratch: make([][]float32, p.backend.threads), tiles: make([]*tileState, p.backend.threads)}
	r.body = func(part, worker int) { r.current.part(r, part, worker) }
	return r
}

// floats is scratch memory of a worker: n floats with undefined contents, valid until the next call for the worker.
func (r *run) floats(worker, n int) []float32 {
	if len(r.scratch[worker]) < n {
		r.scratch[worker] = typed[float32](alignedBytes(4 * n))
	}
	return r.scratch[worker][:n]
}

// tileState is the worker's.
func (r *run) tileState(worker int) *tileState {
	if r.tiles[worker] == nil {
		r.tiles[worker] = new(tileState)
	}
	return r.tiles[worker]
}

func (p *plan) release(r *run) {
	clear(r.mem)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) < 4 {
		p.idle = append(p.idle, r)
	}
}

// place decides where the slots lie: it finds out when each is used, lets steps work in place, and packs the
// arena.
func (p *plan) place() {
	never := len(p.steps)
	for i := range p.slots {
		s := &p.slots[i]
		s.first, s.last, s.shares, s.donor = never, -1, -1, -1
	}
	for i, st := range p.steps {
		for _, list := range [][]int{st.reads, st.writes} {
			for _, k := range list {
				s := &p.slots[k]
				s.first, s.last = min(s.first, i), max(s.last, i)
			}
		}
	}
	p.shareInPlace()
	p.chooseDonors()
	p.pack()
	raise(&p.backend.planned, int64(p.arena))
}

// shareInPlace lets a step write where an input lies that it is the last to read.
func (p *plan) shareInPlace() {
	taken := make([]bool, len(p.slots))
	for i, st := range p.steps {
		for _, pair := range st.inPlace {
			w, r := &p.slots[pair[0]], &p.slots[pair[1]]
			if w.kind != inArena || r.kind != inArena || w.shares >= 0 || taken[pair[1]] ||
				w.first != i || r.last != i || w.size != r.size {
				continue
			}
			root := pair[1]
			for p.slots[root].shares >= 0 {
				root = p.slots[root].shares
			}
			w.shares = root
			taken[pair[1]] = true
		}
	}
	for i := range p.slots {
		if s := &p.slots[i]; s.shares >= 0 {
			root := &p.slots[s.shares]
			root.first, root.last = min(root.first, s.first), max(root.last, s.last)
		}
	}
}

// chooseDonors pairs outputs with parameters that are dead by the time the output is written.
func (p *plan) chooseDonors() {
	used := make(map[int]bool)
	for _, k := range p.outputs {
		out := &p.slots[k]
		for n, q := range p.params {
			in := &p.slots[q]
			if used[n] || in.size != out.size || in.size == 0 || !in.shape.Equal(out.shape) {
				continue
			}
			ok := in.last < out.first
			if in.last == out.first {
				ok = slices.Contains(p.steps[out.first].inPlace, [2]int{k, q})
			}
			if ok {
				out.donor = n
				used[n] = true
				break
			}
		}
	}
}

// pack places the arena's slots, the largest first, each at the lowest offset where it meets no slot that is alive
// at the same time.
func (p *plan) pack() {
	var order []int
	for i := range p.slots {
		s := &p.slots[i]
		if s.kind == inArena && s.shares < 0 && s.last >= 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return p.slots[b].size - p.slots[a].size })
	var placed []int // by offset
	for _, i := range order {
		s := &p.slots[i]
		offset := 0
		for _, j := range placed {
			q := &p.slots[j]
			if q.last < s.first || s.last < q.first {
				continue
			}
			if offset+s.size <= q.offset {
				break
			}
			offset = max(offset, (q.offset+q.size+63)&^63)
		}
		s.offset = offset
		at, _ := slices.BinarySearchFunc(placed, offset, func(j, off int) int { return p.slots[j].offset - off })
		placed = slices.Insert(placed, at, i)
		p.arena = max(p.arena, offset+s.size)
	}
	for i := range p.slots {
		if s := &p.slots[i]; s.shares >= 0 {
			s.offset = p.slots[s.shares].offset
		}
	}
}
