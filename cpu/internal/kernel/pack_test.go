package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestPack(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(31, 32))
		for range 400 {
			k, n := rng.IntN(70), 1+rng.IntN(40)
			width := (n + lanes - 1) / lanes * lanes
			row, col := 1, k+rng.IntN(3)
			if rng.IntN(3) == 0 {
				row, col = n+rng.IntN(3), 1
			}
			offset := rng.IntN(4)
			src := random(rng, offset+k*row+n*col+1)
			dst, want := random(rng, k*width), make([]float32, k*width)
			for i := range k {
				for j := range n {
					want[i*width+j] = src[offset+i*row+j*col]
				}
			}
			pack(dst, width, src, offset, row, col, k, n, true)
			exact(t, fmt.Sprintf("%d by %d, strides %d and %d", k, n, row, col), dst, want)
		}
	})
}
