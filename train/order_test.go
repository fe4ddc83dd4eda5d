package train

import (
	"slices"
	"testing"
)

func TestOrderVisitsEverySampleOncePerEpoch(t *testing.T) {
	idx := []int{3, 17, 4, 30, 0, 22, 9}
	for _, size := range []int{1, 2, 3, 7} {
		o, err := NewOrder(31, idx, 5)
		if err != nil {
			t.Fatal(err)
		}
		const epochs = 4
		recipe := Recipe{Epochs: epochs, BatchSize: size}
		seen := map[int]int{}
		batch := make([]int, size)
		steps := recipe.Steps(len(idx))
		for step := range steps {
			o.Batch(step, batch)
			for _, i := range batch {
				seen[i]++
			}
		}
		remainder, total := epochs*len(idx)-steps*size, 0
		if remainder >= size {
			t.Fatalf("batches of %d: %d samples left over", size, remainder)
		}
		for _, i := range idx {
			if seen[i] > epochs || seen[i] < epochs-1 {
				t.Errorf("batches of %d: sample %d seen %d times in %d epochs", size, i, seen[i], epochs)
			}
			total += seen[i]
		}
		if len(seen) != len(idx) || total != steps*size {
			t.Errorf("batches of %d: saw %v", size, seen)
		}
	}
}

func TestOrderOfASubsetFollowsTheWhole(t *testing.T) {
	all := make([]int, 50)
	for i := range all {
		all[i] = i
	}
	kept := []int{1, 4, 9, 16, 25, 36, 49}
	whole, err := NewOrder(50, all, 7)
	if err != nil {
		t.Fatal(err)
	}
	part, err := NewOrder(50, kept, 7)
	if err != nil {
		t.Fatal(err)
	}
	epochs := make([][]int, 3)
	for e := range epochs {
		full, some := make([]int, len(all)), make([]int, len(kept))
		whole.Batch(e, full)
		part.Batch(e, some)
		full = slices.DeleteFunc(full, func(i int) bool { return !slices.Contains(kept, i) })
		if !slices.Equal(full, some) {
			t.Errorf("epoch %d: the subset comes as %v, in the whole as %v", e, some, full)
		}
		epochs[e] = some
	}
	if slices.Equal(epochs[0], epochs[1]) || slices.Equal(epochs[1], epochs[2]) {
		t.Errorf("the epochs repeat one order: %v", epochs)
	}
}

func TestOrderAnyStepAtAnyTime(t *testing.T) {
	idx := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	forward, err := NewOrder(10, idx, 1)
	if err != nil {
		t.Fatal(err)
	}
	const size, steps = 3, 12
	want := make([][]int, steps)
	for s := range want {
		want[s] = make([]int, size)
		forward.Batch(s, want[s])
	}
	backward, err := NewOrder(10, idx, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]int, size)
	for s := steps - 1; s >= 0; s-- {
		backward.Batch(s, got)
		if !slices.Equal(got, want[s]) {
			t.Errorf("step %d: %v backward, %v forward", s, got, want[s])
		}
	}
	other, err := NewOrder(10, idx, 2)
	if err != nil {
		t.Fatal(err)
	}
	whole, first := make([]int, 10), make([]int, 10)
	other.Batch(0, whole)
	forward.Batch(0, first)
	if slices.Equal(whole, first) {
		t.Errorf("seeds 1 and 2 give the same order %v", whole)
	}
}

func TestNewOrderRefuses(t *testing.T) {
	for name, idx := range map[string][]int{"nothing": nil, "negative": {0, -1}, "beyond the end": {5}, "twice": {1, 2, 1}} {
		if _, err := NewOrder(5, idx, 0); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
