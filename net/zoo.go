package net

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// architecture is an entry of the zoo.
type architecture struct {
	// describe adds the layers.
	describe func(b *builder)
	// usual is what it is usually measured on.
	usual setting
	// about says in a few words what it is and where it is from.
	about string
}

// setting is a size of images and a number of outputs.
type setting struct {
	input   [3]int
	outputs int
	// denoiser says that networks map images to images; the others are classifiers. noiseMap says that a denoiser's input has one
	// channel more, the sigma of the noise.
	denoiser, noiseMap bool
}

var (
	digits   = setting{input: [3]int{28, 28, 1}, outputs: 10}
	cifar    = setting{input: [3]int{32, 32, 3}, outputs: 10}
	imagenet = setting{input: [3]int{224, 224, 3}, outputs: 1000}
	// The patches that denoisers train on.
	grayPatches   = setting{input: [3]int{40, 40, 1}, outputs: 1, denoiser: true}
	colorPatches  = setting{input: [3]int{40, 40, 3}, outputs: 3, denoiser: true}
	mappedPatches = setting{input: [3]int{40, 40, 2}, outputs: 1, denoiser: true, noiseMap: true}
)

// zoo maps the name of a network to what it is. It is a table that [Register] adds to; the lock is for that.
var (
	zooLock sync.RWMutex
	zoo     = map[string]architecture{
		"softmax": {softmax, digits, "softmax regression"},
		"mlp":     {mlp, digits, "perceptron of dattri (Deng et al. 2024)"},
		"cnn":     {cnn, digits, "network of PyTorch's MNIST example"},
		"lenet5":  {lenet5, digits, "LeNet-5 with ReLU (LeCun et al. 1998)"},
		"resnet9": {resnet9, cifar, "ResNet of TRAK (Park et al. 2023)"},

		"resnet20":  {cifarResNet(3, 1), cifar, "ResNet for CIFAR (He et al. 2016)"},
		"resnet32":  {cifarResNet(5, 1), cifar, "ResNet for CIFAR (He et al. 2016)"},
		"resnet44":  {cifarResNet(7, 1), cifar, "ResNet for CIFAR (He et al. 2016)"},
		"resnet56":  {cifarResNet(9, 1), cifar, "ResNet for CIFAR (He et al. 2016)"},
		"resnet110": {cifarResNet(18, 1), cifar, "ResNet for CIFAR (He et al. 2016)"},

		"resnet110-sd": {cifarResNet(18, 0.5), cifar, "ResNet, stochastic depth (Huang et al. 2016)"},
		"resnet152-sd": {cifarResNet(25, 0.5), cifar, "ResNet, stochastic depth (Huang et al. 2016)"},

		"resnet164": {preactivationResNet(18), cifar, "ResNet, pre-activation (He et al. 2016b)"},
		"wrn-16-4":  {wideResNet(2, 4), cifar, "wide ResNet (Zagoruyko and Komodakis 2016)"},
		"wrn-28-10": {wideResNet(4, 10), cifar, "wide ResNet (Zagoruyko and Komodakis 2016)"},

		"vgg11-bn": {vgg([5]int{1, 1, 2, 2, 2}, vggChannels), cifar, "VGG, batch norm (Simonyan and Zisserman 2015)"},
		"vgg13-bn": {vgg([5]int{2, 2, 2, 2, 2}, vggChannels), cifar, "VGG, batch norm (Simonyan and Zisserman 2015)"},
		"vgg16-bn": {vgg([5]int{2, 2, 3, 3, 3}, vggChannels), cifar, "VGG, batch norm (Simonyan and Zisserman 2015)"},
		"vgg19-bn": {vgg([5]int{2, 2, 4, 4, 4}, vggChannels), cifar, "VGG, batch norm (Simonyan and Zisserman 2015)"},

		"densenet-bc-100-12": {denseNet(16, 12), cifar, "DenseNet-BC (Huang et al. 2017)"},

		"resnet18": {imagenetResNet(64, []int{2, 2, 2, 2}, false), imagenet, "ResNet (He et al. 2016)"},
		"resnet34": {imagenetResNet(64, []int{3, 4, 6, 3}, false), imagenet, "ResNet (He et al. 2016)"},
		"resnet50": {imagenetResNet(64, []int{3, 4, 6, 3}, true), imagenet, "ResNet, bottlenecks (He et al. 2016)"},

		"dncnn-7": {dncnn(7, 32), grayPatches, "small DnCNN: 7 layers of 32 channels"},
		"dncnn-s": {dncnn(17, 64), grayPatches, "DnCNN for one level of noise (Zhang et al. 2017)"},
		"dncnn-b": {dncnn(20, 64), grayPatches, "DnCNN for any level of noise (Zhang et al. 2017)"},
		"dncnn-c": {dncnn(20, 64), colorPatches, "DnCNN for color images (Zhang et al. 2017)"},
		"ffdnet":  {ffdnet, mappedPatches, "FFDNet, told the noise (Zhang et al. 2018)"},
	}
)

// lookup returns an entry of the zoo.
func lookup(name string) (architecture, bool) {
	zooLock.RLock()
	defer zooLock.RUnlock()
	a, ok := zoo[name]
	return a, ok
}

// Names lists the networks that New knows, sorted. Each has variants; see [Variant].
func Names() []string {
	zooLock.RLock()
	defer zooLock.RUnlock()
	return slices.Sorted(maps.Keys(zoo))
}

// Classifiers lists the networks whose output is one value a class, sorted. The others map images to images.
func Classifiers() []string { return slices.DeleteFunc(Names(), IsDenoiser) }

// Denoisers lists the networks that map images to images, sorted.
func Denoisers() []string {
	return slices.DeleteFunc(Names(), func(name string) bool { return !IsDenoiser(name) })
}

// IsDenoiser says whether the network of a name, which may be that of a variant, maps images to images.
func IsDenoiser(name string) bool {
	base, _, err := parse(name)
	a, _ := lookup(base)
	return err == nil && a.usual.denoiser
}

// TakesNoiseMap says whether the network of a name, which may be that of a variant, takes the sigma of the noise as one channel of
// its input more, the last.
func TakesNoiseMap(name string) bool {
	base, _, err := parse(name)
	a, _ := lookup(base)
	return err == nil && a.usual.noiseMap
}

// About says in a few words what the network of a name is and where it is from; nothing for a name that New does not know.
func About(name string) string {
	base, _, err := parse(name)
	if err != nil {
		return ""
	}
	a, _ := lookup(base)
	return a.about
}

// Usual returns the height, width and channels of the images, and the number of outputs, that the network of a known name
// is usually measured with.
func Usual(name string) (input [3]int, outputs int) {
	base, _, _ := parse(name)
	a, _ := lookup(base)
	return a.usual.input, a.usual.outputs
}

// Check returns an error if New does not know the name, or a classifier is asked for and it is none.
func Check(name string, classifier bool) error {
	base, _, err := parse(name)
	if err != nil {
		return err
	}
	if classifier && IsDenoiser(base) {
		return fmt.Errorf("the network %s is no classifier; classifiers are: %s", base, strings.Join(Classifiers(), ", "))
	}
	return nil
}

// New returns the network of a name, which may be that of a variant, for images of height, width and channels input and the given number of outputs:
// classes, or the channels of the image for a network that maps images to images. Its input has those channels and, where
// [TakesNoiseMap] says so, one more.
// An unknown name is an error that names the nearest of the known ones, and an input that is too small for the network an
// *[InputSizeError] that says which layer it does not fit.
func New(name string, input [3]int, outputs int) (*Network, error) {
	base, v, err := parse(name)
	if err != nil {
		return nil, err
	}
	if min(input[0], input[1], input[2]) < 1 || outputs < 1 {
		return nil, fmt.Errorf("network %s: the input is %dx%dx%d with %d outputs; all must be at least 1", name, input[0], input[1], input[2], outputs)
	}
	a, _ := lookup(base)
	n, err := build(a.describe, input, outputs, v)
	if err != nil {
		return nil, fmt.Errorf("network %s: %w", name, err)
	}
	want := []int{outputs}
	if a.usual.denoiser {
		want = []int{input[0], input[1], outputs}
	}
	if !slices.Equal(n.Outputs, want) {
		return nil, fmt.Errorf("network %s: it ends with %v values of a sample, want %v", name, n.Outputs, want)
	}
	n.Name = name
	return n, nil
}

// build makes the network that describe describes.
func build(describe func(b *builder), input [3]int, outputs int, v variant) (*Network, error) {
	b := &builder{input: input, dims: []int{input[0], input[1], input[2]}, outputs: outputs, variant: v, grid: 1, coarsest: 1}
	if describe(b); b.err != nil {
		return nil, b.err
	}
	return &Network{
		Input: input, Outputs: b.dims, Params: b.params, State: b.state, Gates: b.gates, Layers: b.listed, Depth: b.depth, Forward: b.forward(),
		Reach: b.reached(), Grid: b.coarsest,
		ForwardFLOPs: b.flops.forward, StepFLOPs: 3*b.flops.forward - b.flops.first,
	}, nil
}
