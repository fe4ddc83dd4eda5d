package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/evidence"
)

// jsonPrinter writes JSON lines, each with a type: begin, plan, start, progress, done, measured, result; see docs/events.md.
type jsonPrinter struct {
	encoder *json.Encoder
	now     func() time.Time
	told    time.Time // when progress was told last; zero after any other event
}

// progressEvery is how often progress is told at most.
const progressEvery = 200 * time.Millisecond

func newJSONPrinter(w io.Writer) *jsonPrinter {
	return &jsonPrinter{encoder: json.NewEncoder(w), now: time.Now}
}

func (p *jsonPrinter) begin(c datadropout.Config, d *datadropout.Data, dir string) {
	p.write(struct {
		Type  string   `json:"type"`
		Data  string   `json:"data"`
		Hash  string   `json:"data_hash"`
		Train int      `json:"train"`
		Score int      `json:"score"`
		Tune  int      `json:"tune"`
		Test  int      `json:"test"`
		Net   string   `json:"net"`
		Seeds int      `json:"seeds"`
		Out   string   `json:"out"`
		Notes []string `json:"notes,omitempty"`
	}{"begin", c.Data, d.Hash, c.Train, c.Score, c.Tune, c.Test, c.Net, c.Seeds, dir, d.Notes()})
}

func (p *jsonPrinter) event(e datadropout.Event) {
	if e.Type != "progress" {
		p.told = time.Time{}
	} else if now := p.now(); now.Sub(p.told) < progressEvery {
		return
	} else {
		p.told = now
	}
	p.write(e)
}

func (p *jsonPrinter) plan(e *estimate, c datadropout.Config) { p.write(planEvent(e, c)) }

func (p *jsonPrinter) endProgress() {}

func (p *jsonPrinter) result(o *datadropout.Outcome, dir string) {
	p.write(struct {
		Type string `json:"type"`
		Out  string `json:"out"`
		datadropout.Result
	}{"result", dir, o.Result})
}

func (p *jsonPrinter) verified(r *evidence.Result, dir string) {
	p.write(struct {
		Type string `json:"type"`
		Out  string `json:"out"`
		*evidence.Result
	}{"result", dir, r})
}

// write drops errors: a reader that has gone away does not stop a run whose results are on disk.
func (p *jsonPrinter) write(v any) { _ = p.encoder.Encode(v) }
