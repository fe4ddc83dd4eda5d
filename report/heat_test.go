package report

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/datadropout/datadropout/dataset"
)

// TestHeatMap: a cell is a pixel with the mean over the patches that show it, and NaN where none does.
func TestHeatMap(t *testing.T) {
	// Two patches of 4x4 that share the 2x2 pixels from (2, 2) on, in an image of 7 wide and 6 high.
	regions := []image.Rectangle{image.Rect(0, 0, 4, 4), image.Rect(2, 2, 6, 6)}
	m := newHeatMap(7, 6, regions, []float64{-3, 1}, 100)
	if m.width != 7 || m.height != 6 {
		t.Fatalf("%d x %d cells", m.width, m.height)
	}
	for y := range 6 {
		for x := range 7 {
			first, second := image.Pt(x, y).In(regions[0]), image.Pt(x, y).In(regions[1])
			want := math.NaN()
			switch {
			case first && second:
				want = -1
			case first:
				want = -3
			case second:
				want = 1
			}
			if got := m.cells[y*7+x]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("x %d, y %d: %v, want %v", x, y, got, want)
			}
		}
	}
}

// TestCoarseHeatMap: with cells larger than a pixel, a cell has the mean over all pairs of a pixel in it and a patch that shows that pixel.
func TestCoarseHeatMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const width, height, most = 41, 23, 14 // cells of 3x3
	var regions []image.Rectangle
	var delta []float64
	for range 40 {
		x, y := rng.IntN(30), rng.IntN(16)
		regions, delta = append(regions, image.Rect(x, y, x+3+rng.IntN(9), y+3+rng.IntN(5))), append(delta, rng.NormFloat64())
	}
	m := newHeatMap(width, height, regions, delta, most)
	if m.width != 14 || m.height != 8 {
		t.Fatalf("%d x %d cells", m.width, m.height)
	}
	sums, counts := make([]float64, len(m.cells)), make([]float64, len(m.cells))
	for k, r := range regions {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				sums[y/3*14+x/3] += delta[k]
				counts[y/3*14+x/3]++
			}
		}
	}
	for k, got := range m.cells {
		if want := sums[k] / counts[k]; math.Abs(got-want) > 1e-12 && !(math.IsNaN(got) && math.IsNaN(want)) || math.IsNaN(got) != (counts[k] == 0) {
			t.Errorf("cell %d: %v, want %v", k, got, want)
		}
	}
}

// TestHeatMapOfPatches: the cells that a patch colors are the pixels that training sees in it, in every one of its symmetries; and of an
// image that was made smaller they are the pixels that its own were made of.
func TestHeatMapOfPatches(t *testing.T) {
	const side, size = 30, 8
	distinct := &dataset.Picture{ID: "distinct", Height: side, Width: side, Channels: 1, Depth: 16}
	for k := range side * side {
		distinct.Pix = append(distinct.Pix, uint16(70*k+k%7))
	}
	s, err := dataset.NewPatches(dataset.PatchOptions{Size: size, Symmetries: true})
	if err != nil {
		t.Fatal(err)
	}
	idx, err := s.Add(t.Context(), dataset.CleanPairs([]*dataset.Picture{distinct}), dataset.Cut{Stride: 5, Scales: []float64{1, 0.7}})
	if err != nil {
		t.Fatal(err)
	}
	colored := func(i int) (pixels []float64, m *heatMap) {
		m = newHeatMap(side, side, []image.Rectangle{s.Region(i)}, []float64{2.5}, side)
		for k, v := range m.cells {
			if !math.IsNaN(v) {
				if v != 2.5 {
					t.Fatalf("patch %d: a cell of %v", i, v)
				}
				pixels = append(pixels, float64(float32(distinct.Pix[k])/65535))
			}
		}
		return pixels, m
	}
	whole, scaled := 0, 0
	for _, i := range idx {
		pixels, m := colored(i)
		input, target := make([]float32, size*size), make([]float32, size*size)
		if s.Patch(i).Scale == 1 {
			for epoch := range uint64(12) {
				s.FillEpoch(i, 7, epoch, input, target)
				seen := make([]float64, len(target))
				for k, v := range target {
					seen[k] = float64(v)
				}
				slices.Sort(seen)
				if !slices.Equal(seen, slices.Sorted(slices.Values(pixels))) {
					t.Fatalf("patch %d, epoch %d: training sees other pixels than those colored", i, epoch)
				}
			}
			whole++
			continue
		}
		// The value of a pixel grows evenly with x and y, so its mean over the patch tells where the middle of the patch lies.
		s.Fill(i, input, target)
		x, y, n := 0.0, 0.0, 0.0
		for k, v := range m.cells {
			if !math.IsNaN(v) {
				x, y, n = x+float64(k%side), y+float64(k/side), n+1
			}
		}
		mean := 0.0
		for _, v := range target {
			mean += float64(v) * 65535 / 70 / (size * size)
		}
		// A row is worth 30: half a row and a pixel is what rounding to whole pixels may cost.
		if want := y/n*side + x/n; math.Abs(mean-want) > side/2+1 || math.Abs(n-size*size/0.49) > 40 {
			t.Errorf("patch %d: the middle of what is colored lies at %v, and that of the patch at %v; %v pixels", i, want, mean, n)
		}
		scaled++
	}
	if whole != 25 || scaled != 9 {
		t.Errorf("%d patches of the whole size and %d of the other", whole, scaled)
	}
}

// TestHeatColors: zero is clear, the ends are full, a quarter of the end is half the color, the sign is the color, and what no patch shows is gray.
func TestHeatColors(t *testing.T) {
	m := &heatMap{width: 7, height: 1, cells: []float64{-4, -2, -0.5, 0, 1, 9, math.NaN()}}
	data, err := m.png(2)
	if err != nil {
		t.Fatal(err)
	}
	p, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	red, blue := harmfulColor, helpfulColor
	for x, want := range []color.NRGBA{{red.R, red.G, red.B, 255}, {red.R, red.G, red.B, 255}, {red.R, red.G, red.B, 128}, {}, {blue.R, blue.G, blue.B, 181}, {blue.R, blue.G, blue.B, 255}, unseenColor} {
		if got := color.NRGBAModel.Convert(p.(*image.Paletted).Palette[p.(*image.Paletted).ColorIndexAt(x, 0)]); got != want {
			t.Errorf("%v: %v, want %v", m.cells[x], got, want)
		}
	}
	var cells []float64
	for k := range 1000 {
		cells = append(cells, float64(k-500))
	}
	if got := heatLimit([]*heatMap{{cells: cells}, {cells: []float64{math.NaN()}}}); math.Abs(got-490) > 1 {
		t.Errorf("the colors end at %v, want the 98th percentile of the sizes, 490", got)
	}
	if got := heatLimit(nil); got != 0 || heatColor(0, 0) != 1 || heatColor(math.NaN(), 0) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
