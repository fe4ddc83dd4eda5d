package net

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// builder describes a network layer by layer: it follows the dimensions of one sample, collects the parameters, and
// keeps the layers to run. The first layer that does not fit sets err, and the rest is skipped.
type builder struct {
	input         [3]int
	dims          []int // of one sample: [height, width, channels], after flatten [features]
	image         []int // that the features are the values of, between flatten and the first dense layer
	outputs       int
	variant       variant
	params, state []Param
	gates         []float64 // survival probabilities
	layers        []layer
	flops         flops
	reach         int // see Network; unbounded says that there is none
	unbounded     bool
	grid          int // pixels of the input from one pixel of the layer to the next, and the largest so far
	coarsest      int
	depth         int // convolutions and dense layers on the longest path so far
	listed        []Layer
	listedParams  int // entries of params that listed counts, and listedFLOPs of flops.forward
	listedFLOPs   int64
	err           error
}

// list adds what was described since the last call to the layers that people read.
func (b *builder) list(name, kind string) {
	b.listed = append(b.listed, Layer{
		Name: name, Kind: kind, Output: slices.Clone(b.dims),
		Parameters: size(b.params[b.listedParams:]), MultiplyAdds: (b.flops.forward - b.listedFLOPs) / 2,
	})
	b.listedParams, b.listedFLOPs = len(b.params), b.flops.forward
}

// reached is Network.Reach.
func (b *builder) reached() int {
	if b.unbounded {
		return -1
	}
	return b.reach
}

// coarsen moves on to a layer with a pixel for by of the one before.
func (b *builder) coarsen(by int) {
	b.grid *= by
	b.coarsest = max(b.coarsest, b.grid)
}

// tooSmall says which layer the input does not fit.
func (b *builder) tooSmall(what string, size int) {
	b.err = &InputSizeError{Input: b.input, Layer: fmt.Sprintf("%s needs at least %dx%d, there is %dx%d", what, size, size, b.dims[0], b.dims[1])}
}

// flops counts the floating-point operations of convolutions and dense layers for one sample, a multiply-add as two.
type flops struct {
	forward int64
	first   int64 // of the first such layer, whose input needs no gradient
}

func (f *flops) add(n int) {
	if f.forward == 0 {
		f.first = int64(n)
	}
	f.forward += int64(n)
}

// layer maps activations [batch, ...] to the next ones.
type layer func(f *flow, x *Node) *Node

// flow is one evaluation under way: which parameter and which state tensor come next.
type flow struct {
	pass         *Pass
	param, state int
}

// take returns the next parameter.
func (f *flow) take() *Node {
	f.param++
	return f.pass.Params[f.param-1]
}

func (b *builder) add(l layer) { b.layers = append(b.layers, l) }

// forward returns the network's graph function.
func (b *builder) forward() func(p *Pass, x *Node) *Node {
	layers := b.layers
	gates := len(b.gates)
	return func(p *Pass, x *Node) *Node {
		if p.Training && gates > 0 && (p.Gates == nil || p.Gates.Rank() != 1 || p.Gates.Shape().Dimensions[0] != gates) {
			panic(fmt.Errorf("net: a pass in training mode through a network with stochastic depth needs its %d gates", gates))
		}
		return run(layers, &flow{pass: p}, x)
	}
}

func run(layers []layer, f *flow, x *Node) *Node {
	for _, l := range layers {
		x = l(f, x)
	}
	return x
}

// window describes a convolution's square window.
type window struct {
	size, channels, stride, padding int
	bias                            bool
}

func (w window) String() string {
	if w.stride == 1 {
		return fmt.Sprintf("convolution %dx%d", w.size, w.size)
	}
	return fmt.Sprintf("convolution %dx%d, stride %d", w.size, w.size, w.stride)
}

// conv adds a convolution with zero padding on every side.
func (b *builder) conv(name string, w window) {
	if b.err != nil {
		return
	}
	out := func(n int) int { return (n+2*w.padding-w.size)/w.stride + 1 }
	if b.dims[0]+2*w.padding < w.size || b.dims[1]+2*w.padding < w.size {
		b.tooSmall(name, w.size-2*w.padding)
		return
	}
	b.depth++
	b.params = append(b.params, Param{Name: name + "/kernel", Dims: []int{w.size, w.size, b.dims[2], w.channels}, Init: HeNormal})
	if w.bias {
		b.params = append(b.params, Param{Name: name + "/bias", Dims: []int{w.channels}, Init: AllZeros})
	}
	b.reach += max(w.padding, w.size-1-w.padding) * b.grid
	b.coarsen(w.stride)
	inputs := w.size * w.size * b.dims[2]
	b.dims = []int{out(b.dims[0]), out(b.dims[1]), w.channels}
	b.flops.add(2 * inputs * product(b.dims))
	b.list(name, w.String())
	b.add(func(f *flow, x *Node) *Node {
		t := Tap{Kind: TapConvolution, Weight: f.param, Bias: -1, Input: x, Window: w.size, Stride: w.stride, Padding: w.padding}
		t.Output = f.convolve(w, x, f.take())
		if w.bias {
			t.Bias = f.param
			t.Output = Add(t.Output, channels(f.take(), t.Output.Rank()))
		}
		f.tap(t)
		return t.Output
	})
}

// dense adds a fully connected layer to flattened activations.
func (b *builder) dense(name string, features int, weights Initializer, bias bool) {
	if b.err != nil {
		return
	}
	b.depth++
	b.unbounded = true
	b.params = append(b.params, Param{Name: name + "/weights", Dims: []int{b.dims[0], features}, Image: b.image, Init: weights})
	b.image = nil
	if bias {
		b.params = append(b.params, Param{Name: name + "/bias", Dims: []int{features}, Init: AllZeros})
	}
	b.flops.add(2 * b.dims[0] * features)
	b.dims = []int{features}
	b.list(name, "dense")
	b.add(func(f *flow, x *Node) *Node {
		t := Tap{Kind: TapDense, Weight: f.param, Bias: -1, Input: x}
		t.Output = f.multiply(x, f.take())
		if bias {
			t.Bias = f.param
			t.Output = Add(t.Output, channels(f.take(), t.Output.Rank()))
		}
		f.tap(t)
		return t.Output
	})
}

// channels shapes a vector for broadcasting over the last axis of a tensor of the given rank.
func channels(v *Node, rank int) *Node {
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = 1
	}
	dims[rank-1] = v.Shape().Dimensions[0]
	return Reshape(v, dims...)
}

// activate adds the activation function of the variant.
func (b *builder) activate() { activations[b.variant.activation](b) }

// relu adds max(x, 0).
func (b *builder) relu() {
	b.add(func(_ *flow, x *Node) *Node { return Max(x, ScalarZero(x.Graph(), x.DType())) })
}

// scale adds a multiplication by a constant.
func (b *builder) scale(by float64) {
	b.add(func(_ *flow, x *Node) *Node { return MulScalar(x, by) })
}

// flatten joins all axes of a sample.
func (b *builder) flatten() {
	if b.err != nil {
		return
	}
	if len(b.dims) > 1 {
		b.image = b.dims
	}
	features := product(b.dims)
	b.dims = []int{features}
	b.add(func(_ *flow, x *Node) *Node { return Reshape(x, x.Shape().Dimensions[0], features) })
}
