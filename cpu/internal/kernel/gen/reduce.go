package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// reductions: sixteen partial results of n floats. Lane i of the result holds the elements i, i+16, ...
// in a fixed order.
func (v *vectors) reductions() {
	for _, op := range []string{"sum", "dot", "largest"} {
		if op == "dot" {
			v.function(op, "func(dst, x, y *float32, n int)")
		} else {
			v.function(op, "func(dst, x *float32, n int)")
		}
		dst, x, n := v.param("dst"), v.param("x"), v.param("n")
		var y reg.GPVirtual
		if op == "dot" {
			y = v.param("y")
		}
		v.tailOf(n)
		const unroll = 4
		acc := make([]reg.VecVirtual, unroll)
		for j := range acc {
			acc[j] = v.vec()
			if op == "largest" {
				v.VMOVUPS(v.constBits(0xff800000), acc[j])
			} else {
				v.VXORPS(acc[j], acc[j], acc[j])
			}
		}
		take := func(j int, i reg.GPVirtual, offset int, tail bool) {
			at := func(base reg.GPVirtual) Mem { return Mem{Base: base, Index: i, Scale: 4, Disp: 4 * offset} }
			a := v.load(at(x), tail)
			switch op {
			case "sum":
				v.VADDPS(a, acc[j], acc[j])
			case "dot":
				v.addMul(acc[j], a, v.load(at(y), tail))
			case "largest":
				if tail { // lanes beyond the end must not win
					low := v.vec()
					v.VMOVUPS(v.constBits(0xff800000), low)
					if v.wide {
						v.VMOVUPS(at(x), v.tailK, low)
						a = low
					} else {
						r := v.YMM()
						v.VBLENDVPS(v.tailY, a, low, r)
						a = r
					}
				}
				v.VMOVUPS(v.max(acc[j], a), acc[j])
			}
		}
		i, whole := v.GP64(), v.GP64()
		v.XORQ(i, i)
		v.MOVQ(n, whole)
		v.ANDQ(I32(-unroll*v.floats()), whole)
		v.JZ(LabelRef("rest"))
		v.Label("unrolled")
		for j := range acc {
			take(j, i, j*v.floats(), false)
		}
		v.ADDQ(Imm(uint64(unroll*v.floats())), i)
		v.CMPQ(i, whole)
		v.JLT(LabelRef("unrolled"))
		v.Label("rest")
		v.MOVQ(n, whole)
		v.ANDQ(I32(-v.floats()), whole)
		v.Label("single")
		v.CMPQ(i, whole)
		v.JGE(LabelRef("tail"))
		take(0, i, 0, false)
		v.ADDQ(Imm(uint64(v.floats())), i)
		v.JMP(LabelRef("single"))
		v.Label("tail")
		v.CMPQ(i, n)
		v.JGE(LabelRef("done"))
		take(0, i, 0, true)
		v.Label("done")
		join := func(a, b reg.VecVirtual) reg.VecVirtual {
			if op == "largest" {
				return v.max(a, b)
			}
			return v.add(a, b)
		}
		if v.wide {
			v.VMOVUPS(join(join(acc[0], acc[1]), join(acc[2], acc[3])), Mem{Base: dst})
		} else {
			v.VMOVUPS(join(acc[0], acc[2]), Mem{Base: dst})
			v.VMOVUPS(join(acc[1], acc[3]), Mem{Base: dst, Disp: 32})
		}
		v.end()
	}
}

// columnVectors is the most vectors of a stripe of columns.
const columnVectors = 4

// columns: dst[j] (+)= sum over rows r of x[r*xRow + j], or of x[r*xRow+j]*y[r*yRow+j], row after row, for a
// stripe of columns whose last vector has the given lanes.
func (v *vectors) columns() {
	for _, op := range []string{"columnSums", "columnDots"} {
		dot := op == "columnDots"
		var names []string
		for w := 1; w <= columnVectors; w++ {
			name := fmt.Sprintf("%s%dx", op, w)
			names = append(names, name)
			if dot {
				v.function(name, "func(dst, x, y *float32, rows, xRow, yRow, lanes, add int)")
			} else {
				v.function(name, "func(dst, x *float32, rows, xRow, lanes, add int)")
			}
			dst, x := v.param("dst"), v.param("x")
			xRow := v.stride("xRow")
			var y, yRow reg.GPVirtual
			if dot {
				y, yRow = v.param("y"), v.stride("yRow")
			}
			v.lanesLeft(v.param("lanes"))
			rows, add := v.param("rows"), v.param("add")
			at := func(base reg.GPVirtual, j int) Mem { return Mem{Base: base, Disp: 4 * v.floats() * j} }
			acc := make([]reg.VecVirtual, w)
			for j := range acc {
				acc[j] = v.vec()
				v.VXORPS(acc[j], acc[j], acc[j])
			}
			v.TESTQ(add, add)
			v.JZ(LabelRef("start"))
			for j := range acc {
				v.VMOVAPS(v.load(at(dst, j), j == w-1), acc[j])
			}
			v.Label("start")
			v.TESTQ(rows, rows)
			v.JLE(LabelRef("done"))
			v.Label("row")
			for j := range acc {
				a := v.load(at(x, j), j == w-1)
				if dot {
					v.addMul(acc[j], a, v.load(at(y, j), j == w-1))
				} else {
					v.VADDPS(a, acc[j], acc[j])
				}
			}
			v.ADDQ(xRow, x)
			if dot {
				v.ADDQ(yRow, y)
			}
			v.DECQ(rows)
			v.JNZ(LabelRef("row"))
			v.Label("done")
			for j := range acc {
				v.store(acc[j], at(dst, j), j == w-1)
			}
			v.end()
		}
		if dot {
			v.dispatcher(op, "dst, x, y *float32, rows, xRow, yRow, lanes, add int", names)
		} else {
			v.dispatcher(op, "dst, x *float32, rows, xRow, lanes, add int", names)
		}
	}
}
