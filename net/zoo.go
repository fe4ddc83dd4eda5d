package net

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// zoo maps the name of a network to the function that describes it.
var zoo = map[string]func(b *builder){
	"softmax":  softmax,
	"cnn":      cnn,
	"lenet5":   lenet5,
	"mlp":      mlp,
	"resnet9":  resnet9,
	"resnet20": resnet20,
	"dncnn-s":  dncnnS,

	"cnn-smooth":    cnnSmooth,
	"lenet5-smooth": lenet5Smooth,
}

// Names lists the networks that New knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(zoo)) }

// Classifiers lists the networks whose output is one value a class, sorted; cnn-smooth and lenet5-smooth are the twins of
// cnn and lenet5 that have derivatives everywhere. The others map images to images.
func Classifiers() []string {
	return slices.DeleteFunc(Names(), func(name string) bool { return name == "dncnn-s" })
}

// New returns the network of a name for images of height, width and channels input and the given number of outputs:
// classes, or the channels of the output image for a network that maps images to images.
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
	return &Network{
		Name: name, Input: input, Outputs: b.dims, Params: b.params, State: b.state, Forward: b.forward(),
		ForwardFLOPs: b.flops.forward, StepFLOPs: 3*b.flops.forward - b.flops.first,
	}, nil
}
