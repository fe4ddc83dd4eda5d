package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/evidence"
	"github.com/datadropout/datadropout/report"
)

// textPrinter writes the result as a table to stdout and progress to stderr: one line that is redrawn on a terminal, a
// plain line a finished piece elsewhere.
type textPrinter struct {
	stdout, stderr io.Writer
	quiet          bool
	terminal       bool
	open           bool // a line of progress is on the screen
	drawn          time.Time
}

const redrawEvery = 100 * time.Millisecond

func newTextPrinter(stdout, stderr io.Writer, quiet bool) *textPrinter {
	p := &textPrinter{stdout: stdout, stderr: stderr, quiet: quiet}
	if f, ok := stderr.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd()))
	}
	return p
}

func (p *textPrinter) begin(c datadropout.Config, d *datadropout.Data, dir string) {
	if p.quiet {
		return
	}
	fmt.Fprintf(p.stderr, "%s: %d training, %d score, %d tune, %d test samples", c.Data, c.Train, c.Score, c.Tune, c.Test)
	if d.Patches != nil {
		p.beginDenoising(c, d)
	} else if planted := d.Planted(d.Split.Train); planted > 0 {
		fmt.Fprintf(p.stderr, ", %d wrong labels planted", planted)
	}
	for _, note := range d.Notes() {
		fmt.Fprintf(p.stderr, "\nnote: %s", note)
	}
	fmt.Fprintf(p.stderr, "\n%s, %s of batches of %d, %s, into %s\n", c.Net, report.Counted(c.Recipe.Epochs, "epoch"), c.Recipe.BatchSize, report.Counted(c.Seeds, "seed"), dir)
}

// stageNames are the stages as people read them.
var stageNames = map[string]string{
	datadropout.StageRound1:    "round 1",
	datadropout.StageInfluence: "influence",
	datadropout.StageChoose:    "choose",
	datadropout.StageRound2:    "round 2",
	datadropout.StageEvaluate:  "evaluate",
	datadropout.StageExamine:   "examine",
	evidence.StageRetrain:      "retrain",
}

func (p *textPrinter) event(e datadropout.Event) {
	if p.quiet {
		return
	}
	head := fmt.Sprintf("%-9s %2d/%-2d %s", stageNames[e.Stage], e.Part, e.Parts, e.What)
	switch e.Type {
	case "start", "progress":
		if !p.terminal || (e.Type == "progress" && time.Since(p.drawn) < redrawEvery) {
			return
		}
		p.drawn, p.open = time.Now(), true
		line := fmt.Sprintf("%s %3.0f %%", head, 100*e.Fraction)
		if e.Rate > 0 {
			line += fmt.Sprintf(", %.0f samples/s, loss %.3f", e.Rate, e.Loss)
		}
		fmt.Fprintf(p.stderr, "\r\x1b[K%s", line)
	case "done":
		p.endProgress()
		line := fmt.Sprintf("%s: %.1f s", head, e.Seconds)
		if e.Resumed {
			line = head + ": done before"
		}
		if e.Summary != "" {
			line += ", " + e.Summary
		}
		fmt.Fprintln(p.stderr, line)
	}
}

func (p *textPrinter) endProgress() {
	if p.open {
		fmt.Fprint(p.stderr, "\r\x1b[K")
		p.open = false
	}
}

func (p *textPrinter) result(o *datadropout.Outcome, dir string) {
	w := p.stdout
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	m := report.MetricOf(o.Result.Metric)
	fmt.Fprintf(t, "arm\tsamples\ttest %s\ttest loss\n", m.Name)
	for _, l := range report.ArmLines(o) {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", l.Arm, l.Samples, m.Value(l.Metric, l.MetricSD), report.PlusMinus(l.Loss, l.LossSD))
	}
	t.Flush()
	fmt.Fprintln(w)
	if o.Result.Denoising != nil {
		p.testImages(&o.Result)
	}
	if len(o.Dropped) > 0 {
		fmt.Fprintf(w, "dropped - full:          %s\n", m.Effect(o.Result.Effect))
		fmt.Fprintf(w, "dropped - random:        %s\n", m.Effect(*o.Result.Control.Random))
		fmt.Fprintf(w, "dropped - highest_loss:  %s\n\n", m.Effect(*o.Result.Control.HighestLoss))
	}
	if gap := report.Gap(o); gap != "" {
		fmt.Fprintf(w, "Gain: %s\n", gap)
	}
	fmt.Fprintf(w, "Dropped: %s\n", report.Dropping(o))
	if guards := report.Guards(o); guards != "" {
		fmt.Fprintln(w, guards)
	}
	fmt.Fprintf(w, "Verdict: %s\n", report.Verdict(o))
	took := time.Duration(o.Result.Seconds.Total * float64(time.Second)).Round(time.Second / 10)
	if o.Result.Denoising != nil {
		fmt.Fprintf(w, "Took %s; %s has the removal effects, and datadropout denoise --run %s IMAGE applies the network\n", took, filepath.Join(dir, report.ScoresFile), dir)
		return
	}
	fmt.Fprintf(w, "Took %s; the page to look at is %s\n", took, filepath.Join(dir, report.PageFile))
}
