package net

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// noiseUnit is what the last convolution of a denoiser counts noise in: tenths of the range of a pixel. Noise of sigma 25 gray
// levels then has a variance of about 1 there, as activations behind batch norm have, so that the layers learn at one
// rate. Published networks give the noise in units of the range: theirs is a tenth of the last kernel here.
const noiseUnit = 0.1

// restore adds a network of residual learning (Zhang et al. 2017, arXiv:1608.03981, section III): the image less the noise in it,
// which noise describes. The image is the first channels of the input, as many as there are outputs.
func (b *builder) restore(noise func(b *builder)) {
	if b.err != nil {
		return
	}
	dims := []int{b.dims[0], b.dims[1], b.outputs}
	if b.dims[2] < b.outputs {
		b.err = fmt.Errorf("it removes noise from images, and its input of %d channels can't hold images of %d", b.dims[2], b.outputs)
		return
	}
	inner := b.part(noise)
	if b.err == nil && !slices.Equal(b.dims, dims) {
		b.err = fmt.Errorf("the noise of images of %v values ends with %v", dims, b.dims)
	}
	channels := b.outputs
	b.add(func(f *flow, x *Node) *Node {
		image := x
		if x.Shape().Dimensions[3] > channels {
			image = Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, channels))
		}
		return Sub(image, MulScalar(run(inner, f, x), noiseUnit))
	})
}

// dncnn is DnCNN (Zhang et al. 2017, arXiv:1608.03981) with the given numbers of layers and of channels in between: convolutions of
// 3x3 with batch norm but for the first and the last, without biases, as in the published code for PyTorch. DnCNN-S has 17 layers of
// 64 channels, 556,032 parameters for gray images, DnCNN-B 20.
func dncnn(depth, width int) func(b *builder) {
	return func(b *builder) {
		same := func(channels int) window { return window{size: 3, channels: channels, stride: 1, padding: 1} }
		b.restore(func(b *builder) {
			b.conv("conv1", same(width))
			b.activate()
			for k := 2; k < depth; k++ {
				b.convNorm(fmt.Sprintf("conv%d", k), same(width))
				b.activate()
			}
			b.conv(fmt.Sprintf("conv%d", depth), same(b.outputs))
		})
	}
}

// ffdnet is FFDNet (Zhang, Zuo and Zhang 2018, arXiv:1710.04026): it works on the four images of every other pixel, beside a map of
// the noise's sigma, which is the last channel of the input, in units of the range. 15 layers of 64 channels for gray images and 12 of
// 96 for color. With batch norm merged into the convolutions it has the published 485,316 and 852,108 parameters. The published
// network gives the image; this one, as DnCNN, the noise in it.
func ffdnet(b *builder) {
	depth, width := 15, 64
	if b.outputs > 1 {
		depth, width = 12, 96
	}
	if b.err == nil && b.dims[2] != b.outputs+1 {
		b.err = fmt.Errorf("it takes a map of the noise beside the image: for images of %d channels an input of %d, not of %d", b.outputs, b.outputs+1, b.dims[2])
		return
	}
	same := func(channels int, bias bool) window {
		return window{size: 3, channels: channels, stride: 1, padding: 1, bias: bias}
	}
	b.restore(func(b *builder) {
		b.unshuffle(2)
		b.conv("conv1", same(width, true))
		b.activate()
		for k := 2; k < depth; k++ {
			b.convNorm(fmt.Sprintf("conv%d", k), same(width, false))
			b.activate()
		}
		b.conv(fmt.Sprintf("conv%d", depth), same(b.outputs*2*2, true))
		b.shuffle(2)
	})
}

// unshuffle turns each block of by x by pixels into the channels of one, for all channels but the last, of which it keeps one pixel a
// block: the map of the noise.
func (b *builder) unshuffle(by int) {
	if b.err != nil {
		return
	}
	if b.dims[0]%by != 0 || b.dims[1]%by != 0 {
		b.err = fmt.Errorf("it needs images whose height and width are multiples of %d, not %dx%d", by, b.dims[0], b.dims[1])
		return
	}
	image := b.dims[2] - 1
	b.dims = []int{b.dims[0] / by, b.dims[1] / by, image*by*by + 1}
	b.reach += (by - 1) * b.grid
	b.coarsen(by)
	b.list("", fmt.Sprintf("pixels of blocks of %dx%d to channels", by, by))
	b.add(func(_ *flow, x *Node) *Node {
		levels := Slice(x, AxisRange(), AxisRange().Stride(by), AxisRange().Stride(by), AxisRange(image, image+1))
		x = Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, image))
		return Concatenate([]*Node{blocksToChannels(x, by), levels}, -1)
	})
}

// shuffle turns the channels of a pixel into a block of by x by pixels, as unshuffle made them.
func (b *builder) shuffle(by int) {
	if b.err != nil {
		return
	}
	channels := b.dims[2] / (by * by)
	b.dims = []int{b.dims[0] * by, b.dims[1] * by, channels}
	b.grid /= by
	b.list("", fmt.Sprintf("channels to pixels of blocks of %dx%d", by, by))
	b.add(func(_ *flow, x *Node) *Node {
		d := x.Shape().Dimensions
		x = TransposeAllAxes(Reshape(x, d[0], d[1], d[2], by, by, channels), 0, 1, 3, 2, 4, 5)
		return Reshape(x, d[0], d[1]*by, d[2]*by, channels)
	})
}
