package influence

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

func estimator(t testing.TB, name string, o Options) Estimator {
	t.Helper()
	e, err := New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	if e.Name() != name {
		t.Fatalf("New(%q) gives %q", name, e.Name())
	}
	return e
}

func score(t testing.TB, e Estimator, p *Problem) *Scores {
	t.Helper()
	s, err := e.Score(t.Context(), p, nil)
	if err != nil {
		t.Fatalf("%s: %v", e.Name(), err)
	}
	if len(s.Delta) != len(p.Train) {
		t.Fatalf("%s: %d scores for %d samples", e.Name(), len(s.Delta), len(p.Train))
	}
	return s
}

func TestNewRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		says    string
	}{
		{"shapley", Options{}, "known: arnoldi, aum, cg, ekfac, el2n, forgetting, gradcos, graddot, grand, lissa, loss, metagradient, random, self, tracin"},
		{"cg", Options{Curvature: "fisher"}, "known: gauss-newton, hessian"},
		{"cg", Options{Damping: math.NaN()}, "damping"},
		{"cg", Options{MaxIterations: -1}, "iterations"},
		{"cg", Options{Tolerance: 1}, "tolerance"},
		{"cg", Options{Preconditioner: "ilu"}, "known: none, diagonal, kronecker"},
		{"lissa", Options{Scale: -1}, "scale"},
		{"lissa", Options{Scale: math.Inf(1)}, "scale"},
		{"lissa", Options{Depth: -1}, "depth"},
		{"lissa", Options{Repeats: -1}, "repeats"},
		{"arnoldi", Options{Rank: -1}, "rank"},
		{"metagradient", Options{Memory: -1}, "memory"},
		{"metagradient", Options{Disk: -1}, "disk"},
	} {
		if _, err := New(test.name, test.options); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s %+v: error %v, want one about %q", test.name, test.options, err, test.says)
		}
	}
}

// planted is softmax regression on blobs of which a fifth have a wrong label, trained to convergence.
func planted(t testing.TB) (p *Problem, wrong map[int]bool) {
	t.Helper()
	src := newBlobs(600, 8, 8, 4, 21)
	wrong = map[int]bool{}
	for i := 0; i < 300; i += 5 {
		src.labels[i] = (src.labels[i] + 1 + i%3) % 4
		wrong[i] = true
	}
	for j := range src.x[0] { // sample 0 is plainly of class 0 and labelled 1
		src.x[0][j] = 0
		if j%4 == 0 {
			src.x[0][j] = 1
		}
	}
	src.labels[0] = 1
	n, err := net.New("softmax", [3]int{8, 8, 1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	b := backend(t, 2)
	e := train.NewEngine(b, n, train.CrossEntropy{})
	defer e.Close()
	r := train.Recipe{Epochs: 300, BatchSize: 300, LearningRate: 0.3, Momentum: 0.9, WeightDecay: 0.05}
	m, err := e.Train(t.Context(), src, span(0, 300), r, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	p = newProblem(b, n, src, m, 0)
	p.Recipe, p.TrainSeed = r, 1
	return p, wrong
}

func TestPlantedLabelsAreUnfavorable(t *testing.T) {
	p, wrong := planted(t)
	for _, name := range []string{"arnoldi", "cg", "ekfac", "gradcos", "graddot", "lissa", "loss", "metagradient", "self", "tracin"} {
		s := score(t, estimator(t, name, Options{}), p)
		var bad, good []float64
		found := 0
		for i, d := range s.Delta {
			if !wrong[i] {
				good = append(good, d)
				continue
			}
			bad = append(bad, d)
			if d < 0 {
				found++
			}
		}
		t.Logf("%s: %d of %d planted below zero, mean %.2g against %.2g", name, found, len(bad), stat.Mean(bad, nil), stat.Mean(good, nil))
		if s.Delta[0] >= 0 {
			t.Errorf("%s: the plain error has a removal effect of %v, want below zero", name, s.Delta[0])
		}
		least := len(bad) * 85 / 100
		if name == "metagradient" { // without damping
			least = len(bad) * 80 / 100
		}
		times := 2.0
		if name == "gradcos" { // a wrong label's gradient is no longer than another's
			times = 1
		}
		if found < least || stat.Mean(bad, nil) >= -times*math.Abs(stat.Mean(good, nil)) {
			t.Errorf("%s: %d of %d planted below zero; mean %.2g, of the others %.2g", name, found, len(bad), stat.Mean(bad, nil), stat.Mean(good, nil))
		}
		if s.Calibrated != slices.Contains([]string{"cg", "lissa", "metagradient"}, name) {
			t.Errorf("%s: calibrated is %v", name, s.Calibrated)
		}
	}
}

func TestScoresDoNotDependOnTheBatchSize(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	r := train.Recipe{Epochs: 2, BatchSize: 10, LearningRate: 0.05, Momentum: 0.9, WeightDecay: 0.01}
	for _, name := range Names() {
		e := estimator(t, name, Options{Tolerance: 1e-4, HessianSamples: 25})
		p := replayable(t, 2, n, src, r, 4)
		want := score(t, e, p)
		for _, batch := range []int{1, 7, 39, 40, 41} {
			p.Batch = batch
			if got := apart(score(t, e, p).Delta, want.Delta); got > 2e-4 {
				t.Errorf("%s: batches of %d change the scores by %.2g, relative", name, batch, got)
			}
		}
	}
}

func TestScoresSameBits(t *testing.T) {
	src := newBlobs(60, 12, 12, 3, 6)
	n, err := net.New("lenet5", [3]int{12, 12, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	r := train.Recipe{Epochs: 1, BatchSize: 8, LearningRate: 0.01, Momentum: 0.9, WeightDecay: 0.01}
	for _, name := range Names() {
		e := estimator(t, name, Options{MaxIterations: 4, HessianSamples: 16})
		var first *Scores
		for _, threads := range []int{1, 2, 2} {
			p := replayable(t, threads, n, src, r, 2)
			p.Batch, p.Seed = 8, 3
			s := score(t, e, p)
			if first == nil {
				first = s
			} else if !slices.Equal(first.Delta, s.Delta) || !reflect.DeepEqual(first.Solver, s.Solver) {
				t.Errorf("%s: %d threads give other bits than 1", name, threads)
			}
		}
		if slices.Contains([]string{"arnoldi", "cg", "ekfac", "lissa", "random", "self"}, name) { // these draw
			p := replayable(t, 1, n, src, r, 2)
			p.Batch, p.Seed = 8, 4
			if name == "random" {
				p.TrainSeed = 4 // so that models of several seeds do not agree
			}
			if slices.Equal(score(t, e, p).Delta, first.Delta) {
				t.Errorf("%s: another seed gives the same scores", name)
			}
		}
	}
}

func TestConjugateGradientOnAnIndefiniteHessian(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0) // untrained
	s := score(t, estimator(t, "cg", Options{Curvature: Hessian, Damping: NoDamping, Tolerance: 1e-6}), p)
	if s.Solver.NegativeCurvature == 0 || s.Solver.Converged || s.Solver.Message == "" {
		t.Errorf("Hessian: %+v, want negative curvature", s.Solver)
	}
	s = score(t, estimator(t, "cg", Options{Curvature: GaussNewton}), p)
	if s.Solver.NegativeCurvature != 0 || !s.Solver.Converged || s.Solver.Residual > DefaultTolerance || s.Solver.Iterations < 2 {
		t.Errorf("Gauss-Newton: %+v, want convergence", s.Solver)
	}
	if s.Solver.Damping != DefaultDamping || s.Solver.Samples != len(p.Train) {
		t.Errorf("Gauss-Newton: %+v, want the default damping and all samples", s.Solver)
	}
}

// TestConjugateGradientWithoutDamping has a singular Gauss-Newton matrix: adding a vector to all classes' weights changes
// no loss.
func TestConjugateGradientWithoutDamping(t *testing.T) {
	p, _ := planted(t)
	p.Recipe.WeightDecay = 0
	s := score(t, estimator(t, "cg", Options{Damping: NoDamping, HessianSamples: AllSamples}), p)
	if s.Solver.Damping != 0 || s.Delta[0] >= 0 {
		t.Errorf("%+v, removal effect of the plain error %v", s.Solver, s.Delta[0])
	}
	if !s.Solver.Converged && s.Solver.Message == "" {
		t.Errorf("%+v: not converged and no word about it", s.Solver)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("scores that JSON cannot hold: %v", err)
	}
	for _, key := range []string{`"iterations"`, `"residual"`, `"damping"`, `"converged"`, `"negative_curvature"`, `"delta"`} {
		if !strings.Contains(string(raw), key) {
			t.Errorf("no key %s in %.200s", key, raw)
		}
	}
}

func TestConjugateGradientStopsShort(t *testing.T) {
	p, _ := planted(t)
	s := score(t, estimator(t, "cg", Options{MaxIterations: 1, Tolerance: 1e-6}), p)
	if s.Solver.Converged || s.Solver.Iterations != 1 || s.Solver.Residual <= 1e-6 || s.Solver.Message == "" {
		t.Errorf("one iteration: %+v", s.Solver)
	}
}

func TestRandomScores(t *testing.T) {
	p, _ := planted(t)
	s := score(t, estimator(t, "random", Options{}), p)
	sorted := slices.Clone(s.Delta)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != len(p.Train) || math.Abs(stat.Mean(s.Delta, nil)) > 1e-12 || slices.IsSorted(s.Delta) {
		t.Errorf("not a permutation of distinct values around zero: %v", s.Delta[:10])
	}
}

func TestLossScores(t *testing.T) {
	p, _ := planted(t)
	s := score(t, estimator(t, "loss", Options{}), p)
	theta := wide(p.Model.Theta)
	src := p.Source.(*blobs)
	oracle := &regression{src: src}
	for k, i := range p.Train {
		l, _ := oracle.probabilities(theta, i)
		if want := -l / float64(len(p.Train)); math.Abs(s.Delta[k]-want) > 1e-6*l+1e-9 {
			t.Errorf("sample %d: %v, want %v", i, s.Delta[k], want)
		}
	}
}

func TestScoreProgressAndCancel(t *testing.T) {
	p, _ := planted(t)
	for _, name := range Names() {
		last, totals := 0, map[int]bool{}
		if _, err := estimator(t, name, Options{}).Score(t.Context(), p, func(done, total int) {
			if done < last || done > total {
				t.Errorf("%s: progress %d of %d after %d", name, done, total, last)
			}
			last, totals[total] = done, true
		}); err != nil {
			t.Fatal(err)
		}
		if len(totals) != 1 || !totals[last] {
			t.Errorf("%s: progress ended at %d, totals %v", name, last, totals)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := estimator(t, name, Options{}).Score(ctx, p, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want canceled", name, err)
		}
	}
}

func TestScoreRefuses(t *testing.T) {
	for _, name := range Names() {
		for what, change := range map[string]func(*Problem){
			"no training samples": func(p *Problem) { p.Train = nil },
			"no scoring samples":  func(p *Problem) { p.Score = nil },
			"a bad position":      func(p *Problem) { p.Train = []int{0, 600} },
			"another model":       func(p *Problem) { p.Model = &train.Model{Theta: []float32{1}} },
			"a batch below zero":  func(p *Problem) { p.Batch = -1 },
		} {
			src, n := newBlobs(20, 2, 3, 3, 5), smooth()
			p := newProblem(nil, n, src, initial(n, 4), 0)
			change(p)
			if _, err := estimator(t, name, Options{}).Score(t.Context(), p, nil); err == nil {
				t.Errorf("%s, %s: no error", name, what)
			}
		}
	}
	src, n := newBlobs(20, 2, 3, 3, 5), smooth()
	for _, name := range []string{"arnoldi", "cg", "ekfac", "gradcos", "graddot", "lissa", "loss", "self"} {
		p := newProblem(backend(t, 1), n, src, initial(n, 4), 0)
		p.Model.Theta[smoothInputs*smoothHidden+smoothHidden] = float32(math.NaN())
		if _, err := estimator(t, name, Options{}).Score(t.Context(), p, nil); err == nil {
			t.Errorf("%s: a model with NaN: no error", name)
		}
	}
}
