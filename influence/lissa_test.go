package influence

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// denseEffects returns the removal effects grad l_i . s / n on the network smooth, with s = solve(grad L_score), in
// float64.
func denseEffects(p *Problem, solve func(b []float64) []float64) []float64 {
	src, theta := p.Source.(*blobs), wide(p.Model.Theta)
	s := solve(fd.Gradient(nil, smoothLoss(src, p.Score), theta, central))
	delta := make([]float64, len(p.Train))
	for k, i := range p.Train {
		delta[k] = floats.Dot(s, fd.Gradient(nil, smoothLoss(src, []int{i}), theta, central)) / float64(len(delta))
	}
	return delta
}

// denseInverse returns b -> (a + lambda I)^-1 b.
func denseInverse(t *testing.T, a *mat.SymDense, lambda float64) func(b []float64) []float64 {
	n := a.SymmetricDim()
	damped := mat.NewSymDense(n, nil)
	damped.CopySym(a)
	for i := range n {
		damped.SetSym(i, i, damped.At(i, i)+lambda)
	}
	return func(b []float64) []float64 {
		var s mat.VecDense
		if err := s.SolveVec(damped, mat.NewVecDense(n, b)); err != nil {
			t.Fatal(err)
		}
		return s.RawVector().Data
	}
}

// TestLissaEqualsTheExactInverse has batches that hold the whole sample: nothing is drawn, and depth is all it takes.
func TestLissaEqualsTheExactInverse(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0.05)
	theta := wide(p.Model.Theta)
	for _, test := range []struct {
		curvature string
		matrix    *mat.SymDense
		damping   float64
	}{{GaussNewton, smoothGaussNewton(src, p.Train, theta), 0.1}, {Hessian, smoothHessian(src, p.Train, theta), 1}} {
		s := score(t, estimator(t, "lissa", Options{Curvature: test.curvature, Damping: test.damping, Tolerance: 1e-5}), p)
		if !s.Solver.Converged || s.Solver.Residual > 1e-5 || s.Solver.Spread != 0 || math.Abs(s.Solver.Damping-test.damping-0.05) > 1e-12 {
			t.Errorf("%s: %+v", test.curvature, s.Solver)
		}
		want := denseEffects(p, denseInverse(t, test.matrix, s.Solver.Damping))
		if e := apart(s.Delta, want); e > 5e-4 {
			t.Errorf("%s: relative error %.2g against the exact inverse", test.curvature, e)
		}
	}
}

// TestLissaDrawsBatches compares with conjugate gradients where a batch is a third of the sample.
func TestLissaDrawsBatches(t *testing.T) {
	src, n := newBlobs(800, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0)
	exact := score(t, estimator(t, "cg", Options{Damping: 0.3, Tolerance: 1e-6}), p)
	few := score(t, estimator(t, "lissa", Options{Damping: 0.3}), p)
	many := score(t, estimator(t, "lissa", Options{Damping: 0.3, Repeats: 8}), p)
	t.Logf("2 repeats: %+v, error %.2g; 8: spread %.2g, error %.2g", few.Solver, apart(few.Delta, exact.Delta), many.Solver.Spread, apart(many.Delta, exact.Delta))
	for _, s := range []*Scores{few, many} {
		if !s.Solver.Converged || s.Solver.Residual > roughTolerance || s.Solver.Message == "" {
			t.Errorf("%+v, want convergence", s.Solver)
		}
		if !(s.Solver.Spread > 1e-4 && s.Solver.Spread < 0.5) {
			t.Errorf("a spread of %v between repeats that draw", s.Solver.Spread)
		}
		if e := apart(s.Delta, exact.Delta); e > 0.1 {
			t.Errorf("relative error %.2g against conjugate gradients", e)
		}
	}
	if many.Solver.Iterations != 4*few.Solver.Iterations {
		t.Errorf("%d iterations in 2 repeats, %d in 8", few.Solver.Iterations, many.Solver.Iterations)
	}
	if one := score(t, estimator(t, "lissa", Options{Damping: 0.3, Repeats: 1}), p); one.Solver.Spread != 0 {
		t.Errorf("one repeat has a spread of %v", one.Solver.Spread)
	}
	// What is drawn is a function of the seed alone: not of folds, of the samples evaluated at once, or of threads.
	e := estimator(t, "lissa", Options{Damping: 0.3})
	p.Folds = 3
	folds := score(t, e, p)
	if e := apart(folds.Delta, few.Delta); e > 1e-4 || len(folds.Folds) != 3 {
		t.Errorf("the mean over %d folds differs by %.2g, relative", len(folds.Folds), e)
	}
	if again := score(t, e, replayedAt(t, 1, p)); !slices.Equal(again.Delta, folds.Delta) || !reflect.DeepEqual(again.Solver, folds.Solver) {
		t.Error("one thread gives other bits")
	}
	p.Folds, p.Batch = 0, 50
	if e := apart(score(t, e, p).Delta, few.Delta); e > 1e-4 {
		t.Errorf("another batch size changes the scores by %.2g, relative", e)
	}
	p.Seed = 7
	if e := apart(score(t, e, p).Delta, few.Delta); e < 1e-5 {
		t.Errorf("another seed changes the scores by %.2g, relative: nothing was drawn", e)
	}
}

func TestLissaDetectsDivergence(t *testing.T) {
	src, n := newBlobs(800, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0)
	p.Folds = 2
	largest := score(t, estimator(t, "lissa", Options{}), p).Solver.LargestEigenvalue
	for _, scale := range []float64{0.3 * largest, 0.01 * largest, 1e-30} {
		s := score(t, estimator(t, "lissa", Options{Scale: scale, Depth: 1000}), p)
		if s.Solver.Converged || !strings.Contains(s.Solver.Message, "diverged in step") || s.Solver.Iterations >= 1000 {
			t.Errorf("scale %.2g for an eigenvalue of %.2g: %+v, want divergence", scale, largest, s.Solver)
		}
		if err := finite(append([]float64{s.Solver.Residual}, s.Delta...), "the scores"); err != nil {
			t.Errorf("scale %.2g: %v", scale, err)
		}
	}
	s := score(t, estimator(t, "lissa", Options{Depth: 2, Damping: 0.01}), p)
	if s.Solver.Converged || !strings.Contains(s.Solver.Message, "raise the depth") || s.Solver.Iterations != 4 {
		t.Errorf("depth 2: %+v", s.Solver)
	}
}

func TestLissaOnAnIndefiniteHessian(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0) // untrained
	s := score(t, estimator(t, "lissa", Options{Curvature: Hessian, Damping: NoDamping, Depth: 200}), p)
	if s.Solver.NegativeCurvature == 0 || s.Solver.Converged || !strings.Contains(s.Solver.Message, "not positive definite") {
		t.Errorf("%+v, want negative curvature", s.Solver)
	}
}

func TestLissaPlan(t *testing.T) {
	for _, test := range []struct {
		name                      string
		options                   Options
		largest, smallest, lambda float64
		samples                   int
		want                      plan
	}{
		{"depth from the damping", Options{}, 20, 1.2, 1, 1024, plan{30, 136, 2, 13, 0.1}}, // ln 0.01 / ln(29/30) = 135.8
		{"the whole sample", Options{}, 20, 1.2, 1, 128, plan{30, 136, 1, 1, 0.01}},
		{"a Hessian's eigenvalue below the damping", Options{}, 20, 0.5, 1, 1024, plan{30, 275, 2, 27, 0.1}}, // ln 0.01 / ln(59/60) = 274.0
		{"a negative one", Options{}, 20, -0.5, 1, 1024, plan{30, 136, 2, 13, 0.1}},
		{"no damping", Options{}, 20, 0, 0, 1024, plan{30, mostDepth, 2, 500, 0.1}},
		{"little damping", Options{}, 20, 0.2, 1e-4, 1024, plan{30, mostDepth, 2, 500, 0.1}},
		{"no curvature", Options{}, 0, 0, 0, 1024, plan{1, mostDepth, 2, 500, 0.1}},
		{"damping above the scale", Options{Scale: 2}, 20, 3, 3, 1024, plan{2, 1, 2, 1, 0.1}},
		{"all set", Options{Scale: 7, Depth: 9, Repeats: 5, Tolerance: 0.2}, 20, 1, 1, 1024, plan{7, 9, 5, 1, 0.2}},
	} {
		e := &lissa{test.options.WithDefaults("lissa")}
		if got := e.plan(extremes{Largest: test.largest, Smallest: test.smallest}, test.lambda, test.samples); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestNeumann(t *testing.T) {
	a := spectrum([]float64{0.5, 1, 2, 4, 8})
	several := func(v, out [][]float64) error {
		for k := range v {
			if err := product(a)(v[k], out[k]); err != nil {
				return err
			}
		}
		return nil
	}
	b := [][]float64{randomVector(5, 1), randomVector(5, 2), make([]float64, 5)}
	s, taken, err := neumann(several, b, 10, 600, 1)
	if err != nil || taken != 600 {
		t.Fatalf("%d steps, %v", taken, err)
	}
	for k := range b[:2] {
		if r := residual(a, s[k], b[k]); r > 1e-12 {
			t.Errorf("system %d: residual %.2g", k, r)
		}
	}
	if floats.Norm(s[2], 2) != 0 {
		t.Errorf("the solution for 0 is %v", s[2])
	}
	// The mean of the last three iterates.
	sum := make([]float64, 5)
	for depth := 5; depth <= 7; depth++ {
		one, _, err := neumann(several, b, 10, depth, 1)
		if err != nil {
			t.Fatal(err)
		}
		floats.AddScaled(sum, 1.0/3, one[0])
	}
	if s, _, err = neumann(several, b, 10, 7, 3); err != nil || apart(s[0], sum) > 1e-14 {
		t.Errorf("the mean of the last three of 7 iterates: %v, want %v (%v)", s[0], sum, err)
	}
	// Just above half of the largest eigenvalue it oscillates and converges, just below it diverges.
	if s, taken, err = neumann(several, b, 4.1, 2000, 1); err != nil || taken != 2000 || residual(a, s[0], b[0]) > 1e-9 {
		t.Errorf("scale 4.1: %d steps, %v", taken, err)
	}
	if s, taken, err = neumann(several, b, 3.9, 2000, 1); err != nil || taken == 2000 {
		t.Errorf("scale 3.9: %d steps, %v", taken, err)
	}
	for k := range s {
		if !(floats.Norm(s[k], 2)*3.9 <= 2*float64(taken+1)*floats.Norm(b[k], 2)) {
			t.Errorf("system %d: an iterate beyond the bound was kept", k)
		}
	}
	nan := func(_, out [][]float64) error { out[0][0] = math.NaN(); return nil }
	if s, taken, err = neumann(nan, b, 10, 5, 1); err != nil || taken != 0 || finite(s[0], "s") != nil {
		t.Errorf("products of NaN: %d steps, %v, %v", taken, s[0], err)
	}
}

func TestBatches(t *testing.T) {
	draw := func(seed uint64) (all []int) {
		b := newBatches(span(100, 110), 3, seed)
		for range 6 { // two times the whole sample but for one
			batch := slices.Clone(b.next())
			if len(batch) != 3 {
				t.Fatalf("a batch of %d", len(batch))
			}
			all = append(all, batch...)
		}
		return all
	}
	all := draw(1)
	for round := range 2 {
		part := slices.Clone(all[9*round:][:9])
		slices.Sort(part)
		if len(slices.Compact(part)) != 9 || part[0] < 100 || part[8] >= 110 {
			t.Errorf("round %d draws %v", round, part)
		}
	}
	if !slices.Equal(all, draw(1)) {
		t.Error("the same seed draws other batches")
	}
	if slices.Equal(all, draw(2)) || slices.Equal(all[:9], all[9:]) {
		t.Error("another seed, or another round, draws the same batches")
	}
	if whole := newBatches(span(0, 3), 3, 1); !slices.Equal(whole.next(), span(0, 3)) || !slices.Equal(whole.next(), span(0, 3)) {
		t.Error("a batch of the whole sample is not the sample in its order")
	}
}

func TestMeanAndSpread(t *testing.T) {
	mean, spread := meanAndSpread([][][]float64{{{1, 0}, {3, 4}}, {{3, 0}, {3, 4}}})
	if !slices.Equal(mean[0], []float64{2, 0}) || !slices.Equal(mean[1], []float64{3, 4}) {
		t.Errorf("mean %v", mean)
	}
	if want := math.Sqrt2 / 2; math.Abs(spread-want) > 1e-15 { // deviations -1 and 1 around 2
		t.Errorf("spread %v, want %v", spread, want)
	}
}

// neumann is the recursion from its beginning.
func neumann(apply func(v, out [][]float64) error, b [][]float64, scale float64, depth, tail int) (result [][]float64, taken int, err error) {
	r := newIterates(b)
	result, err = r.run(apply, b, scale, depth, tail)
	return result, r.taken, err
}
