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

// TestActivations compares the functions and their derivatives with float64.
func TestActivations(t *testing.T) {
	logistic := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	x := []float32{-200, -30, -8, -3, -1, -0.5, 0, 0.1, 0.75, 1, 2, 6, 19.9, 20.1, 90, 200}
	for name, f := range map[string]struct{ value, slope func(x float64) float64 }{
		"relu": {func(x float64) float64 { return max(x, 0) }, func(x float64) float64 {
			if x < 0 {
				return 0
			}
			return 1
		}},
		"gelu": {func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 }, func(x float64) float64 {
			return math.Erfc(-x/math.Sqrt2)/2 + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
		}},
		"silu":     {func(x float64) float64 { return x * logistic(x) }, func(x float64) float64 { return logistic(x) * (1 + x*logistic(-x)) }},
		"softplus": {func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }, logistic},
		"tanh":     {math.Tanh, func(x float64) float64 { return 1 - math.Tanh(x)*math.Tanh(x) }},
	} {
		got := tensors.MustCopyFlatData[float32](layers(t, func(b *builder) { b.variant.activation = name; b.activate() }, x, 1, 2, 8, 1))
		b := &builder{dims: []int{2, 8, 1}, variant: variant{activation: name}}
		b.activate()
		backend, err := cpu.New("")
		if err != nil {
			t.Fatal(err)
		}
		slopes, err := CallOnce(backend, func(x *Node) *Node {
			return Gradient(ReduceAllSum(b.forward()(&Pass{}, x)), x)[0]
		}, tensors.FromFlatDataAndDimensions(x, 1, 2, 8, 1))
		if err != nil {
			t.Fatal(err)
		}
		slope := tensors.MustCopyFlatData[float32](slopes)
		backend.Finalize()
		for k, v := range x {
			if want := f.value(float64(v)); math.Abs(float64(got[k])-want) > 2e-6*max(1, math.Abs(want)) {
				t.Errorf("%s(%v) is %v, want %v", name, v, got[k], want)
			}
			if want := f.slope(float64(v)); !(math.Abs(float64(slope[k])-want) <= 1e-5) {
				t.Errorf("the slope of %s at %v is %v, want %v", name, v, slope[k], want)
			}
		}
	}
}

func TestVariant(t *testing.T) {
	for name, want := range map[string]string{
		Variant("cnn", "gelu", "avg"): "cnn-smooth", Variant("cnn", "", ""): "cnn", Variant("lenet5-smooth", "tanh", ""): "lenet5+tanh+avg",
		Variant("cnn+gelu", "gelu", ""): "cnn+gelu", Variant("cnn+tanh+avg", "relu", "max"): "cnn", Variant("vgg", "gelu", ""): "vgg+gelu",
	} {
		if name != want {
			t.Errorf("%s, want %s", name, want)
		}
	}
	for name, want := range map[string]variant{
		"cnn": {"relu", false}, "cnn-smooth": {"gelu", true}, "cnn+gelu+avg": {"gelu", true}, "cnn-smooth+tanh": {"tanh", true},
		"resnet9+silu": {"silu", false}, "cnn-smooth+max+relu": {"relu", false},
	} {
		if _, v, err := parse(name); err != nil || v != want {
			t.Errorf("%s is %+v (%v), want %+v", name, v, err, want)
		}
	}
	if err := Check("dncnn-s+gelu", true); err == nil {
		t.Error("a denoiser passes for a classifier")
	}
	if err := Check("dncnn-s+gelu", false); err != nil {
		t.Error(err)
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

// Windows of 3x3 at every second pixel, one pixel of padding: at an edge, maximum and mean are over the pixels there are.
func TestPoolOver(t *testing.T) {
	const batch, height, width, channels = 2, 5, 8, 3
	x := make([]float32, batch*height*width*channels)
	for i := range x {
		x[i] = float32(i*i%31) - 40 // below zero, so that padding with zeros would show
	}
	for _, mean := range []bool{false, true} {
		out := layers(t, func(b *builder) { b.variant.meanPool = mean; b.poolOver(3, 2, 1) }, x, batch, height, width, channels)
		if want := []int{batch, 3, 4, channels}; !slices.Equal(out.Shape().Dimensions, want) {
			t.Fatalf("shape %v, want %v", out.Shape().Dimensions, want)
		}
		for k, got := range tensors.MustCopyFlatData[float32](out) {
			c, column, row, n := k%channels, k/channels%4, k/channels/4%3, k/channels/12
			sum, count, largest := 0.0, 0.0, math.Inf(-1)
			for i := max(0, 2*row-1); i <= min(height-1, 2*row+1); i++ {
				for j := max(0, 2*column-1); j <= min(width-1, 2*column+1); j++ {
					v := float64(x[((n*height+i)*width+j)*channels+c])
					sum, count, largest = sum+v, count+1, math.Max(largest, v)
				}
			}
			want := largest
			if mean {
				want = sum / count
			}
			if math.Abs(float64(got)-want) > 1e-5 {
				t.Errorf("mean %v: value %d is %v, want %v", mean, k, got, want)
			}
		}
	}
}
