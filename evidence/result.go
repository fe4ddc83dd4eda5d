package evidence

import (
	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/train"
)

// Result is the content of verify.json. Keys stay; more may be added. Changes are in loss units, accuracies in 0..1; a
// figure that does not exist is null.
type Result struct {
	Schema  int                    `json:"schema"`
	Version string                 `json:"version"`
	Task    string                 `json:"task"`
	Data    datadropout.DataResult `json:"data"`
	Net     datadropout.NetResult  `json:"net"`
	Backend string                 `json:"backend"`
	// Precision is what products were computed in.
	Precision string `json:"precision,omitempty"`
	Metric    string `json:"metric"`
	// Seed is the first seed; LabelNoise the share of training labels planted wrong.
	Seed       uint64       `json:"seed"`
	LabelNoise float64      `json:"label_noise"`
	Recipe     train.Recipe `json:"recipe"`
	// Influence holds the settings of the estimators, and HyperParameters says how they and the recipe were fixed.
	Influence       influence.Options `json:"influence"`
	HyperParameters string            `json:"hyper_parameters"`
	Options         Options           `json:"options"`
	// Full holds the full training of every seed.
	Full []FullResult `json:"full"`
	// TrainingSeconds is what one full training took, in this process and alone: the unit of EstimatorResult.Trainings.
	TrainingSeconds float64 `json:"training_seconds"`
	// Retrainings is the number of distinct trainings behind the figures, beside those of the models that were scored, and
	// Resumed how many of them were read from the cache.
	Retrainings int `json:"retrainings"`
	Resumed     int `json:"resumed"`
	// Estimators holds the figures, in the order that they were asked for.
	Estimators []EstimatorResult `json:"estimators"`
	// Warnings says in words what limits the figures.
	Warnings []string `json:"warnings"`
	Seconds  float64  `json:"seconds"`
	// PeakMemory is the largest resident size of the process so far, in bytes.
	PeakMemory int64 `json:"peak_memory_bytes"`
}

// FixedBefore is what Result.HyperParameters says: no setting was picked on a figure of the study.
const FixedBefore = "as configured, before any retraining"

// FullResult is one training on all training samples.
type FullResult struct {
	Seed       uint64  `json:"seed"`
	ScoreLoss  float64 `json:"score_loss"`
	TestLoss   float64 `json:"test_loss"`
	TestMetric float64 `json:"test_metric"`
}

// EstimatorResult holds the cost and the quality of one estimator.
type EstimatorResult struct {
	Name string `json:"name"`
	// Calibrated says that the removal effects predict in loss units.
	Calibrated bool             `json:"calibrated"`
	Solver     influence.Solver `json:"solver"`
	// Seconds is what scoring one model took, without its training, and Trainings the same in full trainings.
	Seconds   float64 `json:"seconds"`
	Trainings float64 `json:"trainings"`
	// Tests that were not asked for are nil.
	LOO      *LOOResult      `json:"loo,omitempty"`
	LDS      []LDSResult     `json:"lds,omitempty"`
	Group    []GroupResult   `json:"group,omitempty"`
	Mislabel *MislabelResult `json:"mislabel,omitempty"`
}

// Trusted says whether every estimator's solver converged.
func (r *Result) Trusted() bool {
	for _, e := range r.Estimators {
		if !e.Solver.Converged {
			return false
		}
	}
	return true
}
