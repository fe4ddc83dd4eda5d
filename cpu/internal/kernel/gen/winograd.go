package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// winograd writes the transforms of F(4x4, 3x3) and of its weight gradient, each for vectors of 16 channels that follow each
// other. Matrix 6*j+i of a transformed tile belongs to row i and column j of the transformed domain.
func (v *vectors) winograd() {
	if !v.wide {
		return
	}
	v.winogradInput()
	v.winogradKernel()
	v.winogradOutput()
	v.winogradSpread()
	v.winogradTaps()
}

// eachVector loops over vectors of channels. body may use tail masks: the last vector has only some lanes. It must
// move the pointers on.
func (v *vectors) eachVector(body func()) {
	last, left, full := v.param("last"), v.param("vectors"), v.GP64()
	bits := v.GP64()
	v.XORQ(bits, bits)
	v.BTSQ(last, bits)
	v.DECQ(bits)
	v.MOVQ(U32(0xffff), full)
	v.Label("vector")
	v.CMPQ(left, Imm(1))
	v.CMOVQEQ(bits, full)
	v.KMOVW(full.As32(), v.tailK)
	body()
	v.DECQ(left)
	v.JNZ(LabelRef("vector"))
	v.end()
}

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
	columnK := []reg.OpmaskPhysical{reg.K2, reg.K3, reg.K4, reg.K5, reg.K6, reg.K7}
	two, four, five := v.set(2), v.set(4), v.set(5)
	zero := v.vec()
	v.VXORPS(zero, zero, zero)
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
	v.eachVector(func() {
		lanes, mask := v.GP64(), v.GP64()
		v.KMOVW(v.tailK, lanes.As32())
		for j, k := range columnK {
			v.BTQ(Imm(uint64(j)), columns)
			v.SBBQ(mask, mask) // all bits, or none
			v.ANDQ(lanes, mask)
			v.KMOVW(mask.As32(), k)
		}
		at, ahead := v.GP64(), v.GP64()
		v.MOVQ(src, at)
		for i := range 6 {
			outside, next := fmt.Sprintf("outside%d", i), fmt.Sprintf("next%d", i)
			v.BTQ(Imm(uint64(i)), rows)
			v.JCC(LabelRef(outside))
			var d [6]reg.VecVirtual
			v.LEAQ(Mem{Base: at, Index: pixel, Scale: 8}, ahead)
			for j, m := range []Mem{{Base: at}, {Base: at, Index: pixel, Scale: 1}, {Base: at, Index: pixel, Scale: 2},
				{Base: at, Index: pixel3, Scale: 1}, {Base: at, Index: pixel, Scale: 4}, {Base: at, Index: pixel5, Scale: 1}} {
				d[j] = v.vec()
				v.VMOVUPS_Z(m, columnK[j], d[j])
				if j >= 2 { // the same pixel two tiles on
					m.Base = ahead
					v.PREFETCHT0(m)
				}
			}
			for j, x := range transform(d) {
				v.VMOVUPS(x, Mem{Base: tmp, Disp: 64 * (6*j + i)})
			}
			v.JMP(LabelRef(next))
			v.Label(outside)
			for j := range d {
				v.VMOVUPS(zero, Mem{Base: tmp, Disp: 64 * (6*j + i)})
			}
			v.Label(next)
			v.ADDQ(row, at)
		}
		v.MOVQ(dst, at)
		for j := range 6 {
			var d [6]reg.VecVirtual
			for i := range d {
				d[i] = v.load(Mem{Base: tmp, Disp: 64 * (6*j + i)}, false)
			}
			for _, x := range transform(d) {
				v.VMOVUPS(x, Mem{Base: at})
				v.ADDQ(matrix, at)
			}
		}
		v.ADDQ(Imm(64), src)
		v.ADDQ(Imm(64), dst)
	})
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
	v.eachVector(func() {
		at := v.GP64()
		v.MOVQ(src, at)
		var columns [6][3]reg.VecVirtual
		for ky := range 3 {
			var g [3]reg.VecVirtual
			for kx := range g {
				g[kx] = v.load(Mem{Base: at}, true)
				v.ADDQ(srcMatrix, at)
			}
			for j, x := range transform(g) {
				columns[j][ky] = x
			}
		}
		v.MOVQ(dst, at)
		for j := range columns {
			for _, x := range transform(columns[j]) {
				v.store(x, Mem{Base: at}, true)
				v.ADDQ(dstMatrix, at)
			}
		}
		v.ADDQ(Imm(64), src)
		v.ADDQ(Imm(64), dst)
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
	v.eachVector(func() {
		at := v.GP64()
		v.MOVQ(src, at)
		var rows [4][6]reg.VecVirtual
		for j := range 6 {
			var m [6]reg.VecVirtual
			for i := range m {
				m[i] = v.load(Mem{Base: at}, false)
				v.ADDQ(matrix, at)
			}
			for y, x := range transform(m) {
				rows[y][j] = x
			}
		}
		ahead := v.GP64()
		v.MOVQ(dst, at)
		for y := range rows {
			v.LEAQ(Mem{Base: at, Index: pixel, Scale: 8}, ahead)
			for x, value := range transform(rows[y]) {
				m := []Mem{{Base: at}, {Base: at, Index: pixel, Scale: 1}, {Base: at, Index: pixel, Scale: 2}, {Base: at, Index: pixel3, Scale: 1}}[x]
				v.store(value, m, true)
				m.Base = ahead // the same pixel two tiles on
				v.PREFETCHT0(m)
			}
			v.ADDQ(row, at)
		}
		v.ADDQ(Imm(64), src)
		v.ADDQ(Imm(64), dst)
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
	v.eachVector(func() {
		at := v.GP64()
		v.MOVQ(src, at)
		var columns [6][4]reg.VecVirtual
		for i := range 4 {
			var y [4]reg.VecVirtual
			for j, m := range []Mem{{Base: at}, {Base: at, Index: pixel, Scale: 1}, {Base: at, Index: pixel, Scale: 2}, {Base: at, Index: pixel3, Scale: 1}} {
				y[j] = v.load(m, true)
			}
			for j, x := range transform(y) {
				columns[j][i] = x
			}
			v.ADDQ(row, at)
		}
		v.MOVQ(dst, at)
		for j := range columns {
			for _, x := range transform(columns[j]) {
				v.VMOVUPS(x, Mem{Base: at})
				v.ADDQ(matrix, at)
			}
		}
		v.ADDQ(Imm(64), src)
		v.ADDQ(Imm(64), dst)
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
	v.eachVector(func() {
		at := v.GP64()
		v.MOVQ(src, at)
		var rows [3][6]reg.VecVirtual
		for j := range 6 {
			var u [6]reg.VecVirtual
			for i := range u {
				u[i] = v.load(Mem{Base: at}, true)
				v.ADDQ(srcMatrix, at)
			}
			for ky, x := range transform(u) {
				rows[ky][j] = x
			}
		}
		v.MOVQ(dst, at)
		for ky := range rows {
			for _, x := range transform(rows[ky]) {
				v.store(x, Mem{Base: at}, true)
				v.ADDQ(dstMatrix, at)
			}
		}
		v.ADDQ(Imm(64), src)
		v.ADDQ(Imm(64), dst)
	})
}
