package kernel

import (
	"os"
	"sync/atomic"
)

// WinogradEnv is the environment variable that switches Winograd convolutions off when it is "off".
const WinogradEnv = "DATADROPOUT_CPU_WINOGRAD"

// winogradMode says when ConvForward takes the Winograd way.
type winogradMode int32

const (
	winogradOff  winogradMode = iota
	winogradAuto              // where it is faster
	winogradAll               // wherever it is possible, at any level: for tests
)

var winograd atomic.Int32

func init() {
	SetWinograd(os.Getenv(WinogradEnv) != "off")
}

// SetWinograd allows or forbids the Winograd way for the whole process and returns whether it was allowed. It must
// not be called while kernels run.
//
// Where it is allowed, [ConvForward] computes 3x3 convolutions of stride 1 with enough channels as
// F(4x4, 3x3) of Lavin & Gray 2016 (arXiv:1509.09308, section 4), on AVX2 and AVX-512: 36 multiplications for 16
// outputs, where the direct way needs 144. [ConvWeightGrad] goes the adjoint way. F(2x2, 3x3) would need 64, for
// an accuracy that training has no use for. Results differ from the direct kernel's by no more than 1e-4 of the
// largest output on random data (measured: 3e-6 at 32 channels, 1.1e-5 at 256, 1e-6 for weight gradients); an
// infinity or a NaN in the input spreads over the 4x4 blocks of outputs that it meets.
func SetWinograd(on bool) bool {
	mode := winogradOff
	if on {
		mode = winogradAuto
	}
	return setWinogradMode(mode) != winogradOff
}

func setWinogradMode(m winogradMode) winogradMode { return winogradMode(winograd.Swap(int32(m))) }

// Sizes of F(4x4, 3x3).
const (
	winogradOut   = 4                           // outputs of a tile along an axis
	winogradTile  = 6                           // inputs
	winogradCells = winogradTile * winogradTile // products
)

// winogradMemory is the number of floats of transformed input that a task keeps: half of a second level of cache.
const winogradMemory = 128 << 10

// winogradPlan is the partition of a Winograd convolution. A task transforms some tiles of 6 by 6 pixels (they
// overlap by 2) into 36 matrices of [tiles, InChannels], multiplies each by the matrix of its cell of
// the transformed kernel, [InChannels, OutChannels], panel by panel, and transforms the products to 4 by 4 pixels of
// output.
type winogradPlan struct {
	rows, columns  int // tiles of an image
	total          int // tiles
	tiles, tasks   int // tiles of a task
	inVectors      int // of input channels
	outVectors     int // of output channels
	input, product int // floats of a matrix of a task's transformed input and product
	widest         int // floats of the widest panel
	chunk, chunks  int // input channels of a task that transforms the kernel, and their number
}

// winogradPossible says whether c has the form that F(4x4, 3x3) computes.
func (c *Conv) winogradPossible() bool {
	if c.KernelHeight != 3 || c.KernelWidth != 3 || c.StrideY != 1 || c.StrideX != 1 ||
		c.DilationY != 1 || c.DilationX != 1 || c.InDilationY != 1 || c.InDilationX != 1 || c.InChannels == 0 {
		return false
	}
	// An output that meets nothing but padding would be rounding errors of its neighbors instead of zero.
	return c.PadTop <= 2 && c.PadLeft <= 2 && c.OutHeight <= c.InHeight+c.PadTop && c.OutWidth <= c.InWidth+c.PadLeft
}

// winogradTiles counts tiles and vectors.
func (c *Conv) winogradTiles() *winogradPlan {
	w := &winogradPlan{
		rows: (c.OutHeight + winogradOut - 1) / winogradOut, columns: (c.OutWidth + winogradOut - 1) / winogradOut,
		inVectors: (c.InChannels + lanes - 1) / lanes, outVectors: (c.OutChannels + lanes - 1) / lanes,
	}
	w.total = c.Batch * w.rows * w.columns
	return w
}

// winogradPlan returns nil where Winograd is impossible or the direct way is faster.
func (c *Conv) winogradPlan(set *tileSet, mode winogradMode) *winogradPlan {
	if mode == winogradOff || !c.winogradPossible() {
		return nil
	}
	w := c.winogradTiles()
	step := set.maxRows[min(2, set.maxVectors())] // rows of a register tile, or of two low ones
	step *= max(1, 14/step)
	width := w.inVectors * lanes
	w.tiles = step * min(4, max(1, winogradMemory/(winogradCells*step*width)))
	for w.tiles > step && w.total < 8*w.tiles {
		w.tiles -= step
	}
	w.tasks = (w.total + w.tiles - 1) / w.tiles
	w.tiles = (w.total + w.tasks - 1) / w.tasks
	w.tasks = (w.total + w.tiles - 1) / w.tiles
	if mode == winogradAuto && (w.total < 4*step || !c.winogradFaster(w, set.winograd)) {
		return nil
	}
	for _, v := range set.panels(c.OutChannels, w.tiles) {
		w.widest = max(w.widest, v*lanes)
	}
	// One cache line more keeps the 36 matrices from competing for the same sets of a cache.
	w.input = w.tiles*width + lanes
	w.product = w.tiles*w.widest + lanes
	w.chunk = min(c.InChannels, 32)
	w.chunks = (c.InChannels + w.chunk - 1) / w.chunk
	return w
}

// winogradCosts are cycles that were measured: of a transform of a vector of channels and of what the direct way has not either.
type winogradCosts struct {
	multiply float64 // an input channel by a vector of output channels
	// Forward.
	input, output, kernel float64
	near, far             float64 // to fetch a float of a transformed kernel that the third level of cache holds, or does not
	// Of a weight gradient.
	gradientInput, gradient, taps float64
	add                           float64 // the sum of a group
}

var (
	winogradAVX512 = winogradCosts{
		multiply: 1. / 2, input: 150, output: 130, kernel: 400, near: 0.1, far: 1.5,
		gradientInput: 170, gradient: 120, taps: 400, add: 60,
	}
	winogradAVX2 = winogradCosts{
		multiply: 1, input: 330, output: 280, kernel: 800, near: 0.1, far: 1.5,
		gradientInput: 330, gradient: 250, taps: 800, add: 120,
	}
)

// winogradFaster estimates cycles and says whether the direct way needs clearly more. Without costs it is.
func (c *Conv) winogradFaster(w *winogradPlan, costs *winogradCosts) bool {
	if costs == nil {
		return false
	}
	const nearFloats = 3 << 20 // of a transformed kernel that a third level of cache holds
	in, out, tiles := float64(w.inVectors), float64(w.outVectors), float64(w.total)
	multiply := float64(c.InChannels) * out * costs.multiply // of one pixel by one tap
	floats := winogradCells * float64(c.InChannels) * out * lanes
	fetch := costs.near
	if floats > nearFloats {
		fetch = costs.far
	}
	cycles := tiles*(winogradCells*multiply+costs.input*in+costs.output*out) + float64(c.InChannels)*out*costs.kernel +
		float64(w.tasks)*floats*fetch
	direct := float64(c.Batch*c.OutHeight*c.OutWidth*9) * multiply
	return cycles < 0.85*direct
}

// winogradPack transforms the kernel of one panel and some input channels, to 36 matrices of [InChannels, 16 columns a
// vector] for each panel.
func (r *forwardCall) winogradPack(task int, s *scratch) {
	c, n := r.plan, r.plan.winograd
	i := task / n.chunks
	col := 0
	for _, v := range c.panels[:i] {
		col += v * lanes
	}
	width := c.panels[i] * lanes
	first := task % n.chunks * n.chunk
	rows := min(n.chunk, c.InChannels-first)
	matrix := n.chunk*width + lanes
	taps := s.buffer(0, 9*matrix)
	columns := min(width, c.OutChannels-col)
	for ky := range 3 {
		for kx := range 3 {
			src := c.Kernel.Offset + ky*c.Kernel.Y + kx*c.Kernel.X + first*c.Kernel.In + col*c.Kernel.Out
			pack(taps[(3*ky+kx)*matrix:], width, r.kernel, src, c.Kernel.In, c.Kernel.Out, rows, columns, true)
		}
	}
	dst := r.packed[c.winogradPanel(i, col)+first*width:]
	winogradKernel(dst, taps, c.InChannels*width+lanes, matrix, rows*width/lanes, lanes)
}

// winogradPanel returns where the transformed kernel of panel i begins, whose first column is col. Its 36 matrices
// are a cache line apart.
func (c *Conv) winogradPanel(i, col int) int { return winogradCells * (c.InChannels*col + lanes*i) }

// winogradTask computes the outputs of some tiles.
func (r *forwardCall) winogradTask(task int, s *scratch) {
	c, n := r.plan, r.plan.winograd
	first := task * n.tiles
	count := min(n.tiles, n.total-first)
	input := s.buffer(0, winogradCells*n.input)
	c.winogradInputs(n, input, r.in, first, count, s)

	product := s.buffer(1, winogradCells*n.product)
	t := &s.tile
	s.aOff, s.bOff = append(s.aOff[:0], 0), append(s.bOff[:0], 0)
	t.aOff, t.bOff = s.aOff, s.bOff
	t.runLen, t.aRow, t.aCol, t.lanes, t.add = c.InChannels, n.inVectors*lanes, 1, lanes, 0
	col := 0
	for i, v := range c.panels {
		width := v * lanes
		t.bRow, t.cRow = width, width
		packed := r.packed[c.winogradPanel(i, col):]
		for cell := range winogradCells {
			t.a, t.b, t.c = input[cell*n.input:], packed[cell*(c.InChannels*width+lanes):], product[cell*n.product:]
			c.set.runRows(t, count, v)
		}
		r.winogradOutputs(product, first, count, col, v, s)
		col += width
	}
}

// winogradInputs transforms the input of count tiles.
func (c *Conv) winogradInputs(n *winogradPlan, dst, in []float32, first, count int, s *scratch) {
	tmp := s.buffer(2, winogradCells*lanes)
	last := c.InChannels - (n.inVectors-1)*lanes
	at := n.cursor(first)
	for i := range count {
		y, x := at.row*winogradOut-c.PadTop, at.column*winogradOut-c.PadLeft
		winogradInput(dst[i*n.inVectors*lanes:], tmp, in, ((at.image*c.InHeight+y)*c.InWidth+x)*c.InPitch, n.input,
			c.InWidth*c.InPitch, c.InPitch, n.inVectors, last, inside(y, c.InHeight), inside(x, c.InWidth))
		at.next(n)
	}
}

// inside has a bit for each of the positions from first on that a tile reads: set if it lies in [0, size).
func inside(first, size int) uint {
	bits := uint(1<<winogradTile - 1)
	if last := size - first; last < winogradTile {
		bits &= 1<<max(0, last) - 1
	}
	return bits >> max(0, -first) << max(0, -first)
}

// winogradOutputs transforms the products of count tiles to v vectors of output channels from col.
func (r *forwardCall) winogradOutputs(product []float32, first, count, col, v int, s *scratch) {
	c, n := r.plan, r.plan.winograd
	const tile = winogradOut
	width := v * lanes
	edge := s.buffer(2, tile*tile*n.widest)
	last := min(lanes, c.OutChannels-col-(v-1)*lanes)
	channels := width - lanes + last
	at := n.cursor(first)
	for i := range count {
		y, x := at.row*tile, at.column*tile
		out := r.out[((at.image*c.OutHeight+y)*c.OutWidth+x)*c.OutPitch+col:]
		src := product[i*width:]
		if height, across := min(tile, c.OutHeight-y), min(tile, c.OutWidth-x); height == tile && across == tile {
			winogradOutput(out, src, n.product, c.OutWidth*c.OutPitch, c.OutPitch, v, last)
		} else {
			winogradOutput(edge, src, n.product, tile*width, width, v, last)
			for k := range height {
				for j := range across {
					copy(out[(k*c.OutWidth+j)*c.OutPitch:][:channels], edge[(k*tile+j)*width:])
				}
			}
		}
		at.next(n)
	}
}

// tileCursor is the place of a tile.
type tileCursor struct{ image, row, column int }

func (n *winogradPlan) cursor(tile int) tileCursor {
	row := tile / n.columns
	return tileCursor{row / n.rows, row % n.rows, tile % n.columns}
}

func (t *tileCursor) next(n *winogradPlan) {
	if t.column++; t.column == n.columns {
		t.column = 0
		if t.row++; t.row == n.rows {
			t.row, t.image = 0, t.image+1
		}
	}
}

// edgeTile copies size by size pixels from (y, x) of an image densely to dst, zero outside the image.
func edgeTile(dst, image []float32, size, y, x, height, width, pitch, channels int) {
	for k := range size {
		line := dst[k*size*channels:][:size*channels]
		if y+k < 0 || y+k >= height {
			clear(line)
			continue
		}
		padRow(line, image[(y+k)*width*pitch:], x, x+size-1, width, pitch, channels)
	}
}
