package evidence

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// StageRetrain is the stage of a study's retrainings, beside the stages of a run.
const StageRetrain = "retrain"

// Study is what removal effects are measured on: data, network, recipe and seeds, and the retrainings done so far.
type Study struct {
	// Config names the network, holds the recipe, the estimators' settings and the first seed, as datadropout.LoadData
	// resolved it; its estimator, rule and number of seeds play no part.
	Config  datadropout.Config
	Data    *datadropout.Data
	Backend compute.Backend
	// Cache is the folder of finished retrainings; empty means that they live and die with the run.
	Cache   string
	Observe datadropout.Observer
}

// runner is a run of a study.
type runner struct {
	Study
	options  Options
	network  *net.Network
	engine   *train.Engine
	cache    *cache
	setting  string // what retrainings are made of, but for seed and positions
	models   []*train.Model
	fresh    map[string]bool // the keys of the trainings of models
	scored   []scored
	training float64 // seconds
	result   *Result
}

// Check reports options that Run would refuse: ones that are out of range, or do not fit the data. It writes nothing.
func (s Study) Check(o Options) error {
	_, err := s.resolve(o)
	return err
}

// ErrDenoising says that a study is one of classification.
var ErrDenoising = usagef("scores are verified on images of classes; there is nothing yet that verifies those of denoising")

// resolve checks the options and fills in their defaults.
func (s Study) resolve(o Options) (Options, error) {
	if err := o.Validate(); err != nil {
		return o, err
	}
	for _, name := range o.Estimators {
		if err := s.Config.CheckRepeats(name, false); err != nil {
			return o, err
		}
	}
	if s.Data.Images == nil {
		return o, ErrDenoising
	}
	o = o.WithDefaults(s.Data.Planted(s.Data.Split.Train) > 0)
	if o.Parallel == 0 {
		threads := s.Config.Threads
		if threads == 0 {
			threads = runtime.GOMAXPROCS(0)
		}
		o.Parallel = max(1, threads/4)
	}
	return o, o.fits(s.Data)
}

// Run measures what the options ask for. Retrainings found in the cache are not repeated: an interrupted study continues
// to the same figures, bit for bit, but for seconds. Cancelling ctx stops between two steps and returns ctx's error.
// Options that do not fit the data are a *datadropout.UsageError. A solver that did not converge is no error: see
// [Result.Trusted].
func (s Study) Run(ctx context.Context, o Options) (*Result, error) {
	began := time.Now()
	o, err := s.resolve(o)
	if err != nil {
		return nil, err
	}
	images := s.Data.Images
	network, err := s.Config.NewNetwork(s.Config.Net, [3]int{images.Height, images.Width, images.Channels}, len(images.Classes))
	if err != nil {
		return nil, &datadropout.UsageError{Err: err}
	}
	setting, err := retrainingSetting(s.Config, s.Data)
	if err != nil {
		return nil, err
	}
	c, err := openCache(s.Cache)
	if err != nil {
		return nil, err
	}
	r := &runner{Study: s, options: o, network: network, cache: c, setting: setting, fresh: map[string]bool{}}
	r.engine = train.NewEngine(s.Backend, network, train.CrossEntropy{})
	r.engine.BoundDeviceMemory(s.Config.DeviceMemory)
	defer r.engine.Close()
	r.begin()
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	r.result.Seconds = time.Since(began).Seconds()
	r.result.PeakMemory = datadropout.PeakMemory()
	return r.result, nil
}

// retrainingSetting identifies what decides a retraining's bits but for its seed and its samples.
func retrainingSetting(c datadropout.Config, d *datadropout.Data) (string, error) {
	plain := datadropout.DefaultConfig()
	c.Estimator, c.Influence, c.Rule, c.Seeds = plain.Estimator, plain.Influence, plain.Rule, plain.Seeds
	return datadropout.Fingerprint(c, d)
}

func (r *runner) begin() {
	c, d := r.Config, r.Data
	r.result = &Result{
		Schema: 1, Version: datadropout.Version(), Task: c.Task,
		Data: datadropout.DataResult{Name: c.DataName(), Train: len(d.Split.Train), Val: len(d.Split.Score), Tune: len(d.Split.Tune),
			Test: len(d.Split.Test), Hash: d.Hash, Planted: d.Planted(d.Split.Train)},
		Net: datadropout.NetResult{Name: c.Net, Parameters: r.network.Size()}, Backend: c.Backend, Precision: c.Precision, Metric: train.CrossEntropy{}.Metric(),
		Seed: c.Seed, LabelNoise: c.LabelNoise, Recipe: c.Recipe, Influence: c.Influence, HyperParameters: FixedBefore,
		Options: r.options, Warnings: []string{},
	}
}

func (r *runner) run(ctx context.Context) error {
	if err := r.trainFull(ctx); err != nil {
		return err
	}
	if err := r.scoreAll(ctx); err != nil {
		return err
	}
	if err := r.retrainAll(ctx, r.plan()); err != nil {
		return err
	}
	if err := r.reportFull(); err != nil {
		return err
	}
	for k := range r.scored {
		e, err := r.measure(&r.scored[k])
		if err != nil {
			return err
		}
		r.result.Estimators = append(r.result.Estimators, e)
	}
	r.warn()
	return nil
}

// inPlace says whether loo and lds leave what is removed in its place, with weight 0.
func (r *runner) inPlace() bool { return r.options.Removal == ByWeight }

// seed returns the k-th seed.
func (r *runner) seed(k int) uint64 { return r.Config.Seed + uint64(k) }

func (r *runner) emit(e datadropout.Event) {
	if r.Observe != nil {
		r.Observe(e)
	}
}

// plan lists the sets of samples to drop in the retrainings of all tests, the empty set for the full trainings first.
func (r *runner) plan() []dropped {
	sets := []dropped{{what: "all samples"}}
	for _, test := range r.options.Tests {
		switch test {
		case LOO:
			sets = append(sets, r.looSets()...)
		case LDS:
			for _, f := range r.options.Fractions {
				sets = append(sets, r.ldsSets(f)...)
			}
		case Group:
			for _, f := range r.options.Fractions {
				sets = append(sets, r.groupSets(f)...)
			}
		}
	}
	return sets
}

// measure fills in the figures of one estimator from the retrainings, which are all there.
func (r *runner) measure(s *scored) (EstimatorResult, error) {
	e := EstimatorResult{Name: s.name, Calibrated: s.calibrated, Solver: s.solver, Seconds: s.seconds, Trainings: s.seconds / r.training}
	for _, test := range r.options.Tests {
		var err error
		switch test {
		case LOO:
			e.LOO, err = r.loo(s)
		case LDS:
			e.LDS, err = perFraction(r.options.Fractions, s, r.lds)
		case Group:
			e.Group, err = perFraction(r.options.Fractions, s, r.group)
		case Mislabel:
			e.Mislabel = r.mislabel(s)
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

func perFraction[T any](fractions []float64, s *scored, test func(*scored, float64) (T, error)) ([]T, error) {
	var all []T
	for _, f := range fractions {
		t, err := test(s, f)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// warn adds what limits the figures, in words.
func (r *runner) warn() {
	o, out := r.options, r.result
	if slices.Contains(o.Tests, LOO) && o.LOOGroup == 1 && r.Config.Net != "softmax" {
		out.Warnings = append(out.Warnings, fmt.Sprintf("The loss of %s is not convex: what leaving out a single sample does is "+
			"drowned in the noise of training, so loo says little here. Leave out groups, or read lds.", r.Config.Net))
	}
	for _, e := range out.Estimators {
		if !e.Solver.Converged {
			out.Warnings = append(out.Warnings, fmt.Sprintf("The solver of %s did not converge (%s): its figures are not those of the estimator.", e.Name, e.Solver.Message))
		}
	}
	if o.InfluenceSeeds < o.RetrainSeeds {
		out.Warnings = append(out.Warnings, fmt.Sprintf("Scores come from %d of the %d seeds that the retrainings are averaged over.", o.InfluenceSeeds, o.RetrainSeeds))
	}
	if r.training <= 0 {
		out.Warnings = append(out.Warnings, "The full training was too short to be timed.")
	}
}
