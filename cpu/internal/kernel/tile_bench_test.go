package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkTile measures single register tiles on one core: A rows 64 floats apart, and B panels that fit
// the first (k=128) or second (k=576) level of cache.
func BenchmarkTile(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := tiles()
	for v := 1; v <= s.maxVectors(); v++ {
		for _, rows := range []int{s.maxRows[v], s.maxRows[v] / 2, 8, 1} {
			if rows > s.maxRows[v] || rows < 1 {
				continue
			}
			for _, k := range []int{9, 128, 576} {
				b.Run(fmt.Sprintf("%dx%d/k=%d", rows, v, k), func(b *testing.B) {
					x := &tile{runLen: k, tiles: 1, lanes: lanes, aRow: 64, aCol: 1, bRow: v * lanes, cRow: v * lanes}
					x.aOff, x.bOff = []int{0}, []int{0}
					x.a, x.b, x.c = random(rng, rows*64+k), aligned(k*x.bRow), aligned(rows*x.cRow)
					for b.Loop() {
						s.run(x, rows, v)
					}
					b.ReportMetric(2*float64(rows*v*lanes*k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
