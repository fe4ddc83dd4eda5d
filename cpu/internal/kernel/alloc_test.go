package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestDriverAllocations: once their plans and scratch exist, the drivers make no garbage.
func TestDriverAllocations(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	c := &Conv{
		Batch: 4, InHeight: 10, InWidth: 12, InChannels: 8, OutHeight: 10, OutWidth: 12, OutChannels: 20,
		KernelHeight: 3, KernelWidth: 3, PadTop: 1, PadLeft: 1,
	}
	narrow := *c
	narrow.InChannels, narrow.OutChannels = 20, 1
	g := &Gemm{M: 40, N: 50, K: 4000, ARow: 4000, ACol: 1, BRow: 50, BCol: 1, CRow: 50}
	in, kernel, out := narrow.operands(rng)
	_, kernel2, out2 := c.operands(rng)
	a, b, d := random(rng, g.M*g.K), random(rng, g.K*g.N), random(rng, g.M*g.N)
	for _, threads := range []int{1, 2} {
		p := NewPool(threads)
		for _, x := range []struct {
			name string
			f    func()
		}{
			{"forward", func() { ConvForward(p, c, in, kernel2, out2) }},
			{"narrow", func() { ConvForward(p, &narrow, in, kernel, out) }},
			{"weight", func() { ConvWeightGrad(p, c, in, out2, kernel2) }},
			{"product", func() { g.Run(p, a, b, d) }},
		} {
			for range 20 { // each worker's scratch grows to what it needs
				x.f()
			}
			if n := testing.AllocsPerRun(50, x.f); n >= 1 {
				t.Errorf("%s at %d threads: %v allocations a call", x.name, threads, n)
			}
		}
		p.Close()
	}
}

// TestPlans: one plan serves repeated calls, and another level gets its own.
func TestPlans(t *testing.T) {
	rng := rand.New(rand.NewPCG(43, 44))
	p := NewPool(1)
	defer p.Close()
	c := randomConv(rng, false)
	in, kernel, out := c.operands(rng)
	ConvForward(p, c, in, kernel, out)
	ConvForward(p, c, in, kernel, out)
	if n := len(p.plans.forward); n != 1 {
		t.Errorf("%d plans, want 1", n)
	}
	if DetectedLevel() == Portable {
		return
	}
	defer SetLevel(SetLevel(Portable))
	ConvForward(p, c, in, kernel, out)
	if n := len(p.plans.forward); n != 2 {
		t.Errorf("%d plans at two levels, want 2", n)
	}
}

func TestLevel(t *testing.T) {
	before := CurrentLevel()
	if old := SetLevel(Portable); old != before {
		t.Errorf("SetLevel returned %v, was %v", old, before)
	}
	if CurrentLevel() != Portable || tiles() != &portableTiles {
		t.Errorf("level %v with other kernels", CurrentLevel())
	}
	SetLevel(AVX512 + 1)
	if CurrentLevel() != DetectedLevel() {
		t.Errorf("level %v, machine has %v", CurrentLevel(), DetectedLevel())
	}
	SetLevel(before)
}

// TestMisuse: short slices and negative sizes panic before anything is read.
func TestMisuse(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	c := &Conv{Batch: 1, InHeight: 4, InWidth: 4, InChannels: 2, OutHeight: 4, OutWidth: 4, OutChannels: 3, KernelHeight: 1, KernelWidth: 1}
	in, kernel, out := make([]float32, 32), make([]float32, 6), make([]float32, 48)
	negative := *c
	negative.Batch = -1
	dilated := *c
	dilated.InDilationY = 2
	outside := *c
	outside.Kernel = KernelLayout{In: -1, Out: 1}
	x := make([]float32, 8)
	for name, f := range map[string]func(){
		"short input":        func() { ConvForward(p, c, in[:31], kernel, out) },
		"short kernel":       func() { ConvForward(p, c, in, kernel[:5], out) },
		"short output":       func() { ConvForward(p, c, in, kernel, out[:47]) },
		"kernel layout":      func() { ConvForward(p, &outside, in, kernel, out) },
		"negative batch":     func() { ConvForward(p, &negative, in, kernel, out) },
		"short gradient":     func() { ConvWeightGrad(p, c, in, out[:47], kernel) },
		"dilated gradient":   func() { ConvWeightGrad(p, &dilated, in, out, kernel) },
		"short A":            func() { (&Gemm{M: 2, N: 2, K: 5, ARow: 5, ACol: 1, BRow: 2, BCol: 1, CRow: 2}).Run(p, x, in, out) },
		"short C":            func() { (&Gemm{M: 3, N: 3, K: 2, ARow: 2, ACol: 1, BRow: 3, BCol: 1, CRow: 3}).Run(p, x, in, x) },
		"short operand":      func() { Binary(Add, x, x[:7], x) },
		"short mask":         func() { Select(x, make([]bool, 7), x, x) },
		"short unary":        func() { Unary(Exp, x, x[:7]) },
		"short grid":         func() { BinaryRows(Add, x, x, x, &Grid{Rows: 3, Cols: 3, Dst: 3}) },
		"short column sums":  func() { ColumnSums(x[:3], x, 3, 3, false) },
		"short dot product":  func() { Dot(x, x[:7]) },
		"short column dots":  func() { ColumnDots(x[:2], x, x[:3], 2, 2, 2, false) },
		"negative grid step": func() { BinaryRows(Add, x, x, x, &Grid{Rows: 2, Cols: 3, Dst: -3}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
