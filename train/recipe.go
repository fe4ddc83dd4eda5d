package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/internal/nearest"
)

// Recipe is how a round trains. Both rounds and all arms of a comparison share one.
type Recipe struct {
	// Epochs is the number of passes over the samples, at least 1.
	Epochs int `yaml:"epochs" json:"epochs"`
	// BatchSize is the number of samples of a step, at least 1. Fewer samples than that make one batch of all of them.
	BatchSize int `yaml:"batch_size" json:"batch_size"`
	// LearningRate is the largest learning rate, above 0.
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	// Momentum is the factor mu in [0, 1).
	Momentum float64 `yaml:"momentum" json:"momentum"`
	// WeightDecay is the factor wd of the L2 term (wd/2) |theta|^2, at least 0.
	WeightDecay float64 `yaml:"weight_decay" json:"weight_decay"`
	// Nesterov takes the momentum of Nesterov in place of the classical one; see the package comment.
	Nesterov bool `yaml:"nesterov,omitempty" json:"nesterov,omitempty"`
	// Schedule is "cosine", "linear", "step", "milestones" or "constant"; see [Recipe.Rate]. Empty means cosine.
	Schedule string `yaml:"schedule" json:"schedule"`
	// WarmupFraction is the share of the steps, in [0, 1), over which the learning rate rises linearly.
	WarmupFraction float64 `yaml:"warmup_fraction" json:"warmup_fraction"`
	// StepEvery is the number of epochs between two drops of the step schedule. 0 means two drops, after each third of the
	// training, whole epochs or not.
	StepEvery int `yaml:"step_every,omitempty" json:"step_every,omitempty"`
	// StepFactor in (0, 1] multiplies the learning rate at each drop of the step schedule and at each milestone. 0 means 0.1.
	StepFactor float64 `yaml:"step_factor,omitempty" json:"step_factor,omitempty"`
	// Milestones are where the learning rate drops in the milestones schedule, in ascending order: below 1 as shares of the
	// whole training, from 1 on in epochs.
	Milestones []float64 `yaml:"milestones,omitempty,flow" json:"milestones,omitempty"`
	// LabelSmoothing, the epsilon in [0, 1) of Szegedy et al. (CVPR 2016, section 7), makes the target of a training step
	// (1-epsilon) y + epsilon/K for K classes: of the loss that is trained for, and that influence differentiates, not of
	// what models are measured by. It is for the cross-entropy.
	LabelSmoothing float64 `yaml:"label_smoothing,omitempty" json:"label_smoothing,omitempty"`
	// Augmentation varies the samples that a training step sees, which the source must allow: see [dataset.Augmented].
	// Evaluation and scoring see them plain.
	Augmentation dataset.Augmentation `yaml:"augmentation,omitempty" json:"augmentation,omitzero"`
}

// mostEpochs bounds the epochs, so that steps can be counted.
const mostEpochs = 1_000_000

// Validate reports the first setting that is out of range.
func (r Recipe) Validate() error {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	switch {
	case r.Epochs < 1:
		return fmt.Errorf("epochs must be at least 1, got %d", r.Epochs)
	case r.Epochs > mostEpochs:
		return fmt.Errorf("epochs must be at most %d, got %d", mostEpochs, r.Epochs)
	case r.BatchSize < 1:
		return fmt.Errorf("the batch size must be at least 1, got %d", r.BatchSize)
	case !finite(r.LearningRate) || r.LearningRate <= 0:
		return fmt.Errorf("the learning rate must be above 0, got %v", r.LearningRate)
	case !finite(r.Momentum) || r.Momentum < 0 || r.Momentum >= 1:
		return fmt.Errorf("the momentum must lie in [0, 1), got %v", r.Momentum)
	case r.Nesterov && r.Momentum == 0:
		return fmt.Errorf("the momentum of Nesterov needs a momentum above 0")
	case !finite(r.WeightDecay) || r.WeightDecay < 0:
		return fmt.Errorf("the weight decay must not be negative, got %v", r.WeightDecay)
	case !finite(r.LabelSmoothing) || r.LabelSmoothing < 0 || r.LabelSmoothing >= 1:
		return fmt.Errorf("the label smoothing must lie in [0, 1), got %v", r.LabelSmoothing)
	case !finite(r.WarmupFraction) || r.WarmupFraction < 0 || r.WarmupFraction >= 1:
		return fmt.Errorf("the warmup fraction must lie in [0, 1), got %v", r.WarmupFraction)
	case r.StepEvery < 0:
		return fmt.Errorf("the epochs between two steps of the schedule must not be negative, got %d", r.StepEvery)
	case !finite(r.StepFactor) || r.StepFactor < 0 || r.StepFactor > 1:
		return fmt.Errorf("the step factor must lie in (0, 1], got %v", r.StepFactor)
	}
	if !slices.Contains(Schedules, r.Schedule) && r.Schedule != "" {
		return fmt.Errorf("unknown schedule %q%s", r.Schedule, nearest.Among(r.Schedule, Schedules))
	}
	if err := r.validateMilestones(); err != nil {
		return err
	}
	return r.Augmentation.Validate()
}

func (r Recipe) validateMilestones() error {
	switch {
	case r.Schedule != Milestones: // those of a recipe whose schedule was changed play no part
		return nil
	case len(r.Milestones) == 0:
		return fmt.Errorf("the schedule %s needs milestones", Milestones)
	}
	last := 0.0
	for _, m := range r.Milestones {
		switch at := r.share(m); {
		case !(m > 0) || at >= 1: // NaN is not above 0
			return fmt.Errorf("a milestone must lie within the training, (0, 1) as a share or [1, %d) in epochs, got %v", r.Epochs, m)
		case at <= last:
			return fmt.Errorf("milestones must ascend, %v comes too late", m)
		default:
			last = at
		}
	}
	return nil
}

// share returns a milestone as a share of the training.
func (r Recipe) share(milestone float64) float64 {
	if milestone < 1 {
		return milestone
	}
	return milestone / float64(r.Epochs)
}

// Steps returns the number of steps for n training samples: Epochs*n/BatchSize rounded down, at least 1, with the batch
// size that n samples allow.
func (r Recipe) Steps(n int) int {
	return max(1, r.Epochs*n/max(1, min(r.BatchSize, n)))
}

// MomentumFactor returns the momentum factor as [Engine.StepGraph] takes it: a scalar, or [1] for Nesterov's momentum.
func (r Recipe) MomentumFactor() *tensors.Tensor {
	if r.Nesterov {
		return tensors.FromFlatDataAndDimensions([]float32{float32(r.Momentum)}, 1)
	}
	return tensors.FromScalar(float32(r.Momentum))
}
