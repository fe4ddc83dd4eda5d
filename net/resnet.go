package net

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// cifarResNet is the residual network for CIFAR (He et al. 2016, arXiv:1512.03385, section 4.2): 3 stages of 16, 32 and 64
// channels with the given number of blocks of two convolutions each, 6 blocks + 2 layers in all, and parameter-free shortcuts
// (option A). resnet20 has 269,722 parameters for 3 channels and 10 classes, resnet110 1,727,962.
//
// Block l of L survives a training step with the probability p_l = 1 - (1 - last) l/L (Huang et al. 2016, arXiv:1603.09382,
// eq. 4, linear decay); a last of 1 is the network without stochastic depth.
func cifarResNet(blocks int, last float64) func(b *builder) {
	return func(b *builder) {
		b.convNorm("stem", window{size: 3, channels: 16, stride: 1, padding: 1})
		b.activate()
		for stage, width := range []int{16, 32, 64} {
			for block := range blocks {
				stride := 1
				var shortcut func(b *builder)
				if stage > 0 && block == 0 {
					stride, shortcut = 2, (*builder).halve
				}
				name := fmt.Sprintf("stage%d/block%d", stage+1, block+1)
				survival := 1 - (1-last)*float64(stage*blocks+block+1)/float64(3*blocks)
				b.stochastic(survival, shortcut, func(b *builder) { b.basic(name, width, stride) })
				b.activate()
			}
		}
		b.globalMean()
		b.dense("dense", b.outputs, GlorotUniform, true)
	}
}

// halve is the shortcut of option A: every second pixel of x, [batch, height, width, channels], with half as many channels
// of zeros before and behind.
func (b *builder) halve() {
	channels := b.dims[2]
	b.dims = []int{(b.dims[0] + 1) / 2, (b.dims[1] + 1) / 2, 2*(channels/2) + channels}
	b.add(func(_ *flow, x *Node) *Node {
		pad := channels / 2
		x = Slice(x, AxisRange(), AxisRange().Stride(2), AxisRange().Stride(2), AxisRange())
		return Pad(x, ScalarZero(x.Graph(), x.DType()), PadAxis{}, PadAxis{}, PadAxis{}, PadAxis{Start: pad, End: pad})
	})
}

// basic adds the branch of a basic block (He et al. 2016, figure 5, left): two 3x3 convolutions, the first with the stride.
func (b *builder) basic(name string, width, stride int) {
	b.convNorm(name+"/conv1", window{size: 3, channels: width, stride: stride, padding: 1})
	b.activate()
	b.convNorm(name+"/conv2", window{size: 3, channels: width, stride: 1, padding: 1})
}

// bottleneck adds the branch of a bottleneck block (He et al. 2016, figure 5, right) that ends with 4 width channels. The
// stride is in the 3x3 convolution, as in later implementations (ResNet v1.5), where the paper has it in the first.
func (b *builder) bottleneck(name string, width, stride int) {
	b.convNorm(name+"/conv1", window{size: 1, channels: width, stride: 1})
	b.activate()
	b.convNorm(name+"/conv2", window{size: 3, channels: width, stride: stride, padding: 1})
	b.activate()
	b.convNorm(name+"/conv3", window{size: 1, channels: 4 * width, stride: 1})
}

// imagenetResNet is the residual network for larger images (He et al. 2016, table 1): a 7x7 convolution and pooling by 3x3, of
// stride 2 each, then 4 stages of 64, 128, 256 and 512 channels, or 4 times as many behind bottlenecks, and projections where the
// dimensions change (option B). The parameters are those of torchvision: for 3 channels and 1,000 classes resnet18 has
// 11,689,512, resnet34 21,797,672 and resnet50 25,557,032.
func imagenetResNet(width int, blocks []int, bottleneck bool) func(b *builder) {
	branch, expansion := (*builder).basic, 1
	if bottleneck {
		branch, expansion = (*builder).bottleneck, 4
	}
	return func(b *builder) {
		b.convNorm("stem", window{size: 7, channels: width, stride: 2, padding: 3})
		b.activate()
		b.poolOver(3, 2, 1)
		channels := width
		for stage, count := range blocks {
			width := width << stage
			for block := range count {
				stride := 1
				if stage > 0 && block == 0 {
					stride = 2
				}
				name := fmt.Sprintf("stage%d/block%d", stage+1, block+1)
				var shortcut func(b *builder)
				if channels != expansion*width {
					shortcut = func(b *builder) {
						b.convNorm(name+"/shortcut", window{size: 1, channels: expansion * width, stride: stride})
					}
				}
				b.residual(shortcut, func(b *builder) { branch(b, name, width, stride) })
				b.activate()
				channels = expansion * width
			}
		}
		b.globalMean()
		b.dense("dense", b.outputs, GlorotUniform, true)
	}
}
