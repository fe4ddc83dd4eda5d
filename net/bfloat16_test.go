package net

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// In bfloat16 the outputs of a network are those of float32 to about two digits, and so is its gradient; both are float32, and so are
// the new statistics. A network with batch norm, a strided convolution by phases and a residual, one with biases and dense layers, and a
// denoiser.
func TestBFloat16AgreesWithFloat32(t *testing.T) {
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	for _, tt := range []struct {
		describe func(b *builder)
		outputs  int
	}{
		{func(b *builder) {
			b.convNorm("conv1", window{size: 3, channels: 16, stride: 1, padding: 1})
			b.activate()
			b.convNorm("conv2", window{size: 5, channels: 8, stride: 2, padding: 2})
			b.residual(nil, func(b *builder) { b.convNorm("conv3", window{size: 3, channels: 8, stride: 1, padding: 1}) })
			b.globalPool()
			b.dense("dense", b.outputs, GlorotUniform, false)
		}, 3},
		{func(b *builder) {
			b.conv("conv1", window{size: 3, channels: 4, stride: 2, bias: true})
			b.activate()
			b.flatten()
			b.dense("dense1", 5, HeNormal, true)
			b.activate()
			b.dense("dense2", b.outputs, GlorotUniform, true)
		}, 3},
		{dncnn(3, 4), 2},
	} {
		n, err := build(tt.describe, [3]int{16, 12, 2}, tt.outputs, variant{"gelu", true})
		if err != nil {
			t.Fatal(err)
		}
		theta, state := n.Init(3)
		evaluate := func(n *Network) [][]float32 {
			out, err := CallOnceN(backend, func(in []*Node) []*Node {
				pass := &Pass{Params: Unflatten(in[0], n.Params), Training: true}
				if len(in) > 2 {
					pass.State, pass.NewState = Unflatten(in[2], n.State), make([]*Node, len(n.State))
				}
				y := n.Forward(pass, in[1])
				out := []*Node{y, Flatten(Gradient(ReduceAllSum(Square(y)), pass.Params...))}
				if len(in) > 2 {
					out = append(out, Flatten(pass.NewState))
				}
				return out
			}, inputs(theta, state)...)
			if err != nil {
				t.Fatal(err)
			}
			values := make([][]float32, len(out))
			for k, v := range out {
				if v.DType() != dtypes.Float32 {
					t.Errorf("output %d is of type %s", k, v.DType())
				}
				values[k] = tensors.MustCopyFlatData[float32](v)
			}
			return values
		}
		want, got := evaluate(n), evaluate(n.BFloat16())
		for k, what := range []string{"outputs", "gradient", "state"}[:len(want)] {
			difference, size := 0.0, 0.0
			for i, w := range want[k] {
				difference += math.Pow(float64(got[k][i]-w), 2)
				size += math.Pow(float64(w), 2)
			}
			if d := math.Sqrt(difference / size); !(d > 1e-5 && d < 2e-2) {
				t.Errorf("network of %d parameters: the %s differ by %.2g from those in float32, want about 1e-3", n.Size(), what, d)
			}
		}
		if !slices.Equal(evaluate(n.BFloat16().Float32())[0], want[0]) {
			t.Error("back in float32 the outputs are others")
		}
	}
}

// The operands of all products of a pass are bfloat16, and nothing else is; taps see float32.
func TestBFloat16IsForProducts(t *testing.T) {
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	for _, n := range evaluated(t) {
		mixed := n.BFloat16()
		if mixed == n || !mixed.IsBFloat16() || n.IsBFloat16() || mixed.BFloat16() != mixed || mixed.Float32() != n || n.Float32() != n {
			t.Errorf("%s: the forms of the network don't lead to each other", n.Name)
		}
		if mixed.Name != n.Name || mixed.Size() != n.Size() || mixed.StateSize() != n.StateSize() {
			t.Errorf("%s: the mixed network is another one", n.Name)
		}
		g := NewGraph(backend, n.Name)
		vector := func(name string, dims ...int) *Node { return Parameter(g, name, shapes.Make(dtypes.Float32, dims...)) }
		products := 0
		pass := &Pass{Params: Unflatten(vector("theta", n.Size()), n.Params), Tap: func(tap Tap) {
			if tap.Input.DType() != dtypes.Float32 || tap.Output.DType() != dtypes.Float32 {
				t.Errorf("%s: a tap of types %s and %s", n.Name, tap.Input.DType(), tap.Output.DType())
			}
			if tap.Kind != TapNorm {
				products++
			}
		}}
		if n.StateSize() > 0 {
			pass.State = Unflatten(vector("state", n.StateSize()), n.State)
		}
		mixed.Forward(pass, vector("x", 2, 16, 12, 2))
		allowed := []NodeType{NodeTypeConvertDType, NodeTypeConvGeneral, NodeTypeDotGeneral, NodeTypeReshape, NodeTypeTranspose, NodeTypePad, NodeTypeConstant}
		for _, node := range g.Nodes() {
			isProduct := node.Type() == NodeTypeConvGeneral || node.Type() == NodeTypeDotGeneral
			if isProduct {
				products--
			}
			for _, x := range node.Inputs() {
				switch half := x.DType() == dtypes.BFloat16; {
				case isProduct && !half:
					t.Errorf("%s: a %s has an operand of type %s", n.Name, node.Type(), x.DType())
				case half && !slices.Contains(allowed, node.Type()):
					t.Errorf("%s: a %s is in bfloat16", n.Name, node.Type())
				}
			}
		}
		if products != 0 {
			t.Errorf("%s: taps tell of %d products more than there are", n.Name, products)
		}
		g.Finalize()
	}
}
