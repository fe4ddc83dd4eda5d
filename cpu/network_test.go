package cpu_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// testNetwork is a convolutional network for tests and benchmarks: its parameters are one flat vector.
type testNetwork struct {
	input   [3]int // height, width, channels
	classes int
	dims    [][]int // of the parameters
	forward func(params []*Node, x *Node) *Node
}

func (n *testNetwork) size() int {
	size := 0
	for _, d := range n.dims {
		size += count(d)
	}
	return size
}

// cnn: two 3x3 convolutions, max-pooling, two dense layers, ReLU between them.
func cnn(height, width, channels, c1, c2, hidden, classes int) *testNetwork {
	flat := ((height - 4) / 2) * ((width - 4) / 2) * c2
	return &testNetwork{
		input: [3]int{height, width, channels}, classes: classes,
		dims: [][]int{
			{3, 3, channels, c1}, {c1}, {3, 3, c1, c2}, {c2}, {flat, hidden}, {hidden}, {hidden, classes}, {classes},
		},
		forward: func(w []*Node, x *Node) *Node {
			zero := ScalarZero(x.Graph(), x.DType())
			x = Max(Add(Convolve(x, w[0]).NoPadding().Done(), ExpandLeftToRank(w[1], 4)), zero)
			x = Max(Add(Convolve(x, w[2]).NoPadding().Done(), ExpandLeftToRank(w[3], 4)), zero)
			x = MaxPool(x).Window(2).Done()
			x = Reshape(x, x.Shape().Dim(0), -1)
			x = Max(Add(Dot(x, w[4]).Product(), ExpandLeftToRank(w[5], 2)), zero)
			return Add(Dot(x, w[6]).Product(), ExpandLeftToRank(w[7], 2))
		},
	}
}

// residual: a convolution, then blocks of two with batch normalization and a shortcut, the second with stride 2, then
// the mean over the image and a dense layer.
func residual(height, width, channels, c, classes int) *testNetwork {
	return &testNetwork{
		input: [3]int{height, width, channels}, classes: classes,
		dims: [][]int{
			{3, 3, channels, c}, {c}, {c},
			{3, 3, c, c}, {c}, {c}, {3, 3, c, c}, {c}, {c},
			{3, 3, c, 2 * c}, {2 * c}, {2 * c}, {3, 3, 2 * c, 2 * c}, {2 * c}, {2 * c}, {1, 1, c, 2 * c},
			{2 * c, classes}, {classes},
		},
		forward: func(w []*Node, x *Node) *Node {
			zero := ScalarZero(x.Graph(), x.DType())
			next := func() *Node {
				p := w[0]
				w = w[1:]
				return p
			}
			layer := func(x *Node, stride int) *Node {
				x = Convolve(x, next()).PadSame().Strides(stride).Done()
				mean := ReduceAndKeep(x, ReduceMean, 0, 1, 2)
				d := Sub(x, mean)
				variance := ReduceAndKeep(Mul(d, d), ReduceMean, 0, 1, 2)
				x = Div(d, Sqrt(AddScalar(variance, 1e-5)))
				return Add(Mul(x, AddScalar(ExpandLeftToRank(next(), 4), 1)), ExpandLeftToRank(next(), 4))
			}
			x = Max(layer(x, 1), zero)
			x = Max(Add(x, layer(Max(layer(x, 1), zero), 1)), zero)
			y := layer(Max(layer(x, 2), zero), 1)
			x = Max(Add(y, Convolve(x, next()).NoPadding().Strides(2).Done()), zero)
			x = ReduceMean(x, 1, 2)
			return Add(Dot(x, next()).Product(), ExpandLeftToRank(next(), 2))
		},
	}
}

func (n *testNetwork) unflatten(theta *Node) []*Node {
	var params []*Node
	at := 0
	for _, d := range n.dims {
		size := count(d)
		params = append(params, Reshape(Slice(theta, AxisRange(at, at+size)), d...))
		at += size
	}
	return params
}

func crossEntropy(outputs, targets *Node) *Node {
	z := Sub(outputs, StopGradient(ReduceAndKeep(outputs, ReduceMax, -1)))
	return ReduceAllMean(Sub(Log(ReduceSum(Exp(z), -1)), ReduceSum(Mul(targets, z), -1)))
}

// step is an update by SGD with momentum: theta, momentum, x, y, rate -> theta', momentum', loss.
func (n *testNetwork) step(theta, momentum, x, y, rate *Node) []*Node {
	params := n.unflatten(theta)
	loss := crossEntropy(n.forward(params, x), y)
	var flat []*Node
	for _, g := range Gradient(loss, params...) {
		flat = append(flat, Reshape(g, -1))
	}
	gradient := Concatenate(flat, 0)
	momentum = Add(Add(MulScalar(momentum, 0.9), gradient), MulScalar(theta, 5e-4))
	return []*Node{Sub(theta, Mul(rate, momentum)), momentum, loss}
}

// state is what a training holds between steps.
type testState struct {
	theta, momentum, x, y, rate *tensors.Tensor
}

func (n *testNetwork) start(batch int) *testState {
	rng := rand.New(rand.NewPCG(1, 2))
	theta := make([]float32, 0, n.size())
	for _, d := range n.dims {
		fan := 1
		for _, k := range d[:len(d)-1] {
			fan *= k
		}
		for range count(d) {
			v := float32(0)
			if len(d) > 1 {
				v = float32(rng.NormFloat64() * math.Sqrt(2/float64(fan)))
			}
			theta = append(theta, v)
		}
	}
	x := make([]float32, batch*n.input[0]*n.input[1]*n.input[2])
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	y := make([]float32, batch*n.classes)
	for i := range batch {
		y[i*n.classes+rng.IntN(n.classes)] = 1
	}
	return &testState{
		theta:    tensors.FromFlatDataAndDimensions(theta, len(theta)),
		momentum: tensors.FromFlatDataAndDimensions(make([]float32, len(theta)), len(theta)),
		x:        tensors.FromFlatDataAndDimensions(x, batch, n.input[0], n.input[1], n.input[2]),
		y:        tensors.FromFlatDataAndDimensions(y, batch, n.classes),
		rate:     tensors.FromScalar(float32(0.01)),
	}
}

// run makes one step and returns its loss.
func (s *testState) run(t testing.TB, b compute.Backend, exec *Exec) float32 {
	t.Helper()
	theta, err := DonateTensorBuffer(s.theta, b, 0)
	if err != nil {
		t.Fatal(err)
	}
	momentum, err := DonateTensorBuffer(s.momentum, b, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(theta, momentum, s.x, s.y, s.rate)
	if err != nil {
		t.Fatal(err)
	}
	s.theta, s.momentum = out[0], out[1]
	loss := tensors.ToScalar[float32](out[2])
	if err := out[2].FinalizeAll(); err != nil {
		t.Fatal(err)
	}
	return loss
}

// train makes a few steps, and returns the losses and the parameters.
func (n *testNetwork) train(t testing.TB, b compute.Backend, batch, steps int) ([]float32, []float32) {
	t.Helper()
	exec := MustNewExec(b, n.step)
	defer exec.Finalize()
	s := n.start(batch)
	var losses []float32
	for range steps {
		losses = append(losses, s.run(t, b, exec))
	}
	return losses, tensors.MustCopyFlatData[float32](s.theta)
}

func count(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}
