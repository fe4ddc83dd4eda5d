package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestGemm(t *testing.T) {
	p1, p3 := NewPool(1), NewPool(3)
	defer p1.Close()
	defer p3.Close()
	eachLevel(t, func(t *testing.T) {
		for seed := range uint64(400) {
			rng := rand.New(rand.NewPCG(seed, 9))
			size := func() int { return []int{1, 2, 7, 16, 33, 70, 128}[rng.IntN(7)] + rng.IntN(3) - 1 }
			g := &Gemm{Batch: rng.IntN(4), M: size(), N: size(), K: size(), Add: rng.IntN(2) == 0}
			switch rng.IntN(10) {
			case 0:
				g.K = 2048 + rng.IntN(100)
				g.M, g.N = min(g.M, 40), min(g.N, 40)
			case 1:
				g.M = 500 + rng.IntN(100)
			case 2:
				g.N = 500 + rng.IntN(100)
			}
			extra := rng.IntN(3)
			g.ARow, g.ACol, g.ABatch = g.K+extra, 1, g.M*(g.K+extra)
			if rng.IntN(2) == 0 {
				g.ARow, g.ACol, g.ABatch = 1, g.M+extra, g.K*(g.M+extra)
			}
			if rng.IntN(8) == 0 {
				g.ARow, g.ACol, g.ABatch = 1, 1024, g.K*1024
			}
			if rng.IntN(8) == 0 && g.K <= 1024 {
				g.ARow, g.ACol, g.ABatch = 1024, 1, g.M*1024
			}
			g.BRow, g.BCol, g.BBatch = g.N+extra, 1, g.K*(g.N+extra)
			if rng.IntN(2) == 0 {
				g.BRow, g.BCol, g.BBatch = 1, g.K+extra, g.N*(g.K+extra)
			}
			g.CRow, g.CBatch = g.N+extra, g.M*(g.N+extra)+extra
			batch := max(1, g.Batch)
			a, b := random(rng, batch*g.ABatch+g.K*g.ACol), random(rng, batch*g.BBatch+g.K)
			c := random(rng, batch*g.CBatch)
			want, again := slices.Clone(c), slices.Clone(c)
			refGemm(g, a, b, want)
			what := fmt.Sprintf("seed %d %+v", seed, *g)
			g.Run(p1, a, b, c)
			near(t, what, c, want, 2e-4)
			g.Run(p3, a, b, again)
			same(t, what, again, c)
		}
	})
}
