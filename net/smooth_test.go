package net

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
)

// layers runs what describe adds on x of the given dimensions, batch first.
func layers(t *testing.T, describe func(b *builder), x []float32, dims ...int) *tensors.Tensor {
	t.Helper()
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	b := &builder{dims: slices.Clone(dims[1:])}
	if describe(b); b.err != nil {
		t.Fatal(b.err)
	}
	out, err := CallOnce(backend, func(x *Node) *Node { return b.forward()(&Pass{}, x) }, tensors.FromFlatDataAndDimensions(x, dims...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGELU(t *testing.T) {
	x := []float32{-8, -3, -1, -0.5, 0, 0.1, 0.75, 1, 2, 6}
	got := tensors.MustCopyFlatData[float32](layers(t, func(b *builder) { b.gelu() }, x, 1, 2, 5, 1))
	for k, v := range x {
		want := float64(v) * math.Erfc(-float64(v)/math.Sqrt2) / 2
		if math.Abs(float64(got[k])-want) > 2e-6 {
			t.Errorf("gelu(%v) is %v, want %v", v, got[k], want)
		}
	}
}

// The last row and column of 5x7 do not fill a window.
func TestMeanPool(t *testing.T) {
	const batch, height, width, channels = 2, 5, 7, 3
	x := make([]float32, batch*height*width*channels)
	for i := range x {
		x[i] = float32(i*i%31) - 11
	}
	out := layers(t, func(b *builder) { b.meanPool(2) }, x, batch, height, width, channels)
	if want := []int{batch, 2, 3, channels}; !slices.Equal(out.Shape().Dimensions, want) {
		t.Fatalf("shape %v, want %v", out.Shape().Dimensions, want)
	}
	got := tensors.MustCopyFlatData[float32](out)
	at := func(n, i, j, c int) float32 { return x[((n*height+i)*width+j)*channels+c] }
	k := 0
	for n := range batch {
		for i := range 2 {
			for j := range 3 {
				for c := range channels {
					want := (at(n, 2*i, 2*j, c) + at(n, 2*i, 2*j+1, c) + at(n, 2*i+1, 2*j, c) + at(n, 2*i+1, 2*j+1, c)) / 4
					if math.Abs(float64(got[k]-want)) > 1e-5 {
						t.Errorf("mean %d,%d,%d,%d is %v, want %v", n, i, j, c, got[k], want)
					}
					k++
				}
			}
		}
	}
}
