package datadropout

import "github.com/datadropout/datadropout/influence"

// Stages of a run, in order.
const (
	StageRound1    = "round1"
	StageInfluence = "influence"
	StageChoose    = "choose"
	StageRound2    = "round2"
	StageEvaluate  = "evaluate"
	StageExamine   = "examine"
)

// Kinds of work.
const (
	KindTraining    = "training"
	KindScores      = "scores"
	KindEvaluation  = "evaluation"
	KindExamination = "examination"
)

// Stages lists the stages in order.
var Stages = []string{StageRound1, StageInfluence, StageChoose, StageRound2, StageEvaluate, StageExamine}

// Event tells an observer what a run is doing.
type Event struct {
	// Type is "start" when a piece of work begins, "progress" while it goes on and "done" when it has ended; "measured" when a
	// trained model has been evaluated, which Split, Loss and Metric then tell of.
	Type string `json:"type"`
	// Stage is one of the Stage constants.
	Stage string `json:"stage"`
	// Kind is one of the Kind constants: what sort of work it is.
	Kind string `json:"kind"`
	// Part of Parts counts the pieces of the stage from 1: trainings, mostly.
	Part  int `json:"part"`
	Parts int `json:"parts"`
	// What describes the piece: an arm and its seed, an amount.
	What string `json:"what"`
	// Fraction of the piece that is done, 0 to 1.
	Fraction float64 `json:"fraction"`
	// Loss is the mean training loss of the epoch so far, and Rate the samples trained a second, while training. When done, both
	// are the last ones.
	Loss float64 `json:"loss,omitempty"`
	Rate float64 `json:"samples_per_second,omitempty"`
	// Seconds the piece took, when done. Resumed says that it was read from an earlier run instead.
	Seconds float64 `json:"seconds,omitempty"`
	Resumed bool    `json:"resumed,omitempty"`
	// Split, when measured, is "tune" or "test"; Metric is the metric there, such as the accuracy in 0..1, and Loss the loss.
	Split  string  `json:"split,omitempty"`
	Metric float64 `json:"metric,omitempty"`
	// Solver tells how the scores came about, when they are done.
	Solver *influence.Solver `json:"solver,omitempty"`
	// Summary is a line for people about what came out, when done.
	Summary string `json:"summary,omitempty"`
}

// Observer receives the events of a run, one at a time, in order.
type Observer func(Event)

func (o Observer) emit(e Event) {
	if o != nil {
		o(e)
	}
}

// Splits, as an event of the type "measured" and an error name them.
const (
	splitTrain = "train"
	splitScore = "score"
	splitTune  = "tune"
	splitTest  = "test"
)

// measured tells what the evaluation of a piece's model on a split gave.
func (o Observer) measured(piece Event, split string, loss, metric float64) {
	piece.Type, piece.Fraction, piece.Split, piece.Loss, piece.Metric = "measured", 1, split, loss, metric
	o.emit(piece)
}
