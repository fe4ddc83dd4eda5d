package net

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// BFloat16 returns the network with its products in mixed precision (Micikevicius et al. 2018, arXiv:1710.03740; Kalamkar et al.
// 2019, arXiv:1905.12322): the inputs and the parameters of convolutions and dense layers are rounded to bfloat16, which has the range of
// float32 and 8 significant bits, and what they give is float32 again. Sums within a product are float32's where the backend has it so;
// those of a convolution are rounded to bfloat16 at their end. All else stays what it is: parameters, biases, norms, activation functions and pooling.
//
// Derivatives go through the rounding as if it were the identity, and products in them are in bfloat16 as well, but for those of
// a dense layer's gradient, which GoMLX makes of the rounded numbers in float32. The backend must know the type. Layers that are
// functions of one's own, see [Builder.Func], stay what they are.
func (n *Network) BFloat16() *Network {
	if n.plain != nil {
		return n
	}
	mixed := *n
	mixed.plain = n
	mixed.Forward = func(p *Pass, x *Node) *Node {
		q := *p
		q.products = dtypes.BFloat16
		return n.Forward(&q, x)
	}
	return &mixed
}

// Float32 returns the network, which may be one that [Network.BFloat16] returned, with its products in float32. It has the same parameters.
func (n *Network) Float32() *Network {
	if n.plain != nil {
		return n.plain
	}
	return n
}

// IsBFloat16 says whether the network is one that [Network.BFloat16] returned.
func (n *Network) IsBFloat16() bool { return n.plain != nil }

// convolve is the convolution of activations with a kernel in the precision of the pass.
func (f *flow) convolve(w window, x, kernel *Node) *Node {
	d := f.pass.products
	if d == dtypes.InvalidDType {
		return w.convolve(x, kernel)
	}
	return ConvertDType(w.convolve(ConvertDType(x, d), ConvertDType(kernel, d)), x.DType())
}

// multiply is the product of activations, [batch, in], with weights, [in, out], in the precision of the pass.
func (f *flow) multiply(x, weights *Node) *Node {
	d := f.pass.products
	if d == dtypes.InvalidDType {
		return MatMul(x, weights)
	}
	return Dot(ConvertDType(x, d), ConvertDType(weights, d)).WithOutputDType(x.DType()).MatMul()
}
