// Package distant is a backend for tests: it computes with another one, keeps its buffers out of the host's sight as a GPU does, and counts
// what goes to and fro.
package distant

import (
	"errors"
	"fmt"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// Backend computes with the backend that it wraps, to the same bits. Tensors of the two are not to be mixed.
type Backend struct {
	compute.Backend
	mu     sync.Mutex
	live   map[*buffer]int // the values of each buffer that is not freed
	counts map[int]*Counts
	// compiled counts the programs.
	compiled int
}

// Counts are about buffers of one number of values.
type Counts struct {
	// Uploads and Downloads count copies from and to the host.
	Uploads, Downloads int
	// Live buffers are not freed, and Most is the most that were at once.
	Live, Most int
}

// New returns a backend that computes with another, which is finalized with it.
func New(b compute.Backend) *Backend {
	return &Backend{Backend: b, live: map[*buffer]int{}, counts: map[int]*Counts{}}
}

// Counts returns those of buffers of so many values.
func (b *Backend) Counts(values int) Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return *b.of(values)
}

// Live is the number of buffers that are not freed.
func (b *Backend) Live() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.live)
}

// Compiled is the number of programs that were compiled.
func (b *Backend) Compiled() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.compiled
}

// of returns the counts for so many values, with the lock held.
func (b *Backend) of(values int) *Counts {
	c := b.counts[values]
	if c == nil {
		c = &Counts{}
		b.counts[values] = c
	}
	return c
}

// adopt makes a buffer of the other backend one of this.
func (b *Backend) adopt(inner compute.Buffer) (*buffer, error) {
	shape, err := inner.Shape()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	own := &buffer{Buffer: inner, home: b}
	b.live[own] = shape.Size()
	c := b.of(shape.Size())
	c.Live++
	c.Most = max(c.Most, c.Live)
	return own, nil
}

// forget takes a buffer off the list of those that are not freed.
func (b *Backend) forget(own *buffer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if values, ok := b.live[own]; ok {
		delete(b.live, own)
		b.of(values).Live--
	}
}

// HasSharedBuffers implements compute.DataInterface: the host can't see them.
func (*Backend) HasSharedBuffers() bool { return false }

// NewSharedBuffer implements compute.DataInterface.
func (*Backend) NewSharedBuffer(compute.DeviceNum, shapes.Shape) (compute.Buffer, any, error) {
	return nil, nil, errNotShared
}

var errNotShared = errors.New("distant: buffers are not shared with the host")

// BufferFromFlatData implements compute.DataInterface.
func (b *Backend) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	inner, err := b.Backend.BufferFromFlatData(device, flat, shape)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.of(shape.Size()).Uploads++
	b.mu.Unlock()
	return b.adopt(inner)
}

// Builder implements compute.Backend.
func (b *Backend) Builder(name string) compute.Builder { return &builder{b.Backend.Builder(name), b} }

type builder struct {
	compute.Builder
	home *Backend
}

// Compile implements compute.Builder.
func (b *builder) Compile() (compute.Executable, error) {
	inner, err := b.Builder.Compile()
	if err != nil {
		return nil, err
	}
	b.home.mu.Lock()
	b.home.compiled++
	b.home.mu.Unlock()
	return &executable{inner, b.home}, nil
}

type executable struct {
	compute.Executable
	home *Backend
}

// Execute implements compute.Executable.
func (e *executable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	inner := make([]compute.Buffer, len(inputs))
	for k, input := range inputs {
		own, ok := input.(*buffer)
		if !ok || own.home != e.home {
			return nil, fmt.Errorf("distant: input %d is a buffer of another backend", k)
		}
		inner[k] = own.Buffer
	}
	out, err := e.Executable.Execute(inner, donate, device)
	if err != nil {
		return nil, err
	}
	for k, input := range inputs {
		if donate != nil && donate[k] {
			e.home.forget(input.(*buffer))
		}
	}
	for k, o := range out {
		if out[k], err = e.home.adopt(o); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type buffer struct {
	compute.Buffer
	home *Backend
}

// Backend implements compute.Buffer.
func (b *buffer) Backend() compute.Backend { return b.home }

// Finalize implements compute.Buffer.
func (b *buffer) Finalize() error {
	b.home.forget(b)
	return b.Buffer.Finalize()
}

// ToFlatData implements compute.Buffer.
func (b *buffer) ToFlatData(flat any) error {
	shape, err := b.Buffer.Shape()
	if err != nil {
		return err
	}
	b.home.mu.Lock()
	b.home.of(shape.Size()).Downloads++
	b.home.mu.Unlock()
	return b.Buffer.ToFlatData(flat)
}

// Data implements compute.Buffer.
func (*buffer) Data() (any, error) { return nil, errNotShared }

// CopyToDevice implements compute.Buffer.
func (b *buffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	inner, err := b.Buffer.CopyToDevice(device)
	if err != nil {
		return nil, err
	}
	return b.home.adopt(inner)
}

var (
	_ compute.Backend = (*Backend)(nil)
	_ compute.Buffer  = (*buffer)(nil)
)
