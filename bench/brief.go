package bench

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

const (
	// probeOperations is what a first run may cost of which nothing is known but its operations: a quarter of a second at 100 GFLOP/s.
	probeOperations = 25e9
	// longRun is what a run takes that is not repeated: memory that is touched for the first time tells little there.
	longRun = 0.5
)

// brief measures in about s.Seconds, though every batch is run twice that does not take long. A batch that takes longer is measured by
// two parts of it, the larger one of as many samples as fit into half of that, and at least of two: what more samples take is what those
// of the larger part take over the smaller one. The program of the whole batch is compiled but not run, so that the backend knows
// the memory that it needs. Where a sample alone takes long, one direction is measured for all that share a pass, and counts as its
// share of the operations.
func (w *workload) brief(ctx context.Context, s Setting) (timing, error) {
	all := operations(w.net, s.Phase, w.directions)
	if w.directions > 1 && all > probeOperations {
		w.direct(1)
		t, err := w.parts(ctx, s)
		if err != nil {
			return t, err
		}
		t.scale(all / operations(w.net, s.Phase, 1))
		w.directions = s.Directions
		return t, w.compile(s.Batch)
	}
	t, err := w.parts(ctx, s)
	if err != nil || t.batch == s.Batch {
		return t, err
	}
	return t, w.compile(s.Batch)
}

// scale makes all runs take so many times as long; compiling is left as it is.
func (t *timing) scale(by float64) {
	t.first += (by - 1) * t.mean()
	t.sample, t.spent = by*t.sample, by*t.spent
	for i := range t.runs {
		t.runs[i] *= by
	}
}

// parts is brief without what is compiled for the memory alone.
func (w *workload) parts(ctx context.Context, s Setting) (timing, error) {
	w.load(max(1, min(s.Batch, int(probeOperations/max(1, operations(w.net, s.Phase, w.directions))))))
	var last timing
	for {
		t, err := w.timed(ctx, max(longRun, s.Seconds), func(t timing) bool {
			return len(t.runs) == 0 || t.batch == s.Batch && t.spent < s.Seconds
		})
		if err != nil || t.batch == s.Batch {
			return t, err
		}
		if sample := t.mean() / float64(t.batch); sample*float64(s.Batch) <= s.Seconds {
			w.load(s.Batch)
		} else if last.batch > 0 && sample*float64(2*t.batch) > s.Seconds/2 {
			t.sample = sample
			if more := (t.mean() - last.mean()) / float64(t.batch-last.batch); more > 0 {
				t.sample = min(sample, more)
			}
			return t, nil
		} else {
			w.load(min(s.Batch, max(2*t.batch, int(s.Seconds/2/sample))))
		}
		last = t
	}
}

// compile compiles the program of a batch without running it.
func (w *workload) compile(batch int) error {
	args := make([]shapes.Shape, len(w.args))
	for i, a := range w.args {
		args[i] = a.(*tensors.Tensor).Shape()
	}
	in, out := w.shapes(batch)
	args[w.x], args[w.x+1] = shapes.Make(dtypes.Float32, in...), shapes.Make(dtypes.Float32, out...)
	if w.direction > 0 {
		args[w.direction] = shapes.Make(dtypes.Float32, w.directions, w.net.Size())
	}
	if _, err := w.exec.Compile(args...); err != nil {
		return fmt.Errorf("compiling %s of %s in batches of %d: %w", w.exec.Name(), w.net.Name, batch, err)
	}
	return nil
}
