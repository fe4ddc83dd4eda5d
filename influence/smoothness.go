package influence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"slices"

	"github.com/datadropout/datadropout/train"
)

// Perturbation holds the predicted and the true change of the mean loss on the scoring set when a share of the training
// samples, those of the lowest removal effects, takes part in the training with weight 0.
type Perturbation struct {
	// Fraction of the training samples, of Samples.
	Fraction float64 `json:"fraction"`
	Samples  int     `json:"samples"`
	// Predicted is the sum of their removal effects, True what a training with their weights at 0 gives, from the same seed
	// and with the same batches.
	Predicted float64 `json:"predicted"`
	True      float64 `json:"true"`
}

// perturbedFractions are the shares that the check perturbs, the smallest first.
var perturbedFractions = []float64{0.01, 0.05, 0.2}

// smoothFactor bounds the true change over the predicted one, and its inverse, for the smallest perturbation.
const smoothFactor = 3

// checkSmoothness trains again with the weights of ever more samples at 0 and compares what comes out with the prediction:
// derivatives through training are only as good as training is smooth in the weights (Ilyas and Engstrom 2025 call it
// metasmooth). It writes the outcome into the solver's, and if already the smallest perturbation has the wrong sign, or a
// size more than three times off, the solver has not converged: the scores must not be trusted.
func checkSmoothness(ctx context.Context, engine *train.Engine, p *Problem, delta []float64, s *Solver, trained func(samples int)) error {
	base, err := engine.Evaluate(ctx, p.Model, p.Source, p.Score)
	if err != nil {
		return err
	}
	order := make([]int, len(delta))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(delta[a], delta[b]) })
	var changes []float64 // true ones, of the trainings that are done
	kept := &piece{name: smoothnessPiece, state: func() (int, int, [][]float64) { return 0, len(changes), [][]float64{changes} }}
	kept.key = p.keeper.of(func(h hash.Hash) { fmt.Fprintln(h, "smoothness") })
	if err := p.keeper.resume(kept, func(_, _ int, values []float64) error {
		if len(values) > len(perturbedFractions) {
			return fmt.Errorf("it holds %d values", len(values))
		}
		changes = values
		return nil
	}); err != nil {
		return err
	}
	for at, f := range perturbedFractions {
		n := max(1, int(f*float64(len(delta))+0.5))
		weights := make([]float32, len(delta))
		for k := range weights {
			weights[k] = 1
		}
		c := Perturbation{Fraction: f, Samples: n}
		for _, k := range order[:n] {
			weights[k] = 0
			c.Predicted += delta[k]
		}
		stepped := steppedBy(min(p.Recipe.BatchSize, len(p.Train)), trained)
		if at == len(changes) {
			var e *train.Evaluation
			m, err := engine.TrainWeightedKept(ctx, p.Source, p.Train, weights, p.Recipe, p.TrainSeed, p.keep(), stepped)
			if err == nil {
				e, err = engine.Evaluate(ctx, m, p.Source, p.Score)
			}
			var diverged *train.DivergedError
			var notFinite *train.NotFiniteError
			if errors.As(err, &diverged) || errors.As(err, &notFinite) {
				s.Converged = false
				s.Message = fmt.Sprintf("training is not smooth: with the weights of %d samples at 0 it diverges", n)
				return nil
			}
			if err != nil {
				return fmt.Errorf("influence: the check of smoothness at %g of the samples: %w", f, err)
			}
			changes = append(changes, e.Loss-base.Loss)
			if err := p.keeper.save(); err != nil { // the next training is kept in the place of this one
				return err
			}
		}
		stepped(train.Progress{Step: p.Recipe.Steps(len(p.Train))}) // those that an earlier process took
		c.True = changes[at]
		s.Smoothness = append(s.Smoothness, c)
	}
	if least := s.Smoothness[0]; !least.agrees() {
		s.Converged = false
		s.Message = fmt.Sprintf("training is not smooth: with the weights of %d samples at 0 the loss was predicted to change by %.2g and changed by %.2g; "+
			"use smooth activations, average pooling and smaller steps", least.Samples, least.Predicted, least.True)
	}
	return nil
}

// agrees says whether the true change has the sign and about the size of the predicted one.
func (c Perturbation) agrees() bool {
	if c.Predicted == 0 {
		return c.True == 0
	}
	ratio := c.True / c.Predicted
	return ratio >= 1./smoothFactor && ratio <= smoothFactor
}
