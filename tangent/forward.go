// Package tangent differentiates GoMLX graphs in forward mode. It knows nothing about networks or data.
//
// [Forward] walks the nodes between inputs and outputs in the order they were made and pushes a tangent through each:
// an operation linear in an input is cloned with the tangent in that input's place, a nonlinear elementwise operation
// multiplies by its derivative. The tangents are nodes of the same graph, so a reverse pass over them gives second
// derivatives: [HessianProduct] and [GaussNewtonProduct] are reverse over forward (Pearlmutter 1994).
//
// The directional derivative of per-sample losses l of shape [batch],
//
//	Forward([]*Node{l}, params, v)
//
// is grad l_i . v for every sample at once, in one pass and without a gradient per sample.
//
// Conventions where a derivative does not exist are those of GoMLX's reverse mode: on a tie Max follows its first input and
// Min its second, pooling the first extreme element of a window; Abs has the slope 1 at zero. StopGradient stops tangents
// too. A node with a custom gradient is differentiated as what it computes, not by its custom gradient.
//
// Values that are not floating-point numbers have a tangent of zero. Complex numbers, operations with several outputs and
// dynamic shapes have no rules. A second derivative also needs the reverse-mode rules of GoMLX, which v0.28 lacks for
// Rsqrt, Expm1 and Clamp: write 1/Sqrt, Exp-1, and Min of Max.
package tangent

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// UnsupportedOpError says that forward mode has no rule for an operation. Graph-building functions panic with it, and
// an Exec returns it as an error.
type UnsupportedOpError struct {
	// Op is the operation's name, such as "FFT".
	Op string
}

// Error implements error.
func (e *UnsupportedOpError) Error() string {
	return fmt.Sprintf("forward-mode differentiation has no rule for the operation %s", e.Op)
}

// Forward returns the directional derivative of every output when inputs[k] moves along directions[k], which has the
// shape of inputs[k]. Inputs may be any nodes, and move independently of each other; an input given twice moves along the
// sum of its directions. An output that does not depend on the inputs has a derivative of zeros. All nodes belong to one
// graph. It panics with *UnsupportedOpError if an operation on the way has no rule.
func Forward(outputs, inputs, directions []*Node) []*Node {
	if len(inputs) != len(directions) {
		panic(fmt.Errorf("tangent: %d inputs and %d directions", len(inputs), len(directions)))
	}
	if len(outputs) == 0 {
		return nil
	}
	t := tangents{}
	for k, in := range inputs {
		if !in.Shape().Equal(directions[k].Shape()) {
			panic(fmt.Errorf("tangent: direction %d has shape %s, its input %s", k, directions[k].Shape(), in.Shape()))
		}
		if earlier := t.of(in); earlier != nil {
			t[in.Id()] = Add(earlier, directions[k])
		} else {
			t[in.Id()] = directions[k]
		}
	}
	for _, node := range between(outputs, inputs) {
		if tangent := t.push(node); tangent != nil {
			t[node.Id()] = tangent
		}
	}
	derivatives := make([]*Node, len(outputs))
	for k, out := range outputs {
		if derivatives[k] = t.of(out); derivatives[k] == nil {
			derivatives[k] = ZerosLike(out)
		}
	}
	return derivatives
}

// tangents maps a node to its tangent. A node without an entry has a tangent of zero, which is never made a node unless
// an operation needs it.
type tangents map[NodeId]*Node

func (t tangents) of(n *Node) *Node { return t[n.Id()] }

// between returns the nodes that depend on the inputs and that the outputs depend on, the inputs left out, in the order
// they were made. A node that stops gradients ends the dependence.
func between(outputs, inputs []*Node) []*Node {
	nodes := outputs[0].Graph().Nodes()
	isInput := make(map[NodeId]bool, len(inputs))
	moves := make([]bool, len(nodes))
	for _, in := range inputs {
		isInput[in.Id()] = true
		moves[in.Id()] = true
	}
	needed := make([]bool, len(nodes))
	last := NodeId(0)
	for _, out := range outputs {
		needed[out.Id()] = true
		last = max(last, out.Id())
	}
	for id := last; id >= 0; id-- {
		if needed[id] && !isInput[id] && !nodes[id].StopGradient() {
			for _, in := range nodes[id].Inputs() {
				needed[in.Id()] = true
			}
		}
	}
	var way []*Node
	for id := NodeId(0); id <= last; id++ {
		node := nodes[id]
		if !needed[id] || isInput[id] || node.StopGradient() {
			continue
		}
		for _, in := range node.Inputs() {
			if moves[in.Id()] {
				moves[id] = true
				way = append(way, node)
				break
			}
		}
	}
	return way
}

// push returns the tangent of a node from those of its inputs, nil for zero.
func (t tangents) push(node *Node) *Node {
	moving := false
	for _, in := range node.Inputs() {
		moving = moving || t.of(in) != nil
	}
	if !moving || steps(node) {
		return nil
	}
	rule, ok := rules[node.Type()]
	if !ok || node.NumOutputs() != 1 {
		panic(&UnsupportedOpError{Op: node.Type().String()})
	}
	return rule(t, node)
}
