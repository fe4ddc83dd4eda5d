package datadropout

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/influence"
)

// stopwatch is the scratch of an estimation of scores that also keeps how long it has taken, so that the seconds of interrupted runs
// count: those up to what was kept last, for what came after is done again. A training keeps its own.
type stopwatch struct {
	influence.Scratch
	of     string // what the scores are made of
	before float64
	began  time.Time
	kept   time.Duration
}

const (
	stopwatchName = "seconds"
	// stopwatchStep is the time below which the seconds are not kept again.
	stopwatchStep = 50 * time.Millisecond
)

// spent is what is kept: other scores under the same key may have left theirs.
type spent struct {
	Of      string  `json:"of"`
	Seconds float64 `json:"seconds"`
}

// startStopwatch goes on from what is kept in the scratch, which may be nil.
func startStopwatch(scratch influence.Scratch, of string) (*stopwatch, error) {
	w := &stopwatch{Scratch: scratch, of: of, began: time.Now()}
	if scratch == nil {
		return w, nil
	}
	raw, ok, err := scratch.Load(stopwatchName)
	if !ok || err != nil {
		return w, err
	}
	var s spent
	// A damaged file is refused where a run directory is opened; here it is one that was never written.
	if body, whole := durable.Unseal(raw); whole && json.Unmarshal(body, &s) == nil && s.Of == of {
		w.before = s.Seconds
	}
	return w, nil
}

// scratch is the one to hand to the estimator; nil for nowhere.
func (w *stopwatch) scratch() influence.Scratch {
	if w.Scratch == nil {
		return nil
	}
	return w
}

func (w *stopwatch) seconds() float64 { return w.before + time.Since(w.began).Seconds() }

// Save implements influence.Scratch.
func (w *stopwatch) Save(name string, blob []byte) error {
	if err := w.Scratch.Save(name, blob); err != nil {
		return err
	}
	now := time.Since(w.began)
	if now-w.kept < stopwatchStep {
		return nil
	}
	w.kept = now
	var sealed bytes.Buffer
	if err := durable.Seal(&sealed, func(out io.Writer) error { return json.NewEncoder(out).Encode(spent{w.of, w.seconds()}) }); err != nil {
		return err
	}
	return w.Scratch.Save(stopwatchName, sealed.Bytes())
}
