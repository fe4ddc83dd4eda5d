package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var special = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.MaxFloat32, -math.MaxFloat32, 0x1p-126, 2, 0.5, 88, -88,
}

// mixed draws numbers, now and then a special one.
func mixed(rng *rand.Rand, n int) []float32 {
	x := random(rng, n)
	for i := range x {
		if rng.IntN(4) == 0 {
			x[i] = special[rng.IntN(len(special))]
		}
	}
	return x
}

// exact fails unless got and want are the same numbers, signs of zeros included.
func exact(t testing.TB, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

func oracle(op BinaryOp, a, b float32) float32 {
	switch op {
	case Add:
		return a + b
	case Sub:
		return a - b
	case Mul:
		return a * b
	case Div:
		return a / b
	case Max:
		return max(a, b)
	case Min:
		return min(a, b)
	}
	slope := float32(1)
	if b < 0 {
		slope = 0
	} else if b != b {
		slope = b
	}
	return a * slope
}

func compareOracle(op CompareOp, a, b float32) bool {
	return []bool{a == b, a != b, a < b, a <= b, a > b, a >= b}[op]
}

func TestBinary(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for op := Add; op <= ReLUGrad; op++ {
			for n := range 70 {
				a, b := mixed(rng, n), mixed(rng, n)
				got, want := make([]float32, n), make([]float32, n)
				s := special[rng.IntN(len(special))]
				for i := range want {
					want[i] = oracle(op, a[i], b[i])
				}
				Binary(op, got, a, b)
				exact(t, fmt.Sprintf("op %d n %d", op, n), got, want)
				for i := range want {
					want[i] = oracle(op, a[i], s)
				}
				BinaryScalar(op, got, a, s)
				exact(t, fmt.Sprintf("op %d n %d scalar %g", op, n, s), got, want)
				for i := range want {
					want[i] = oracle(op, s, b[i])
				}
				ScalarBinary(op, b, s, b) // in place
				exact(t, fmt.Sprintf("scalar %g op %d n %d", s, op, n), b, want)
			}
		}
	})
}

func TestGrids(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		for range 500 {
			g := &Grid{Rows: rng.IntN(6), Cols: rng.IntN(40)}
			stride := func() int { return []int{0, g.Cols, g.Cols + 1 + rng.IntN(3)}[rng.IntN(3)] }
			g.Dst, g.A, g.B, g.C = g.Cols+rng.IntN(3), stride(), stride(), stride()
			size := 6 * 44
			a, b := mixed(rng, size), mixed(rng, size)
			dst := random(rng, size)
			each := func(f func(r, i int)) {
				for r := range g.Rows {
					for i := range g.Cols {
						f(r, i)
					}
				}
			}
			expect := func(what string, run func(dst []float32), at func(r, i int) float32) {
				t.Helper()
				got, want := append([]float32(nil), dst...), append([]float32(nil), dst...)
				run(got)
				each(func(r, i int) { want[r*g.Dst+i] = at(r, i) })
				exact(t, fmt.Sprintf("%s %+v", what, *g), got, want)
			}
			op := BinaryOp(rng.IntN(6))
			expect("VV", func(d []float32) { BinaryRows(op, d, a, b, g) },
				func(r, i int) float32 { return oracle(op, a[r*g.A+i], b[r*g.B+i]) })
			expect("VS", func(d []float32) { BinaryRowScalars(op, d, a, b, g) },
				func(r, i int) float32 { return oracle(op, a[r*g.A+i], b[r*g.B]) })
			expect("SV", func(d []float32) { RowScalarsBinary(op, d, a, b, g) },
				func(r, i int) float32 { return oracle(op, a[r*g.A], b[r*g.B+i]) })

			x, y, z := random(rng, size), random(rng, size), random(rng, size)
			got, want := append([]float32(nil), dst...), append([]float32(nil), dst...)
			MulAddRows(got, x, y, z, g)
			each(func(r, i int) { want[r*g.Dst+i] = x[r*g.A+i]*y[r*g.B+i] + z[r*g.C+i] })
			near(t, fmt.Sprintf("muladd %+v", *g), got, want, 1e-6)

			cmp := CompareOp(rng.IntN(6))
			for _, scalar := range []bool{false, true} {
				bools, expected := make([]bool, size), make([]bool, size)
				if scalar {
					CompareRowScalars(cmp, bools, a, b, g)
					each(func(r, i int) { expected[r*g.Dst+i] = compareOracle(cmp, a[r*g.A+i], b[r*g.B]) })
				} else {
					CompareRows(cmp, bools, a, b, g)
					each(func(r, i int) { expected[r*g.Dst+i] = compareOracle(cmp, a[r*g.A+i], b[r*g.B+i]) })
				}
				for i := range bools {
					if bools[i] != expected[i] {
						t.Fatalf("comparison %d, %+v: element %d is %v", cmp, *g, i, bools[i])
					}
				}
			}
		}
	})
}

func TestMulAddCompareSelect(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		for n := range 70 {
			a, b, c := random(rng, n), random(rng, n), random(rng, n)
			got, want := make([]float32, n), make([]float32, n)
			MulAdd(got, a, b, c)
			for i := range want {
				want[i] = a[i]*b[i] + c[i]
			}
			near(t, "muladd", got, want, 1e-6)
			MulAddScalar(got, a, -1.5, c)
			for i := range want {
				want[i] = a[i]*-1.5 + c[i]
			}
			near(t, "muladd scalar", got, want, 1e-6)
			mask := make([]bool, n)
			CompareScalar(Less, mask, a, 0.25)
			for i := range mask {
				if mask[i] != (a[i] < 0.25) {
					t.Fatalf("less: element %d of %d", i, n)
				}
			}
			a, b = mixed(rng, n), mixed(rng, n)
			Compare(NotEqual, mask, a, b)
			for i := range mask {
				if mask[i] != (a[i] != b[i]) {
					t.Fatalf("not equal: element %d of %d", i, n)
				}
			}
			for form, run := range []func(){
				func() { Select(got, mask, a, b) },
				func() { SelectElse(got, mask, a, 7) },
				func() { SelectScalar(got, mask, 9, b) },
				func() { SelectScalars(got, mask, 9, 7) },
			} {
				run()
				for i := range want {
					x, y := a[i], b[i]
					if form >= 2 {
						x = 9
					}
					if form%2 == 1 {
						y = 7
					}
					want[i] = y
					if mask[i] {
						want[i] = x
					}
				}
				exact(t, fmt.Sprintf("select form %d n %d", form, n), got, want)
			}
		}
	})
}

func TestReductions(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(9, 10))
		for _, n := range []int{0, 1, 7, 8, 9, 15, 16, 17, 31, 64, 65, 100, 4095, 4096, 4097, 10000} {
			x, y := random(rng, n), random(rng, n)
			sum, dot, largest := 0.0, 0.0, math.Inf(-1)
			for i := range x {
				sum += float64(x[i])
				dot += float64(x[i]) * float64(y[i])
				largest = math.Max(largest, float64(x[i]))
			}
			if got := Sum(x); math.Abs(got-sum) > 1e-6*float64(n+1) {
				t.Errorf("sum of %d is %g, want %g", n, got, sum)
			}
			if got := Dot(x, y); math.Abs(got-dot) > 1e-6*float64(n+1) {
				t.Errorf("dot product of %d is %g, want %g", n, got, dot)
			}
			if got := Largest(x); float64(got) != largest {
				t.Errorf("largest of %d is %g, want %g", n, got, largest)
			}
			for range min(n, 3) {
				i := rng.IntN(n)
				old := x[i]
				x[i] = float32(math.NaN())
				if got := Largest(x); got == got {
					t.Errorf("largest of %d with NaN at %d is %g", n, i, got)
				}
				x[i] = old
			}
			for i := range x { // negative numbers: lanes beyond the end must not win
				x[i] = -1 - x[i]*x[i]
			}
			if n > 0 && Largest(x) > -1 {
				t.Errorf("largest of %d negative numbers is %g", n, Largest(x))
			}
		}
		for range 300 {
			rows, cols, pad := rng.IntN(20), rng.IntN(150), rng.IntN(3)
			x, y := random(rng, rows*(cols+pad)), random(rng, rows*(cols+2*pad))
			sums, dots := random(rng, cols), random(rng, cols)
			add := rng.IntN(2) == 0
			wantSums, wantDots := make([]float32, cols), make([]float32, cols)
			for j := range cols {
				s, d := 0.0, 0.0
				if add {
					s, d = float64(sums[j]), float64(dots[j])
				}
				for r := range rows {
					s += float64(x[r*(cols+pad)+j])
					d += float64(x[r*(cols+pad)+j]) * float64(y[r*(cols+2*pad)+j])
				}
				wantSums[j], wantDots[j] = float32(s), float32(d)
			}
			ColumnSums(sums, x, rows, cols+pad, add)
			ColumnDots(dots, x, y, rows, cols+pad, cols+2*pad, add)
			near(t, "column sums", sums, wantSums, 1e-5)
			near(t, "column dots", dots, wantDots, 1e-5)
		}
	})
}

// TestUnary compares with float64 over all binades and at special values.
func TestUnary(t *testing.T) {
	cases := []struct {
		name string
		op   UnaryOp
		f    func(float64) float64
		tol  float64 // relative error, above the smallest normal number
	}{
		{"neg", Neg, func(x float64) float64 { return -x }, 0},
		{"abs", Abs, math.Abs, 0},
		{"sqrt", Sqrt, math.Sqrt, 6e-8},
		{"rsqrt", Rsqrt, func(x float64) float64 { return 1 / math.Sqrt(x) }, 2e-7},
		{"exp", Exp, math.Exp, 2e-7},
		{"log", Log, math.Log, 3e-7},
		{"tanh", Tanh, math.Tanh, 3e-7},
		{"logistic", Logistic, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 3e-7},
		{"erf", Erf, math.Erf, 3e-7},
		{"relu", ReLU, func(x float64) float64 { return max(x, 0) }, 0},
	}
	rng := rand.New(rand.NewPCG(11, 12))
	var x []float32
	for bits := uint64(0); bits < 1<<32; bits += 1 << 14 {
		x = append(x, math.Float32frombits(uint32(bits)+uint32(rng.IntN(1<<14))))
	}
	for range 1 << 17 { // where the functions bend
		x = append(x, float32(rng.NormFloat64()*4), float32(rng.NormFloat64()*40), 1+float32(rng.NormFloat64()*0.1))
	}
	x = append(x, special...)
	eachLevel(t, func(t *testing.T) {
		for _, c := range cases {
			got := make([]float32, len(x))
			Unary(c.op, got, x)
			worst, worstAt := 0.0, float32(0)
			for i, v := range x {
				want := c.f(float64(v))
				g := float64(got[i])
				switch {
				case math.IsNaN(want) || math.IsNaN(g):
					if math.IsNaN(want) != math.IsNaN(g) {
						t.Fatalf("%s(%g) = %g, want %g", c.name, v, g, want)
					}
				case math.IsInf(float64(float32(want)), 0) || math.IsInf(g, 0):
					if g != float64(float32(want)) && math.Abs(want) < math.MaxFloat32*(1-1e-6) {
						t.Fatalf("%s(%g) = %g, want %g", c.name, v, g, want)
					}
				default:
					e := math.Abs(g-want) / math.Max(math.Abs(want), 0x1p-126)
					if e > worst {
						worst, worstAt = e, v
					}
				}
				if v == 0 && want == 0 && math.Signbit(g) != math.Signbit(want) {
					t.Fatalf("%s(%g) = %g", c.name, v, g)
				}
			}
			t.Logf("%s: relative error at most %.2g, at %g", c.name, worst, worstAt)
			if worst > c.tol {
				t.Errorf("%s: relative error %.3g at %g", c.name, worst, worstAt)
			}
		}
	})
	eachLevel(t, func(t *testing.T) { // tails
		for _, c := range cases {
			for n := range 40 {
				in := random(rng, n+1)
				got := random(rng, n+1)
				last := got[n]
				Unary(c.op, got[:n], in)
				for i := range n {
					want := c.f(float64(in[i]))
					if e := math.Abs(float64(got[i])-want) / math.Max(math.Abs(want), 0x1p-126); e > 3e-7 {
						t.Fatalf("%s(%g) = %g, want %g", c.name, in[i], got[i], want)
					}
				}
				if got[n] != last {
					t.Fatalf("%s wrote beyond its %d elements", c.name, n)
				}
			}
		}
	})
}

// TestVectorAllocations keeps garbage out of the elementwise functions.
func TestVectorAllocations(t *testing.T) {
	x, mask := make([]float32, 100), make([]bool, 100)
	if n := testing.AllocsPerRun(100, func() {
		Binary(Add, x, x, x)
		BinaryScalar(Max, x, x, 0)
		ScalarBinary(Sub, x, 1, x)
		MulAddScalar(x, x, 2, x)
		CompareScalar(Less, mask, x, 1)
		SelectElse(x, mask, x, 0)
		SelectScalars(x, mask, 1, 0)
		Unary(Exp, x, x)
		_ = Sum(x) + Dot(x, x) + float64(Largest(x))
		ColumnSums(x[:10], x, 10, 10, false)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
