package tangent

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

func TestConventions(t *testing.T) {
	tests := []struct {
		name string
		f    func(x, v *Node) *Node
		want []float64 // at x = [-1.5, 0.25, 2], v = [1, 10, 100]
	}{
		{"a stopped gradient has no tangent", func(x, v *Node) *Node {
			return Forward([]*Node{Mul(x, StopGradient(x))}, []*Node{x}, []*Node{v})[0]
		}, []float64{-1.5, 2.5, 200}},
		{"steps have none", func(x, v *Node) *Node {
			y := Add(Add(Floor(x), Ceil(x)), Add(Sign(x), ConvertDType(ConvertDType(x, dtypes.Int32), dtypes.Float64)))
			return Forward([]*Node{Add(x, y)}, []*Node{x}, []*Node{v})[0]
		}, []float64{1, 10, 100}},
		{"nor has what does not depend on the inputs", func(x, v *Node) *Node {
			return Forward([]*Node{Exp(v)}, []*Node{x}, []*Node{v})[0]
		}, []float64{0, 0, 0}},
		{"conversions keep it", func(x, v *Node) *Node {
			return Forward([]*Node{ConvertDType(ConvertDType(x, dtypes.Float32), dtypes.Float64)}, []*Node{x}, []*Node{v})[0]
		}, []float64{1, 10, 100}},
		{"an input given twice moves along the sum", func(x, v *Node) *Node {
			return Forward([]*Node{x}, []*Node{x, x}, []*Node{v, v})[0]
		}, []float64{2, 20, 200}},
		{"an input in between moves by its own direction", func(x, v *Node) *Node {
			y := Exp(x)
			return Forward([]*Node{Add(x, MulScalar(y, 2))}, []*Node{x, y}, []*Node{v, Neg(v)})[0]
		}, []float64{-1, -10, -100}},
		{"a custom gradient is not followed", func(x, v *Node) *Node {
			y := IdentityWithCustomGradient(x, func(_, v *Node) *Node { return MulScalar(v, 3) })
			return Forward([]*Node{y}, []*Node{x}, []*Node{v})[0]
		}, []float64{1, 10, 100}},
		{"nor does it act on the tangent", func(x, v *Node) *Node {
			y := IdentityWithCustomGradient(x, func(_, v *Node) *Node { return MulScalar(v, 3) })
			return Gradient(ReduceAllSum(Forward([]*Node{y}, []*Node{x}, []*Node{v})[0]), v)[0]
		}, []float64{1, 1, 1}},
		{"second derivatives hold the directions fixed", func(x, v *Node) *Node {
			return HessianProduct(ReduceAllSum(Square(x)), []*Node{x}, []*Node{Mul(x, v)})[0]
		}, []float64{-3, 5, 400}},
		{"second derivative of rsqrt alone", func(x, v *Node) *Node { // 3/4 x^(-5/2) at |x| = 1, 4, 1/4
			x = Const(x.Graph(), []float64{1, 4, 0.25})
			return HessianProduct(ReduceAllSum(Rsqrt(x)), []*Node{x}, []*Node{OnesLike(x)})[0]
		}, []float64{0.75, 0.75 / 32, 24}},
	}
	b := sequential(t)
	for _, tt := range tests {
		out, err := CallOnce(b, tt.f, []float64{-1.5, 0.25, 2}, []float64{1, 10, 100})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := tensors.MustCopyFlatData[float64](out); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestWrongDirectionsAreErrors(t *testing.T) {
	b := sequential(t)
	for name, f := range map[string]func(x *Node) *Node{
		"number": func(x *Node) *Node { return Forward([]*Node{x}, []*Node{x}, nil)[0] },
		"shape":  func(x *Node) *Node { return Forward([]*Node{x}, []*Node{x}, []*Node{ReduceAllSum(x)})[0] },
		"dtype": func(x *Node) *Node {
			return Forward([]*Node{x}, []*Node{x}, []*Node{ConvertDType(x, dtypes.Float32)})[0]
		},
	} {
		if _, err := CallOnce(b, f, []float64{1, 2}); err == nil || !strings.Contains(err.Error(), "direction") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// What package tangent reads of GoMLX's nodes by reflection is what the node was made with.
func TestNodeParameters(t *testing.T) {
	_, err := CallOnce(sequential(t), func(x *Node) *Node {
		y := MinPool(x).WindowPerAxis(3, 2).StridePerAxis(2, 1).PaddingPerDim([][2]int{{1, 2}, {0, 1}}).Done()
		g := windowGeometry(y)
		if g.reduction != compute.ReduceOpMin || !slices.Equal(g.size, []int{1, 3, 2, 1}) || !slices.Equal(g.strides, []int{1, 2, 1, 1}) ||
			!slices.Equal(g.paddings, [][2]int{{0, 0}, {1, 2}, {0, 1}, {0, 0}}) {
			t.Errorf("ReduceWindow: read %+v", g)
		}
		if axes := ints(parameter(ReduceMax(x, 1, 3), "axes")); !slices.Equal(axes, []int{1, 3}) {
			t.Errorf("ReduceMax: read axes %v", axes)
		}
		if axes := ints(parameter(ReduceMin(x, -1), "axes")); !slices.Equal(axes, []int{3}) {
			t.Errorf("ReduceMin: read axes %v", axes)
		}
		parameter(y, "shape of the moon")
		return y
	}, tensors.FromFlatDataAndDimensions(make([]float64, 32), 1, 4, 4, 2))
	if err == nil || !strings.Contains(err.Error(), `keeps no parameter "shape of the moon" on a ReduceWindow node`) {
		t.Errorf("a parameter that is not there: error %v", err)
	}
}
