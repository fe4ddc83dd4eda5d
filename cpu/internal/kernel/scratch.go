package kernel

import (
	"math/bits"
	"unsafe"
)

// alignment of scratch memory in bytes: a cache line, which is also an AVX-512 vector.
const alignment = 64

// aligned returns n zeroed floats that start at a cache line.
func aligned(n int) []float32 {
	x := make([]float32, n+alignment/4)
	if d := int(uintptr(unsafe.Pointer(unsafe.SliceData(x))) % alignment); d != 0 {
		x = x[(alignment-d)/4:]
	}
	return x[:n:n]
}

// scratch is the memory of one participant of a Run. It grows to what its tasks need and is reused.
type scratch struct {
	tile       tile
	floats     [3][]float32
	aOff, bOff []int
	ints       []int
	ones       []float32
}

// buffer returns n floats of unspecified content from slot i.
func (s *scratch) buffer(i, n int) []float32 {
	if cap(s.floats[i]) < n {
		s.floats[i] = aligned(n + n/4)
	}
	return s.floats[i][:n]
}

func (p *Pool) scratch() *scratch {
	p.free.Lock()
	defer p.free.Unlock()
	if n := len(p.free.scratch); n > 0 {
		s := p.free.scratch[n-1]
		p.free.scratch = p.free.scratch[:n-1]
		return s
	}
	return new(scratch)
}

func (p *Pool) giveScratch(s *scratch) {
	// Keep no user's memory alive.
	s.tile.a, s.tile.b, s.tile.c = nil, nil, nil
	p.free.Lock()
	defer p.free.Unlock()
	p.free.scratch = append(p.free.scratch, s)
}

// take returns a buffer of n floats of unspecified content that all workers may share; give returns it.
func (p *Pool) take(n int) []float32 {
	// Sizes in steps of at most an eighth.
	n0 := uint(max(n, 1024))
	step := uint(1) << (bits.Len(n0-1) - 4)
	size := int((n0 + step - 1) / step * step)
	p.free.Lock()
	list := p.free.buffers[size]
	if k := len(list); k > 0 {
		x := list[k-1]
		p.free.buffers[size] = list[:k-1]
		p.free.Unlock()
		return x[:n]
	}
	p.free.Unlock()
	return aligned(size)[:n]
}

func (p *Pool) give(x []float32) {
	size := cap(x)
	p.free.Lock()
	p.free.buffers[size] = append(p.free.buffers[size], x[:0])
	p.free.Unlock()
}
