package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The polynomials are those of package kernel's portable.go, which names their sources; keep them in step.

// exp(x) = 2^n exp(r), n = round(x/ln 2), |r| <= ln(2)/2.
func (v *vectors) exp(x reg.VecVirtual) reg.VecVirtual {
	x = v.rawMin(v.set(89), x) // NaN stays: the second operand wins
	x = v.rawMax(v.set(-104), x)
	n := v.mul(x, v.constant(1.44269504088896341))
	if v.wide {
		v.VRNDSCALEPS(U8(8), n, n)
	} else {
		v.VROUNDPS(U8(8), n, n)
	}
	r := v.vec()
	v.VMOVAPS(x, r)
	v.addMul(r, n, v.constant(-0.693359375))
	v.addMul(r, n, v.constant(2.12194440e-4))
	p := v.poly(r, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
	q := v.mul(r, r)
	v.mulAdd(q, p, r)
	q = v.add(q, v.constant(1))
	if v.wide {
		out := v.vec()
		v.VSCALEFPS(n, q, out)
		return out
	}
	// Two factors, so that 2^n may be out of range while the result is not.
	i, half := v.YMM(), v.YMM()
	v.VCVTPS2DQ(n, i)
	v.VPSRAD(U8(1), i, half)
	v.VPSUBD(half, i, i)
	for _, e := range []reg.VecVirtual{half, i} {
		v.VPADDD(v.constBits(127), e, e)
		v.VPSLLD(U8(23), e, e)
		q = v.mul(q, e)
	}
	return q
}

// log(x) = e ln 2 + log(m), sqrt(1/2) <= m < sqrt(2).
func (v *vectors) log(x reg.VecVirtual) reg.VecVirtual {
	var e, m reg.VecVirtual
	if v.wide {
		e, m = v.vec(), v.vec()
		v.VGETEXPPS(x, e)
		v.VGETMANTPS(U8(0), x, m)
	} else {
		tiny := v.compare(cmpLT, x, v.constBits(0x00800000)) // below the normal numbers
		scaled := v.choose(tiny, v.mul(x, v.constant(1<<23)), x)
		bias := v.choose(tiny, v.set(127+23), v.set(127))
		e = v.YMM()
		v.VPSRLD(U8(23), scaled, e)
		v.VCVTDQ2PS(e, e)
		e = v.sub(e, bias)
		m = v.or(v.and(scaled, v.constBits(0x007fffff)), v.constant(1))
	}
	big := v.compare(cmpGT, m, v.constant(1.41421356237))
	m = v.choose(big, v.mul(m, v.constant(0.5)), m)
	e = v.choose(big, v.add(e, v.constant(1)), e)
	f := v.sub(m, v.constant(1))
	p := v.poly(f, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
		-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
	z := v.mul(f, f)
	y := v.mul(v.mul(p, f), z)
	v.addMul(y, e, v.constant(-2.12194440e-4))
	v.addMul(y, z, v.constant(-0.5))
	r := v.add(f, y)
	v.addMul(r, e, v.constant(0.693359375))
	r = v.choose(v.compare(cmpEQ, x, v.constBits(0)), v.constBits(0xff800000), r)
	r = v.choose(v.compare(cmpEQ, x, v.constBits(0x7f800000)), v.constBits(0x7f800000), r)
	r = v.choose(v.compare(cmpLT, x, v.constBits(0)), v.constBits(0x7fc00000), r)
	return v.choose(v.compare(cmpUN, x, x), x, r)
}

// tanh(x): an odd polynomial below 0.625, else 1 - 2/(exp(2x) + 1).
func (v *vectors) tanh(x reg.VecVirtual) reg.VecVirtual {
	sign := v.and(x, v.constBits(1<<31))
	t := v.xor(x, sign)
	e := v.exp(v.add(t, t))
	large := v.sub(v.set(1), v.div(v.set(2), v.add(e, v.constant(1))))
	z := v.mul(t, t)
	p := v.poly(z, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	small := v.mul(p, z)
	v.mulAdd(small, t, t)
	return v.or(v.choose(v.compare(cmpLT, t, v.constant(0.625)), small, large), sign)
}

// logistic(x) = 1/(1 + exp(-|x|)), times exp(-|x|) for negative x.
func (v *vectors) logistic(x reg.VecVirtual) reg.VecVirtual {
	e := v.exp(v.or(x, v.constBits(1<<31)))
	one := v.set(1)
	above := v.compare(cmpGE, x, v.constBits(0))
	return v.div(v.choose(above, one, e), v.add(e, one))
}

// erf(x): an odd polynomial below 475/512, else 1 - exp of a polynomial.
func (v *vectors) erf(x reg.VecVirtual) reg.VecVirtual {
	sign := v.and(x, v.constBits(1<<31))
	t := v.xor(x, sign)
	s := v.mul(t, t)
	// NaN keeps: the second operand wins.
	far := v.rawMin(v.set(4), t)
	p := v.poly(far, -1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1)
	v.mulAdd(p, far, v.xor(far, v.constBits(1<<31)))
	large := v.sub(v.set(1), v.exp(p))
	q := v.poly(s, -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1)
	v.mulAdd(q, t, t)
	return v.or(v.choose(v.compare(cmpGT, t, v.constant(0.927734375)), large, q), sign)
}
