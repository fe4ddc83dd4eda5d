package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// winograd writes the transforms of F(4x4, 3x3) and of its weight gradient, each for vectors of 16 channels that follow each
// other; AVX2 takes them by halves. Matrix 6*j+i of a transformed tile belongs to row i and column j of the transformed
// domain.
func (v *vectors) winograd() {
	v.winogradInput()
	v.winogradKernel()
	v.winogradOutput()
	v.winogradSpread()
	v.winogradTaps()
}

// winogradMask is where the masks of the tail come from.
type winogradMask int

const (
	noMask   winogradMask = iota // all lanes count
	tailMask                     // those of the tail
)

// eachVector loops over the vectors of channels, of which the last one has only some lanes. body moves the pointers on; it may
// use tail masks where it is told to. It is written once for AVX-512, whose masks cost nothing, and twice for AVX2: for whole
// vectors and for others; partial may jump to the label tail where a whole vector needs masks, too.
func (v *vectors) eachVector(partial func(tail LabelRef), body func(mask winogradMask)) {
	last, left := v.param("last"), v.param("vectors")
	if v.wide {
		full := v.GP64()
		bits := v.GP64()
		v.XORQ(bits, bits)
		v.BTSQ(last, bits)
		v.DECQ(bits)
		v.MOVQ(U32(0xffff), full)
		v.Label("vector")
		v.CMPQ(left, Imm(1))
		v.CMOVQEQ(bits, full)
		v.KMOVW(full.As32(), v.tailK)
		body(tailMask)
		v.DECQ(left)
		v.JNZ(LabelRef("vector"))
		v.end()
		return
	}
	halves := v.GP64() // left
	v.MOVQ(left, halves)
	v.ADDQ(halves, halves)
	v.DECQ(left)
	v.SHLQ(Imm(4), left)
	v.ADDQ(last, left) // channels
	v.Label("vector")
	v.CMPQ(left, Imm(8))
	v.JLT(LabelRef("tail"))
	if partial != nil {
		partial("tail")
	}
	body(noMask)
	v.JMP(LabelRef("more"))
	v.Label("tail")
	n, limit := v.GP64(), v.GP64()
	v.MOVQ(left, n)
	v.XORQ(limit, limit)
	v.TESTQ(n, n)
	v.CMOVQLT(limit, n)
	v.MOVQ(U32(8), limit)
	v.CMPQ(n, limit)
	v.CMOVQGT(limit, n)
	v.lanesLeft(n)
	body(tailMask)
	v.Label("more")
	v.SUBQ(Imm(8), left)
	v.DECQ(halves)
	v.JNZ(LabelRef("vector"))
	v.end()
}

// grid keeps n vectors between the two halves of a transform: in registers, or on the stack where there are too few.
type grid struct {
	v     *vectors
	regs  []reg.VecVirtual
	stack Mem
}

func (v *vectors) grid(n int) *grid {
	g := &grid{v: v, regs: make([]reg.VecVirtual, n)}
	if !v.wide {
		v.Attributes(0) // too large a frame for NOSPLIT
		g.stack = v.AllocLocal(32 * n)
	}
	return g
}

func (g *grid) put(i int, x reg.VecVirtual) {
	if g.v.wide {
		g.regs[i] = x
		return
	}
	g.v.VMOVUPS(x, g.stack.Offset(32*i))
}

func (g *grid) get(i int) reg.VecVirtual {
	if g.v.wide {
		return g.regs[i]
	}
	return g.v.load(g.stack.Offset(32*i), false)
}

// six returns those from i on.
func (g *grid) six(i int) (x [6]reg.VecVirtual) {
	for k := range x {
		x[k] = g.get(i + k)
	}
	return x
}

// forward moves a pointer on by a vector.
func (v *vectors) forward(p reg.GPVirtual) { v.ADDQ(Imm(uint64(4*v.floats())), p) }

// copyOf returns a register with the content of x.
func (v *vectors) copyOf(x reg.VecVirtual) reg.VecVirtual {
	r := v.vec()
	v.VMOVAPS(x, r)
	return r
}

// minus returns z - x*y.
func (v *vectors) minus(z, x reg.VecVirtual, y Op) reg.VecVirtual {
	r := v.copyOf(z)
	v.VFNMADD231PS(y, x, r)
	return r
}

// plus returns z + x*y.
func (v *vectors) plus(z, x reg.VecVirtual, y Op) reg.VecVirtual {
	return v.addMul(v.copyOf(z), x, y)
}

// winogradInput writes the transform B' d B of a 6 by 6 tile of pixels, by rows and then by columns. Pixels in rows and
// columns whose bits are not set are zero, and not read. tmp holds 36 vectors.
func (v *vectors) winogradInput() {
	v.function("winogradInput", "func(dst, tmp, in *float32, at, matrix, row, pixel, vectors, last int, rows, columns uint)")
	dst, tmp, src := v.param("dst"), v.param("tmp"), v.param("in")
	v.ADDQ(v.stride("at"), src) // may lie before the image
	matrix, row, pixel := v.stride("matrix"), v.stride("row"), v.stride("pixel")
	pixel3, pixel5 := v.GP64(), v.GP64()
	v.LEAQ(Mem{Base: pixel, Index: pixel, Scale: 2}, pixel3)
	v.LEAQ(Mem{Base: pixel, Index: pixel, Scale: 4}, pixel5)
	rows, columns := v.param("rows"), v.param("columns")
	masks := v.columnMasks(columns)
	two, four, five := v.near(2), v.near(4), v.near(5)
	var zero reg.VecVirtual
	if v.wide {
		zero = v.zero()
	}
	transform := func(d [6]reg.VecVirtual) [6]reg.VecVirtual {
		a, b := v.minus(d[4], d[2], four), v.minus(d[3], d[1], four)
		c, e := v.sub(d[4], d[2]), v.sub(d[3], d[1])
		return [6]reg.VecVirtual{
			v.addMul(v.minus(d[4], d[2], five), d[0], four),
			v.add(a, b), v.sub(a, b),
			v.plus(c, e, two), v.minus(c, e, two),
			v.addMul(v.minus(d[5], d[3], five), d[1], four),
		}
	}
	size := 4 * v.floats()
	v.eachVector(masks.partial, func(mask winogradMask) {
		masks.prepare(mask)
		at, ahead := v.GP64(), v.GP64()
		v.MOVQ(src, at)
		for i := range 6 {
			outside, next := fmt.Sprintf("outside%d_%d", mask, i), fmt.Sprintf("next%d_%d", mask, i)
			v.BTQ(Imm(uint64(i)), rows)
			v.JCC(LabelRef(outside))
			var d [6]reg.VecVirtual
			v.LEAQ(Mem{Base: at, Index: pixel, Scale: 8}, ahead)
			for j, m := range []Mem{{Base: at}, {Base: at, Index: pixel, Scale: 1}, {Base: at, Index: pixel, Scale: 2},
				{Base: at, Index: pixel3, Scale: 1}, {Base: at, Index: pixel, Scale: 4}, {Base: at, Index: pixel5, Scale: 1}} {
				d[j] = masks.load(m, j, mask)
				if j >= 2 { // the same pixel two tiles on
					m.Base = ahead
					v.PREFETCHT0(m)
				}
			}
			for j, x := range transform(d) {
				v.VMOVUPS(x, Mem{Base: tmp, Disp: size * (6*j + i)})
			}
			v.JMP(LabelRef(next))
			v.Label(outside)
			if !v.wide {
				zero = v.zero()
			}
			for j := range d {
				v.VMOVUPS(zero, Mem{Base: tmp, Disp: size * (6*j + i)})
			}
			v.Label(next)
			v.ADDQ(row, at)
		}
		v.MOVQ(dst, at)
		for j := range 6 {
			var d [6]reg.VecVirtual
			for i := range d {
				d[i] = v.load(Mem{Base: tmp, Disp: size * (6*j + i)}, false)
			}
			for _, x := range transform(d) {
				v.VMOVUPS(x, Mem{Base: at})
				v.ADDQ(matrix, at)
			}
		}
		v.forward(src)
		v.forward(dst)
	})
}

// zero returns a register of zeros.
func (v *vectors) zero() reg.VecVirtual {
	r := v.vec()
	v.VXORPS(r, r, r)
	return r
}

// near returns a constant for many uses: in a register where there are enough of them.
func (v *vectors) near(x float64) Op {
	if v.wide {
		return v.set(x)
	}
	return v.constant(x)
}

// columnMasks are the masks of the columns of a tile, some of which lie outside of the image: in registers, or on the stack.
type columnMasks struct {
	v       *vectors
	columns reg.GPVirtual
	regs    [6]reg.OpmaskPhysical
	stack   Mem
}

func (v *vectors) columnMasks(columns reg.GPVirtual) *columnMasks {
	m := &columnMasks{v: v, columns: columns, regs: [6]reg.OpmaskPhysical{reg.K2, reg.K3, reg.K4, reg.K5, reg.K6, reg.K7}}
	if !v.wide {
		m.stack = v.AllocLocal(32 * len(m.regs))
	}
	return m
}

// partial jumps where a column lies outside.
func (m *columnMasks) partial(tail LabelRef) {
	m.v.CMPQ(m.columns, Imm(63))
	m.v.JNE(tail)
}

// prepare makes the masks of a vector's lanes.
func (m *columnMasks) prepare(mask winogradMask) {
	v := m.v
	if mask == noMask {
		return
	}
	if v.wide {
		lanes, bits := v.GP64(), v.GP64()
		v.KMOVW(v.tailK, lanes.As32())
		for j, k := range m.regs {
			v.BTQ(Imm(uint64(j)), m.columns)
			v.SBBQ(bits, bits) // all bits, or none
			v.ANDQ(lanes, bits)
			v.KMOVW(bits.As32(), k)
		}
		return
	}
	bits := v.GP64()
	for j := range m.regs {
		v.BTQ(Imm(uint64(j)), m.columns)
		v.SBBQ(bits, bits) // all bits, or none
		x, y := v.XMM(), v.YMM()
		v.VMOVQ(bits, x)
		v.VPBROADCASTQ(x, y)
		v.VPAND(v.tailY, y, y)
		v.VMOVUPS(y, m.stack.Offset(32*j))
	}
}

// load reads the pixels of column j.
func (m *columnMasks) load(at Mem, j int, mask winogradMask) reg.VecVirtual {
	v := m.v
	r := v.vec()
	switch {
	case v.wide:
		v.VMOVUPS_Z(at, m.regs[j], r)
	case mask == noMask:
		v.VMOVUPS(at, r)
	default:
		v.VMASKMOVPS(at, v.load(m.stack.Offset(32*j), false), r)
	}
	return r
}

// winogradKernel writes the transform G g G' of 3 by 3 taps.
func (v *vectors) winogradKernel() {
	v.function("winogradKernel", "func(dst, src *float32, dstMatrix, srcMatrix, vectors, last int)")
	dst, src := v.param("dst"), v.param("src")
	dstMatrix, srcMatrix := v.stride("dstMatrix"), v.stride("srcMatrix")
	quarter, sixth, minusSixth := v.constant(1./4), v.constant(1./6), v.constant(-1./6)
	twelfth, twentyFourth := v.constant(1./12), v.constant(1./24)
	transform := func(g [3]reg.VecVirtual) [6]reg.VecVirtual {
		a, b := v.mul(v.add(g[0], g[2]), minusSixth), v.mul(g[1], sixth)
		c, e := v.plus(v.mul(g[2], sixth), g[0], twentyFourth), v.mul(g[1], twelfth)
		return [6]reg.VecVirtual{
			v.mul(g[0], quarter), v.sub(a, b), v.add(a, b), v.add(c, e), v.sub(c, e), g[2],
		}
	}
	columns := v.grid(18)
	v.eachVector(nil, func(mask winogradMask) {
		at := v.GP64()
		v.MOVQ(src, at)
		for ky := range 3 {
			var g [3]reg.VecVirtual
			for kx := range g {
				g[kx] = v.load(Mem{Base: at}, mask == tailMask)
				v.ADDQ(srcMatrix, at)
			}
			for j, x := range transform(g) {
				columns.put(3*j+ky, x)
			}
		}
		v.MOVQ(dst, at)
		for j := range 6 {
			for _, x := range transform([3]reg.VecVirtual{columns.get(3 * j), columns.get(3*j + 1), columns.get(3*j + 2)}) {
				v.store(x, Mem{Base: at}, mask == tailMask)
				v.ADDQ(dstMatrix, at)
			}
		}
		v.forward(src)
		v.forward(dst)
	})
}

// winogradOutput writes the transform A' m A to 4 by 4 pixels.
func (v *vectors) winogradOutput() {
	v.function("winogradOutput", "func(dst, src *float32, matrix, row, pixel, vectors, last int)")
	dst, src := v.param("dst"), v.param("src")
	matrix, row, pixel := v.stride("matrix"), v.stride("row"), v.stride("pixel")
	pixel3 := v.GP64()
	v.LEAQ(Mem{Base: pixel, Index: pixel, Scale: 2}, pixel3)
	two, four, eight := v.constant(2), v.constant(4), v.constant(8)
	transform := func(m [6]reg.VecVirtual) [4]reg.VecVirtual {
		p, q := v.add(m[1], m[2]), v.sub(m[1], m[2])
		r, s := v.add(m[3], m[4]), v.sub(m[3], m[4])
		o0 := v.add(v.add(m[0], p), r)
		o3 := v.addMul(v.add(m[5], q), s, eight)
		return [4]reg.VecVirtual{o0, v.addMul(q, s, two), v.addMul(p, r, four), o3}
	}
	rows := v.grid(24)
	v.eachVector(nil, func(mask winogradMask) {
		at := v.GP64()
		v.MOVQ(src, at)
		for j := range 6 {
			var m [6]reg.VecVirtual
			for i := range m {
				m[i] = v.load(Mem{Base: at}, false)
				v.ADDQ(matrix, at)
			}
			for y, x := range transform(m) {
				rows.put(6*y+j, x)
			}
		}
		ahead := v.GP64()
		v.MOVQ(dst, at)
		for y := range 4 {
			v.LEAQ(Mem{Base: at, Index: pixel, Scale: 8}, ahead)
			for x, value := range transform(rows.six(6 * y)) {
				m := []Mem{{Base: at}, {Base: at, Index: pixel, Scale: 1}, {Base: at, Index: pixel, Scale: 2}, {Base: at, Index: pixel3, Scale: 1}}[x]
				v.store(value, m, mask == tailMask)
				m.Base = ahead // the same pixel two tiles on
				v.PREFETCHT0(m)
			}
			v.ADDQ(row, at)
		}
		v.forward(src)
		v.forward(dst)
	})
}

// winogradSpread writes the transform A y A' of 4 by 4 pixels, the adjoint of winogradOutput.
func (v *vectors) winogradSpread() {
	v.function("winogradSpread", "func(dst, src *float32, matrix, row, pixel, vectors, last int)")
	dst, src := v.param("dst"), v.param("src")
	matrix, row, pixel := v.stride("matrix"), v.stride("row"), v.stride("pixel")
	pixel3 := v.GP64()
	v.LEAQ(Mem{Base: pixel, Index: pixel, Scale: 2}, pixel3)
	two, four := v.constant(2), v.constant(4)
	transform := func(y [4]reg.VecVirtual) [6]reg.VecVirtual {
		a, b := v.add(y[0], y[2]), v.add(y[1], y[3])
		c, e := v.plus(y[0], y[2], four), v.plus(y[1], y[3], four)
		return [6]reg.VecVirtual{y[0], v.add(a, b), v.sub(a, b), v.plus(c, e, two), v.minus(c, e, two), y[3]}
	}
	columns := v.grid(24)
	v.eachVector(nil, func(mask winogradMask) {
		at := v.GP64()
		v.MOVQ(src, at)
		for i := range 4 {
			var y [4]reg.VecVirtual
			for j, m := range []Mem{{Base: at}, {Base: at, Index: pixel, Scale: 1}, {Base: at, Index: pixel, Scale: 2}, {Base: at, Index: pixel3, Scale: 1}} {
				y[j] = v.load(m, mask == tailMask)
			}
			for j, x := range transform(y) {
				columns.put(4*j+i, x)
			}
			v.ADDQ(row, at)
		}
		v.MOVQ(dst, at)
		for j := range 6 {
			y := [4]reg.VecVirtual{columns.get(4 * j), columns.get(4*j + 1), columns.get(4*j + 2), columns.get(4*j + 3)}
			for _, x := range transform(y) {
				v.VMOVUPS(x, Mem{Base: at})
				v.ADDQ(matrix, at)
			}
		}
		v.forward(src)
		v.forward(dst)
	})
}

// winogradTaps writes the transform G' u G to 3 by 3 taps, the adjoint of winogradKernel.
func (v *vectors) winogradTaps() {
	v.function("winogradTaps", "func(dst, src *float32, dstMatrix, srcMatrix, vectors, last int)")
	dst, src := v.param("dst"), v.param("src")
	dstMatrix, srcMatrix := v.stride("dstMatrix"), v.stride("srcMatrix")
	quarter, sixth, minusSixth := v.constant(1./4), v.constant(1./6), v.constant(-1./6)
	twelfth, twentyFourth := v.constant(1./12), v.constant(1./24)
	transform := func(u [6]reg.VecVirtual) [3]reg.VecVirtual {
		p, q := v.mul(v.add(u[1], u[2]), minusSixth), v.mul(v.sub(u[2], u[1]), sixth)
		r, s := v.add(u[3], u[4]), v.sub(u[3], u[4])
		g0 := v.addMul(v.plus(p, u[0], quarter), r, twentyFourth)
		return [3]reg.VecVirtual{g0, v.addMul(q, s, twelfth), v.addMul(v.add(p, u[5]), r, sixth)}
	}
	rows := v.grid(18)
	v.eachVector(nil, func(mask winogradMask) {
		at := v.GP64()
		v.MOVQ(src, at)
		for j := range 6 {
			var u [6]reg.VecVirtual
			for i := range u {
				u[i] = v.load(Mem{Base: at}, mask == tailMask)
				v.ADDQ(srcMatrix, at)
			}
			for ky, x := range transform(u) {
				rows.put(6*ky+j, x)
			}
		}
		v.MOVQ(dst, at)
		for ky := range 3 {
			for _, x := range transform(rows.six(6 * ky)) {
				v.store(x, Mem{Base: at}, mask == tailMask)
				v.ADDQ(dstMatrix, at)
			}
		}
		v.forward(src)
		v.forward(dst)
	})
}
