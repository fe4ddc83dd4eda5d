package report

import (
	"fmt"
	"math"

	"github.com/datadropout/datadropout"
)

// MetricWords writes a mean of the metric with its spread; see [Metric].
func MetricWords(metric string, mean, sd float64) string { return MetricOf(metric).Value(mean, sd) }

// EffectWords writes a difference of the metric with its 95 % interval, short and without its unit.
func EffectWords(metric string, e datadropout.Effect) string {
	m := MetricOf(metric)
	words := m.Signed(e.Difference)
	if math.IsNaN(float64(e.CI95[0])) || math.IsNaN(float64(e.CI95[1])) {
		return words
	}
	return fmt.Sprintf("%s [%s, %s]", words, m.Signed(float64(e.CI95[0])), m.Signed(float64(e.CI95[1])))
}

// EffectTitle is the title of a column of effects, with their unit where all runs share one.
func (c *Comparison) EffectTitle() string {
	unit := ""
	for k, r := range c.Runs {
		u := MetricOf(r.Result.Metric).DifferenceUnit
		if k > 0 && u != unit {
			return "effect"
		}
		unit = u
	}
	if unit == "" {
		return "effect"
	}
	return "effect, " + unit
}

// Effect writes what dropping changed in the run.
func (r *ComparedRun) Effect() string {
	if r.Result.Effect.Verdict == datadropout.NothingDropped {
		return "-"
	}
	return EffectWords(r.Result.Metric, r.Result.Effect)
}

// Over writes what dropping gained over an arm of controls.
func (r *ComparedRun) Over(arm string) string {
	e := r.Result.Control.Random
	if arm == datadropout.HighestLoss {
		e = r.Result.Control.HighestLoss
	}
	if e == nil {
		return "-"
	}
	return EffectWords(r.Result.Metric, *e)
}

// ArmMetric writes the test metric of an arm.
func (r *ComparedRun) ArmMetric(arm string) string {
	for _, a := range r.Arms {
		if a.Arm == arm {
			return MetricWords(r.Result.Metric, a.Metric, float64(a.SD))
		}
	}
	return "-"
}

// Drop writes how many samples were dropped.
func (r *ComparedRun) Drop() string {
	return fmt.Sprintf("%d of %d (%.1f %%)", r.Result.Drop.Count, r.Result.Data.Train, 100*r.Result.Drop.Fraction)
}

// Seeds counts those of the run.
func (r *ComparedRun) Seeds() int { return seedsOf(&r.Result) }

// JaccardWords writes the overlap of what both dropped.
func (p RunPair) JaccardWords() string { return Figure(p.Jaccard, 2) }

// SpearmanWords writes the rank correlation of the scores.
func (p RunPair) SpearmanWords() string { return Figure(p.Spearman, 3) }
