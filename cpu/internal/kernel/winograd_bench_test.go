package kernel

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// BenchmarkWinograd compares the direct and the Winograd way; GFLOP/s count the operations of the direct one.
func BenchmarkWinograd(b *testing.B) {
	p := NewPool(runtime.GOMAXPROCS(0))
	defer p.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, x := range []convCase{
		{"64-64x40", 128, 40, 64, 64, 3, 1, 1},
		{"128-128x16", 128, 16, 128, 128, 3, 1, 1},
		{"256-256x8", 128, 8, 256, 256, 3, 1, 1},
		{"32-64x26", 128, 26, 32, 64, 3, 1, 0},
		{"64-64x8", 128, 8, 64, 64, 3, 1, 1},
		{"32-32x16", 128, 16, 32, 32, 3, 1, 1},
		{"16-16x32", 128, 32, 16, 16, 3, 1, 1},
		{"16-32x16", 128, 16, 16, 32, 3, 1, 1},
		{"64-64x7", 128, 7, 64, 64, 3, 1, 1},
		{"32-32x5", 128, 5, 32, 32, 3, 1, 1},
		{"512-512x4", 128, 4, 512, 512, 3, 1, 1},
		{"64-64x40b1", 1, 40, 64, 64, 3, 1, 1},
		{"512-512x4b1", 1, 4, 512, 512, 3, 1, 1},
		{"8-32x32", 128, 32, 8, 32, 3, 1, 1},
		{"256-256x8b1", 1, 8, 256, 256, 3, 1, 1},
		{"256-256x8b8", 8, 8, 256, 256, 3, 1, 1},
		{"128-128x16b1", 1, 16, 128, 128, 3, 1, 1},
		{"64-64x8b1", 1, 8, 64, 64, 3, 1, 1},
		{"64-64x8b8", 8, 8, 64, 64, 3, 1, 1},
		{"64-64x6", 128, 6, 64, 64, 3, 1, 1},
		{"64-64x5", 128, 5, 64, 64, 3, 1, 1},
		{"384-384x6", 64, 6, 384, 384, 3, 1, 1},
	} {
		forward := x.conv()
		in := alignedRandom(rng, forward.Batch*forward.InHeight*forward.InWidth*forward.InChannels)
		out := alignedRandom(rng, forward.Batch*forward.OutHeight*forward.OutWidth*forward.OutChannels)
		kernel := alignedRandom(rng, 9*forward.InChannels*forward.OutChannels)
		for _, way := range []struct {
			name string
			run  func()
		}{
			{"forward", func() { ConvForward(p, forward, in, kernel, out) }},
			{"weight", func() { ConvWeightGrad(p, forward, in, out, kernel) }},
			{"data", func() { ConvForward(p, forward.DataGrad(), out, kernel, in) }},
		} {
			for _, mode := range []struct {
				name string
				mode winogradMode
			}{{"direct", winogradOff}, {"auto", winogradAuto}, {"all", winogradAll}} {
				b.Run(x.name+"/"+way.name+"/"+mode.name, func(b *testing.B) {
					defer setWinogradMode(setWinogradMode(mode.mode))
					for b.Loop() {
						way.run()
					}
					b.ReportMetric(forward.flops()*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
