package kernel

import "math"

// The functions below are the twins of the assembly in gen/transcendental.go: the same reductions and the
// same polynomials, so keep them in step. exp, log and tanh follow Cephes (S. Moshier, single precision
// library, expf.c, logf.c, tanhf.c); erf uses minimax polynomials by N. Juffa.

func exp32(x float32) float32 {
	if x != x {
		return x
	}
	x = min(max(x, -104), 89)
	n := float32(math.RoundToEven(float64(x * 1.44269504088896341)))
	r := x - n*0.693359375
	r += n * 2.12194440e-4
	p := float32(1.9875691500e-4)
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	q := r*r*p + r + 1
	// Two factors, so that 2^n may be out of range while the result is not.
	half := int32(n) >> 1
	rest := int32(n) - half
	return q * math.Float32frombits(uint32(half+127)<<23) * math.Float32frombits(uint32(rest+127)<<23)
}

func log32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x < 0:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	case x > math.MaxFloat32:
		return x
	}
	bias := float32(127)
	if x < 0x1p-126 {
		x *= 1 << 23
		bias += 23
	}
	bits := math.Float32bits(x)
	e := float32(bits>>23) - bias
	m := math.Float32frombits(bits&0x007fffff | 0x3f800000)
	if m > 1.41421356237 {
		m *= 0.5
		e++
	}
	f := m - 1
	p := float32(7.0376836292e-2)
	p = p*f - 1.1514610310e-1
	p = p*f + 1.1676998740e-1
	p = p*f - 1.2420140846e-1
	p = p*f + 1.4249322787e-1
	p = p*f - 1.6668057665e-1
	p = p*f + 2.0000714765e-1
	p = p*f - 2.4999993993e-1
	p = p*f + 3.3333331174e-1
	z := f * f
	y := p * f * z
	y -= e * 2.12194440e-4
	y -= 0.5 * z
	return f + y + e*0.693359375
}

func tanh32(x float32) float32 {
	t := float32(math.Abs(float64(x)))
	if t < 0.625 {
		z := t * t
		p := float32(-5.70498872745e-3)
		p = p*z + 2.06390887954e-2
		p = p*z - 5.37397155531e-2
		p = p*z + 1.33314422036e-1
		p = p*z - 3.33332819422e-1
		return copysign(p*z*t+t, x)
	}
	return copysign(1-2/(exp32(t+t)+1), x)
}

func logistic32(x float32) float32 {
	e := exp32(-float32(math.Abs(float64(x))))
	if x >= 0 {
		return 1 / (e + 1)
	}
	return e / (e + 1)
}

func erf32(x float32) float32 {
	t := float32(math.Abs(float64(x)))
	if t > 0.927734375 {
		t = min(t, 4)
		p := float32(-1.72853470e-5)
		p = p*t + 3.83197126e-4
		p = p*t - 3.88396438e-3
		p = p*t + 2.42546219e-2
		p = p*t - 1.06777877e-1
		p = p*t - 6.34846687e-1
		p = p*t - 1.28717512e-1
		p = p*t - t
		return copysign(1-exp32(p), x)
	}
	s := t * t
	p := float32(-5.96761703e-4)
	p = p*s + 4.99119423e-3
	p = p*s - 2.67681349e-2
	p = p*s + 1.12819925e-1
	p = p*s - 3.76125336e-1
	p = p*s + 1.28379166e-1
	return copysign(p*t+t, x)
}

func copysign(x, sign float32) float32 {
	return float32(math.Copysign(float64(x), float64(sign)))
}
