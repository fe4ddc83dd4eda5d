package kernel

// Prefetch asks for the memory to be brought into the second level of cache, and returns at once. It is a hint: it
// changes no result.
func Prefetch(mem []byte) {
	if lines := len(mem) / 64; lines > 0 {
		asmPrefetch(&mem[0], lines)
	}
}
