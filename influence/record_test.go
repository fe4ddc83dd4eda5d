package influence

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// recorders are the estimators that want something recorded.
var recorders = []string{"aum", "el2n", "forgetting", "grand", "tracin"}

// recorded trains the problem's model again and keeps what is asked for.
func recorded(t testing.TB, p *Problem, rec train.Recording) *train.Record {
	t.Helper()
	e := train.NewEngine(p.Backend, p.Net, p.Loss)
	defer e.Close()
	_, r, err := e.TrainRecorded(t.Context(), p.Source, p.Train, p.Recipe, p.TrainSeed, rec, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestScoresOfARecordAndOfARepeatedTraining compares the scores of a record that is given with those of the estimator's own.
func TestScoresOfARecordAndOfARepeatedTraining(t *testing.T) {
	for _, n := range []*net.Network{smooth(), moving()} {
		for _, name := range Names() {
			o := Options{Checkpoints: 4}
			e := estimator(t, name, o)
			wants := slices.Contains(recorders, name)
			if (Recording(name, o) != train.Recording{}) != wants {
				t.Fatalf("%s wants %+v", name, Recording(name, o))
			}
			if !wants {
				continue
			}
			p := replayable(t, 2, n, newBlobs(60, 2, 3, 3, 2), metaRecipe, 5)
			theta, state := slices.Clone(p.Model.Theta), slices.Clone(p.Model.State)
			repeated := score(t, e, p)
			if repeated.Solver.Message == "" || !repeated.Solver.Converged || repeated.Calibrated {
				t.Errorf("%s of %s: %+v of a repeated training", name, n.Name, repeated.Solver)
			}
			p.Record = recorded(t, p, Recording(name, o))
			totals, last := map[int]bool{}, 0
			given, err := e.Score(t.Context(), p, func(done, total int) {
				if done < last || done > total {
					t.Errorf("%s: progress %d of %d after %d", name, done, total, last)
				}
				last, totals[total] = done, true
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(totals) != 1 || !totals[last] {
				t.Errorf("%s: progress ended at %d, totals %v", name, last, totals)
			}
			if given.Solver.Message != "" || !slices.Equal(given.Delta, repeated.Delta) {
				t.Errorf("%s of %s: other scores from a record, or the training was repeated: %+v", name, n.Name, given.Solver)
			}
			p.Record = recorded(t, p, train.Recording{Checkpoints: 1})
			if s := score(t, e, p); s.Solver.Message != repeated.Solver.Message || !slices.Equal(s.Delta, repeated.Delta) {
				t.Errorf("%s of %s: a record of something else: %+v, or other scores", name, n.Name, s.Solver)
			}
			if !slices.Equal(p.Model.Theta, theta) || !slices.Equal(p.Model.State, state) {
				t.Fatalf("%s changes the model of the problem", name)
			}
		}
	}
}

func TestRecordersRefuse(t *testing.T) {
	src := newBlobs(60, 2, 3, 3, 2)
	for _, name := range recorders {
		for _, test := range []struct {
			what   string
			change func(*Problem)
			says   string
		}{
			{"another seed", func(p *Problem) { p.TrainSeed++ }, "bit for bit"},
			{"other samples", func(p *Problem) { p.Train = p.Train[1:] }, "bit for bit"},
			{"no recipe", func(p *Problem) { p.Recipe = train.Recipe{} }, "epochs"},
			{"a record of another model", func(p *Problem) {
				p.Record = recorded(t, p, Recording(name, Options{}))
				p.Model = &train.Model{Theta: slices.Clone(p.Model.Theta)}
				p.Model.Theta[0]++
			}, "another model"},
		} {
			p := replayable(t, 2, smooth(), src, metaRecipe, 5)
			test.change(p)
			if _, err := estimator(t, name, Options{}).Score(t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s, %s: error %v, want one about %q", name, test.what, err, test.says)
			}
		}
	}
	if _, err := New("tracin", Options{Checkpoints: -1}); err == nil {
		t.Error("a number of checkpoints below zero: no error")
	}
}

// TestDynamicsOfImages asks for margins of a network whose outputs are images.
func TestDynamicsOfImages(t *testing.T) {
	src := restored{newBlobs(20, 2, 3, 3, 2)}
	n := &net.Network{Name: "filter", Input: [3]int{2, 3, 1}, Params: []net.Param{{Name: "scale", Dims: []int{1}, Init: normal(1)}},
		Forward: filter}
	b := backend(t, 1)
	e := train.NewEngine(b, n, train.SquaredError{})
	defer e.Close()
	p := &Problem{Backend: b, Net: n, Loss: train.SquaredError{}, Source: src, Train: span(0, 10), Score: span(10, 20), TrainSeed: 2,
		Recipe: train.Recipe{Epochs: 5, BatchSize: 5, LearningRate: 0.01}}
	var err error
	if p.Model, err = e.Train(t.Context(), src, p.Train, p.Recipe, p.TrainSeed, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range recorders {
		_, err := estimator(t, name, Options{}).Score(t.Context(), p, nil)
		if Recording(name, Options{}).Dynamics != (err != nil && strings.Contains(err.Error(), "classification") && strings.Contains(err.Error(), "squared error")) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestBaselinesFindPlantedLabels measures how well scores tell wrong labels from right ones: by the chance that a wrong one
// has the lower score, 1/2 where the score knows nothing. The yardstick is the loss at the end of training.
func TestBaselinesFindPlantedLabels(t *testing.T) {
	p, wrong := planted(t)
	p.Record = recorded(t, p, train.Recording{Dynamics: true, Early: true, Checkpoints: DefaultCheckpoints})
	auc := func(name string) float64 {
		s := score(t, estimator(t, name, Options{}), p)
		if s.Calibrated || name != "random" && s.Delta[0] >= 0 {
			t.Errorf("%s: the plain error has %v; calibrated is %v", name, s.Delta[0], s.Calibrated)
		}
		lower := 0.0
		for i := range wrong {
			for j, d := range s.Delta {
				switch {
				case wrong[j]:
				case s.Delta[i] < d:
					lower++
				case s.Delta[i] == d:
					lower += 0.5
				}
			}
		}
		lower /= float64(len(wrong) * (len(s.Delta) - len(wrong)))
		t.Logf("%s: %.3f", name, lower)
		return lower
	}
	if got := auc("random"); math.Abs(got-0.5) > 0.1 {
		t.Errorf("random scores have an area under the curve of %.3f", got)
	}
	yardstick := auc("loss")
	for name, less := range map[string]float64{
		"aum": 0.03, "el2n": 0.03, "grand": 0.03, "gradcos": 0.03, "tracin": 0.05,
		"forgetting": 0.1, // counts tie, and most samples here are never forgotten or never learned
	} {
		if got := auc(name); got < yardstick-less {
			t.Errorf("%s: area under the curve %.3f, that of the loss %.3f", name, got, yardstick)
		}
	}
}
