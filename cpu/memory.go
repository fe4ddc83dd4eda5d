package cpu

import (
	"slices"
	"sync"
	"unsafe"
)

// freeListLimit bounds the memory that waits for reuse, in bytes.
const freeListLimit = 256 << 20

// freeList keeps the memory of dead buffers for the next ones, so that steady training steps allocate nothing. Blocks
// come back for requests of the same size class.
type freeList struct {
	mu     sync.Mutex
	held   int
	bySize map[int][][]byte
}

// emptyBlock stands for buffers without elements: their memory is not nil.
var emptyBlock = make([]byte, 0)

// sizeClass rounds a size up to a multiple of an eighth of its power of two, at least 64 bytes, so that
// nearly equal sizes share blocks.
func sizeClass(n int) int {
	unit := 64
	for unit*16 <= n {
		unit *= 2
	}
	return (n + unit - 1) / unit * unit
}

// get returns n bytes, aligned to 64, with undefined contents.
func (l *freeList) get(n int) []byte {
	if n == 0 {
		return emptyBlock
	}
	class := sizeClass(n)
	l.mu.Lock()
	if blocks := l.bySize[class]; len(blocks) > 0 {
		last := len(blocks) - 1
		mem := blocks[last]
		blocks[last] = nil
		l.bySize[class] = blocks[:last]
		l.held -= class
		l.mu.Unlock()
		return mem[:n]
	}
	l.mu.Unlock()
	return alignedBytes(class)[:n]
}

// put takes back what get returned.
func (l *freeList) put(mem []byte) {
	class := cap(mem)
	if class == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held+class > freeListLimit {
		// Forget what was kept: sizes that are still in use come back soon.
		clear(l.bySize)
		l.held = 0
		if class > freeListLimit {
			return
		}
	}
	if l.bySize == nil {
		l.bySize = make(map[int][][]byte)
	}
	l.bySize[class] = append(l.bySize[class], mem)
	l.held += class
}

func (l *freeList) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bySize, l.held = nil, 0
}

// hugePage is the size of a huge page on amd64 and most of arm64.
const hugePage = 2 << 20

// alignedBytes allocates n zero bytes at an address that is a multiple of 64, or of a huge page's size if they fill
// some; its capacity is n.
func alignedBytes(n int) []byte {
	align := 64
	if n >= 2*hugePage {
		align = hugePage
	}
	words := make([]uint64, (n+align+7)/8)
	p := unsafe.Pointer(unsafe.SliceData(words))
	shift := int(-uintptr(p) & uintptr(align-1))
	mem := unsafe.Slice((*byte)(p), len(words)*8)[shift : shift+n : shift+n]
	if align == hugePage {
		adviseHuge(mem[:n/hugePage*hugePage])
	}
	return mem
}

// arenaPool keeps the arenas of executions. Programs of one backend share them: an arena serves every program that it
// is large enough for.
type arenaPool struct {
	mu   sync.Mutex
	free [][]byte // by size
}

// arenasKept bounds the number of idle arenas; there are more only while as many executions overlap.
const arenasKept = 2

// get returns at least n bytes with undefined contents.
func (a *arenaPool) get(n int) []byte {
	a.mu.Lock()
	for i, mem := range a.free {
		if len(mem) >= n {
			a.free = slices.Delete(a.free, i, i+1)
			a.mu.Unlock()
			return mem
		}
	}
	// All are too small: let the largest go, before its successor is made.
	if last := len(a.free) - 1; last >= 0 {
		a.free = slices.Delete(a.free, last, last+1)
	}
	a.mu.Unlock()
	return alignedBytes(sizeClass(n))
}

func (a *arenaPool) put(mem []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, _ := slices.BinarySearchFunc(a.free, len(mem), func(x []byte, n int) int { return len(x) - n })
	a.free = slices.Insert(a.free, at, mem)
	if len(a.free) > arenasKept {
		a.free = slices.Delete(a.free, 0, 1)
	}
}

func (a *arenaPool) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free = nil
}
