package cpu

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// opIndicator is an operation that simplify makes: 1 where x >= 0, 0 where x < 0, NaN where x is NaN. GoMLX has it
// in the gradient of Max and Min, written as Sign(Sign(x) + 1).
const opIndicator = compute.OpTypeLast + 1

// opReLU and opReLUGrad are operations that simplify makes: max(x, 0), and the product of the first input and the
// indicator of the second.
const (
	opReLU     = compute.OpTypeLast + 3
	opReLUGrad = compute.OpTypeLast + 4
)

// simplify rewrites operations into cheaper ones with the same bits: neutral constants vanish, indicators become one
// operation, and a product that is only read transposed is computed that way. It works on the operations in place, which belong to a builder that compiles once.
func simplify(f *Function) {
	replaced := make(map[*value]*value)
	ops := live(f)
	uses := make(map[*value]int)
	for _, op := range ops {
		for _, v := range op.in {
			uses[v]++
		}
	}
	for _, v := range f.outputs {
		uses[v]++
	}
	for _, op := range ops {
		for i, v := range op.in {
			if w, ok := replaced[v]; ok {
				op.in[i] = w
			}
		}
		if len(op.out) != 1 {
			continue
		}
		v := op.out[0]
		if w := neutral(op); w != nil && w.shape.Equal(v.shape) {
			replaced[v] = w
			continue
		}
		rectify(op)
		if op.kind == compute.OpTypeTranspose && uses[op.in[0]] == 1 {
			transposeProduct(op)
		}
		if op.kind == compute.OpTypeSign && v.shape.DType == dtypes.Float32 {
			if inner := op.in[0].op; inner.kind == compute.OpTypeAdd {
				for k := range 2 {
					sign := inner.in[k].op
					if sign.kind == compute.OpTypeSign && isConstant(inner.in[1-k], 1) && sign.in[0].shape.Equal(v.shape) {
						op.kind, op.in, op.emit = opIndicator, sign.in, nil
						break
					}
				}
			}
		}
	}
	for i, v := range f.outputs {
		if w, ok := replaced[v]; ok {
			f.outputs[i] = w
		}
	}
}

// rectify makes ReLU and its gradient one operation each.
func rectify(op *operation) {
	v := op.out[0]
	if v.shape.DType != dtypes.Float32 {
		return
	}
	for k := range op.in {
		x, other := op.in[k], op.in[len(op.in)-1-k]
		switch {
		case op.kind == compute.OpTypeMax && isConstant(other, 0) && x.shape.Equal(v.shape):
			op.kind, op.in, op.emit = opReLU, []*value{x}, nil
			return
		case op.kind == compute.OpTypeMul && x.op.kind == opIndicator && x.shape.Equal(v.shape) && other.shape.Equal(v.shape):
			op.kind, op.in, op.emit = opReLUGrad, []*value{other, x.op.in[0]}, nil
			return
		}
	}
}

// transposeProduct turns the transpose of a product into the product of the exchanged operands, if it exchanges their
// free axes and nothing else.
func transposeProduct(op *operation) {
	dot := op.in[0].op
	if dot.kind != compute.OpTypeDotGeneral {
		return
	}
	a := dot.attrs.(attrsDotGeneral)
	batch := len(a.lhsBatchAxes)
	left := dot.in[0].shape.Rank() - batch - len(a.lhsContractingAxes)
	right := dot.in[1].shape.Rank() - batch - len(a.rhsContractingAxes)
	for i, axis := range op.attrs.(attrsTranspose).permutation {
		want := i
		switch {
		case i >= batch+right:
			want = i - right
		case i >= batch:
			want = i + left
		}
		if axis != want {
			return
		}
	}
	a.lhsContractingAxes, a.rhsContractingAxes = a.rhsContractingAxes, a.lhsContractingAxes
	a.lhsBatchAxes, a.rhsBatchAxes = a.rhsBatchAxes, a.lhsBatchAxes
	op.kind, op.attrs, op.emit = dot.kind, a, dot.emit
	op.in = []*value{dot.in[1], dot.in[0]}
}

// neutral is the operand that a float32 operation returns unchanged, bit for bit, or nil.
func neutral(op *operation) *value {
	if op.out[0].shape.DType != dtypes.Float32 {
		return nil
	}
	switch op.kind {
	case compute.OpTypeSub: // x + 0 is not here: -0 + 0 is 0
		if isConstant(op.in[1], 0) {
			return op.in[0]
		}
	case compute.OpTypeMul:
		for k := range 2 {
			if isConstant(op.in[k], 1) {
				return op.in[1-k]
			}
		}
	case compute.OpTypeDiv:
		if isConstant(op.in[1], 1) {
			return op.in[0]
		}
	}
	return nil
}

// isConstant says whether all elements of the value are x, as far as it is plain to see.
func isConstant(v *value, x float32) bool {
	for v.op.kind == compute.OpTypeBroadcastInDim || v.op.kind == compute.OpTypeReshape {
		v = v.op.in[0]
	}
	if v.op.kind != compute.OpTypeConstant || v.shape.DType != dtypes.Float32 || v.shape.Size() != 1 {
		return false
	}
	c := typed[float32](v.op.data)[0]
	return c == x && (c != 0 || 1/c > 0)
}
