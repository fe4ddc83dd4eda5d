package net

import (
	. "github.com/gomlx/gomlx/core/graph"
)

const (
	// batchNormEpsilon is added to the variance, and batchNormMomentum is the share of a batch's statistics in the
	// running ones: the defaults of PyTorch and of most published results.
	batchNormEpsilon  = 1e-5
	batchNormMomentum = 0.1
)

// batchNorm adds batch normalization over all axes but the last (Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1):
//
//	y = scale (x - mean) / sqrt(variance + epsilon) + offset.
//
// In training mean and variance are the batch's, and the running statistics in the state move towards them, the variance
// unbiased; else they are the running ones, so that a sample's output is its own. It is written out in elementary
// operations, which have second derivatives.
func (b *builder) batchNorm(name string) {
	if b.err != nil {
		return
	}
	dims := []int{b.dims[len(b.dims)-1]}
	b.params = append(b.params,
		Param{Name: name + "/scale", Dims: dims, Image: b.image, Init: AllOnes},
		Param{Name: name + "/offset", Dims: dims, Image: b.image, Init: AllZeros})
	b.state = append(b.state,
		Param{Name: name + "/mean", Dims: dims, Image: b.image, Init: AllZeros},
		Param{Name: name + "/variance", Dims: dims, Image: b.image, Init: AllOnes})
	b.list(name, "batch norm")
	b.add(func(f *flow, x *Node) *Node {
		t := Tap{Kind: TapNorm, Weight: f.param, Bias: f.param + 1}
		scale, offset := channels(f.take(), x.Rank()), channels(f.take(), x.Rank())
		at := f.state
		f.state += 2
		if !f.pass.Training {
			mean, variance := channels(f.pass.State[at], x.Rank()), channels(f.pass.State[at+1], x.Rank())
			factor := Div(scale, Sqrt(AddScalar(variance, batchNormEpsilon)))
			t.Output = Add(Mul(x, factor), Sub(offset, Mul(mean, factor)))
			if f.pass.Tap != nil { // the normalized activations are made for the tap alone
				t.Input = Div(Sub(x, mean), Sqrt(AddScalar(variance, batchNormEpsilon)))
				f.pass.Tap(t)
			}
			return t.Output
		}
		axes := make([]int, x.Rank()-1)
		for i := range axes {
			axes[i] = i
		}
		mean := ReduceAndKeep(x, ReduceMean, axes...)
		centered := Sub(x, mean)
		variance := ReduceAndKeep(Mul(centered, centered), ReduceMean, axes...)
		n := float64(x.Shape().Size() / dims[0])
		unbiased := MulScalar(variance, n/max(n-1, 1))
		f.pass.NewState[at] = running(f.pass.State[at], mean)
		f.pass.NewState[at+1] = running(f.pass.State[at+1], unbiased)
		t.Output = Add(Mul(centered, Div(scale, Sqrt(AddScalar(variance, batchNormEpsilon)))), offset)
		if f.pass.Tap != nil {
			t.Input = Div(centered, Sqrt(AddScalar(variance, batchNormEpsilon)))
			f.pass.Tap(t)
		}
		return t.Output
	})
}

// convNorm adds a convolution without bias and batch norm.
func (b *builder) convNorm(name string, w window) {
	b.conv(name, w)
	b.batchNorm(name + "/norm")
}

// running moves a running statistic towards that of a batch.
func running(old, batch *Node) *Node {
	batch = Reshape(batch, old.Shape().Dimensions...)
	return Add(MulScalar(old, 1-batchNormMomentum), MulScalar(batch, batchNormMomentum))
}
