package influence

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// projectedInverse returns b -> sum_k u_k (u_k . b) / (mu_k + lambda) over the rank eigenpairs of a largest by magnitude.
func projectedInverse(a mat.Symmetric, rank int, lambda float64) func(b []float64) []float64 {
	values, u := eigenvalues(a)
	order := span(0, len(values))
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(math.Abs(values[j]), math.Abs(values[i])) })
	return func(b []float64) []float64 {
		s := make([]float64, len(b))
		for _, k := range order[:rank] {
			v := mat.Col(nil, k, u)
			floats.AddScaled(s, floats.Dot(v, b)/(values[k]+lambda), v)
		}
		return s
	}
}

func symmetric(a *mat.Dense) *mat.SymDense {
	n, _ := a.Dims()
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, a.At(i, j))
		}
	}
	return s
}

func TestSubspaceAgainstTheEigenvectors(t *testing.T) {
	values := []float64{0, 0, 0.3, 0.5, -0.4, 1, 2, 3, 5, 8, 13, 21}
	a, b := spectrum(values), [][]float64{randomVector(len(values), 5), randomVector(len(values), 6)}
	k, err := lanczos(product(a), randomVector(len(values), 7), len(values), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name             string
		rank             int
		lambda           float64
		used, unresolved int
	}{
		{"the first", 1, 0, 1, 0},
		{"some", 4, 0.2, 4, 0},
		{"with a negative eigenvalue that damping covers", 9, 1, 9, 0},
		{"all that are not zero: the pseudo-inverse of a singular matrix", 12, 1, 10, 1}, // of two zeros one is met
	} {
		s := k.subspace(test.rank, test.lambda)
		if len(s.pairs) != test.used || s.unresolved != test.unresolved || s.negative != 0 {
			t.Errorf("%s: %d pairs, %d unresolved, %d negative", test.name, len(s.pairs), s.unresolved, s.negative)
		}
		got, parts := s.solve(b)
		for f := range b {
			if e := apart(got[f], projectedInverse(symmetric(a), test.used, test.lambda)(b[f])); e > 1e-8 {
				t.Errorf("%s: relative error %.2g", test.name, e)
			}
			back := make([]float64, len(b[f]))
			if err := product(a)(got[f], back); err != nil {
				t.Fatal(err)
			}
			floats.AddScaled(back, test.lambda, got[f])
			if e := apart(parts[f], back); e > 1e-8 {
				t.Errorf("%s: the part of b differs from (A + lambda I) s by %.2g, relative", test.name, e)
			}
		}
	}
	s := k.subspace(len(values), 0.2)
	var solver Solver
	s.judge(&solver, 0, b, b)
	if s.negative != 1 || solver.Converged || !strings.Contains(solver.Message, "not positive definite") {
		t.Errorf("an eigenvalue of -0.4 with a damping of 0.2: %d negative, %+v", s.negative, solver)
	}
	short, err := lanczos(product(a), randomVector(len(values), 7), 3, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := short.subspace(3, 1); s.unresolved == 0 {
		t.Errorf("three steps resolve %d eigenpairs of %d", len(s.pairs), len(values))
	}
}

// TestArnoldiAgainstTheFullMatrix compares removal effects with those by the eigenvectors of the full matrix in float64.
func TestArnoldiAgainstTheFullMatrix(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0.1)
	theta := wide(p.Model.Theta)
	for _, test := range []struct {
		curvature string
		matrix    *mat.SymDense
		rank      int
		damping   float64
		tolerance float64
	}{
		{GaussNewton, smoothGaussNewton(src, p.Train, theta), 5, 0.2, 1e-4},
		{GaussNewton, smoothGaussNewton(src, p.Train, theta), 15, 0.2, 1e-3},
		{Hessian, smoothHessian(src, p.Train, theta), 8, 1, 1e-3},
	} {
		s := score(t, estimator(t, "arnoldi", Options{Curvature: test.curvature, Rank: test.rank, Damping: test.damping}), p)
		if !s.Solver.Converged || s.Solver.Iterations != krylovSize(test.rank, n.Size()) || s.Solver.NegativeCurvature != 0 || s.Calibrated {
			t.Errorf("%s, rank %d: %+v", test.curvature, test.rank, s.Solver)
		}
		want := denseEffects(p, projectedInverse(test.matrix, test.rank, s.Solver.Damping))
		e := apart(s.Delta, want)
		t.Logf("%s, rank %d: relative error %.2g; %s", test.curvature, test.rank, e, s.Solver.Message)
		if e > test.tolerance {
			t.Errorf("%s, rank %d: relative error %.2g against the full matrix's eigenvectors", test.curvature, test.rank, e)
		}
	}
}

func TestArnoldiOnAnIndefiniteHessian(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0) // untrained
	s := score(t, estimator(t, "arnoldi", Options{Curvature: Hessian, Damping: NoDamping}), p)
	if s.Solver.NegativeCurvature == 0 || s.Solver.Converged || !strings.Contains(s.Solver.Message, "not positive definite") {
		t.Errorf("%+v, want negative curvature", s.Solver)
	}
}
