package kernel

import "math"

func portableBinary(op BinaryOp, f form, dst, a, b []float32) {
	if f == formVV {
		a, b = a[:len(dst)], b[:len(dst)]
		switch op {
		case Add:
			for i, x := range a {
				dst[i] = x + b[i]
			}
		case Sub:
			for i, x := range a {
				dst[i] = x - b[i]
			}
		case Mul:
			for i, x := range a {
				dst[i] = x * b[i]
			}
		case Div:
			for i, x := range a {
				dst[i] = x / b[i]
			}
		case Max:
			for i, x := range a {
				dst[i] = max(x, b[i])
			}
		case Min:
			for i, x := range a {
				dst[i] = min(x, b[i])
			}
		case ReLUGrad:
			for i, x := range a {
				dst[i] = reluGrad(x, b[i])
			}
		default:
			panic("kernel: unknown operation")
		}
		return
	}
	apply := binaryFunc(op)
	if f == formVS {
		y := b[0]
		for i, x := range a[:len(dst)] {
			dst[i] = apply(x, y)
		}
		return
	}
	x := a[0]
	for i, y := range b[:len(dst)] {
		dst[i] = apply(x, y)
	}
}

func binaryFunc(op BinaryOp) func(a, b float32) float32 {
	switch op {
	case Add:
		return func(a, b float32) float32 { return a + b }
	case Sub:
		return func(a, b float32) float32 { return a - b }
	case Mul:
		return func(a, b float32) float32 { return a * b }
	case Div:
		return func(a, b float32) float32 { return a / b }
	case Max:
		return func(a, b float32) float32 { return max(a, b) }
	case Min:
		return func(a, b float32) float32 { return min(a, b) }
	case ReLUGrad:
		return reluGrad
	}
	panic("kernel: unknown operation")
}

func reluGrad(a, b float32) float32 {
	switch {
	case b >= 0:
		return a
	case b < 0:
		return a * 0
	}
	return a * b // NaN
}

func portableMulAdd(f form, dst, a, b, c []float32) {
	for i := range dst {
		y := b[0]
		if f == formVV {
			y = b[i]
		}
		dst[i] = a[i]*y + c[i]
	}
}

func portableCompare(op CompareOp, f form, dst []bool, a, b []float32) {
	for i := range dst {
		y := b[0]
		if f == formVV {
			y = b[i]
		}
		switch op {
		case Equal:
			dst[i] = a[i] == y
		case NotEqual:
			dst[i] = a[i] != y
		case Less:
			dst[i] = a[i] < y
		case LessEqual:
			dst[i] = a[i] <= y
		case Greater:
			dst[i] = a[i] > y
		case GreaterEqual:
			dst[i] = a[i] >= y
		default:
			panic("kernel: unknown operation")
		}
	}
}

func portableSelect(f form, dst []float32, mask []bool, a, b []float32) {
	for i := range dst {
		x, from := b, f == formVV || f == formSV
		if mask[i] {
			x, from = a, f == formVV || f == formVS
		}
		if from {
			dst[i] = x[i]
		} else {
			dst[i] = x[0]
		}
	}
}

func portableUnary(op UnaryOp, dst, x []float32) {
	var f func(float32) float32
	switch op {
	case ReLU:
		f = func(x float32) float32 { return max(x, 0) }
	case Neg:
		f = func(x float32) float32 { return -x }
	case Abs:
		f = func(x float32) float32 { return float32(math.Abs(float64(x))) }
	case Sqrt:
		f = func(x float32) float32 { return float32(math.Sqrt(float64(x))) }
	case Rsqrt:
		f = func(x float32) float32 { return 1 / float32(math.Sqrt(float64(x))) }
	case Exp:
		f = exp32
	case Log:
		f = log32
	case Tanh:
		f = tanh32
	case Logistic:
		f = logistic32
	case Erf:
		f = erf32
	default:
		panic("kernel: unknown operation")
	}
	for i := range dst {
		dst[i] = f(x[i])
	}
}

func portableSum(lane *[lanes]float32, x []float32) {
	for i, v := range x {
		lane[i%lanes] += v
	}
}

func portableDot(lane *[lanes]float32, x, y []float32) {
	for i, v := range x {
		lane[i%lanes] += v * y[i]
	}
}

func portableLargest(lane *[lanes]float32, x []float32) {
	for i := range lane {
		lane[i] = float32(math.Inf(-1))
	}
	for i, v := range x {
		lane[i%lanes] = max(lane[i%lanes], v)
	}
}

func portableColumns(dst, x, y []float32, rows, xStride, yStride int, add bool) {
	if !add {
		clear(dst)
	}
	for r := range rows {
		row := x[r*xStride:][:len(dst)]
		if y == nil {
			for j, v := range row {
				dst[j] += v
			}
			continue
		}
		other := y[r*yStride:][:len(dst)]
		for j, v := range row {
			dst[j] += v * other[j]
		}
	}
}
