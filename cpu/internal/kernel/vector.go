package kernel

import (
	"fmt"
	"unsafe"
)

// BinaryOp is an elementwise operation on two operands.
type BinaryOp int

// The binary operations. Max and Min are NaN where either operand is NaN, and order -0 below +0, like
// the built-in max and min. ReLUGrad is a times the derivative of max(b, 0), which is 1 at zero and NaN at NaN.
const (
	Add BinaryOp = iota
	Sub
	Mul
	Div
	Max
	Min
	ReLUGrad
)

// CompareOp is an elementwise comparison; with NaN all but NotEqual are false.
type CompareOp int

// The comparisons.
const (
	Equal CompareOp = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// UnaryOp is an elementwise operation on one operand.
type UnaryOp int

// The unary operations. Neg, Abs, Sqrt and ReLU are exact; Rsqrt is 1/Sqrt, twice rounded. The relative errors of
// the others, over all binades, are at most: Exp 1e-7, Log 1e-7, Tanh 2e-7, Logistic 2e-7, Erf 1e-7 (the tests
// allow 2e-7 to 3e-7). They are right at infinities, NaN and zeros, and take and give denormal numbers.
const (
	Neg UnaryOp = iota
	Abs
	Sqrt
	Rsqrt
	Exp
	Log
	Tanh
	Logistic
	Erf
	ReLU // max(x, 0)
)

// form says which operands are vectors (V) and which one number a row (S).
type form int

const (
	formVV form = iota
	formVS
	formSV
	formSS
)

// Grid is a grid of elements for the functions whose names end in Rows: Rows rows of Cols elements. Element
// (r, i) of an operand is at r*stride+i of its slice; stride 0 repeats a row. For an operand that is one number
// a row, it is at r*stride.
type Grid struct {
	Rows, Cols   int
	Dst, A, B, C int // strides in elements
}

func (g *Grid) empty() bool { return g.Rows <= 0 || g.Cols <= 0 }

// check panics unless a slice of n elements holds an operand of the given stride and width.
func (g *Grid) check(name string, n, stride, width int) {
	if stride < 0 || n < (g.Rows-1)*stride+width {
		panic(fmt.Sprintf("kernel: %s has %d elements, too few for %d rows of %d, %d apart", name, n, g.Rows, width, stride))
	}
}

func flat(dst, a int) *Grid {
	if a < dst {
		panic(fmt.Sprintf("kernel: an operand has %d elements, fewer than the %d of the result", a, dst))
	}
	return &Grid{Rows: 1, Cols: dst}
}

// Binary sets dst[i] = a[i] op b[i] for the elements of dst. dst may be a or b.
func Binary(op BinaryOp, dst, a, b []float32) {
	g := flat(len(dst), min(len(a), len(b)))
	binaryRows(op, formVV, dst, a, b, g)
}

// BinaryScalar sets dst[i] = a[i] op b.
func BinaryScalar(op BinaryOp, dst, a []float32, b float32) {
	s := [1]float32{b}
	binaryRows(op, formVS, dst, a, s[:], flat(len(dst), len(a)))
}

// ScalarBinary sets dst[i] = a op b[i].
func ScalarBinary(op BinaryOp, dst []float32, a float32, b []float32) {
	s := [1]float32{a}
	binaryRows(op, formSV, dst, s[:], b, flat(len(dst), len(b)))
}

// BinaryRows sets dst = a op b over a grid; stride 0 of a or b repeats a row.
func BinaryRows(op BinaryOp, dst, a, b []float32, g *Grid) { binaryRows(op, formVV, dst, a, b, g) }

// BinaryRowScalars sets dst = a op b over a grid, with one number b a row.
func BinaryRowScalars(op BinaryOp, dst, a, b []float32, g *Grid) {
	binaryRows(op, formVS, dst, a, b, g)
}

// RowScalarsBinary sets dst = a op b over a grid, with one number a a row.
func RowScalarsBinary(op BinaryOp, dst, a, b []float32, g *Grid) {
	binaryRows(op, formSV, dst, a, b, g)
}

func binaryRows(op BinaryOp, f form, dst, a, b []float32, g *Grid) {
	if g.empty() {
		return
	}
	g.check("dst", len(dst), g.Dst, g.Cols)
	g.check("a", len(a), g.A, f.widthA(g.Cols))
	g.check("b", len(b), g.B, f.widthB(g.Cols))
	if !asmBinary(op, f, unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b), g) {
		for r := range g.Rows {
			portableBinary(op, f, dst[r*g.Dst:][:g.Cols], a[r*g.A:], b[r*g.B:])
		}
	}
}

func (f form) widthA(n int) int {
	if f == formSV || f == formSS {
		return 1
	}
	return n
}

func (f form) widthB(n int) int {
	if f == formVS || f == formSS {
		return 1
	}
	return n
}

// Unary sets dst[i] = op(x[i]) for the elements of dst. dst may be x.
func Unary(op UnaryOp, dst, x []float32) {
	flat(len(dst), len(x))
	if len(dst) == 0 {
		return
	}
	if !asmUnary(op, unsafe.SliceData(dst), unsafe.SliceData(x), len(dst)) {
		portableUnary(op, dst, x)
	}
}

// MulAdd sets dst[i] = a[i]*b[i] + c[i], rounded once where the machine can.
func MulAdd(dst, a, b, c []float32) {
	mulAddRows(formVV, dst, a, b, c, flat(len(dst), min(len(a), len(b), len(c))))
}

// MulAddScalar sets dst[i] = a[i]*b + c[i]: axpy, with dst = c.
func MulAddScalar(dst, a []float32, b float32, c []float32) {
	s := [1]float32{b}
	mulAddRows(formVS, dst, a, s[:], c, flat(len(dst), min(len(a), len(c))))
}

// MulAddRows sets dst = a*b + c over a grid, as for a normalization with a scale and a shift per channel.
func MulAddRows(dst, a, b, c []float32, g *Grid) { mulAddRows(formVV, dst, a, b, c, g) }

func mulAddRows(f form, dst, a, b, c []float32, g *Grid) {
	if g.empty() {
		return
	}
	g.check("dst", len(dst), g.Dst, g.Cols)
	g.check("a", len(a), g.A, g.Cols)
	g.check("b", len(b), g.B, f.widthB(g.Cols))
	g.check("c", len(c), g.C, g.Cols)
	if !asmMulAdd(f, unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b), unsafe.SliceData(c), g) {
		for r := range g.Rows {
			portableMulAdd(f, dst[r*g.Dst:][:g.Cols], a[r*g.A:], b[r*g.B:], c[r*g.C:])
		}
	}
}

// Compare sets dst[i] = a[i] op b[i].
func Compare(op CompareOp, dst []bool, a, b []float32) {
	compareRows(op, formVV, dst, a, b, flat(len(dst), min(len(a), len(b))))
}

// CompareScalar sets dst[i] = a[i] op b.
func CompareScalar(op CompareOp, dst []bool, a []float32, b float32) {
	s := [1]float32{b}
	compareRows(op, formVS, dst, a, s[:], flat(len(dst), len(a)))
}

// CompareRows sets dst = a op b over a grid.
func CompareRows(op CompareOp, dst []bool, a, b []float32, g *Grid) {
	compareRows(op, formVV, dst, a, b, g)
}

// CompareRowScalars sets dst = a op b over a grid, with one number b a row.
func CompareRowScalars(op CompareOp, dst []bool, a, b []float32, g *Grid) {
	compareRows(op, formVS, dst, a, b, g)
}

func compareRows(op CompareOp, f form, dst []bool, a, b []float32, g *Grid) {
	if g.empty() {
		return
	}
	g.check("dst", len(dst), g.Dst, g.Cols)
	g.check("a", len(a), g.A, g.Cols)
	g.check("b", len(b), g.B, f.widthB(g.Cols))
	if !asmCompare(op, f, unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b), g) {
		for r := range g.Rows {
			portableCompare(op, f, dst[r*g.Dst:][:g.Cols], a[r*g.A:], b[r*g.B:])
		}
	}
}

// Select sets dst[i] to a[i] where mask[i] is true, else to b[i].
func Select(dst []float32, mask []bool, a, b []float32) {
	flat(len(dst), min(len(mask), len(a), len(b)))
	selectForm(formVV, dst, mask, a, b)
}

// SelectElse sets dst[i] to a[i] where mask[i] is true, else to b.
func SelectElse(dst []float32, mask []bool, a []float32, b float32) {
	flat(len(dst), min(len(mask), len(a)))
	s := [1]float32{b}
	selectForm(formVS, dst, mask, a, s[:])
}

// SelectScalar sets dst[i] to a where mask[i] is true, else to b[i].
func SelectScalar(dst []float32, mask []bool, a float32, b []float32) {
	flat(len(dst), min(len(mask), len(b)))
	s := [1]float32{a}
	selectForm(formSV, dst, mask, s[:], b)
}

// SelectScalars sets dst[i] to a where mask[i] is true, else to b.
func SelectScalars(dst []float32, mask []bool, a, b float32) {
	flat(len(dst), len(mask))
	s, t := [1]float32{a}, [1]float32{b}
	selectForm(formSS, dst, mask, s[:], t[:])
}

func selectForm(f form, dst []float32, mask []bool, a, b []float32) {
	if len(dst) == 0 {
		return
	}
	if !asmSelect(f, unsafe.SliceData(dst), unsafe.SliceData(mask), unsafe.SliceData(a), unsafe.SliceData(b), len(dst)) {
		portableSelect(f, dst, mask, a, b)
	}
}
