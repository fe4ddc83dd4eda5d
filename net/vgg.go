package net

import "fmt"

// vgg is VGG with batch norm (Simonyan and Zisserman 2015, arXiv:1409.1556, table 1) in the form for images of 32x32: 5 stages
// of 3x3 convolutions that end in pooling by 2, and one dense layer from 512 features to the classes in place of three. Larger images are
// reduced by a mean before it, so that the dense layer is the same for every size; at 32x32 it is the mean of one pixel. The convolutions have
// no bias, which batch norm would take away. convs counts those of each stage: 1, 1, 2, 2, 2 in vgg11-bn to 2, 2, 4, 4, 4 in vgg19-bn.
func vgg(convs [5]int, channels [5]int) func(b *builder) {
	return func(b *builder) {
		for stage, count := range convs {
			for k := range count {
				b.convNorm(fmt.Sprintf("stage%d/conv%d", stage+1, k+1), window{size: 3, channels: channels[stage], stride: 1, padding: 1})
				b.activate()
			}
			b.pool(2)
		}
		b.globalMean()
		b.dense("dense", b.outputs, GlorotUniform, true)
	}
}

// vggChannels are those of every configuration.
var vggChannels = [5]int{64, 128, 256, 512, 512}
