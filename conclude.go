package datadropout

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
)

// conclude reads the test split, for the first and only time, and fills in the result.
func (r *runner) conclude(ctx context.Context, kept map[string][][]int) error {
	began := time.Now()
	arms := ArmsResult{}
	r.out.Curves = map[string][][]float64{}
	parts, part := 0, 0
	for _, arm := range Arms {
		arms[arm] = newArmResult()
		parts += len(kept[arm])
	}
	for _, arm := range Arms {
		for k, idx := range kept[arm] {
			part++
			piece := Event{Type: "start", Stage: StageEvaluate, Kind: KindEvaluation, Part: part, Parts: parts, What: fmt.Sprintf("%s, seed %d", arm, r.seed(k))}
			r.observe.emit(piece)
			if err := r.measure(ctx, arm, k, idx, arms[arm]); err != nil {
				return err
			}
			r.observe.measured(piece, splitTest, arms[arm].TestLoss[k], arms[arm].TestMetric[k])
		}
	}
	seconds := time.Since(began).Seconds()
	r.observe.emit(Event{Type: "done", Stage: StageEvaluate, Kind: KindEvaluation, Part: parts, Parts: parts, What: "all arms on all splits", Fraction: 1, Seconds: seconds})

	c, d := r.config, r.data
	r.times.Total = r.times.Round1 + r.times.Influence + r.times.Choose + r.times.Round2 + seconds
	r.out.Result = Result{
		Schema: 1, Task: c.Task,
		Data: DataResult{Name: c.DataName(), Train: len(d.Split.Train), Val: len(d.Split.Score), Tune: len(d.Split.Tune),
			Test: len(d.Split.Test), Hash: d.Hash, Planted: d.Planted(d.Split.Train), Classes: d.Classes(), Image: d.Source().InputDims()},
		Net:        NetResult{Name: c.Net, Parameters: r.network.Size()},
		Backend:    c.Backend,
		Precision:  c.Precision,
		Metric:     d.Loss().Metric(),
		Infl:       r.influenceResult(),
		Drop:       r.drop,
		Arms:       arms,
		Effect:     Effect{Verdict: NothingDropped, P: 1},
		Seconds:    r.times,
		PeakMemory: PeakMemory(),
	}
	if d.Images != nil {
		r.out.Result.Data.Mean, r.out.Result.Data.Std = d.Images.Mean, d.Images.Std
	}
	r.out.Result.Denoising = r.denoisingResult()
	if len(r.out.Dropped) > 0 {
		r.out.Result.Effect = PairedEffect(arms[Dropped].TestMetric, arms[Full].TestMetric)
		overRandom := PairedEffect(arms[Dropped].TestMetric, arms[Random].TestMetric)
		overHighest := PairedEffect(arms[Dropped].TestMetric, arms[HighestLoss].TestMetric)
		reduction := PairedEffect(arms[Full].TestLoss, arms[Dropped].TestLoss)
		r.out.Result.Control = Controls{Random: &overRandom, HighestLoss: &overHighest, LossReduction: &reduction}
		r.out.Result.Gap = NewGap(arms, r.predicted())
	}
	return nil
}

// predicted is the change of the loss on the score split that the removal effects predict of what was dropped; NaN where they do not
// predict in loss units.
func (r *runner) predicted() float64 {
	if !r.out.Calibrated {
		return math.NaN()
	}
	gone := make(map[int]bool, len(r.out.Dropped))
	for _, p := range r.out.Dropped {
		gone[p] = true
	}
	var places []int
	for i, p := range r.data.Split.Train {
		if gone[p] {
			places = append(places, i)
		}
	}
	return r.out.Estimates.Predicted(places)
}

func (r *runner) influenceResult() InflResult {
	e := r.out.Estimates
	result := InflResult{
		Estimator: r.config.Estimator, Seconds: r.times.Influence, Solver: r.out.Solver,
		Seeds: r.config.InfluenceSeeds, Folds: r.folds, SeedCorrelation: Number(e.SeedCorrelation), MedianStandardError: Number(math.NaN()),
	}
	if e.StandardError != nil {
		sorted := slices.Sorted(slices.Values(e.StandardError))
		result.MedianStandardError = Number(stat.Quantile(0.5, stat.LinInterp, sorted, nil))
	}
	return result
}

// measure appends the loss and the metric of an arm's model at seed number k on every split, and keeps its training curve and
// how the classes fare on the test split.
func (r *runner) measure(ctx context.Context, arm string, k int, trained []int, a *ArmResult) error {
	key := r.key(arm, k)
	m, _, ok, err := r.store.Model(key)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("the model %s is gone from the store", key)
	}
	curve, err := r.store.Curve(key)
	if err != nil {
		return err
	}
	r.out.Curves[arm] = append(r.out.Curves[arm], curve)
	for _, split := range []struct {
		name         string
		idx          []int
		metric, loss *[]float64
	}{
		{splitTrain, trained, &a.TrainMetric, &a.TrainLoss},
		{splitScore, r.data.Split.Score, &a.ScoreMetric, &a.ScoreLoss},
		{splitTune, r.data.Split.Tune, &a.TuneMetric, &a.TuneLoss},
		{splitTest, r.data.Split.Test, &a.TestMetric, &a.TestLoss},
	} {
		if split.name == splitTest && r.data.TestSet != nil {
			if err := r.measureImages(ctx, m, arm, k, a); err != nil {
				return err
			}
			continue
		}
		e, err := r.evaluate(ctx, m, arm, k, split.name, split.idx)
		if err != nil {
			return err
		}
		*split.metric = append(*split.metric, e.Metric)
		*split.loss = append(*split.loss, e.Loss)
		if split.name == splitTest && e.Predicted != nil {
			a.addClassification(e.Classification(r.data.labels(split.idx), len(r.data.Images.Classes)))
		}
	}
	return nil
}
