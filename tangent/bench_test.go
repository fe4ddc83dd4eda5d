package tangent_test

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/tangent"
	"github.com/datadropout/datadropout/train"
)

// BenchmarkCNN times the gradient of the network cnn, the per-sample directional derivatives and the curvature products,
// for a batch of 128 images of 28x28x1: the products are judged by their ratio to the gradient.
func BenchmarkCNN(b *testing.B) {
	const batch = 128
	backend, err := cpu.New("")
	if err != nil {
		b.Fatal(err)
	}
	defer backend.Finalize()
	n, err := net.New("cnn", [3]int{28, 28, 1}, 10)
	if err != nil {
		b.Fatal(err)
	}
	theta, _ := n.Init(1)
	direction, _ := n.Init(2)
	pixels := make([]float32, batch*28*28)
	for i := range pixels {
		pixels[i] = float32(i*i%101)/101 - 0.5
	}
	targets := make([]float32, batch*10)
	for i := range batch {
		targets[i*10+i%10] = 1
	}
	x := tensors.FromFlatDataAndDimensions(pixels, batch, 28, 28, 1)
	y := tensors.FromFlatDataAndDimensions(targets, batch, 10)
	for _, bb := range []struct {
		name string
		f    func(losses, z *Node, p, v []*Node) *Node
	}{
		{"gradient", func(losses, z *Node, p, v []*Node) *Node { return net.Flatten(Gradient(ReduceAllMean(losses), p...)) }},
		{"forward", func(losses, z *Node, p, v []*Node) *Node { return tangent.Forward([]*Node{losses}, p, v)[0] }},
		{"hessian", func(losses, z *Node, p, v []*Node) *Node {
			return net.Flatten(tangent.HessianProduct(ReduceAllMean(losses), p, v))
		}},
		{"gauss-newton", func(losses, z *Node, p, v []*Node) *Node {
			return net.Flatten(tangent.GaussNewtonProduct(ReduceAllMean(losses), z, p, v))
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			e := MustNewExec(backend, func(x, y, theta, v *Node) *Node {
				p := net.Unflatten(theta, n.Params)
				z := n.Forward(&net.Pass{Params: p}, x)
				return bb.f(train.CrossEntropy{}.PerSample(z, y), z, p, net.Unflatten(v, n.Params))
			})
			defer e.Finalize()
			args := []any{x, y, tensors.FromFlatDataAndDimensions(theta, len(theta)), tensors.FromFlatDataAndDimensions(direction, len(direction))}
			for b.Loop() {
				if _, err := e.Call(args...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
