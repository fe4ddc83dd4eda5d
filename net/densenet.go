package net

import "fmt"

// denseNet is DenseNet-BC for CIFAR (Huang et al. 2017, arXiv:1608.06993, section 3) without dropout: 3 dense blocks of the given
// number of layers, each a bottleneck of 4 growth channels and a 3x3 convolution whose growth channels join what comes before, and between
// them transitions to half of the channels by a 1x1 convolution and average pooling by 2. 6 layers + 4 is the depth:
// densenet-bc-100-12 has 16 layers a block, a growth of 12, and 769,162 parameters for 3 channels and 10 classes.
func denseNet(layers, growth int) func(b *builder) {
	return func(b *builder) {
		b.conv("stem", window{size: 3, channels: 2 * growth, stride: 1, padding: 1})
		for block := range 3 {
			name := fmt.Sprintf("block%d", block+1)
			for layer := range layers {
				name := fmt.Sprintf("%s/layer%d", name, layer+1)
				b.concatenate(func(b *builder) {
					b.normActivate(name)
					b.conv(name+"/conv1", window{size: 1, channels: 4 * growth, stride: 1})
					b.normActivate(name + "/conv1")
					b.conv(name+"/conv2", window{size: 3, channels: growth, stride: 1, padding: 1})
				})
			}
			if b.err != nil {
				return
			}
			if block < 2 {
				b.normActivate(name + "/transition")
				b.conv(name+"/transition", window{size: 1, channels: b.dims[2] / 2, stride: 1})
				b.meanPool(2)
			}
		}
		b.normActivate("end")
		b.globalMean()
		b.dense("dense", b.outputs, GlorotUniform, true)
	}
}
