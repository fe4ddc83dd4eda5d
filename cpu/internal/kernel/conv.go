package kernel

import "fmt"

// Conv describes a two-dimensional convolution (a cross-correlation, as everywhere in machine learning) over
// channels-last images:
//
//	out[n, oy, ox, co] = sum over ky, kx, ci of
//	    in'[n, oy*StrideY + ky*DilationY - PadTop, ox*StrideX + kx*DilationX - PadLeft, ci] * kernel[ky, kx, ci, co]
//
// where in' is the input with InDilationY-1 rows and InDilationX-1 columns of zeros between its own (no time
// is spent on them), and zero outside. Padding at the bottom and at the right is whatever OutHeight and
// OutWidth ask for. Negative padding crops.
//
// A zero stride or dilation means 1; a zero pitch means the number of channels.
type Conv struct {
	Batch                            int
	InHeight, InWidth, InChannels    int
	OutHeight, OutWidth, OutChannels int
	KernelHeight, KernelWidth        int
	StrideY, StrideX                 int
	PadTop, PadLeft                  int // may be negative
	DilationY, DilationX             int // of the kernel
	InDilationY, InDilationX         int // of the input
	InPitch, OutPitch                int // floats from one pixel to the next, of input and output
	Kernel                           KernelLayout
}

// KernelLayout says where the elements of a kernel are: element (ky, kx, ci, co) is at
// Offset + ky*Y + kx*X + ci*In + co*Out of its slice. Strides may be negative (a reversed kernel) and in any
// order (a transposed one). The zero KernelLayout means a dense [KernelHeight, KernelWidth, InChannels,
// OutChannels].
type KernelLayout struct {
	Offset, Y, X, In, Out int
}

// DataGrad returns the convolution that computes the gradient of c's input from the gradient of its output:
// strides and input dilation swapped, the kernel reversed and its channel axes swapped. Use it with
// ConvForward(p, c.DataGrad(), dout, kernel, din), with c's own kernel.
func (c *Conv) DataGrad() *Conv {
	d := *c
	for _, x := range []*int{&d.StrideY, &d.StrideX, &d.DilationY, &d.DilationX, &d.InDilationY, &d.InDilationX} {
		*x = max(*x, 1)
	}
	d.InHeight, d.InWidth, d.InChannels, d.InPitch = c.OutHeight, c.OutWidth, c.OutChannels, c.OutPitch
	d.OutHeight, d.OutWidth, d.OutChannels, d.OutPitch = c.InHeight, c.InWidth, c.InChannels, c.InPitch
	d.StrideY, d.InDilationY = d.InDilationY, d.StrideY
	d.StrideX, d.InDilationX = d.InDilationX, d.StrideX
	d.PadTop = (c.KernelHeight-1)*d.DilationY - c.PadTop
	d.PadLeft = (c.KernelWidth-1)*d.DilationX - c.PadLeft
	k := c.Kernel
	if k == (KernelLayout{}) {
		k = c.denseKernel()
	}
	d.Kernel = KernelLayout{
		Offset: k.Offset + (c.KernelHeight-1)*k.Y + (c.KernelWidth-1)*k.X,
		Y:      -k.Y, X: -k.X, In: k.Out, Out: k.In,
	}
	return &d
}

func (c *Conv) denseKernel() KernelLayout {
	return KernelLayout{
		Y: c.KernelWidth * c.InChannels * c.OutChannels, X: c.InChannels * c.OutChannels,
		In: c.OutChannels, Out: 1,
	}
}

// normal returns c with the defaults filled in. It panics on a negative size or stride.
func (c *Conv) normal() Conv {
	d := *c
	for _, x := range []*int{&d.StrideY, &d.StrideX, &d.DilationY, &d.DilationX, &d.InDilationY, &d.InDilationX} {
		if *x == 0 {
			*x = 1
		}
		if *x < 0 {
			panic(fmt.Sprintf("kernel: negative stride or dilation in %+v", *c))
		}
	}
	for _, x := range []int{d.Batch, d.InHeight, d.InWidth, d.InChannels, d.OutHeight, d.OutWidth, d.OutChannels, d.KernelHeight, d.KernelWidth} {
		if x < 0 {
			panic(fmt.Sprintf("kernel: negative size in %+v", *c))
		}
	}
	if d.InPitch == 0 {
		d.InPitch = d.InChannels
	}
	if d.OutPitch == 0 {
		d.OutPitch = d.OutChannels
	}
	if d.Kernel == (KernelLayout{}) {
		d.Kernel = d.denseKernel()
	}
	return d
}

// check panics unless the slices hold what c, which is normal, indexes.
func (c *Conv) check(in, kernel, out []float32) {
	if need := extent(c.Batch*c.InHeight*c.InWidth, c.InPitch, c.InChannels); len(in) < need {
		panic(fmt.Sprintf("kernel: convolution input has %d floats, needs %d", len(in), need))
	}
	if need := extent(c.Batch*c.OutHeight*c.OutWidth, c.OutPitch, c.OutChannels); len(out) < need {
		panic(fmt.Sprintf("kernel: convolution output has %d floats, needs %d", len(out), need))
	}
	if c.KernelHeight*c.KernelWidth*c.InChannels*c.OutChannels > 0 {
		lo, hi := c.Kernel.Offset, c.Kernel.Offset
		for _, s := range [4]int{c.Kernel.Y * (c.KernelHeight - 1), c.Kernel.X * (c.KernelWidth - 1), c.Kernel.In * (c.InChannels - 1), c.Kernel.Out * (c.OutChannels - 1)} {
			lo += min(s, 0)
			hi += max(s, 0)
		}
		if lo < 0 || hi >= len(kernel) {
			panic(fmt.Sprintf("kernel: convolution kernel of %d floats is indexed from %d to %d", len(kernel), lo, hi))
		}
	}
}

// extent returns the floats of n groups of width floats that start pitch apart.
func extent(n, pitch, width int) int {
	if n == 0 || width == 0 {
		return 0
	}
	return (n-1)*pitch + width
}

// phase is the part of one axis of a convolution whose outputs meet the same taps of the kernel: output
// position first + j*step, for j < count, meets tap taps[i] at input position base[i] + j*inStep. Without
// input dilation there is one phase. With input dilation L, an output position meets only the taps that fall
// on true inputs, and these repeat every L/gcd(L, stride) outputs.
type phase struct {
	first, step, count int
	taps, base         []int
	inStep             int
}

func phases(in, out, size, stride, pad, dilation, inDilation int) []phase {
	period := inDilation / gcd(inDilation, stride)
	var all []phase
	for r := range min(period, out) {
		ph := phase{first: r, step: period, count: (out - r + period - 1) / period, inStep: period * stride / inDilation}
		for k := range size {
			u := r*stride + k*dilation - pad
			if floorMod(u, inDilation) != 0 {
				continue
			}
			base := floorDiv(u, inDilation)
			j := 0 // first output whose tap lies at or after the input's begin
			if base < 0 {
				j = (-base + ph.inStep - 1) / ph.inStep
			}
			if j >= ph.count || base+j*ph.inStep >= in {
				continue // never meets the input
			}
			ph.taps, ph.base = append(ph.taps, k), append(ph.base, base)
		}
		all = append(all, ph)
	}
	return all
}

// span returns the first and the last input position that the phase's taps touch.
func (p *phase) span() (lo, hi int) {
	if len(p.base) == 0 {
		return 0, -1
	}
	return p.base[0], p.base[len(p.base)-1] + (p.count-1)*p.inStep
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int) int { return a - b*floorDiv(a, b) }

// padRow writes columns lo..hi of an image row, zero outside [0, width), densely to dst.
func padRow(dst, row []float32, lo, hi, width, pitch, channels int) {
	from, to := max(lo, 0), min(hi+1, width)
	if from >= to {
		clear(dst[:(hi+1-lo)*channels])
		return
	}
	clear(dst[:(from-lo)*channels])
	d := dst[(from-lo)*channels:]
	if pitch == channels {
		copy(d[:(to-from)*channels], row[from*pitch:])
	} else {
		for x := from; x < to; x++ {
			copy(d[(x-from)*channels:][:channels], row[x*pitch:])
		}
	}
	clear(d[(to-from)*channels : (hi+1-from)*channels])
}
