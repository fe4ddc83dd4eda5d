package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
)

// armPlot draws the test metric of every arm: a dot a seed, a bar at the mean. Seeds keep their shade in every arm.
func armPlot(lines []ArmLine) template.HTML {
	const width, rowHeight, left, right = 640, 30, 150, 20
	low, high := math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, v := range l.MetricPerSeed {
			low, high = math.Min(low, v), math.Max(high, v)
		}
	}
	pad := math.Max(0.1*(high-low), 0.002)
	low, high = low-pad, high+pad
	x := func(v float64) float64 { return left + (v-low)/(high-low)*(width-left-right) }
	height := rowHeight*len(lines) + 34
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="Test accuracy of every arm, a dot a seed">`, width, height)
	for i := range 5 {
		v := low + (high-low)*float64(i)/4
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="4" y2="%d"/><text class="tick" x="%.1f" y="%d" text-anchor="middle">%.1f %%</text>`,
			x(v), x(v), rowHeight*len(lines)+6, x(v), height-10, 100*v)
	}
	for i, l := range lines {
		y := float64(i*rowHeight) + rowHeight/2 + 4
		fmt.Fprintf(&b, `<text class="arm" x="%d" y="%.1f" text-anchor="end">%s</text>`, left-12, y+4, armName(l.Arm))
		fmt.Fprintf(&b, `<line class="mean %s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, l.Arm, x(l.Metric), x(l.Metric), y-10, y+10)
		for k, v := range l.MetricPerSeed {
			fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"><title>seed %d: %.2f %%</title></circle>`, l.Arm, x(v), y, k, 100*v)
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // built from numbers and constants above
}

// histogram draws how the removal effects are distributed, the planted errors on their own layer. The axis is cut at
// the 0.5 and 99.5 percentiles; what lies beyond is counted in the outermost bars.
func histogram(o *datadropout.Outcome) template.HTML {
	const width, height, bins, bottom = 640, 170, 64, 28
	delta := o.Estimates.Delta
	low, high := cut(delta)
	if !(high > low) {
		return ""
	}
	var all, planted [bins]int
	most := 0
	for i, d := range delta {
		k := min(bins-1, max(0, int(float64(bins)*(d-low)/(high-low))))
		all[k]++
		if o.Data.Images.Planted(o.Data.Split.Train[i]) {
			planted[k]++
		}
		most = max(most, all[k])
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="Distribution of the removal effects">`, width, height)
	barWidth := float64(width) / bins
	draw := func(counts [bins]int, class string) {
		for k, c := range counts {
			if c == 0 {
				continue
			}
			h := math.Sqrt(float64(c)/float64(most)) * (height - bottom - 8)
			fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%d samples</title></rect>`,
				class, float64(k)*barWidth+0.5, height-bottom-h, barWidth-1, h, c)
		}
	}
	draw(all, "all")
	draw(planted, "planted")
	zero := (0 - low) / (high - low) * width
	fmt.Fprintf(&b, `<line class="zero" x1="%.1f" x2="%.1f" y1="0" y2="%d"/>`, zero, zero, height-bottom)
	fmt.Fprintf(&b, `<text class="tick" x="2" y="%d">%.1e</text><text class="tick" x="%.1f" y="%d" text-anchor="middle">0</text><text class="tick" x="%d" y="%d" text-anchor="end">%+.1e</text>`,
		height-10, low, zero, height-10, width-2, height-10, high)
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // built from numbers and constants above
}

// cut returns the 0.5 and 99.5 percentiles of the values, widened to include zero.
func cut(values []float64) (low, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	low = stat.Quantile(0.005, stat.Empirical, sorted, nil)
	high = stat.Quantile(0.995, stat.Empirical, sorted, nil)
	return math.Min(low, 0), math.Max(high, 0)
}
