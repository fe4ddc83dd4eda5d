package cpu

import (
	"slices"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// program evaluates elementwise expressions of float32 and bool values tile by tile: a tile of every intermediate
// result stays in the first-level cache, and only the inputs and the results that others need touch memory.
//
// A register holds one tile of a value, or one number that stands for all elements. Loads fill registers from
// memory, instructions compute one register from others; registers of results lie in memory instead of scratch.
type program struct {
	n       int // elements of every value
	tile    int // elements of a tile
	perPart int // tiles of a part
	loads   []load
	code    []instruction
	regs    []register
	sinks   []*sink
	floats  int // float tiles in scratch memory
	bools   int // bool tiles in scratch memory
}

// register says where a register lies, and what it holds.
type register struct {
	kind   registerKind
	isBool bool
	tile   int // number of the scratch tile
	mem    ref // in memory: the whole array, or the one number
}

type registerKind uint8

const (
	inScratch registerKind = iota
	inMemory               // the tile lies where the array does
	isScalar               // one float for all elements
)

// load fills a scratch register from an array that is not walked element by element.
type load struct {
	reg     int
	slot    int
	off     int // elements
	dims    []int
	strides []int
	once    bool // the same for all tiles
}

// instruction computes register dst.
type instruction struct {
	do           func(t *tileState, c *instruction)
	dst, a, b, c int
	binary       kernel.BinaryOp
	unary        kernel.UnaryOp
	compare      kernel.CompareOp
	plain        any // a function of vec.go
}

// tileState is where the registers are while a tile is evaluated.
type tileState struct {
	f [maxRegisters][]float32
	m [maxRegisters][]bool
	s [maxRegisters]float32

	sums [maxSinks]float64 // of sinks
}

const (
	baseTile  = 1024
	partTiles = 16
	// maxRegisters bounds the size of a program.
	maxRegisters = 96
	// maxSinks bounds the number of its sums.
	maxSinks = 8
)

func (g *program) parts() int {
	tiles := (g.n + g.tile - 1) / g.tile
	return (tiles + g.perPart - 1) / g.perPart
}

// period is the number of elements after which rows that are broadcast and sums begin again.
func (g *program) period() int {
	period := 1
	for _, k := range g.sinks {
		period = max(period, k.inner) // those that are not 1 are equal
	}
	for _, l := range g.loads {
		if p := l.period(); p > 0 {
			if both := leastCommonMultiple(period, p); both <= 2*baseTile {
				period = both
			}
		}
	}
	return period
}

// choosePartition sets the tile so that the rows that are broadcast look the same in every tile.
func (g *program) choosePartition() {
	period := g.period()
	g.setPartition(max(period, baseTile/period*period), partTiles)
}

// partitionByImage makes every part one of the given number of equal parts, and says whether there are tiles for that.
func (g *program) partitionByImage(images int) bool {
	size, period := g.n/images, g.period()
	for perPart := (size + baseTile - 1) / baseTile; size/perPart >= baseTile/4; perPart++ {
		if tile := size / perPart; tile*perPart == size && tile%period == 0 {
			g.setPartition(tile, perPart)
			return true
		}
	}
	return false
}

func (g *program) setPartition(tile, perPart int) {
	g.tile, g.perPart = tile, perPart
	for i := range g.loads {
		p := g.loads[i].period()
		g.loads[i].once = p > 0 && g.tile%p == 0
	}
}

func leastCommonMultiple(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// period is the number of elements after which what is loaded repeats, or 0.
func (l *load) period() int {
	switch {
	case !slices.ContainsFunc(l.strides, func(s int) bool { return s != 0 }):
		return 1
	case len(l.dims) == 2 && l.strides[0] == 0:
		return l.dims[1]
	}
	return 0
}

// part evaluates the tiles of one part.
func (g *program) part(r *run, i, worker int) {
	lo := i * g.perPart * g.tile
	end := min(g.n, lo+g.perPart*g.tile)
	scratch := r.floats(worker, g.floats*g.tile+(g.bools*g.tile+3)/4)
	masks := typed[bool](asBytes(scratch[g.floats*g.tile:]))
	t := r.tileState(worker)
	for k := range g.regs {
		if g.regs[k].kind == isScalar {
			t.s[k] = r.f32(g.regs[k].mem)[0]
		}
	}
	t.sums = [maxSinks]float64{}
	first := true
	for ; lo < end; lo += g.tile {
		hi := min(lo+g.tile, end)
		m := hi - lo
		for k := range g.regs {
			reg := &g.regs[k]
			switch {
			case reg.kind == isScalar:
			case reg.kind == inScratch && reg.isBool:
				t.m[k] = masks[reg.tile*g.tile:][:m]
			case reg.kind == inScratch:
				t.f[k] = scratch[reg.tile*g.tile:][:m]
			case reg.isBool:
				t.m[k] = typed[bool](r.bytes(reg.mem))[lo:hi]
			default:
				t.f[k] = r.f32(reg.mem)[lo:hi]
			}
		}
		for k := range g.loads {
			l := &g.loads[k]
			switch {
			case l.once && !first:
			case g.regs[l.reg].isBool:
				fillPattern(l, t.m[l.reg], typed[bool](r.mem[l.slot]), lo)
			default:
				fillPattern(l, t.f[l.reg], typed[float32](r.mem[l.slot]), lo)
			}
		}
		ahead := 0
		for k := range g.code {
			if hi < end {
				ahead = g.prefetch(r, ahead, hi, min(hi+g.tile, end))
			}
			c := &g.code[k]
			c.do(t, c)
		}
		for k, s := range g.sinks {
			s.add(r, t, k, i, first)
		}
		first = false
	}
	for k, s := range g.sinks {
		s.end(r, t, k, i)
	}
}

// prefetch asks for elements lo to hi of the first register from number k on that lies in memory, and returns the number
// of the one behind it: one register an instruction, so that the next tile arrives while this one is computed.
func (g *program) prefetch(r *run, k, lo, hi int) int {
	for ; k < len(g.regs); k++ {
		if reg := &g.regs[k]; reg.kind == inMemory && !reg.isBool {
			kernel.Prefetch(r.bytes(reg.mem)[4*lo : 4*hi])
			return k + 1
		}
	}
	return k
}

// fillPattern loads the elements lo, lo+1, ... of the pattern.
func fillPattern[T float32 | bool](l *load, dst, src []T, lo int) {
	last := len(l.dims) - 1
	var index [16]int
	at := l.off
	for axis, rest := last, lo; axis >= 0; axis-- {
		index[axis] = rest % l.dims[axis]
		rest /= l.dims[axis]
		at += index[axis] * l.strides[axis]
	}
	stride := l.strides[last]
	for len(dst) > 0 {
		n := min(len(dst), l.dims[last]-index[last])
		switch stride {
		case 1:
			copy(dst[:n], src[at:at+n])
		case 0:
			x := src[at]
			for i := range dst[:n] {
				dst[i] = x
			}
		default:
			s := at
			for i := range dst[:n] {
				dst[i] = src[s]
				s += stride
			}
		}
		dst = dst[n:]
		at += n * stride
		index[last] += n
		for axis := last; axis > 0 && index[axis] == l.dims[axis]; axis-- {
			at -= index[axis] * l.strides[axis]
			index[axis] = 0
			index[axis-1]++
			at += l.strides[axis-1]
		}
	}
}

// The instructions.

func doBinary(t *tileState, c *instruction) { kernel.Binary(c.binary, t.f[c.dst], t.f[c.a], t.f[c.b]) }

func doBinaryScalar(t *tileState, c *instruction) {
	kernel.BinaryScalar(c.binary, t.f[c.dst], t.f[c.a], t.s[c.b])
}

func doScalarBinary(t *tileState, c *instruction) {
	kernel.ScalarBinary(c.binary, t.f[c.dst], t.s[c.a], t.f[c.b])
}

func doUnary(t *tileState, c *instruction) { kernel.Unary(c.unary, t.f[c.dst], t.f[c.a]) }

func doCompare(t *tileState, c *instruction) {
	kernel.Compare(c.compare, t.m[c.dst], t.f[c.a], t.f[c.b])
}

func doCompareScalar(t *tileState, c *instruction) {
	kernel.CompareScalar(c.compare, t.m[c.dst], t.f[c.a], t.s[c.b])
}

func doSelect(t *tileState, c *instruction) {
	kernel.Select(t.f[c.dst], t.m[c.a], t.f[c.b], t.f[c.c])
}

func doSelectElse(t *tileState, c *instruction) {
	kernel.SelectElse(t.f[c.dst], t.m[c.a], t.f[c.b], t.s[c.c])
}

func doSelectScalar(t *tileState, c *instruction) {
	kernel.SelectScalar(t.f[c.dst], t.m[c.a], t.s[c.b], t.f[c.c])
}

func doSelectScalars(t *tileState, c *instruction) {
	kernel.SelectScalars(t.f[c.dst], t.m[c.a], t.s[c.b], t.s[c.c])
}

func doSelectBools(t *tileState, c *instruction) {
	dst, mask, a, b := t.m[c.dst], t.m[c.a], t.m[c.b], t.m[c.c]
	for i := range dst {
		if mask[i] {
			dst[i] = a[i]
		} else {
			dst[i] = b[i]
		}
	}
}

func doPlainUnary(t *tileState, c *instruction) {
	c.plain.(func(dst, x []float32))(t.f[c.dst], t.f[c.a])
}

func doPlainBinary(t *tileState, c *instruction) {
	c.plain.(func(dst, a, b []float32))(t.f[c.dst], t.f[c.a], t.f[c.b])
}

func doPredicate(t *tileState, c *instruction) {
	c.plain.(func(dst []bool, x []float32))(t.m[c.dst], t.f[c.a])
}

func doLogic(t *tileState, c *instruction) {
	c.plain.(func(dst, a, b []bool))(t.m[c.dst], t.m[c.a], t.m[c.b])
}

func doNot(t *tileState, c *instruction) { invert(t.m[c.dst], t.m[c.a]) }

// doFromBool is ConvertDType from bool to float32, doToBool the other way.
func doFromBool(t *tileState, c *instruction) { kernel.SelectScalars(t.f[c.dst], t.m[c.a], 1, 0) }

func doToBool(t *tileState, c *instruction) {
	kernel.CompareScalar(kernel.NotEqual, t.m[c.dst], t.f[c.a], 0)
}

// doIndicator is 1 where a >= 0, 0 where a < 0, and a where it is NaN; register b is scratch for masks. The result may
// lie where a does.
func doIndicator(t *tileState, c *instruction) {
	dst, mask := t.f[c.dst], t.m[c.b]
	if m := kernel.Largest(t.f[c.a]); m == m { // no NaN
		kernel.CompareScalar(kernel.Less, mask, t.f[c.a], 0)
		kernel.SelectScalars(dst, mask, 0, 1)
		return
	}
	kernel.CompareScalar(kernel.GreaterEqual, mask, t.f[c.a], 0)
	kernel.SelectScalar(dst, mask, 1, t.f[c.a])
	kernel.CompareScalar(kernel.Less, mask, dst, 0)
	kernel.SelectScalar(dst, mask, 0, dst)
}

// doFill spreads a scalar.
func doFill(t *tileState, c *instruction) {
	dst, x := t.f[c.dst], t.s[c.a]
	for i := range dst {
		dst[i] = x
	}
}
