// Package net holds the network zoo as GoMLX graph functions. It knows nothing about data dropout.
//
// Every network keeps its parameters in one flat float32 vector theta, cut into named tensors in a fixed order, so that
// checkpoints, directions, gradients and Hessian products are plain vectors of length Network.Size.
package net

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// Param is one parameter tensor of a network, or one tensor of its state (batch-norm running statistics).
type Param struct {
	// Name in the manner of "conv1/kernel".
	Name string
	// Dims are the tensor's dimensions. Convolution kernels are [height, width, in, out], dense ones [in, out].
	Dims []int
	// Init draws the initial values.
	Init Initializer
}

// Pass is one evaluation of a network inside a graph: what Forward reads and, in training mode, writes.
type Pass struct {
	// Params and State hold a node for every entry of Network.Params and Network.State, in that order.
	Params, State []*Node
	// Training selects batch statistics in batch norm; false means frozen running statistics.
	Training bool
	// NewState receives the updated state tensors when Training is true; Forward fills it. It has the length of State.
	NewState []*Node
	// Tap, if it is set, is told of every convolution, dense layer and norm, in the order in which they are run. It changes
	// nothing else.
	Tap func(Tap)
}

// Network is a network as graph function. All its methods are safe for concurrent use.
type Network struct {
	// Name as given to New, such as "cnn".
	Name string
	// Input holds height, width and channels of one image. Outputs holds the dimensions of one sample's output: [classes],
	// or height, width and channels for a network that maps images to images.
	Input   [3]int
	Outputs []int
	// Params and State list the tensors in the order of the flat vectors.
	Params, State []Param
	// ForwardFLOPs counts the floating-point operations of the convolutions and dense layers for one sample, a multiply-add
	// as two; StepFLOPs those of a training step, which has no gradient of the input.
	ForwardFLOPs, StepFLOPs int64
	// Forward maps x of shape [batch, height, width, channels] to the outputs, [batch, Outputs...].
	Forward func(p *Pass, x *Node) *Node
}
