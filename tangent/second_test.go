package tangent

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// sequential is the pure-Go backend, the independent one: it shares no kernel with package cpu.
func sequential(t testing.TB) compute.Backend {
	t.Helper()
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// tiny is a classifier of 7x7 gray images into 3 classes with fewer than 200 parameters: a strided, padded convolution,
// batch norm, an activation, a pooling with overlap or padding, and two dense layers.
type tiny struct {
	name       string
	activation func(x *Node) *Node
	pool       func(x *Node) *Node // [samples, 4, 4, 3] to [samples, 2, 2, 3]
	training   bool                // batch norm takes the batch's own statistics
}

func gelu(x *Node) *Node {
	return Mul(x, MulScalar(OnePlus(Erf(MulScalar(x, math.Sqrt(0.5)))), 0.5))
}

func relu(x *Node) *Node { return Max(x, ScalarZero(x.Graph(), x.DType())) }

func meanPool(x *Node) *Node { return MeanPool(x).Window(3).Strides(1).NoPadding().Done() }

func maxPool(x *Node) *Node { return MaxPool(x).Window(3).Strides(1).NoPadding().Done() }

func paddedMaxPool(x *Node) *Node {
	return MaxPool(x).Window(2).Strides(2).PaddingPerDim([][2]int{{1, 0}, {0, 1}}).Done()
}

var tinies = []tiny{
	{"tanh, mean-pool", Tanh, meanPool, false},
	{"gelu, mean-pool, batch statistics", gelu, meanPool, true},
	{"softplus, padded max-pool, batch statistics", Softplus, paddedMaxPool, true},
	{"relu, overlapping max-pool", relu, maxPool, false},
	{"relu, padded max-pool", relu, paddedMaxPool, false},
}

const samples, classes = 4, 3

var tinyDims = [][]int{{3, 3, 1, 3}, {3}, {3}, {12, 5}, {5}, {5, classes}, {classes}}

func tinySize() int {
	n := 0
	for _, dims := range tinyDims {
		n += product(dims)
	}
	return n
}

func unflatten(theta *Node) []*Node {
	var params []*Node
	at := 0
	for _, dims := range tinyDims {
		params = append(params, Reshape(Slice(theta, AxisRange(at, at+product(dims))), dims...))
		at += product(dims)
	}
	return params
}

func flatten(params []*Node) *Node {
	var flat []*Node
	for _, p := range params {
		flat = append(flat, Reshape(p, p.Shape().Size()))
	}
	return Concatenate(flat, 0)
}

// outputs returns the logits [samples, classes] for images x [samples, 7, 7, 1].
func (n tiny) outputs(p []*Node, x *Node) *Node {
	x = Convolve(x, p[0]).Strides(2).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done() // [samples, 4, 4, 3]
	if n.training {
		x = Sub(x, ReduceAndKeep(x, ReduceMean, 0, 1, 2))
		x = Div(x, Sqrt(AddScalar(ReduceAndKeep(Square(x), ReduceMean, 0, 1, 2), 1e-3)))
	}
	x = Add(Mul(x, OnePlus(Reshape(p[1], 1, 1, 1, 3))), Reshape(p[2], 1, 1, 1, 3))
	x = n.activation(x)
	x = n.activation(Add(MatMul(Reshape(n.pool(x), samples, 12), p[3]), Reshape(p[4], 1, 5)))
	return Add(MatMul(x, p[5]), Reshape(p[6], 1, classes))
}

// losses returns the cross-entropies [samples] of logits z, with the class of sample i being i modulo the classes.
func losses(z *Node) *Node {
	g := z.Graph()
	targets := OneHot(Const(g, []int32{0, 1, 2, 0}), classes, z.DType())
	z = Sub(z, StopGradient(ReduceAndKeep(z, ReduceMax, -1)))
	return Sub(Log(ReduceSum(Exp(z), -1)), ReduceSum(Mul(z, targets), -1))
}

// tinyPoint returns images, parameters and a direction, as slices of float64.
func tinyPoint(seed uint64) (x, theta, v []float64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	return draw(rng, samples*49, -1, 1), draw(rng, tinySize(), -0.7, 0.7), draw(rng, tinySize(), -1, 1)
}

func images(x []float64) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(x, samples, 7, 7, 1)
}

// call runs a compiled graph and returns its only output.
func call(t *testing.T, e *Exec, args ...any) []float64 {
	t.Helper()
	out, err := e.Call(args...)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float64](out[0])
}

// shifted returns theta with h added at k.
func shifted(theta []float64, k int, h float64) []float64 {
	moved := append([]float64(nil), theta...)
	moved[k] += h
	return moved
}

func distance(a, b []float64) float64 {
	d, n := 0.0, 0.0
	for i := range a {
		d += (a[i] - b[i]) * (a[i] - b[i])
		n += b[i] * b[i]
	}
	return math.Sqrt(d / n)
}

// The full Hessian, a column for each unit direction, is the central difference of the gradient, and symmetric.
func TestHessianProductIsTheFullHessian(t *testing.T) {
	b := sequential(t)
	for _, n := range tinies {
		t.Run(n.name, func(t *testing.T) {
			x, theta, v := tinyPoint(1)
			gradient := MustNewExec(b, func(x, theta *Node) *Node {
				p := unflatten(theta)
				return flatten(Gradient(ReduceAllMean(losses(n.outputs(p, x))), p...))
			})
			hessian := MustNewExec(b, func(x, theta, v *Node) *Node {
				p := unflatten(theta)
				return flatten(HessianProduct(ReduceAllMean(losses(n.outputs(p, x))), p, unflatten(v)))
			})
			columns := make([][]float64, len(theta))
			const h = 1e-5
			for k := range theta {
				columns[k] = call(t, hessian, images(x), theta, shifted(make([]float64, len(theta)), k, 1))
				high := call(t, gradient, images(x), shifted(theta, k, h))
				low := call(t, gradient, images(x), shifted(theta, k, -h))
				for j := range high {
					want := (high[j] - low[j]) / (2 * h)
					if got := columns[k][j]; math.Abs(got-want) > 1e-7 {
						t.Fatalf("H[%d,%d] = %v, the gradients' difference is %v", j, k, got, want)
					}
				}
			}
			product := make([]float64, len(theta))
			for k := range columns {
				for j := range columns {
					if math.Abs(columns[k][j]-columns[j][k]) > 1e-12 {
						t.Fatalf("H[%d,%d] = %v, H[%d,%d] = %v", j, k, columns[k][j], k, j, columns[j][k])
					}
					product[j] += columns[k][j] * v[k]
				}
			}
			if d := distance(call(t, hessian, images(x), theta, v), product); d > 1e-12 {
				t.Errorf("the product in one go differs from that with the columns by %v", d)
			}
		})
	}
}

// The Gauss-Newton product is J^T H_z J v, with J from central differences of the outputs and the Hessian of the
// cross-entropy in its logits, diag(p) - p p^T for each sample.
func TestGaussNewtonProductIsTheExplicitProduct(t *testing.T) {
	b := sequential(t)
	for _, n := range tinies {
		t.Run(n.name, func(t *testing.T) {
			x, theta, v := tinyPoint(2)
			outputs := MustNewExec(b, func(x, theta *Node) *Node { return n.outputs(unflatten(theta), x) })
			gaussNewton := MustNewExec(b, func(x, theta, v *Node) *Node {
				p := unflatten(theta)
				z := n.outputs(p, x)
				return flatten(GaussNewtonProduct(ReduceAllSum(losses(z)), z, p, unflatten(v)))
			})
			jacobian := make([][]float64, len(theta)) // a row for each parameter
			const h = 1e-5
			u := make([]float64, samples*classes)
			for k := range theta {
				high := call(t, outputs, images(x), shifted(theta, k, h))
				low := call(t, outputs, images(x), shifted(theta, k, -h))
				jacobian[k] = make([]float64, len(u))
				for j := range u {
					jacobian[k][j] = (high[j] - low[j]) / (2 * h)
					u[j] += jacobian[k][j] * v[k]
				}
			}
			z := call(t, outputs, images(x), theta)
			curved := make([]float64, len(u))
			for i := 0; i < len(z); i += classes {
				sum, mean := 0.0, 0.0
				for j := range classes {
					sum += math.Exp(z[i+j])
				}
				for j := range classes {
					mean += math.Exp(z[i+j]) / sum * u[i+j]
				}
				for j := range classes {
					curved[i+j] = math.Exp(z[i+j]) / sum * (u[i+j] - mean)
				}
			}
			want := make([]float64, len(theta))
			for k := range want {
				for j := range curved {
					want[k] += jacobian[k][j] * curved[j]
				}
			}
			if d := distance(call(t, gaussNewton, images(x), theta, v), want); d > 1e-8 {
				t.Errorf("relative difference %v", d)
			}
		})
	}
}

// Forward mode over the per-sample losses gives every sample's gradient times v, batch statistics included.
func TestPerSampleDerivativesAreGradientsTimesDirection(t *testing.T) {
	b := sequential(t)
	for _, n := range tinies {
		x, theta, v := tinyPoint(3)
		forward := MustNewExec(b, func(x, theta, v *Node) *Node {
			p := unflatten(theta)
			return Forward([]*Node{losses(n.outputs(p, x))}, p, unflatten(v))[0]
		})
		reverse := MustNewExec(b, func(x, theta, v *Node) *Node {
			p := unflatten(theta)
			l := losses(n.outputs(p, x))
			dots := make([]*Node, samples)
			for i := range dots {
				g := flatten(Gradient(Reshape(Slice(l, AxisElem(i))), p...))
				dots[i] = Reshape(ReduceAllSum(Mul(g, v)), 1)
			}
			return Concatenate(dots, 0)
		})
		if d := distance(call(t, forward, images(x), theta, v), call(t, reverse, images(x), theta, v)); d > 1e-13 {
			t.Errorf("%s: relative difference %v", n.name, d)
		}
	}
}

// The cpu backend's float32 kernels carry the same products: they agree with float64 on the pure-Go backend to float32's
// precision.
func TestProductsInFloat32(t *testing.T) {
	reference, b := sequential(t), backend(t)
	for _, n := range tinies {
		products := func(x, theta, v *Node) []*Node {
			p, d := unflatten(theta), unflatten(v)
			z := n.outputs(p, x)
			l := losses(z)
			return []*Node{
				Forward([]*Node{l}, p, d)[0],
				flatten(HessianProduct(ReduceAllMean(l), p, d)),
				flatten(GaussNewtonProduct(ReduceAllMean(l), z, p, d)),
			}
		}
		x, theta, v := tinyPoint(4)
		want, err := MustNewExec(reference, products).Call(images(x), theta, v)
		if err != nil {
			t.Fatal(err)
		}
		narrow := MustNewExec(b, func(x, theta, v *Node) []*Node {
			single := func(n *Node) *Node { return ConvertDType(n, dtypes.Float32) }
			out := products(single(x), single(theta), single(v))
			for k := range out {
				out[k] = ConvertDType(out[k], dtypes.Float64)
			}
			return out
		})
		got, err := narrow.Call(images(x), theta, v)
		if err != nil {
			t.Fatal(err)
		}
		for k := range want {
			if d := distance(tensors.MustCopyFlatData[float64](got[k]), tensors.MustCopyFlatData[float64](want[k])); !(d < 1e-5) {
				t.Errorf("%s, output %d: relative difference %v", n.name, k, d)
			}
		}
	}
}
