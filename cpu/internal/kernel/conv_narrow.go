package kernel

// narrowPlan is the partition of a convolution with few output channels, whose vectors would be mostly empty.
// All taps of all output channels side by side fill them: the product of an image row's pixels with the kernel as
// an [InChannels, taps*OutChannels] matrix, transposed into a plane row per tap and output channel. A row
// of the output is then the sum of plane rows, each shifted by its tap.
type narrowPlan struct {
	panels []int
	width  int // columns of the product: whole vectors
	groups int // of 16 pixels in an image row
	left   int // zeros before a plane row
	plane  int // floats of a plane row with the zeros around it
	rows   int // output rows of a task
	blocks int // tasks of an image
	tasks  int
}

// narrowPlan returns nil where the ordinary way is better.
func (c *Conv) narrowPlan(set *tileSet) *narrowPlan {
	taps := c.KernelHeight * c.KernelWidth
	if c.StrideY != 1 || c.StrideX != 1 || c.InDilationY != 1 || c.InDilationX != 1 || c.InChannels == 0 || taps == 0 {
		return nil
	}
	if c.InHeight*c.InWidth > 2*c.OutHeight*c.OutWidth {
		return nil // mostly pixels that no output needs
	}
	vectors := func(n int) int { return (n + lanes - 1) / lanes }
	// Cycles for a pixel: half of one for a multiplication of vectors, and the sum of planes.
	direct := taps * c.InChannels * vectors(c.OutChannels) / 2
	if narrow := (c.InChannels/2+8)*vectors(taps*c.OutChannels) + taps*c.OutChannels/2; narrow >= direct {
		return nil
	}
	w := &narrowPlan{panels: set.panels(taps*c.OutChannels, c.InWidth)}
	for _, v := range w.panels {
		w.width += v * lanes
	}
	w.groups = vectors(c.InWidth)
	w.left = max(0, c.PadLeft)
	w.plane = w.left + max(w.groups*lanes, c.OutWidth+(c.KernelWidth-1)*c.DilationX-c.PadLeft)
	w.plane = vectors(w.plane) * lanes
	w.rows = max(1, min(c.OutHeight, taskInput/(w.plane*w.width)))
	w.blocks = (c.OutHeight + w.rows - 1) / w.rows
	w.tasks = c.Batch * w.blocks
	return w
}

// narrowPack packs the kernel into panels of [InChannels, 16 columns a vector], column tap*OutChannels + co.
func (r *forwardCall) narrowPack(int, *scratch) {
	c, n := r.plan, r.plan.narrow
	dst, col := r.packed, 0
	for _, v := range n.panels {
		for ci := range c.InChannels {
			for j := range v * lanes {
				x := float32(0)
				if k := (col + j) / c.OutChannels; k < c.KernelHeight*c.KernelWidth {
					ky, kx := k/c.KernelWidth, k%c.KernelWidth
					x = r.kernel[c.Kernel.Offset+ky*c.Kernel.Y+kx*c.Kernel.X+ci*c.Kernel.In+(col+j)%c.OutChannels*c.Kernel.Out]
				}
				dst[j] = x
			}
			dst = dst[v*lanes:]
		}
		col += v * lanes
	}
}

// narrowTask computes a block of output rows of one image.
func (r *forwardCall) narrowTask(task int, s *scratch) {
	c, n := r.plan, r.plan.narrow
	image := task / n.blocks
	y0 := task % n.blocks * n.rows
	y1 := min(y0+n.rows, c.OutHeight)
	top := min(max(0, y0-c.PadTop), c.InHeight)
	bottom := max(top, min(c.InHeight, y1-c.PadTop+(c.KernelHeight-1)*c.DilationY))
	planes := s.buffer(0, (bottom-top)*n.width*n.plane)
	for y := top; y < bottom; y++ {
		r.narrowPlanes(planes[(y-top)*n.width*n.plane:], r.in[(image*c.InHeight+y)*c.InWidth*c.InPitch:], s)
	}

	t := &s.tile
	t.runLen, t.aRow, t.aCol, t.bRow, t.tiles, t.add = 1, 0, 0, 0, 1, 0
	s.ones = append(s.ones[:0], 1)
	row := s.buffer(1, c.OutWidth)
	most := c.set.maxVectors()
	for oy := y0; oy < y1; oy++ {
		out := r.out[(image*c.OutHeight+oy)*c.OutWidth*c.OutPitch:]
		for co := range c.OutChannels {
			s.aOff, s.bOff = s.aOff[:0], s.bOff[:0]
			for ky := range c.KernelHeight {
				iy := oy + ky*c.DilationY - c.PadTop
				if iy < 0 || iy >= c.InHeight {
					continue
				}
				for kx := range c.KernelWidth {
					col := (ky*c.KernelWidth+kx)*c.OutChannels + co
					s.aOff = append(s.aOff, 0)
					s.bOff = append(s.bOff, ((iy-top)*n.width+col)*n.plane+n.left+kx*c.DilationX-c.PadLeft)
				}
			}
			t.aOff, t.bOff = s.aOff, s.bOff
			sum := row
			if c.OutPitch == 1 {
				sum = out[:c.OutWidth]
			}
			for x := 0; x < c.OutWidth; {
				v := min(most, (c.OutWidth-x+lanes-1)/lanes)
				t.lanes = min(lanes, c.OutWidth-x-(v-1)*lanes)
				t.a, t.b, t.c = s.ones, planes[min(len(planes), x):], sum[x:]
				c.set.run(t, 1, v)
				x += v * lanes
			}
			if c.OutPitch != 1 {
				for x, v := range row {
					out[x*c.OutPitch+co] = v
				}
			}
		}
	}
}

// narrowPlanes multiplies a row of the image and writes its plane rows.
func (r *forwardCall) narrowPlanes(planes, row []float32, s *scratch) {
	c, n := r.plan, r.plan.narrow
	product := s.buffer(2, n.groups*lanes*n.width)
	clear(product[c.InWidth*n.width:]) // pixels beyond the end
	t := &s.tile
	s.aOff, s.bOff = append(s.aOff[:0], 0), append(s.bOff[:0], 0)
	t.aOff, t.bOff = s.aOff, s.bOff
	t.runLen, t.aRow, t.aCol, t.cRow, t.lanes, t.add = c.InChannels, c.InPitch, 1, n.width, lanes, 0
	packed, col := r.packed, 0
	for _, v := range n.panels {
		t.bRow = v * lanes
		t.a, t.b, t.c = row, packed, product[col:]
		c.set.runRows(t, c.InWidth, v)
		packed = packed[c.InChannels*t.bRow:]
		col += v * lanes
	}
	for col := range c.KernelHeight * c.KernelWidth * c.OutChannels {
		p := planes[col*n.plane:][:n.plane]
		clear(p[:n.left])
		clear(p[n.left+n.groups*lanes:])
	}
	for g := range n.groups {
		pack(planes[n.left+g*lanes:], n.plane, product, g*lanes*n.width, 1, n.width, n.width, lanes, false)
	}
}
