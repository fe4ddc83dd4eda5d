package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestConvRandom compares convolutions with random axis orders, strides, paddings, dilations and groups.
func TestConvRandom(t *testing.T) {
	b, reference := testBackends(t)
	cases := uint64(600)
	if testing.Short() {
		cases = 100
	}
	compared := uint64(0)
	for seed := range cases {
		rng := rand.New(rand.NewPCG(seed, 11))
		rank := 1 + rng.IntN(2)
		if rng.IntN(10) == 0 {
			rank = 3
		}
		axes := func() (a, c int, spatial []int) {
			p := rng.Perm(rank + 2)
			if rng.IntN(2) == 0 { // channels last
				for i := range p {
					p[i] = i
				}
				return 0, rank + 1, p[1 : rank+1]
			}
			return p[0], p[1], p[2:]
		}
		var config compute.ConvolveAxesConfig
		config.InputBatch, config.InputChannels, config.InputSpatial = axes()
		config.KernelInputChannels, config.KernelOutputChannels, config.KernelSpatial = axes()
		config.OutputBatch, config.OutputChannels, config.OutputSpatial = axes()
		groups := 1
		if rng.IntN(4) == 0 {
			groups = 2
		}
		channels, out := (1+rng.IntN(5))*groups, (1+rng.IntN(5))*groups
		in, ker := make([]int, rank+2), make([]int, rank+2)
		in[config.InputBatch], in[config.InputChannels] = 1+rng.IntN(4), channels
		ker[config.KernelInputChannels], ker[config.KernelOutputChannels] = channels/groups, out
		var strides, inDilations, kerDilations []int
		var paddings [][2]int
		for i := range rank {
			in[config.InputSpatial[i]] = 3 + rng.IntN(8)
			ker[config.KernelSpatial[i]] = 1 + rng.IntN(5)
			strides = append(strides, 1+rng.IntN(2))
			inDilations = append(inDilations, 1+rng.IntN(2)*rng.IntN(2))
			kerDilations = append(kerDilations, 1+rng.IntN(2)*rng.IntN(2))
			paddings = append(paddings, [2]int{rng.IntN(4), 3 + rng.IntN(3)})
		}
		name := fmt.Sprintf("seed %d: in %v, kernel %v, %+v, strides %v, paddings %v, dilations %v %v, groups %d",
			seed, in, ker, config, strides, paddings, inDilations, kerDilations, groups)
		ok := compare(t, name, b, reference, seed, [][]int{in, ker}, 1e-4, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			kernel := x[1]
			if rng := rand.New(rand.NewPCG(seed, 12)); rng.IntN(2) == 0 {
				var err error
				if kernel, err = f.Reverse(kernel, config.KernelSpatial...); err != nil {
					return nil, err
				}
			}
			return f.ConvGeneral(x[0], kernel, config, strides, paddings, inDilations, kerDilations, groups, 1)
		})
		if ok {
			compared++
		}
	}
	if compared < cases/2 {
		t.Errorf("only %d of %d cases were convolutions", compared, cases)
	}
}

// TestConvGradients compares gradients of convolutions through GoMLX with the pure-Go backend.
func TestConvGradients(t *testing.T) {
	b, reference := testBackends(t)
	for _, c := range []struct {
		name                                 string
		height, width, in, out, size, stride int
		dilation                             int
		same                                 bool
	}{
		{"3x3", 9, 8, 3, 5, 3, 1, 1, false},
		{"3x3 same", 9, 8, 3, 5, 3, 1, 1, true},
		{"3x3 stride 2", 9, 9, 3, 5, 3, 2, 1, false},
		{"5x5 stride 2 same", 11, 11, 2, 4, 5, 2, 1, true},
		{"1x1", 6, 7, 4, 3, 1, 1, 1, false},
		{"1x1 stride 2", 7, 7, 4, 3, 1, 2, 1, false},
		{"dilation 2", 10, 9, 2, 3, 3, 1, 2, false},
		{"one channel", 8, 8, 1, 6, 3, 1, 1, false},
		{"whole image", 5, 5, 3, 4, 5, 1, 1, false},
		{"wide", 12, 12, 17, 33, 3, 1, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, 6))
			random := func(dims ...int) *tensors.Tensor {
				flat := make([]float32, count(dims))
				for i := range flat {
					flat[i] = float32(rng.NormFloat64())
				}
				return tensors.FromFlatDataAndDimensions(flat, dims...)
			}
			x, k := random(3, c.height, c.width, c.in), random(c.size, c.size, c.in, c.out)
			graph := func(x, k *Node) []*Node {
				conv := Convolve(x, k).Strides(c.stride)
				if c.same {
					conv = conv.PadSame()
				} else {
					conv = conv.NoPadding()
				}
				if c.dilation > 1 {
					conv = Convolve(x, k).NoPadding().DilationPerAxis(c.dilation, c.dilation)
				}
				y := conv.Done()
				return append([]*Node{y}, Gradient(ReduceAllSum(Mul(y, Tanh(y))), x, k)...)
			}
			want := MustNewExec(reference, graph).MustCall(x, k)
			for _, in := range []*tensors.Tensor{x, k} {
				if err := in.ToLocal(); err != nil {
					t.Fatal(err)
				}
			}
			got := MustNewExec(b, graph).MustCall(x, k)
			for i := range want {
				w, g := tensors.MustCopyFlatData[float32](want[i]), tensors.MustCopyFlatData[float32](got[i])
				for j := range w {
					if d := math.Abs(float64(w[j] - g[j])); !(d <= 2e-4*(1+math.Abs(float64(w[j])))) {
						t.Fatalf("output %d[%d] is %g, want %g", i, j, g[j], w[j])
					}
				}
			}
		})
	}
}
