package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPool2 compares the kernels at every level with the definition, on numbers with many ties, signed zeros and
// infinities, and a few NaN.
func TestPool2(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for seed := range uint64(300) {
			rng := rand.New(rand.NewPCG(seed, 51))
			windows, channels := rng.IntN(6), 1+rng.IntN(40)
			op := []BinaryOp{Max, Min}[seed%2]
			value := func() float32 {
				switch k := rng.IntN(30); {
				case k == 0:
					return float32(math.Copysign(0, float64(rng.IntN(2)*2-1)))
				case k == 1:
					return float32(math.Inf(rng.IntN(2)*2 - 1))
				case k == 2 && seed%5 == 0 && rng.IntN(8) == 0:
					return float32(math.NaN())
				}
				return float32(rng.IntN(7) - 3)
			}
			row := func(n int) []float32 {
				x := make([]float32, n)
				for i := range x {
					x[i] = value()
				}
				return x
			}
			n := windows * channels
			top, bottom, left, right, grad := row(2*n), row(2*n), row(2*n), row(2*n), row(n)
			what := fmt.Sprintf("seed %d: %d windows, %d channels", seed, windows, channels)
			pooled, dTop, dBottom, picked := make([]float32, n+1), make([]float32, 2*n+1), make([]float32, 2*n+1), make([]float32, n+1)
			for _, x := range [][]float32{pooled, dTop, dBottom, picked} {
				x[len(x)-1] = 77
			}
			Pool2(op, pooled, top, bottom, windows, channels)
			okGrad := Pool2Grad(op, dTop, dBottom, top, bottom, grad, windows, channels)
			okPick := Pool2Pick(op, picked, top, bottom, left, right, windows, channels)
			hasNaN := slices.ContainsFunc(slices.Concat(top, bottom), func(x float32) bool { return x != x })
			if okGrad == hasNaN || okPick == hasNaN {
				t.Fatalf("%s: NaN is %v, the gradient says %v, the pick %v", what, hasNaN, !okGrad, !okPick)
			}
			for _, x := range [][]float32{pooled, dTop, dBottom, picked} {
				if x[len(x)-1] != 77 {
					t.Fatalf("%s: wrote beyond the end", what)
				}
			}
			for i := range n {
				k := i + i/channels*channels
				at := []int{k, k + channels}
				best := binaryFunc(op)(binaryFunc(op)(top[at[0]], top[at[1]]), binaryFunc(op)(bottom[at[0]], bottom[at[1]]))
				if math.Float32bits(pooled[i]) != math.Float32bits(best) && best == best || best != best && pooled[i] == pooled[i] {
					t.Fatalf("%s: element %d is %g, want %g", what, i, pooled[i], best)
				}
				if hasNaN {
					continue
				}
				hit := false
				for _, r := range []struct{ x, d, pick []float32 }{{top, dTop, left}, {bottom, dBottom, right}} {
					for _, j := range at {
						want := float32(0)
						if !hit && r.x[j] == best {
							hit, want = true, grad[i]
							if picked[i] != r.pick[j] && r.pick[j] == r.pick[j] {
								t.Fatalf("%s: picked %g for element %d, want %g", what, picked[i], i, r.pick[j])
							}
						}
						if r.d[j] != want && want == want {
							t.Fatalf("%s: the gradient at %d is %g, want %g", what, j, r.d[j], want)
						}
					}
				}
			}
		}
	})
}
