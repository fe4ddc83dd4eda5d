package bench

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// probeOperations is what a first run may cost of which nothing is known but its operations: half a second at 100 GFLOP/s.
const probeOperations = 50e9

// brief measures in about s.Seconds, though every batch is run twice. A batch that takes longer is measured by two parts of it,
// the larger one of as many samples as fit into half of that, and at least of two: what more samples take is what those of the
// larger part take over the smaller one. The program of the whole batch is compiled but not run, so that the backend knows
// the memory that it needs.
func (w *workload) brief(ctx context.Context, s Setting) (timing, error) {
	w.load(max(1, min(s.Batch, int(probeOperations/max(1, operations(w.net, s.Phase, max(1, s.Directions)))))))
	var last timing
	for {
		t, err := w.timed(ctx, func(t timing) bool {
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
			return t, w.compile(s)
		} else {
			w.load(min(s.Batch, max(2*t.batch, int(s.Seconds/2/sample))))
		}
		last = t
	}
}

// compile compiles the program of a whole batch without running it.
func (w *workload) compile(s Setting) error {
	args := make([]shapes.Shape, len(w.args))
	for i, a := range w.args {
		args[i] = a.(*tensors.Tensor).Shape()
	}
	in, out := w.shapes(s.Batch)
	args[w.x], args[w.x+1] = shapes.Make(dtypes.Float32, in...), shapes.Make(dtypes.Float32, out...)
	if _, err := w.exec.Compile(args...); err != nil {
		return fmt.Errorf("compiling %s of %s in batches of %d: %w", s.Phase, w.net.Name, s.Batch, err)
	}
	return nil
}
