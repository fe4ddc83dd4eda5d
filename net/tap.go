package net

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// TapKind says how the parameters of a [Tap] act on its input.
type TapKind int

const (
	// TapConvolution: Output = convolution of Input with the kernel + bias.
	TapConvolution TapKind = iota
	// TapDense: Output = Input times the weights + bias.
	TapDense
	// TapNorm: Output = scale Input + offset, channel by channel.
	TapNorm
)

// Tap is a place where parameters act on activations: what per-sample gradients of those parameters are made of, together
// with the gradient of a loss with respect to Output.
type Tap struct {
	Kind TapKind
	// Weight and Bias are positions in Network.Params: of kernel and bias, or of scale and offset in a norm. Bias is -1
	// where there is none.
	Weight, Bias int
	// Input is [batch, height, width, in] of a convolution, [batch, in] of a dense layer, and the normalized activations
	// [batch, ..., channels] of a norm, before scale and offset. Output is [batch, ..., out], before any activation
	// function.
	Input, Output *Node
	// Window, Stride and Padding describe the square window of a convolution; zeros pad every side.
	Window, Stride, Padding int
}

// tap hands a tap to the pass that asked for taps; else nothing happens.
func (f *flow) tap(t Tap) {
	if f.pass.Tap != nil {
		f.pass.Tap(t)
	}
}
