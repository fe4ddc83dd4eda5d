package net

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
)

// own uses every method of the builder.
func own(b *Builder) {
	b.Convolution("stem", Window{Size: 3, Channels: 4, Padding: 1})
	b.BatchNorm("stem/norm")
	b.Activate()
	b.Pool(3, 2, 1)
	b.Concatenate(func(b *Builder) { b.Convolution("grow", Window{Size: 1, Channels: 2, Bias: true}) })
	channels := b.Channels()
	b.StochasticResidual(0.75, func(b *Builder) { b.Convolution("shortcut", Window{Size: 1, Channels: 8, Stride: 2}) }, func(b *Builder) {
		b.Convolution("conv", Window{Size: 3, Channels: channels + 2, Stride: 2, Padding: 1})
	})
	b.Residual(nil, func(b *Builder) { b.Activate() })
	b.Func("double", b.Dims(), func(x *Node) *Node { return MulScalar(x, 2) })
	b.MeanPool(1)
	b.Pool(2, 2, 0)
	b.GlobalMean()
	b.Dense("dense1", 5, nil)
	b.Flatten()
	b.Dense("dense2", b.Outputs(), GlorotUniform)
}

func describeOnly(describe func(b *Builder), input [3]int) (*Network, error) {
	return build(func(b *builder) { describe(&Builder{b}); b.checkNames() }, input, 5, variant{activation: "relu"})
}

// TestBuilder compares a network that the exported methods describe with the same layers of the zoo's builder.
func TestBuilder(t *testing.T) {
	n, err := describeOnly(own, [3]int{16, 12, 2})
	if err != nil {
		t.Fatal(err)
	}
	same, err := build(func(b *builder) {
		b.conv("stem", window{size: 3, channels: 4, stride: 1, padding: 1})
		b.batchNorm("stem/norm")
		b.relu()
		b.maxPoolOver(3, 2, 1)
		b.concatenate(func(b *builder) { b.conv("grow", window{size: 1, channels: 2, stride: 1, bias: true}) })
		b.stochastic(0.75, func(b *builder) { b.conv("shortcut", window{size: 1, channels: 8, stride: 2}) }, func(b *builder) {
			b.conv("conv", window{size: 3, channels: 8, stride: 2, padding: 1})
		})
		b.residual(nil, (*builder).relu)
		b.scale(2)
		b.meanPool(1)
		b.maxPool(2)
		b.globalMean()
		b.dense("dense1", 5, HeNormal, true)
		b.flatten()
		b.dense("dense2", 5, GlorotUniform, true)
	}, [3]int{16, 12, 2}, 5, variant{activation: "relu"})
	if err != nil {
		t.Fatal(err)
	}
	theta, state := n.Init(1)
	if again, _ := same.Init(1); !slices.Equal(theta, again) || n.Depth != same.Depth || !slices.Equal(n.Gates, []float64{0.75}) {
		t.Fatalf("other initial values, depth %d or gates %v", n.Depth, n.Gates)
	}
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	var outputs [2][]float32
	for k, n := range []*Network{n, same} {
		out, err := CallOnce(backend, func(in []*Node) *Node {
			return n.Forward(&Pass{Params: Unflatten(in[0], n.Params), State: Unflatten(in[2], n.State)}, in[1])
		}, inputs(theta, state)...)
		if err != nil {
			t.Fatal(err)
		}
		outputs[k] = tensors.MustCopyFlatData[float32](out)
	}
	if !slices.Equal(outputs[0], outputs[1]) {
		t.Errorf("outputs %v, want %v", outputs[0], outputs[1])
	}
}

func TestBuilderRefuses(t *testing.T) {
	for _, tt := range []struct {
		describe func(b *Builder)
		want     string
	}{
		{func(b *Builder) { b.Convolution("wide", Window{Channels: 3}) }, "wide has a size"},
		{func(b *Builder) { b.Convolution("far", Window{Size: 1, Channels: 3, Stride: -1}) }, "far has a size"},
		{func(b *Builder) { b.Convolution("conv", Window{Size: 19, Channels: 3}) }, "16x12x2 is too small: conv needs at least 19x19"},
		{func(b *Builder) { b.Dense("dense", 3, nil) }, "dense needs features [n], see Flatten"},
		{func(b *Builder) { b.Flatten(); b.Pool(2, 2, 0) }, "pooling needs images"},
		{func(b *Builder) { b.Pool(2, 0, 0) }, "pooling has a size"},
		{func(b *Builder) { b.Flatten(); b.GlobalMean() }, "global pooling needs images"},
		{func(b *Builder) { b.StochasticResidual(0, nil, (*Builder).Activate) }, "probability"},
		{func(b *Builder) { b.Residual(nil, (*Builder).Flatten) }, "ends with [384] values and its shortcut with [16 12 2]"},
		{func(b *Builder) { b.Concatenate(func(b *Builder) { b.Pool(2, 2, 0) }) }, "ends with [8 6 2]"},
		{func(b *Builder) { b.BatchNorm("norm"); b.BatchNorm("norm") }, "two parameters are called norm/scale"},
		{func(b *Builder) { b.Func("nothing", nil, nil) }, "nothing has a size"},
	} {
		// What follows an error is skipped, and does not hide it.
		_, err := describeOnly(func(b *Builder) { tt.describe(b); own(b) }, [3]int{16, 12, 2})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one about %q", err, tt.want)
		}
	}
}

func TestRegisterRefuses(t *testing.T) {
	describe := func(b *Builder) { b.Flatten() }
	for name, a := range map[string]Architecture{
		"nothing": {}, "resnet20": {Describe: describe}, "own-smooth": {Describe: describe}, "own+gelu": {Describe: describe},
		"": {Describe: describe}, "a,b": {Describe: describe}, "a b": {Describe: describe},
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), fmt.Sprintf("%q", name)) {
					t.Errorf("%q: %v", name, r)
				}
			}()
			Register(name, a)
		}()
	}
	// A description that ends elsewhere than at the outputs is an error of New. The entry is taken out again for other tests.
	Register("test.unfinished", Architecture{Describe: describe, Input: [3]int{2, 2, 1}, Outputs: 3})
	defer delete(zoo, "test.unfinished")
	if input, outputs := Usual("test.unfinished"); input != [3]int{2, 2, 1} || outputs != 3 {
		t.Errorf("measured on %v with %d outputs", input, outputs)
	}
	if _, err := New("test.unfinished+gelu", [3]int{2, 2, 1}, 3); err == nil || !strings.Contains(err.Error(), "ends with [4] values of a sample, want [3]") {
		t.Errorf("error %v", err)
	}
	if n, err := New("test.unfinished", [3]int{2, 2, 1}, 4); err != nil || n.Size() != 0 || len(n.Outputs) != 1 {
		t.Errorf("%+v, %v", n, err)
	}
}
