package tangent

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// pick returns a where the condition holds and b elsewhere, in the shape of node; nil stands for zeros.
func pick(condition, a, b, node *Node) *Node {
	side := func(x *Node) *Node {
		if x == nil {
			return ScalarZero(node.Graph(), node.DType()) // Where broadcasts it to the other side.
		}
		return expand(x, node)
	}
	return Where(expandCondition(condition, node), side(a), side(b))
}

func expandCondition(condition, node *Node) *Node {
	shape := node.Shape().Clone()
	shape.DType = condition.DType()
	if condition.Shape().Equal(shape) {
		return condition
	}
	return BroadcastToShape(condition, shape)
}

// absolute is the rule of |x|, with the slope 1 at zero.
func absolute(t tangents, node *Node) *Node {
	x := node.Inputs()[0]
	dx := t.of(x)
	return Where(GreaterOrEqual(x, ScalarZero(x.Graph(), x.DType())), dx, Neg(dx))
}

// where is the rule of a choice by a condition, which has no derivative.
func where(t tangents, node *Node) *Node {
	in := node.Inputs()
	return pick(in[0], t.of(in[1]), t.of(in[2]), node)
}

// larger is the rule of Max and Min. On a tie Max follows the first input and Min the second, as in GoMLX's reverse mode.
func larger(t tangents, node *Node) *Node {
	a, b := node.Inputs()[0], node.Inputs()[1]
	if node.Type() == NodeTypeMax {
		return pick(GreaterOrEqual(a, b), t.of(a), t.of(b), node)
	}
	return pick(GreaterOrEqual(a, b), t.of(b), t.of(a), node)
}

// clamp is the rule of Clamp(low, x, high): x moves the output between the bounds, which must not move.
func clamp(t tangents, node *Node) *Node {
	low, x, high := node.Inputs()[0], node.Inputs()[1], node.Inputs()[2]
	if t.of(low) != nil || t.of(high) != nil {
		panic(&UnsupportedOpError{Op: "Clamp with moving bounds"})
	}
	return pick(LogicalAnd(GreaterOrEqual(x, low), LessOrEqual(x, high)), t.of(x), nil, node)
}

// extremum is the rule of ReduceMax and ReduceMin. Where several elements are extreme the tangents of all of them add up,
// as in GoMLX's reverse mode.
func extremum(t tangents, node *Node) *Node {
	x := node.Inputs()[0]
	axes := ints(parameter(node, "axes"))
	if len(axes) == 0 {
		axes = make([]int, x.Rank())
		for k := range axes {
			axes[k] = k
		}
	}
	kept := x.Shape().Clone()
	for _, axis := range axes {
		kept.Dimensions[axis] = 1
	}
	extreme := Equal(x, BroadcastToShape(Reshape(node, kept.Dimensions...), x.Shape()))
	return ReduceSum(pick(extreme, t.of(x), nil, x), axes...)
}
