package kernel

// Sizes that steer the weight gradient; they depend on nothing but shapes.
const (
	blockPixels   = 192     // output pixels that one accumulation in registers runs over, about
	weightGroups  = 16      // most partial sums over the batch
	partialFloats = 4 << 20 // of all partial sums, about
)

// ConvWeightGrad computes the gradient of a convolution's kernel,
//
//	dkernel[ky, kx, ci, co] = sum over n, oy, ox of
//	    in[n, oy*StrideY + ky*DilationY - PadTop, ox*StrideX + kx*DilationX - PadLeft, ci] * dout[n, oy, ox, co]
//
// with dkernel laid out as c.Kernel says. Input dilation is not supported: it panics on InDilation > 1.
func ConvWeightGrad(p *Pool, c *Conv, in, dout, dkernel []float32) {
	w := cached(p, p.plans.weight, c, func() *weightPlan {
		d := c.normal()
		if d.InDilationY != 1 || d.InDilationX != 1 {
			panic("kernel: weight gradient of a convolution with input dilation")
		}
		return d.weightPlan()
	})
	w.given.check(in, dkernel, dout)
	if w.m*w.OutChannels == 0 {
		return
	}
	if w.swapped && w.winograd == nil {
		in, dout = dout, in
	}
	call := takeCall(p, &p.calls.weight)
	defer giveCall(p, &p.calls.weight, call)
	if call.fns == nil {
		call.fns = []func(int, *scratch){call.task, call.reduce, call.winogradTask, call.winogradReduce}
	}
	partial := p.take(w.partial)
	defer p.give(partial)
	call.plan, call.in, call.dout, call.partial, call.dkernel = w, in, dout, partial, dkernel
	if n := w.winograd; n != nil {
		p.run(n.groups*n.parts, call.fns[2])
		p.run((w.given.InChannels+n.reduceRows-1)/n.reduceRows, call.fns[3])
	} else {
		p.run(w.groups*len(w.parts), call.fns[0])
		p.run((w.m+reduceRows-1)/reduceRows, call.fns[1])
	}
	call.in, call.dout, call.partial, call.dkernel = nil, nil, nil, nil
}

// weightCall is one ConvWeightGrad in progress.
type weightCall struct {
	plan                       *weightPlan
	in, dout, partial, dkernel []float32
	fns                        []func(int, *scratch)
}

func (r *weightCall) task(task int, s *scratch) {
	w := r.plan
	g := task / len(w.parts)
	size := w.m * w.width
	w.task(g, w.parts[task%len(w.parts)], s, r.in, r.dout, r.partial[g*size:][:size])
}

func (r *weightCall) reduce(task int, _ *scratch) { r.plan.reduce(task, r.partial, r.dkernel) }

// swap exchanges the roles of input and output of a weight gradient of stride 1:
//
//	dkernel[k, ci, co] = sum over i of in[i, ci] * dout[i + pad - k*dilation, co],
//
// which is the weight gradient of a convolution from dout to in with the kernel reversed. It pays when
// there are few output channels, since those fill the vectors.
func (c *Conv) swap() Conv {
	d := *c
	d.InHeight, d.InWidth, d.InChannels, d.InPitch = c.OutHeight, c.OutWidth, c.OutChannels, c.OutPitch
	d.OutHeight, d.OutWidth, d.OutChannels, d.OutPitch = c.InHeight, c.InWidth, c.InChannels, c.InPitch
	d.PadTop = (c.KernelHeight-1)*c.DilationY - c.PadTop
	d.PadLeft = (c.KernelWidth-1)*c.DilationX - c.PadLeft
	d.Kernel = KernelLayout{
		Offset: c.Kernel.Offset + (c.KernelHeight-1)*c.Kernel.Y + (c.KernelWidth-1)*c.Kernel.X,
		Y:      -c.Kernel.Y, X: -c.Kernel.X, In: c.Kernel.Out, Out: c.Kernel.In,
	}
	return d
}

// weightPlan is the partition of a weight gradient: row (ky, kx, ci) and column co of the gradient, rows of
// the output in groups.
type weightPlan struct {
	Conv         // after a swap
	given   Conv // before it
	swapped bool
	set     *tileSet
	m       int // rows of the gradient
	width   int // columns of a partial sum: whole vectors
	lo, hi  int // input columns that are met
	direct  bool
	segment int // taps of x that lie on neighboring pixels
	rows    int // rows of the output in a block
	groups  int
	panels  []int
	parts   []weightPart
	partial int // floats of all partial sums

	winograd *winogradWeight // or nil
}

// weightPart is the part of the gradient that a task computes: taps of y and panels.
type weightPart struct {
	ky0, ky1       int
	panel0, panel1 int
	col            int // of panel0
}

func (c *Conv) weightPlan() *weightPlan {
	w := &weightPlan{Conv: *c, given: *c, set: tiles()}
	if w.winograd = c.winogradWeight(w.set, winogradMode(winograd.Load())); w.winograd != nil {
		w.m = 9 * c.InChannels
		w.partial = w.winograd.groups * winogradCells * w.winograd.sum
		return w
	}
	vectors := func(n int) int { return (n + lanes - 1) / lanes }
	if c.StrideY == 1 && c.StrideX == 1 && 2*c.OutChannels*vectors(c.InChannels) <= c.InChannels*vectors(c.OutChannels) {
		w.Conv, w.swapped = c.swap(), true
		c = &w.Conv
	}
	if c.OutHeight*c.OutWidth == 0 { // a sum over nothing
		w.Batch, w.OutHeight, w.OutWidth = 0, 1, 1
	}
	w.m = c.KernelHeight * c.KernelWidth * c.InChannels
	w.segment = 1
	if c.DilationX == 1 {
		w.segment = c.KernelWidth
	}
	w.panels = w.set.panels(c.OutChannels, w.segment*c.InChannels)
	for _, v := range w.panels {
		w.width += v * lanes
	}
	w.lo = -c.PadLeft
	w.hi = (w.OutWidth-1)*c.StrideX + (c.KernelWidth-1)*c.DilationX - c.PadLeft
	w.direct = w.lo >= 0 && w.hi < c.InWidth && c.InPitch == c.InChannels
	w.rows = max(1, blockPixels/w.OutWidth)
	all := w.Batch * w.OutHeight
	size := w.m * w.width
	w.groups = max(1, min(weightGroups, partialFloats/max(1, size), all/w.rows))
	w.partial = w.groups * size

	// Split the gradient when it doesn't fit the second level of cache, or when groups are few.
	panelsEach := len(w.panels)
	kyEach := c.KernelHeight
	for size > 1<<16 && panelsEach > 1 {
		panelsEach = (panelsEach + 1) / 2
		size /= 2
	}
	for i := 0; i < len(w.panels); i += panelsEach {
		part := weightPart{ky1: kyEach, panel0: i, panel1: min(i+panelsEach, len(w.panels))}
		for _, v := range w.panels[:i] {
			part.col += v * lanes
		}
		w.parts = append(w.parts, part)
	}
	return w
}

// task adds up one group's rows for one part of the gradient.
func (w *weightPlan) task(group int, part weightPart, s *scratch, in, dout, partial []float32) {
	all := w.Batch * w.OutHeight
	from, to := all*group/w.groups, all*(group+1)/w.groups
	if from == to {
		from, to = 0, 0
		w.block(from, to, true, part, s, in, dout, partial)
	}
	for r := from; r < to; r += w.rows {
		w.block(r, min(r+w.rows, to), r == from, part, s, in, dout, partial)
	}
}

// block adds output rows [r0, r1), counted over all images.
func (w *weightPlan) block(r0, r1 int, first bool, part weightPart, s *scratch, in, dout, partial []float32) {
	rowPitch, pixelPitch, left := w.InWidth*w.InPitch, w.InPitch, 0
	a := in
	starts := s.ints[:0] // of each output row: offset of input row 0 of its image, in a
	if w.direct {
		for r := r0; r < r1; r++ {
			starts = append(starts, r/w.OutHeight*w.InHeight*rowPitch)
		}
	} else {
		left, pixelPitch = w.lo, w.InChannels
		rowPitch = (w.hi + 1 - w.lo) * w.InChannels
		reach := (w.KernelHeight - 1) * w.DilationY
		a = s.buffer(0, (r1-r0)*(min(w.InHeight, reach+w.StrideY))*rowPitch+reach*rowPitch)
		used := 0
		for r := r0; r < r1; {
			image := r / w.OutHeight
			end := min(r1, (image+1)*w.OutHeight)
			top := max(0, (r-image*w.OutHeight)*w.StrideY-w.PadTop)
			bottom := min(w.InHeight-1, (end-1-image*w.OutHeight)*w.StrideY-w.PadTop+reach)
			for ; r < end; r++ {
				starts = append(starts, (used-top)*rowPitch)
			}
			for y := top; y <= bottom; y++ {
				padRow(a[used*rowPitch:], in[(image*w.InHeight+y)*w.InWidth*w.InPitch:], w.lo, w.hi, w.InWidth, w.InPitch, w.InChannels)
				used++
			}
		}
	}
	s.ints = starts
	t := &s.tile
	t.runLen = w.OutWidth
	t.aRow, t.aCol = 1, w.StrideX*pixelPitch
	t.bRow, t.cRow = w.OutPitch, w.width
	t.add = 1
	if first {
		t.add = 0
	}
	for ky := part.ky0; ky < part.ky1; ky++ {
		s.aOff, s.bOff = s.aOff[:0], s.bOff[:0]
		for r := r0; r < r1; r++ {
			iy := r%w.OutHeight*w.StrideY + ky*w.DilationY - w.PadTop
			if iy >= 0 && iy < w.InHeight {
				s.aOff = append(s.aOff, starts[r-r0]+iy*rowPitch+(w.lo-left)*pixelPitch)
				s.bOff = append(s.bOff, r*w.OutWidth*w.OutPitch)
			}
		}
		t.aOff, t.bOff = s.aOff, s.bOff
		for kx := 0; kx < w.KernelWidth; kx += w.segment {
			col := part.col
			for _, v := range w.panels[part.panel0:part.panel1] {
				t.lanes = min(lanes, w.OutChannels-col-(v-1)*lanes)
				t.a = a[min(len(a), kx*w.DilationX*pixelPitch):]
				t.b = dout[min(len(dout), col):]
				t.c = partial[(ky*w.KernelWidth+kx)*w.InChannels*w.width+col:]
				w.set.runRows(t, w.segment*w.InChannels, v)
				col += v * lanes
			}
		}
	}
}

// reduceRows is the number of rows of the gradient that a task of the last sum takes.
const reduceRows = 64

// reduce adds the groups in their order and lays out the gradient, for a block of rows.
func (w *weightPlan) reduce(task int, partial, dkernel []float32) {
	size := w.m * w.width
	m0, m1 := task*reduceRows, min((task+1)*reduceRows, w.m)
	sum := partial[m0*w.width : m1*w.width]
	for g := 1; g < w.groups; g++ {
		Binary(Add, sum, sum, partial[g*size+m0*w.width:][:len(sum)])
	}
	for m := m0; m < m1; m++ {
		ci := m % w.InChannels
		kx := m / w.InChannels % w.KernelWidth
		ky := m / w.InChannels / w.KernelWidth
		at := w.Kernel.Offset + ky*w.Kernel.Y + kx*w.Kernel.X + ci*w.Kernel.In
		row := partial[m*w.width:][:w.OutChannels]
		if w.Kernel.Out == 1 {
			copy(dkernel[at:], row)
			continue
		}
		for _, x := range row {
			dkernel[at] = x
			at += w.Kernel.Out
		}
	}
}
