package tangent

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
)

func backend(t testing.TB) compute.Backend {
	t.Helper()
	b, err := cpu.New("threads=2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// draw returns n numbers in [low, high).
func draw(rng *rand.Rand, n int, low, high float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = low + (high-low)*rng.Float64()
	}
	return v
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// Every rule against a central difference in float64, on points away from kinks: (f(x+hv) - f(x-hv)) / 2h has an error
// of about h^2, and h = 1e-5 leaves about ten digits. The second derivative, the gradient of the tangent, is held
// against a central difference of the gradient where reverse mode knows the operation.
func TestRulesAgainstFiniteDifferences(t *testing.T) {
	image := []int{2, 6, 5, 3}
	nhwc := func(x, k *Node) *Node {
		return Convolve(x, k).Strides(2).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
	}
	tests := []struct {
		name      string
		dims      [][]int // of the inputs
		low, high float64
		once      bool // no second derivative: reverse mode lacks the operation
		f         func(x []*Node) *Node
	}{
		{"add and broadcast", [][]int{{3, 4}, {1, 4}}, -1, 1, false, func(x []*Node) *Node { return Square(Add(x[0], x[1])) }},
		{"add of a constant", [][]int{{1, 4}}, -1, 1, false, func(x []*Node) *Node {
			return Square(Add(OnesLike(BroadcastToDims(x[0], 3, 4)), x[0]))
		}},
		{"sub", [][]int{{3, 4}, {1, 1}}, -1, 1, false, func(x []*Node) *Node { return Mul(Sub(x[0], x[1]), Sub(x[1], x[0])) }},
		{"sub from a constant", [][]int{{2}}, -1, 1, false, func(x []*Node) *Node { return Square(OneMinus(x[0])) }},
		{"mul", [][]int{{3, 4}, {3, 1}}, -1, 1, false, func(x []*Node) *Node { return Mul(x[0], Mul(x[1], x[0])) }},
		{"div", [][]int{{3, 4}, {3, 1}}, 1, 2, false, func(x []*Node) *Node { return Div(x[0], x[1]) }},
		{"div by a constant", [][]int{{4}}, 1, 2, false, func(x []*Node) *Node { return Square(DivScalar(x[0], 3)) }},
		{"pow", [][]int{{4}, {4}}, 1, 2, false, func(x []*Node) *Node { return Pow(x[0], x[1]) }},
		{"exp", [][]int{{5}}, -1, 1, false, func(x []*Node) *Node { return Exp(x[0]) }},
		{"expm1", [][]int{{5}}, -1, 1, true, func(x []*Node) *Node { return Expm1(x[0]) }},
		{"log", [][]int{{5}}, 1, 2, false, func(x []*Node) *Node { return Log(x[0]) }},
		{"log1p", [][]int{{5}}, 0, 2, false, func(x []*Node) *Node { return Log1P(x[0]) }},
		{"sqrt", [][]int{{5}}, 1, 2, false, func(x []*Node) *Node { return Sqrt(x[0]) }},
		{"rsqrt", [][]int{{5}}, 1, 2, true, func(x []*Node) *Node { return Rsqrt(x[0]) }},
		{"tanh", [][]int{{5}}, -1, 1, false, func(x []*Node) *Node { return Tanh(x[0]) }},
		{"logistic", [][]int{{5}}, -1, 1, false, func(x []*Node) *Node { return Sigmoid(x[0]) }},
		{"sin cos", [][]int{{5}}, -1, 1, false, func(x []*Node) *Node { return Mul(Sin(x[0]), Cos(x[0])) }},
		{"erf", [][]int{{5}}, -1, 1, false, func(x []*Node) *Node { return Erf(x[0]) }},
		{"abs", [][]int{{5}}, 1, 2, false, func(x []*Node) *Node { return Mul(Abs(Neg(x[0])), x[0]) }},
		{"max min", [][]int{{9}, {9}}, -1, 1, false, func(x []*Node) *Node { return Square(Sub(Max(x[0], x[1]), Min(x[0], x[1]))) }},
		{"relu", [][]int{{9}}, -1, 1, false, func(x []*Node) *Node { return Square(Max(x[0], ScalarZero(x[0].Graph(), x[0].DType()))) }},
		{"clip", [][]int{{9}}, -1, 1, false, func(x []*Node) *Node { return Square(ClipScalar(x[0], -0.5, 0.5)) }},
		{"clamp", [][]int{{9}}, -1, 1, true, func(x []*Node) *Node {
			return Square(Clamp(Scalar(x[0].Graph(), dtypes.Float64, -0.5), x[0], Scalar(x[0].Graph(), dtypes.Float64, 0.5)))
		}},
		{"where", [][]int{{9}, {9}}, -1, 1, false, func(x []*Node) *Node { return Where(GreaterThan(x[0], x[1]), Square(x[0]), x[1]) }},
		{"where, a constant and a scalar", [][]int{{3, 4}, {}}, -1, 1, false, func(x []*Node) *Node {
			return Square(Where(GreaterThan(x[0], ScalarZero(x[0].Graph(), dtypes.Float64)), x[1], OnesLike(x[0])))
		}},
		{"reshape transpose", [][]int{{3, 4}}, -1, 1, false, func(x []*Node) *Node { return Square(Transpose(Reshape(x[0], 2, 6), 0, 1)) }},
		{"slice concatenate reverse", [][]int{{3, 4}, {3, 2}}, -1, 1, false, func(x []*Node) *Node {
			y := Concatenate([]*Node{x[0], OnesLike(x[1]), Reverse(x[1], 0)}, 1)
			return Square(Slice(y, AxisRange(), AxisRange(1, 7).Stride(2)))
		}},
		{"pad", [][]int{{3, 4}}, -1, 1, false, func(x []*Node) *Node {
			return Square(Pad(x[0], ScalarOne(x[0].Graph(), x[0].DType()), PadAxis{Start: 1}, PadAxis{End: 2, Interior: 1}))
		}},
		{"pad by a moving value", [][]int{{3}, {}}, -1, 1, true, func(x []*Node) *Node { return Square(Pad(x[0], x[1], PadAxis{Start: 1, End: 2})) }},
		{"cumulative sum", [][]int{{3, 4}}, -1, 1, false, func(x []*Node) *Node {
			return Square(CumSum(x[0], 1, &CumSumOptions{Reverse: true}))
		}},
		{"gather", [][]int{{3, 4}}, -1, 1, false, func(x []*Node) *Node { return Square(Gather(x[0], Const(x[0].Graph(), [][]int32{{2}, {0}, {2}}))) }},
		{"reduce sum mean", [][]int{{3, 4, 2}}, -1, 1, false, func(x []*Node) *Node { return Square(Add(ReduceSum(x[0], 0, 2), ReduceMean(x[0], 0, 2))) }},
		{"reduce max", [][]int{{3, 4, 2}}, -1, 1, false, func(x []*Node) *Node { return Square(ReduceMax(x[0], 1)) }},
		{"reduce min, all", [][]int{{3, 4}}, -1, 1, false, func(x []*Node) *Node { return Square(ReduceMin(x[0])) }},
		{"dot", [][]int{{3, 4}, {4, 2}}, -1, 1, false, func(x []*Node) *Node { return Square(MatMul(x[0], x[1])) }},
		{"convolution", [][]int{image, {3, 3, 3, 4}}, -1, 1, false, func(x []*Node) *Node { return Square(nhwc(x[0], x[1])) }},
		{"convolution, dilated", [][]int{image, {3, 3, 3, 2}}, -1, 1, false, func(x []*Node) *Node {
			return Square(Convolve(x[0], x[1]).DilationPerAxis(2, 1).PaddingPerDim([][2]int{{0, 0}, {0, 0}}).Done())
		}},
		{"max-pool", [][]int{image}, -1, 1, false, func(x []*Node) *Node { return Square(MaxPool(x[0]).Window(2).Strides(2).NoPadding().Done()) }},
		{"max-pool, overlapping and padded", [][]int{image}, -1, 1, false, func(x []*Node) *Node {
			return Square(MaxPool(x[0]).Window(3).Strides(2).PaddingPerDim([][2]int{{1, 1}, {0, 1}}).Done())
		}},
		{"max-pool, padded", [][]int{image}, -1, 1, false, func(x []*Node) *Node {
			return Square(MaxPool(x[0]).Window(2).Strides(2).PaddingPerDim([][2]int{{1, 1}, {1, 0}}).Done())
		}},
		{"min-pool", [][]int{image}, -1, 1, false, func(x []*Node) *Node { return Square(MinPool(x[0]).Window(2).Strides(2).NoPadding().Done()) }},
		{"min-pool, overlapping and padded", [][]int{image}, -1, 1, false, func(x []*Node) *Node {
			return Square(MinPool(x[0]).Window(3).Strides(2).PaddingPerDim([][2]int{{1, 1}, {0, 1}}).Done())
		}},
		{"mean-pool, overlapping and padded", [][]int{image}, -1, 1, false, func(x []*Node) *Node {
			return Square(MeanPool(x[0]).Window(3).Strides(2).PaddingPerDim([][2]int{{1, 1}, {0, 1}}).Done())
		}},
		{"mean-pool", [][]int{image}, -1, 1, false, func(x []*Node) *Node { return Square(MeanPool(x[0]).Window(2).Strides(2).NoPadding().Done()) }},
		{"batch norm, written out", [][]int{image, {1, 1, 1, 3}}, -1, 1, false, func(x []*Node) *Node {
			mean := ReduceAndKeep(x[0], ReduceMean, 0, 1, 2)
			centered := Sub(x[0], mean)
			variance := ReduceAndKeep(Square(centered), ReduceMean, 0, 1, 2)
			return Square(Mul(Div(centered, Sqrt(AddScalar(variance, 1e-5))), x[1]))
		}},
		{"log-sum-exp with a stopped maximum", [][]int{{3, 4}}, -1, 1, false, func(x []*Node) *Node {
			m := StopGradient(ReduceAndKeep(x[0], ReduceMax, -1))
			return Square(Add(Log(ReduceSum(Exp(Sub(x[0], m)), -1)), Squeeze(m, -1)))
		}},
		{"batch norm with rsqrt", [][]int{image}, -1, 1, true, func(x []*Node) *Node {
			centered := Sub(x[0], ReduceAndKeep(x[0], ReduceMean, 0, 1, 2))
			return Mul(centered, Rsqrt(AddScalar(ReduceAndKeep(Square(centered), ReduceMean, 0, 1, 2), 1e-5)))
		}},
		{"softplus", [][]int{{7}}, -2, 2, false, func(x []*Node) *Node { return Square(Softplus(x[0])) }},
		{"gelu softplus", [][]int{{7}}, -2, 2, false, func(x []*Node) *Node {
			gelu := Mul(x[0], MulScalar(OnePlus(Erf(MulScalar(x[0], math.Sqrt(0.5)))), 0.5))
			return Mul(gelu, Log1P(Exp(x[0])))
		}},
		{"an input that the output does not depend on", [][]int{{3}, {3}}, -1, 1, false, func(x []*Node) *Node { return Square(x[0]) }},
	}
	b := backend(t)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			var x, v []*tensors.Tensor
			for _, dims := range tt.dims {
				x = append(x, tensors.FromFlatDataAndDimensions(draw(rng, product(dims), tt.low, tt.high), dims...))
				v = append(v, tensors.FromFlatDataAndDimensions(draw(rng, product(dims), -1, 1), dims...))
			}
			n := len(x)
			moved := func(h float64) []any {
				var args []any
				for k := range x {
					p := tensors.MustCopyFlatData[float64](x[k])
					for j, d := range tensors.MustCopyFlatData[float64](v[k]) {
						p[j] += h * d
					}
					args = append(args, tensors.FromFlatDataAndDimensions(p, tt.dims[k]...))
				}
				return args
			}
			// weigh makes a scalar that weighs every output differently, so that none can hide behind another.
			weigh := func(y *Node) *Node {
				w := OnePlus(MulScalar(Iota(y.Graph(), withDType(y), 0), 0.1))
				return ReduceAllSum(Mul(Reshape(y, y.Shape().Size()), w))
			}
			value := MustNewExec(b, func(in []*Node) []*Node {
				y := tt.f(in)
				out := []*Node{y}
				if !tt.once {
					out = append(out, Gradient(weigh(y), in...)...)
				}
				return out
			})
			both := MustNewExec(b, func(in []*Node) []*Node {
				y := tt.f(in[:n])
				dy := Forward([]*Node{y}, in[:n], in[n:])[0]
				out := []*Node{dy}
				if !tt.once {
					out = append(out, HessianProduct(weigh(y), in[:n], in[n:])...)
					// <w, J v> = <J^T w, v>
					g := Gradient(weigh(y), in[:n]...)
					inner := ReduceAllSum(Mul(g[0], in[n]))
					for k := 1; k < n; k++ {
						inner = Add(inner, ReduceAllSum(Mul(g[k], in[n+k])))
					}
					out = append(out, weigh(dy), inner)
				}
				return out
			})
			const h = 1e-5
			high, err := value.Call(moved(h)...)
			if err != nil {
				t.Fatal(err)
			}
			low, err := value.Call(moved(-h)...)
			if err != nil {
				t.Fatal(err)
			}
			var args []any
			for _, a := range append(x, v...) {
				args = append(args, a)
			}
			got, err := both.Call(args...)
			if err != nil {
				t.Fatal(err)
			}
			for k := range high {
				a, b := tensors.MustCopyFlatData[float64](high[k]), tensors.MustCopyFlatData[float64](low[k])
				for j, g := range tensors.MustCopyFlatData[float64](got[k]) {
					if want := (a[j] - b[j]) / (2 * h); math.Abs(g-want) > 1e-7*(1+math.Abs(want)) {
						t.Fatalf("output %d (0: tangent, then second derivatives), element %d: %v, finite difference %v", k, j, g, want)
					}
				}
			}
			if !tt.once {
				m := len(got)
				a, b := tensors.ToScalar[float64](got[m-2]), tensors.ToScalar[float64](got[m-1])
				if math.Abs(a-b) > 1e-12*(1+math.Abs(a)) {
					t.Errorf("<w, Jv> = %v, <J^T w, v> = %v", a, b)
				}
			}
		})
	}
}

func TestUnknownOperationIsNamed(t *testing.T) {
	e := MustNewExec(backend(t), func(x *Node) *Node {
		y := ConvertDType(Rem(x, AddScalar(x, 2)), dtypes.Float32)
		return Forward([]*Node{y}, []*Node{x}, []*Node{x})[0]
	})
	_, err := e.Call([]float32{1, 2, 3, 4})
	var unsupported *UnsupportedOpError
	if !errors.As(err, &unsupported) || unsupported.Op != "Rem" {
		t.Errorf("error %v is not an UnsupportedOpError for Rem", err)
	}
	if err == nil || !strings.Contains(err.Error(), "no rule for the operation Rem") {
		t.Errorf("error %v does not name the operation", err)
	}
}

// A tie follows the element that reverse mode follows: the directional derivative is the gradient times the direction.
func TestTiesFollowReverseMode(t *testing.T) {
	b := backend(t)
	for name, f := range map[string]func(x *Node) *Node{
		"relu at zero": func(x *Node) *Node { return Max(x, ScalarZero(x.Graph(), x.DType())) },
		"abs":          Abs,
		"softplus":     Softplus,
		"min-pool, overlapping": func(x *Node) *Node {
			return MinPool(Reshape(x, 1, 4, 4, 1)).Window(3).Strides(1).NoPadding().Done()
		},
		"max": func(x *Node) *Node { return Max(x, MulScalar(x, 2)) },
		"min": func(x *Node) *Node { return Min(x, MulScalar(x, 2)) },
		"max-pool, overlapping and padded": func(x *Node) *Node {
			return MaxPool(Reshape(x, 1, 4, 4, 1)).Window(3).Strides(2).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
		},
		"min-pool, overlapping and padded": func(x *Node) *Node {
			return MinPool(Reshape(x, 1, 4, 4, 1)).Window(3).Strides(2).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
		},
		"max-pool": func(x *Node) *Node { return MaxPool(Reshape(x, 1, 4, 4, 1)).Window(2).Strides(2).NoPadding().Done() },
		"max-pool, overlapping": func(x *Node) *Node {
			return MaxPool(Reshape(x, 1, 4, 4, 1)).Window(2).Strides(1).NoPadding().Done()
		},
		"reduce max": func(x *Node) *Node { return ReduceMax(x, 1) },
	} {
		out, err := CallOnceN(b, func(x, v *Node) []*Node {
			y := f(x)
			return []*Node{ReduceAllSum(Forward([]*Node{y}, []*Node{x}, []*Node{v})[0]), ReduceAllSum(Mul(Gradient(ReduceAllSum(y), x)[0], v))}
		}, tensors.FromFlatDataAndDimensions(make([]float64, 16), 2, 8), tensors.FromFlatDataAndDimensions(draw(rand.New(rand.NewPCG(1, 2)), 16, -1, 1), 2, 8))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a, b := tensors.ToScalar[float64](out[0]), tensors.ToScalar[float64](out[1]); math.Abs(a-b) > 1e-12 {
			t.Errorf("%s: forward %v, reverse %v", name, a, b)
		}
	}
}

// withDType returns the shape of all elements of y in a row.
func withDType(y *Node) shapes.Shape { return shapes.Make(y.DType(), y.Shape().Size()) }
