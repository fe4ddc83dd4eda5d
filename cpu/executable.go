package cpu

import (
	"fmt"
	"runtime/debug"
	"time"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// Executable is a compiled computation. It implements compute.Executable, and may be executed concurrently.
type Executable struct {
	backend *Backend
	name    string
	names   []string
	inputs  []shapes.Shape
	outputs []shapes.Shape

	plan  *plan
	whole compute.Executable // the shadow program, where there is no plan
}

var _ compute.Executable = (*Executable)(nil)

// Finalize implements compute.Executable.
func (x *Executable) Finalize() {
	if x.whole != nil {
		x.whole.Finalize()
	}
	x.plan, x.whole = nil, nil
}

// Inputs implements compute.Executable.
func (x *Executable) Inputs() (names []string, inputShapes []shapes.Shape) { return x.names, x.inputs }

// Outputs implements compute.Executable.
func (x *Executable) Outputs() []shapes.Shape { return x.outputs }

// Execute implements compute.Executable.
func (x *Executable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	p, whole := x.plan, x.whole
	if p == nil && whole == nil {
		return nil, errFinalized
	}
	if err := x.backend.checkDevice(device); err != nil {
		return nil, err
	}
	if len(inputs) != len(x.inputs) {
		return nil, fmt.Errorf("cpu: %q takes %d inputs, not %d", x.name, len(x.inputs), len(inputs))
	}
	if len(donate) != 0 && len(donate) != len(inputs) {
		return nil, fmt.Errorf("cpu: %q: %d donation flags for %d inputs", x.name, len(donate), len(inputs))
	}
	bufs := make([]*Buffer, len(inputs))
	mems := make([][]byte, len(inputs))
	for i, in := range inputs {
		buf, ok := in.(*Buffer)
		if !ok || buf == nil {
			return nil, fmt.Errorf("cpu: %q: input %d (%s) is a buffer of another backend (%T)", x.name, i, x.names[i], in)
		}
		mem, err := buf.bytes()
		if err != nil {
			return nil, fmt.Errorf("cpu: %q: input %d (%s): %w", x.name, i, x.names[i], err)
		}
		if !x.inputs[i].IsDynamic() && !buf.shape.Equal(x.inputs[i]) {
			return nil, fmt.Errorf("cpu: %q: input %d (%s) has shape %s, not %s", x.name, i, x.names[i], buf.shape, x.inputs[i])
		}
		bufs[i], mems[i] = buf, mem
	}
	if whole != nil {
		out, err := x.executeWhole(whole, bufs)
		for i := range donate {
			if donate[i] {
				_ = bufs[i].Finalize()
			}
		}
		return out, err
	}
	return p.execute(x, bufs, mems, donate)
}

// execute runs the steps.
func (p *plan) execute(x *Executable, bufs []*Buffer, mems [][]byte, donate []bool) (_ []compute.Buffer, err error) {
	r := p.newRun()
	arena := p.backend.arenas.get(p.arena)
	raise(&p.backend.used, int64(p.arena))
	outputs := make([]compute.Buffer, len(p.outputs))
	reused := make([]bool, len(bufs))
	for i := range donate {
		if donate[i] {
			bufs[i].take()
		}
	}
	for i := range p.slots {
		s := &p.slots[i]
		switch s.kind {
		case inArena:
			if s.last >= 0 {
				r.mem[i] = arena[s.offset : s.offset+s.size]
			}
		case inParameter:
			r.mem[i] = mems[s.index]
		case inConstant:
			r.mem[i] = s.data
		}
	}
	for n, k := range p.outputs {
		s := &p.slots[k]
		var mem []byte
		if d := s.donor; d >= 0 && len(donate) > 0 && donate[d] && !reused[d] && only(mems, d) {
			mem = mems[d]
			reused[d] = true
		} else {
			mem = p.backend.memory.get(s.size)
		}
		r.mem[k] = mem
		outputs[n] = &Buffer{backend: p.backend, shape: s.shape, mem: mem}
	}
	defer func() {
		if failure := recover(); failure != nil {
			name := ""
			if r.current != nil {
				name = r.current.name
			}
			err = fmt.Errorf("cpu: %q: operation %s: %v\n%s", x.name, name, failure, debug.Stack())
		}
		if err != nil {
			return // the memory goes to the garbage collector: a worker might still hold it
		}
		p.backend.arenas.put(arena)
		for i := range donate {
			if donate[i] && !reused[i] && only(mems, i) {
				p.backend.memory.put(mems[i])
			}
		}
		p.release(r)
	}()
	for i := range p.steps {
		st := &p.steps[i]
		r.current = st
		var began time.Time
		if p.backend.trace != nil {
			began = time.Now()
		}
		switch {
		case st.whole != nil:
			if err := st.whole(r); err != nil {
				return nil, fmt.Errorf("cpu: %q: operation %s: %w", x.name, st.name, err)
			}
		case st.parts == 1:
			st.part(r, 0, 0)
		case st.parts > 1:
			p.backend.pool.Run(st.parts, r.body)
		}
		if p.backend.trace != nil {
			p.backend.trace(st.name, time.Since(began))
		}
	}
	return outputs, nil
}

// only says that no other input lies where input i does.
func only(mems [][]byte, i int) bool {
	for j := range mems {
		if j != i && unsafe.SliceData(mems[j]) == unsafe.SliceData(mems[i]) {
			return false
		}
	}
	return true
}
