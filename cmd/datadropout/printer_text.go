package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/evidence"
	"github.com/datadropout/datadropout/report"
	"github.com/datadropout/datadropout/train"
)

// textPrinter writes the result as a table to stdout and progress to stderr. On a terminal that is a line a stage, drawn again
// while the stage goes on; elsewhere, and when asked for more, a line for every piece that is finished.
type textPrinter struct {
	stdout         io.Writer
	screen         *screen
	quiet, verbose bool
	progress       progress
	metric         report.Metric
	told           time.Time // when the line was drawn last or, without a terminal, a line was written
}

const (
	redrawEvery = 100 * time.Millisecond
	// tellEvery is how often a piece that takes long is told of where no line can be drawn again.
	tellEvery = time.Minute
)

func newTextPrinter(stdout, stderr io.Writer, v verbosity) *textPrinter {
	return &textPrinter{
		stdout: stdout, screen: newScreen(stderr, os.Getenv), quiet: v.quiet, verbose: v.verbose,
		progress: progress{now: time.Now, metric: -1}, metric: report.MetricOf(train.CrossEntropy{}.Metric()),
	}
}

func (p *textPrinter) begin(c datadropout.Config, d *datadropout.Data, dir string) {
	p.metric = report.MetricOf(d.Loss().Metric())
	if p.quiet {
		return
	}
	p.screen.print(splitLine(c, d))
	for _, note := range d.Notes() {
		p.screen.print("note: " + note)
	}
	p.screen.print(fmt.Sprintf("%s, %s of batches of %d, %s, into %s", c.Net, report.Counted(c.Recipe.Epochs, "epoch"), c.Recipe.BatchSize, report.Counted(c.Seeds, "seed"), dir))
}

func splitLine(c datadropout.Config, d *datadropout.Data) string {
	line := fmt.Sprintf("%s: %d training, %d score, %d tune, %d test samples", c.DataName(), c.Train, c.Score, c.Tune, c.Test)
	if d.Patches != nil {
		return line + denoisingWords(c, d)
	}
	if planted := d.Planted(d.Split.Train); planted > 0 {
		line += fmt.Sprintf(", %d wrong labels planted", planted)
	}
	return line
}

func (p *textPrinter) plan(e *estimate, _ datadropout.Config) {
	p.progress.estimate = e
	if p.quiet {
		return
	}
	p.screen.print(e.short())
	for _, line := range e.cutLines() {
		p.screen.print(line)
	}
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
	if e.Stage != p.progress.stage {
		p.finishStage()
		for _, stage := range p.progress.skipped(e.Stage) {
			p.screen.print(p.screen.paint(bold, p.label(stage)) + " nothing to train")
		}
	}
	p.progress.at(e)
	now, folded := p.progress.now(), p.screen.redraws() && !p.verbose
	switch e.Type {
	case "start", "progress":
		every := redrawEvery
		if !p.screen.redraws() {
			every = tellEvery
		}
		if now.Sub(p.told) < every {
			return
		}
		switch {
		case p.screen.redraws():
			p.screen.draw(p.line(e))
		case p.told.IsZero():
		default:
			p.screen.print(p.piece(e) + ": " + strings.Join(append(p.figures(e), p.leftWords()...), ", "))
		}
		p.told = now
	case "done":
		if !folded {
			p.screen.print(p.done(e))
			p.solver(e)
			p.told = now
		}
	case "measured":
		if p.verbose {
			p.screen.print(fmt.Sprintf("%s: %s, loss %.4f on the %s split", p.piece(e), p.metricWords(e.Metric), e.Loss, e.Split))
		}
	}
}

// metricWords writes a value of the metric with its name.
func (p *textPrinter) metricWords(v float64) string {
	return p.metric.Name + " " + p.metric.Value(v, math.NaN())
}

// label is the stage with its place in the run.
func (p *textPrinter) label(stage string) string {
	name := stageNames[stage]
	if i, n := p.progress.place(stage); n > 0 {
		return fmt.Sprintf("%d/%d %-9s", i, n, name)
	}
	return fmt.Sprintf("%-9s", name)
}

// piece is the stage and the piece of it that an event is about.
func (p *textPrinter) piece(e datadropout.Event) string {
	return fmt.Sprintf("%s %2d/%-2d %s", p.label(e.Stage), e.Part, e.Parts, e.What)
}

// figures are what is known of a training.
func (p *textPrinter) figures(e datadropout.Event) []string {
	var f []string
	if e.Type != "done" {
		f = append(f, fmt.Sprintf("%.0f %%", 100*e.Fraction))
	}
	if e.Rate > 0 {
		f = append(f, fmt.Sprintf("%.0f samples/s, loss %.3f", e.Rate, e.Loss))
	}
	return f
}

// done is the line of a piece that is finished.
func (p *textPrinter) done(e datadropout.Event) string {
	parts := []string{duration(seconds(e.Seconds))}
	if e.Resumed {
		parts = []string{"done before"}
	}
	parts = append(parts, p.figures(e)...)
	if e.Summary != "" {
		parts = append(parts, e.Summary)
	}
	return p.piece(e) + ": " + strings.Join(append(parts, p.leftWords()...), ", ")
}

// solver tells how scores came about, when asked for more.
func (p *textPrinter) solver(e datadropout.Event) {
	if !p.verbose || e.Solver == nil {
		return
	}
	s := e.Solver
	line := fmt.Sprintf("%s solver: %s, residual %.2g, damping %.3g", p.label(e.Stage), report.Counted(s.Iterations, "iteration"), s.Residual, s.Damping)
	if !s.Converged {
		line += ", not converged"
	}
	if s.Message != "" {
		line += ": " + s.Message
	}
	p.screen.print(line)
	for _, c := range s.Smoothness {
		p.screen.print(fmt.Sprintf("%s smoothness: %d samples at weight 0 change the loss by %.4f, predicted %.4f", p.label(e.Stage), c.Samples, c.True, c.Predicted))
	}
}

// line is what is drawn while a stage goes on.
func (p *textPrinter) line(e datadropout.Event) string {
	g := &p.progress
	count := fmt.Sprintf("%d/%d", e.Part, e.Parts)
	if n := g.trainings(); n > 0 && e.Kind == datadropout.KindTraining && e.Stage != datadropout.StageInfluence {
		count = fmt.Sprintf("%d/%d", min(n, g.pieces+1), n)
	}
	parts := []string{fmt.Sprintf("%3.0f %%", 100*g.fraction), count}
	if e.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%.0f/s loss %.3f", e.Rate, e.Loss))
	}
	if g.metric >= 0 {
		parts = append(parts, p.metricWords(g.metric))
	}
	line := p.screen.paint(bold, p.label(e.Stage)) + " " + p.bar(g.fraction) + " " + strings.Join(parts, "  ")
	if left := p.leftWords(); len(left) > 0 {
		line += "  " + p.screen.paint(dim, strings.Join(left, ", "))
	}
	return line + "  " + e.What
}

const progressWidth = 20

func (p *textPrinter) bar(fraction float64) string {
	full := int(fraction*progressWidth + 0.5)
	return "[" + p.screen.paint(green, strings.Repeat("#", full)) + strings.Repeat("-", progressWidth-full) + "]"
}

// shortest is the time left below which nothing is said of it.
const shortest = 50 * time.Millisecond

// leftWords tells how long stage and run still take.
func (p *textPrinter) leftWords() []string {
	stage, run := p.progress.left()
	var words []string
	if stage > shortest {
		words = append(words, duration(stage)+" left")
	}
	if run > shortest && run > stage {
		words = append(words, "run "+duration(run))
	}
	if len(words) == 1 && stage <= shortest {
		words[0] += " left"
	}
	return words
}

// finishStage leaves a line about the stage that has ended, where its pieces have none.
func (p *textPrinter) finishStage() {
	g := &p.progress
	if g.stage == "" || p.quiet || !p.screen.redraws() || p.verbose {
		return
	}
	noun := "training"
	if g.last.Kind != datadropout.KindTraining {
		noun = "part"
	}
	var parts []string
	if n := g.pieces; n > 0 && (noun == "training" || n > 1) {
		parts = append(parts, report.Counted(n, noun))
	}
	if g.resumed > 0 {
		parts = append(parts, fmt.Sprintf("%d done before", g.resumed))
	}
	parts = append(parts, duration(g.elapsed()))
	if g.rate > 0 {
		parts = append(parts, fmt.Sprintf("%.0f samples/s, loss %.3f", g.rate, g.loss))
	}
	if g.metric >= 0 {
		parts = append(parts, "last "+p.metricWords(g.metric))
	}
	if g.last.Summary != "" {
		parts = append(parts, g.last.Summary)
	}
	if s := g.last.Solver; s != nil && s.Iterations > 0 {
		parts = append(parts, fmt.Sprintf("%s, residual %.2g", report.Counted(s.Iterations, "iteration"), s.Residual))
	}
	p.screen.print(p.screen.paint(bold, p.label(g.stage)) + " " + strings.Join(parts, ", "))
}

func (p *textPrinter) endProgress() { p.screen.clear() }

func (p *textPrinter) result(o *datadropout.Outcome, dir string) {
	p.finishStage()
	w := p.stdout
	if !p.quiet {
		fmt.Fprintln(w)
	}
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	m := report.MetricOf(o.Result.Metric)
	samples := "samples"
	if o.Result.Denoising != nil {
		samples = "patches"
	}
	fmt.Fprintf(t, "arm\t%s\ttest %s\ttest loss\n", samples, m.Name)
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
	took := duration(seconds(o.Result.Seconds.Total))
	if o.Result.Denoising != nil {
		fmt.Fprintf(w, "Took %s; the page to look at is %s, and datadropout denoise --run %s IMAGE applies the network\n", took, filepath.Join(dir, report.PageFile), durable.ShellWord(dir))
		return
	}
	fmt.Fprintf(w, "Took %s; the page to look at is %s\n", took, filepath.Join(dir, report.PageFile))
}
