package net

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/tangent"
)

// small are networks of every kind of block that the deep ones are made of.
var small = map[string]func(b *builder){
	"basic blocks, option A":            cifarResNet(1, 1),
	"stochastic depth":                  cifarResNet(1, 0.5),
	"pre-activation with bottlenecks":   preactivationResNet(1),
	"wide":                              wideResNet(1, 1),
	"dense blocks":                      denseNet(2, 4),
	"projections behind pooling by 3x3": imagenetResNet(4, []int{1, 2}, false),
	"projections and bottlenecks":       imagenetResNet(2, []int{2, 1}, true),
}

// evaluated are networks that are cheap to run, for inputs of 16x12x2 and 5 outputs, or those of a denoiser.
func evaluated(t *testing.T) []*Network {
	t.Helper()
	var networks []*Network
	for _, name := range Names() {
		outputs := 5
		switch {
		case TakesNoiseMap(name):
			outputs = 1
		case IsDenoiser(name):
			outputs = 2
		}
		n, err := New(name, [3]int{16, 12, 2}, outputs)
		if err != nil || len(n.Layers) > 60 || n.Size() > 3e6 {
			continue
		}
		networks = append(networks, n)
	}
	if len(networks) < 7 {
		t.Fatalf("%d networks", len(networks))
	}
	for name, describe := range small {
		n, err := build(describe, [3]int{16, 12, 2}, 5, variant{activation: "relu"})
		if err != nil {
			t.Fatal(err)
		}
		n.Name = name
		networks = append(networks, n)
	}
	return networks
}

// blockTest evaluates a small network on four images. Its function is the sum of squares of the outputs, a sample.
type blockTest struct {
	n     *Network
	gates []float64
	exec  *Exec
}

// newBlockTest returns per-sample values [4], their directional derivatives along v [4], the gradient of their sum [P] and the
// Hessian's product with v [P] for theta, state, x and v, all of float32 or of float64. The gates skip the second block.
func newBlockTest(t *testing.T, backend compute.Backend, n *Network, training bool) *blockTest {
	b := &blockTest{n: n, gates: make([]float64, len(n.Gates))}
	for k := range b.gates {
		if k != 1 {
			b.gates[k] = 1
		}
	}
	b.exec = MustNewExec(backend, func(in []*Node) []*Node {
		pass := &Pass{Params: Unflatten(in[0], n.Params), State: Unflatten(in[1], n.State), NewState: make([]*Node, len(n.State)), Training: training}
		if training && len(n.Gates) > 0 {
			pass.Gates = ConstAs(in[0], b.gates)
		}
		values := ReduceSum(Square(n.Forward(pass, in[2])), 1)
		v := Unflatten(in[3], n.Params)
		sum := ReduceAllSum(values)
		return []*Node{
			values, tangent.Forward([]*Node{values}, pass.Params, v)[0],
			Flatten(Gradient(sum, pass.Params...)), Flatten(tangent.HessianProduct(sum, pass.Params, v)),
		}
	})
	t.Cleanup(b.exec.Finalize)
	return b
}

// TestBlockDerivatives compares, in float64, the derivatives of every kind of block with central differences, and float32,
// for which the backend has kernels, with float64.
func TestBlockDerivatives(t *testing.T) {
	backend, err := cpu.New("threads=2")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	// Odd, so that windows reach over the edge; and enough images for batch norm where 2x1 pixels are left.
	shape, batch := [3]int{9, 6, 2}, 4
	for name, describe := range small {
		// Max-pooling is smooth but where two are equal.
		for training, v := range map[bool]variant{true: {"gelu", true}, false: {"tanh", false}} {
			n, err := build(describe, shape, 3, v)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(3, 4))
			draw := func(size int) []float64 {
				x := make([]float64, size)
				for i := range x {
					x[i] = rng.NormFloat64()
				}
				return x
			}
			theta32, state32 := n.Init(9)
			theta, state := make([]float64, len(theta32)), make([]float64, len(state32))
			for i, x := range theta32 {
				theta[i] = float64(x) + 0.05*rng.NormFloat64()
			}
			for i, x := range state32 {
				state[i] = float64(x) + 0.3*rng.Float64()
			}
			direction := draw(len(theta))
			x := draw(batch * shape[0] * shape[1] * shape[2])
			images := tensors.FromFlatDataAndDimensions(x, batch, shape[0], shape[1], shape[2])
			test := newBlockTest(t, backend, n, training)
			at := func(h float64) [][]float64 {
				moved := make([]float64, len(theta))
				for i := range moved {
					moved[i] = theta[i] + h*direction[i]
				}
				out, err := test.exec.Call(moved, state, images, direction)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				var flat [][]float64
				for _, o := range out {
					flat = append(flat, tensors.MustCopyFlatData[float64](o))
				}
				return flat
			}
			const h = 1e-6
			here, up, down := at(0), at(h), at(-h)
			slope := make([]float64, batch)
			for i := range slope {
				slope[i] = (up[0][i] - down[0][i]) / (2 * h)
			}
			curvature := make([]float64, len(theta))
			along := 0.0
			for i := range theta {
				curvature[i] = (up[2][i] - down[2][i]) / (2 * h)
				along += here[2][i] * direction[i]
			}
			mode := map[bool]string{false: "evaluation", true: "training"}[training]
			near := func(what string, got, want []float64, tolerance float64) {
				diff, size := 0.0, 0.0
				for i := range want {
					diff, size = math.Hypot(diff, got[i]-want[i]), math.Hypot(size, want[i])
				}
				if !(diff <= tolerance*size) || size == 0 {
					t.Errorf("%s, %+v, %s: %s is off by %.2g of %.2g", name, v, mode, what, diff, size)
				}
			}
			near("the directional derivative", here[1], slope, 1e-6)
			near("the gradient", []float64{along}, []float64{floats.Sum(slope)}, 1e-6)
			near("the Hessian product", here[3], curvature, 1e-5)

			narrow := func(v []float64) []float32 {
				w := make([]float32, len(v))
				for i, x := range v {
					w[i] = float32(x)
				}
				return w
			}
			out, err := test.exec.Call(narrow(theta), narrow(state), tensors.FromFlatDataAndDimensions(narrow(x), batch, shape[0], shape[1], shape[2]), narrow(direction))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for k, what := range []string{"values", "directional derivatives", "gradient", "Hessian product"} {
				got := tensors.MustCopyFlatData[float32](out[k])
				wide := make([]float64, len(got))
				for i, x := range got {
					wide[i] = float64(x)
				}
				near("in float32 the "+what, wide, here[k], 2e-3)
			}
		}
	}
}

// TestStochasticDepth holds a gated block against the same block without a gate: an open gate makes no difference, a closed
// one leaves the shortcut and the running statistics, and evaluation multiplies the branch by the survival probability.
func TestStochasticDepth(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	block := func(survival float64) *Network {
		n, err := build(func(b *builder) {
			b.stochastic(survival, (*builder).halve, func(b *builder) { b.basic("block", 4, 2) })
		}, [3]int{16, 12, 2}, 5, variant{activation: "relu"})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	plain, gated := block(1), block(0.75)
	theta, state := plain.Init(1)
	evaluate := func(n *Network, training bool, gate float32) (y, moved []float32) {
		out, err := CallOnceN(backend, func(in []*Node) []*Node {
			pass := &Pass{Params: Unflatten(in[0], n.Params), State: Unflatten(in[2], n.State), NewState: make([]*Node, len(n.State)), Training: training}
			if training {
				pass.Gates = Const(in[0].Graph(), []float32{gate})
			}
			y := n.Forward(pass, in[1])
			if !training {
				pass.NewState = pass.State
			}
			return []*Node{y, Flatten(pass.NewState)}
		}, inputs(theta, state)...)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
	}
	want, moves := evaluate(plain, true, 1)
	if y, moved := evaluate(gated, true, 1); !slices.Equal(y, want) || !slices.Equal(moved, moves) {
		t.Error("an open gate changes the block")
	}
	closed, still := evaluate(gated, true, 0)
	if !slices.Equal(still, state) || slices.Equal(moves, state) {
		t.Errorf("the running statistics of a skipped block move from %v to %v", state, still)
	}
	x := tensors.MustCopyFlatData[float32](inputs(theta, state)[1].(*tensors.Tensor))
	full, _ := evaluate(plain, false, 0)
	scaled, _ := evaluate(gated, false, 0)
	for k, got := range closed {
		shortcut := float32(0) // between zeros in front and behind, every second pixel
		if c, column, row := k%4, k/4%6, k/24%8; c == 1 || c == 2 {
			shortcut = x[((k/192*16+2*row)*12+2*column)*2+c-1]
		}
		if got != shortcut {
			t.Fatalf("value %d of a skipped block is %v, want %v of the shortcut", k, got, shortcut)
		}
		if want := shortcut + 0.75*(full[k]-shortcut); math.Abs(float64(scaled[k]-want)) > 1e-5 {
			t.Fatalf("value %d in evaluation is %v, want %v", k, scaled[k], want)
		}
	}
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "its 1 gates") {
			t.Errorf("a pass in training mode without gates says %v", r)
		}
	}()
	gated.Forward(&Pass{Training: true}, nil)
}
