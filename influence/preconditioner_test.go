package influence

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/datadropout/datadropout/net"
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
	all, states, err := solveAll(newSystems(2), func(v, out [][]float64) error {
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

// TestKroneckerPreconditioner compares M^-1 with the inverse of the assembled matrix, column by column, and looks at its
// symmetry and its Cholesky factorization, on networks with convolutions, scale and offset, and for images.
func TestKroneckerPreconditioner(t *testing.T) {
	n, small := convolved(), smooth()
	for _, p := range []*Problem{
		newProblem(backend(t, 2), n, newBlobs(50, 5, 4, 3, 7), initial(n, 3), 0),
		newProblem(backend(t, 2), small, newBlobs(50, 2, 3, 3, 7), initial(small, 3), 0),
		denoising(t, 50),
	} {
		k := factored(t, p, p.Train, 4)
		size, largest := p.Net.Size(), 0.0
		for _, l := range k.layers {
			largest = max(largest, slices.Max(l.moments))
		}
		for _, lambda := range []float64{0, 0.5 * largest} {
			m := k.matrix()
			for i := range size {
				m.SetSym(i, i, m.At(i, i)+max(lambda, kroneckerDamping*largest))
			}
			var cholesky mat.Cholesky
			var want mat.SymDense
			if !cholesky.Factorize(m) {
				t.Fatalf("%s: not positive definite", p.Net.Name)
			}
			if err := cholesky.InverseTo(&want); err != nil {
				t.Fatal(err)
			}
			precondition := k.precondition(lambda)
			got, e, z := mat.NewDense(size, size, nil), make([]float64, size), make([]float64, size)
			for j := range size {
				e[j] = 1
				precondition(e, z)
				got.SetCol(j, z)
				e[j] = 0
			}
			if e := apart(got.RawMatrix().Data, mat.DenseCopyOf(&want).RawMatrix().Data); !(e < 1e-9) {
				t.Errorf("%s, lambda %v: relative error %.2g", p.Net.Name, lambda, e)
			}
			inverse := mat.NewSymDense(size, got.RawMatrix().Data) // of the upper triangle
			if !mat.EqualApprox(got, inverse, 1e-12*mat.Max(got)) || !cholesky.Factorize(inverse) {
				t.Errorf("%s, lambda %v: M^-1 is not symmetric and positive definite", p.Net.Name, lambda)
			}
		}
		for _, l := range k.layers {
			clear(l.moments)
		}
		r, z := randomVector(size, 3), make([]float64, size)
		if k.precondition(0)(r, z); apart(z, r) > 1e-12 {
			t.Errorf("%s: without curvature r goes to another vector, %.2g off", p.Net.Name, apart(z, r))
		}
	}
}

func TestConjugateGradientWithAPreconditioner(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0.01)
	p.Folds = 3
	o := Options{Damping: 0.01, Tolerance: 1e-6, MaxIterations: 500}
	for _, curvature := range []string{GaussNewton, Hessian} {
		o.Curvature, o.Preconditioner = curvature, NoPreconditioner
		if curvature == Hessian {
			o.Damping = 1
		}
		plain := score(t, estimator(t, "cg", o), p)
		for _, o.Preconditioner = range []string{DiagonalPreconditioner, KroneckerPreconditioner} {
			s := score(t, estimator(t, "cg", o), p)
			if !plain.Solver.Converged || !s.Solver.Converged || s.Solver.Residual > 1e-6 {
				t.Errorf("%s, %s: without %+v, with %+v", curvature, o.Preconditioner, plain.Solver, s.Solver)
			}
			for k, delta := range append(s.Folds, s.Delta) {
				if e := apart(delta, append(plain.Folds, plain.Delta)[k]); e > 1e-4 {
					t.Errorf("%s, %s: the preconditioner changes the scores by %.2g, relative", curvature, o.Preconditioner, e)
				}
			}
		}
	}
}

// stretched is smooth behind inputs whose sizes go from 1/20 to 20, so that the curvature has eigenvalues of very
// different sizes.
func stretched() *net.Network {
	n := smooth()
	n.Name = "stretched"
	forward := n.Forward
	n.Forward = func(p *net.Pass, x *graph.Node) *graph.Node {
		scale := graph.Const(x.Graph(), [][][][]float32{{{{0.05}, {0.2}, {1}}, {{2}, {7}, {20}}}})
		return forward(p, graph.Mul(x, scale))
	}
	return n
}

// TestKroneckerPreconditionerTakesFewerIterations is at small damping, where the solver without takes a good part of the
// number of parameters.
func TestKroneckerPreconditionerTakesFewerIterations(t *testing.T) {
	src, n := newBlobs(800, 2, 3, 3, 5), stretched()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0)
	for _, damping := range []float64{1e-2, 1e-3} {
		iterations := map[string]int{}
		for _, name := range preconditioners {
			s := score(t, estimator(t, "cg", Options{Damping: damping, Tolerance: 1e-3, MaxIterations: 2000, Preconditioner: name}), p)
			if iterations[name] = s.Solver.Iterations; !s.Solver.Converged {
				t.Errorf("damping %v, %s: %+v", damping, name, s.Solver)
			}
		}
		t.Logf("damping %v: %v iterations", damping, iterations)
		k := iterations[KroneckerPreconditioner]
		if 10*k > 9*iterations[NoPreconditioner] || 10*k > 9*iterations[DiagonalPreconditioner] {
			t.Errorf("damping %v: %v iterations, want a tenth less with kronecker", damping, iterations)
		}
	}
}

// TestKroneckerPreconditionerProgressAndBits counts every sample evaluated, and has the same bits at any number of threads
// and nearly the same scores in batches of any size.
func TestKroneckerPreconditionerProgressAndBits(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	var first *Scores
	for _, test := range []struct{ threads, batch int }{{1, 0}, {2, 0}, {2, 0}, {2, 7}, {1, 41}} {
		p := newProblem(backend(t, test.threads), n, src, initial(n, 4), 0.01)
		p.Batch, p.Folds = test.batch, 2
		e := estimator(t, "cg", Options{Damping: 0.05, Tolerance: 1e-4, HessianSamples: 25, MaxIterations: 50, Preconditioner: KroneckerPreconditioner})
		last, totals := 0, map[int]bool{}
		s, err := e.Score(t.Context(), p, func(done, total int) {
			if done < last || done > total {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last, totals[total] = done, true
		})
		if err != nil {
			t.Fatal(err)
		}
		// The gradients of the scoring set, the factors and their second moments, 50 products and a residual, the scores.
		if want := 40 + 2*25 + 51*25 + 40; last != want || len(totals) != 1 || !totals[want] {
			t.Errorf("progress ended at %d of %v, want %d", last, totals, want)
		}
		switch {
		case first == nil:
			first = s
		case test.batch == 0 && (!slices.Equal(s.Delta, first.Delta) || !reflect.DeepEqual(s.Solver, first.Solver)):
			t.Errorf("%d threads give other bits than 1", test.threads)
		case apart(s.Delta, first.Delta) > 2e-4:
			t.Errorf("batches of %d change the scores by %.2g, relative", test.batch, apart(s.Delta, first.Delta))
		}
	}
}
