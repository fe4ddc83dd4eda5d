package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// winogradBound is the documented bound of the error, relative to the largest output.
const winogradBound = 1e-4

// randomWinograd draws a convolution that Winograd can do, most often with tiles at every edge.
func randomWinograd(rng *rand.Rand) *Conv {
	c := randomConv(rng, false)
	c.KernelHeight, c.KernelWidth, c.StrideY, c.StrideX, c.DilationY, c.DilationX = 3, 3, 1, 1, 1, 1
	c.InDilationY, c.InDilationX = 1, 1
	// More channels than taps for the narrow way.
	c.OutChannels, c.InChannels = 10+rng.IntN(60), max(1, c.InChannels)
	if rng.IntN(3) == 0 {
		c.InChannels += 16 * rng.IntN(3)
	}
	if c.InPitch+c.OutPitch > 0 {
		c.InPitch, c.OutPitch = c.InChannels+rng.IntN(3), c.OutChannels+rng.IntN(3)
	}
	ci, co := c.InChannels, c.OutChannels
	switch rng.IntN(3) {
	case 0: // reversed and transposed
		c.Kernel = KernelLayout{Offset: 8 * ci * co, Y: -3 * ci * co, X: -ci * co, In: 1, Out: ci}
	case 1: // channels first
		c.Kernel = KernelLayout{Y: 3, X: 1, In: 9, Out: 9 * ci}
	default:
		c.Kernel = KernelLayout{}
	}
	if rng.IntN(4) > 0 { // an ordinary layer
		c.PadTop, c.PadLeft = rng.IntN(3), rng.IntN(3)
		c.OutHeight, c.OutWidth = max(1, c.InHeight+c.PadTop-rng.IntN(3)), max(1, c.InWidth+c.PadLeft-rng.IntN(3))
	}
	return c
}

// relative returns the largest difference over the largest |want|.
func relative(got, want []float32) float64 {
	diff, size := 0.0, 0.0
	for i := range got {
		diff = max(diff, math.Abs(float64(got[i])-float64(want[i])))
		size = max(size, math.Abs(float64(want[i])))
	}
	if diff == 0 {
		return 0
	}
	return diff / size
}

// TestWinograd compares random Winograd convolutions with the definition and the direct kernel, and 1 with 3
// threads, at every level. Random shapes and pitches must leave everything between the pixels alone.
func TestWinograd(t *testing.T) {
	p1, p3 := NewPool(1), NewPool(3)
	defer p1.Close()
	defer p3.Close()
	defer setWinogradMode(setWinogradMode(winogradAll))
	eachLevel(t, func(t *testing.T) {
		taken := 0
		for seed := range uint64(200) {
			rng := rand.New(rand.NewPCG(seed, 31))
			c := randomWinograd(rng)
			what := fmt.Sprintf("seed %d %+v", seed, *c)
			in, kernel, out := c.operands(rng)
			want, direct, again := slices.Clone(out), slices.Clone(out), slices.Clone(out)
			refConv(c, in, kernel, want)
			ConvForward(p1, c, in, kernel, out)
			ConvForward(p3, c, in, kernel, again)
			same(t, what, again, out)
			setWinogradMode(winogradOff)
			ConvForward(p1, c, in, kernel, direct)
			setWinogradMode(winogradAll)
			if e := relative(out, want); !(e <= winogradBound) {
				t.Fatalf("%s: error of %g of the largest output", what, e)
			}
			if e := relative(out, direct); !(e <= winogradBound) {
				t.Fatalf("%s: differs from the direct kernel by %g of the largest output", what, e)
			}
			between := max(c.OutPitch, c.OutChannels)
			for i := range out {
				if i%between >= c.OutChannels && out[i] != want[i] {
					t.Fatalf("%s: wrote between pixels at %d", what, i)
				}
			}
			d := c.normal()
			if d.Batch*d.OutHeight*d.OutWidth > 0 && d.forwardPlan().winograd != nil {
				taken++
			}
		}
		if taken < 100 {
			t.Errorf("only %d of 200 convolutions went the Winograd way", taken)
		}
	})
}

// TestWinogradWeightGrad does the same for weight gradients.
func TestWinogradWeightGrad(t *testing.T) {
	p1, p3 := NewPool(1), NewPool(3)
	defer p1.Close()
	defer p3.Close()
	defer setWinogradMode(setWinogradMode(winogradAll))
	eachLevel(t, func(t *testing.T) {
		taken := 0
		for seed := range uint64(200) {
			rng := rand.New(rand.NewPCG(seed, 32))
			c := randomWinograd(rng)
			what := fmt.Sprintf("seed %d %+v", seed, *c)
			in, dkernel, dout := c.operands(rng)
			want, direct, again := slices.Clone(dkernel), slices.Clone(dkernel), slices.Clone(dkernel)
			refWeightGrad(c, in, dout, want)
			ConvWeightGrad(p1, c, in, dout, dkernel)
			ConvWeightGrad(p3, c, in, dout, again)
			same(t, what, again, dkernel)
			setWinogradMode(winogradOff)
			ConvWeightGrad(p1, c, in, dout, direct)
			setWinogradMode(winogradAll)
			if e := relative(dkernel, want); !(e <= winogradBound) {
				t.Fatalf("%s: error of %g of the largest element", what, e)
			}
			if e := relative(dkernel, direct); !(e <= winogradBound) {
				t.Fatalf("%s: differs from the direct kernel by %g of the largest element", what, e)
			}
			d := c.normal()
			if d.weightPlan().winograd != nil {
				taken++
			}
		}
		if taken < 100 {
			t.Errorf("only %d of 200 gradients went the Winograd way", taken)
		}
	})
}

// TestWinogradAccuracy measures the error on layers of real size. F(4x4, 3x3) at float32 stays five times below the
// documented bound.
func TestWinogradAccuracy(t *testing.T) {
	if DetectedLevel() == Portable {
		t.Skip("no assembly: too slow for layers of real size")
	}
	p := NewPool(2)
	defer p.Close()
	defer setWinogradMode(setWinogradMode(winogradAll))
	rng := rand.New(rand.NewPCG(33, 34))
	for _, x := range []convCase{
		{"32", 2, 16, 32, 32, 3, 1, 1}, {"64", 2, 16, 64, 64, 3, 1, 1}, {"256", 8, 8, 256, 256, 3, 1, 1},
	} {
		c := x.conv()
		in, kernel, out := c.operands(rng)
		for i := range in { // as after a ReLU
			in[i] = max(0, in[i])
		}
		for name, d := range map[string]*Conv{"forward": c, "data": c.DataGrad()} {
			direct := slices.Clone(out)
			setWinogradMode(winogradOff)
			ConvForward(p, d, in, kernel, direct)
			setWinogradMode(winogradAll)
			ConvForward(p, d, in, kernel, out)
			e := relative(out, direct)
			t.Logf("%s channels %s: %.2g of the largest output", x.name, name, e)
			if !(e > 0 && e <= winogradBound/5) {
				t.Errorf("%s channels %s: differs from the direct kernel by %g of the largest output", x.name, name, e)
			}
		}
		setWinogradMode(winogradOff)
		direct := slices.Clone(kernel)
		ConvWeightGrad(p, c, in, out, direct)
		setWinogradMode(winogradAll)
		ConvWeightGrad(p, c, in, out, kernel)
		e := relative(kernel, direct)
		t.Logf("%s channels weight gradient: %.2g of the largest element", x.name, e)
		if !(e > 0 && e <= winogradBound/5) {
			t.Errorf("%s channels weight gradient: differs from the direct kernel by %g of the largest element", x.name, e)
		}
	}
}

// TestWinogradChoice: the cost rule takes big layers and leaves the others, and the switch is obeyed.
func TestWinogradChoice(t *testing.T) {
	if DetectedLevel() == Portable {
		t.Skip("no assembly, nothing to choose")
	}
	defer SetLevel(CurrentLevel())
	defer setWinogradMode(setWinogradMode(winogradAuto))
	for l := AVX2; l <= DetectedLevel(); l++ {
		SetLevel(l)
		t.Run(l.String(), testWinogradChoice)
	}
	SetLevel(Portable)
	c := (&convCase{"64", 128, 40, 64, 64, 3, 1, 1}).conv().normal()
	if c.forwardPlan().winograd != nil {
		t.Error("Winograd in portable code")
	}
}

func testWinogradChoice(t *testing.T) {
	strided := convCase{"strided", 128, 32, 64, 64, 3, 2, 1}
	for _, x := range []struct {
		convCase
		want bool
	}{
		{convCase{"64", 128, 40, 64, 64, 3, 1, 1}, true},
		{convCase{"256", 128, 8, 256, 256, 3, 1, 1}, true},
		{convCase{"32", 128, 16, 32, 32, 3, 1, 1}, true},
		{convCase{"valid", 128, 26, 32, 64, 3, 1, 0}, true},
		{convCase{"first layer", 128, 28, 1, 32, 3, 1, 1}, false},
		{convCase{"last layer", 128, 28, 64, 1, 3, 1, 1}, false},
		{convCase{"more kernel than image", 1, 4, 512, 512, 3, 1, 1}, false},
		{convCase{"one pixel", 128, 3, 64, 64, 3, 1, 0}, false},
		{convCase{"5x5", 128, 16, 64, 64, 5, 1, 2}, false},
		{strided, false},
	} {
		c := x.conv().normal()
		if got := c.forwardPlan().winograd != nil; got != x.want {
			t.Errorf("%s: Winograd %v, want %v", x.name, got, x.want)
		}
	}
	c := (&convCase{"64", 128, 40, 64, 64, 3, 1, 1}).conv().normal()
	narrow := (&convCase{"16", 128, 32, 16, 16, 3, 1, 1}).conv().normal()
	first := (&convCase{"first layer", 128, 32, 3, 16, 3, 1, 1}).conv().normal()
	if c.weightPlan().winograd == nil || narrow.weightPlan().winograd == nil || first.weightPlan().winograd != nil {
		t.Error("Winograd for the weight gradient of 3 channels, or not for that of 16 or 64")
	}
	if !SetWinograd(false) {
		t.Error("was allowed, SetWinograd says it was not")
	}
	if c.forwardPlan().winograd != nil || c.weightPlan().winograd != nil {
		t.Error("Winograd while forbidden")
	}
	if SetWinograd(true) {
		t.Error("was forbidden, SetWinograd says it was not")
	}
}

// TestWinogradAllocations: no garbage once scratch exists.
func TestWinogradAllocations(t *testing.T) {
	defer setWinogradMode(setWinogradMode(winogradAll))
	rng := rand.New(rand.NewPCG(35, 36))
	c := (&convCase{"", 8, 9, 24, 40, 3, 1, 1}).conv()
	in, kernel, out := c.operands(rng)
	for _, threads := range []int{1, 2} {
		p := NewPool(threads)
		call := func() {
			ConvForward(p, c, in, kernel, out)
			ConvWeightGrad(p, c, in, out, kernel)
		}
		for range 20 {
			call()
		}
		if n := testing.AllocsPerRun(50, call); n >= 1 {
			t.Errorf("%v allocations a call at %d threads", n, threads)
		}
		p.Close()
	}
}

// TestWinogradTransforms compares the assembly with its twin on whole numbers.
func TestWinogradTransforms(t *testing.T) {
	if DetectedLevel() == Portable {
		t.Skip("no assembly")
	}
	defer SetLevel(CurrentLevel())
	rng := rand.New(rand.NewPCG(37, 38))
	whole := func(n, scale int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(scale * (rng.IntN(21) - 10))
		}
		return x
	}
	for channels := 1; channels <= 50; channels++ {
		vectors := (channels + lanes - 1) / lanes
		last := channels - (vectors-1)*lanes
		pixel, padded := channels+rng.IntN(3), vectors*lanes
		row, matrix := 7*pixel, padded+rng.IntN(20)
		tile, cells, taps := whole(6*row, 1), whole(36*matrix, 1), whole(9*matrix, 24*24)
		rows, columns := edges(rng), edges(rng)
		var got [AVX512 + 1][6][]float32
		for l := Portable; l <= DetectedLevel(); l++ {
			SetLevel(l)
			a, b, d := make([]float32, 36*matrix), make([]float32, 36*matrix), make([]float32, 6*row)
			winogradInput(a, make([]float32, 36*lanes), tile, 0, matrix, row, pixel, vectors, last, 63, 63)
			edge := make([]float32, 36*matrix)
			winogradInput(edge, make([]float32, 36*lanes), tile, 0, matrix, row, pixel, vectors, last, rows, columns)
			winogradKernel(b, taps, matrix, matrix, vectors, last)
			winogradOutput(d, cells, matrix, row, pixel, vectors, last)
			spread, back := make([]float32, 36*matrix), make([]float32, 9*matrix)
			winogradSpread(spread, tile, matrix, row, pixel, vectors, last)
			winogradTaps(back, cells, matrix, matrix, vectors, last)
			got[l] = [6][]float32{a, b, d, spread, back, edge}
		}
		for l := AVX2; l <= DetectedLevel(); l++ {
			for k, name := range []string{"input", "kernel", "output", "gradient", "taps", "input at an edge"} {
				near(t, fmt.Sprintf("%v: %s of %d channels", l, name, channels), got[l][k], got[Portable][k], 1e-5)
			}
		}
	}
}

// edges returns which rows or columns of a tile are inside of an image: some that follow each other, or none.
func edges(rng *rand.Rand) uint {
	first := rng.IntN(winogradTile)
	return inside(-first, rng.IntN(winogradTile))
}

// TestInside compares with the definition.
func TestInside(t *testing.T) {
	for first := -9; first < 9; first++ {
		for size := range 12 {
			want := uint(0)
			for k := range winogradTile {
				if at := first + k; at >= 0 && at < size {
					want |= 1 << k
				}
			}
			if got := inside(first, size); got != want {
				t.Errorf("inside(%d, %d) is %06b, want %06b", first, size, got, want)
			}
		}
	}
}
