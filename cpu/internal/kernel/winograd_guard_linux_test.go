package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestGuardedWinograd runs whole Winograd convolutions between forbidden pages.
func TestGuardedWinograd(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	defer setWinogradMode(setWinogradMode(winogradAll))
	eachEdge(t, func(t *testing.T, g *guarded, atEnd bool) {
		for seed := range uint64(60) {
			rng := rand.New(rand.NewPCG(seed, 39))
			c := randomWinograd(rng)
			c.InPitch, c.OutPitch = 0, 0
			a, b, d := c.operands(rng)
			in, kernel, out := g.floats(rng, len(a), atEnd), g.floats(rng, len(b), atEnd), g.floats(rng, len(d), atEnd)
			want := make([]float32, len(out))
			refConv(c, in, kernel, want)
			ConvForward(p, c, in, kernel, out)
			if e := relative(out, want); !(e <= winogradBound) {
				t.Fatalf("seed %d %+v: error of %g of the largest output", seed, *c, e)
			}
			wantKernel := make([]float32, len(kernel))
			refWeightGrad(c, in, out, wantKernel)
			ConvWeightGrad(p, c, in, out, kernel)
			if e := relative(kernel, wantKernel); !(e <= winogradBound) {
				t.Fatalf("seed %d %+v: error of %g of the largest element of the weight gradient", seed, *c, e)
			}
		}
	})
}

// TestGuardedWinogradTransforms runs the transforms alone with every operand at a forbidden page.
func TestGuardedWinogradTransforms(t *testing.T) {
	eachEdge(t, func(t *testing.T, g *guarded, atEnd bool) {
		rng := rand.New(rand.NewPCG(40, 41))
		for _, channels := range []int{1, 15, 16, 17, 40} {
			vectors := (channels + lanes - 1) / lanes
			last, padded := channels-(vectors-1)*lanes, vectors*lanes
			f := func(n int) []float32 { return g.floats(rng, n, atEnd) }
			pixels := func(n int) []float32 { return f(n * n * channels) }
			cells, out := f(36*padded), pixels(4)
			winogradInput(cells, f(36*lanes), pixels(6), 0, padded, 6*channels, channels, vectors, last, 63, 63)
			// A tile that the image has 4 by 3 pixels of, at its upper left and at its lower right.
			image, row := f(12*channels), 3*channels
			winogradInput(cells, f(36*lanes), image, -2*row-3*channels, padded, row, channels, vectors, last, 0b111100, 0b111000)
			winogradInput(cells, f(36*lanes), image, 0, padded, row, channels, vectors, last, 0b001111, 0b000111)
			winogradOutput(out, cells, padded, 4*channels, channels, vectors, last)
			u := f(36 * channels)
			winogradKernel(u, f(9*channels), channels, channels, vectors, last)
			spread, taps := f(36*padded), f(9*channels)
			winogradSpread(spread, pixels(4), padded, 4*channels, channels, vectors, last)
			winogradTaps(taps, u, channels, channels, vectors, last)
			for i, x := range slices.Concat(out, u, spread, taps) {
				if x != x {
					t.Fatalf("%d channels: element %d is not a number", channels, i)
				}
			}
		}
	})
}
