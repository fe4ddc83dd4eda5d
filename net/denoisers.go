package net

import "fmt"

// dncnnS is DnCNN-S (Zhang et al. 2017, arXiv:1608.03981): 17 layers of 64 channels that map a noisy image to its noise;
// 556,032 parameters for gray images, with batch norm between, as in the published code for PyTorch.
func dncnnS(b *builder) {
	const depth, width = 17, 64
	b.conv("conv1", window{size: 3, channels: width, stride: 1, padding: 1})
	b.activate()
	for k := 2; k < depth; k++ {
		b.convNorm(fmt.Sprintf("conv%d", k), window{size: 3, channels: width, stride: 1, padding: 1})
		b.activate()
	}
	b.conv(fmt.Sprintf("conv%d", depth), window{size: 3, channels: b.outputs, stride: 1, padding: 1})
}
