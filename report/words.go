package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
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
func Percent(mean, sd float64) string { return metrics["accuracy"].Value(mean, sd) }

// Counted writes a number with the noun it counts: "1 seed", "5 seeds", "3 patches".
func Counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "tch") {
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// PlusMinus writes a mean with its spread to three decimals. A spread that is NaN is left out.
func PlusMinus(mean, sd float64) string {
	if math.IsNaN(sd) {
		return fmt.Sprintf("%.3f", mean)
	}
	return fmt.Sprintf("%.3f ± %.3f", mean, sd)
}

// Verdict returns the verdict in a sentence, with what limits it.
func Verdict(o *datadropout.Outcome) string { return verdict(&o.Result) }

func verdict(r *datadropout.Result) string {
	e, seeds, m := r.Effect, seedsOf(r), MetricOf(r.Metric)
	dropped := droppedWords(r)
	var b strings.Builder
	switch e.Verdict {
	case datadropout.NothingDropped:
		return nothingDropped(r)
	case datadropout.Improved:
		fmt.Fprintf(&b, "Improved: dropping %s raised the test %s.", dropped, m.Name)
	case datadropout.Worse:
		fmt.Fprintf(&b, "Worse: dropping %s lowered the test %s.", dropped, m.Name)
	default:
		fmt.Fprintf(&b, "No significant change of the test %s after dropping %s.", m.Name, dropped)
		b.WriteString(power(e, seeds, m))
	}
	if seeds == 2 {
		b.WriteString(" Two seeds make a wide interval.")
	}
	if !r.Infl.Solver.Converged {
		b.WriteString(" But the influence solver did not converge: do not trust which samples were dropped.")
	}
	return b.String()
}

// headline splits a verdict into its first sentence and the others.
func headline(verdict string) (first, others string) {
	first, others, more := strings.Cut(verdict, ". ")
	if more {
		first += "."
	}
	return first, others
}

// power says what a result that is not significant leaves open: how many more seeds would likely settle it, and what as many as
// there are would likely have shown.
func power(e datadropout.Effect, seeds int, m Metric) string {
	if seeds == 1 {
		return " One seed cannot show one; use at least three."
	}
	s := ""
	switch {
	case math.IsNaN(float64(e.P)):
		return " All seeds changed by the same, which says nothing of how much chance there is; use more seeds."
	case e.MoreSeeds > 0:
		s = fmt.Sprintf(" %s would likely settle it, if the mean and the spread stay as they are.", Counted(e.MoreSeeds, "more seed"))
	case e.Difference != 0:
		s = " Not even 100 more seeds would likely settle it: the difference is too small beside its spread."
	}
	if d := float64(e.Detectable); d > 0 {
		s += fmt.Sprintf(" %s likely show a change of %s or more.", Counted(seeds, "seed"), strings.TrimPrefix(m.Difference(d), "+"))
	}
	return s
}

func nothingDropped(r *datadropout.Result) string {
	if r.Drop.Unfavorable == 0 {
		return fmt.Sprintf("Nothing dropped: no %s has a removal effect below zero.", SampleNoun(r))
	}
	if n := r.Drop.Guarded.Count; n > 0 && len(r.Drop.Amounts) == 0 {
		return fmt.Sprintf("Nothing dropped: the guards kept back %s, all that there was to try.", Counted(n, SampleNoun(r)))
	}
	for _, a := range r.Drop.Amounts {
		if len(a.SeedLossChanges) > 0 {
			return "Nothing dropped: what lowered the loss on the tune split at the first seed did not do so at the other seeds by more than chance would."
		}
	}
	return "Nothing dropped: no amount lowered the loss on the tune split by more than chance would."
}

// Dropping returns a sentence on what was dropped and how many of the planted errors are in it.
func Dropping(o *datadropout.Outcome) string { return dropping(&o.Result) }

func dropping(r *datadropout.Result) string {
	if r.Denoising != nil {
		return droppingPatches(r)
	}
	d := r.Drop
	have := "have"
	if d.Unfavorable == 1 {
		have = "has"
	}
	s := fmt.Sprintf("%d of %d samples (%.1f %%) by the rule %s; %d %s a removal effect below zero",
		d.Count, r.Data.Train, 100*d.Fraction, d.Rule, d.Unfavorable, have)
	if planted := r.Data.Planted; planted > 0 && d.Count > 0 {
		s += fmt.Sprintf(". %d of the dropped are planted errors: %.0f %% of the dropped, %.0f %% of the %d planted",
			d.PlantedFound, 100*float64(d.PlantedFound)/float64(d.Count), 100*float64(d.PlantedFound)/float64(planted), planted)
	}
	return s + "."
}

// Guards returns a sentence on what the guards kept back; empty where that is nothing.
func Guards(o *datadropout.Outcome) string { return guards(&o.Result) }

func guards(r *datadropout.Result) string {
	d := r.Drop
	g := d.Guarded
	if g.Count == 0 {
		return ""
	}
	var why []string
	number := func(n int, them string) string {
		if n == g.Count {
			return ""
		}
		return fmt.Sprintf("%d%s", n, them)
	}
	if g.UnstableSign > 0 {
		over := "folds of the score split"
		switch {
		case r.Infl.Folds > 1 && r.Infl.Seeds > 1:
			over += " or of the seeds"
		case r.Infl.Folds < 2:
			over = "seeds"
		}
		why = append(why, number(g.UnstableSign, " because ")+fmt.Sprintf("fewer than %.4g %% of the %s find them harmful", 100*d.MinSignAgreement, over))
	}
	if g.ClassShare > 0 {
		why = append(why, number(g.ClassShare, " because ")+fmt.Sprintf("every class is to keep %.4g %% of its samples", 100*d.MinClassShare))
	}
	s := fmt.Sprintf("The guards kept back %s that the rule would have dropped: %s.", Counted(g.Count, SampleNoun(r)), strings.Join(why, ", "))
	if len(g.Classes) > 0 {
		s += fmt.Sprintf(" By class: %s.", guardedClasses(r))
	}
	return s
}

// guardedClasses names the classes of what was kept back, those with the most first, and counts the rest.
func guardedClasses(r *datadropout.Result) string {
	const named = 6
	classes := slices.Clone(r.Drop.Guarded.Classes)
	count := func(c datadropout.GuardedClass) int { return c.UnstableSign + c.ClassShare }
	slices.SortStableFunc(classes, func(a, b datadropout.GuardedClass) int { return cmp.Compare(count(b), count(a)) })
	var words []string
	rest := 0
	for k, c := range classes {
		if k >= named {
			rest += count(c)
			continue
		}
		name := fmt.Sprint(c.Class)
		if c.Class < len(r.Data.Classes) {
			name = r.Data.Classes[c.Class]
		}
		words = append(words, fmt.Sprintf("%s %d", name, count(c)))
	}
	if rest > 0 {
		words = append(words, fmt.Sprintf("others %d", rest))
	}
	return strings.Join(words, ", ")
}

// corrected returns a sentence on the number of amounts tried and what it means for the p values; empty where fewer than two were.
func corrected(r *datadropout.Result) string {
	n := max(0, len(r.Drop.Amounts)-1)
	if n < 2 || r.Drop.Amounts[1].PHolm == nil {
		return ""
	}
	s := fmt.Sprintf("%d amounts were tried, so p, one-sided and of the first seed, is corrected for their number (Holm).", n)
	if r.Drop.Count > 0 {
		s += " On test no correction is needed: the amount was chosen on tune, and test was read once, for that one."
	}
	return s
}
