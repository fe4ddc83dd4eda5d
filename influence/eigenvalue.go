package influence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// resolution is the share of the largest eigenvalue below which products in float32 do not tell an eigenvalue from zero.
const resolution = 1e-5

// krylov is what Lanczos's recursion (1950) makes of a symmetric A of size P and a start vector: an orthonormal basis
// V = (v_1 ... v_m) of the space spanned by the start, A start, ..., A^(m-1) start, with
//
//	A V = V T + beta_m v_(m+1) e_m^T
//
// and T tridiagonal with the diagonal alpha_1 ... alpha_m beside beta_1 ... beta_(m-1). Its memory is m vectors.
type krylov struct {
	basis       [][]float64 // [m][P]
	alpha, beta []float64   // [m] each
}

// lanczos takes at most m steps, of one product each, from a start that is not zero, for A given by its product: apply
// writes A v into out. It stops sooner where the space is invariant, at beta_m = 0 up to the rounding of the products, or
// where enough says so. Every vector is orthogonalised against all before it, twice: the basis stays orthogonal up to
// rounding, and no eigenvalue comes out more than once (Golub and Van Loan, Matrix Computations, section 10.3). Products
// that are not finite are an error.
//
// The keeper, which may be nil, keeps every vector once, and those that it has are not computed again; resumed, unless it is nil, is told how many
// these are.
func lanczos(apply func(v, out []float64) error, start []float64, m int, enough func(k *krylov) bool, keeper *keeper, resumed func(products int)) (*krylov, error) {
	k, next, err := resumeKrylov(keeper, start)
	if err != nil {
		return nil, err
	}
	if resumed != nil {
		resumed(len(k.basis))
	}
	size := 0.0 // of T, from below
	for j := range k.alpha {
		size = max(size, math.Abs(k.alpha[j]), k.beta[j])
	}
	m = min(m, len(start))
	for next != nil {
		v := next
		next = make([]float64, len(v))
		if err := apply(v, next); err != nil {
			return nil, err
		}
		alpha := floats.Dot(v, next)
		if err := finite([]float64{alpha}, "a curvature product"); err != nil {
			return nil, err
		}
		k.basis = append(k.basis, v)
		for range 2 {
			for _, u := range k.basis {
				floats.AddScaled(next, -floats.Dot(u, next), u)
			}
		}
		beta := floats.Norm(next, 2)
		k.alpha, k.beta = append(k.alpha, alpha), append(k.beta, beta)
		size = max(size, math.Abs(alpha), beta)
		if len(k.basis) == m || beta <= 0.1*resolution*size || enough != nil && enough(k) {
			next = nil
		} else {
			floats.Scale(1/beta, next)
		}
		k.keep(keeper, next)
	}
	return k, nil
}

// keep hands the keeper the last step of the recursion, and the vector that the next one is for; nil for the end.
func (k *krylov) keep(keeper *keeper, next []float64) {
	j := len(k.basis)
	last := []float64{k.alpha[j-1], k.beta[j-1]}
	keeper.hold(&piece{name: krylovName(j), key: krylovKey(keeper, j), final: true, state: func() (int, int, [][]float64) {
		return 0, j, [][]float64{last, next}
	}})
}

// resumeKrylov returns the space that the keeper has, and the vector that the next product is for: at the beginning the start, at the end nil.
func resumeKrylov(keeper *keeper, start []float64) (k *krylov, next []float64, err error) {
	k, next = new(krylov), slices.Clone(start)
	floats.Scale(1/floats.Norm(start, 2), next)
	for next != nil {
		j := len(k.basis) + 1
		err := keeper.find(&piece{name: krylovName(j), key: krylovKey(keeper, j)}, func(_, _ int, values []float64) error {
			if len(values) != 2 && len(values) != 2+len(start) {
				return fmt.Errorf("it holds %d values", len(values))
			}
			k.basis, k.alpha, k.beta = append(k.basis, next), append(k.alpha, values[0]), append(k.beta, values[1])
			if next = values[2:]; len(next) == 0 {
				next = nil
			}
			return nil
		})
		if err != nil || len(k.basis) < j {
			return k, next, err
		}
	}
	return k, nil, nil
}

func krylovName(j int) string { return fmt.Sprint(krylovPiece, j) }

func krylovKey(keeper *keeper, j int) [sha256.Size]byte {
	return keeper.of(func(h hash.Hash) { fmt.Fprintf(h, "krylov %d\n", j) })
}

// ritz is an approximate eigenpair of A: value, and the vector V y. |A V y - value V y| = bound = |beta_m y_m|, so an
// eigenvalue of A lies no further from value than bound (Parlett, The Symmetric Eigenvalue Problem, section 13.2).
type ritz struct {
	value, bound float64
	y            []float64 // [m]
}

// pairs returns the Ritz pairs of the space, by ascending value.
func (k *krylov) pairs() []ritz {
	m := len(k.alpha)
	t := mat.NewSymDense(m, nil)
	for i, a := range k.alpha {
		t.SetSym(i, i, a)
		if i+1 < m {
			t.SetSym(i, i+1, k.beta[i])
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(t, true) {
		panic("influence: the eigenvalues of a finite tridiagonal matrix were not found") // it always converges
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	all := make([]ritz, m)
	for i, value := range eigen.Values(nil) {
		y := mat.Col(nil, i, &vectors)
		all[i] = ritz{value: value, bound: math.Abs(k.beta[m-1] * y[m-1]), y: y}
	}
	return all
}

// extremes are the outermost eigenvalues of a symmetric matrix as a Krylov space sees them, from inside: no eigenvalue it
// finds lies outside of the spectrum. One lies within Bound of Largest, and Smallest < 0 proves the matrix indefinite.
type extremes struct {
	Largest, Bound, Smallest float64
	Products                 int
}

const (
	// mostEigenvalueProducts bounds the products for the largest eigenvalue, eigenvalueTolerance is its residual bound,
	// relative, at which they end. The eigenvalue's own error is about the square of it, over the gap to the next.
	mostEigenvalueProducts = 30
	eigenvalueTolerance    = 1e-2
)

// largestEigenvalue measures the outermost eigenvalues of A, given as for lanczos, from the start.
func largestEigenvalue(apply func(v, out []float64) error, start []float64, tolerance float64, products int, keeper *keeper,
	resumed func(products int)) (extremes, error) {
	k, err := lanczos(apply, start, products, func(k *krylov) bool {
		pairs := k.pairs()
		last := pairs[len(pairs)-1]
		return last.bound <= tolerance*math.Abs(last.value)
	}, keeper, resumed)
	if err != nil {
		return extremes{}, fmt.Errorf("the largest eigenvalue: %w", err)
	}
	pairs := k.pairs()
	last := pairs[len(pairs)-1]
	return extremes{Largest: last.value, Bound: last.bound, Smallest: pairs[0].value, Products: len(pairs)}, nil
}

// krylovStart draws the start of a Krylov space: independent normal numbers, which have a part in every eigenvector.
func krylovStart(size int, seed uint64) []float64 {
	rng := seeded("krylov start", seed)
	v := make([]float64, size)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	return v
}

// damped returns the products of C + lambda I, C the mean curvature over the positions, as curvatureProducts takes them.
func (d *derivatives) damped(ctx context.Context, curvature string, lambda float64) func(positions []int, v, out [][]float64) error {
	return func(positions []int, v, out [][]float64) error {
		if err := d.curvatureProducts(ctx, curvature, positions, v, out); err != nil {
			return err
		}
		for k := range out {
			floats.AddScaled(out[k], lambda, v[k])
		}
		return nil
	}
}

// alone is the product of one vector by products of several.
func alone(apply func(v, out [][]float64) error) func(v, out []float64) error {
	return func(v, out []float64) error { return apply([][]float64{v}, [][]float64{out}) }
}

// relativeResidual returns |b_k - A s_k| / |b_k|, the largest over all k, for the products as = A s. b_k = 0 counts as 0.
func relativeResidual(b, as [][]float64) float64 {
	most := 0.0
	for k := range b {
		if size := floats.Norm(b[k], 2); size > 0 {
			most = max(most, floats.Distance(b[k], as[k], 2)/size)
		}
	}
	return most
}

// residual is [relativeResidual] of solutions of A s = b for the right-hand sides, and for others, computed once; apply writes A s into out.
func (d *derivatives) residual(b [][]float64, apply func(s, out [][]float64) error, solutions [][]float64, others ...[][]float64) ([]float64, error) {
	key := d.problem.keeper.of(func(h hash.Hash) { fmt.Fprintln(h, "residual") })
	residuals, _, err := d.problem.keeper.result(residualPiece, key, 1+len(others), func() ([]float64, error) {
		products := vectors(len(b), len(b[0]))
		if err := apply(solutions, products); err != nil {
			return nil, err
		}
		residuals := []float64{relativeResidual(b, products)}
		for _, other := range others {
			residuals = append(residuals, relativeResidual(other, products))
		}
		return residuals, nil
	})
	return residuals, err
}

// byMagnitude sorts Ritz pairs by descending |value|.
func byMagnitude(pairs []ritz) {
	slices.SortStableFunc(pairs, func(a, b ritz) int { return cmp.Compare(math.Abs(b.value), math.Abs(a.value)) })
}

// vectors returns k vectors of n zeros.
func vectors(k, n int) [][]float64 {
	all := make([][]float64, k)
	for i := range all {
		all[i] = make([]float64, n)
	}
	return all
}
