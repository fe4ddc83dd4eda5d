package tangent

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// rule returns the tangent of a node with one output, given that some input has a tangent; nil for zero.
type rule func(t tangents, node *Node) *Node

// steps says that a node's derivative is zero wherever it exists: its values are whole numbers or truth values, or it is
// flat between steps.
func steps(node *Node) bool {
	switch node.Type() {
	case NodeTypeSign, NodeTypeFloor, NodeTypeCeil, NodeTypeRound:
		return true
	}
	return node.NumOutputs() == 1 && !node.DType().IsFloat() && !node.DType().IsComplex()
}

var rules map[NodeType]rule

func init() {
	rules = map[NodeType]rule{
		// Linear in their first input; further inputs are indices or do not move.
		NodeTypeIdentity: same, NodeTypeReshape: first, NodeTypeTranspose: first, NodeTypeBroadcastInDim: first,
		NodeTypeSlice: first, NodeTypeReverse: first, NodeTypeReduceSum: first, NodeTypeNeg: first, NodeTypeCumSum: first,
		NodeTypeGather: first, NodeTypeDynamicSlice: first, NodeTypeConvertDType: first,
		// Linear in all inputs together, or in each.
		NodeTypeAdd: add, NodeTypeSub: add, NodeTypeConcatenate: joint, NodeTypePad: joint, NodeTypeWhere: where,
		NodeTypeMul: multiply, NodeTypeConvGeneral: bilinear, NodeTypeDotGeneral: bilinear,
		// Selections.
		NodeTypeMax: larger, NodeTypeMin: larger, NodeTypeClamp: clamp,
		NodeTypeReduceMax: extremum, NodeTypeReduceMin: extremum, NodeTypeReduceWindow: window, NodeTypeAbs: absolute,
		// Elementwise: the derivative, from the input x and the output y.
		NodeTypeExp:      times(func(_, y *Node) *Node { return y }),
		NodeTypeExpm1:    times(func(x, _ *Node) *Node { return Exp(x) }),
		NodeTypeLog:      over(func(x, _ *Node) *Node { return x }),
		NodeTypeLog1p:    over(func(x, _ *Node) *Node { return OnePlus(x) }),
		NodeTypeSqrt:     over(func(_, y *Node) *Node { return Add(y, y) }),
		NodeTypeRsqrt:    over(func(x, _ *Node) *Node { return MulScalar(Mul(x, Sqrt(x)), -2) }),
		NodeTypeTanh:     times(func(_, y *Node) *Node { return OneMinus(Mul(y, y)) }),
		NodeTypeLogistic: times(func(_, y *Node) *Node { return Mul(y, OneMinus(y)) }),
		NodeTypeSin:      times(func(x, _ *Node) *Node { return Cos(x) }),
		NodeTypeCos:      times(func(x, _ *Node) *Node { return Neg(Sin(x)) }),
		NodeTypeErf:      times(func(x, _ *Node) *Node { return MulScalar(Exp(Neg(Mul(x, x))), twoOverRootPi) }),
		NodeTypeDiv:      quotient, NodeTypePow: power,
	}
}

const twoOverRootPi = 1.1283791670955126 // 2/sqrt(pi), from d erf(x)/dx = 2/sqrt(pi) exp(-x^2)

// times is the rule of y = f(x) with derivative d(x, y).
func times(d func(x, y *Node) *Node) rule {
	return func(t tangents, node *Node) *Node {
		x := node.Inputs()[0]
		return Mul(t.of(x), d(x, node))
	}
}

// over is the rule of y = f(x) with derivative 1/d(x, y).
func over(d func(x, y *Node) *Node) rule {
	return func(t tangents, node *Node) *Node {
		x := node.Inputs()[0]
		return Div(t.of(x), d(x, node))
	}
}

// replaced returns the node's inputs with one put in another's place.
func replaced(node *Node, k int, by *Node) []*Node {
	inputs := append([]*Node(nil), node.Inputs()...)
	inputs[k] = by
	return inputs
}

// same is the rule of the identity. The node itself is not cloned: a custom gradient must not act on the tangent.
func same(t tangents, node *Node) *Node { return t.of(node.Inputs()[0]) }

// first is the rule of an operation that is linear in its first input, when the others do not move.
func first(t tangents, node *Node) *Node {
	for _, in := range node.Inputs()[1:] {
		if t.of(in) != nil {
			panic(&UnsupportedOpError{Op: node.Type().String() + " with moving parameters"})
		}
	}
	return node.CloneWithInputs(replaced(node, 0, t.of(node.Inputs()[0]))...)
}

// add is the rule of a sum or difference, whose inputs may be broadcast to the output's shape.
func add(t tangents, node *Node) *Node {
	a, b := t.of(node.Inputs()[0]), t.of(node.Inputs()[1])
	switch {
	case a != nil && b != nil:
		return node.CloneWithInputs(a, b)
	case a != nil:
		return expand(a, node)
	case node.Type() == NodeTypeSub:
		return expand(Neg(b), node)
	}
	return expand(b, node)
}

// expand broadcasts a tangent to the shape of a node by the rules of elementwise operations: scalars, and axes of size 1.
func expand(x, node *Node) *Node {
	if x.Shape().Equal(node.Shape()) {
		return x
	}
	return BroadcastToShape(x, node.Shape())
}

// joint is the rule of an operation that is linear in all its inputs at once: those that do not move count as zeros.
func joint(t tangents, node *Node) *Node {
	inputs := make([]*Node, len(node.Inputs()))
	for k, in := range node.Inputs() {
		if inputs[k] = t.of(in); inputs[k] == nil {
			inputs[k] = ZerosLike(in)
		}
	}
	return node.CloneWithInputs(inputs...)
}

// bilinear is the rule of an operation that is linear in each of its two inputs: d(a*b) = da*b + a*db.
func bilinear(t tangents, node *Node) *Node {
	var sum *Node
	for k, in := range node.Inputs() {
		if d := t.of(in); d != nil {
			part := node.CloneWithInputs(replaced(node, k, d)...)
			if sum == nil {
				sum = part
			} else {
				sum = Add(sum, part)
			}
		}
	}
	return sum
}

// multiply is the rule of a product of two tensors; a square needs one product only, d(x*x) = 2 x dx.
func multiply(t tangents, node *Node) *Node {
	if x := node.Inputs()[0]; x == node.Inputs()[1] {
		half := Mul(x, t.of(x))
		return Add(half, half)
	}
	return bilinear(t, node)
}

// quotient is the rule of y = a/b: dy = (da - y db)/b.
func quotient(t tangents, node *Node) *Node {
	b := node.Inputs()[1]
	da, db := t.of(node.Inputs()[0]), t.of(b)
	if db == nil {
		return Div(da, b)
	}
	if da == nil {
		return Neg(Div(Mul(node, db), b))
	}
	return Div(Sub(da, Mul(node, db)), b)
}

// power is the rule of y = a^b: dy = b a^(b-1) da + y log(a) db.
func power(t tangents, node *Node) *Node {
	a, b := node.Inputs()[0], node.Inputs()[1]
	var sum *Node
	if da := t.of(a); da != nil {
		sum = expand(Mul(Mul(b, Pow(a, AddScalar(b, -1))), da), node)
	}
	if db := t.of(b); db != nil {
		part := Mul(Mul(node, Log(a)), db)
		if sum != nil {
			part = Add(sum, part)
		}
		sum = part
	}
	return sum
}
