package influence

import (
	"fmt"
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

// ofImages is a source in groups: the samples at i, i+groups, i+2*groups, ... are of one group, and the last ones all of the first.
type ofImages struct {
	*blobs
	groups int
}

func (s ofImages) Group(i int) int {
	if i >= 60 {
		return 0
	}
	return i % s.groups
}

// TestFoldsOfGroups: a group is in one fold as a whole, folds are as equal as that allows, and other seeds make other ones.
func TestFoldsOfGroups(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(nil, n, src, initial(n, 4), 0)
	p.Source = ofImages{src, 10}
	p.Score = nil
	for i := range src.Len() {
		p.Score = append(p.Score, (7*i)%src.Len())
	}
	first := map[string]bool{}
	for seed := range uint64(5) {
		p.Folds, p.Seed = 4, seed
		foldOf, all := map[int]int{}, []int(nil)
		parts := p.folds()
		for k, part := range parts {
			// Of one group of 26 samples and nine of 6.
			if len(part) != 18 && len(part) != 26 {
				t.Errorf("fold %d holds %d samples", k, len(part))
			}
			for _, i := range part {
				g := p.Source.(ofImages).Group(i)
				if before, ok := foldOf[g]; ok && before != k {
					t.Fatalf("group %d is in the folds %d and %d", g, before, k)
				}
				foldOf[g] = k
			}
			all = append(all, part...)
		}
		slices.Sort(all)
		if len(foldOf) != 10 || !slices.Equal(all, span(0, src.Len())) {
			t.Fatalf("%d groups, positions %v", len(foldOf), all)
		}
		if again := p.folds(); !slices.EqualFunc(again, parts, slices.Equal[[]int]) {
			t.Error("other folds by the same seed")
		}
		first[fmt.Sprint(parts)] = true
	}
	if len(first) < 2 {
		t.Error("the seed changes nothing")
	}
	// As many folds as samples are the samples, as anywhere.
	p.Folds = len(p.Score)
	for _, part := range p.folds() {
		if len(part) != 1 {
			t.Fatalf("a fold of %d samples", len(part))
		}
	}
	p.Folds = 11
	if err := p.validate(); err == nil || err.Error() != "influence: the score samples are of 10 groups, which can't be cut into 11 folds" {
		t.Errorf("%v", err)
	}
	p.Folds = 10
	if err := p.validate(); err != nil {
		t.Error(err)
	}
	for k, part := range p.folds() {
		if len(part) != 6 && len(part) != 26 {
			t.Errorf("fold %d of ten groups holds %d samples", k, len(part))
		}
	}
}

// Folds of a source without groups are what they have always been: scores that a run directory holds go on.
func TestFoldsOfSamplesStay(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(nil, n, src, initial(n, 4), 0)
	p.Folds, p.Seed = 3, 9
	p.Score = []int{60, 61, 62, 63, 64, 65, 66, 67}
	if got, want := fmt.Sprint(p.folds()), "[[63 61 65] [62 66 64] [60 67]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
