package datadropout

import (
	"context"
	"fmt"
	"time"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// Outcome is everything that a run found. Positions are positions in Data.Images.
type Outcome struct {
	Config Config
	Data   *Data
	Result Result
	// Scores holds the removal effect of every sample of the training split, in the order of Data.Split.Train.
	Scores *influence.Scores
	// Predicted and TrainLoss hold, in the same order, the class that round 1 predicts and the loss there.
	Predicted []int
	TrainLoss []float32
	// Dropped holds the dropped positions, the most harmful first; Kept the others in ascending order.
	Dropped, Kept []int
}

// Run carries out two-round training as configured: round 1 at every seed, removal effects from the model of the first
// seed, the choice of what to drop, round 2 and the control arms at every seed, and the comparison on the test split.
//
// Finished trainings are kept in the store, and found there are not repeated: an interrupted run continues to the same
// result, bit for bit. Cancelling ctx stops between two steps and returns ctx's error.
func Run(ctx context.Context, c Config, d *Data, backend compute.Backend, store Store, observe Observer) (*Outcome, error) {
	network, err := net.New(c.Net, [3]int{d.Images.Height, d.Images.Width, d.Images.Channels}, len(d.Images.Classes))
	if err != nil {
		return nil, &UsageError{Err: err}
	}
	rule, err := ParseRule(c.Rule)
	if err != nil {
		return nil, err
	}
	engine := train.NewEngine(backend, network, train.CrossEntropy{})
	defer engine.Close()
	r := &runner{
		config: c, data: d, rule: rule, backend: backend, network: network, engine: engine, store: store, observe: observe,
		out: &Outcome{Config: c, Data: d},
	}
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	return r.out, nil
}

type runner struct {
	config  Config
	data    *Data
	rule    Rule
	backend compute.Backend
	network *net.Network
	engine  *train.Engine
	store   Store
	observe Observer
	out     *Outcome
	times   TimesResult
	drop    DropResult
}

func (r *runner) run(ctx context.Context) error {
	kept := map[string][][]int{Full: make([][]int, r.config.Seeds)}
	for k := range r.config.Seeds {
		kept[Full][k] = r.data.Split.Train
		piece := Event{Stage: StageRound1, Part: k + 1, Parts: r.config.Seeds, What: fmt.Sprintf("all %d samples, seed %d", len(r.data.Split.Train), r.seed(k))}
		if _, err := r.train(ctx, armKey(Full, k), kept[Full][k], r.seed(k), piece, &r.times.Round1); err != nil {
			return err
		}
	}
	if err := r.score(ctx); err != nil {
		return err
	}
	if err := r.choose(ctx); err != nil {
		return err
	}
	if len(r.out.Dropped) > 0 {
		if err := r.selectControls(kept); err != nil {
			return err
		}
		if err := r.round2(ctx, kept); err != nil {
			return err
		}
	}
	return r.conclude(ctx, kept)
}

func (r *runner) seed(k int) uint64 { return r.config.Seed + uint64(k) }

func armKey(arm string, k int) string { return fmt.Sprintf("%s/%d", arm, k) }

// train returns the model of one training, from the store or anew, and adds the seconds it took to *total.
func (r *runner) train(ctx context.Context, key string, idx []int, seed uint64, piece Event, total *float64) (*train.Model, error) {
	m, seconds, found, err := r.store.Model(key)
	if err != nil {
		return nil, err
	}
	if !found {
		piece.Type = "start"
		r.observe.emit(piece)
		began := time.Now()
		m, err = r.engine.Train(ctx, r.data.Images, idx, r.config.Recipe, seed, func(p train.Progress) {
			e := piece
			e.Type, e.Fraction, e.Loss, e.Rate = "progress", float64(p.Step)/float64(p.Steps), p.Loss, p.SamplesPerSecond
			r.observe.emit(e)
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", piece.What, err)
		}
		seconds = time.Since(began).Seconds()
		if err := r.store.SaveModel(key, m, seconds); err != nil {
			return nil, err
		}
	}
	*total += seconds
	piece.Type, piece.Fraction, piece.Seconds, piece.Resumed = "done", 1, seconds, found
	r.observe.emit(piece)
	return m, nil
}

// score estimates the removal effects with the model of the first seed.
func (r *runner) score(ctx context.Context) error {
	m, _, _, err := r.store.Model(armKey(Full, 0))
	if err != nil {
		return err
	}
	evaluation, err := r.engine.Evaluate(ctx, m, r.data.Images, r.data.Split.Train)
	if err != nil {
		return err
	}
	r.out.Predicted, r.out.TrainLoss = evaluation.Predicted, evaluation.SampleLoss
	piece := Event{Stage: StageInfluence, Part: 1, Parts: 1,
		What: fmt.Sprintf("%s over %d training and %d score samples", r.config.Estimator, len(r.data.Split.Train), len(r.data.Split.Score))}
	scores, seconds, found, err := r.store.Scores()
	if err != nil {
		return err
	}
	if !found {
		estimator, err := influence.New(r.config.Estimator, r.config.Influence)
		if err != nil {
			return &UsageError{Err: err}
		}
		piece.Type = "start"
		r.observe.emit(piece)
		began := time.Now()
		scores, err = estimator.Score(ctx, &influence.Problem{
			Backend: r.backend, Net: r.network, Loss: train.CrossEntropy{}, Model: m, Recipe: r.config.Recipe,
			Source: r.data.Images, Train: r.data.Split.Train, Score: r.data.Split.Score, Seed: r.config.Seed, TrainSeed: r.config.Seed,
		}, func(done, total int) {
			e := piece
			e.Type, e.Fraction = "progress", float64(done)/float64(total)
			r.observe.emit(e)
		})
		if err != nil {
			return fmt.Errorf("influence by %s: %w", r.config.Estimator, err)
		}
		seconds = time.Since(began).Seconds()
		if err := r.store.SaveScores(scores, seconds); err != nil {
			return err
		}
	}
	r.times.Influence = seconds
	r.out.Scores = scores
	piece.Type, piece.Fraction, piece.Seconds, piece.Resumed = "done", 1, seconds, found
	piece.Summary = fmt.Sprintf("%d of %d samples unfavorable", unfavorable(scores.Delta), len(scores.Delta))
	r.observe.emit(piece)
	return nil
}

// round2 trains the dropped, random and highest_loss arms at every seed.
func (r *runner) round2(ctx context.Context, kept map[string][][]int) error {
	arms := []string{Dropped, Random, HighestLoss}
	parts := len(arms) * r.config.Seeds
	for a, arm := range arms {
		for k := range r.config.Seeds {
			piece := Event{Stage: StageRound2, Part: a*r.config.Seeds + k + 1, Parts: parts,
				What: fmt.Sprintf("%s, %d samples, seed %d", arm, len(kept[arm][k]), r.seed(k))}
			if _, err := r.train(ctx, armKey(arm, k), kept[arm][k], r.seed(k), piece, &r.times.Round2); err != nil {
				return err
			}
		}
	}
	return nil
}
