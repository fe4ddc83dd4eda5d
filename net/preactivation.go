package net

import "fmt"

// normActivate adds what comes before a convolution in a network with pre-activation.
func (b *builder) normActivate(name string) {
	b.batchNorm(name + "/norm")
	b.activate()
}

// preactivation adds a residual block with pre-activation (He et al. 2016, arXiv:1603.05027, figure 4e): convs, which begins
// behind the first batch norm and activation, is the rest of the branch and ends with the given number of channels. Where
// that changes the number of channels, the shortcut is a 1x1 convolution, and both start from the same activations, as in
// the authors' code.
func (b *builder) preactivation(name string, channels, stride int, convs func(b *builder)) {
	if b.err != nil {
		return
	}
	if b.dims[2] == channels {
		b.residual(nil, func(b *builder) {
			b.normActivate(name)
			convs(b)
		})
		return
	}
	b.normActivate(name)
	b.residual(func(b *builder) { b.conv(name+"/shortcut", window{size: 1, channels: channels, stride: stride}) }, convs)
}

// preactivationStages adds 3 stages of blocks, each of which convs describes behind the first activation, and the end of
// the network: batch norm, activation, mean and dense layer. The first block of the second and third stage has stride 2.
func (b *builder) preactivationStages(blocks int, channels [3]int, convs func(b *builder, name string, channels, stride int)) {
	for stage, out := range channels {
		for block := range blocks {
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			name := fmt.Sprintf("stage%d/block%d", stage+1, block+1)
			b.preactivation(name, out, stride, func(b *builder) { convs(b, name, out, stride) })
		}
	}
	b.normActivate("end")
	b.globalMean()
	b.dense("dense", b.outputs, GlorotUniform, true)
}

// preactivationResNet is the residual network with pre-activation and bottlenecks for CIFAR (He et al. 2016, arXiv:1603.05027),
// 9 blocks + 2 layers deep: resnet164 has 18 blocks a stage. The stride is in the first 1x1 convolution, as in the
// authors' code.
func preactivationResNet(blocks int) func(b *builder) {
	return func(b *builder) {
		b.conv("stem", window{size: 3, channels: 16, stride: 1, padding: 1})
		b.preactivationStages(blocks, [3]int{64, 128, 256}, func(b *builder, name string, channels, stride int) {
			b.conv(name+"/conv1", window{size: 1, channels: channels / 4, stride: stride})
			b.normActivate(name + "/conv1")
			b.conv(name+"/conv2", window{size: 3, channels: channels / 4, stride: 1, padding: 1})
			b.normActivate(name + "/conv2")
			b.conv(name+"/conv3", window{size: 1, channels: channels, stride: 1})
		})
	}
}

// wideResNet is the wide residual network for CIFAR (Zagoruyko and Komodakis 2016, arXiv:1605.07146, table 1) without dropout:
// WRN-d-k has (d-4)/6 blocks of two 3x3 convolutions a stage, and 16k, 32k and 64k channels.
func wideResNet(blocks, widen int) func(b *builder) {
	return func(b *builder) {
		b.conv("stem", window{size: 3, channels: 16, stride: 1, padding: 1})
		b.preactivationStages(blocks, [3]int{16 * widen, 32 * widen, 64 * widen}, func(b *builder, name string, channels, stride int) {
			b.conv(name+"/conv1", window{size: 3, channels: channels, stride: stride, padding: 1})
			b.normActivate(name + "/conv1")
			b.conv(name+"/conv2", window{size: 3, channels: channels, stride: 1, padding: 1})
		})
	}
}
