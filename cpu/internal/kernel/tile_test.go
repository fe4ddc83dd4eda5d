package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

func TestTileOffsets(t *testing.T) {
	var x tile
	for _, f := range []struct {
		name      string
		got, want uintptr
	}{
		{"a", unsafe.Offsetof(x.a), 0},
		{"b", unsafe.Offsetof(x.b), 24},
		{"c", unsafe.Offsetof(x.c), 48},
		{"aOff", unsafe.Offsetof(x.aOff), 72},
		{"bOff", unsafe.Offsetof(x.bOff), 96},
		{"runLen", unsafe.Offsetof(x.runLen), 120},
		{"aRow", unsafe.Offsetof(x.aRow), 128},
		{"aCol", unsafe.Offsetof(x.aCol), 136},
		{"bRow", unsafe.Offsetof(x.bRow), 144},
		{"cRow", unsafe.Offsetof(x.cRow), 152},
		{"tiles", unsafe.Offsetof(x.tiles), 160},
		{"lanes", unsafe.Offsetof(x.lanes), 168},
		{"add", unsafe.Offsetof(x.add), 176},
	} {
		if f.got != f.want && unsafe.Sizeof(uintptr(0)) == 8 {
			t.Errorf("offset of %s is %d, assembly reads %d", f.name, f.got, f.want)
		}
	}
}

// eachLevel runs f as a subtest at every level of this machine.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	for _, l := range []Level{Portable, AVX2, AVX512} {
		t.Run(l.String(), func(t *testing.T) {
			if l > DetectedLevel() {
				t.Skipf("machine has %v", DetectedLevel())
			}
			defer SetLevel(SetLevel(l))
			f(t)
		})
	}
}

func random(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// TestTiles compares every micro-kernel with a float64 sum.
func TestTiles(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		s := tiles()
		for v := 1; v <= s.maxVectors(); v++ {
			for rows := 1; rows <= s.maxRows[v]; rows++ {
				for range 6 {
					runs, runLen := 1+rng.IntN(3), 1+rng.IntN(9)
					x := &tile{runLen: runLen, tiles: 1 + rng.IntN(3), lanes: 1 + rng.IntN(lanes), add: rng.IntN(2)}
					if rng.IntN(2) == 0 {
						x.lanes = lanes
					}
					n := (v-1)*lanes + x.lanes
					m := rows * x.tiles
					if rng.IntN(2) == 0 {
						x.aRow, x.aCol = 1, m+rng.IntN(3)
					} else {
						x.aRow, x.aCol = runLen+rng.IntN(4), 1
					}
					x.bRow, x.cRow = n+rng.IntN(5), n+rng.IntN(5)
					for r := range runs {
						x.aOff = append(x.aOff, r*m*(runLen+4)+rng.IntN(3))
						x.bOff = append(x.bOff, r*runLen*x.bRow+rng.IntN(3))
					}
					x.a = random(rng, runs*(m+4)*(runLen+4)+m*runLen)
					x.b = random(rng, (runs*runLen+1)*x.bRow)
					x.c = random(rng, m*x.cRow)
					want := append([]float32(nil), x.c...)
					for i := range m {
						for j := range n {
							sum := 0.0
							if x.add != 0 {
								sum = float64(want[i*x.cRow+j])
							}
							for r := range runs {
								for k := range runLen {
									sum += float64(x.a[x.aOff[r]+i*x.aRow+k*x.aCol]) * float64(x.b[x.bOff[r]+k*x.bRow+j])
								}
							}
							want[i*x.cRow+j] = float32(sum)
						}
					}
					s.run(x, rows, v)
					near(t, fmt.Sprintf("%dx%d tiles %d lanes %d", rows, v, x.tiles, x.lanes), x.c, want, 1e-5)
				}
			}
		}
	})
}

// near fails unless got and want agree within tol, relative to 1 + |want|.
func near(t testing.TB, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: length %d, want %d", what, len(got), len(want))
	}
	for i := range got {
		g, w := float64(got[i]), float64(want[i])
		if math.Abs(g-w) > tol*(1+math.Abs(w)) || math.IsNaN(g) != math.IsNaN(w) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, g, w)
		}
	}
}
