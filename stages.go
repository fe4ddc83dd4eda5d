package datadropout

import (
	"context"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout/train"
)

// RoundOne is a training of round 1 as [Train] found it.
type RoundOne struct {
	Seed uint64 `json:"seed"`
	// Seconds is the time of the training, also where an earlier process did it.
	Seconds    float64 `json:"seconds"`
	TuneMetric float64 `json:"tune_metric"`
	TuneLoss   float64 `json:"tune_loss"`
	// TestMetric and TestLoss are there only if they were asked for.
	TestMetric *float64 `json:"test_metric,omitempty"`
	TestLoss   *float64 `json:"test_loss,omitempty"`
}

// Train carries out the first stage of [Run]: round 1 at every seed. It evaluates the models on the tune split and, only if
// that is asked for, on the test split: whoever looks at it before the end has chosen by it.
func Train(ctx context.Context, c Config, d *Data, backend compute.Backend, store Store, test bool, observe Observer) ([]RoundOne, error) {
	r, err := newRunner(c, d, backend, store, observe, computing(backend, d.Loss(), c.DeviceMemory))
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.round1(ctx); err != nil {
		return nil, err
	}
	var all []RoundOne
	for k := range c.Seeds {
		m, seconds, _, err := store.Model(armKey(Full, k))
		if err != nil {
			return nil, err
		}
		one := RoundOne{Seed: r.seed(k), Seconds: seconds}
		e, err := r.evaluate(ctx, m, Full, k, splitTune, d.Split.Tune)
		if err != nil {
			return nil, err
		}
		one.TuneMetric, one.TuneLoss = e.Metric, e.Loss
		if test {
			if one.TestMetric, one.TestLoss, err = r.test(ctx, m, k); err != nil {
				return nil, err
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// test returns the metric and loss on the test split, as Run measures them: in denoising of whole images where there are such.
func (r *runner) test(ctx context.Context, m *train.Model, k int) (metric, loss *float64, err error) {
	if r.data.TestSet != nil {
		var a ArmResult
		if err := r.measureImages(ctx, m, Full, k, &a); err != nil {
			return nil, nil, err
		}
		return &a.TestMetric[0], &a.TestLoss[0], nil
	}
	e, err := r.evaluate(ctx, m, Full, k, splitTest, r.data.Split.Test)
	if err != nil {
		return nil, nil, err
	}
	return &e.Metric, &e.Loss, nil
}

// Score carries out the stages of [Run] up to the removal effects, what the store has of them excepted. The outcome holds
// Estimates, Solver, Calibrated, Predicted and TrainLoss, and of Result what is known by then.
func Score(ctx context.Context, c Config, d *Data, backend compute.Backend, store Store, observe Observer) (*Outcome, error) {
	return stages(ctx, c, d, backend, store, observe, (*runner).round1, (*runner).score)
}

// Select carries out the stages of [Run] up to the choice of what to drop, what the store has of them excepted. The outcome
// holds beside what Score's does Dropped and Kept.
func Select(ctx context.Context, c Config, d *Data, backend compute.Backend, store Store, observe Observer) (*Outcome, error) {
	return stages(ctx, c, d, backend, store, observe, (*runner).round1, (*runner).score, (*runner).choose)
}

func stages(ctx context.Context, c Config, d *Data, backend compute.Backend, store Store, observe Observer, steps ...func(*runner, context.Context) error) (*Outcome, error) {
	r, err := newRunner(c, d, backend, store, observe, computing(backend, d.Loss(), c.DeviceMemory))
	if err != nil {
		return nil, err
	}
	defer r.close()
	for _, step := range steps {
		if err := step(r, ctx); err != nil {
			return nil, err
		}
	}
	r.out.Result = Result{
		Data: DataResult{Name: c.Data, Train: len(d.Split.Train), Val: len(d.Split.Score), Tune: len(d.Split.Tune), Test: len(d.Split.Test),
			Hash: d.Hash, Planted: d.Planted(d.Split.Train), Classes: d.Classes()},
		Metric: d.Loss().Metric(), Infl: r.influenceResult(), Drop: r.drop,
	}
	return r.out, nil
}
