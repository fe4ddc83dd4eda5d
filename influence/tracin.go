package influence

import (
	"context"
	"fmt"
	"hash"

	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/train"
)

// tracIn is the estimator "tracin" (Pruthi et al., NeurIPS 2020, arXiv:2002.08484, their TracInCP), the effect
// of a removal on the steps of training alone, added up over checkpoints c:
//
//	delta_i = 1/(n (1 - mu)) sum_c eta_c grad L_val(theta_c) . grad l_i(theta_c).
//
// A step with learning rate lr and batches of B moves theta by -(lr/B) grad l_i for a sample in it. In the segment of
// training that c stands for a sample is in a share B/n of the steps, so leaving it out undoes -(eta_c/n) grad l_i there, with
// eta_c the sum of the segment's learning rates; momentum mu carries every gradient on for 1/(1 - mu) steps in all. What the
// later steps make of such a change is left out, which is why the unit is that of a loss and yet not a prediction: only
// the sequence means something. Losses are evaluated with the running statistics of the checkpoint.
type tracIn struct{ options Options }

var _ Estimator = (*tracIn)(nil)

// Name implements Estimator.
func (*tracIn) Name() string { return "tracin" }

// Score implements Estimator.
func (e *tracIn) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	if err := p.Recipe.Validate(); err != nil {
		return nil, fmt.Errorf("influence: the training that tracin looks back on: %w", err)
	}
	want := train.Recording{Checkpoints: e.options.Checkpoints}
	n := len(p.Train)
	count := newCounter(progress, most(e.Work(p)))
	r, message, err := p.record(ctx, want, count.add)
	if err != nil {
		return nil, err
	}
	d, err := newDerivatives(p, count.add)
	if err != nil {
		return nil, err
	}
	defer d.close()
	effects, done := vectors(p.directionCount(), n), 0
	kept := &piece{name: effectsPiece, state: func() (int, int, [][]float64) { return 0, done, effects }}
	kept.key = p.keeper.of(func(h hash.Hash) { fmt.Fprintln(h, "effects") })
	if err := p.keeper.resume(kept, func(_, at int, values []float64) error {
		if at > len(r.Checkpoints) || len(values) != total(effects) {
			return fmt.Errorf("it holds %d values of %d checkpoints", len(values), at)
		}
		unflatten(effects, values)
		done = at
		count.add(at * (len(p.Score) + n))
		return nil
	}); err != nil {
		return nil, err
	}
	for _, c := range r.Checkpoints[done:] {
		if err := d.move(&c.Model); err != nil {
			return nil, err
		}
		targets, err := d.targets(ctx)
		if err != nil {
			return nil, err
		}
		along, err := d.directionals(ctx, p.Train, targets)
		if err != nil {
			return nil, err
		}
		for k := range along {
			floats.AddScaled(effects[k], c.Rates/(float64(n)*(1-p.Recipe.Momentum)), along[k])
		}
		done++
	}
	s, err := p.foldScores(effects)
	if err != nil {
		return nil, err
	}
	s.Solver = Solver{Converged: true, Message: message}
	return s, nil
}
