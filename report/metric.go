package report

import (
	"fmt"
	"math"

	"github.com/datadropout/datadropout"
)

// Metric says how the figures of a metric are written: the one place that knows their units.
type Metric struct {
	// Name is the metric as people read it, and DifferenceUnit what a difference of two values is in.
	Name, DifferenceUnit string
	unit                 string  // of a value, after a space
	scale                float64 // from natural units to those written
	digits               int
	// finer is how many digits more a difference has, which may be small beside the values.
	finer int
}

// metrics are the metrics that a result names.
var metrics = map[string]Metric{
	"accuracy": {Name: "accuracy", DifferenceUnit: "points", unit: " %", scale: 100, digits: 2},
	"psnr":     {Name: "PSNR", DifferenceUnit: "dB", unit: " dB", scale: 1, digits: 2, finer: 1},
	"ssim":     {Name: "SSIM", scale: 1, digits: 4},
}

// MetricOf returns how the metric of a [datadropout.Result] is written. One that is not known is written as it is.
func MetricOf(name string) Metric {
	if m, ok := metrics[name]; ok {
		return m
	}
	return Metric{Name: name, scale: 1, digits: 3}
}

// Value writes a mean with its spread, such as "87.31 ± 0.42 %". A spread that is NaN is left out.
func (m Metric) Value(mean, sd float64) string {
	s := fmt.Sprintf("%.*f", m.digits, m.scale*mean)
	if !math.IsNaN(sd) {
		s += fmt.Sprintf(" ± %.*f", m.digits, m.scale*sd)
	}
	return s + m.unit
}

// Tick writes a value as few digits say it.
func (m Metric) Tick(v float64) string { return short(m.scale*v) + m.unit }

// Signed writes a difference with its sign and without its unit.
func (m Metric) Signed(difference float64) string {
	return fmt.Sprintf("%+.*f", m.digits+m.finer, m.scale*difference)
}

// Difference writes a difference with its sign and its unit, such as "+2.96 points".
func (m Metric) Difference(difference float64) string {
	if m.DifferenceUnit == "" {
		return m.Signed(difference)
	}
	return m.Signed(difference) + " " + m.DifferenceUnit
}

// Interval writes an interval of differences; empty where there is none.
func (m Metric) Interval(i datadropout.Interval) string {
	if math.IsNaN(float64(i[0])) {
		return ""
	}
	return m.Signed(float64(i[0])) + " to " + m.Signed(float64(i[1]))
}

// Effect writes a difference with its interval and p value.
func (m Metric) Effect(e datadropout.Effect) string {
	if math.IsNaN(float64(e.P)) {
		return m.Difference(e.Difference) + " (one seed: no interval)"
	}
	return fmt.Sprintf("%s, 95 %% interval %s, p = %.2g", m.Difference(e.Difference), m.Interval(e.CI95), float64(e.P))
}

// lossMetric writes losses, which have no unit.
var lossMetric = Metric{Name: "loss", scale: 1, digits: 3}
