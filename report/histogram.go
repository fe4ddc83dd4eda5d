package report

import (
	"errors"
	"fmt"
	"html/template"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
)

// Histogram counts the removal effects in bins of equal width from Low to High, the 0.5 and 99.5 percentiles widened to
// include zero; what lies beyond is counted in the outermost bins.
type Histogram struct {
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	All     []int   `json:"all"`
	Dropped []int   `json:"dropped"`
	Planted []int   `json:"planted"`
	// Cut is the largest removal effect that was dropped where no kept sample lies below it; else null.
	Cut *float64 `json:"cut"`
}

const histogramBins = 64

// effect is the removal effect of what a rule drops: a sample, or a whole image of patches.
type effect struct {
	delta            float64
	dropped, planted bool
}

// effects are those of all training samples or, where whole images are dropped, of the images.
func effects(o *datadropout.Outcome) []effect {
	dropped := make(map[int]bool, len(o.Dropped))
	for _, p := range o.Dropped {
		dropped[p] = true
	}
	var all []effect
	if d := o.Result.Denoising; d != nil && d.DropUnit == datadropout.DropImages {
		for _, m := range trainingImages(o) {
			all = append(all, effect{m.delta, dropped[o.Data.Split.Train[m.places[0]]], o.Data.Patches.Pairs()[m.pair].Planted != ""})
		}
		return all
	}
	for k, p := range o.Data.Split.Train {
		all = append(all, effect{o.Estimates.Delta[k], dropped[p], o.Data.Planted([]int{p}) > 0})
	}
	return all
}

func newHistogram(o *datadropout.Outcome) Histogram {
	all := effects(o)
	delta := make([]float64, len(all))
	for k, e := range all {
		delta[k] = e.delta
	}
	sorted := slices.Sorted(slices.Values(delta))
	h := Histogram{
		Low:  math.Min(stat.Quantile(0.005, stat.Empirical, sorted, nil), 0),
		High: math.Max(stat.Quantile(0.995, stat.Empirical, sorted, nil), 0),
	}
	if !(h.High > h.Low) {
		return h
	}
	h.All, h.Dropped, h.Planted = make([]int, histogramBins), make([]int, histogramBins), make([]int, histogramBins)
	last, first := math.Inf(-1), math.Inf(1) // of the dropped, and of the kept
	for _, e := range all {
		k := min(histogramBins-1, max(0, int(histogramBins*(e.delta-h.Low)/(h.High-h.Low))))
		h.All[k]++
		if e.dropped {
			h.Dropped[k]++
			last = math.Max(last, e.delta)
		} else {
			first = math.Min(first, e.delta)
		}
		if e.planted {
			h.Planted[k]++
		}
	}
	if len(o.Dropped) > 0 && last <= first {
		h.Cut = &last
	}
	return h
}

func (h Histogram) check() error {
	if len(h.All) > histogramBins || len(h.Dropped) != len(h.All) || len(h.Planted) != len(h.All) {
		return errors.New("a histogram whose layers differ in length")
	}
	if len(h.All) > 0 && !(h.High > h.Low) {
		return errors.New("a histogram without a range")
	}
	return nil
}

// histogramPlot draws the distribution of the removal effects: all, the dropped, and below the axis the planted errors. Heights
// are on a square-root scale, so that few harmful samples are seen beside many ordinary ones.
func (c *Content) histogramPlot() template.HTML {
	h := c.Histogram
	if len(h.All) == 0 {
		return ""
	}
	const top, bottom, side, height, below = 24, 44, 8, 240, 46
	planted := c.Result.Data.Planted > 0
	foot := float64(height - bottom)
	if planted {
		foot -= below
	}
	most := float64(slices.Max(h.All))
	x := scale{low: h.Low, high: h.High, from: side, to: chartWidth - side}
	label := fmt.Sprintf("Distribution of the removal effects: %d of %d below zero, %d dropped", c.Result.Drop.Unfavorable, c.Result.Data.Train, c.Result.Drop.Count)
	unit, spoiled := "samples", "planted errors"
	if d := c.Result.Denoising; d != nil {
		unit, spoiled = "patches", "with a spoiled target"
		if d.DropUnit == datadropout.DropImages {
			unit = "images"
			label = fmt.Sprintf("Distribution of the removal effects of %d images, of which %d were dropped", d.TrainImages, d.ImagesDropped)
		}
	}
	g := newChart(height, label)
	width := (chartWidth - 2*side) / float64(len(h.All))
	bar := func(class string, k, count int, up bool, room float64, what string) {
		if count == 0 {
			return
		}
		size := math.Max(1, math.Sqrt(float64(count)/most)*room)
		y := foot - size
		if !up {
			y = foot + 1
		}
		low := h.Low + (h.High-h.Low)*float64(k)/float64(len(h.All))
		g.add(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%d %s from %.2e on</title></rect>`,
			class, side+float64(k)*width+0.4, y, width-0.8, size, count, what, low)
	}
	for k := range h.All {
		bar("all", k, h.All[k], true, foot-top, unit)
		bar("gone", k, h.Dropped[k], true, foot-top, "dropped")
		if planted {
			bar("planted", k, h.Planted[k], false, below-2, spoiled)
		}
	}
	g.line("axis", side, foot, chartWidth-side, foot)
	g.line("zero", x.at(0), top-6, x.at(0), foot)
	if h.Cut != nil && *h.Cut > h.Low {
		// The cut lies behind the bin that holds it.
		at := side + width*math.Ceil((*h.Cut-h.Low)/(h.High-h.Low)*float64(len(h.All)))
		g.line("cut", at, top-6, at, foot)
		words := fmt.Sprintf("dropped up to %.1e", *h.Cut)
		if at < chartWidth/3 { // there is no room on the left
			g.text("tick", "start", at+4, 12, words)
		} else {
			g.text("tick", "end", at-4, 12, words)
		}
	}
	for _, v := range x.ticks(7) {
		g.line("grid", x.at(v), float64(height-bottom), x.at(v), float64(height-bottom+4))
		g.text("tick", "middle", x.at(v), float64(height-bottom+18), short(v))
	}
	g.text("tick", "middle", chartWidth/2, height-6, "removal effect; left of zero removing helps")
	return g.done()
}
