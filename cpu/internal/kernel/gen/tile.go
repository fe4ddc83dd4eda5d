package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.tile (checked by a test there).
const (
	tileA      = 0
	tileB      = 24
	tileC      = 48
	tileAOff   = 72
	tileRuns   = 80 // length of aOff
	tileBOff   = 96
	tileRunLen = 120
	tileARow   = 128
	tileACol   = 136
	tileBRow   = 144
	tileCRow   = 152
	tileTiles  = 160
	tileLanes  = 168
	tileAdd    = 176
)

// Register tiles: at most maxRows512[v] rows by v vectors of 16 floats.
var maxRows512 = [5]int{0, 28, 14, 9, 6}

const maxRowsAVX2 = 6 // by 16 columns in two vectors of 8

var zmm = []reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

var ymm = []reg.VecPhysical{
	reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
	reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
}

// rowsOfA addresses row m of A with few registers: pointers at rows 0, 1, 14 and 15, and the
// row stride times 1, 3 and 5 as an index that the address scales by 1, 2, 4 or 8.
type rowsOfA struct {
	c          *build.Context
	rows       int
	s1, s3, s5 reg.GPVirtual
	p          [4]reg.GPVirtual
}

func (r *rowsOfA) init(t reg.GPVirtual) {
	c := r.c
	r.s1 = c.GP64()
	c.MOVQ(Mem{Base: t, Disp: tileARow}, r.s1)
	c.SHLQ(U8(2), r.s1)
	if r.rows > 3 {
		r.s3 = c.GP64()
		c.LEAQ(Mem{Base: r.s1, Index: r.s1, Scale: 2}, r.s3)
	}
	if r.rows > 5 {
		r.s5 = c.GP64()
		c.LEAQ(Mem{Base: r.s1, Index: r.s1, Scale: 4}, r.s5)
	}
	for i := range r.pointers() {
		r.p[i] = c.GP64()
	}
}

func (r *rowsOfA) pointers() int {
	switch {
	case r.rows > 15:
		return 4
	case r.rows > 14:
		return 3
	case r.rows > 7:
		return 2
	}
	return 1
}

// set derives the pointers from p[0].
func (r *rowsOfA) set() {
	c := r.c
	n := r.pointers()
	if n > 1 {
		c.LEAQ(Mem{Base: r.p[0], Index: r.s1, Scale: 1}, r.p[1])
	}
	if n > 2 { // row 14 = 0 + 2*5 + 4*1
		c.LEAQ(Mem{Base: r.p[0], Index: r.s5, Scale: 2}, r.p[2])
		c.LEAQ(Mem{Base: r.p[2], Index: r.s1, Scale: 4}, r.p[2])
	}
	if n > 3 {
		c.LEAQ(Mem{Base: r.p[2], Index: r.s1, Scale: 1}, r.p[3])
	}
}

func (r *rowsOfA) advance(by reg.GPVirtual) {
	for i := range r.pointers() {
		r.c.ADDQ(by, r.p[i])
	}
}

func (r *rowsOfA) at(m int) Mem {
	group := 0
	if m >= 14 {
		group, m = 2, m-14
	}
	steps := map[int]struct {
		s reg.GPVirtual
		x uint8
	}{1: {r.s1, 1}, 2: {r.s1, 2}, 4: {r.s1, 4}, 8: {r.s1, 8}, 3: {r.s3, 1}, 6: {r.s3, 2}, 12: {r.s3, 4}, 5: {r.s5, 1}, 10: {r.s5, 2}}
	if m == 0 {
		return Mem{Base: r.p[group]}
	}
	if st, ok := steps[m]; ok {
		return Mem{Base: r.p[group], Index: st.s, Scale: st.x}
	}
	st := steps[m-1]
	return Mem{Base: r.p[group+1], Index: st.s, Scale: st.x}
}

// skeleton writes the loops shared by all register tiles:
//
//	for each of tiles { zero or load C; for each run { for each k { body } }; store C }
//
// loadB and so on get labels unique to the function by the prefix.
type skeleton struct {
	c      *build.Context
	rows   int
	prefix string
	zero   func()
	load   func(cPtr, cRow reg.GPVirtual) // C into the accumulators
	body   func(a *rowsOfA, b reg.GPVirtual)
	store  func(cPtr, cRow reg.GPVirtual)
}

func (s *skeleton) emit(t reg.GPVirtual) {
	c := s.c
	label := func(n string) string { return s.prefix + n }
	aBase, cBase, left := c.AllocLocal(8), c.AllocLocal(8), c.AllocLocal(8)

	a := &rowsOfA{c: c, rows: s.rows}
	a.init(t)
	aCol, bRow := c.GP64(), c.GP64()
	c.MOVQ(Mem{Base: t, Disp: tileACol}, aCol)
	c.SHLQ(U8(2), aCol)
	c.MOVQ(Mem{Base: t, Disp: tileBRow}, bRow)
	c.SHLQ(U8(2), bRow)
	tmp := c.GP64()
	c.MOVQ(Mem{Base: t, Disp: tileA}, tmp)
	c.MOVQ(tmp, aBase)
	c.MOVQ(Mem{Base: t, Disp: tileC}, tmp)
	c.MOVQ(tmp, cBase)
	c.MOVQ(Mem{Base: t, Disp: tileTiles}, tmp)
	c.MOVQ(tmp, left)

	c.Label(label("tile"))
	c.CMPQ(Mem{Base: t, Disp: tileAdd}, Imm(0))
	c.JNE(LabelRef(label("load")))
	s.zero()
	c.JMP(LabelRef(label("runs")))
	c.Label(label("load"))
	{
		cPtr, cRow := c.GP64(), c.GP64()
		c.MOVQ(cBase, cPtr)
		c.MOVQ(Mem{Base: t, Disp: tileCRow}, cRow)
		c.SHLQ(U8(2), cRow)
		s.load(cPtr, cRow)
	}
	c.Label(label("runs"))
	run := c.GP64()
	c.XORQ(run, run)
	c.Label(label("run"))
	c.CMPQ(run, Mem{Base: t, Disp: tileRuns})
	c.JGE(LabelRef(label("done")))
	b, off := c.GP64(), c.GP64()
	c.MOVQ(Mem{Base: t, Disp: tileAOff}, off)
	c.MOVQ(Mem{Base: off, Index: run, Scale: 8}, off)
	c.MOVQ(aBase, a.p[0])
	c.LEAQ(Mem{Base: a.p[0], Index: off, Scale: 4}, a.p[0])
	a.set()
	c.MOVQ(Mem{Base: t, Disp: tileBOff}, off)
	c.MOVQ(Mem{Base: off, Index: run, Scale: 8}, off)
	c.MOVQ(Mem{Base: t, Disp: tileB}, b)
	c.LEAQ(Mem{Base: b, Index: off, Scale: 4}, b)
	k := c.GP64()
	c.MOVQ(Mem{Base: t, Disp: tileRunLen}, k)
	c.Label(label("k"))
	s.body(a, b)
	a.advance(aCol)
	c.ADDQ(bRow, b)
	c.DECQ(k)
	c.JNZ(LabelRef(label("k")))
	c.INCQ(run)
	c.JMP(LabelRef(label("run")))

	c.Label(label("done"))
	cPtr, cRow := c.GP64(), c.GP64()
	c.MOVQ(cBase, cPtr)
	c.MOVQ(Mem{Base: t, Disp: tileCRow}, cRow)
	c.SHLQ(U8(2), cRow)
	s.store(cPtr, cRow)
	// cPtr now points past the tile's last row.
	c.MOVQ(cPtr, cBase)
	step := c.GP64()
	c.IMUL3Q(Imm(uint64(s.rows)), a.s1, step)
	c.ADDQ(step, aBase)
	c.DECQ(left)
	c.JNZ(LabelRef(label("tile")))
}

func tilesAVX512(c *build.Context, stubs *strings.Builder) {
	for v := 1; v < len(maxRows512); v++ {
		for rows := 1; rows <= maxRows512[v]; rows++ {
			tileAVX512(c, stubs, v, rows)
		}
	}
	fmt.Fprintf(stubs, "// tilesAVX512[v][rows] computes a tile of rows by v vectors of 16 columns.\nvar tilesAVX512 = [][]func(*tile){nil")
	for v := 1; v < len(maxRows512); v++ {
		fmt.Fprintf(stubs, ",\n\t{nil")
		for rows := 1; rows <= maxRows512[v]; rows++ {
			fmt.Fprintf(stubs, ", tile512x%dx%d", rows, v)
		}
		fmt.Fprintf(stubs, "}")
	}
	fmt.Fprintf(stubs, ",\n}\n\n")
}

func tileAVX512(c *build.Context, stubs *strings.Builder, v, rows int) {
	function(c, stubs, fmt.Sprintf("tile512x%dx%d", rows, v), "func(t *byte)", "func(t *tile)")
	c.Doc(fmt.Sprintf("A register tile of %d rows by %d vectors of 16 floats.", rows, v))
	t := c.GP64()
	c.Load(c.Param("t"), t)
	lanes, bits := c.GP64(), c.GP64()
	c.MOVQ(Mem{Base: t, Disp: tileLanes}, lanes)
	c.XORQ(bits, bits)
	c.BTSQ(lanes, bits)
	c.DECQ(bits)
	c.KMOVW(bits.As32(), reg.K1)
	acc := func(m, j int) reg.VecPhysical { return zmm[m*v+j] }
	bReg := func(j int) reg.VecPhysical { return zmm[rows*v+j] }
	free := zmm[rows*v+v:]
	eachC := func(cPtr, cRow reg.GPVirtual, f func(m, j int, at Mem)) {
		for m := range rows {
			for j := range v {
				f(m, j, Mem{Base: cPtr, Disp: 64 * j})
			}
			c.ADDQ(cRow, cPtr)
		}
	}
	s := &skeleton{c: c, rows: rows,
		zero: func() {
			for i := range rows * v {
				c.VPXORD(zmm[i], zmm[i], zmm[i])
			}
		},
		load: func(cPtr, cRow reg.GPVirtual) {
			eachC(cPtr, cRow, func(m, j int, at Mem) {
				if j == v-1 {
					c.VMOVUPS_Z(at, reg.K1, acc(m, j))
				} else {
					c.VMOVUPS(at, acc(m, j))
				}
			})
		},
		store: func(cPtr, cRow reg.GPVirtual) {
			eachC(cPtr, cRow, func(m, j int, at Mem) {
				if j == v-1 {
					c.VMOVUPS(acc(m, j), reg.K1, at)
				} else {
					c.VMOVUPS(acc(m, j), at)
				}
			})
		},
		body: func(a *rowsOfA, b reg.GPVirtual) {
			for j := range v {
				at := Mem{Base: b, Disp: 64 * j}
				if j == v-1 {
					c.VMOVUPS_Z(at, reg.K1, bReg(j))
				} else {
					c.VMOVUPS(at, bReg(j))
				}
			}
			for m := range rows {
				if v == 1 {
					c.VFMADD231PS_BCST(a.at(m), bReg(0), acc(m, 0))
					continue
				}
				x := free[m%min(len(free), 4)]
				c.VBROADCASTSS(a.at(m), x)
				for j := range v {
					c.VFMADD231PS(bReg(j), x, acc(m, j))
				}
			}
		},
	}
	s.emit(t)
	c.VZEROUPPER()
	c.RET()
}

func tilesAVX2(c *build.Context, stubs *strings.Builder) {
	mask := c.StaticGlobal("laneMask")
	c.DataAttributes(8 | 16) // RODATA|NOPTR
	for i := range 32 {
		x := int32(-1)
		if i >= 16 {
			x = 0
		}
		c.AddDatum(4*i, I32(x))
	}
	for rows := 1; rows <= maxRowsAVX2; rows++ {
		tileAVX2(c, stubs, mask, rows)
	}
	fmt.Fprintf(stubs, "// tilesAVX2[1][rows] computes a tile of rows by 16 columns.\nvar tilesAVX2 = [][]func(*tile){nil, {nil")
	for rows := 1; rows <= maxRowsAVX2; rows++ {
		fmt.Fprintf(stubs, ", tile256x%dx1", rows)
	}
	fmt.Fprintf(stubs, "}}\n\n")
}

func tileAVX2(c *build.Context, stubs *strings.Builder, mask Mem, rows int) {
	function(c, stubs, fmt.Sprintf("tile256x%dx1", rows), "func(t *byte)", "func(t *tile)")
	c.Doc(fmt.Sprintf("A register tile of %d rows by 16 floats in two vectors of 8.", rows))
	t := c.GP64()
	c.Load(c.Param("t"), t)
	acc := func(m, j int) reg.VecPhysical { return ymm[m*2+j] }
	b0, b1, x0, x1 := ymm[12], ymm[13], ymm[14], ymm[15]
	zero := func() {
		for i := range rows * 2 {
			c.VXORPS(ymm[i], ymm[i], ymm[i])
		}
	}
	each := func(cPtr, cRow reg.GPVirtual, f func(m, j int, at Mem)) {
		for m := range rows {
			for j := range 2 {
				f(m, j, Mem{Base: cPtr, Disp: 32 * j})
			}
			c.ADDQ(cRow, cPtr)
		}
	}
	multiply := func(a *rowsOfA) {
		for m := range rows {
			x := x0
			if m%2 == 1 {
				x = x1
			}
			c.VBROADCASTSS(a.at(m), x)
			c.VFMADD231PS(b0, x, acc(m, 0))
			c.VFMADD231PS(b1, x, acc(m, 1))
		}
	}
	c.CMPQ(Mem{Base: t, Disp: tileLanes}, Imm(16))
	c.JNE(LabelRef("masked"))
	full := &skeleton{c: c, rows: rows, prefix: "full_", zero: zero,
		load: func(cPtr, cRow reg.GPVirtual) {
			each(cPtr, cRow, func(m, j int, at Mem) { c.VMOVUPS(at, acc(m, j)) })
		},
		store: func(cPtr, cRow reg.GPVirtual) {
			each(cPtr, cRow, func(m, j int, at Mem) { c.VMOVUPS(acc(m, j), at) })
		},
		body: func(a *rowsOfA, b reg.GPVirtual) {
			c.VMOVUPS(Mem{Base: b}, b0)
			c.VMOVUPS(Mem{Base: b, Disp: 32}, b1)
			multiply(a)
		},
	}
	full.emit(t)
	c.VZEROUPPER()
	c.RET()

	c.Label("masked")
	// The masks live in memory next to the loops: the registers are taken.
	m0, m1 := c.AllocLocal(32), c.AllocLocal(32)
	table, lanes := c.GP64(), c.GP64()
	c.MOVQ(U32(16), lanes)
	c.SUBQ(Mem{Base: t, Disp: tileLanes}, lanes)
	c.LEAQ(mask, table)
	c.VMOVUPS(Mem{Base: table, Index: lanes, Scale: 4}, b0)
	c.VMOVUPS(b0, m0)
	c.VMOVUPS(Mem{Base: table, Index: lanes, Scale: 4, Disp: 32}, b0)
	c.VMOVUPS(b0, m1)
	useMasks := func() {
		c.VMOVUPS(m0, x0)
		c.VMOVUPS(m1, x1)
	}
	masks := [2]reg.VecPhysical{x0, x1}
	tail := &skeleton{c: c, rows: rows, prefix: "masked_", zero: zero,
		load: func(cPtr, cRow reg.GPVirtual) {
			useMasks()
			each(cPtr, cRow, func(m, j int, at Mem) { c.VMASKMOVPS(at, masks[j], acc(m, j)) })
		},
		store: func(cPtr, cRow reg.GPVirtual) {
			useMasks()
			each(cPtr, cRow, func(m, j int, at Mem) { c.VMASKMOVPS(acc(m, j), masks[j], at) })
		},
		body: func(a *rowsOfA, b reg.GPVirtual) {
			useMasks()
			c.VMASKMOVPS(Mem{Base: b}, x0, b0)
			c.VMASKMOVPS(Mem{Base: b, Disp: 32}, x1, b1)
			multiply(a)
		},
	}
	tail.emit(t)
	c.VZEROUPPER()
	c.RET()
}
