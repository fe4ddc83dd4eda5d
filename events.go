package datadropout

// Stages of a run, in order.
const (
	StageRound1    = "round1"
	StageInfluence = "influence"
	StageChoose    = "choose"
	StageRound2    = "round2"
	StageEvaluate  = "evaluate"
	StageExamine   = "examine"
)

// Event tells an observer what a run is doing.
type Event struct {
	// Type is "start" when a piece of work begins, "progress" while it goes on and "done" when it has ended.
	Type string `json:"type"`
	// Stage is one of the Stage constants.
	Stage string `json:"stage"`
	// Part of Parts counts the pieces of the stage from 1: trainings, mostly.
	Part  int `json:"part"`
	Parts int `json:"parts"`
	// What describes the piece: an arm and its seed, an amount.
	What string `json:"what"`
	// Fraction of the piece that is done, 0 to 1.
	Fraction float64 `json:"fraction"`
	// Loss is the mean training loss of the last steps, and Rate the samples trained a second, while training.
	Loss float64 `json:"loss,omitempty"`
	Rate float64 `json:"samples_per_second,omitempty"`
	// Seconds the piece took, when done. Resumed says that it was read from an earlier run instead.
	Seconds float64 `json:"seconds,omitempty"`
	Resumed bool    `json:"resumed,omitempty"`
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
