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
	"mlp":      mlp,
	"cnn":      cnn,
	"lenet5":   lenet5,
	"resnet9":  resnet9,
	"resnet20": resnet20,
	"dncnn-s":  dncnnS,
}

// Names lists the networks that New knows, sorted. Each has variants; see [Variant].
func Names() []string { return slices.Sorted(maps.Keys(zoo)) }

// Classifiers lists the networks whose output is one value a class, sorted. The others map images to images.
func Classifiers() []string {
	return slices.DeleteFunc(Names(), func(name string) bool { return name == "dncnn-s" })
}

// Check returns an error if New does not know the name, or a classifier is asked for and it is none.
func Check(name string, classifier bool) error {
	base, _, err := parse(name)
	if err != nil {
		return err
	}
	if known := Classifiers(); classifier && !slices.Contains(known, base) {
		return fmt.Errorf("the network %s is no classifier; classifiers are: %s", base, strings.Join(known, ", "))
	}
	return nil
}

// New returns the network of a name, which may be that of a variant, for images of height, width and channels input and the given number of outputs:
// classes, or the channels of the output image for a network that maps images to images.
// An unknown name is an error that lists the known ones, and an input that is too small for the network an error that
// says which layer it does not fit.
func New(name string, input [3]int, outputs int) (*Network, error) {
	base, v, err := parse(name)
	if err != nil {
		return nil, err
	}
	if min(input[0], input[1], input[2]) < 1 || outputs < 1 {
		return nil, fmt.Errorf("network %s: the input is %dx%dx%d with %d outputs; all must be at least 1", name, input[0], input[1], input[2], outputs)
	}
	b := &builder{dims: []int{input[0], input[1], input[2]}, outputs: outputs, variant: v}
	zoo[base](b)
	if b.err != nil {
		return nil, fmt.Errorf("network %s: the input of %dx%dx%d is too small: %w", name, input[0], input[1], input[2], b.err)
	}
	return &Network{
		Name: name, Input: input, Outputs: b.dims, Params: b.params, State: b.state, Forward: b.forward(),
		ForwardFLOPs: b.flops.forward, StepFLOPs: 3*b.flops.forward - b.flops.first,
	}, nil
}
