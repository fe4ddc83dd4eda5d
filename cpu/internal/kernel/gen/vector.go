package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vectors writes code for vectors of 16 floats (AVX-512) or 8 (AVX2) with the same methods.
type vectors struct {
	*build.Context
	stubs  *strings.Builder
	wide   bool // AVX-512
	consts map[uint32]Mem
	table  Mem // AVX2: masks of the first lanes

	tailK reg.OpmaskPhysical // AVX-512: lanes of the tail
	tailY reg.VecVirtual     // AVX2
}

// condition is the result of a comparison, lane by lane.
type condition struct {
	k reg.OpmaskVirtual
	y reg.VecVirtual
}

func newVectors(c *build.Context, stubs *strings.Builder, wide bool) *vectors {
	return &vectors{Context: c, stubs: stubs, wide: wide, consts: map[uint32]Mem{}, tailK: reg.K1}
}

func (v *vectors) suffix() string {
	if v.wide {
		return "512"
	}
	return "256"
}

// floats is the number of floats of a vector.
func (v *vectors) floats() int {
	if v.wide {
		return 16
	}
	return 8
}

func (v *vectors) vec() reg.VecVirtual {
	if v.wide {
		return v.ZMM()
	}
	return v.YMM()
}

// constBits returns a memory operand that holds the bits in every lane.
func (v *vectors) constBits(bits uint32) Mem {
	if m, ok := v.consts[bits]; ok {
		return m
	}
	m := v.StaticGlobal(fmt.Sprintf("const%s_%08x", v.suffix(), bits))
	v.DataAttributes(8 | 16) // RODATA|NOPTR
	for i := range v.floats() {
		v.AddDatum(4*i, U32(bits))
	}
	v.consts[bits] = m
	return m
}

func (v *vectors) constant(x float64) Mem { return v.constBits(math.Float32bits(float32(x))) }

func (v *vectors) set(x float64) reg.VecVirtual {
	r := v.vec()
	v.VMOVUPS(v.constant(x), r)
	return r
}

// Three-operand instructions in mathematical order; the second operand may be in memory.

func (v *vectors) add(a, b Op) reg.VecVirtual { r := v.vec(); v.VADDPS(b, a, r); return r }
func (v *vectors) sub(a, b Op) reg.VecVirtual { r := v.vec(); v.VSUBPS(b, a, r); return r }
func (v *vectors) mul(a, b Op) reg.VecVirtual { r := v.vec(); v.VMULPS(b, a, r); return r }
func (v *vectors) div(a, b Op) reg.VecVirtual { r := v.vec(); v.VDIVPS(b, a, r); return r }
func (v *vectors) and(a, b Op) reg.VecVirtual { r := v.vec(); v.VANDPS(b, a, r); return r }
func (v *vectors) or(a, b Op) reg.VecVirtual  { r := v.vec(); v.VORPS(b, a, r); return r }
func (v *vectors) xor(a, b Op) reg.VecVirtual { r := v.vec(); v.VXORPS(b, a, r); return r }

// rawMax and rawMin return b when either operand is NaN, or both are zero.
func (v *vectors) rawMax(a, b Op) reg.VecVirtual { r := v.vec(); v.VMAXPS(b, a, r); return r }
func (v *vectors) rawMin(a, b Op) reg.VecVirtual { r := v.vec(); v.VMINPS(b, a, r); return r }

func (v *vectors) sqrt(a Op) reg.VecVirtual { r := v.vec(); v.VSQRTPS(a, r); return r }

// mulAdd overwrites x with x*y + z and returns it.
func (v *vectors) mulAdd(x reg.VecVirtual, y, z Op) reg.VecVirtual {
	v.VFMADD213PS(z, y, x)
	return x
}

// addMul overwrites z with x*y + z and returns it.
func (v *vectors) addMul(z reg.VecVirtual, x, y Op) reg.VecVirtual {
	v.VFMADD231PS(y, x, z)
	return z
}

// poly evaluates the polynomial with the given coefficients, highest degree first, at x.
func (v *vectors) poly(x reg.VecVirtual, coefficients ...float64) reg.VecVirtual {
	r := v.set(coefficients[0])
	for _, c := range coefficients[1:] {
		v.mulAdd(r, x, v.constant(c))
	}
	return r
}

// Predicates of comparisons.
const (
	cmpEQ = 0x00 // ordered, quiet
	cmpLT = 0x11
	cmpLE = 0x12
	cmpUN = 0x03 // unordered: either is NaN
	cmpNE = 0x04 // unordered
	cmpGE = 0x1d
	cmpGT = 0x1e
)

// compare compares a with b, which may be in memory.
func (v *vectors) compare(predicate int, a, b Op) condition {
	if v.wide {
		k := v.K()
		v.VCMPPS(U8(predicate), b, a, k)
		return condition{k: k}
	}
	y := v.YMM()
	v.VCMPPS(U8(predicate), b, a, y)
	return condition{y: y}
}

// choose returns yes where c holds, else no; yes may be in memory.
func (v *vectors) choose(c condition, yes, no Op) reg.VecVirtual {
	r := v.vec()
	if v.wide {
		v.VBLENDMPS(yes, no, c.k, r)
	} else {
		v.VBLENDVPS(c.y, yes, no, r)
	}
	return r
}

// lanesLeft prepares the masks of the first n lanes, n in 0..floats.
func (v *vectors) lanesLeft(n reg.GPVirtual) {
	if v.wide {
		bits := v.GP64()
		v.XORQ(bits, bits)
		v.BTSQ(n, bits)
		v.DECQ(bits)
		v.KMOVW(bits.As32(), v.tailK)
		return
	}
	if v.table == (Mem{}) {
		v.table = v.laneTable("firstLanes", 8)
	}
	at, back := v.GP64(), v.GP64()
	v.LEAQ(v.table, at)
	v.MOVQ(U32(8), back)
	v.SUBQ(n, back)
	v.tailY = v.YMM()
	v.VMOVUPS(Mem{Base: at, Index: back, Scale: 4}, v.tailY)
}

// laneTable is n words of ones followed by n of zeros.
func (v *vectors) laneTable(name string, n int) Mem {
	m := v.StaticGlobal(name)
	v.DataAttributes(8 | 16)
	for i := range 2 * n {
		x := int32(-1)
		if i >= n {
			x = 0
		}
		v.AddDatum(4*i, I32(x))
	}
	return m
}

// load reads a vector; a tail reads only the lanes that lanesLeft allows, and zeros for the rest.
func (v *vectors) load(at Mem, tail bool) reg.VecVirtual {
	r := v.vec()
	switch {
	case !tail:
		v.VMOVUPS(at, r)
	case v.wide:
		v.VMOVUPS_Z(at, v.tailK, r)
	default:
		v.VMASKMOVPS(at, v.tailY, r)
	}
	return r
}

func (v *vectors) store(r Op, at Mem, tail bool) {
	switch {
	case !tail:
		v.VMOVUPS(r, at)
	case v.wide:
		v.VMOVUPS(r, v.tailK, at)
	default:
		v.VMASKMOVPS(r, v.tailY, at)
	}
}

// broadcast reads one float into all lanes.
func (v *vectors) broadcast(at Mem) reg.VecVirtual {
	r := v.vec()
	v.VBROADCASTSS(at, r)
	return r
}

func (v *vectors) function(name, avoSignature string) {
	function(v.Context, v.stubs, name+v.suffix(), avoSignature, avoSignature)
}

func (v *vectors) end() {
	v.VZEROUPPER()
	v.RET()
}

func (v *vectors) param(name string) reg.GPVirtual {
	r := v.GP64()
	v.Load(v.Param(name), r)
	return r
}

// strip loops over n elements: body gets the index of the first one of each vector. The tail's masks must
// have been prepared.
func (v *vectors) strip(label string, n reg.GPVirtual, body func(i reg.GPVirtual, tail bool)) {
	i, whole := v.GP64(), v.GP64()
	v.XORQ(i, i)
	v.MOVQ(n, whole)
	v.ANDQ(I32(-v.floats()), whole)
	v.JZ(LabelRef(label + "_tail"))
	v.Label(label + "_loop")
	body(i, false)
	v.ADDQ(Imm(uint64(v.floats())), i)
	v.CMPQ(i, whole)
	v.JLT(LabelRef(label + "_loop"))
	v.Label(label + "_tail")
	v.CMPQ(i, n)
	v.JGE(LabelRef(label + "_done"))
	body(i, true)
	v.Label(label + "_done")
}

// tailOf prepares the masks for the last lanes of n elements.
func (v *vectors) tailOf(n reg.GPVirtual) {
	left := v.GP64()
	v.MOVQ(n, left)
	v.ANDQ(Imm(uint64(v.floats()-1)), left)
	v.lanesLeft(left)
}
