package influence

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// product returns the apply function of a matrix.
func product(a mat.Matrix) func(v, out []float64) error {
	return func(v, out []float64) error {
		mat.NewVecDense(len(out), out).MulVec(a, mat.NewVecDense(len(v), v))
		return nil
	}
}

// spectrum returns a dense symmetric matrix with the eigenvalues.
func spectrum(eigenvalues []float64) *mat.Dense {
	n := len(eigenvalues)
	var qr mat.QR
	qr.Factorize(mat.NewDense(n, n, randomVector(n*n, 9)))
	var q, a mat.Dense
	qr.QTo(&q)
	a.Mul(&q, mat.NewDiagDense(n, eigenvalues))
	a.Mul(&a, q.T())
	return &a
}

func residual(a mat.Matrix, s, b []float64) float64 {
	r := make([]float64, len(b))
	if err := product(a)(s, r); err != nil {
		panic(err)
	}
	return floats.Distance(r, b, 2) / floats.Norm(b, 2)
}

func TestSolvePositiveDefinite(t *testing.T) {
	eigenvalues := make([]float64, 40)
	for i := range eigenvalues {
		eigenvalues[i] = 0.01 + math.Pow(float64(i)/8, 2)
	}
	a, b := spectrum(eigenvalues), randomVector(40, 1)
	for _, tolerance := range []float64{1e-1, 1e-3, 1e-9} {
		s, state, err := solve(product(a), nil, b, tolerance, 200)
		if err != nil {
			t.Fatal(err)
		}
		if got := residual(a, s, b); !state.Converged || got > tolerance || math.Abs(got-state.Residual) > 1e-12 || state.Message != "" {
			t.Errorf("tolerance %v: residual %v, reported %+v", tolerance, got, state)
		}
	}
	_, exact, err := solve(product(spectrum([]float64{1, 1, 5, 5, 5})), nil, randomVector(5, 2), 1e-12, 50)
	if err != nil || exact.Iterations != 2 {
		t.Errorf("two eigenvalues take %d iterations (%v), want 2", exact.Iterations, err)
	}
}

func TestSolveStopsShort(t *testing.T) {
	a, b := spectrum([]float64{1, 2, 3, 4, 5, 6}), randomVector(6, 1)
	s, state, err := solve(product(a), nil, b, 1e-6, 1)
	if err != nil {
		t.Fatal(err)
	}
	if state.Converged || state.Iterations != 1 || state.Message == "" || math.Abs(residual(a, s, b)-state.Residual) > 1e-12 {
		t.Errorf("one iteration: %+v", state)
	}
}

// TestSolveReportsTheTrueResidual has products with a rounding that the recursion's residual knows nothing of.
func TestSolveReportsTheTrueResidual(t *testing.T) {
	a, b := spectrum([]float64{1e-3, 0.1, 1, 2, 3, 1000}), randomVector(6, 1)
	rounded := func(v, out []float64) error {
		err := product(a)(v, out)
		for i := range out {
			out[i] = math.Round(out[i]*1e3) / 1e3
		}
		return err
	}
	s, state, err := solve(rounded, nil, b, 1e-12, 500)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float64, len(s))
	if err := rounded(s, got); err != nil {
		t.Fatal(err)
	}
	if want := floats.Distance(got, b, 2) / floats.Norm(b, 2); state.Converged || state.Residual != want || state.Message == "" {
		t.Errorf("%+v, want the residual %v and not converged", state, want)
	}
}

func TestSolveIndefinite(t *testing.T) {
	s, state, err := solve(product(spectrum([]float64{-3, -1, 0.1, 1, 2, 3})), nil, randomVector(6, 1), 1e-9, 50)
	if err != nil {
		t.Fatal(err)
	}
	if state.Converged || state.NegativeCurvature != 1 || !strings.Contains(state.Message, "not positive definite") {
		t.Errorf("%+v", state)
	}
	if err := finite(s, "the iterate"); err != nil {
		t.Error(err)
	}
}

func TestSolveSingular(t *testing.T) {
	a := spectrum([]float64{0, 0, 1, 2, 3, 4})
	inRange := make([]float64, 6)
	if err := product(a)(randomVector(6, 1), inRange); err != nil {
		t.Fatal(err)
	}
	s, state, err := solve(product(a), nil, inRange, 1e-9, 50)
	if err != nil || !state.Converged || residual(a, s, inRange) > 1e-9 {
		t.Errorf("a solvable system: %+v, %v", state, err)
	}
	s, state, err = solve(product(a), nil, randomVector(6, 2), 1e-3, 50)
	if err != nil || state.Converged {
		t.Errorf("a system without solution: %+v, %v", state, err)
	}
	if err := finite(append(s, state.Residual), "the iterate or its residual"); err != nil {
		t.Error(err)
	}
}

func TestSolveZero(t *testing.T) {
	s, state, err := solve(product(spectrum([]float64{1, 2})), nil, []float64{0, 0}, 1e-3, 50)
	if err != nil || !state.Converged || state.Iterations != 0 || floats.Norm(s, 2) != 0 {
		t.Errorf("%v, %+v, %v", s, state, err)
	}
}

func TestSolveErrors(t *testing.T) {
	broken := errors.New("broken")
	if _, _, err := solve(func(_, _ []float64) error { return broken }, nil, []float64{1}, 1e-3, 50); !errors.Is(err, broken) {
		t.Errorf("error %v, want the product's", err)
	}
	nan := func(_, out []float64) error { out[0] = math.NaN(); return nil }
	if _, _, err := solve(nan, nil, []float64{1}, 1e-3, 50); err == nil {
		t.Error("a product of NaN: no error")
	}
	if _, _, err := solve(nan, nil, []float64{math.NaN()}, 1e-3, 50); err == nil {
		t.Error("a right-hand side of NaN: no error")
	}
}

// solve is a system by itself, from its beginning.
func solve(apply func(v, out []float64) error, precondition func(r, z []float64), b []float64,
	tolerance float64, maxIterations int) ([]float64, Solver, error) {
	c := new(conjugate)
	err := c.run(apply, precondition, b, tolerance, maxIterations)
	return c.s, c.Solver, err
}
