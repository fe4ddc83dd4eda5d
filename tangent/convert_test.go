package tangent

import (
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// rounded is a product of matrices whose operands are rounded to a type, in the type of a, and convolved one whose sums are rounded as well.
func rounded(a, b *Node, to dtypes.DType) *Node {
	return ConvertDType(Dot(ConvertDType(a, to), ConvertDType(b, to)).WithOutputDType(dtypes.Float32).MatMul(), a.DType())
}

func convolved(a, b *Node, to dtypes.DType) *Node {
	return ConvertDType(Convolve(Reshape(ConvertDType(a, to), 1, 2, 3, 1), Reshape(ConvertDType(b, to), 2, 3, 1, 1)).NoPadding().Done(), a.DType())
}

// Conversions against central differences, of first and of second order. All numbers are whole and small, so that no rounding
// changes them, and the functions are of second degree, so that central differences are exact: so is what is wanted.
func TestConversionsAgainstFiniteDifferences(t *testing.T) {
	a, da := []float64{1, -2, 0, 3, 2, -1}, []float64{1, 1, -1, 0, 2, 1}
	b, db := []float64{2, 1, -1, 4, 1, -3}, []float64{-1, 0, 1, 1, -2, 2}
	moved := func(v, dv []float64, by float64) []float64 {
		out := slices.Clone(v)
		for i := range out {
			out[i] += by * dv[i]
		}
		return out
	}
	backend := sequential(t)
	for _, to := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16} {
		for name, product := range map[string]func(a, b *Node, to dtypes.DType) *Node{"dot": rounded, "convolution": convolved} {
			shaped := func(a, b *Node) (*Node, *Node) { return Reshape(a, 2, 3), Reshape(b, 3, 2) }
			value := MustNewExec(backend, func(a, b *Node) []*Node {
				x, y := shaped(a, b)
				z := product(x, y, to)
				g := Gradient(ReduceAllSum(z), a, b)
				return []*Node{Reshape(z, -1), g[0], g[1]}
			})
			tangents := MustNewExec(backend, func(a, b, da, db *Node) []*Node {
				x, y := shaped(a, b)
				z := product(x, y, to)
				in, v := []*Node{a, b}, []*Node{da, db}
				curved := HessianProduct(ReduceAllSum(z), in, v)
				return []*Node{Reshape(Forward([]*Node{z}, in, v)[0], -1), curved[0], curved[1]}
			})
			above, below := value.MustExec(moved(a, da, 1), moved(b, db, 1)), value.MustExec(moved(a, da, -1), moved(b, db, -1))
			for k, got := range tangents.MustExec(a, b, da, db) {
				up, down := tensors.MustCopyFlatData[float64](above[k]), tensors.MustCopyFlatData[float64](below[k])
				for i, g := range tensors.MustCopyFlatData[float64](got) {
					if want := (up[i] - down[i]) / 2; g != want {
						t.Errorf("%s in %s: output %d, element %d is %v, want %v", name, to, k, i, g, want)
					}
				}
			}
		}
	}
}

// A tangent has the type of what it is the tangent of, and products with tangents are of operands of the rounded type.
func TestTangentsKeepTheType(t *testing.T) {
	products := map[NodeType]int{}
	_, err := CallOnce(sequential(t), func(a, b *Node) *Node {
		x, y := ConvertDType(a, dtypes.BFloat16), ConvertDType(b, dtypes.BFloat16)
		outputs := []*Node{x, MatMul(x, y), rounded(a, b, dtypes.BFloat16), convolved(a, b, dtypes.BFloat16)}
		before := len(a.Graph().Nodes())
		var sum *Node
		for k, d := range Forward(outputs, []*Node{a, b}, []*Node{OnesLike(a), OnesLike(b)}) {
			if d.DType() != outputs[k].DType() {
				t.Errorf("the tangent of output %d is of type %s, want %s", k, d.DType(), outputs[k].DType())
			}
			if d = ReduceAllSum(ConvertDType(d, a.DType())); sum == nil {
				sum = d
			} else {
				sum = Add(sum, d)
			}
		}
		for _, node := range a.Graph().Nodes()[before:] {
			if node.Type() != NodeTypeDotGeneral && node.Type() != NodeTypeConvGeneral {
				continue
			}
			products[node.Type()]++
			for _, in := range node.Inputs() {
				if in.DType() != dtypes.BFloat16 {
					t.Errorf("a %s with tangents has an operand of type %s", node.Type(), in.DType())
				}
			}
		}
		return sum
	}, [][]float32{{1, 2, 3}, {4, 5, 6}}, [][]float32{{1, 2}, {3, 4}, {5, 6}})
	if err != nil {
		t.Fatal(err)
	}
	if products[NodeTypeDotGeneral] != 4 || products[NodeTypeConvGeneral] != 2 { // two for each product
		t.Errorf("there are %v products with tangents", products)
	}
}
