package report

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
)

// ArmLine is one arm in a table: its name, the number of samples it trained on, and its test figures over seeds.
type ArmLine struct {
	Arm           string
	Samples       int
	Metric, Loss  float64 // means over seeds
	MetricSD      float64 // sample standard deviations over seeds; NaN with one seed
	LossSD        float64
	MetricPerSeed []float64
}

// ArmLines returns the arms that were trained, in the order of datadropout.Arms.
func ArmLines(o *datadropout.Outcome) []ArmLine { return armLines(&o.Result) }

func armLines(r *datadropout.Result) []ArmLine {
	var lines []ArmLine
	for _, arm := range datadropout.Arms {
		a := r.Arms[arm]
		if a == nil || len(a.TestMetric) == 0 {
			continue
		}
		n := r.Data.Train
		if arm != datadropout.Full {
			n -= r.Drop.Count
		}
		l := ArmLine{Arm: arm, Samples: n, MetricPerSeed: a.TestMetric}
		l.Metric, l.MetricSD = stat.MeanStdDev(a.TestMetric, nil)
		l.Loss, l.LossSD = stat.MeanStdDev(a.TestLoss, nil)
		lines = append(lines, l)
	}
	return lines
}

// seedsOf is the number of seeds behind a result.
func seedsOf(r *datadropout.Result) int {
	if full := r.Arms[datadropout.Full]; full != nil {
		return len(full.TestMetric)
	}
	return 0
}

// Percent writes an accuracy with its spread, such as "87.31 ± 0.42 %". A spread that is NaN is left out.
func Percent(mean, sd float64) string {
	if math.IsNaN(sd) {
		return fmt.Sprintf("%.2f %%", 100*mean)
	}
	return fmt.Sprintf("%.2f ± %.2f %%", 100*mean, 100*sd)
}

// PlusMinus writes a mean with its spread to three decimals. A spread that is NaN is left out.
func PlusMinus(mean, sd float64) string {
	if math.IsNaN(sd) {
		return fmt.Sprintf("%.3f", mean)
	}
	return fmt.Sprintf("%.3f ± %.3f", mean, sd)
}

// Points writes an effect on accuracy in percentage points with its interval and p value.
func Points(e datadropout.Effect) string {
	if math.IsNaN(float64(e.P)) {
		return fmt.Sprintf("%+.2f points (one seed: no interval)", 100*e.Difference)
	}
	return fmt.Sprintf("%+.2f points, 95 %% interval %+.2f to %+.2f, p = %.2g",
		100*e.Difference, 100*float64(e.CI95[0]), 100*float64(e.CI95[1]), float64(e.P))
}

// Verdict returns the verdict in a sentence, with what limits it.
func Verdict(o *datadropout.Outcome) string { return verdict(&o.Result) }

func verdict(r *datadropout.Result) string {
	e, seeds := r.Effect, seedsOf(r)
	var b strings.Builder
	switch e.Verdict {
	case datadropout.NothingDropped:
		return nothingDropped(r)
	case datadropout.Improved:
		fmt.Fprintf(&b, "Improved: dropping %d samples raised the test %s.", r.Drop.Count, r.Metric)
	case datadropout.Worse:
		fmt.Fprintf(&b, "Worse: dropping %d samples lowered the test %s.", r.Drop.Count, r.Metric)
	default:
		fmt.Fprintf(&b, "No significant change of the test %s after dropping %d samples.", r.Metric, r.Drop.Count)
		switch {
		case seeds == 1:
			b.WriteString(" One seed cannot show one; use at least three.")
		case e.MoreSeeds > 0:
			fmt.Fprintf(&b, " If the mean and the spread stay as they are, %d more would settle it.", e.MoreSeeds)
		}
	}
	if seeds == 2 {
		b.WriteString(" Two seeds make a wide interval.")
	}
	if !r.Infl.Solver.Converged {
		b.WriteString(" But the influence solver did not converge: do not trust which samples were dropped.")
	}
	return b.String()
}

func nothingDropped(r *datadropout.Result) string {
	if r.Drop.Unfavorable == 0 {
		return "Nothing dropped: no sample has a removal effect below zero."
	}
	for _, a := range r.Drop.Amounts {
		if len(a.SeedLossChanges) > 0 {
			return "Nothing dropped: what lowered the loss on the tune split at the first seed did not do so at all seeds by more than chance would."
		}
	}
	return "Nothing dropped: no amount lowered the loss on the tune split by more than chance would."
}

// Dropping returns a sentence on what was dropped and how many of the planted errors are in it.
func Dropping(o *datadropout.Outcome) string { return dropping(&o.Result) }

func dropping(r *datadropout.Result) string {
	d := r.Drop
	s := fmt.Sprintf("%d of %d samples (%.1f %%) by the rule %s; %d have a removal effect below zero",
		d.Count, r.Data.Train, 100*d.Fraction, d.Rule, d.Unfavorable)
	if planted := r.Data.Planted; planted > 0 && d.Count > 0 {
		s += fmt.Sprintf(". %d of the dropped are planted errors: %.0f %% of the dropped, %.0f %% of the %d planted",
			d.PlantedFound, 100*float64(d.PlantedFound)/float64(d.Count), 100*float64(d.PlantedFound)/float64(planted), planted)
	}
	return s + "."
}
