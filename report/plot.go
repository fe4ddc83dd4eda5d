package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/datadropout/datadropout"
)

// armPlot draws the test metric of every arm: a dot a seed, a line at the mean, and the 95 % interval of the mean by
// Student's t.
func (c *Content) armPlot(lines []ArmLine) template.HTML {
	const row, top, bottom, side = 46, 6, 30, 24
	m := MetricOf(c.Result.Metric)
	var values []float64
	for _, l := range lines {
		values = append(values, l.MetricPerSeed...)
		if half := meanHalfWidth(l.MetricPerSeed); !math.IsNaN(half) {
			values = append(values, l.Metric-half, l.Metric+half)
		}
	}
	x := newScale(values, side, chartWidth-side, false)
	foot := float64(top + row*len(lines))
	g := newChart(foot+bottom, "Test "+m.Name+" of every arm, a dot a seed, with the mean and its interval")
	for _, v := range x.ticks(5) {
		g.line("grid", x.at(v), top, x.at(v), foot)
		g.text("tick", "middle", x.at(v), foot+18, m.Tick(v))
	}
	for i, l := range lines {
		y := top + float64(i*row)
		g.text("name "+l.Arm, "start", 2, y+14, fmt.Sprintf("%s, %s", armName(l.Arm), m.Value(l.Metric, math.NaN())))
		y += 29
		if half := meanHalfWidth(l.MetricPerSeed); !math.IsNaN(half) {
			g.line("interval "+l.Arm, x.at(l.Metric-half), y, x.at(l.Metric+half), y)
		}
		g.line("mean "+l.Arm, x.at(l.Metric), y-9, x.at(l.Metric), y+9)
		for k, v := range l.MetricPerSeed {
			g.dot(l.Arm, x.at(v), y, 4.5, fmt.Sprintf("%s, seed number %d: %s", armName(l.Arm), k+1, m.Value(v, math.NaN())))
		}
	}
	return g.done()
}

// meanHalfWidth is half the width of the 95 % interval of a mean; NaN of fewer than two values.
func meanHalfWidth(values []float64) float64 {
	n := float64(len(values))
	if n < 2 {
		return math.NaN()
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975) * stat.StdDev(values, nil) / math.Sqrt(n)
}

// dosePlot draws what the amounts that were tried do to the tune loss at the first seed, with their standard errors, and
// the controls where they were tried too. It is empty where no amount was tried.
func (c *Content) dosePlot() template.HTML {
	const top, bottom, left, right, height = 26, 44, 58, 16, 260
	type point struct {
		class, name    string
		x, change, err float64
		chosen         bool
	}
	var points []point
	total := float64(max(1, c.Result.Data.Train))
	for _, a := range c.Result.Drop.Amounts {
		if a.Count == 0 {
			continue
		}
		x := 100 * float64(a.Count) / total
		change, err := a.LossChange, a.StandardError
		points = append(points, point{datadropout.Dropped, a.Rule, x, change, err, a.Chosen})
		if a.Random != nil {
			points = append(points, point{datadropout.Random, armName(datadropout.Random), x, a.Random.LossChange, a.Random.StandardError, false})
		}
		if a.HighestLoss != nil {
			points = append(points, point{datadropout.HighestLoss, armName(datadropout.HighestLoss), x, a.HighestLoss.LossChange, a.HighestLoss.StandardError, false})
		}
	}
	if len(points) == 0 {
		return ""
	}
	xs, ys := []float64{0}, []float64{0}
	for _, p := range points {
		xs, ys = append(xs, p.x), append(ys, p.change-p.err, p.change+p.err)
	}
	x, y := newScale(xs, left, chartWidth-right, false), newScale(ys, height-bottom, top, false)
	x.low = 0
	g := newChart(height, "Change of the tune loss over the share dropped")
	for _, v := range y.ticks(5) {
		g.line("grid", left, y.at(v), chartWidth-right, y.at(v))
		g.text("tick", "end", left-6, y.at(v)+4, signed(v))
	}
	for _, v := range x.ticks(6) {
		g.text("tick", "middle", x.at(v), height-bottom+18, short(v)+" %")
	}
	g.text("tick", "start", 2, 12, "change of the tune loss; below zero is better")
	g.text("tick", "middle", (left+chartWidth-right)/2, height-6, "dropped of the training "+c.Nouns())
	g.line("zero", left, y.at(0), chartWidth-right, y.at(0))
	for _, class := range []string{datadropout.HighestLoss, datadropout.Random, datadropout.Dropped} {
		shift := map[string]float64{datadropout.Random: -3, datadropout.HighestLoss: 3}[class]
		path := ""
		for _, p := range points {
			if p.class != class {
				continue
			}
			at := x.at(p.x) + shift
			path += fmt.Sprintf("%.1f,%.1f ", at, y.at(p.change))
			g.line("error "+class, at, y.at(p.change-p.err), at, y.at(p.change+p.err))
		}
		g.add(`<polyline class="curve %s" points="%s"/>`, class, path)
		for _, p := range points {
			if p.class != class {
				continue
			}
			says := fmt.Sprintf("%s, %.1f %%: %+.4f ± %.4f", p.name, p.x, p.change, p.err)
			if p.chosen {
				g.dot("ring", x.at(p.x)+shift, y.at(p.change), 9, says+", chosen")
			}
			g.dot(class, x.at(p.x)+shift, y.at(p.change), 4.5, says)
		}
	}
	return g.done()
}

// curvePlot draws the mean training loss over epochs: of every arm the mean over seeds, and the range of the seeds as a band.
// It is empty where no curve was kept.
func (c *Content) curvePlot() template.HTML {
	const top, bottom, left, right, height = 26, 44, 58, 16, 250
	type curve struct {
		arm             string
		mean, low, high []float64
	}
	var curves []curve
	var all []float64
	epochs := 0
	for _, arm := range datadropout.Arms {
		seeds := slices.DeleteFunc(slices.Clone(c.Curves[arm]), func(l []float64) bool { return len(l) == 0 })
		if len(seeds) == 0 {
			continue
		}
		k := curve{arm: arm}
		for e := range len(seeds[0]) {
			var at []float64
			for _, s := range seeds {
				if e < len(s) {
					at = append(at, s[e])
				}
			}
			k.mean, k.low, k.high = append(k.mean, stat.Mean(at, nil)), append(k.low, slices.Min(at)), append(k.high, slices.Max(at))
		}
		all = append(append(all, k.low...), k.high...)
		epochs = max(epochs, len(k.mean))
		curves = append(curves, k)
	}
	if epochs < 2 {
		return ""
	}
	log := slices.Min(all) > 0 && slices.Max(all)/slices.Min(all) > 5
	x := scale{low: 1, high: float64(epochs), from: left + 6, to: chartWidth - right - 6}
	y := newScale(all, height-bottom, top, log)
	label := "Mean training loss over epochs"
	for _, k := range curves {
		label += fmt.Sprintf("; %s from %s to %s", armName(k.arm), short(k.mean[0]), short(k.mean[len(k.mean)-1]))
	}
	g := newChart(height, label)
	for _, v := range y.ticks(5) {
		g.line("grid", left, y.at(v), chartWidth-right, y.at(v))
		g.text("tick", "end", left-6, y.at(v)+4, short(v))
	}
	for _, v := range x.ticks(6) {
		if v == math.Trunc(v) {
			g.text("tick", "middle", x.at(v), height-bottom+18, short(v))
		}
	}
	caption := "training loss"
	if log {
		caption += ", logarithmic"
	}
	g.text("tick", "start", 2, 12, caption)
	g.text("tick", "middle", (left+chartWidth-right)/2, height-6, "epoch")
	for _, k := range curves {
		band, line := "", ""
		for e, v := range k.mean {
			band += fmt.Sprintf("%.1f,%.1f ", x.at(float64(e+1)), y.at(k.high[e]))
			line += fmt.Sprintf("%.1f,%.1f ", x.at(float64(e+1)), y.at(v))
		}
		for e := len(k.low) - 1; e >= 0; e-- {
			band += fmt.Sprintf("%.1f,%.1f ", x.at(float64(e+1)), y.at(k.low[e]))
		}
		g.add(`<polygon class="band %s" points="%s"/><polyline class="curve %s" points="%s"><title>%s</title></polyline>`, k.arm, band, k.arm, line, armName(k.arm))
	}
	return g.done()
}
