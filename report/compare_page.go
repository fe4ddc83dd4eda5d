package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"

	"github.com/datadropout/datadropout"
)

//go:embed compare.html
var compareSource string

var compareTemplate = template.Must(template.New("compare").Funcs(template.FuncMap{
	"seconds": func(s float64) string { return fmt.Sprintf("%.3g s", s) },
}).Parse(styleSource + compareSource))

// Page returns the comparison as one self-contained page, without script and without anything to load.
func (c *Comparison) Page() ([]byte, error) {
	var b bytes.Buffer
	err := compareTemplate.Execute(&b, struct {
		*Comparison
		Plot template.HTML
	}{c, c.effectPlot()})
	return b.Bytes(), err
}

// Name is that of a run by its place.
func (c *Comparison) Name(k int) string { return c.Runs[k].Name }

// PairEffect writes what the second run of a pair ends with over the first.
func (c *Comparison) PairEffect(p RunPair) string {
	if p.Effect == nil {
		return "not tested alike"
	}
	return EffectWords(c.Runs[p.A].Result.Metric, *p.Effect)
}

// effectPlot draws the effect of every run with its interval, and a line at zero.
func (c *Comparison) effectPlot() template.HTML {
	const row, top, bottom, side = 46, 6, 30, 24
	values := []float64{0}
	for _, r := range c.Runs {
		e, u := r.Result.Effect, MetricOf(r.Result.Metric).scale
		values = append(values, u*e.Difference, u*float64(e.CI95[0]), u*float64(e.CI95[1]))
	}
	x := newScale(values, side, chartWidth-side, false)
	foot := float64(top + row*len(c.Runs))
	g := newChart(foot+bottom, "Effect of every run with its interval")
	for _, v := range x.ticks(5) {
		g.line("grid", x.at(v), top, x.at(v), foot)
		g.text("tick", "middle", x.at(v), foot+18, signed(v))
	}
	g.line("axis", x.at(0), top, x.at(0), foot)
	for k := range c.Runs {
		r := &c.Runs[k]
		e, u := r.Result.Effect, MetricOf(r.Result.Metric).scale
		y := top + float64(k*row)
		words := r.Effect()
		if e.Verdict == datadropout.NothingDropped {
			words = "nothing dropped"
		}
		g.text("name", "start", 2, y+14, fmt.Sprintf("%s: %s", r.Name, words))
		if e.Verdict == datadropout.NothingDropped {
			continue
		}
		y += 29
		if low, high := u*float64(e.CI95[0]), u*float64(e.CI95[1]); !math.IsNaN(low) && !math.IsNaN(high) {
			g.line("interval dropped", x.at(low), y, x.at(high), y)
		}
		g.dot("dropped", x.at(u*e.Difference), y, 4.5, words)
	}
	return g.done()
}
