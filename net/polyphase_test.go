package net

import (
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/cpu"
)

// TestConvolvePhases compares a convolution by its phases with the plain one, and so its gradients, in float64.
func TestConvolvePhases(t *testing.T) {
	backend, err := cpu.New("threads=1")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	const n, height, width, c, channels = 2, 8, 6, 16, 3
	w := window{size: 5, channels: channels, stride: 2, padding: 2}
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(dims ...int) *tensors.Tensor {
		flat := make([]float64, product(dims))
		for i := range flat {
			flat[i] = rng.NormFloat64()
		}
		return tensors.FromFlatDataAndDimensions(flat, dims...)
	}
	out, err := CallOnceN(backend, func(in []*Node) []*Node {
		x, kernel, upstream := in[0], in[1], in[2]
		var outputs []*Node
		for _, y := range []*Node{
			Convolve(x, kernel).Strides(2).PaddingPerDim([][2]int{{2, 2}, {2, 2}}).Done(),
			w.convolve(x, kernel),
		} {
			outputs = append(outputs, y)
			outputs = append(outputs, Gradient(ReduceAllSum(Mul(y, upstream)), x, kernel)...)
		}
		return outputs
	}, draw(n, height, width, c), draw(5, 5, c, channels), draw(n, height/2, width/2, channels))
	if err != nil {
		t.Fatal(err)
	}
	for i, what := range []string{"output", "gradient by the input", "gradient by the kernel"} {
		want, got := tensors.MustCopyFlatData[float64](out[i]), tensors.MustCopyFlatData[float64](out[i+3])
		if floats.Norm(want, 2) == 0 || !floats.EqualApprox(got, want, 1e-12) {
			t.Errorf("%s differs: %v, want %v", what, got[:4], want[:4])
		}
	}
}

// TestHasPhases: only what convolvePhases computes, and only where Winograd's way pays for it.
func TestHasPhases(t *testing.T) {
	for _, tt := range []struct {
		w                       window
		height, width, channels int
		want                    bool
	}{
		{window{size: 5, stride: 2, padding: 2}, 32, 32, 64, true},
		{window{size: 5, stride: 2, padding: 2}, 31, 32, 64, false},
		{window{size: 5, stride: 2, padding: 2}, 32, 31, 64, false},
		{window{size: 5, stride: 2, padding: 2}, 32, 32, 3, false},
		{window{size: 5, stride: 1, padding: 2}, 32, 32, 64, false},
		{window{size: 5, stride: 2}, 32, 32, 64, false},
		{window{size: 3, stride: 2, padding: 1}, 32, 32, 64, false},
	} {
		if got := tt.w.hasPhases(tt.height, tt.width, tt.channels); got != tt.want {
			t.Errorf("%+v of %dx%dx%d: %v", tt.w, tt.height, tt.width, tt.channels, got)
		}
	}
}
