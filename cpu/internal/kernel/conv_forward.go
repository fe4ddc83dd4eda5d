package kernel

// forwardPart is one pair of phases of a forward convolution with its packed kernel.
type forwardPart struct {
	y, x    phase
	lo, hi  int   // input columns that the part touches
	direct  bool  // the taps never leave the image: no padded copy
	runs    []int // start, in taps of x, of each contiguous run
	runTaps int   // taps of a run
	k       int   // rows of the packed kernel
	packed  int   // where the packed kernel begins
	rows    int   // output rows of a task
	images  int   // images of a task
	blocks  int   // row blocks of an image
	tasks   int
}

// Sizes that steer the partition of a forward convolution into tasks; they depend on nothing but shapes.
const (
	taskFlops    = 8 << 20  // of a task, about
	taskInput    = 64 << 10 // floats of padded input that a task keeps
	smallestWork = 1 << 20  // flops below which a task takes several images
)

// ConvForward computes out from in and kernel, as Conv says. The data gradient of a convolution is a forward
// convolution of the output's gradient with strides and input dilation swapped, the kernel reversed in
// y and x (negative strides) and its channel axes swapped: see [Conv.DataGrad].
func ConvForward(p *Pool, c *Conv, in, kernel, out []float32) {
	w := cached(p, p.plans.forward, c, func() *forwardPlan {
		d := c.normal()
		return d.forwardPlan()
	})
	w.check(in, kernel, out)
	if w.Batch*w.OutHeight*w.OutWidth*w.OutChannels == 0 {
		return
	}
	call := takeCall(p, &p.calls.forward)
	defer giveCall(p, &p.calls.forward, call)
	if call.fns == nil {
		call.fns = []func(int, *scratch){call.pack, call.task, call.narrowPack, call.narrowTask, call.winogradPack, call.winogradTask}
	}
	buffer := p.take(w.packed)
	defer p.give(buffer)
	call.plan, call.in, call.kernel, call.out, call.packed = w, in, kernel, out, buffer
	switch {
	case w.narrow != nil:
		p.run(1, call.fns[2])
		p.run(w.narrow.tasks, call.fns[3])
	case w.winograd != nil:
		p.run(len(w.panels)*w.winograd.chunks, call.fns[4])
		p.run(w.winograd.tasks, call.fns[5])
	default:
		p.run(len(w.parts)*len(w.panels), call.fns[0])
		p.run(w.tasks, call.fns[1])
	}
	call.in, call.kernel, call.out, call.packed = nil, nil, nil, nil
}

// forwardPlan is the partition of a forward convolution.
type forwardPlan struct {
	Conv
	set      *tileSet
	panels   []int // vectors of each panel of output channels
	parts    []*forwardPart
	tasks    int
	packed   int           // floats of the packed kernel
	narrow   *narrowPlan   // or nil
	winograd *winogradPlan // or nil
}

func (c *Conv) forwardPlan() *forwardPlan {
	w := &forwardPlan{Conv: *c, set: tiles()}
	if c.Batch*c.OutHeight*c.OutWidth*c.OutChannels == 0 {
		return w
	}
	if w.narrow = c.narrowPlan(w.set); w.narrow != nil {
		w.packed = c.InChannels * w.narrow.width
		return w
	}
	if w.winograd = c.winogradPlan(w.set, winogradMode(winograd.Load())); w.winograd != nil {
		w.panels = w.set.panels(c.OutChannels, w.winograd.tiles)
		w.packed = c.winogradPanel(len(w.panels), w.winograd.outVectors*lanes)
		return w
	}
	w.panels = w.set.panels(c.OutChannels, c.OutWidth/c.InDilationX)
	width := 0 // of the packed kernel
	for _, v := range w.panels {
		width += v * lanes
	}
	for _, y := range phases(c.InHeight, c.OutHeight, c.KernelHeight, c.StrideY, c.PadTop, c.DilationY, c.InDilationY) {
		for _, x := range phases(c.InWidth, c.OutWidth, c.KernelWidth, c.StrideX, c.PadLeft, c.DilationX, c.InDilationX) {
			f := c.part(y, x)
			f.packed = w.packed
			w.packed += f.k * width
			w.tasks += f.tasks
			w.parts = append(w.parts, f)
		}
	}
	return w
}

// forwardCall is one ConvForward in progress.
type forwardCall struct {
	plan                    *forwardPlan
	in, kernel, out, packed []float32
	fns                     []func(int, *scratch)
}

// pack packs the kernel of one part for one panel.
func (r *forwardCall) pack(task int, _ *scratch) {
	w := r.plan
	f, i := w.parts[task/len(w.panels)], task%len(w.panels)
	col := 0
	for _, v := range w.panels[:i] {
		col += v * lanes
	}
	w.packPanel(f, r.kernel, r.packed[f.packed+col*f.k:][:f.k*w.panels[i]*lanes], col, w.panels[i]*lanes)
}

func (r *forwardCall) task(task int, s *scratch) {
	for _, f := range r.plan.parts {
		if task < f.tasks {
			r.plan.forwardTask(f, task, s, r.in, r.packed[f.packed:], r.out)
			return
		}
		task -= f.tasks
	}
}

// part plans one pair of phases.
func (c *Conv) part(y, x phase) *forwardPart {
	f := &forwardPart{y: y, x: x}
	f.k = len(y.taps) * len(x.taps) * c.InChannels
	f.lo, f.hi = x.span()
	f.direct = f.lo >= 0 && f.hi < c.InWidth
	// Taps on neighboring pixels form one run of the packed kernel's rows.
	f.runTaps = 1
	if !f.direct || c.InPitch == c.InChannels {
		joined := len(x.taps) > 0
		for i := 1; i < len(x.base); i++ {
			joined = joined && x.base[i] == x.base[i-1]+1
		}
		if joined {
			f.runTaps = len(x.taps)
		}
	}
	for i := 0; i < len(x.taps); i += f.runTaps {
		f.runs = append(f.runs, i)
	}
	rowFlops := 2 * max(1, f.k) * x.count * c.OutChannels
	rowInput := (f.hi + 1 - f.lo) * c.InChannels * max(1, y.inStep)
	f.rows = min(y.count, max(1, min(taskFlops/rowFlops, taskInput/max(1, rowInput))))
	f.blocks = (y.count + f.rows - 1) / f.rows
	f.rows = (y.count + f.blocks - 1) / f.blocks
	f.images = 1
	if f.blocks == 1 {
		image := rowFlops * y.count
		f.images = max(1, min(c.Batch, smallestWork/image, taskInput/max(1, rowInput*y.count)))
	}
	f.tasks = (c.Batch + f.images - 1) / f.images * f.blocks
	return f
}

// packPanel packs columns [col, col+width) of the kernel's taps of part f: row (ty, tx, ci), width floats each,
// zero beyond the last output channel.
func (c *Conv) packPanel(f *forwardPart, kernel, dst []float32, col, width int) {
	n := min(width, c.OutChannels-col)
	for _, ky := range f.y.taps {
		for _, kx := range f.x.taps {
			src := c.Kernel.Offset + ky*c.Kernel.Y + kx*c.Kernel.X + col*c.Kernel.Out
			pack(dst, width, kernel, src, c.Kernel.In, c.Kernel.Out, c.InChannels, n, true)
			dst = dst[c.InChannels*width:]
		}
	}
}

// forwardTask computes a block of output rows of one image, or several whole images.
func (c *forwardPlan) forwardTask(f *forwardPart, task int, s *scratch, in, packed, out []float32) {
	first := task / f.blocks * f.images
	images := min(f.images, c.Batch-first)
	y0 := task % f.blocks * f.rows
	y1 := min(y0+f.rows, f.y.count)

	// The rows of the input that the block meets.
	top, bottom := 0, -1
	if n := len(f.y.base); n > 0 {
		top = max(0, f.y.base[0]+y0*f.y.inStep)
		bottom = min(c.InHeight-1, f.y.base[n-1]+(y1-1)*f.y.inStep)
	}
	t := &s.tile
	t.bRow, t.cRow = 0, f.x.step*c.OutPitch
	t.aCol, t.add = 1, 0
	t.runLen = f.runTaps * c.InChannels

	rowPitch := c.InWidth * c.InPitch
	imagePitch := c.InHeight * rowPitch
	pixelPitch := c.InPitch
	left := 0 // column at the begin of a row
	a := in[min(len(in), first*imagePitch):]
	if !f.direct {
		left, pixelPitch = f.lo, c.InChannels
		rowPitch = (f.hi + 1 - f.lo) * c.InChannels
		height := max(0, bottom-top+1)
		imagePitch = height * rowPitch
		a = s.buffer(0, images*imagePitch)
		for i := range images {
			for y := range height {
				src := ((first+i)*c.InHeight + top + y) * c.InWidth * c.InPitch
				padRow(a[i*imagePitch+y*rowPitch:], in[src:], f.lo, f.hi, c.InWidth, c.InPitch, c.InChannels)
			}
		}
	} else {
		top = 0
	}
	t.aRow = f.x.inStep * pixelPitch

	col := 0
	for _, v := range c.panels {
		t.b = packed[col*f.k:]
		t.bRow = v * lanes
		t.lanes = min(lanes, c.OutChannels-col-(v-1)*lanes)
		for i := range images {
			for y := y0; y < y1; y++ {
				s.aOff, s.bOff = s.aOff[:0], s.bOff[:0]
				for ty, base := range f.y.base {
					iy := base + y*f.y.inStep
					if iy < 0 || iy >= c.InHeight {
						continue
					}
					for _, tx := range f.runs {
						s.aOff = append(s.aOff, i*imagePitch+(iy-top)*rowPitch+(f.x.base[tx]-left)*pixelPitch)
						s.bOff = append(s.bOff, (ty*len(f.x.taps)+tx)*c.InChannels*t.bRow)
					}
				}
				t.aOff, t.bOff = s.aOff, s.bOff
				t.a = a
				t.c = out[(((first+i)*c.OutHeight+f.y.first+y*f.y.step)*c.OutWidth+f.x.first)*c.OutPitch+col:]
				c.set.runRows(t, f.x.count, v)
			}
		}
		col += v * lanes
	}
}
