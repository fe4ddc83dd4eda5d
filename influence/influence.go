package influence

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/internal/nearest"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// Problem is what an estimator scores: a trained model, the samples it was trained on, and the samples whose mean loss
// is the target.
type Problem struct {
	Backend compute.Backend
	// Net is the network that was trained, in its precision: of one in bfloat16 (see [net.Network.BFloat16]) what repeats or continues the
	// training computes as it did, and derivatives at a model are those of the network in float32.
	Net   *net.Network
	Loss  train.Loss
	Model *train.Model
	// Recipe is what Model was trained with; its weight decay is part of the objective.
	Recipe train.Recipe
	// TrainSeed is the seed that Model was trained from, for estimators that repeat the training.
	TrainSeed uint64
	// Record is what was recorded while Model was trained, in the order of Train; see [Recording]. An estimator that wants
	// more than it holds, or of which there is none, repeats the training, and Solver.Message says so.
	Record *train.Record
	// Source holds all samples; Train and Score are positions in it, at least one each.
	Source       dataset.Source
	Train, Score []int
	// Batch is the number of samples evaluated at once; 0 means 128. Scores depend on it by rounding only.
	Batch int
	// Seed draws what an estimator draws at random, and the folds of Score.
	Seed uint64
	// Folds is the number of parts that Score is cut into for Scores.Folds; 0 and 1 mean none. Of a [dataset.Grouped] source a
	// group stays in one part, and there must be as many groups as parts, unless every score sample is a part.
	Folds int
	// Scratch, unless nil, keeps what is computed on the way, so that scoring continues where it was interrupted. It must be
	// that of this problem and estimator: of Source only the names of the samples are compared.
	Scratch Scratch
	// KeepEvery is the time after which the scratch is told again how far scoring is: what a kill may cost. 0 means only where ctx ends it,
	// beside what is kept at fixed places.
	KeepEvery time.Duration
	// ScratchDir is the folder for files that hold what does not fit in memory while scoring goes on, where Options.Disk allows
	// that; empty means the system's for temporary files.
	ScratchDir string
	// DeviceMemory bounds what is kept on the device while a training is repeated, in bytes, as where Model was trained; 0 means
	// [train.DefaultDeviceMemory]. The training set has it first ([train.Engine].BoundDeviceMemory), the steps of metagradient what is left
	// ([train.Bounds]); Options.Memory and Options.Disk are for the rest of them. A backend whose buffers are memory of the host has none.
	DeviceMemory int64

	// keeper is that of an estimation that goes on; nil without a scratch.
	keeper *keeper
}

const defaultBatch = 128

func (p *Problem) validate() error {
	if err := p.Model.Fits(p.Net); err != nil {
		return err
	}
	for _, split := range []struct {
		name      string
		positions []int
	}{{"train", p.Train}, {"score", p.Score}} {
		if len(split.positions) == 0 {
			return fmt.Errorf("influence: the %s split is empty", split.name)
		}
		for _, i := range split.positions {
			if i < 0 || i >= p.Source.Len() {
				return fmt.Errorf("influence: position %d of the %s split is outside the data set of %d samples", i, split.name, p.Source.Len())
			}
		}
	}
	if p.Folds < 0 || p.Folds > len(p.Score) {
		return fmt.Errorf("influence: %d score samples can't be cut into %d folds", len(p.Score), p.Folds)
	}
	if groups := p.scoreGroups(); groups != nil && p.Folds > len(groups) {
		return fmt.Errorf("influence: the score samples are of %d groups, which can't be cut into %d folds", len(groups), p.Folds)
	}
	if p.DeviceMemory < 0 {
		return fmt.Errorf("influence: the bound on the memory of the device must not be negative, got %d", p.DeviceMemory)
	}
	if p.Batch < 0 {
		return fmt.Errorf("influence: the batch size must not be negative, got %d", p.Batch)
	}
	return nil
}

// Scores are the removal effects of the training samples.
type Scores struct {
	// Delta holds the removal effect of every position of Problem.Train, in that order: the predicted change of the mean
	// loss on the scoring set if the sample is removed. Below zero, removing it lowers the loss.
	Delta []float64 `json:"delta"`
	// Folds holds the removal effects for the mean loss of each part of the scoring set, Folds[k][i] of sample i for part k,
	// where Problem.Folds asks for them and the estimator has the scoring set's loss for its target; else it is nil. Delta
	// is their mean, weighted with the sizes of the parts.
	Folds [][]float64 `json:"folds,omitempty"`
	// Calibrated says that Delta predicts in loss units. Otherwise only its sequence means something: lowest is the
	// least favorable.
	Calibrated bool `json:"calibrated"`
	// Solver says how the linear system was solved. It is converged with no iterations where there is none.
	Solver Solver `json:"solver"`
}

// Solver is the outcome of solving (H + lambda I) s = grad L_val.
type Solver struct {
	// Iterations is the number of iterations, of one curvature product each.
	Iterations int `json:"iterations"`
	// Residual is |grad L_val - (H + lambda I) s| / |grad L_val| of the solution that was used, computed from it anew.
	Residual float64 `json:"residual"`
	// Spread is the standard deviation over the repeats of a solver that draws, relative to their mean.
	Spread float64 `json:"spread,omitempty"`
	// LargestEigenvalue is that of H + lambda I, where the estimator measures it.
	LargestEigenvalue float64 `json:"largest_eigenvalue,omitempty"`
	// Damping is lambda: the recipe's weight decay plus the damping of the options.
	Damping float64 `json:"damping"`
	// Converged says that Residual is within the tolerance, or what the estimator has in its place.
	Converged bool `json:"converged"`
	// NegativeCurvature counts the directions p that were met with p^T (H + lambda I) p <= 0. cg stops at one.
	NegativeCurvature int `json:"negative_curvature"`
	// Samples is the number of training samples in the curvature.
	Samples int `json:"samples,omitempty"`
	// Smoothness compares predicted with true changes for perturbations of growing size, where the estimator checks that.
	Smoothness []Perturbation `json:"smoothness,omitempty"`
	// Message says in words why the solver did not converge, or what the estimator has to tell.
	Message string `json:"message,omitempty"`
}

// Estimator scores the training samples of a problem.
type Estimator interface {
	// Name is the name that [New] knows.
	Name() string
	// Score returns the removal effects. progress, which may be nil, is told of samples evaluated; total is an upper bound.
	// Cancelling ctx stops between two batches and returns its error. A solver that did not converge is no error: see
	// Solver.Converged. Numbers that are not finite are an error.
	Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error)
	// Work returns what Score evaluates, without evaluating anything; the model and the samples themselves are not looked at.
	Work(p *Problem) []Work
}

// Options are the settings of all estimators; each reads its own. The zero value means the defaults.
type Options struct {
	// Damping is added to the weight decay to make lambda. 0 means DefaultDamping or, for ekfac and self,
	// DefaultKroneckerDamping; a negative value, such as NoDamping, means none.
	Damping float64 `yaml:"damping,omitempty" json:"damping,omitempty"`
	// Curvature is "gauss-newton", the default, or "hessian".
	Curvature string `yaml:"curvature,omitempty" json:"curvature,omitempty"`
	// HessianSamples is the number of training samples, drawn by the seed, in the curvature. 0 means
	// DefaultHessianSamples; a negative value, such as AllSamples, means all of them.
	HessianSamples int `yaml:"hessian_samples,omitempty" json:"hessian_samples,omitempty"`
	// MaxIterations bounds the iterations of the solver. 0 means DefaultMaxIterations.
	MaxIterations int `yaml:"max_iterations,omitempty" json:"max_iterations,omitempty"`
	// Tolerance is the relative residual at which the solver stops. 0 means DefaultTolerance.
	Tolerance float64 `yaml:"tolerance,omitempty" json:"tolerance,omitempty"`
	// Preconditioner of cg is "none", the default, "diagonal" or "kronecker".
	Preconditioner string `yaml:"preconditioner,omitempty" json:"preconditioner,omitempty"`
	// Scale, Depth and Repeats are those of lissa. 0 means a scale from the measured largest eigenvalue, a depth that
	// brings the slowest component to the tolerance, and DefaultRepeats. One repeat shows no spread.
	Scale   float64 `yaml:"scale,omitempty" json:"scale,omitempty"`
	Depth   int     `yaml:"depth,omitempty" json:"depth,omitempty"`
	Repeats int     `yaml:"repeats,omitempty" json:"repeats,omitempty"`
	// Rank is the number of eigenpairs of arnoldi, which holds 2 Rank + 20 vectors of parameters. 0 means DefaultRank.
	Rank int `yaml:"rank,omitempty" json:"rank,omitempty"`
	// Memory bounds the host memory for the steps of a training that is repeated, in bytes; see [train.Bounds].
	// 0 means DefaultMemory. Scores do not depend on it, only time does.
	Memory int64 `yaml:"memory,omitempty" json:"memory,omitempty"`
	// Disk bounds a file for those steps that Memory has no room for, in bytes. 0 means none: they are computed again.
	Disk int64 `yaml:"disk,omitempty" json:"disk,omitempty"`
	// NoSmoothnessCheck leaves out the check of metagradient that training is smooth, three trainings; see Solver.Smoothness.
	NoSmoothnessCheck bool `yaml:"no_smoothness_check,omitempty" json:"no_smoothness_check,omitempty"`
	// Checkpoints is the number of checkpoints of training that tracin adds up over, no more than there are steps. 0 means
	// DefaultCheckpoints.
	Checkpoints int `yaml:"checkpoints,omitempty" json:"checkpoints,omitempty"`
}

// Defaults of Options.
//
// The damping was chosen on Fashion-MNIST and the procedural set with a fifth of wrong labels, on the networks cnn,
// lenet5 and softmax, where the largest eigenvalue of the Gauss-Newton matrix is 15 to 35. From 0.3 to 1 the sum of the
// removal effects of the most harmful twentieth, tenth and fifth comes nearest to what retraining without them does to
// the loss on held-out data, and the share of wrong labels among them is highest, at 1 a little more. At 0.01 the effects of such groups are predicted
// about four times too large: the expansion is of first order, and damping bounds how far it is followed. 1024
// samples give scores that separate wrong labels as well as all 4000 do; the solver then takes 10 to 20
// iterations.
const (
	DefaultDamping = 1.0
	// The Kronecker-factored curvature is block-diagonal and in a direction that matters smaller than the Gauss-Newton matrix: a
	// damping of 1 would drown it. On mlp, Fashion-MNIST, half of 5,000 samples dropped, the correlation with retraining was
	// 0.20, 0.29, 0.37 and 0.40 at 1, 0.1, 0.01 and 0.001.
	DefaultKroneckerDamping = 0.01
	DefaultHessianSamples   = 1024
	DefaultMaxIterations    = 100
	DefaultTolerance        = 1e-2
	DefaultRepeats          = 2
	DefaultRank             = 32
	DefaultMemory           = 1 << 30
	DefaultCheckpoints      = 5

	// NoDamping and AllSamples are values that mean what the zero value does not.
	NoDamping  = -1.0
	AllSamples = -1
)

// Curvatures that Options.Curvature names.
const (
	GaussNewton = "gauss-newton"
	Hessian     = "hessian"
)

func (o Options) validate() error {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	switch {
	case !finite(o.Damping):
		return fmt.Errorf("the damping must be a finite number, got %v", o.Damping)
	case o.Curvature != "" && o.Curvature != GaussNewton && o.Curvature != Hessian:
		return fmt.Errorf("unknown curvature %q%s", o.Curvature, nearest.Among(o.Curvature, []string{GaussNewton, Hessian}))
	case o.MaxIterations < 0:
		return fmt.Errorf("the most iterations must not be negative, got %d", o.MaxIterations)
	case !finite(o.Tolerance) || o.Tolerance < 0 || o.Tolerance >= 1:
		return fmt.Errorf("the tolerance must lie in [0, 1), got %v", o.Tolerance)
	case o.Preconditioner != "" && !slices.Contains(preconditioners, o.Preconditioner):
		return fmt.Errorf("unknown preconditioner %q%s", o.Preconditioner, nearest.Among(o.Preconditioner, preconditioners))
	case !finite(o.Scale) || o.Scale < 0:
		return fmt.Errorf("the scale must be a finite number above 0, got %v", o.Scale)
	case o.Depth < 0:
		return fmt.Errorf("the depth must not be negative, got %d", o.Depth)
	case o.Repeats < 0:
		return fmt.Errorf("the repeats must not be negative, got %d", o.Repeats)
	case o.Rank < 0:
		return fmt.Errorf("the rank must not be negative, got %d", o.Rank)
	case o.Memory < 0:
		return fmt.Errorf("the bound on memory must not be negative, got %d", o.Memory)
	case o.Disk < 0:
		return fmt.Errorf("the bound on disk must not be negative, got %d", o.Disk)
	case o.Checkpoints < 0:
		return fmt.Errorf("the number of checkpoints must not be negative, got %d", o.Checkpoints)
	}
	return nil
}

// WithDefaults returns the options of an estimator with their defaults in place of zero values, so that they mean the same whatever the
// defaults become; but for Memory and Disk, which no score depends on, and for Scale and Depth, which are measured where they are
// zero. Negative values keep their meaning.
func (o Options) WithDefaults(estimator string) Options {
	if o.Damping == 0 {
		o.Damping = DefaultDamping
		if estimator == "ekfac" || estimator == "self" {
			o.Damping = DefaultKroneckerDamping
		}
	}
	if o.Curvature == "" {
		o.Curvature = GaussNewton
	}
	if o.HessianSamples == 0 {
		o.HessianSamples = DefaultHessianSamples
	}
	if o.MaxIterations == 0 {
		o.MaxIterations = DefaultMaxIterations
	}
	if o.Tolerance == 0 {
		o.Tolerance = DefaultTolerance
	}
	if o.Checkpoints == 0 {
		o.Checkpoints = DefaultCheckpoints
	}
	if o.Preconditioner == "" {
		o.Preconditioner = NoPreconditioner
	}
	if o.Repeats == 0 {
		o.Repeats = DefaultRepeats
	}
	if o.Rank == 0 {
		o.Rank = DefaultRank
	}
	return o
}

var estimators = map[string]func(Options) Estimator{
	"arnoldi":      func(o Options) Estimator { return &arnoldi{o} },
	"aum":          func(Options) Estimator { return dynamics{"aum", areaUnderMargin} },
	"cg":           func(o Options) Estimator { return &conjugateGradient{o} },
	"ekfac":        func(o Options) Estimator { return &kroneckerFactored{options: o} },
	"el2n":         func(Options) Estimator { return dynamics{"el2n", errorNorm} },
	"forgetting":   func(Options) Estimator { return dynamics{"forgetting", forgettingEvents} },
	"gradcos":      func(Options) Estimator { return gradCos{} },
	"graddot":      func(Options) Estimator { return gradDot{} },
	"grand":        func(Options) Estimator { return gradNorm{} },
	"lissa":        func(o Options) Estimator { return &lissa{o} },
	"loss":         func(Options) Estimator { return highestLoss{} },
	"metagradient": func(o Options) Estimator { return &metagradient{o} },
	"random":       func(Options) Estimator { return random{} },
	"self":         func(o Options) Estimator { return &selfInfluence{o} },
	"tracin":       func(o Options) Estimator { return &tracIn{o} },
}

// HasTarget says whether the estimator of the name scores for the loss on the scoring set, and so for its folds: see
// Scores.Folds. The others rank by the training samples alone.
func HasTarget(name string) bool {
	return !slices.Contains([]string{"aum", "el2n", "forgetting", "grand", "loss", "random", "self"}, name)
}

// Repeats says whether the estimator of the name always carries out the training again, which has to end at the model that it is given, to the
// bit. Others do so where there is no record of the training; see [Recording].
func Repeats(name string) bool { return name == "metagradient" }

// Names lists the estimators that New knows, sorted.
func Names() []string {
	names := make([]string, 0, len(estimators))
	for name := range estimators {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// New returns the estimator of the name. An unknown name, or an option out of range, is an error.
func New(name string, o Options) (Estimator, error) {
	construct, ok := estimators[name]
	if !ok {
		return nil, fmt.Errorf("unknown estimator %q%s", name, nearest.Among(name, Names()))
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	o = o.WithDefaults(name)
	return resumable{construct(o), o}, nil
}

// finite returns an error that says what, where v is not all finite.
func finite(v []float64, what string) error {
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("influence: %s is not finite: element %d of %d is %v", what, i, len(v), x)
		}
	}
	return nil
}
