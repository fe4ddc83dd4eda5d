package influence

import (
	"context"

	"gonum.org/v1/gonum/floats"
)

// kroneckerFactored is the estimator "ekfac" (Grosse et al. 2023, arXiv:2308.03296, section 3.1):
//
//	s = (C + lambda I)^-1 grad L_val,    delta_i = grad l_i . s / n,
//
// with C the eigenvalue-corrected Kronecker-factored Fisher matrix over HessianSamples training samples and lambda the
// recipe's weight decay plus the damping. The inverse is exact in the eigenbasis of C, so there is no iteration, and any
// number of folds costs one pass more each over its own samples.
//
// C leaves out the curvature between layers, so it is too small in directions that all layers share, and the effects come
// out several times too large: their sequence means something, their size does not.
type kroneckerFactored struct {
	options Options
	block   int // of kronecker
}

var _ Estimator = (*kroneckerFactored)(nil)

// Name implements Estimator.
func (*kroneckerFactored) Name() string { return "ekfac" }

// Score implements Estimator. The solver's message tells the size of the factors; it has not converged where C + lambda I
// is singular.
func (e *kroneckerFactored) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	sample := curvatureSample(p.Train, e.options.HessianSamples, p.Seed)
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
	k, err := newKronecker(ctx, p, sample, e.block, count.add)
	if err != nil {
		return nil, err
	}
	k.close()
	lambda := p.Recipe.WeightDecay + max(0, e.options.Damping)
	inverses, zeros := k.inverse(lambda)
	solutions := make([][]float64, len(targets))
	for f, g := range targets {
		solutions[f] = k.solve(g, inverses)
	}
	scores, err := d.removalEffects(ctx, solutions)
	if err != nil {
		return nil, err
	}
	scores.Solver = k.solver(lambda, zeros)
	return scores, nil
}

// selfInfluence is the estimator "self", for finding wrong labels: delta_i = -grad l_i^T (C + lambda I)^-1 grad l_i / n, with C
// as in ekfac. It is the loss that a sample saves itself by being in the training set (Feldman and Zhang, NeurIPS 2020;
// Koh and Liang 2017, section 5.4): high for samples that only their own presence explains. It is a ranking and not a
// prediction, and the scoring set is not read: every delta is below zero or zero.
type selfInfluence struct{ options Options }

var _ Estimator = (*selfInfluence)(nil)

// Name implements Estimator.
func (*selfInfluence) Name() string { return "self" }

// Score implements Estimator.
func (e *selfInfluence) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	sample := curvatureSample(p.Train, e.options.HessianSamples, p.Seed)
	k, err := newKronecker(ctx, p, sample, 0, newCounter(progress, most(e.Work(p))).add)
	if err != nil {
		return nil, err
	}
	defer k.close()
	lambda := p.Recipe.WeightDecay + max(0, e.options.Damping)
	inverses, zeros := k.inverse(lambda)
	delta, err := k.selfInfluence(ctx, p.Train, inverses)
	if err != nil {
		return nil, err
	}
	floats.Scale(-1/float64(len(delta)), delta)
	if err := finite(delta, "the self-influences"); err != nil {
		return nil, err
	}
	return &Scores{Delta: delta, Solver: k.solver(lambda, zeros)}, nil
}
