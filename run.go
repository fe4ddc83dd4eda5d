package datadropout

import (
	"cmp"
	"context"
	"fmt"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// Outcome is everything that a run found. Positions are positions in Data.Source.
type Outcome struct {
	Config Config
	Data   *Data
	Result Result
	// Estimates holds the removal effect of every sample of the training split, in the order of Data.Split.Train, and
	// Solver the worst outcome of the solvers behind them.
	Estimates *Estimates
	Solver    influence.Solver
	// Calibrated says that the removal effects predict in loss units; otherwise only their sequence means something.
	Calibrated bool
	// Predicted and TrainLoss hold, in the same order, the class that round 1 predicts and the loss there.
	Predicted []int
	TrainLoss []float32
	// Dropped holds the dropped positions, the most harmful first; Kept the others in ascending order.
	Dropped, Kept []int
	// Curves holds the mean training loss of every epoch, Curves[arm][k] of an arm at seed number k.
	Curves map[string][][]float64
	// Examined holds what was found out about the samples to show.
	Examined Examined
}

// Run carries out two-round training as configured: round 1 at every seed, removal effects from the model of the first
// seed, the choice of what to drop, round 2 and the control arms at every seed, and the comparison on the test split.
//
// Finished trainings are kept in the store, and found there are not repeated: an interrupted run continues to the same
// result, bit for bit. Cancelling ctx stops between two steps and returns ctx's error.
func Run(ctx context.Context, c Config, d *Data, backend compute.Backend, store Store, observe Observer) (*Outcome, error) {
	r, err := newRunner(c, d, backend, store, observe, computing(backend, d.Loss(), c.DeviceMemory))
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	return r.out, nil
}

// newRunner prepares a run with the tools that carry it out.
func newRunner(c Config, d *Data, backend compute.Backend, store Store, observe Observer, with tools) (*runner, error) {
	rule, err := ParseRule(c.Rule)
	if err != nil {
		return nil, err
	}
	if n := len(d.Split.Score); c.ScoreFolds > n {
		return nil, usagef("the score split has %d samples, which can't be cut into %d folds", n, c.ScoreFolds)
	}
	if rule.Adaptive() && len(d.Split.Tune) < 2 {
		return nil, usagef("the rule %s chooses by the tune split, which needs at least 2 samples; it has %d", rule, len(d.Split.Tune))
	}
	if backend != nil && backend.HasSharedBuffers() { // which the data are loaded without knowing
		shared := c
		shared.DeviceMemory = 0
		if err := checkEstimatorMemory(&shared, d); err != nil {
			return nil, err
		}
	}
	r := &runner{
		config: c, data: d, rule: rule, backend: backend, store: store, observe: observe, tools: with,
		out: &Outcome{Config: c, Data: d}, trained: map[string]bool{},
	}
	if r.trainer, err = newTrainer(with, &c, d, c.Net, c.Recipe); err != nil {
		return nil, err
	}
	r.scored = r.trainer
	if c.InfluenceNet != "" || c.InfluenceRecipe != "" {
		recipe := c.Recipe
		if c.InfluenceRecipe != "" {
			recipe = train.Recipes[c.InfluenceRecipe]
		}
		if r.scored, err = newTrainer(with, &c, d, cmp.Or(c.InfluenceNet, c.Net), recipe); err != nil {
			r.engine.Close()
			return nil, err
		}
	}
	return r, nil
}

// close frees the engines.
func (r *runner) close() {
	r.engine.Close()
	if r.scored != r.trainer {
		r.scored.engine.Close()
	}
}

// trainer trains one network by one recipe, and records of it what the estimator wants if its models are scored.
type trainer struct {
	network *net.Network
	engine  engine
	recipe  train.Recipe
	record  train.Recording
}

func newTrainer(with tools, c *Config, d *Data, name string, recipe train.Recipe) (*trainer, error) {
	input, outputs := d.NetworkDims()
	network, err := c.NewNetwork(name, input, outputs)
	if err != nil {
		return nil, &UsageError{Err: err}
	}
	return &trainer{network: network, engine: with.engine(network), recipe: recipe}, nil
}

type runner struct {
	tools    tools
	*trainer          // of the arms
	scored   *trainer // of the models that removal effects are computed with
	config   Config
	data     *Data
	rule     Rule
	backend  compute.Backend
	store    Store
	observe  Observer
	out      *Outcome
	times    TimesResult
	drop     DropResult
	guard    *guard // of what is dropped, known when the removal effects are
	folds    int    // of the score split, behind the standard errors
	units    *units // what is dropped, where that is not single samples
	chosen   string // the fixed rule that an adaptive one has chosen
	// trained holds the keys of what this run has trained or found in the store.
	trained map[string]bool
}

// key names the training of an arm at seed number k. What an adaptive rule has chosen was trained when it was tried.
func (r *runner) key(arm string, k int) string {
	if arm == Dropped && r.chosen != "" {
		return trialKey(r.chosen, k)
	}
	return armKey(arm, k)
}

func (r *runner) run(ctx context.Context) error {
	if err := r.round1(ctx); err != nil {
		return err
	}
	if err := r.score(ctx); err != nil {
		return err
	}
	if err := r.choose(ctx); err != nil {
		return err
	}
	kept := map[string][][]int{}
	for range r.config.Seeds {
		kept[Full] = append(kept[Full], r.data.Split.Train)
	}
	if len(r.out.Dropped) > 0 {
		if err := r.selectControls(kept); err != nil {
			return err
		}
		if err := r.round2(ctx, kept); err != nil {
			return err
		}
	}
	if err := r.conclude(ctx, kept); err != nil {
		return err
	}
	return r.examine(ctx)
}

// round1 trains on all samples, at every seed and wherever a model is scored.
func (r *runner) round1(ctx context.Context) error {
	trainings := r.config.Seeds
	if r.scored == r.trainer {
		trainings = max(trainings, r.config.InfluenceSeeds)
	}
	for k := range trainings {
		piece := Event{Stage: StageRound1, Part: k + 1, Parts: trainings, What: fmt.Sprintf("all %d samples, seed %d", len(r.data.Split.Train), r.seed(k))}
		by := r.trainer
		if r.scored == r.trainer && k < r.config.InfluenceSeeds {
			by = r.recording()
		}
		if _, err := r.train(ctx, by, armKey(Full, k), r.data.Split.Train, r.seed(k), piece, &r.times.Round1); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) seed(k int) uint64 { return r.config.Seed + uint64(k) }

func armKey(arm string, k int) string { return fmt.Sprintf("%s/%d", arm, k) }

// train returns the model of one training, from the store or anew, and adds the seconds it took to *total, once.
func (r *runner) train(ctx context.Context, by *trainer, key string, idx []int, seed uint64, piece Event, total *float64) (*train.Model, error) {
	m, seconds, found, err := r.store.Model(key)
	if err != nil || found && r.trained[key] {
		return m, err
	}
	of := r.trainingOf(by, idx, seed)
	found = found && r.store.Of(key) == of
	r.trained[key] = true
	piece.Kind = KindTraining
	if !found {
		piece.Type = "start"
		r.observe.emit(piece)
		t, err := by.engine.TrainKept(ctx, r.data.Source(), idx, by.recipe, seed, by.record, train.Keep{Scratch: r.store.Scratch(key), Every: r.store.KeepEvery()}, func(p train.Progress) {
			piece.Type, piece.Fraction, piece.Loss, piece.Rate = "progress", float64(p.Step)/float64(p.Steps), p.Loss, p.SamplesPerSecond
			r.observe.emit(piece)
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", piece.What, err)
		}
		m, seconds = t.Model, t.Seconds
		if err := r.store.SaveCurve(key, t.Curve); err != nil {
			return nil, err
		}
		if t.Record != nil {
			if err := r.store.SaveRecord(key, t.Record); err != nil {
				return nil, err
			}
		}
		if err := r.store.SaveModel(key, of, m, seconds); err != nil {
			return nil, err
		}
	}
	*total += seconds
	piece.Type, piece.Fraction, piece.Seconds, piece.Resumed = "done", 1, seconds, found
	r.observe.emit(piece)
	return m, nil
}

// score estimates the removal effects with the models of the first seeds.
func (r *runner) score(ctx context.Context) error {
	m, _, _, err := r.store.Model(armKey(Full, 0))
	if err != nil {
		return err
	}
	evaluation, err := r.evaluate(ctx, m, Full, 0, splitTrain, r.data.Split.Train)
	if err != nil {
		return err
	}
	r.out.Predicted, r.out.TrainLoss = evaluation.Predicted, evaluation.SampleLoss
	var all []*influence.Scores
	for k := range r.config.InfluenceSeeds {
		s, err := r.scoreSeed(ctx, k)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	r.out.Estimates = Combine(all)
	r.scoreUnits(all)
	r.out.Solver, r.out.Calibrated = all[0].Solver, all[0].Calibrated
	for k, s := range all[1:] {
		if r.out.Solver.Converged && !s.Solver.Converged {
			r.out.Solver = s.Solver
			r.out.Solver.Message = fmt.Sprintf("seed %d: %s", r.seed(k+1), s.Solver.Message)
		}
	}
	r.folds = len(all[0].Folds)
	return nil
}

// recording is the trainer of the models that are scored, which records what the estimator wants.
func (r *runner) recording() *trainer {
	by := *r.scored
	by.record = influence.Recording(r.config.Estimator, r.config.Influence)
	return &by
}

// scoredKey is the key of the training whose model at seed number k is scored.
func (r *runner) scoredKey(k int) string {
	if r.scored == r.trainer {
		return armKey(Full, k)
	}
	return armKey("influence", k)
}

// scoredModel returns the model of seed number k that removal effects are computed with: that of round 1, or one trained for
// this purpose. Its seconds count as those of scoring.
func (r *runner) scoredModel(ctx context.Context, k int) (*train.Model, error) {
	if r.scored == r.trainer {
		m, _, _, err := r.store.Model(r.scoredKey(k))
		return m, err
	}
	piece := Event{Stage: StageInfluence, Part: k + 1, Parts: r.config.InfluenceSeeds, What: fmt.Sprintf("training %s, seed %d", r.scored.network.Name, r.seed(k))}
	return r.train(ctx, r.recording(), r.scoredKey(k), r.data.Split.Train, r.seed(k), piece, &r.times.Influence)
}

// scoreSeed returns the scores by the model of seed number k, from the store or anew.
func (r *runner) scoreSeed(ctx context.Context, k int) (*influence.Scores, error) {
	split := r.data.Split
	piece := Event{Stage: StageInfluence, Kind: KindScores, Part: k + 1, Parts: r.config.InfluenceSeeds,
		What: fmt.Sprintf("%s over %d training and %d score samples, seed %d", r.config.Estimator, len(split.Train), len(split.Score), r.seed(k))}
	key := fmt.Sprintf("scores/%d", k)
	scores, seconds, found, err := r.store.Scores(key)
	if err != nil {
		return nil, err
	}
	of := r.scoresOf(k)
	found = found && r.store.Of(key) == of
	if found && r.scored != r.trainer && r.store.Of(r.scoredKey(k)) == r.trainingOf(r.scored, split.Train, r.seed(k)) {
		if _, err := r.scoredModel(ctx, k); err != nil { // for the seconds it took
			return nil, err
		}
	}
	if !found {
		m, err := r.scoredModel(ctx, k)
		if err != nil {
			return nil, err
		}
		record, _, err := r.store.Record(r.scoredKey(k))
		if err != nil {
			return nil, err
		}
		estimator, err := r.tools.estimator(r.config.Estimator, r.config.Influence)
		if err != nil {
			return nil, &UsageError{Err: err}
		}
		piece.Type = "start"
		r.observe.emit(piece)
		watch, err := startStopwatch(r.store.Scratch(key), of)
		if err != nil {
			return nil, err
		}
		// Every seed scores the same folds, by the first seed.
		scores, err = estimator.Score(ctx, &influence.Problem{
			Backend: r.backend, Net: r.scored.network, Loss: r.data.Loss(), Model: m, Recipe: r.scored.recipe,
			Source: r.data.Source(), Train: split.Train, Score: split.Score, Seed: r.config.Seed, TrainSeed: r.seed(k),
			Folds: r.config.ScoreFolds, Record: record, Scratch: watch.scratch(), KeepEvery: r.store.KeepEvery(), ScratchDir: r.store.TempDir(),
			DeviceMemory: r.config.DeviceMemory,
		}, func(done, total int) {
			e := piece
			e.Type, e.Fraction = "progress", float64(done)/float64(total)
			r.observe.emit(e)
		})
		if err != nil {
			return nil, fmt.Errorf("influence by %s: %w", r.config.Estimator, err)
		}
		seconds = watch.seconds()
		if err := r.store.SaveScores(key, of, scores, seconds); err != nil {
			return nil, err
		}
	}
	r.times.Influence += seconds
	piece.Type, piece.Fraction, piece.Seconds, piece.Resumed = "done", 1, seconds, found
	piece.Summary = fmt.Sprintf("%d of %d samples unfavorable", unfavorable(scores.Delta), len(scores.Delta))
	piece.Solver = &scores.Solver
	r.observe.emit(piece)
	return scores, nil
}

// round2 trains the dropped, random and highest_loss arms at every seed. Where an adaptive rule has chosen, the dropped arm
// is what was trained to confirm the choice.
func (r *runner) round2(ctx context.Context, kept map[string][][]int) error {
	arms := []string{Dropped, Random, HighestLoss}
	if r.chosen != "" {
		arms = arms[1:]
	}
	parts := len(arms) * r.config.Seeds
	for a, arm := range arms {
		for k := range r.config.Seeds {
			piece := Event{Stage: StageRound2, Part: a*r.config.Seeds + k + 1, Parts: parts,
				What: fmt.Sprintf("%s, %d samples, seed %d", arm, len(kept[arm][k]), r.seed(k))}
			if _, err := r.train(ctx, r.trainer, r.key(arm, k), kept[arm][k], r.seed(k), piece, &r.times.Round2); err != nil {
				return err
			}
		}
	}
	return nil
}
