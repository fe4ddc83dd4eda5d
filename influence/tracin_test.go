package influence

import (
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/train"
)

// TestTracInByDefinition adds up dot products of gradients, sample by sample and checkpoint by checkpoint.
func TestTracInByDefinition(t *testing.T) {
	src := newBlobs(60, 2, 3, 3, 2)
	p := replayable(t, 2, moving(), src, metaRecipe, 5)
	for _, checkpoints := range []int{1, 3, 5} {
		got := score(t, estimator(t, "tracin", Options{Checkpoints: checkpoints}), p)
		r := recorded(t, p, train.Recording{Checkpoints: checkpoints})
		if len(r.Checkpoints) != checkpoints {
			t.Fatalf("%d checkpoints, want %d", len(r.Checkpoints), checkpoints)
		}
		want := make([]float64, len(p.Train))
		for _, c := range r.Checkpoints {
			at := *p
			at.Model = &c.Model
			d, err := newDerivatives(&at, nil)
			if err != nil {
				t.Fatal(err)
			}
			target, err := d.meanGradient(t.Context(), p.Score)
			if err != nil {
				t.Fatal(err)
			}
			for k, i := range p.Train {
				g, err := d.meanGradient(t.Context(), []int{i})
				if err != nil {
					t.Fatal(err)
				}
				want[k] += c.Rates / (1 - p.Recipe.Momentum) * floats.Dot(target, g) / float64(len(p.Train))
			}
			d.close()
		}
		if e := apart(got.Delta, want); e > 1e-4 || got.Calibrated {
			t.Errorf("%d checkpoints: relative error %.2g; calibrated is %v", checkpoints, e, got.Calibrated)
		}
	}
}

// TestTracInOfSmallSteps compares with the exact derivative of a training so short that later steps hardly bend what
// earlier ones did: all that tracin leaves out. Batches are the whole set, so that every sample is in every step.
func TestTracInOfSmallSteps(t *testing.T) {
	src := newBlobs(60, 2, 3, 3, 2)
	for _, test := range []struct {
		name        string
		recipe      train.Recipe
		checkpoints int
		bound       float64
	}{
		{"every step", train.Recipe{Epochs: 10, BatchSize: 30, LearningRate: 1e-3}, 10, 0.02},
		{"more than every step", train.Recipe{Epochs: 10, BatchSize: 30, LearningRate: 1e-3}, 100, 0.02},
		{"the default number", train.Recipe{Epochs: 50, BatchSize: 30, LearningRate: 1e-3, WarmupFraction: 0.2}, 0, 0.05},
		{"half of momentum", train.Recipe{Epochs: 200, BatchSize: 30, LearningRate: 1e-4, Momentum: 0.5, Schedule: train.Constant}, 0, 0.05},
	} {
		p := replayable(t, 2, smooth(), src, test.recipe, 5)
		got := score(t, estimator(t, "tracin", Options{Checkpoints: test.checkpoints}), p)
		exact := score(t, estimator(t, "metagradient", Options{}), p)
		e, r := apart(got.Delta, exact.Delta), stat.Correlation(got.Delta, exact.Delta, nil)
		t.Logf("%s: relative error %.3f, r = %.5f", test.name, e, r)
		if e > test.bound || r < 0.999 {
			t.Errorf("%s: relative error %.3f and r = %.4f, want at most %v and 1", test.name, e, r, test.bound)
		}
	}
}
