package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func elementwise(wide bool) func(*build.Context, *strings.Builder) {
	return func(c *build.Context, stubs *strings.Builder) {
		v := newVectors(c, stubs, wide)
		v.binaries()
		v.mulAdds()
		v.compares()
		v.selects()
		v.unaries()
		v.reductions()
		v.columns()
		v.transpose()
		v.winograd()
		v.pools()
		v.prefetch()
	}
}

// binaryOps are in the order of kernel.BinaryOp.
var binaryOps = []struct {
	name string
	f    func(v *vectors, a, b reg.VecVirtual) reg.VecVirtual
}{
	{"add", func(v *vectors, a, b reg.VecVirtual) reg.VecVirtual { return v.add(a, b) }},
	{"sub", func(v *vectors, a, b reg.VecVirtual) reg.VecVirtual { return v.sub(a, b) }},
	{"mul", func(v *vectors, a, b reg.VecVirtual) reg.VecVirtual { return v.mul(a, b) }},
	{"div", func(v *vectors, a, b reg.VecVirtual) reg.VecVirtual { return v.div(a, b) }},
	{"max", func(v *vectors, a, b reg.VecVirtual) reg.VecVirtual { return v.max(a, b) }},
	{"min", func(v *vectors, a, b reg.VecVirtual) reg.VecVirtual { return v.min(a, b) }},
	{"reluGrad", func(v *vectors, a, b reg.VecVirtual) reg.VecVirtual {
		one := v.choose(v.compare(cmpLT, b, v.constant(0)), v.constant(0), v.set(1))
		return v.mul(a, v.choose(v.compare(cmpUN, b, b), b, one))
	}},
}

// max is NaN where either operand is, and max(+0, -0) is +0.
func (v *vectors) max(a, b reg.VecVirtual) reg.VecVirtual {
	r := v.and(v.rawMax(a, b), v.rawMax(b, a))
	return v.choose(v.compare(cmpUN, a, b), v.add(a, b), r)
}

// min is NaN where either operand is, and min(+0, -0) is -0.
func (v *vectors) min(a, b reg.VecVirtual) reg.VecVirtual {
	r := v.or(v.rawMin(a, b), v.rawMin(b, a))
	return v.choose(v.compare(cmpUN, a, b), v.add(a, b), r)
}

// operand is a vector that is read per element or broadcast once a row.
type operandOf struct {
	base   reg.GPVirtual
	scalar bool
	value  reg.VecVirtual
}

func (o *operandOf) row(v *vectors) {
	if o.scalar {
		o.value = v.broadcast(Mem{Base: o.base})
	}
}

func (o *operandOf) at(v *vectors, i reg.GPVirtual, tail bool) reg.VecVirtual {
	if o.scalar {
		return o.value
	}
	return v.load(Mem{Base: o.base, Index: i, Scale: 4}, tail)
}

// rows loops over rows: body is one row, and every base moves on by its stride.
func (v *vectors) rows(body func(), bases []reg.GPVirtual, strides []reg.GPVirtual) {
	left := v.param("rows")
	v.TESTQ(left, left)
	v.JLE(LabelRef("end"))
	v.Label("row")
	body()
	for i, b := range bases {
		v.ADDQ(strides[i], b)
	}
	v.DECQ(left)
	v.JNZ(LabelRef("row"))
	v.Label("end")
	v.end()
}

// stride loads a row stride in floats as bytes.
func (v *vectors) stride(name string) reg.GPVirtual {
	r := v.param(name)
	v.SHLQ(U8(2), r)
	return r
}

// forms of two operands: v is a vector, s a scalar a row.
var forms = []string{"VV", "VS", "SV"}

// dispatcher writes a Go function that calls one of the named kernels by number. Calls through a table of
// functions would make the pointers escape.
func (v *vectors) dispatcher(name, parameters string, names []string) {
	list := strings.Split(parameters, ",")
	var args []string
	for _, p := range list {
		args = append(args, strings.Fields(p)[0])
	}
	fmt.Fprintf(v.stubs, "func %s%s(which int, %s) {\n\tswitch which {\n", name, v.suffix(), parameters)
	for i, n := range names {
		fmt.Fprintf(v.stubs, "\tcase %d:\n\t\t%s%s(%s)\n", i, n, v.suffix(), strings.Join(args, ", "))
	}
	fmt.Fprint(v.stubs, "\tdefault:\n\t\tpanic(\"kernel: unknown operation\")\n\t}\n}\n\n")
}

// binaries: dst[r*dRow+i] = op(a[r*aRow+i], b[r*bRow+i]) for r < rows, i < n; a scalar stays within a row.
func (v *vectors) binaries() {
	var names []string
	for _, op := range binaryOps {
		for _, form := range forms {
			names = append(names, op.name+form)
			v.function(op.name+form, "func(dst, a, b *float32, n, rows, dRow, aRow, bRow int)")
			dst := v.param("dst")
			a := &operandOf{base: v.param("a"), scalar: form == "SV"}
			b := &operandOf{base: v.param("b"), scalar: form == "VS"}
			n := v.param("n")
			v.tailOf(n)
			strides := []reg.GPVirtual{v.stride("dRow"), v.stride("aRow"), v.stride("bRow")}
			v.rows(func() {
				a.row(v)
				b.row(v)
				v.strip("strip", n, func(i reg.GPVirtual, tail bool) {
					r := op.f(v, a.at(v, i, tail), b.at(v, i, tail))
					v.store(r, Mem{Base: dst, Index: i, Scale: 4}, tail)
				})
			}, []reg.GPVirtual{dst, a.base, b.base}, strides)
		}
	}
	v.dispatcher("binary", "dst, a, b *float32, n, rows, dRow, aRow, bRow int", names)
}

// mulAdds: dst = a*b + c, b a vector or a scalar a row.
func (v *vectors) mulAdds() {
	for _, form := range forms[:2] {
		v.function("mulAdd"+form, "func(dst, a, b, c *float32, n, rows, dRow, aRow, bRow, cRow int)")
		dst := v.param("dst")
		a := &operandOf{base: v.param("a")}
		b := &operandOf{base: v.param("b"), scalar: form == "VS"}
		c := &operandOf{base: v.param("c")}
		n := v.param("n")
		v.tailOf(n)
		strides := []reg.GPVirtual{v.stride("dRow"), v.stride("aRow"), v.stride("bRow"), v.stride("cRow")}
		v.rows(func() {
			b.row(v)
			v.strip("strip", n, func(i reg.GPVirtual, tail bool) {
				r := v.mulAdd(a.at(v, i, tail), b.at(v, i, tail), c.at(v, i, tail))
				v.store(r, Mem{Base: dst, Index: i, Scale: 4}, tail)
			})
		}, []reg.GPVirtual{dst, a.base, b.base, c.base}, strides)
	}
}

// compareOps are in the order of kernel.CompareOp.
var compareOps = []struct {
	name      string
	predicate int
}{{"equal", cmpEQ}, {"notEqual", cmpNE}, {"less", cmpLT}, {"lessEqual", cmpLE}, {"greater", cmpGT}, {"greaterEqual", cmpGE}}

// compares: dst[r*dRow+i] = a[r*aRow+i] op b[r*bRow+i], one byte 0 or 1 each.
func (v *vectors) compares() {
	var names []string
	for _, op := range compareOps {
		for _, form := range forms[:2] {
			names = append(names, op.name+form)
			v.function(op.name+form, "func(dst *bool, a, b *float32, n, rows, dRow, aRow, bRow int)")
			dst := v.param("dst")
			a := &operandOf{base: v.param("a")}
			b := &operandOf{base: v.param("b"), scalar: form == "VS"}
			n := v.param("n")
			v.tailOf(n)
			strides := []reg.GPVirtual{v.param("dRow"), v.stride("aRow"), v.stride("bRow")}
			ones := v.XMM()
			v.VMOVDQU(v.constBits(0x01010101), ones)
			v.rows(func() {
				b.row(v)
				v.strip("strip", n, func(i reg.GPVirtual, tail bool) {
					c := v.compare(op.predicate, a.at(v, i, tail), b.at(v, i, tail))
					v.storeBytes(c, ones, dst, i, n, tail)
				})
			}, []reg.GPVirtual{dst, a.base, b.base}, strides)
		}
	}
	v.dispatcher("compare", "dst *bool, a, b *float32, n, rows, dRow, aRow, bRow int", names)
}

// storeBytes writes 1 where c holds and 0 elsewhere.
func (v *vectors) storeBytes(c condition, ones reg.VecVirtual, dst, i, n reg.GPVirtual, tail bool) {
	at := Mem{Base: dst, Index: i, Scale: 1}
	if v.wide {
		x := v.XMM()
		v.VMOVDQU8_Z(ones, c.k, x)
		if tail {
			v.VMOVDQU8(x, v.tailK, at)
		} else {
			v.VMOVDQU8(x, at)
		}
		return
	}
	// 8 words of ones or zeros to 8 bytes.
	high, x := v.XMM(), v.XMM()
	v.VEXTRACTF128(Imm(1), c.y, high)
	v.VPACKSSDW(high, c.y.AsX(), x)
	v.VPACKSSWB(x, x, x)
	v.VPAND(ones, x, x)
	if !tail {
		v.VMOVQ(x, at)
		return
	}
	bytes, j := v.GP64(), v.GP64()
	v.VMOVQ(x, bytes)
	v.MOVQ(i, j)
	v.Label("bytes")
	v.MOVB(bytes.As8(), Mem{Base: dst, Index: j, Scale: 1})
	v.SHRQ(U8(8), bytes)
	v.INCQ(j)
	v.CMPQ(j, n)
	v.JLT(LabelRef("bytes"))
}

// selects: dst[i] = a[i] where mask[i], else b[i].
func (v *vectors) selects() {
	var names []string
	for _, form := range []string{"VV", "VS", "SV", "SS"} {
		names = append(names, "select"+form)
		v.function("select"+form, "func(dst *float32, mask *bool, a, b *float32, n int)")
		dst, mask := v.param("dst"), v.param("mask")
		a := &operandOf{base: v.param("a"), scalar: form[0] == 'S'}
		b := &operandOf{base: v.param("b"), scalar: form[1] == 'S'}
		n := v.param("n")
		v.tailOf(n)
		a.row(v)
		b.row(v)
		v.strip("strip", n, func(i reg.GPVirtual, tail bool) {
			c := v.loadBytes(mask, i, n, tail)
			r := v.choose(c, a.at(v, i, tail), b.at(v, i, tail))
			v.store(r, Mem{Base: dst, Index: i, Scale: 4}, tail)
		})
		v.end()
	}
	v.dispatcher("select", "dst *float32, mask *bool, a, b *float32, n int", names)
}

// loadBytes turns bytes that are not zero into a condition.
func (v *vectors) loadBytes(mask, i, n reg.GPVirtual, tail bool) condition {
	at := Mem{Base: mask, Index: i, Scale: 1}
	x := v.XMM()
	if v.wide {
		if tail {
			v.VMOVDQU8_Z(at, v.tailK, x)
		} else {
			v.VMOVDQU8(at, x)
		}
		k := v.K()
		v.VPTESTMB(x, x, k)
		return condition{k: k}
	}
	if !tail {
		v.VMOVQ(at, x)
	} else {
		// Gather the last bytes from the end to the begin.
		bytes, b, j := v.GP64(), v.GP64(), v.GP64()
		v.XORQ(bytes, bytes)
		v.MOVQ(n, j)
		v.Label("bytes")
		v.DECQ(j)
		v.SHLQ(U8(8), bytes)
		v.MOVBQZX(Mem{Base: mask, Index: j, Scale: 1}, b)
		v.ORQ(b, bytes)
		v.CMPQ(j, i)
		v.JGT(LabelRef("bytes"))
		v.VMOVQ(bytes, x)
	}
	y, zero := v.YMM(), v.YMM()
	v.VPMOVZXBD(x, y)
	v.VPXOR(zero, zero, zero)
	v.VPCMPGTD(zero, y, y)
	return condition{y: y}
}

// unaryOps are in the order of kernel.UnaryOp.
var unaryOps = []struct {
	name string
	f    func(v *vectors, x reg.VecVirtual) reg.VecVirtual
}{
	{"neg", func(v *vectors, x reg.VecVirtual) reg.VecVirtual { return v.xor(x, v.constBits(1<<31)) }},
	{"abs", func(v *vectors, x reg.VecVirtual) reg.VecVirtual { return v.and(x, v.constBits(1<<31-1)) }},
	{"sqrt", func(v *vectors, x reg.VecVirtual) reg.VecVirtual { return v.sqrt(x) }},
	{"rsqrt", func(v *vectors, x reg.VecVirtual) reg.VecVirtual { return v.div(v.set(1), v.sqrt(x)) }},
	{"exp", (*vectors).exp},
	{"log", (*vectors).log},
	{"tanh", (*vectors).tanh},
	{"logistic", (*vectors).logistic},
	{"erf", (*vectors).erf},
	{"relu", func(v *vectors, x reg.VecVirtual) reg.VecVirtual {
		return v.add(v.rawMax(v.set(0), x), v.constant(0)) // the sum makes -0 a +0
	}},
}

// prefetch asks for cache lines.
func (v *vectors) prefetch() {
	if v.wide {
		return
	}
	v.function("prefetch", "func(mem *byte, lines int)")
	mem, lines := v.param("mem"), v.param("lines")
	v.Label("line")
	v.PREFETCHT1(Mem{Base: mem})
	v.ADDQ(Imm(64), mem)
	v.DECQ(lines)
	v.JNZ(LabelRef("line"))
	v.RET()
}

func (v *vectors) unaries() {
	var names []string
	for _, op := range unaryOps {
		names = append(names, op.name)
		v.function(op.name, "func(dst, x *float32, n int)")
		dst, x, n := v.param("dst"), v.param("x"), v.param("n")
		v.tailOf(n)
		v.strip("strip", n, func(i reg.GPVirtual, tail bool) {
			r := op.f(v, v.load(Mem{Base: x, Index: i, Scale: 4}, tail))
			v.store(r, Mem{Base: dst, Index: i, Scale: 4}, tail)
		})
		v.end()
	}
	v.dispatcher("unary", "dst, x *float32, n int", names)
}
