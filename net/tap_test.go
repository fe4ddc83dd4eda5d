package net

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
)

// again computes a tap's output from its input and the parameters by its own account.
func again(t Tap, params []*Node) *Node {
	var y *Node
	switch t.Kind {
	case TapConvolution:
		pad := [2]int{t.Padding, t.Padding}
		y = Convolve(t.Input, params[t.Weight]).Strides(t.Stride).PaddingPerDim([][2]int{pad, pad}).Done()
	case TapDense:
		y = MatMul(t.Input, params[t.Weight])
	case TapNorm:
		y = Mul(t.Input, channels(params[t.Weight], t.Input.Rank()))
	}
	if t.Bias >= 0 {
		y = Add(y, channels(params[t.Bias], y.Rank()))
	}
	return y
}

// Every network tells of each of its parameters once, and what the taps say makes their outputs; to be asked for taps
// changes neither the network's outputs nor its new state.
func TestTaps(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	for _, n := range evaluated(t) {
		for _, training := range []bool{false, true} {
			name := n.Name
			theta, state := n.Init(3)
			for i := range theta { // zeros and ones would hide a scale that is left out
				theta[i] += float32(i%7) / 100
			}
			told := make([]int, len(n.Params))
			var windows []Tap
			evaluate := func(tap bool) []*tensors.Tensor {
				out, err := CallOnceN(backend, func(in []*Node) []*Node {
					pass := &Pass{Params: Unflatten(in[0], n.Params), Training: training}
					if len(in) > 2 {
						pass.State, pass.NewState = Unflatten(in[2], n.State), make([]*Node, len(n.State))
					}
					if training && len(n.Gates) > 0 { // the first block is skipped
						gates := make([]float32, len(n.Gates))
						for k := range gates {
							gates[k] = float32(min(k, 1))
						}
						pass.Gates = Const(in[0].Graph(), gates)
					}
					var taps []Tap
					if tap {
						pass.Tap = func(t Tap) { taps = append(taps, t) }
					}
					out := []*Node{n.Forward(pass, in[1])}
					if training && len(in) > 2 {
						out = append(out, Flatten(pass.NewState))
					}
					for _, t := range taps {
						told[t.Weight]++
						if t.Bias >= 0 {
							told[t.Bias]++
						}
						if t.Kind == TapConvolution {
							windows = append(windows, t)
						}
						y := again(t, pass.Params)
						// The largest difference, and the largest value beside it.
						out = append(out, ReduceAllMax(Abs(Sub(y, t.Output))), ReduceAllMax(Abs(t.Output)))
					}
					return out
				}, inputs(theta, state)...)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			plain, tapped := evaluate(false), evaluate(true)
			for k := range plain {
				if a, b := tensors.MustCopyFlatData[float32](plain[k]), tensors.MustCopyFlatData[float32](tapped[k]); !close(a, b) {
					t.Errorf("%s, training %v: result %d differs when taps are asked for", name, training, k)
				}
			}
			for k := len(plain); k < len(tapped); k += 2 {
				e, size := tensors.ToScalar[float32](tapped[k]), tensors.ToScalar[float32](tapped[k+1])
				if !(e <= 1e-5*size) || size == 0 {
					t.Errorf("%s, training %v: the output of tap %d is %v off of at most %v", name, training, (k-len(plain))/2, e, size)
				}
			}
			if slices.ContainsFunc(told, func(n int) bool { return n != 1 }) {
				t.Errorf("%s: its parameters are told of %v times, want once each", name, told)
			}
			for _, w := range windows {
				if kernel := n.Params[w.Weight].Dims; kernel[0] != w.Window || kernel[1] != w.Window {
					t.Errorf("%s: a window of %d for a kernel of %v", name, w.Window, kernel)
				}
			}
		}
	}
}

// close says whether a and b differ by rounding only: what is fused with what may change with a network's other outputs.
func close(a, b []float32) bool {
	size := 0.0
	for _, x := range b {
		size = max(size, math.Abs(float64(x)))
	}
	for i := range a {
		if !(math.Abs(float64(a[i]-b[i])) <= 1e-5*size) {
			return false
		}
	}
	return len(a) == len(b)
}
