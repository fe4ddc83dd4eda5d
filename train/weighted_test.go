package train

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// TestTrainWeighted follows the equations with weights of zero, one and others, and with weights of one ends where Train
// does.
func TestTrainWeighted(t *testing.T) {
	src, n := newBlobs(60, 1), linear()
	idx := []int{}
	weights, ones := []float32{}, []float32{}
	for i := range src.x {
		if i%5 != 2 {
			idx = append(idx, i)
			weights = append(weights, float32(len(idx)%4)/2)
			ones = append(ones, 1)
		}
	}
	e := NewEngine(backend(t, 2), n, CrossEntropy{})
	defer e.Close()
	m, err := e.TrainWeighted(t.Context(), src, idx, weights, recipe, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	theta, _ := n.Init(7)
	want := newReference(theta)
	momentum := make([]float64, len(theta))
	order, err := NewOrder(src.Len(), idx, 7)
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]int, min(recipe.BatchSize, len(idx)))
	steps := recipe.Steps(len(idx))
	for s := range steps {
		order.Batch(s, batch)
		sum := make([]float64, len(theta))
		for _, i := range batch {
			_, g := want.gradient(src, []int{i})
			for j := range g {
				sum[j] += float64(weights[slices.Index(idx, i)]) * g[j] / float64(len(batch))
			}
		}
		for j := range sum {
			momentum[j] = recipe.Momentum*momentum[j] + sum[j] + recipe.WeightDecay*want.theta[j]
			want.theta[j] -= recipe.Rate(s, steps) * momentum[j]
		}
	}
	for j, v := range m.Theta {
		if math.Abs(float64(v)-want.theta[j]) > 2e-5 {
			t.Errorf("parameter %d is %v, want %v", j, v, want.theta[j])
		}
	}

	plain, err := e.Train(t.Context(), src, idx, recipe, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, err := e.TrainWeighted(t.Context(), src, idx, ones, recipe, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	for j, v := range one.Theta {
		if math.Abs(float64(v-plain.Theta[j])) > 1e-6 {
			t.Errorf("weights of one: parameter %d is %v, without weights %v", j, v, plain.Theta[j])
		}
	}
}

func TestTrainWeightedRefuses(t *testing.T) {
	src, n := newBlobs(60, 1), linear()
	e := NewEngine(backend(t, 1), n, CrossEntropy{})
	defer e.Close()
	for what, weights := range map[string][]float32{
		"2 weights":  {1, 1},
		"not finite": {1, float32(math.NaN()), 1},
	} {
		if _, err := e.TrainWeighted(t.Context(), src, []int{0, 1, 2}, weights, recipe, 7, nil); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want one about %q", err, what)
		}
	}
}
