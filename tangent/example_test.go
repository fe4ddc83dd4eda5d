package tangent_test

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/tangent"
)

// Per-sample directional derivatives: how the loss of each sample changes when the parameters move along v, for the
// losses l_i = (x_i . w)^2 / 2 of a linear model, whose gradients are (x_i . w) x_i.
func ExampleForward() {
	backend, err := cpu.New("")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Finalize()
	derivatives, err := CallOnce(backend, func(x, w, v *Node) *Node {
		losses := MulScalar(Square(ReduceSum(Mul(x, Reshape(w, 1, 2)), 1)), 0.5)
		return tangent.Forward([]*Node{losses}, []*Node{w}, []*Node{v})[0]
	}, [][]float32{{1, 0}, {0, 1}, {1, 1}}, []float32{2, 3}, []float32{1, -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(derivatives.Value())
	// Output: [2 -3 0]
}
