package evidence

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/train"
)

// dropped is a set of training samples to do without, by their order in the training split, ascending.
// inPlace says that they keep their places in the batches, with weight 0.
type dropped struct {
	samples []int
	inPlace bool
	what    string
}

// retraining is one training to be done without the samples, from the seed.
type retraining struct {
	dropped
	key  string
	seed uint64
}

// retrainAll trains without each of the sets from every seed, where the cache does not have it, options.Parallel at a time.
// The first error stops the others.
func (r *runner) retrainAll(ctx context.Context, sets []dropped) error {
	var missing []retraining
	known := map[string]bool{}
	for _, set := range sets {
		for k := range r.options.RetrainSeeds {
			j := retraining{dropped: set, key: r.key(set.samples, set.inPlace, k), seed: r.seed(k)}
			if known[j.key] || r.fresh[j.key] {
				continue
			}
			known[j.key] = true
			found, err := r.cache.get(j.key)
			if err != nil {
				return err
			}
			if found == nil {
				missing = append(missing, j)
			}
		}
	}
	r.result.Retrainings = len(known)
	r.result.Resumed = len(known) - len(missing)
	if r.result.Resumed > 0 {
		r.emit(datadropout.Event{Type: "done", Stage: StageRetrain, Kind: datadropout.KindTraining, Part: r.result.Resumed, Parts: len(known), Fraction: 1, Resumed: true,
			What: fmt.Sprintf("%d of %d trainings", r.result.Resumed, len(known))})
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan retraining)
	var talk sync.Mutex // over the observer and finished
	finished := r.result.Resumed
	var wait sync.WaitGroup
	for range r.options.Parallel {
		wait.Go(func() {
			for j := range work {
				piece := datadropout.Event{Stage: StageRetrain, Kind: datadropout.KindTraining, Parts: len(known), What: fmt.Sprintf("%s, seed %d", j.what, j.seed)}
				var progress func(train.Progress)
				if r.options.Parallel == 1 { // else there is no one training to follow
					piece.Part = finished + 1
					r.start(piece)
					progress = r.trainProgress(piece)
				}
				began := time.Now()
				err := r.retrain(ctx, j, progress)
				if err != nil {
					cancel(fmt.Errorf("retraining for %s: %w", j.what, err))
					continue
				}
				talk.Lock()
				finished++
				piece.Part = finished
				r.done(piece, time.Since(began).Seconds())
				talk.Unlock()
			}
		})
	}
	for _, j := range missing {
		select {
		case work <- j:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	wait.Wait()
	return context.Cause(ctx)
}

func (r *runner) retrain(ctx context.Context, j retraining, progress func(train.Progress)) error {
	var m *train.Model
	var err error
	if split := r.Data.Split.Train; j.inPlace {
		weights := make([]float32, len(split))
		for i := range weights {
			weights[i] = 1
		}
		for _, i := range j.samples {
			weights[i] = 0
		}
		m, err = r.engine.TrainWeighted(ctx, r.Data.Images, split, weights, r.Config.Recipe, j.seed, progress)
	} else {
		m, err = r.engine.Train(ctx, r.Data.Images, r.kept(j.samples), r.Config.Recipe, j.seed, progress)
	}
	if err != nil {
		return err
	}
	measured, err := r.evaluate(ctx, m)
	if err != nil {
		return err
	}
	return r.cache.put(j.key, measured)
}

// evaluate measures a model on the score and the test split.
func (r *runner) evaluate(ctx context.Context, m *train.Model) (*Retraining, error) {
	score, err := r.engine.Evaluate(ctx, m, r.Data.Images, r.Data.Split.Score)
	if err != nil {
		return nil, err
	}
	test, err := r.engine.Evaluate(ctx, m, r.Data.Images, r.Data.Split.Test)
	if err != nil {
		return nil, err
	}
	return &Retraining{ScoreLoss: score.SampleLoss, TestLoss: test.SampleLoss, TestMetric: test.SampleMetric}, nil
}

// kept returns the positions of the training split less the samples, in ascending order.
func (r *runner) kept(samples []int) []int {
	all := r.Data.Split.Train
	kept := make([]int, 0, len(all)-len(samples))
	for i, position := range all {
		if len(samples) > 0 && samples[0] == i {
			samples = samples[1:]
			continue
		}
		kept = append(kept, position)
	}
	return kept
}

// key identifies the retraining without the samples from the k-th seed.
func (r *runner) key(samples []int, inPlace bool, k int) string {
	setting := r.setting
	if inPlace && len(samples) > 0 {
		setting += " in place"
	}
	return retrainingKey(setting, r.seed(k), r.kept(samples))
}

// without returns the retraining without the samples from the k-th seed.
func (r *runner) without(samples []int, inPlace bool, k int) (*Retraining, error) {
	found, err := r.cache.get(r.key(samples, inPlace, k))
	if err == nil && found == nil {
		err = fmt.Errorf("evidence: the retraining without %d samples from seed %d is gone from the cache", len(samples), r.seed(k))
	}
	return found, err
}

// Change is what dropping samples did to the means over the splits, averaged over the seeds: after minus before.
type Change struct {
	ScoreLoss  float64 `json:"score_loss"`
	TestLoss   float64 `json:"test_loss"`
	TestMetric float64 `json:"test_metric"`
}

// change returns what dropping the samples did. Every seed is compared with its own full training.
func (r *runner) change(samples []int, inPlace bool) (Change, error) {
	var c Change
	for k := range r.options.RetrainSeeds {
		after, err := r.without(samples, inPlace, k)
		if err != nil {
			return c, err
		}
		before, err := r.without(nil, false, k)
		if err != nil {
			return c, err
		}
		share := 1 / float64(r.options.RetrainSeeds)
		c.ScoreLoss += share * (mean(after.ScoreLoss) - mean(before.ScoreLoss))
		c.TestLoss += share * (mean(after.TestLoss) - mean(before.TestLoss))
		c.TestMetric += share * (mean(after.TestMetric) - mean(before.TestMetric))
	}
	return c, nil
}

// reportFull fills in the full trainings.
func (r *runner) reportFull() error {
	for k := range r.options.RetrainSeeds {
		full, err := r.without(nil, false, k)
		if err != nil {
			return err
		}
		r.result.Full = append(r.result.Full, FullResult{Seed: r.seed(k),
			ScoreLoss: mean(full.ScoreLoss), TestLoss: mean(full.TestLoss), TestMetric: mean(full.TestMetric)})
	}
	return nil
}

func mean(v []float32) float64 {
	wide := make([]float64, len(v))
	for i, x := range v {
		wide[i] = float64(x)
	}
	return stat.Mean(wide, nil)
}
