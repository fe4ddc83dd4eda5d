package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// chart is a plain SVG under construction. Its coordinates are those of the drawing; the page scales it to its width, and
// its letters grow on a narrow screen.
type chart struct {
	b             strings.Builder
	width, height float64
}

const chartWidth = 480

func newChart(height float64, label string) *chart {
	c := &chart{width: chartWidth, height: height}
	c.add(`<svg class="chart" viewBox="0 0 %d %.0f" role="img" aria-label="%s">`, chartWidth, height, html.EscapeString(label))
	return c
}

// add writes a piece of SVG. Its arguments are numbers, classes of this package, and text that is escaped.
func (c *chart) add(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

// text writes a text that begins, ends or has its middle at x.
func (c *chart) text(class, anchor string, x, y float64, s string) {
	c.add(`<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, class, x, y, anchor, html.EscapeString(s))
}

func (c *chart) line(class string, x1, y1, x2, y2 float64) {
	c.add(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

// dot draws a circle that says its text to a pointer that rests on it.
func (c *chart) dot(class string, x, y, r float64, says string) {
	c.add(`<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f"><title>%s</title></circle>`, class, x, y, r, html.EscapeString(says))
}

func (c *chart) done() template.HTML {
	c.b.WriteString(`</svg>`)
	return template.HTML(c.b.String()) //nolint:gosec // numbers, constants, and text that is escaped above
}

// scale maps the values from low to high to the coordinates from and to.
type scale struct {
	low, high, from, to float64
	log                 bool
}

// newScale makes room around the values; with log, all must be above zero.
func newScale(values []float64, from, to float64, log bool) scale {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			low, high = math.Min(low, v), math.Max(high, v)
		}
	}
	if low > high {
		low, high = 0, 1
	}
	// Values that should be the same may differ by rounding, as a mean does from what it is the mean of.
	same := high-low <= 1e-9*math.Max(math.Abs(low), math.Abs(high))
	if log {
		factor := math.Pow(high/low, 0.05)
		if same {
			factor = 1.2
		}
		return scale{low / factor, high * factor, from, to, true}
	}
	pad := 0.06 * (high - low)
	if same {
		pad = math.Max(1e-12, 0.1*math.Abs(low))
	}
	return scale{low - pad, high + pad, from, to, false}
}

func (s scale) at(v float64) float64 {
	share := (v - s.low) / (s.high - s.low)
	if s.log {
		share = math.Log(v/s.low) / math.Log(s.high/s.low)
	}
	return s.from + share*(s.to-s.from)
}

// ticks returns at most some n round values within the scale: multiples of 1, 2 or 5 times a power of ten. There are none where the
// scale has no room for numbers that differ.
func (s scale) ticks(n int) []float64 {
	if s.log {
		if t := s.logTicks(); len(t) >= 2 {
			return t
		}
	}
	step := math.Pow(10, math.Floor(math.Log10((s.high-s.low)/float64(n))))
	for _, factor := range []float64{1, 2, 5, 10} {
		if (s.high-s.low)/(step*factor) <= float64(n) {
			step *= factor
			break
		}
	}
	first, last := math.Ceil(s.low/step-1e-9), math.Floor(s.high/step+1e-9)
	if !(step > 0) || math.Max(math.Abs(first), math.Abs(last)) > 1<<52 { // NaN too
		return nil
	}
	var t []float64
	for k := range int(last-first) + 1 {
		t = append(t, (first+float64(k))*step)
	}
	return t
}

func (s scale) logTicks() []float64 {
	var t []float64
	for decade := math.Floor(math.Log10(s.low)); decade <= math.Log10(s.high); decade++ {
		for _, factor := range []float64{1, 2, 5} {
			if v := factor * math.Pow(10, decade); v >= s.low && v <= s.high {
				t = append(t, v)
			}
		}
	}
	for len(t) > 6 {
		var half []float64
		for k := 0; k < len(t); k += 2 {
			half = append(half, t[k])
		}
		t = half
	}
	return t
}

// short writes a tick: as few digits as tell it from its neighbors.
func short(v float64) string {
	if math.Abs(v) < 1e-14 {
		return "0"
	}
	return strings.ReplaceAll(fmt.Sprintf("%.3g", v), "-", "−")
}

// signed is short with a sign.
func signed(v float64) string {
	if v > 0 {
		return "+" + short(v)
	}
	return short(v)
}
