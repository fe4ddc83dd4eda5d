package evidence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/train"
)

// scored holds the removal effects of one estimator.
type scored struct {
	name       string
	calibrated bool
	solver     influence.Solver
	// delta holds the removal effect of every training sample, averaged over the scored seeds.
	delta   []float64
	seconds float64 // for one model
	// points[q] holds the removal effects for the loss of the q-th test sample alone; nil where the estimator has no target
	// or none are asked for. pointSeconds is what they took, for one model.
	points       [][]float64
	pointSeconds float64
}

// pointsAtOnce is the number of test samples whose removal effects are carried side by side. It bounds the memory: every
// one has vectors of the size of the network.
const pointsAtOnce = 10

// trainFull trains the models that are scored, each alone, so that the first gives the unit of cost.
func (r *runner) trainFull(ctx context.Context) error {
	n := len(r.Data.Split.Train)
	for k := range r.options.InfluenceSeeds {
		piece := datadropout.Event{Stage: datadropout.StageRound1, Kind: datadropout.KindTraining, Part: k + 1, Parts: r.options.InfluenceSeeds,
			What: fmt.Sprintf("all %d samples, seed %d", n, r.seed(k))}
		r.start(piece)
		began := time.Now()
		m, err := r.engine.Train(ctx, r.Data.Images, r.Data.Split.Train, r.Config.Recipe, r.seed(k), r.trainProgress(piece))
		if err != nil {
			return fmt.Errorf("%s: %w", piece.What, err)
		}
		seconds := time.Since(began).Seconds()
		r.training += seconds / float64(r.options.InfluenceSeeds)
		r.models = append(r.models, m)
		measured, err := r.evaluate(ctx, m)
		if err != nil {
			return err
		}
		key := r.key(nil, false, k)
		if err := r.cache.put(key, measured); err != nil {
			return err
		}
		r.fresh[key] = true
		r.done(piece, seconds)
	}
	r.result.TrainingSeconds = r.training
	return nil
}

// scoreAll scores the models with every estimator.
func (r *runner) scoreAll(ctx context.Context) error {
	for k, name := range r.options.Estimators {
		estimator, err := influence.New(name, r.Config.Influence)
		if err != nil {
			return &datadropout.UsageError{Err: err}
		}
		piece := datadropout.Event{Stage: datadropout.StageInfluence, Kind: datadropout.KindScores, Part: k + 1, Parts: len(r.options.Estimators), What: name}
		r.start(piece)
		s, err := r.score(ctx, estimator, func(done, total int) {
			p := piece
			p.Type, p.Fraction = "progress", float64(done)/float64(total)
			r.emit(p)
		})
		if err != nil {
			return fmt.Errorf("influence by %s: %w", name, err)
		}
		r.scored = append(r.scored, *s)
		r.done(piece, s.seconds+s.pointSeconds)
	}
	return nil
}

func (r *runner) score(ctx context.Context, e influence.Estimator, progress func(done, total int)) (*scored, error) {
	s := &scored{name: e.Name(), delta: make([]float64, len(r.Data.Split.Train)), solver: influence.Solver{Converged: true}}
	share := 1 / float64(len(r.models))
	for k, m := range r.models {
		began := time.Now()
		scores, err := e.Score(ctx, r.problem(m, k, r.Data.Split.Score, 0), progress)
		if err != nil {
			return nil, err
		}
		s.seconds += share * time.Since(began).Seconds()
		floats.AddScaled(s.delta, share, scores.Delta)
		s.calibrated = scores.Calibrated
		if k == 0 || s.solver.Converged && !scores.Solver.Converged {
			s.solver = scores.Solver
		}
		if r.options.PerPoint == 0 || !slices.Contains(r.options.Tests, LDS) {
			continue
		}
		began = time.Now()
		if err := r.scorePoints(ctx, e, m, k, s, share); err != nil {
			return nil, err
		}
		s.pointSeconds += share * time.Since(began).Seconds()
	}
	return s, nil
}

// scorePoints adds share times the removal effects of one model for the loss of each of the first test samples. Every one
// is a fold of its own of the scoring set. An estimator without folds has no target, and leaves points nil.
func (r *runner) scorePoints(ctx context.Context, e influence.Estimator, m *train.Model, seed int, s *scored, share float64) error {
	place := map[int]int{}
	for q, i := range r.Data.Split.Test[:r.options.PerPoint] {
		place[i] = q
	}
	for at := 0; at < r.options.PerPoint; at += pointsAtOnce {
		chunk := r.Data.Split.Test[at:min(at+pointsAtOnce, r.options.PerPoint)]
		score, folds := chunk, len(chunk)
		if folds == 1 {
			// One sample is no more than one fold, which no scores are kept for; with another one beside it there are two.
			other := r.Data.Split.Score[0]
			score, folds = []int{chunk[0], other}, 2
		}
		p := r.problem(m, seed, score, folds)
		scores, err := e.Score(ctx, p, nil)
		if err != nil {
			return err
		}
		if scores.Folds == nil {
			return nil
		}
		if s.points == nil {
			s.points = make([][]float64, r.options.PerPoint)
			for q := range s.points {
				s.points[q] = make([]float64, len(s.delta))
			}
		}
		for k, positions := range p.FoldPositions() {
			if q, ok := place[positions[0]]; ok {
				floats.AddScaled(s.points[q], share, scores.Folds[k])
			}
		}
		if s.solver.Converged && !scores.Solver.Converged {
			s.solver = scores.Solver
		}
	}
	return nil
}

// problem is the model of the k-th seed and what its training samples are scored by.
func (r *runner) problem(m *train.Model, k int, score []int, folds int) *influence.Problem {
	return &influence.Problem{
		Backend: r.Backend, Net: r.network, Loss: train.CrossEntropy{}, Model: m, Recipe: r.Config.Recipe, TrainSeed: r.seed(k),
		Source: r.Data.Images, Train: r.Data.Split.Train, Score: score, Seed: r.seed(k), Folds: folds,
		ScratchDir: r.Cache, DeviceMemory: r.Config.DeviceMemory,
	}
}

func (r *runner) start(e datadropout.Event) {
	e.Type = "start"
	r.emit(e)
}

func (r *runner) done(e datadropout.Event, seconds float64) {
	e.Type, e.Fraction, e.Seconds = "done", 1, seconds
	r.emit(e)
}

func (r *runner) trainProgress(piece datadropout.Event) func(train.Progress) {
	return func(p train.Progress) {
		e := piece
		e.Type, e.Fraction, e.Loss, e.Rate = "progress", float64(p.Step)/float64(p.Steps), p.Loss, p.SamplesPerSecond
		r.emit(e)
	}
}
