package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/datadropout/datadropout"
)

// overfitting says what the difference between the splits is.
const overfitting = "What the gain on score and on tune exceeds that on test is the over-fitting of the selection."

// gapOf is the gap of a result; an older one has the arms that it is made of.
func gapOf(r *datadropout.Result) *datadropout.Gap {
	if r.Gap != nil {
		return r.Gap
	}
	return datadropout.NewGap(r.Arms, math.NaN())
}

// Gap returns a line on what dropping changed on each split; empty where nothing was dropped.
func Gap(o *datadropout.Outcome) string {
	g := gapOf(&o.Result)
	if g == nil {
		return ""
	}
	m := MetricOf(o.Result.Metric)
	splits := []struct {
		name string
		c    datadropout.SplitChange
	}{{"score", g.Score}, {"tune", g.Tune}, {"test", g.Test}}
	var metric, loss []string
	for k, s := range splits {
		value := m.Signed(s.c.Metric.Difference)
		if k == 0 {
			value = m.Difference(s.c.Metric.Difference)
		}
		metric = append(metric, value+" on "+s.name)
		value = lossMetric.Signed(s.c.Loss.Difference)
		if p := float64(g.PredictedScoreLoss); k == 0 && !math.IsNaN(p) {
			value += fmt.Sprintf(" (predicted %s)", lossMetric.Signed(p))
		}
		loss = append(loss, value)
	}
	return fmt.Sprintf("%s; loss %s. %s", strings.Join(metric, ", "), strings.Join(loss, ", "), overfitting)
}

// gapRow is a row of the page's table: a split, or the difference of two.
type gapRow struct {
	Title, Use, Predicted string
	Difference            bool // of two splits
	Metric, Loss          gapCell
}

type gapCell struct{ Change, Interval string }

// gapRows are the rows of the page's table; none where nothing was dropped.
func gapRows(r *datadropout.Result) []gapRow {
	g := gapOf(r)
	if g == nil {
		return nil
	}
	row := func(title, use string, c datadropout.SplitChange) gapRow {
		cell := func(m Metric, c datadropout.Change) gapCell {
			return gapCell{m.Signed(c.Difference), m.Interval(c.CI95)}
		}
		return gapRow{Title: title, Use: use, Metric: cell(MetricOf(r.Metric), c.Metric), Loss: cell(lossMetric, c.Loss)}
	}
	rows := []gapRow{
		row("score", "influence was computed on it", g.Score), row("tune", "the amount was chosen on it", g.Tune), row("test", "read once, at the end", g.Test),
		row("score minus test", "over-fitting", g.ScoreMinusTest), row("tune minus test", "over-fitting", g.TuneMinusTest),
	}
	if p := float64(g.PredictedScoreLoss); !math.IsNaN(p) {
		rows[0].Predicted = lossMetric.Signed(p)
	}
	rows[3].Difference, rows[4].Difference = true, true
	return rows
}
