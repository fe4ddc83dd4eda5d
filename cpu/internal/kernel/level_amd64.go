package kernel

//go:generate go -C gen run . -dir ..

import "golang.org/x/sys/cpu"

// detected trusts package cpu to check that the operating system saves the registers.
func detected() Level {
	x := &cpu.X86
	switch {
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX2 && x.HasFMA:
		return AVX512
	case x.HasAVX2 && x.HasFMA:
		return AVX2
	}
	return Portable
}

var (
	avx512Tiles = tileSet{maxRows: heights(tilesAVX512), call: tilesAVX512, winograd: &winogradAVX512}
	avx2Tiles   = tileSet{maxRows: heights(tilesAVX2), call: tilesAVX2, winograd: &winogradAVX2}
)

func heights(call [][]func(*tile)) []int {
	h := make([]int, len(call))
	for v := range call[1:] {
		h[v+1] = len(call[v+1]) - 1
	}
	return h
}

func tilesAt(l Level) *tileSet {
	switch l {
	case AVX512:
		return &avx512Tiles
	case AVX2:
		return &avx2Tiles
	}
	return nil
}
