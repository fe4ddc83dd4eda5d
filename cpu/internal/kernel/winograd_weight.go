package kernel

// winogradWeight is the partition of a weight gradient that goes the Winograd way, the adjoint of the forward way: a
// tile of 6 by 6 pixels of the input and one of 4 by 4 of the output's gradient become 36 matrices each; the
// products of the former, transposed, with the latter add up over all tiles, [InChannels, OutChannels] for each of
// 36 cells; and the sum becomes 3 by 3 taps. Groups of tiles have their own sums, which are added in order.
type winogradWeight struct {
	winogradPlan
	blocks     int // of tiles
	groups     int // of blocks
	parts      int // of the output channels: tasks of a group
	partWidth  int // floats of a part, the last one excepted
	width      int // columns of a sum: whole vectors
	sum        int // floats of a cell of a sum
	gradient   int // floats of a matrix of a task's transformed gradient
	reduceRows int // input channels of a task of the last sum
}

// Sizes of a Winograd weight gradient.
const (
	winogradSumFloats = 600 << 10 // of the part of a sum that a task adds to, about
	winogradReduce    = 1 << 10   // floats of a cell that a task of the last sum takes, about
)

// winogradWeight returns nil where Winograd is impossible or the direct way is faster.
func (c *Conv) winogradWeight(set *tileSet, mode winogradMode) *winogradWeight {
	if mode == winogradOff || !c.winogradPossible() || c.Batch*c.OutHeight*c.OutWidth*c.OutChannels == 0 {
		return nil
	}
	w := &winogradWeight{winogradPlan: *c.winogradTiles()}
	in := w.inVectors * lanes
	w.width = w.outVectors * lanes
	w.tiles = min(w.total, max(56, min(112, winogradMemory/(winogradCells*in)/28*28)))
	w.blocks = (w.total + w.tiles - 1) / w.tiles
	w.parts = min((w.outVectors+1)/2, max(1, (winogradCells*c.InChannels*w.width+winogradSumFloats/2)/winogradSumFloats))
	w.partWidth = ((w.outVectors+w.parts-1)/w.parts + 1) / 2 * 2 * lanes
	w.parts = (w.width + w.partWidth - 1) / w.partWidth
	w.sum = c.InChannels*w.width + lanes
	w.groups = max(1, min(weightGroups, partialFloats/(winogradCells*w.sum), w.blocks))
	w.input = w.tiles*in + lanes
	w.gradient = w.tiles*w.partWidth + lanes
	w.reduceRows = max(1, winogradReduce/w.width)
	if mode == winogradAuto && !c.winogradWeightFaster(w, set.winograd) {
		return nil
	}
	return w
}

// winogradWeightFaster estimates cycles and says whether the direct way needs clearly more.
func (c *Conv) winogradWeightFaster(w *winogradWeight, costs *winogradCosts) bool {
	if costs == nil {
		return false
	}
	in, out, tiles := float64(w.inVectors), float64(w.outVectors), float64(w.total)
	multiply := float64(c.InChannels) * out * costs.multiply
	cycles := tiles*(1.2*winogradCells*multiply+costs.gradientInput*in*float64(w.parts)+costs.gradient*out) +
		float64(c.InChannels)*out*(costs.taps+costs.add*float64(w.groups))
	direct := float64(c.Batch*c.OutHeight*c.OutWidth*9) * multiply
	return w.groups*w.parts >= 4 && cycles < 0.7*direct
}

// winogradTask adds up one group's tiles for some of the output channels.
func (r *weightCall) winogradTask(task int, s *scratch) {
	c, n := &r.plan.given, r.plan.winograd
	group, part := task/n.parts, task%n.parts
	from, to := n.blocks*group/n.groups, n.blocks*(group+1)/n.groups
	col := part * n.partWidth
	width := min(n.partWidth, n.width-col)
	channels := min(width, c.OutChannels-col)
	sum := r.partial[group*winogradCells*n.sum:][:winogradCells*n.sum]
	input := s.buffer(0, winogradCells*n.input)
	gradient := s.buffer(1, winogradCells*n.gradient)
	t := &s.tile
	s.aOff, s.bOff = append(s.aOff[:0], 0), append(s.bOff[:0], 0)
	for block := from; block < to; block++ {
		first := block * n.tiles
		count := min(n.tiles, n.total-first)
		c.winogradInputs(&n.winogradPlan, input, r.in, first, count, s)
		c.winogradGradients(n, gradient, r.dout, first, count, col, channels, width, s)
		t.aOff, t.bOff = s.aOff, s.bOff
		t.runLen, t.aRow, t.aCol, t.bRow, t.cRow, t.lanes = count, 1, n.inVectors*lanes, width, n.width, lanes
		t.add = min(1, block-from)
		for cell := range winogradCells {
			for at := 0; at < width; {
				v := r.plan.set.panelVectors((width-at)/lanes, c.InChannels)
				t.a, t.b, t.c = input[cell*n.input:], gradient[cell*n.gradient+at:], sum[cell*n.sum+col+at:]
				r.plan.set.runRows(t, c.InChannels, v)
				at += v * lanes
			}
		}
	}
}

// winogradGradients transforms the gradient of the output in count tiles, for some channels from col.
func (c *Conv) winogradGradients(n *winogradWeight, dst, dout []float32, first, count, col, channels, width int, s *scratch) {
	const tile = winogradOut
	edge := s.buffer(2, tile*tile*n.partWidth)
	vectors := width / lanes
	last := channels - (vectors-1)*lanes
	at := n.cursor(first)
	for i := range count {
		y, x := at.row*tile, at.column*tile
		src, row, pixel := edge, tile*channels, channels
		if y+tile <= c.OutHeight && x+tile <= c.OutWidth {
			src = dout[((at.image*c.OutHeight+y)*c.OutWidth+x)*c.OutPitch+col:]
			row, pixel = c.OutWidth*c.OutPitch, c.OutPitch
		} else {
			image := dout[at.image*c.OutHeight*c.OutWidth*c.OutPitch+col:]
			edgeTile(edge, image, tile, y, x, c.OutHeight, c.OutWidth, c.OutPitch, channels)
		}
		winogradSpread(dst[i*width:], src, n.gradient, row, pixel, vectors, last)
		at.next(&n.winogradPlan)
	}
}

// winogradReduce adds the groups in their order and lays out the gradient, for some input channels.
func (r *weightCall) winogradReduce(task int, s *scratch) {
	c, n := &r.plan.given, r.plan.winograd
	first := task * n.reduceRows
	rows := min(n.reduceRows, c.InChannels-first)
	size := rows * n.width
	sum := r.partial[first*n.width:]
	for g := 1; g < n.groups; g++ {
		more := r.partial[g*winogradCells*n.sum+first*n.width:]
		for cell := range winogradCells {
			x := sum[cell*n.sum:][:size]
			Binary(Add, x, x, more[cell*n.sum:][:size])
		}
	}
	taps := s.buffer(0, 9*(size+lanes))
	winogradTaps(taps, sum, size+lanes, n.sum, size/lanes, lanes)
	for tap := range 9 {
		for i := range rows {
			row := taps[tap*(size+lanes)+i*n.width:][:c.OutChannels]
			at := c.Kernel.Offset + tap/3*c.Kernel.Y + tap%3*c.Kernel.X + (first+i)*c.Kernel.In
			if c.Kernel.Out == 1 {
				copy(r.dkernel[at:], row)
				continue
			}
			for _, x := range row {
				r.dkernel[at] = x
				at += c.Kernel.Out
			}
		}
	}
}
