package cpu_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
)

// TestWindows compares pooling and its gradient over random windows, channels last and not.
func TestWindows(t *testing.T) {
	b, reference := testBackends(t)
	compared := 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 13))
		spatial := [][]int{{1, 2}, {1, 2}, {2, 3}, {1}, {2}}[rng.IntN(5)]
		dims := []int{1 + rng.IntN(3), 1 + rng.IntN(5), 1 + rng.IntN(5), 1 + rng.IntN(20)}
		window, strides, paddings := []int{1, 1, 1, 1}, []int{1, 1, 1, 1}, make([][2]int, 4)
		for _, axis := range spatial {
			dims[axis] = 3 + rng.IntN(8)
			window[axis] = 1 + rng.IntN(3)
			strides[axis] = 1 + rng.IntN(3)
			if window[axis] > 1 {
				paddings[axis] = [2]int{rng.IntN(window[axis]), rng.IntN(window[axis])}
			}
		}
		if seed%3 == 0 {
			strides = nil
		}
		if seed%7 == 0 && len(spatial) == 2 && spatial[0] == 1 && spatial[1] == 2 { // 2 by 2, which has kernels of its own
			window, strides, paddings = []int{1, 2, 2, 1}, []int{1, 2, 2, 1}, nil
		}
		name := fmt.Sprintf("seed %d: %v, window %v, strides %v, paddings %v", seed, dims, window, strides, paddings)
		kind := []compute.ReduceOpType{compute.ReduceOpMax, compute.ReduceOpMin, compute.ReduceOpSum, compute.ReduceOpProduct}[rng.IntN(4)]
		if compare(t, name, b, reference, seed, [][]int{dims}, 1e-5, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			return f.ReduceWindow(x[0], kind, window, strides, nil, nil, paddings)
		}) {
			compared++
		}
		compare(t, name, b, reference, seed, [][]int{dims}, 1e-5, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			pooled, err := f.ReduceWindow(x[0], compute.ReduceOpMax, window, strides, nil, nil, paddings)
			if err != nil {
				return nil, err
			}
			if seed%2 == 0 {
				return f.SelectAndScatterMax(x[0], pooled, window, strides, paddings)
			}
			return f.SelectAndScatterMin(x[0], pooled, window, strides, paddings)
		})
	}
	if compared < 150 {
		t.Errorf("only %d of 200 cases were windows", compared)
	}
}
