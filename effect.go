package datadropout

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Verdicts of an [Effect].
const (
	Improved            = "improved"
	NoSignificantChange = "no significant change"
	Worse               = "worse"
	NothingDropped      = "nothing dropped"
)

// Effect is a paired comparison over seeds: what an arm gains over another in the test metric.
type Effect struct {
	// Difference is the mean over seeds of the paired difference, in the metric's units (accuracy: 0..1).
	Difference float64 `json:"metric_difference"`
	// CI95 is the 95 % interval of the mean difference by Student's t with seeds-1 degrees of freedom.
	// With one seed there is no interval, nor where all seeds differ by the same, which says that a metric in steps has tied or that
	// the seeds are no different trainings: both ends are NaN in Go and null in JSON.
	CI95 Interval `json:"ci95"`
	// P is the two-sided p value of the paired t test; NaN (null) where there is no interval.
	P Number `json:"p_value"`
	// Verdict is one of the constants above.
	Verdict string `json:"verdict"`
	// MoreSeeds is how many further seeds would likely settle it: give the test a power of 80 % if the true difference and
	// deviation are those found (see [Power]). 0 when the interval excludes zero already, -1 when a hundred would not do.
	MoreSeeds int `json:"more_seeds"`
	// Detectable is the true difference that this many seeds likely show, with a power of 80 % at the deviation found; NaN (null)
	// where there is no interval.
	Detectable Number `json:"detectable_difference"`
}

// significance is the level of the two-sided test and one minus the coverage of the interval.
const significance = 0.05

// PairedEffect compares two arms seed by seed: a[k] and b[k] are the test metrics at seed k, higher is better.
// The difference is a minus b. It panics if the lengths differ or are zero.
//
// The interval is mean +- t(1-0.05/2, n-1) s/sqrt(n), with s the sample standard deviation of the differences.
func PairedEffect(a, b []float64) Effect {
	if len(a) != len(b) || len(a) == 0 {
		panic(fmt.Sprintf("datadropout: PairedEffect of %d and %d values", len(a), len(b)))
	}
	n := len(a)
	diff := minus(a, b)
	mean := stat.Mean(diff, nil)
	e := Effect{Difference: mean, Verdict: NoSignificantChange, MoreSeeds: -1}
	s := pairedDeviation(diff)
	if math.IsNaN(s) {
		e.CI95 = Interval{Number(math.NaN()), Number(math.NaN())}
		e.P, e.Detectable = Number(math.NaN()), Number(math.NaN())
		return e
	}
	e.Detectable = Number(detectable(s, n))
	half := halfWidth(s, n)
	e.CI95 = Interval{Number(mean - half), Number(mean + half)}
	e.P = Number(pairedP(mean, s, n))
	switch {
	case mean-half > 0:
		e.Verdict, e.MoreSeeds = Improved, 0
	case mean+half < 0:
		e.Verdict, e.MoreSeeds = Worse, 0
	default:
		e.MoreSeeds = moreSeeds(mean, s, n)
	}
	return e
}

// pairedDeviation is the standard deviation of paired differences. It is NaN where they do not say what it is: a single one, or several that
// are the same, but for rounding, and not zero.
func pairedDeviation(differences []float64) float64 {
	if len(differences) < 2 {
		return math.NaN()
	}
	mean, s := stat.MeanStdDev(differences, nil)
	if mean != 0 && s <= 1e-9*math.Abs(mean) {
		return math.NaN()
	}
	return s
}

func halfWidth(s float64, n int) float64 {
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}
	return t.Quantile(1-significance/2) * s / math.Sqrt(float64(n))
}

func pairedP(mean, s float64, n int) float64 {
	if s == 0 {
		return 1 // and so is the mean
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}
	return 2 * t.Survival(math.Abs(mean)/(s/math.Sqrt(float64(n))))
}
