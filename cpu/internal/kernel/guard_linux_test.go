package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guarded is memory between two pages that fault when touched.
type guarded struct {
	t    *testing.T
	page int
}

// bytes returns n bytes that end, or begin, at a forbidden page.
func (g *guarded) bytes(n int, atEnd bool) []byte {
	size := (n + g.page - 1) / g.page * g.page
	m, err := unix.Mmap(-1, 0, size+2*g.page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = unix.Munmap(m) })
	for _, edge := range [][]byte{m[:g.page], m[g.page+size:]} {
		if err := unix.Mprotect(edge, unix.PROT_NONE); err != nil {
			g.t.Fatal(err)
		}
	}
	in := m[g.page:][:size]
	if atEnd {
		return in[size-n:]
	}
	return in[:n]
}

// floats returns n random floats at the edge.
func (g *guarded) floats(rng *rand.Rand, n int, atEnd bool) []float32 {
	if n == 0 {
		return nil
	}
	b := g.bytes(4*n, atEnd)
	x := unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), n)
	copy(x, random(rng, n))
	return x
}

func (g *guarded) bools(n int, atEnd bool) []bool {
	if n == 0 {
		return nil
	}
	b := g.bytes(n, atEnd)
	return unsafe.Slice((*bool)(unsafe.Pointer(&b[0])), n)
}

func eachEdge(t *testing.T, f func(t *testing.T, g *guarded, atEnd bool)) {
	eachLevel(t, func(t *testing.T) {
		for _, atEnd := range []bool{true, false} {
			f(t, &guarded{t: t, page: unix.Getpagesize()}, atEnd)
		}
	})
}

// TestGuardedTiles runs every micro-kernel with A, B and C that end or begin at a forbidden page: a read or
// write past either end would kill the test.
func TestGuardedTiles(t *testing.T) {
	eachEdge(t, func(t *testing.T, g *guarded, atEnd bool) {
		rng := rand.New(rand.NewPCG(21, 22))
		s := tiles()
		for v := 1; v <= s.maxVectors(); v++ {
			for rows := 1; rows <= s.maxRows[v]; rows++ {
				for _, last := range []int{1, 7, 8, 9, 15, 16} {
					const k = 5
					n, m := (v-1)*lanes+last, 2*rows
					for _, transposed := range []bool{false, true} {
						x := &tile{runLen: k, tiles: 2, lanes: last, aRow: k, aCol: 1, bRow: n, cRow: n, add: rng.IntN(2)}
						if transposed {
							x.aRow, x.aCol = 1, m
						}
						x.aOff, x.bOff = []int{0, 0}, []int{0, 0}
						x.a, x.b, x.c = g.floats(rng, m*k, atEnd), g.floats(rng, k*n, atEnd), g.floats(rng, m*n, atEnd)
						want := append([]float32(nil), x.c...)
						for i := range m {
							for j := range n {
								sum := 0.0
								for kk := range k {
									sum += 2 * float64(x.a[i*x.aRow+kk*x.aCol]) * float64(x.b[kk*n+j])
								}
								if x.add != 0 {
									sum += float64(want[i*n+j])
								}
								want[i*n+j] = float32(sum)
							}
						}
						s.run(x, rows, v)
						near(t, fmt.Sprintf("%dx%d", rows, v), x.c, want, 1e-5)
					}
				}
			}
		}
	})
}

// TestGuardedDrivers runs whole convolutions, weight gradients and products between forbidden pages.
func TestGuardedDrivers(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	eachEdge(t, func(t *testing.T, g *guarded, atEnd bool) {
		for seed := range uint64(60) {
			rng := rand.New(rand.NewPCG(seed, 23))
			c := randomConv(rng, false)
			c.InPitch, c.OutPitch = 0, 0
			a, b, d := c.operands(rng)
			in, kernel, out := g.floats(rng, len(a), atEnd), g.floats(rng, len(b), atEnd), g.floats(rng, len(d), atEnd)
			want := make([]float32, len(out))
			refConv(c, in, kernel, want)
			ConvForward(p, c, in, kernel, out)
			near(t, fmt.Sprintf("%+v", *c), out, want, 2e-5)
			wantKernel := make([]float32, len(kernel))
			refWeightGrad(c, in, out, wantKernel)
			ConvWeightGrad(p, c, in, out, kernel)
			near(t, fmt.Sprintf("weight %+v", *c), kernel, wantKernel, 1e-3)

			m, n, k := 1+rng.IntN(40), 1+rng.IntN(70), 1+rng.IntN(40)
			q := &Gemm{M: m, N: n, K: k, ARow: k, ACol: 1, BRow: n, BCol: 1, CRow: n}
			if rng.IntN(2) == 0 {
				q.ARow, q.ACol = 1, m
			}
			if rng.IntN(2) == 0 {
				q.BRow, q.BCol = 1, k
			}
			x, y, z := g.floats(rng, m*k, atEnd), g.floats(rng, k*n, atEnd), g.floats(rng, m*n, atEnd)
			wantC := make([]float32, m*n)
			refGemm(q, x, y, wantC)
			q.Run(p, x, y, z)
			near(t, fmt.Sprintf("%+v", *q), z, wantC, 1e-4)
		}
	})
}

// TestGuardedVectors runs the elementwise kernels between forbidden pages; TestBinary and its neighbors
// check the values.
func TestGuardedVectors(t *testing.T) {
	eachEdge(t, func(t *testing.T, g *guarded, atEnd bool) {
		rng := rand.New(rand.NewPCG(25, 26))
		for n := range 40 {
			dst, a, b := g.floats(rng, n, atEnd), g.floats(rng, n, atEnd), g.floats(rng, n, atEnd)
			mask := g.bools(n, atEnd)
			for op := Add; op <= Min; op++ {
				Binary(op, dst, a, b)
				BinaryScalar(op, dst, a, 1)
				ScalarBinary(op, dst, 1, b)
			}
			for op := Equal; op <= GreaterEqual; op++ {
				Compare(op, mask, a, b)
				CompareScalar(op, mask, a, 0)
			}
			for op := Neg; op <= Erf; op++ {
				Unary(op, dst, a)
			}
			MulAdd(dst, a, b, a)
			MulAddScalar(dst, a, 2, b)
			Select(dst, mask, a, b)
			SelectElse(dst, mask, a, 1)
			SelectScalar(dst, mask, 1, b)
			SelectScalars(dst, mask, 1, 2)
			sum, dot := 0.0, 0.0
			for i := range a {
				sum += float64(a[i])
				dot += float64(a[i]) * float64(b[i])
			}
			if d := Sum(a) - sum; d > 1e-4 || d < -1e-4 {
				t.Fatalf("sum of %d off by %g", n, d)
			}
			if d := Dot(a, b) - dot; d > 1e-4 || d < -1e-4 {
				t.Fatalf("dot product of %d off by %g", n, d)
			}
			_ = Largest(a)
			const rows = 3
			x, y := g.floats(rng, rows*n, atEnd), g.floats(rng, rows*n, atEnd)
			ColumnSums(dst, x, rows, n, false)
			ColumnDots(dst, x, y, rows, n, n, true)
			wide := g.floats(rng, rows*n, atEnd)
			bools := g.bools(rows*n, atEnd)
			grid := &Grid{Rows: rows, Cols: n, Dst: n, A: n, B: 0, C: n}
			BinaryRows(Mul, wide, x, b, grid)
			MulAddRows(wide, x, b, y, grid)
			CompareRows(Less, bools, x, b, grid)
			if n > 0 {
				each := &Grid{Rows: rows, Cols: n, Dst: n, A: n, B: 1}
				s := g.floats(rng, rows, atEnd)
				BinaryRowScalars(Sub, wide, x, s, each)
				CompareRowScalars(Less, bools, x, s, each)
				RowScalarsBinary(Sub, wide, s, x, &Grid{Rows: rows, Cols: n, Dst: n, A: 1, B: n})
			}
		}
	})
}

// TestGuardedPool2 runs pooling with every operand at a forbidden page.
func TestGuardedPool2(t *testing.T) {
	eachEdge(t, func(t *testing.T, g *guarded, atEnd bool) {
		rng := rand.New(rand.NewPCG(52, 53))
		for _, channels := range []int{1, 6, 8, 15, 16, 17, 33} {
			for windows := 1; windows < 4; windows++ {
				n := windows * channels
				f := func(n int) []float32 { return g.floats(rng, n, atEnd) }
				for _, op := range []BinaryOp{Max, Min} {
					Pool2(op, f(n), f(2*n), f(2*n), windows, channels)
					if !Pool2Grad(op, f(2*n), f(2*n), f(2*n), f(2*n), f(n), windows, channels) ||
						!Pool2Pick(op, f(n), f(2*n), f(2*n), f(2*n), f(2*n), windows, channels) {
						t.Fatal("NaN where there is none")
					}
				}
			}
		}
	})
}
