package influence

import (
	"math"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// TestPreconditionedSolve has a matrix whose ill condition is that of its diagonal: D M D with M well conditioned.
func TestPreconditionedSolve(t *testing.T) {
	const n = 40
	values := make([]float64, n)
	for i := range values {
		values[i] = 1 + float64(i)/n
	}
	m := spectrum(values)
	a := mat.NewDense(n, n, nil)
	a.Apply(func(i, j int, v float64) float64 {
		return v * math.Pow(10, float64(i+j)/20)
	}, m)
	diagonal := make([]float64, n)
	for i := range diagonal {
		diagonal[i] = a.At(i, i)
	}
	b := randomVector(n, 3)
	const tolerance = 1e-9
	plain, before, err := solve(product(a), nil, b, tolerance, 2000)
	if err != nil {
		t.Fatal(err)
	}
	s, state, err := solve(product(a), jacobi(diagonal), b, tolerance, 2000)
	if err != nil {
		t.Fatal(err)
	}
	if !state.Converged || residual(a, s, b) > tolerance || math.Abs(residual(a, s, b)-state.Residual) > 1e-12 {
		t.Errorf("residual %v, reported %+v", residual(a, s, b), state)
	}
	if state.Iterations > 25 || state.Iterations >= before.Iterations {
		t.Errorf("%d iterations with the diagonal, %d without", state.Iterations, before.Iterations)
	}
	if !before.Converged {
		t.Fatalf("without: %+v", before)
	}
	if e := apart(s, plain); e > 1e-5 {
		t.Errorf("the solutions differ by %.2g, relative", e)
	}
	all, states, err := solveAll(func(v, out [][]float64) error {
		for k := range v {
			if err := product(a)(v[k], out[k]); err != nil {
				return err
			}
		}
		return nil
	}, jacobi(diagonal), [][]float64{b, randomVector(n, 4)}, tolerance, 2000)
	if err != nil || !states[1].Converged || !reflect.DeepEqual(states[0], state) || floats.Distance(all[0], s, 2) != 0 {
		t.Errorf("side by side: %+v (%v), alone %+v", states, err, state)
	}
	zero := []float64{0, 0}
	jacobi([]float64{0, 4})([]float64{3, 8}, zero)
	if zero[0] != 3 || zero[1] != 2 {
		t.Errorf("a diagonal of 0 and 4 takes 3, 8 to %v", zero)
	}
}

// TestDiagonal compares with the diagonal of the full matrix: the error of an estimate from k probes of one matrix is about
// the norm of the row without its diagonal over the root of k.
func TestDiagonal(t *testing.T) {
	src, n := newBlobs(800, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0)
	const lambda = 0.5
	full := smoothGaussNewton(src, p.Train, wide(p.Model.Theta))
	got := make([]float64, n.Size())
	const seeds = 20 // the mean over them has the error of 20 times as many probes, but for what counts as 0
	for p.Seed = range uint64(seeds) {
		one, err := open(t, p).diagonal(t.Context(), GaussNewton, p.Train, lambda)
		if err != nil {
			t.Fatal(err)
		}
		for j, x := range one {
			if x < lambda {
				t.Fatalf("element %d is %v, below lambda", j, x)
			}
		}
		floats.AddScaled(got, 1.0/seeds, one)
	}
	far := 0
	for j, x := range got {
		row := floats.Norm(mat.Row(nil, j, full), 2)
		if math.Abs(x-lambda-full.At(j, j)) > 4*row/math.Sqrt(seeds*diagonalProbes)+0.05*full.At(j, j) {
			far++
			t.Logf("element %d: %v, want %v, row %v", j, x-lambda, full.At(j, j), row)
		}
	}
	if far > len(got)/20 {
		t.Errorf("%d of %d elements are far from the diagonal", far, len(got))
	}
}

func TestConjugateGradientWithAPreconditioner(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0.01)
	p.Folds = 3
	o := Options{Damping: 0.01, Tolerance: 1e-6, MaxIterations: 500}
	plain := score(t, estimator(t, "cg", o), p)
	o.Preconditioner = DiagonalPreconditioner
	s := score(t, estimator(t, "cg", o), p)
	if !plain.Solver.Converged || !s.Solver.Converged || s.Solver.Residual > 1e-6 {
		t.Errorf("without %+v, with %+v", plain.Solver, s.Solver)
	}
	if e := apart(s.Delta, plain.Delta); e > 1e-4 {
		t.Errorf("the preconditioner changes the scores by %.2g, relative", e)
	}
}
