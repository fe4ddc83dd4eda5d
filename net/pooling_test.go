package net

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/tangent"
)

// Where several pixels of a plane are the largest, its maximum moves as far as all of them do together: the slope by central
// differences along a direction in which they move alike is that direction. So their gradients add up to the incoming one, in
// forward mode too; and one pixel, the first, has all of it. So it is in float32, for which the backend has kernels, and in float64.
func TestGlobalMaximumHasOneWinner(t *testing.T) {
	backend, err := cpu.New("threads=2")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	n, err := build((*builder).globalMax, [3]int{3, 2, 2}, 2, variant{activation: "relu"})
	if err != nil {
		t.Fatal(err)
	}
	// Two images of 3x2 pixels and 2 channels. All of a plane, four, two and one of its pixels are the largest.
	planes := [4][6]float64{{0, 0, 0, 0, 0, 0}, {1, 3, 3, 2, 3, 3}, {-1, -2, -5, -1, -3, -4}, {1, 2, 7, 4, 5, 6}}
	winners := [4]int{0, 1, 0, 2}
	incoming := []float64{2, -3, 5, 7} // [image][channel]
	moves := []float64{1, 0.5, -1, 2}
	x, v := make([]float64, 24), make([]float64, 24)
	at := func(plane, pixel int) int { return plane/2*12 + pixel*2 + plane%2 }
	for p, plane := range planes {
		for k, value := range plane {
			x[at(p, k)], v[at(p, k)] = value, moves[p]
		}
	}
	for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.Float64} {
		derivatives := MustNewExec(backend, func(in []*Node) []*Node {
			for k := range in {
				in[k] = ConvertDType(in[k], dtype)
			}
			y := n.Forward(&Pass{}, in[0])
			weighed := ReduceAllSum(Mul(y, Reshape(in[2], 2, 2)))
			out := []*Node{y, tangent.Forward([]*Node{y}, in[:1], in[1:2])[0], Gradient(weighed, in[0])[0]}
			for k := range out {
				out[k] = ConvertDType(out[k], dtypes.Float64)
			}
			return out
		})
		defer derivatives.Finalize()
		call := func(x []float64) [][]float64 {
			image := func(v []float64) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(v, 2, 3, 2, 2) }
			out, err := derivatives.Call(image(x), image(v), incoming)
			if err != nil {
				t.Fatal(err)
			}
			var flat [][]float64
			for _, o := range out {
				flat = append(flat, tensors.MustCopyFlatData[float64](o))
			}
			return flat
		}
		const h = 1.0 / 1024 // sums with it are exact
		moved := func(by float64) []float64 {
			to := make([]float64, len(x))
			for i := range x {
				to[i] = x[i] + by*v[i]
			}
			return call(to)[0]
		}
		up, down := moved(h), moved(-h)
		here := call(x)
		for p := range planes {
			if slope := (up[p] - down[p]) / (2 * h); slope != moves[p] || here[1][p] != slope {
				t.Errorf("%s: plane %d moves by %v, by central differences %v, want %v", dtype, p, here[1][p], slope, moves[p])
			}
			for k := range planes[p] {
				want := 0.0
				if k == winners[p] {
					want = incoming[p]
				}
				if got := here[2][at(p, k)]; got != want {
					t.Errorf("%s: plane %d, pixel %d: gradient %v, want %v", dtype, p, k, got, want)
				}
			}
		}
	}
}
