package cpu

import (
	"sync"
	"unsafe"
)

// freeListLimit bounds the memory that waits for reuse, in bytes.
const freeListLimit = 256 << 20

// freeList keeps the memory of dead buffers and arenas for the next ones, so that steady training steps
// allocate nothing. Blocks come back only for requests of at least half their size.
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

// alignedBytes allocates n zero bytes at an address that is a multiple of 64; its capacity is n.
func alignedBytes(n int) []byte {
	words := make([]uint64, (n+7)/8+8)
	p := unsafe.Pointer(unsafe.SliceData(words))
	shift := int(-uintptr(p) & 63)
	return unsafe.Slice((*byte)(p), len(words)*8)[shift : shift+n : shift+n]
}
