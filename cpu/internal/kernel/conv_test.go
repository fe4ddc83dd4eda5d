package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomConv draws a small convolution with everything that can differ.
func randomConv(rng *rand.Rand, inDilation bool) *Conv {
	size := func(most int) int { return 1 + rng.IntN(most) }
	c := &Conv{
		Batch: size(4), InHeight: size(12), InWidth: size(20), InChannels: size(6), OutChannels: size(40),
		KernelHeight: size(4), KernelWidth: size(4), StrideY: size(3), StrideX: size(3),
		PadTop: rng.IntN(5) - 1, PadLeft: rng.IntN(5) - 1, DilationY: size(2), DilationX: size(2),
		OutHeight: size(12), OutWidth: size(24), InDilationY: 1, InDilationX: 1,
	}
	if inDilation && rng.IntN(2) == 0 {
		c.InDilationY, c.InDilationX = size(3), size(3)
	}
	switch rng.IntN(8) {
	case 0:
		c.InChannels = 16 + rng.IntN(40)
	case 1:
		c.Batch = 0
	case 2:
		c.OutChannels = 16 * size(5)
	case 3:
		c.OutChannels = 1
	case 4:
		c.InChannels = 1
	}
	switch rng.IntN(12) {
	case 0:
		c.OutHeight = 0
	case 1:
		c.InHeight = 0
	case 2:
		c.InChannels = 0
	case 3:
		c.OutWidth = 0
	}
	if rng.IntN(3) == 0 {
		c.InPitch, c.OutPitch = c.InChannels+rng.IntN(3), c.OutChannels+rng.IntN(3)
	}
	ky, kx, ci, co := c.KernelHeight, c.KernelWidth, c.InChannels, c.OutChannels
	switch rng.IntN(4) {
	case 0: // reversed and transposed
		c.Kernel = KernelLayout{Offset: (ky*kx - 1) * ci * co, Y: -kx * ci * co, X: -ci * co, In: 1, Out: ci}
	case 1: // channels first
		c.Kernel = KernelLayout{Y: kx, X: 1, In: ky * kx, Out: ky * kx * ci}
	}
	return c
}

func (c *Conv) operands(rng *rand.Rand) (in, kernel, out []float32) {
	return random(rng, c.Batch*c.InHeight*c.InWidth*max(c.InPitch, c.InChannels)),
		random(rng, c.KernelHeight*c.KernelWidth*c.InChannels*c.OutChannels),
		random(rng, c.Batch*c.OutHeight*c.OutWidth*max(c.OutPitch, c.OutChannels))
}

// TestConvForward compares random convolutions with their definition, at 1 and 3 threads.
func TestConvForward(t *testing.T) {
	p1, p3 := NewPool(1), NewPool(3)
	defer p1.Close()
	defer p3.Close()
	eachLevel(t, func(t *testing.T) {
		for seed := range uint64(400) {
			rng := rand.New(rand.NewPCG(seed, 7))
			c := randomConv(rng, true)
			in, kernel, out := c.operands(rng)
			want := slices.Clone(out)
			refConv(c, in, kernel, want)
			again := slices.Clone(out)
			ConvForward(p1, c, in, kernel, out)
			what := fmt.Sprintf("seed %d %+v", seed, *c)
			near(t, what, out, want, 2e-5)
			ConvForward(p3, c, in, kernel, again)
			same(t, what, again, out)
		}
	})
}

// TestConvWeightGrad compares random weight gradients with their definition, at 1 and 3 threads.
func TestConvWeightGrad(t *testing.T) {
	p1, p3 := NewPool(1), NewPool(3)
	defer p1.Close()
	defer p3.Close()
	eachLevel(t, func(t *testing.T) {
		for seed := range uint64(400) {
			rng := rand.New(rand.NewPCG(seed, 8))
			c := randomConv(rng, false)
			in, dkernel, dout := c.operands(rng)
			want := slices.Clone(dkernel)
			refWeightGrad(c, in, dout, want)
			again := slices.Clone(dkernel)
			ConvWeightGrad(p1, c, in, dout, dkernel)
			what := fmt.Sprintf("seed %d %+v", seed, *c)
			near(t, what, dkernel, want, 1e-4)
			ConvWeightGrad(p3, c, in, dout, again)
			same(t, what, again, dkernel)
		}
	})
}

// same fails unless got and want have the same bits.
func same(t testing.TB, what string, got, want []float32) {
	t.Helper()
	for i := range got {
		if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: element %d differs between thread counts: %g and %g", what, i, got[i], want[i])
		}
	}
}

// TestConvDataGrad checks the adjoint: <conv(x), y> = <x, conv.DataGrad(y)>.
func TestConvDataGrad(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 11))
		c := randomConv(rng, true)
		in, kernel, out := c.operands(rng)
		clear(out)
		ConvForward(p, c, in, kernel, out)
		dout, din := slices.Clone(out), make([]float32, len(in))
		for i := range dout {
			dout[i] = float32(rng.NormFloat64())
		}
		ConvForward(p, c.DataGrad(), dout, kernel, din)
		left, right, scale := 0.0, 0.0, 1.0
		for i, y := range out {
			left += float64(y) * float64(dout[i])
			scale += math.Abs(float64(y) * float64(dout[i]))
		}
		for i, x := range in {
			right += float64(x) * float64(din[i])
		}
		if math.Abs(left-right) > 1e-5*scale {
			t.Fatalf("seed %d: <conv x, y> = %g, <x, conv' y> = %g for %+v", seed, left, right, *c)
		}
	}
}
