package influence

import "context"

// gradDot is the estimator "graddot": the curvature is taken for the identity, so delta_i = grad L_val . grad l_i / n at
// the trained model (the last term of TracIn, Pruthi et al., NeurIPS 2020). Its sequence means something, its unit does
// not: a gradient step of length 1.
type gradDot struct{}

var _ Estimator = gradDot{}

// Name implements Estimator.
func (gradDot) Name() string { return "graddot" }

// Score implements Estimator.
func (e gradDot) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	d, err := newDerivatives(p, newCounter(progress, most(e.Work(p))).add)
	if err != nil {
		return nil, err
	}
	defer d.close()
	targets, err := d.targets(ctx)
	if err != nil {
		return nil, err
	}
	s, err := d.removalEffects(ctx, targets)
	if err != nil {
		return nil, err
	}
	s.Solver.Converged = true
	return s, nil
}
