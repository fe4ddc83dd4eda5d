package influence

import (
	"slices"
	"testing"

	"github.com/datadropout/datadropout/train"
)

// TestFolds compares the removal effects for each fold with those of a problem whose scoring set is that fold alone, and
// their mean with those for the whole scoring set.
func TestFolds(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	r := train.Recipe{Epochs: 2, BatchSize: 10, LearningRate: 0.05, Momentum: 0.9, WeightDecay: 0.01}
	for _, name := range Names() {
		e := estimator(t, name, Options{Tolerance: 1e-7, HessianSamples: 25})
		p := replayable(t, 2, n, src, r, 4)
		p.Seed = 9
		whole := score(t, e, p)
		p.Folds = 3
		s := score(t, e, p)
		if (s.Folds != nil) != HasTarget(name) {
			t.Errorf("%s has folds: %v, has a target: %v", name, s.Folds != nil, HasTarget(name))
		}
		if s.Folds == nil {
			if !slices.Equal(s.Delta, whole.Delta) {
				t.Errorf("%s knows no folds, and they change its scores", name)
			}
			continue
		}
		if len(s.Folds) != p.Folds {
			t.Fatalf("%s: %d folds, want %d", name, len(s.Folds), p.Folds)
		}
		if got := apart(s.Delta, whole.Delta); got > 1e-4 {
			t.Errorf("%s: the mean over folds differs from the scores of the whole by %.2g, relative", name, got)
		}
		again := score(t, e, replayedAt(t, 1, p))
		for k, part := range p.folds() {
			if !slices.Equal(s.Folds[k], again.Folds[k]) {
				t.Errorf("%s: fold %d has other bits at 1 thread", name, k)
			}
			alone := *p
			alone.Folds, alone.Score = 0, part
			if got := apart(s.Folds[k], score(t, e, &alone).Delta); got > 1e-4 {
				t.Errorf("%s: fold %d differs from the problem with that fold alone by %.2g, relative", name, k, got)
			}
		}
	}
	p := replayable(t, 1, n, src, r, 4)
	for _, folds := range []int{-1, len(p.Score) + 1} {
		p.Folds = folds
		if _, err := estimator(t, "graddot", Options{}).Score(t.Context(), p, nil); err == nil {
			t.Errorf("%d folds: no error", folds)
		}
	}
}

// replayedAt is the problem on a backend with another number of threads.
func replayedAt(t *testing.T, threads int, p *Problem) *Problem {
	q := *p
	q.Backend = backend(t, threads)
	return &q
}

func TestFoldsCoverTheScoringSet(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(nil, n, src, initial(n, 4), 0)
	p.Folds = 7
	var all []int
	least, most := len(p.Score), 0
	for _, part := range p.folds() {
		all = append(all, part...)
		least, most = min(least, len(part)), max(most, len(part))
	}
	slices.Sort(all)
	want := slices.Clone(p.Score)
	slices.Sort(want)
	if !slices.Equal(all, want) || most-least > 1 {
		t.Errorf("folds of %d to %d of %v", least, most, all)
	}
}

// With as many folds as score samples, every fold is the score sample that FoldPositions says.
func TestOneFoldForEachScoreSample(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	r := train.Recipe{Epochs: 2, BatchSize: 10, LearningRate: 0.05, Momentum: 0.9, WeightDecay: 0.01}
	e := estimator(t, "graddot", Options{})
	p := replayable(t, 2, n, src, r, 4)
	p.Score = p.Score[:5]
	p.Folds = len(p.Score)
	s := score(t, e, p)
	var seen []int
	for k, part := range p.FoldPositions() {
		if len(part) != 1 {
			t.Fatalf("fold %d holds %v, want one sample", k, part)
		}
		seen = append(seen, part[0])
		alone := *p
		alone.Folds, alone.Score = 0, part
		if got := apart(s.Folds[k], score(t, e, &alone).Delta); got > 1e-4 {
			t.Errorf("fold %d differs from the problem with sample %d alone by %.2g, relative", k, part[0], got)
		}
	}
	slices.Sort(seen)
	want := slices.Clone(p.Score)
	slices.Sort(want)
	if !slices.Equal(seen, want) {
		t.Errorf("the folds are of %v, want %v", seen, want)
	}
	p.Folds = 0
	if parts := p.FoldPositions(); len(parts) != 1 || !slices.Equal(parts[0], p.Score) {
		t.Errorf("without folds: %v", parts)
	}
}
