package cpu

import (
	"github.com/gomlx/compute/dtypes"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// convAxes are the sizes and strides of one tensor of a convolution, as a 2D one: for one spatial axis, the height
// is 1. For a kernel, batch and channels are its input and output channels.
type convAxes struct {
	slot, off                         int
	batch, height, width, channels    int
	sBatch, sHeight, sWidth, sChannel int
}

func newConvAxes(x *view, batch, channels int, spatial []int) convAxes {
	c := convAxes{
		slot: x.slot, off: x.off,
		batch: x.dims[batch], sBatch: x.strides[batch],
		channels: x.dims[channels], sChannel: x.strides[channels],
		height: 1,
	}
	last := spatial[len(spatial)-1]
	c.width, c.sWidth = x.dims[last], x.strides[last]
	if len(spatial) == 2 {
		c.height, c.sHeight = x.dims[spatial[0]], x.strides[spatial[0]]
	}
	return c
}

// pitch is the distance of two pixels if the tensor is an image with the channels last and no gaps but after
// the channels of a pixel, and 0 if it is not.
func (c *convAxes) pitch() int {
	if c.channels > 1 && c.sChannel != 1 {
		return 0
	}
	pitch := c.channels
	switch {
	case c.width > 1:
		pitch = c.sWidth
	case c.height > 1:
		pitch = c.sHeight
	case c.batch > 1:
		pitch = c.sBatch
	}
	if pitch < c.channels || c.width > 1 && c.sWidth != pitch ||
		c.height > 1 && c.sHeight != c.width*pitch ||
		c.batch > 1 && c.sBatch != c.height*c.width*pitch {
		return 0
	}
	return pitch
}

// asImage makes the tensor one that has a pitch, by a copy if it must.
func (p *planner) asImage(c convAxes) convAxes {
	if c.pitch() > 0 {
		return c
	}
	w := p.reordered(&view{
		slot: c.slot, off: c.off, dtype: dtypes.Float32,
		dims:    []int{c.batch, c.height, c.width, c.channels},
		strides: []int{c.sBatch, c.sHeight, c.sWidth, c.sChannel},
	})
	return newConvAxes(w, 0, 3, []int{1, 2})
}

// at is the value of a list with an entry a spatial axis, as (y, x); missing entries are the default.
func at(list []int, rank, missing int) (y, x int) {
	y, x = missing, missing
	if len(list) == 0 {
		return y, x
	}
	if rank == 2 {
		y = max(1, list[0])
	}
	return y, max(1, list[rank-1])
}

// lowerConv maps a convolution of one or two spatial axes to one of the two forms that have kernels: the forward
// form, which includes data gradients (a reversed kernel and a dilated input), and the weight gradient, where the
// convolution's "kernel" is as large as an image and its batch axis runs over channels.
func (p *planner) lowerConv(op *operation) (bool, error) {
	a := op.attrs.(attrsConvGeneral)
	in, ker, v := op.in[0], op.in[1], op.out[0]
	rank := len(a.axes.InputSpatial)
	if v.shape.DType != dtypes.Float32 || rank < 1 || rank > 2 || a.batchGroupCount > 1 ||
		in.shape.Size() == 0 || ker.shape.Size() == 0 || v.shape.Size() == 0 {
		return false, nil
	}
	x := newConvAxes(p.viewOf(in), a.axes.InputBatch, a.axes.InputChannels, a.axes.InputSpatial)
	k := newConvAxes(p.viewOf(ker), a.axes.KernelInputChannels, a.axes.KernelOutputChannels, a.axes.KernelSpatial)
	res := p.result(v)
	y := newConvAxes(res, a.axes.OutputBatch, a.axes.OutputChannels, a.axes.OutputSpatial)
	g := convGeometry{groups: max(1, a.channelGroupCount)}
	g.strideY, g.strideX = at(a.strides, rank, 1)
	g.dilationY, g.dilationX = at(a.kernelDilations, rank, 1)
	g.inDilationY, g.inDilationX = at(a.inputDilations, rank, 1)
	if len(a.paddings) > 0 {
		g.left = a.paddings[rank-1][0]
		if rank == 2 {
			g.top = a.paddings[0][0]
		}
	}
	if g.groups == 1 && g.inDilationY == 1 && g.inDilationX == 1 && k.height*k.width > y.height*y.width {
		p.weightGradient(op, g, x, k, y)
		return true, nil
	}
	p.forwardConv(op, g, x, k, y, res)
	return true, nil
}

type convGeometry struct {
	strideY, strideX, dilationY, dilationX, inDilationY, inDilationX int
	top, left, groups                                                int
}

// forwardConv adds the steps of a convolution in the forward form.
func (p *planner) forwardConv(op *operation, g convGeometry, x, k, y convAxes, res *view) {
	x = p.asImage(x)
	target := y
	if y.pitch() == 0 {
		n := 4 * y.batch * y.height * y.width * y.channels
		target = newConvAxes(&view{
			slot: p.addSlot(slot{kind: inArena, size: n}), dims: []int{y.batch, y.height, y.width, y.channels},
			strides: rowMajor([]int{y.batch, y.height, y.width, y.channels}),
		}, 0, 3, []int{1, 2})
	}
	inGroup, outGroup := k.batch, y.channels/g.groups
	c := &kernel.Conv{
		Batch: x.batch, InHeight: x.height, InWidth: x.width, InChannels: inGroup,
		OutHeight: y.height, OutWidth: y.width, OutChannels: outGroup,
		KernelHeight: k.height, KernelWidth: k.width,
		StrideY: g.strideY, StrideX: g.strideX, PadTop: g.top, PadLeft: g.left,
		DilationY: g.dilationY, DilationX: g.dilationX, InDilationY: g.inDilationY, InDilationX: g.inDilationX,
		InPitch: x.pitch(), OutPitch: target.pitch(),
		Kernel: kernel.KernelLayout{Offset: k.off, Y: k.sHeight, X: k.sWidth, In: k.sBatch, Out: k.sChannel},
	}
	pool := p.backend.pool
	groups := make([]*kernel.Conv, g.groups)
	for i := range groups {
		part := *c
		part.Kernel.Offset += i * outGroup * k.sChannel
		groups[i] = &part
	}
	p.add(step{
		name: op.kind.String(), reads: []int{x.slot, k.slot}, writes: []int{target.slot},
		whole: func(r *run) error {
			in, ker, out := typed[float32](r.mem[x.slot])[x.off:], typed[float32](r.mem[k.slot]), typed[float32](r.mem[target.slot])[target.off:]
			for i, c := range groups {
				kernel.ConvForward(pool, c, in[i*inGroup:], ker, out[i*outGroup:])
			}
			return nil
		},
	})
	if target.slot != y.slot {
		from := &view{
			slot: target.slot, dtype: dtypes.Float32, dims: []int{y.batch, y.height, y.width, y.channels},
			strides: []int{target.sBatch, target.sHeight, target.sWidth, target.sChannel},
		}
		to := &view{
			slot: y.slot, dtype: dtypes.Float32, off: y.off, dims: from.dims,
			strides: []int{y.sBatch, y.sHeight, y.sWidth, y.sChannel},
		}
		p.copyStep("Transpose", from, to)
	}
}

// weightGradient adds the step of a convolution in the form of a weight gradient: what the operation calls
// channels is the images' batch, what it calls batch is their channels, and its kernel is the gradient of an output.
func (p *planner) weightGradient(op *operation, g convGeometry, x, k, y convAxes) {
	x.batch, x.sBatch, x.channels, x.sChannel = x.channels, x.sChannel, x.batch, x.sBatch
	x, k = p.asImage(x), p.asImage(k)
	c := &kernel.Conv{
		Batch: x.batch, InHeight: x.height, InWidth: x.width, InChannels: x.channels,
		OutHeight: k.height, OutWidth: k.width, OutChannels: k.channels,
		KernelHeight: y.height, KernelWidth: y.width,
		StrideY: g.dilationY, StrideX: g.dilationX, PadTop: g.top, PadLeft: g.left,
		DilationY: g.strideY, DilationX: g.strideX,
		InPitch: x.pitch(), OutPitch: k.pitch(),
		Kernel: kernel.KernelLayout{Offset: y.off, Y: y.sHeight, X: y.sWidth, In: y.sBatch, Out: y.sChannel},
	}
	pool := p.backend.pool
	p.add(step{
		name: "ConvGeneral(weights)", reads: []int{x.slot, k.slot}, writes: []int{y.slot},
		whole: func(r *run) error {
			kernel.ConvWeightGrad(pool, c, typed[float32](r.mem[x.slot])[x.off:], typed[float32](r.mem[k.slot])[k.off:], typed[float32](r.mem[y.slot]))
			return nil
		},
	})
}
