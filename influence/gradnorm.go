package influence

import (
	"context"
	"math"

	"github.com/datadropout/datadropout/train"
)

// normChunk is the number of random directions of one forward-mode pass.
const normChunk = 8

// gradientNorms estimates |grad l_i| for every position i from K directions v of independent random signs:
//
//	|g|^2 = E[(g . v)^2],    |g|^2 ~ (1/K) sum_k (g . v_k)^2,
//
// an unbiased estimate of the square with a relative standard error of at most sqrt(2/K), as that of a trace by Hutchinson
// (1990); the norm's is about half of that. A gradient per sample is never formed. All samples share the directions.
func (d *derivatives) gradientNorms(ctx context.Context, positions []int, directions int, seed uint64) ([]float64, error) {
	rng := seeded("gradient norms", seed)
	squares := make([]float64, len(positions))
	for done := 0; done < directions; done += normChunk {
		v := make([][]float64, min(normChunk, directions-done))
		for k := range v {
			v[k] = make([]float64, len(d.problem.Model.Theta))
			for j := range v[k] {
				v[k][j] = float64(2*rng.IntN(2) - 1)
			}
		}
		moved, err := d.directionals(ctx, positions, v)
		if err != nil {
			return nil, err
		}
		for _, along := range moved {
			for i, x := range along {
				squares[i] += x * x / float64(directions)
			}
		}
	}
	for i, x := range squares {
		squares[i] = math.Sqrt(x)
	}
	return squares, nil
}

// normPasses is the number of passes over the samples that gradientNorms takes.
func normPasses(directions int) int { return (directions + normChunk - 1) / normChunk }

// gradNorm is the baseline "grand": delta_i = -|grad l_i| / n at the parameters after the first fifth of the epochs (GraNd,
// Paul et al., NeurIPS 2021, arXiv:2107.07075, where it is the mean over ten initializations). The norms
// are estimates, see gradientNorms. It knows no scoring set, and only its sequence means something: the samples that
// pulled hardest come out as the least favorable.
type gradNorm struct{ options Options }

var _ Estimator = (*gradNorm)(nil)

// Name implements Estimator.
func (*gradNorm) Name() string { return "grand" }

// Score implements Estimator.
func (e *gradNorm) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	want := train.Recording{Early: true}
	steps, err := p.retrains(want)
	if err != nil {
		return nil, err
	}
	n := len(p.Train)
	count := newCounter(progress, steps*min(p.Recipe.BatchSize, n)+normPasses(e.options.Directions)*n)
	r, message, err := p.record(ctx, want, count.add)
	if err != nil {
		return nil, err
	}
	d, err := newDerivatives(p, count.add)
	if err != nil {
		return nil, err
	}
	defer d.close()
	if err := d.move(r.Early); err != nil {
		return nil, err
	}
	delta, err := d.gradientNorms(ctx, p.Train, e.options.Directions, p.Seed)
	if err != nil {
		return nil, err
	}
	for i, x := range delta {
		delta[i] = (0 - x) / float64(n) // not the negative zero
	}
	if err := finite(delta, "the gradient norms"); err != nil {
		return nil, err
	}
	return &Scores{Delta: delta, Solver: Solver{Converged: true, Message: message}}, nil
}

// gradCos is the estimator "gradcos": delta_i = grad L_val . grad l_i / (n |grad l_i|) at the trained model, graddot with
// every sample's gradient brought to length 1, so that no sample stands out by the size of its loss alone. Up to |grad L_val|,
// the same for all samples, it is the cosine between the two. The norms are estimates, see gradientNorms. Only its sequence
// means something.
type gradCos struct{ options Options }

var _ Estimator = (*gradCos)(nil)

// Name implements Estimator.
func (*gradCos) Name() string { return "gradcos" }

// Score implements Estimator.
func (e *gradCos) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	n := len(p.Train)
	count := newCounter(progress, len(p.Score)+(normPasses(e.options.Directions)+1)*n)
	d, err := newDerivatives(p, count.add)
	if err != nil {
		return nil, err
	}
	defer d.close()
	targets, err := d.targets(ctx)
	if err != nil {
		return nil, err
	}
	norms, err := d.gradientNorms(ctx, p.Train, e.options.Directions, p.Seed)
	if err != nil {
		return nil, err
	}
	if err := finite(norms, "the gradient norms"); err != nil {
		return nil, err
	}
	effects, err := d.directionals(ctx, p.Train, targets)
	if err != nil {
		return nil, err
	}
	for _, delta := range effects {
		for i, norm := range norms {
			if norm > 0 { // without a gradient the product is 0
				delta[i] /= norm * float64(n)
			}
		}
	}
	s, err := p.foldScores(effects)
	if err != nil {
		return nil, err
	}
	s.Solver.Converged = true
	return s, nil
}
