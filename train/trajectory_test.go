package train

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// seen is what a visit of a step saw, in memory.
type seen struct {
	step         int
	theta, state []float32
	positions    []int
}

func see(t *testing.T, m Moment) seen {
	t.Helper()
	values := func(from *tensors.Tensor) (v []float32) {
		if from != nil {
			if err := tensors.ConstFlatData(from, func(flat []float32) { v = slices.Clone(flat) }); err != nil {
				t.Fatal(err)
			}
		}
		return v
	}
	return seen{m.Step, values(m.Theta), values(m.State), slices.Clone(m.Positions)}
}

// visits goes back through a trajectory and returns what it shows.
func visits(t *testing.T, tr *Trajectory) (all []seen) {
	t.Helper()
	if err := tr.Backward(t.Context(), func(m Moment) error {
		all = append(all, see(t, m))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func (s seen) equal(other seen) bool {
	return s.step == other.step && slices.Equal(s.theta, other.theta) && slices.Equal(s.state, other.state) && slices.Equal(s.positions, other.positions)
}

// TestTrajectoryReplays goes backwards through a training with every bound on memory and compares with Train and with
// each other: the same end, the same parameters and samples at every step, whatever is computed again.
func TestTrajectoryReplays(t *testing.T) {
	src := newBlobs(60, 4)
	n := normalized()
	e := NewEngine(backend(t, 2), n, CrossEntropy{})
	defer e.Close()
	idx := positions(37) // 5 epochs of 37 in batches of 8: 23 steps, batches over the ends of epochs
	r := Recipe{Epochs: 5, BatchSize: 8, LearningRate: 0.2, Momentum: 0.9, WeightDecay: 0.01, WarmupFraction: 0.2}
	want, err := e.Train(t.Context(), src, idx, r, 9, nil)
	if err != nil {
		t.Fatal(err)
	}
	steps := r.Steps(len(idx))
	vector := int64(4 * (n.Size() + n.StateSize()))
	order, err := NewOrder(src.Len(), idx, 9)
	if err != nil {
		t.Fatal(err)
	}
	var first []seen
	carriedOut := map[int]bool{}
	for _, vectors := range []int64{1000, int64(steps + 2), int64(steps + 1), 18, 16, 15, 14, 13, 12, 11} {
		ticks := 0
		tr, err := e.Trajectory(t.Context(), src, idx, r, 9, vectors*vector, func(done, planned int) {
			if ticks++; ticks != done || done > planned {
				t.Errorf("%d vectors: told of %d steps of %d after %d", vectors, done, planned, ticks)
			}
		})
		if err != nil {
			t.Fatalf("%d vectors: %v", vectors, err)
		}
		if tr.Steps() != steps || tr.Done() != steps || !slices.Equal(tr.Final().Theta, want.Theta) || !slices.Equal(tr.Final().State, want.State) {
			t.Errorf("%d vectors: the training ends elsewhere than Train, after %d of %d steps", vectors, tr.Done(), steps)
		}
		var moments []seen
		batch := make([]int, r.BatchSize)
		if err := tr.Backward(t.Context(), func(m Moment) error {
			order.Batch(m.Step, batch)
			if !slices.Equal(m.Positions, batch) || m.Rate != r.Rate(m.Step, steps) {
				t.Errorf("%d vectors, step %d: samples %v at rate %v", vectors, m.Step, m.Positions, m.Rate)
			}
			moments = append(moments, see(t, m))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(moments) != steps {
			t.Fatalf("%d vectors: %d steps visited, want %d", vectors, len(moments), steps)
		}
		if first == nil {
			first = moments
		}
		for k, m := range moments {
			if m.step != steps-1-k || !m.equal(first[k]) {
				t.Errorf("%d vectors: visit %d is step %d, or stands elsewhere than with all steps recorded", vectors, k, m.step)
			}
		}
		if tr.Peak() > vectors*vector {
			t.Errorf("%d vectors: %d bytes held, the bound is %d", vectors, tr.Peak(), vectors*vector)
		}
		plan := PlanReplay(n, r, len(idx), Bounds{Memory: vectors * vector})
		if plan.Steps != tr.Done() || plan.Memory < tr.Peak() {
			t.Errorf("%d vectors: planned %+v, %d steps carried out and %d bytes held", vectors, plan, tr.Done(), tr.Peak())
		}
		if tr.Done() != tr.Planned() || ticks != tr.Done() {
			t.Errorf("%d vectors: %d steps carried out, %d told, %d planned", vectors, tr.Done(), ticks, tr.Planned())
		}
		if least := 2 * steps; vectors == 14 && tr.Done() > least {
			t.Errorf("a checkpoint a segment fits, and yet %d steps were carried out, more than %d", tr.Done(), least)
		}
		carriedOut[tr.Done()] = true
		if tr.Backward(t.Context(), func(Moment) error { return nil }) == nil {
			t.Error("gone through backwards twice")
		}
		tr.Close()
	}
	theta, state := n.Init(9)
	if start := first[steps-1]; !slices.Equal(start.theta, theta) || !slices.Equal(start.state, state) {
		t.Error("the last visit is not where training starts")
	}
	if len(carriedOut) < 4 || !carriedOut[steps] {
		t.Errorf("the bounds on memory made %v steps, want several numbers, the least %d", carriedOut, steps)
	}
}

func TestTrajectoryRefuses(t *testing.T) {
	src, n := newBlobs(40, 4), linear()
	e := NewEngine(backend(t, 1), n, CrossEntropy{})
	defer e.Close()
	if _, err := e.Trajectory(t.Context(), src, positions(40), recipe, 1, 100, nil); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("100 bytes: error %v", err)
	}
	// Whether the bounds suffice is known without training, and is what training then says.
	steps := recipe.Steps(40)
	vector, least := vectorBytes(n), leastVectors(steps)
	for _, bounds := range []Bounds{
		{Memory: 100},
		{Memory: int64(startVectors+least) * vector}, {Memory: int64(startVectors+least)*vector - 1},
		{Memory: int64(startVectors+readingVectors) * vector, Disk: int64(least) * vector},
		{Memory: int64(startVectors+readingVectors) * vector, Disk: int64(least)*vector - 1},
	} {
		foretold := CheckReplay(n, recipe, 40, bounds)
		tr, err := e.SpilledTrajectory(t.Context(), src, positions(40), recipe, 1, bounds, nil)
		if err == nil {
			tr.Close()
		}
		if (foretold == nil) != (err == nil) || err != nil && err.Error() != foretold.Error() {
			t.Errorf("%+v: error %v was foretold, and there was %v", bounds, foretold, err)
		}
	}
	if _, err := e.Trajectory(t.Context(), src, positions(40), Recipe{}, 1, 1<<20, nil); err == nil {
		t.Error("a recipe of nothing: no error")
	}
	bad := recipe
	bad.LearningRate, bad.Epochs = 1e30, 5
	var diverged *DivergedError
	if _, err := e.Trajectory(t.Context(), src, positions(40), bad, 1, 1<<20, nil); !errors.As(err, &diverged) {
		t.Errorf("a learning rate of 1e30: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	tr, err := e.Trajectory(ctx, src, positions(40), recipe, 1, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	cancel()
	if err := tr.Backward(ctx, func(Moment) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: error %v", err)
	}
	if _, err := e.Trajectory(ctx, src, positions(40), recipe, 1, 1<<20, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: error %v", err)
	}
}

// TestLeastVectors checks the least memory against the plan that is made with it, and one vector less.
func TestLeastVectors(t *testing.T) {
	var fits func(n, vectors int) bool
	fits = func(n, vectors int) bool {
		if vectors < 1 {
			return false
		}
		_, recorded := cut(n, vectors)
		return recorded || n > 1 && fits((n+1)/2, vectors-2)
	}
	for _, n := range []int{1, 2, 3, 7, 23, 100, 1000, 4321} {
		if least := leastVectors(n); !fits(n, least) || fits(n, least-1) {
			t.Errorf("%d steps: %d vectors are not the least", n, least)
		}
	}
}
