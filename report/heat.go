package report

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// heatMap holds removal effects over an image: a value a cell, rows first, NaN where no patch is.
type heatMap struct {
	width, height int
	cells         []float64
}

// newHeatMap lays the removal effects of patches back onto their image, of which regions says what each shows, in pixels. A cell is a
// pixel, and its value the mean over the patches that show it. Where the image has more than most pixels to a side, a cell is a square of
// them, and every patch counts by the number of them that it shows.
func newHeatMap(width, height int, regions []image.Rectangle, delta []float64, most int) *heatMap {
	side := (max(width, height) + most - 1) / most
	m := &heatMap{width: (width + side - 1) / side, height: (height + side - 1) / side}
	m.cells = make([]float64, m.width*m.height)
	weights := make([]float64, len(m.cells))
	for k, r := range regions {
		if r = r.Intersect(image.Rect(0, 0, width, height)); r.Empty() {
			continue
		}
		for y := r.Min.Y / side; y*side < r.Max.Y; y++ {
			rows := min(r.Max.Y, (y+1)*side) - max(r.Min.Y, y*side)
			for x := r.Min.X / side; x*side < r.Max.X; x++ {
				shown := float64(rows * (min(r.Max.X, (x+1)*side) - max(r.Min.X, x*side)))
				m.cells[y*m.width+x] += shown * delta[k]
				weights[y*m.width+x] += shown
			}
		}
	}
	for k, w := range weights {
		m.cells[k] /= w // 0/0 is NaN
	}
	return m
}

// heatLimit is the removal effect at which the colors of heat maps end: nearly all cells lie below it, in size.
func heatLimit(maps []*heatMap) float64 {
	var sizes []float64
	for _, m := range maps {
		for _, v := range m.cells {
			if !math.IsNaN(v) {
				sizes = append(sizes, math.Abs(v))
			}
		}
	}
	if len(sizes) == 0 {
		return 0
	}
	slices.Sort(sizes)
	return stat.Quantile(0.98, stat.Empirical, sizes, nil)
}

// The colors of heat maps, which grow from nothing to full, so that zero is the paper of the page, light or dark, and by the square root,
// so that what is small beside the most harmful patches is seen. The style of denoising.html has them for the legend.
var (
	harmfulColor = color.NRGBA{R: 214, G: 69, B: 38}
	helpfulColor = color.NRGBA{R: 38, G: 120, B: 214}
	unseenColor  = color.NRGBA{R: 128, G: 128, B: 128, A: 56}
)

// heatSteps are the steps of a color.
const heatSteps = 48

// heatPalette holds what no patch shows, zero, and then the steps of either color.
func heatPalette() color.Palette {
	p := color.Palette{unseenColor, color.NRGBA{}}
	for _, c := range []color.NRGBA{harmfulColor, helpfulColor} {
		for k := 1; k <= heatSteps; k++ {
			c.A = uint8(math.Round(255 * float64(k) / heatSteps))
			p = append(p, c)
		}
	}
	return p
}

// png draws the map, a pixel a cell; a value of the limit or more has the full color.
func (m *heatMap) png(limit float64) ([]byte, error) {
	p := image.NewPaletted(image.Rect(0, 0, m.width, m.height), heatPalette())
	for k, v := range m.cells {
		p.Pix[k] = heatColor(v, limit)
	}
	var b bytes.Buffer
	err := png.Encode(&b, p)
	return b.Bytes(), err
}

// heatColor is the place in the palette.
func heatColor(v, limit float64) uint8 {
	if math.IsNaN(v) {
		return 0
	}
	step := heatSteps
	if size := math.Abs(v); size < limit {
		step = int(math.Round(heatSteps * math.Sqrt(size/limit)))
	}
	switch {
	case step == 0 || v == 0:
		return 1
	case v < 0:
		return uint8(1 + step)
	}
	return uint8(1 + heatSteps + step)
}

// checkPicture reports a picture that page.json holds and that is none, or too large to be one of this program.
func checkPicture(data []byte) error {
	if len(data) == 0 {
		return errors.New("a picture is missing")
	}
	if len(data) > mostPictureBytes {
		return fmt.Errorf("a picture of %d bytes", len(data))
	}
	return nil
}

// mostPictureBytes is more than the largest picture of a page takes.
const mostPictureBytes = 1 << 20
