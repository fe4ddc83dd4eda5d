package net

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// builder describes a network layer by layer: it follows the dimensions of one sample, collects the parameters, and
// keeps the layers to run. The first layer that does not fit sets err, and the rest is skipped.
type builder struct {
	dims    []int // of one sample: [height, width, channels], after flatten [features]
	outputs int
	params  []Param
	layers  []layer
	err     error
}

// layer maps activations [batch, ...] to the next ones. take returns the next parameter of the network.
type layer func(x *Node, take func() *Node) *Node

func (b *builder) add(l layer) { b.layers = append(b.layers, l) }

// forward returns the network's graph function.
func (b *builder) forward() func(p *Pass, x *Node) *Node {
	layers := b.layers
	return func(p *Pass, x *Node) *Node {
		at := 0
		take := func() *Node {
			at++
			return p.Params[at-1]
		}
		for _, l := range layers {
			x = l(x, take)
		}
		return x
	}
}

// conv adds a convolution with a square window, stride 1, zero padding on every side, and a bias.
func (b *builder) conv(name string, window, channels, padding int) {
	if b.err != nil {
		return
	}
	height, width := b.dims[0]+2*padding-window+1, b.dims[1]+2*padding-window+1
	if height < 1 || width < 1 {
		b.err = fmt.Errorf("%s needs at least %dx%d, there is %dx%d", name, window, window, b.dims[0], b.dims[1])
		return
	}
	b.params = append(b.params,
		Param{Name: name + "/kernel", Dims: []int{window, window, b.dims[2], channels}, Init: HeNormal},
		Param{Name: name + "/bias", Dims: []int{channels}, Init: AllZeros})
	b.dims = []int{height, width, channels}
	b.add(func(x *Node, take func() *Node) *Node {
		c := Convolve(x, take())
		if padding > 0 {
			c = c.PaddingPerDim([][2]int{{padding, padding}, {padding, padding}})
		}
		return addBias(c.Done(), take())
	})
}

// dense adds a fully connected layer with a bias to flattened activations.
func (b *builder) dense(name string, features int, weights Initializer) {
	if b.err != nil {
		return
	}
	b.params = append(b.params,
		Param{Name: name + "/weights", Dims: []int{b.dims[0], features}, Init: weights},
		Param{Name: name + "/bias", Dims: []int{features}, Init: AllZeros})
	b.dims = []int{features}
	b.add(func(x *Node, take func() *Node) *Node { return addBias(MatMul(x, take()), take()) })
}

// addBias adds a vector to the last axis of x.
func addBias(x, bias *Node) *Node {
	dims := make([]int, x.Rank())
	for i := range dims {
		dims[i] = 1
	}
	dims[len(dims)-1] = bias.Shape().Dimensions[0]
	return Add(x, Reshape(bias, dims...))
}

// relu adds max(x, 0).
func (b *builder) relu() {
	b.add(func(x *Node, _ func() *Node) *Node { return Max(x, ScalarZero(x.Graph(), x.DType())) })
}

// maxPool adds max-pooling by a square window with a stride of its size. Rows and columns that do not fill a window at
// the end are left out.
func (b *builder) maxPool(window int) {
	if b.err != nil {
		return
	}
	if b.dims[0] < window || b.dims[1] < window {
		b.err = fmt.Errorf("max-pooling by %d needs at least %dx%d, there is %dx%d", window, window, window, b.dims[0], b.dims[1])
		return
	}
	b.dims = []int{b.dims[0] / window, b.dims[1] / window, b.dims[2]}
	b.add(func(x *Node, _ func() *Node) *Node {
		return MaxPool(x).Window(window).Strides(window).NoPadding().Done()
	})
}

// flatten joins all axes of a sample.
func (b *builder) flatten() {
	features := product(b.dims)
	b.dims = []int{features}
	b.add(func(x *Node, _ func() *Node) *Node { return Reshape(x, x.Shape().Dimensions[0], features) })
}
