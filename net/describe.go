package net

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// Builder describes a network layer by layer, for [Register]. Layers follow each other in the order in which they are added.
// The first that does not fit what comes before is the error of [New], and those behind it are skipped.
//
// Activation functions and pooling are those of the variant that is asked for, so every network has its variants. Every
// layer with parameters is told to [Pass.Tap], so every estimator of influence works.
type Builder struct{ b *builder }

// Window is the square window of a convolution.
type Window struct {
	// Size is its height and width, and Channels the number of output channels.
	Size, Channels int
	// Stride is the step between two windows; 0 means 1. Padding is the number of zeros on every side.
	Stride, Padding int
	// Bias asks for a bias, which batch norm would take away again.
	Bias bool
}

// Input returns height, width and channels of the images.
func (b *Builder) Input() [3]int { return b.b.input }

// Outputs returns the number of outputs: classes, or channels of a denoised image.
func (b *Builder) Outputs() int { return b.b.outputs }

// Dims returns the dimensions of one sample so far: [height, width, channels], and [features] behind Flatten or a global
// pooling.
func (b *Builder) Dims() []int { return slices.Clone(b.b.dims) }

// Channels returns the last of Dims: channels, or features.
func (b *Builder) Channels() int { return b.b.dims[len(b.b.dims)-1] }

// fits says whether a layer can be added: there is no error yet, its sizes are in order, and what comes before has the
// rank that it needs, 0 for any.
func (b *Builder) fits(layer string, rank int, sizes bool) bool {
	switch {
	case b.b.err != nil:
	case !sizes:
		b.b.err = fmt.Errorf("%s has a size, stride, padding or probability that is out of range", layer)
	case rank != 0 && len(b.b.dims) != rank:
		b.b.err = fmt.Errorf("%s needs %s, and what comes before it has the dimensions %v", layer, map[int]string{
			1: "features [n], see Flatten", 3: "images [height, width, channels]"}[rank], b.b.dims)
	}
	return b.b.err == nil
}

// Convolution adds a convolution, with weights from [HeNormal].
func (b *Builder) Convolution(name string, w Window) {
	if w.Stride == 0 {
		w.Stride = 1
	}
	if b.fits(name, 3, w.Size > 0 && w.Channels > 0 && w.Stride > 0 && w.Padding >= 0 && w.Padding < w.Size) {
		b.b.conv(name, window{size: w.Size, channels: w.Channels, stride: w.Stride, padding: w.Padding, bias: w.Bias})
	}
}

// BatchNorm adds batch normalization over all axes but the last.
func (b *Builder) BatchNorm(name string) {
	if b.fits(name, 0, true) {
		b.b.batchNorm(name)
	}
}

// Dense adds a dense layer with bias to features. weights draws its weights; nil means [HeNormal], and [GlorotUniform] suits
// a last layer.
func (b *Builder) Dense(name string, features int, weights Initializer) {
	if weights == nil {
		weights = HeNormal
	}
	if b.fits(name, 1, features > 0) {
		b.b.dense(name, features, weights, true)
	}
}

// Activate adds the activation function of the variant; ReLU is the default.
func (b *Builder) Activate() {
	if b.fits("the activation function", 0, true) {
		b.b.activate()
	}
}

// Pool adds the pooling of the variant, maxima by default, over square windows that are stride apart; padding does not count.
func (b *Builder) Pool(size, stride, padding int) {
	if !b.fits("pooling", 3, size > 0 && stride > 0 && padding >= 0 && padding < size) {
		return
	}
	if size == stride && padding == 0 { // windows side by side have a cheaper form
		b.b.pool(size)
		return
	}
	b.b.poolOver(size, stride, padding)
}

// MeanPool adds average pooling over square windows side by side, whatever the variant.
func (b *Builder) MeanPool(size int) {
	if b.fits("pooling", 3, size > 0) {
		b.b.meanPool(size)
	}
}

// GlobalPool reduces every channel's plane to one value, by the pooling of the variant, and GlobalMean by the mean.
func (b *Builder) GlobalPool() {
	if b.fits("global pooling", 3, true) {
		b.b.globalPool()
	}
}

// GlobalMean reduces every channel's plane to its mean.
func (b *Builder) GlobalMean() {
	if b.fits("global pooling", 3, true) {
		b.b.globalMean()
	}
}

// Flatten joins all axes of a sample.
func (b *Builder) Flatten() { b.b.flatten() }

// Residual adds shortcut(x) + branch(x), for what the two describe. A nil shortcut is the identity.
func (b *Builder) Residual(shortcut, branch func(b *Builder)) {
	b.StochasticResidual(1, shortcut, branch)
}

// StochasticResidual is Residual with stochastic depth (Huang et al. 2016, arXiv:1603.09382): a training step keeps the
// branch with the given probability in (0, 1], and else skips it; evaluation multiplies the branch by the probability.
func (b *Builder) StochasticResidual(survival float64, shortcut, branch func(b *Builder)) {
	if !b.fits("a residual block", 0, survival > 0 && survival <= 1) {
		return
	}
	var short func(*builder)
	if shortcut != nil {
		short = part(shortcut)
	}
	b.b.stochastic(survival, short, part(branch))
}

// Concatenate adds the channels of what branch describes behind those that it starts from.
func (b *Builder) Concatenate(branch func(b *Builder)) {
	if b.fits("a concatenation", 0, true) {
		b.b.concatenate(part(branch))
	}
}

// Restore adds a denoiser by residual learning: the image less the noise in it, in tenths of the range, for which noise describes a
// network whose output has the size and the channels of the image. It is the whole of a network, as of the DnCNNs.
func (b *Builder) Restore(noise func(b *Builder)) {
	if b.fits("a denoiser", 3, true) {
		b.b.restore(part(noise))
	}
}

func part(describe func(b *Builder)) func(b *builder) {
	return func(b *builder) { describe(&Builder{b}) }
}

// Func adds a function of one's own without parameters, which maps samples [batch, ...] to samples of the given dimensions,
// without the batch. The influence of a sample on another is defined where it keeps samples apart; operations that package
// tangent has no rule for are an error of the estimators that need one.
func (b *Builder) Func(name string, output []int, f func(x *Node) *Node) {
	if !b.fits(name, 0, len(output) > 0 && slices.Min(output) > 0) {
		return
	}
	output = slices.Clone(output)
	b.b.dims = output
	b.b.unbounded = true
	b.b.list(name, "function")
	b.b.add(func(_ *flow, x *Node) *Node {
		y := f(x)
		if want := append([]int{x.Shape().Dimensions[0]}, output...); !slices.Equal(y.Shape().Dimensions, want) {
			panic(fmt.Errorf("net: %s returns the dimensions %v, and said %v", name, y.Shape().Dimensions, want))
		}
		return y
	})
}
