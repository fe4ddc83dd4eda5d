package influence

import "context"

// random is the estimator "random", the baseline that knows nothing: a seeded permutation of n values that are evenly
// spread over (-1/n, 1/n), so that half of the samples come out as unfavorable.
type random struct{}

var _ Estimator = random{}

// Name implements Estimator.
func (random) Name() string { return "random" }

// Score implements Estimator.
func (random) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n := len(p.Train)
	delta := make([]float64, n)
	for i, k := range seeded("random scores", p.TrainSeed).Perm(n) {
		delta[i] = (float64(2*k+1)/float64(n) - 1) / float64(n)
	}
	newCounter(progress, n).add(n)
	return &Scores{Delta: delta, Solver: Solver{Converged: true}}, nil
}
