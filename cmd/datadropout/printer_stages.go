package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/report"
)

// line writes a JSON line, if that is what was asked for.
func (o *runOptions) line(w io.Writer, v any) bool {
	if o.json {
		_ = json.NewEncoder(w).Encode(v) // as in jsonPrinter
	}
	return o.json
}

// printTrained prints a row a seed: how round 1 fares.
func printTrained(w io.Writer, o *runOptions, metric report.Metric, trained []datadropout.RoundOne) {
	if o.line(w, struct {
		Type  string                 `json:"type"`
		Out   string                 `json:"out"`
		Seeds []datadropout.RoundOne `json:"seeds"`
	}{"trained", o.out, trained}) {
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	head := "seed\ttune " + metric.Name + "\ttune loss\t"
	if trained[0].TestMetric != nil {
		head += "test " + metric.Name + "\ttest loss\t"
	}
	fmt.Fprintln(t, head+"time")
	for _, r := range trained {
		fmt.Fprintf(t, "%d\t%s\t%.3f\t", r.Seed, metric.Value(r.TuneMetric, math.NaN()), r.TuneLoss)
		if r.TestMetric != nil {
			fmt.Fprintf(t, "%s\t%.3f\t", metric.Value(*r.TestMetric, math.NaN()), *r.TestLoss)
		}
		fmt.Fprintf(t, "%.1f s\n", r.Seconds)
	}
	t.Flush()
	o.next(w, "score --run")
}

// shownScores is how many samples the text shows; scores.csv has them all.
const shownScores = 5

// printScored prints how the scoring fared, and the most harmful samples.
func printScored(w io.Writer, o *runOptions, out *datadropout.Outcome) {
	if o.line(w, struct {
		Type string `json:"type"`
		Out  string `json:"out"`
		datadropout.InflResult
		Unfavorable int `json:"unfavorable"`
	}{"scored", o.out, out.Result.Infl, unfavorable(out)}) {
		return
	}
	r := out.Result
	fmt.Fprintf(w, "%s: %d of %d samples have a removal effect below zero\n", r.Infl.Estimator, unfavorable(out), r.Data.Train)
	if s := out.Solver; s.Iterations > 0 {
		fmt.Fprintf(w, "%d iterations to a relative residual of %.2g, damping %.3g\n", s.Iterations, s.Residual, s.Damping)
	}
	if out.Solver.Message != "" {
		fmt.Fprintln(w, out.Solver.Message)
	}
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	images := out.Data.Images // nil where images are restored
	fmt.Fprintln(t, map[bool]string{true: "\nmost harmful\tlabel\tdelta", false: "\nmost harmful\tdelta"}[images != nil])
	for _, place := range datadropout.MostHarmful(out.Estimates.Delta)[:min(shownScores, len(out.Estimates.Delta))] {
		p := out.Data.Split.Train[place]
		label := ""
		if images != nil {
			label = images.Classes[images.Labels[p]] + "\t"
		}
		fmt.Fprintf(t, "%s\t%s%+.3g\n", out.Data.Source().ID(p), label, out.Estimates.Delta[place])
	}
	t.Flush()
	fmt.Fprintf(w, "\nAll are in %s.\n", o.written(report.ScoresFile))
	o.next(w, "select --run")
}

func unfavorable(o *datadropout.Outcome) int {
	n := 0
	for _, d := range o.Estimates.Delta {
		if d < 0 {
			n++
		}
	}
	return n
}

// printSelected prints what is dropped and, where amounts were tried, what the tune split said of them.
func printSelected(w io.Writer, o *runOptions, out *datadropout.Outcome) {
	if o.line(w, struct {
		Type string `json:"type"`
		Out  string `json:"out"`
		datadropout.DropResult
	}{"selected", o.out, out.Result.Drop}) {
		return
	}
	if amounts := out.Result.Drop.Amounts; len(amounts) > 0 {
		t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
		metric := report.MetricOf(out.Result.Metric)
		fmt.Fprintf(t, "tried\tdropped\ttune %s\tchange of the tune loss\t\n", metric.Name)
		for _, a := range amounts {
			rule, chosen := a.Rule, ""
			if rule == "" {
				rule = "nothing"
			}
			if a.Chosen {
				chosen = "chosen"
			}
			fmt.Fprintf(t, "%s\t%d\t%s\t%+.4f ± %.4f\t%s\n", rule, a.Count, metric.Value(a.Metric, math.NaN()), a.LossChange, a.StandardError, chosen)
		}
		t.Flush()
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "Dropped: %s\n", report.Dropping(out))
	fmt.Fprintf(w, "They are in %s, the others in %s.\n", o.written(report.DropFile), o.written(report.KeepFile))
	o.next(w, "run --resume --out")
}
