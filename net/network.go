// Package net holds the network zoo as GoMLX graph functions. It knows nothing about data dropout.
//
// Every network keeps its parameters in one flat float32 vector theta, cut into named tensors in a fixed order, so that
// checkpoints, directions, gradients and Hessian products are plain vectors of length Network.Size.
package net

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Param is one parameter tensor of a network, or one tensor of its state (batch-norm running statistics).
type Param struct {
	// Name in the manner of "conv1/kernel".
	Name string
	// Dims are the tensor's dimensions. Convolution kernels are [height, width, in, out], dense ones [in, out].
	Dims []int
	// Image holds height, width and channels of the image whose values, in this order, the first axis of the tensor goes over: that of
	// the first dense layer behind a Flatten, and of the norms between. It is nil elsewhere. Another framework that flattens
	// in another order permutes by it.
	Image []int
	// Init draws the initial values.
	Init Initializer
}

// Pass is one evaluation of a network inside a graph: what Forward reads and, in training mode, writes.
type Pass struct {
	// Params and State hold a node for every entry of Network.Params and Network.State, in that order.
	Params, State []*Node
	// Training selects batch statistics in batch norm; false means frozen running statistics.
	Training bool
	// Gates, of shape [len(Network.Gates)], is 1 for every residual block that a training step keeps and 0 for every one that
	// it skips. A network with gates needs it when Training is true, and reads it only then: else every residual is
	// multiplied by its survival probability. Tensors of State within a skipped block stay what they are.
	Gates *Node
	// NewState receives the updated state tensors when Training is true; Forward fills it. It has the length of State.
	NewState []*Node
	// Tap, if it is set, is told of every convolution, dense layer and norm, in the order in which they are run. It changes
	// nothing else.
	Tap func(Tap)

	// products is the type that the operands of convolutions and dense layers are rounded to; none where they are not.
	products dtypes.DType
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
	// Gates holds the probability with which each residual block with stochastic depth survives a training step, in (0, 1);
	// nil for a network without (Huang et al. 2016, arXiv:1603.09382).
	Gates []float64
	// Layers lists what the network is made of, in the order in which it is run, and Depth counts the convolutions and dense
	// layers on the longest path from input to output.
	Layers []Layer
	Depth  int
	// Reach is how far, in pixels up, down, left or right, the input may lie that an output of a network that maps images to images
	// depends on, and Grid the number that height and width of an image must be multiples of. Such a network takes images of any such
	// size, whatever Input says. Reach is -1 where there is no bound, as behind a dense layer or a function of one's own.
	Reach, Grid int
	// ForwardFLOPs counts the floating-point operations of the convolutions and dense layers for one sample, a multiply-add
	// as two; StepFLOPs those of a training step, which has no gradient of the input.
	ForwardFLOPs, StepFLOPs int64
	// Forward maps x of shape [batch, height, width, channels] to the outputs, [batch, Outputs...]. Those of a denoiser are the
	// restored images, in the units of its input: pixels in 0..1.
	Forward func(p *Pass, x *Node) *Node

	// plain is the network with products in float32 of one whose products are in bfloat16, and nil of the others.
	plain *Network
}

// Layer is one layer of a network as people read it; activation functions are left out.
type Layer struct {
	// Name is that of its parameters without their last part, such as "stage1/block1/conv1"; empty for a layer without a name.
	Name string
	// Kind says what it does, such as "convolution 3x3, stride 2".
	Kind string
	// Output holds the dimensions of one sample's output.
	Output []int
	// Parameters counts its own, MultiplyAdds those of its convolution or matrix product for one sample.
	Parameters   int
	MultiplyAdds int64
}

// InputSizeError says that images are too small for a network.
type InputSizeError struct {
	// Input holds height, width and channels.
	Input [3]int
	// Layer names the first layer that does not fit, and the size there.
	Layer string
}

// Error implements error.
func (e *InputSizeError) Error() string {
	return fmt.Sprintf("the input of %dx%dx%d is too small: %s", e.Input[0], e.Input[1], e.Input[2], e.Layer)
}
