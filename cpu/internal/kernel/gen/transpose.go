package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose writes the kernel that transposes blocks of 16 rows by 16 columns that follow each other along the
// columns: dst[(16*b+i)*dstRow + j] = src[j*srcRow + 16*b + i] for i, j < 16 and b < blocks.
func (v *vectors) transpose() {
	if !v.wide {
		return
	}
	v.function("transpose", "func(dst, src *float32, dstRow, srcRow, blocks int)")
	dst, src := v.param("dst"), v.param("src")
	dstRow, srcRow := v.stride("dstRow"), v.stride("srcRow")
	blocks := v.param("blocks")
	a, b := zmm[:16], zmm[16:]
	at := v.GP64()
	v.Label("block")
	v.MOVQ(src, at)
	for j := range a {
		v.VMOVUPS(Mem{Base: at}, a[j])
		v.ADDQ(srcRow, at)
	}
	// Pairs, then fours of rows within each quarter of a register.
	for j := 0; j < 16; j += 2 {
		v.VUNPCKLPS(a[j+1], a[j], b[j])
		v.VUNPCKHPS(a[j+1], a[j], b[j+1])
	}
	for j := 0; j < 16; j += 4 {
		v.VUNPCKLPD(b[j+2], b[j], a[j])
		v.VUNPCKHPD(b[j+2], b[j], a[j+1])
		v.VUNPCKLPD(b[j+3], b[j+1], a[j+2])
		v.VUNPCKHPD(b[j+3], b[j+1], a[j+3])
	}
	// a[4*g+i] has, in quarter q, column 4*q+i of rows 4*g..4*g+3. Transpose the quarters.
	var out [16]reg.VecPhysical
	for i := range 4 {
		v.VSHUFF32X4(U8(0x88), a[4+i], a[i], b[i])       // g 0, 0, 1, 1; q 0, 2, 0, 2
		v.VSHUFF32X4(U8(0xdd), a[4+i], a[i], b[4+i])     // q 1, 3, 1, 3
		v.VSHUFF32X4(U8(0x88), a[12+i], a[8+i], b[8+i])  // g 2, 2, 3, 3
		v.VSHUFF32X4(U8(0xdd), a[12+i], a[8+i], b[12+i]) //
		v.VSHUFF32X4(U8(0x88), b[8+i], b[i], a[i])       // q 0
		v.VSHUFF32X4(U8(0xdd), b[8+i], b[i], a[8+i])     // q 2
		v.VSHUFF32X4(U8(0x88), b[12+i], b[4+i], a[4+i])  // q 1
		v.VSHUFF32X4(U8(0xdd), b[12+i], b[4+i], a[12+i]) // q 3
		for q := range 4 {
			out[4*q+i] = a[4*q+i]
		}
	}
	for i := range out {
		v.VMOVUPS(out[i], Mem{Base: dst})
		v.ADDQ(dstRow, dst)
	}
	v.ADDQ(Imm(64), src)
	v.DECQ(blocks)
	v.JNZ(LabelRef("block"))
	v.end()
}
