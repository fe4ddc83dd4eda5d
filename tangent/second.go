package tangent

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// HessianProduct returns H v, one node for each input in its shape: H is the Hessian of the scalar loss with respect to
// the inputs, and v holds a direction for each. It is the gradient of the directional derivative, H v = grad(grad L . v)
// (Pearlmutter 1994), with v held fixed.
func HessianProduct(loss *Node, inputs, v []*Node) []*Node {
	return Gradient(Forward([]*Node{loss}, inputs, fixed(v))[0], inputs...)
}

// GaussNewtonProduct returns J^T H_z J v, one node for each input in its shape: J is the Jacobian of the outputs z with
// respect to the inputs and H_z the Hessian of the scalar loss with respect to z (Schraudolph 2002; Martens 2010). The
// loss must depend on the inputs through the outputs alone.
func GaussNewtonProduct(loss, outputs *Node, inputs, v []*Node) []*Node {
	u := StopGradient(Forward([]*Node{outputs}, inputs, fixed(v))[0])
	z := []*Node{outputs}
	// Gradient would go on from z to what z came from only for inputs asked for, and z is the only one asked for.
	curved := StopGradient(Gradient(Forward([]*Node{loss}, z, []*Node{u})[0], outputs)[0])
	return Gradient(ReduceAllSum(Mul(curved, outputs)), inputs...)
}

// fixed stops gradients through the directions.
func fixed(v []*Node) []*Node {
	stopped := make([]*Node, len(v))
	for k, n := range v {
		stopped[k] = StopGradient(n)
	}
	return stopped
}
