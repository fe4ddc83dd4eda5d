package datadropout

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/datadropout/datadropout/cpu"
)

// A run that is interrupted while it scores keeps what ekfac has summed up, continues to the same scores, and leaves
// nothing of it behind.
func TestRunContinuesScoring(t *testing.T) {
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test = 300, 100, 100, 100
	c.Net, c.Recipe.Epochs, c.Seeds, c.Rule, c.Estimator = "softmax", 3, 1, "count:30", "ekfac"
	c.ScoreFolds = 1
	data, err := LoadData(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := cpu.New("threads=2")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	want, err := Run(t.Context(), c, data, backend, NewMemoryStore(), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	partial := func() []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, checkpointDir, "*"+partialExtension))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	// 100 score samples, twice 300 for the factors, 300 scores.
	for _, stop := range []float64{0.3, 0.6, 0.8} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store, err := OpenDirStore(dir, Identity{Version: "one"})
		if err != nil {
			t.Fatal(err)
		}
		first := -1.0
		_, err = Run(ctx, c, data, backend, store, func(e Event) {
			if e.Stage == StageInfluence && e.Type == "progress" {
				if e.Fraction >= stop {
					cancel()
				}
				if e.Fraction > 0.11 && first < 0 { // beyond the score samples
					first = e.Fraction
				}
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at %v: error %v", stop, err)
		}
		if stop > 0.3 && first < stop-0.35 {
			t.Errorf("stopped at %v: it began again, at %v", stop, first)
		}
		if len(partial()) == 0 {
			t.Errorf("stopped at %v: nothing is kept", stop)
		}
	}
	store, err := OpenDirStore(dir, Identity{Version: "one"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Run(t.Context(), c, data, backend, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Estimates.Delta, want.Estimates.Delta) || got.Solver.Message != want.Solver.Message {
		t.Errorf("the continued run has other scores, or says %q and not %q", got.Solver.Message, want.Solver.Message)
	}
	if left := partial(); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
}
