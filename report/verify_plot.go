package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/evidence"
)

// scatter draws the true changes over the predicted ones, a dot a pair, with the least-squares line and, for a calibrated
// estimator, the line of slope 1 through the means, on which predictions are exact but for the offset that all sets share.
// Each axis has its own scale.
func scatter(a evidence.Agreement, calibrated bool) template.HTML {
	const width, height, left, bottom, top, right = 240, 200, 8, 34, 20, 8
	if len(a.True) == 0 {
		return ""
	}
	lowX, highX := widened(a.Predicted)
	lowY, highY := widened(a.True)
	x := func(v float64) float64 { return left + (v-lowX)/(highX-lowX)*(width-left-right) }
	y := func(v float64) float64 { return height - bottom - (v-lowY)/(highY-lowY)*(height-bottom-top) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="scatter" viewBox="0 0 %d %d" role="img" aria-label="True over predicted change">`, width, height)
	fmt.Fprintf(&b, `<rect class="frame" x="%d" y="%d" width="%d" height="%d"/>`, left, top, width-left-right, height-top-bottom)
	if lowX < 0 && highX > 0 {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, x(0), x(0), top, height-bottom)
	}
	if lowY < 0 && highY > 0 {
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, width-right, y(0), y(0))
	}
	line := func(class string, slope, offset float64) {
		// The part of the line that lies within the plot.
		from, to := lowX, highX
		if slope != 0 {
			one, other := (lowY-offset)/slope, (highY-offset)/slope
			from, to = math.Max(from, math.Min(one, other)), math.Min(to, math.Max(one, other))
		}
		if from < to && offset+slope*from >= lowY-1e-9*(highY-lowY) && offset+slope*from <= highY+1e-9*(highY-lowY) {
			fmt.Fprintf(&b, `<line class="%s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, class, x(from), x(to), y(offset+slope*from), y(offset+slope*to))
		}
	}
	if !math.IsNaN(float64(a.Slope)) {
		line("fit", float64(a.Slope), float64(a.Offset))
	}
	if calibrated {
		line("exact", 1, stat.Mean(a.True, nil)-stat.Mean(a.Predicted, nil))
	}
	for k := range a.True {
		fmt.Fprintf(&b, `<circle class="pair" cx="%.1f" cy="%.1f" r="3"><title>predicted %+.3e, true %+.3e</title></circle>`,
			x(a.Predicted[k]), y(a.True[k]), a.Predicted[k], a.True[k])
	}
	fmt.Fprintf(&b, `<text class="tick" x="%d" y="%d">%+.1e</text><text class="tick" x="%d" y="%d" text-anchor="middle">predicted</text><text class="tick" x="%d" y="%d" text-anchor="end">%+.1e</text>`,
		left, height-20, lowX, (left+width-right)/2, height-6, width-right, height-20, highX)
	fmt.Fprintf(&b, `<text class="tick" x="%d" y="%d">true, %+.1e to %+.1e</text></svg>`, left, top-7, lowY, highY)
	return template.HTML(b.String()) //nolint:gosec // built from numbers and constants above
}

// widened returns the range of the values with a margin, and one around a single value.
func widened(v []float64) (low, high float64) {
	low, high = slices.Min(v), slices.Max(v)
	margin := 0.06 * (high - low)
	if margin == 0 {
		margin = math.Max(1e-12, 0.1*math.Abs(low))
	}
	return low - margin, high + margin
}
