package influence

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
)

// arnoldi is the estimator "arnoldi" (Schioppa, Zablotskaia, Vilar and Sokolov, AAAI 2022, arXiv:2112.03052): influence
// restricted to the eigenvectors u_k of the curvature C with the eigenvalues mu_k of largest magnitude,
//
//	s = sum_k u_k (u_k . b) / (mu_k + lambda),    delta_i = grad l_i . s / n,
//
// found in the Krylov space of C and a start drawn by the seed. C is symmetric, so Arnoldi's iteration is Lanczos's. One
// space serves all folds of the scoring set, and would serve any other target.
//
// What lies outside of the subspace counts as nothing, though it is what damping leaves largest in (C + lambda I)^-1: scores
// are in loss units of the subspace, and not calibrated.
type arnoldi struct{ options Options }

var _ Estimator = (*arnoldi)(nil)

// Name implements Estimator.
func (*arnoldi) Name() string { return "arnoldi" }

// krylovSize is the number of Lanczos steps for eigenpairs by the rank: the outer half of a space is found well, but for
// small spaces.
func krylovSize(rank, parameters int) int { return min(2*rank+20, parameters) }

// Score implements Estimator. The solver has an iteration for each Lanczos step; its residual is that of the whole system,
// so it tells how much of the target lies outside of the subspace. It has converged if (C + lambda I) s is the target's
// part in the subspace up to 0.1, relative, and no eigenvalue met is -lambda or below: those count as negative curvature,
// and are left out.
func (e *arnoldi) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	o := e.options
	sample := curvatureSample(p.Train, o.HessianSamples, p.Seed)
	steps := krylovSize(o.Rank, len(p.Model.Theta))
	count := newCounter(progress, most(e.Work(p)))
	d, err := newDerivatives(p, count.add)
	if err != nil {
		return nil, err
	}
	defer d.close()
	targets, err := d.targets(ctx)
	if err != nil {
		return nil, err
	}
	apply := func(v, out [][]float64) error { return d.curvatureProducts(ctx, o.Curvature, sample, v, out) }
	k, err := lanczos(alone(apply), krylovStart(len(p.Model.Theta), p.Seed), steps, nil, p.keeper,
		func(products int) { count.add(products * len(sample)) })
	if err != nil {
		return nil, fmt.Errorf("arnoldi: %w", err)
	}
	count.advance(len(sample) + len(p.Train))
	lambda := p.Recipe.WeightDecay + max(0, o.Damping)
	space := k.subspace(o.Rank, lambda)
	solutions, parts := space.solve(targets)
	damped := d.damped(ctx, o.Curvature, lambda)
	residuals, err := d.residual(targets, func(v, out [][]float64) error { return damped(sample, v, out) }, solutions, parts)
	if err != nil {
		return nil, err
	}
	count.advance(len(p.Train))
	scores, err := d.removalEffects(ctx, solutions)
	if err != nil {
		return nil, err
	}
	scores.Solver = Solver{
		Iterations: len(k.alpha), Residual: residuals[0], Damping: lambda, Samples: len(sample),
		NegativeCurvature: space.negative,
	}
	space.judge(&scores.Solver, residuals[1], targets, parts)
	return scores, nil
}

// subspace is the span of eigenvectors found in a Krylov space.
type subspace struct {
	krylov *krylov
	lambda float64
	rank   int    // asked for
	pairs  []ritz // used, by descending magnitude
	// unresolved counts the pairs among the first by rank whose bound, or the resolution of the products, leaves open what
	// they are, and negative those with value + lambda <= 0. Both are left out.
	unresolved, negative int
}

// subspace returns the first rank pairs by magnitude, without those that are left out. An eigenvalue is resolved if its
// bound is below a tenth of it, and if it is not too small to be told from 0.
func (k *krylov) subspace(rank int, lambda float64) *subspace {
	s := &subspace{krylov: k, lambda: lambda, rank: rank}
	all := k.pairs()
	byMagnitude(all)
	largest := math.Abs(all[0].value)
	for _, pair := range all[:min(rank, len(all))] {
		size := math.Abs(pair.value)
		switch {
		case size <= resolution*largest || pair.bound > roughTolerance*size:
			s.unresolved++
		case pair.value+lambda <= 0:
			s.negative++
		default:
			s.pairs = append(s.pairs, pair)
		}
	}
	return s
}

// solve returns (C + lambda I)^-1 b restricted to the subspace, and the part of b in it, for every b.
func (s *subspace) solve(b [][]float64) (solutions, parts [][]float64) {
	m, size := len(s.krylov.basis), len(b[0])
	solutions, parts = vectors(len(b), size), vectors(len(b), size)
	c, inverse, part := make([]float64, m), make([]float64, m), make([]float64, m)
	for f := range b {
		clear(inverse)
		clear(part)
		for j, v := range s.krylov.basis {
			c[j] = floats.Dot(v, b[f])
		}
		for _, pair := range s.pairs {
			along := floats.Dot(pair.y, c)
			floats.AddScaled(part, along, pair.y)
			floats.AddScaled(inverse, along/(pair.value+s.lambda), pair.y)
		}
		for j, v := range s.krylov.basis {
			floats.AddScaled(solutions[f], inverse[j], v)
			floats.AddScaled(parts[f], part[j], v)
		}
	}
	return solutions, parts
}

// judge says whether the subspace is one of eigenvectors, by the residual of the equation within it, and what it holds.
func (s *subspace) judge(solver *Solver, within float64, targets, parts [][]float64) {
	share := 1.0 // of the targets, the least
	for f := range targets {
		if size := floats.Norm(targets[f], 2); size > 0 {
			share = min(share, floats.Norm(parts[f], 2)/size)
		}
	}
	if len(s.pairs) == 0 {
		solver.Message = fmt.Sprintf("none of the first %d eigenpairs can be used: %d unresolved, %d not above -lambda", s.rank, s.unresolved, s.negative)
		return
	}
	for _, pair := range s.pairs {
		solver.LargestEigenvalue = max(solver.LargestEigenvalue, pair.value+s.lambda)
	}
	told := fmt.Sprintf("%d of %d eigenpairs, eigenvalues %.3g to %.3g, holding %.2g of the gradient's length",
		len(s.pairs), s.rank, s.pairs[0].value, s.pairs[len(s.pairs)-1].value, share)
	solver.Converged = s.negative == 0 && within <= roughTolerance
	switch {
	case s.negative > 0:
		told = fmt.Sprintf("the curvature is not positive definite: %d of its eigenvalues, left out, are not above -lambda; "+
			"raise the damping or use the Gauss-Newton curvature; %s", s.negative, told)
	case !solver.Converged:
		told = fmt.Sprintf("the residual within the subspace is %.2g, above %.2g; %s", within, roughTolerance, told)
	}
	solver.Message = told
}
