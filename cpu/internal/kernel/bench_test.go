package kernel

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// convCase is a layer of a real network.
type convCase struct {
	name                                 string
	batch, size, in, out, k, stride, pad int
}

var convCases = []convCase{
	{"vgg40/64-64", 32, 40, 64, 64, 3, 1, 1},
	{"cnn/conv1", 128, 28, 1, 32, 3, 1, 0},
	{"cnn/conv2", 128, 26, 32, 64, 3, 1, 0},
	{"resnet20/stem", 128, 32, 3, 16, 3, 1, 1},
	{"resnet20/16-16", 128, 32, 16, 16, 3, 1, 1},
	{"resnet20/16-32s2", 128, 32, 16, 32, 3, 2, 1},
	{"resnet20/1x1s2", 128, 32, 16, 32, 1, 2, 0},
	{"resnet20/32-32", 128, 16, 32, 32, 3, 1, 1},
	{"resnet20/64-64", 128, 8, 64, 64, 3, 1, 1},
	{"resnet9/5x5s2", 128, 32, 64, 128, 5, 2, 2},
	{"resnet9/128-128", 128, 16, 128, 128, 3, 1, 1},
	{"resnet9/256-256", 128, 8, 256, 256, 3, 1, 1},
	{"dncnn/1-64", 128, 40, 1, 64, 3, 1, 1},
	{"dncnn/64-1", 128, 40, 64, 1, 3, 1, 1},
}

func (x *convCase) conv() *Conv {
	out := (x.size+2*x.pad-x.k)/x.stride + 1
	return &Conv{
		Batch: x.batch, InHeight: x.size, InWidth: x.size, InChannels: x.in,
		OutHeight: out, OutWidth: out, OutChannels: x.out, KernelHeight: x.k, KernelWidth: x.k,
		StrideY: x.stride, StrideX: x.stride, PadTop: x.pad, PadLeft: x.pad,
	}
}

// flops counts a multiplication and an addition for every tap, those on padding included, as everyone does.
func (c *Conv) flops() float64 {
	return 2 * float64(c.Batch*c.OutHeight*c.OutWidth*c.OutChannels) * float64(c.KernelHeight*c.KernelWidth*c.InChannels)
}

func alignedRandom(rng *rand.Rand, n int) []float32 {
	x := aligned(n)
	copy(x, random(rng, n))
	return x
}

func BenchmarkConv(b *testing.B) {
	p := NewPool(runtime.GOMAXPROCS(0))
	defer p.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, x := range convCases {
		c := x.conv()
		in := alignedRandom(rng, c.Batch*c.InHeight*c.InWidth*c.InChannels)
		out := alignedRandom(rng, c.Batch*c.OutHeight*c.OutWidth*c.OutChannels)
		kernel := alignedRandom(rng, c.KernelHeight*c.KernelWidth*c.InChannels*c.OutChannels)
		for _, way := range []struct {
			name string
			f    func()
		}{
			{"forward", func() { ConvForward(p, c, in, kernel, out) }},
			{"data", func() { ConvForward(p, c.DataGrad(), out, kernel, in) }},
			{"weight", func() { ConvWeightGrad(p, c, in, out, kernel) }},
		} {
			b.Run(x.name+"/"+way.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					way.f()
				}
				b.ReportMetric(c.flops()*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

func BenchmarkGemm(b *testing.B) {
	p := NewPool(runtime.GOMAXPROCS(0))
	defer p.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, x := range [][3]int{
		{1024, 1024, 1024}, {128, 128, 9216}, {9216, 128, 128}, {128, 9216, 128}, {128, 10, 128}, {1, 1024, 1024},
		{1024, 1, 1024}, {51200, 64, 64},
	} {
		m, n, k := x[0], x[1], x[2]
		a, bb, c := alignedRandom(rng, m*k), alignedRandom(rng, k*n), alignedRandom(rng, m*n)
		for _, trans := range []string{"NN", "TN", "NT"} {
			g := &Gemm{M: m, N: n, K: k, ARow: k, ACol: 1, BRow: n, BCol: 1, CRow: n}
			if trans[0] == 'T' {
				g.ARow, g.ACol = 1, m
			}
			if trans[1] == 'T' {
				g.BRow, g.BCol = 1, k
			}
			b.Run(fmt.Sprintf("%dx%dx%d/%s", m, n, k, trans), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					g.Run(p, a, bb, c)
				}
				b.ReportMetric(2*float64(m*n)*float64(k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

// BenchmarkPeak runs a register tile out of the first level of cache on every thread: what the machine can do.
func BenchmarkPeak(b *testing.B) {
	p := NewPool(runtime.GOMAXPROCS(0))
	defer p.Close()
	s := tiles()
	v := min(2, s.maxVectors())
	rows := s.maxRows[v]
	const k, repeats = 128, 2000
	work := make([]*tile, p.Threads())
	for i := range work {
		x := &tile{runLen: k, tiles: 1, lanes: lanes, aRow: k, aCol: 1, bRow: v * lanes, cRow: v * lanes}
		x.aOff, x.bOff = []int{0}, []int{0}
		x.a, x.b, x.c = aligned(rows*k), aligned(k*x.bRow), aligned(rows*x.cRow)
		work[i] = x
	}
	for b.Loop() {
		p.Run(len(work), func(task, _ int) {
			for range repeats {
				s.run(work[task], rows, v)
			}
		})
	}
	b.ReportMetric(2*float64(rows*v*lanes*k*repeats*len(work))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// BenchmarkVector measures elementwise functions on one core, on data in the first level of cache (4 KiB an
// operand) and beyond all caches.
func BenchmarkVector(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1 << 10, 1 << 24} {
		x, y, z := alignedRandom(rng, n), alignedRandom(rng, n), aligned(n)
		mask := make([]bool, n)
		for _, f := range []struct {
			name string
			f    func()
		}{
			{"add", func() { Binary(Add, z, x, y) }},
			{"max", func() { Binary(Max, z, x, y) }},
			{"relu", func() { Unary(ReLU, z, x) }},
			{"relu gradient", func() { Binary(ReLUGrad, z, x, y) }},
			{"muladd", func() { MulAddScalar(z, x, 2, y) }},
			{"less", func() { Compare(Less, mask, x, y) }},
			{"select", func() { SelectElse(z, mask, x, 0) }},
			{"channels", func() { BinaryRows(Mul, z, x, y, &Grid{Rows: n / 64, Cols: 64, Dst: 64, A: 64}) }},
			{"sum", func() { _ = Sum(x) }},
			{"columns", func() { ColumnSums(z[:64], x, n/64, 64, false) }},
			{"columnDots", func() { ColumnDots(z[:64], x, y, n/64, 64, 64, false) }},
			{"rsqrt", func() { Unary(Rsqrt, z, x) }},
			{"exp", func() { Unary(Exp, z, x) }},
			{"log", func() { Unary(Log, z, x) }},
			{"tanh", func() { Unary(Tanh, z, x) }},
			{"logistic", func() { Unary(Logistic, z, x) }},
			{"erf", func() { Unary(Erf, z, x) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", f.name, n), func(b *testing.B) {
				for b.Loop() {
					f.f()
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelem/s")
			})
		}
	}
}
