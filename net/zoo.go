package net

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// zoo maps the name of a network to the function that describes it.
var zoo = map[string]func(b *builder){
	"softmax": softmax,
	"cnn":     cnn,
	"lenet5":  lenet5,
}

// Names lists the networks that New knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(zoo)) }

// New returns the network of a name for images of height, width and channels input and the given number of outputs.
// An unknown name is an error that lists the known ones, and an input that is too small for the network an error that
// says which layer it does not fit.
func New(name string, input [3]int, outputs int) (*Network, error) {
	describe, ok := zoo[name]
	if !ok {
		return nil, fmt.Errorf("unknown network %q; known: %s", name, strings.Join(Names(), ", "))
	}
	if min(input[0], input[1], input[2]) < 1 || outputs < 1 {
		return nil, fmt.Errorf("network %s: the input is %dx%dx%d with %d outputs; all must be at least 1", name, input[0], input[1], input[2], outputs)
	}
	b := &builder{dims: []int{input[0], input[1], input[2]}, outputs: outputs}
	describe(b)
	if b.err != nil {
		return nil, fmt.Errorf("network %s: the input of %dx%dx%d is too small: %w", name, input[0], input[1], input[2], b.err)
	}
	return &Network{Name: name, Input: input, Outputs: outputs, Params: b.params, Forward: b.forward()}, nil
}

// softmax is softmax regression: one dense layer. Its loss is convex, so it may start at zero.
func softmax(b *builder) {
	b.flatten()
	b.dense("dense", b.outputs, AllZeros)
}

// cnn is the network of PyTorch's MNIST example without dropout: 1,199,882 parameters for 28x28x1 and 10 classes.
func cnn(b *builder) {
	b.conv("conv1", 3, 32, 0)
	b.relu()
	b.conv("conv2", 3, 64, 0)
	b.relu()
	b.maxPool(2)
	b.flatten()
	b.dense("dense1", 128, HeNormal)
	b.relu()
	b.dense("dense2", b.outputs, GlorotUniform)
}

// lenet5 is LeNet-5 (LeCun et al. 1998) with ReLU and max-pooling: 61,706 parameters for 28x28x1 and 10 classes.
func lenet5(b *builder) {
	b.conv("conv1", 5, 6, 2)
	b.relu()
	b.maxPool(2)
	b.conv("conv2", 5, 16, 0)
	b.relu()
	b.maxPool(2)
	b.flatten()
	b.dense("dense1", 120, HeNormal)
	b.relu()
	b.dense("dense2", 84, HeNormal)
	b.relu()
	b.dense("dense3", b.outputs, GlorotUniform)
}
