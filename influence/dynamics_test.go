package influence

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// restored has its images for targets.
type restored struct{ *blobs }

func (r restored) TargetDims() []int { return r.InputDims() }
func (r restored) Fill(i int, x, y []float32) {
	copy(x, r.x[i])
	copy(y, r.x[i])
}

// filter multiplies an image by a number.
func filter(p *net.Pass, x *Node) *Node { return Mul(x, Reshape(p.Params[0])) }

// TestDynamicsRank gives records written by hand to the rankings.
func TestDynamicsRank(t *testing.T) {
	src, n := newBlobs(10, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 1), n, src, initial(n, 4), 0)
	p.Recipe = train.Recipe{Epochs: 9, BatchSize: 5, LearningRate: 0.1}
	p.Record = &train.Record{
		End:           p.Model.Digest(),
		Presentations: []int{9, 9, 9, 9, 0},
		AUM:           []float64{2, -3, 0.5, -0.25, 0},
		Forgotten:     []int{0, 4, 0, 2, 0},
		Learned:       []bool{true, true, false, true, false},
		EL2N:          []float64{0.1, 1.2, 0.8, 1.4, 0},
	}
	for name, want := range map[string][]float64{
		"aum":        {0.4, -0.6, 0.1, -0.05, 0},
		"forgetting": {0, -0.8, -1, -0.4, 0},
		"el2n":       {-0.02, -0.24, -0.16, -0.28, 0},
	} {
		s := score(t, estimator(t, name, Options{}), p)
		for i := range want {
			if math.Abs(s.Delta[i]-want[i]) > 1e-15 || s.Delta[i] == 0 && math.Signbit(s.Delta[i]) {
				t.Errorf("%s: sample %d has %v, want %v", name, i, s.Delta[i], want[i])
			}
		}
		if s.Folds != nil || s.Calibrated || !s.Solver.Converged || s.Solver.Message != "" {
			t.Errorf("%s: folds %v, calibrated %v, %+v", name, s.Folds, s.Calibrated, s.Solver)
		}
	}
	if kept := p.Record.AUM; !slices.Equal(kept, []float64{2, -3, 0.5, -0.25, 0}) {
		t.Errorf("the record was changed: %v", kept)
	}
	p.Record.AUM[2] = math.NaN()
	if _, err := estimator(t, "aum", Options{}).Score(t.Context(), p, nil); err == nil {
		t.Error("a margin that is no number: no error")
	}
}
