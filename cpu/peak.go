package cpu

import (
	"slices"
	"time"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// PeakGFLOPS measures the speed of a float32 matrix product of 1024x1024 by 1024x1024 on the given number of threads, in
// GFLOP/s: what a network's speed is compared with. It takes about a third of a second and returns the best of its runs.
func PeakGFLOPS(threads int) float64 {
	const n = 1024
	pool := kernel.NewPool(threads)
	defer pool.Close()
	a, b, c := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
	for i := range a {
		a[i], b[i] = float32(i%7)-3, float32(i%5)-2
	}
	product := kernel.Gemm{Batch: 1, M: n, N: n, K: n, ARow: n, ACol: 1, BRow: n, BCol: 1, CRow: n}
	var seconds []float64
	for range 25 {
		at := time.Now()
		product.Run(pool, a, b, c)
		seconds = append(seconds, time.Since(at).Seconds())
	}
	return 2 * n * n * n / slices.Min(seconds) / 1e9
}
