package influence

import (
	"context"

	"github.com/datadropout/datadropout/train"
)

// highestLoss is the estimator "loss", a baseline: delta_i = -l_i / n, so the samples of the highest training loss come
// out as the least favorable. It is a ranking and not a prediction: every delta is below zero or zero.
type highestLoss struct{}

var _ Estimator = highestLoss{}

// Name implements Estimator.
func (highestLoss) Name() string { return "loss" }

// Score implements Estimator.
func (highestLoss) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	engine := train.NewEngine(p.Backend, p.Net, p.Loss)
	defer engine.Close()
	e, err := engine.Evaluate(ctx, p.Model, p.Source, p.Train)
	if err != nil {
		return nil, err
	}
	delta := make([]float64, len(e.SampleLoss))
	for i, l := range e.SampleLoss {
		delta[i] = -float64(l) / float64(len(delta))
	}
	if err := finite(delta, "the training losses"); err != nil {
		return nil, err
	}
	newCounter(progress, len(delta)).add(len(delta))
	return &Scores{Delta: delta, Solver: Solver{Converged: true}}, nil
}
