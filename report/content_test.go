package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
)

// runDirectory writes the files of the outcome and returns their directory.
func runDirectory(t *testing.T, o *datadropout.Outcome) string {
	t.Helper()
	dir := t.TempDir()
	if err := Write(dir, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The page made again from the run directory is the page of the run, byte for byte.
func TestPageMadeAgain(t *testing.T) {
	checkPageMadeAgain(t, runDirectory(t, outcome(t)))
}

// checkPageMadeAgain removes the page of a run directory and makes it again.
func checkPageMadeAgain(t *testing.T, dir string) {
	t.Helper()
	before, err := os.ReadFile(filepath.Join(dir, PageFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, PageFile)); err != nil {
		t.Fatal(err)
	}
	c, err := ReadContent(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := WritePage(dir, c); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(dir, PageFile))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the page made again differs (%v)", err)
	}
}

func TestReadContentRefuses(t *testing.T) {
	write := func(name, text string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	// change edits page.json.
	change := func(edit func(c *Content)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			c, err := ReadContent(dir)
			if err != nil {
				t.Fatal(err)
			}
			edit(c)
			raw, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			write(ContentFile, string(raw))(t, dir)
		}
	}
	for _, tt := range []struct {
		name string
		edit func(t *testing.T, dir string)
		says []string
	}{
		{"no page.json", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, ContentFile)) }, []string{ContentFile, "older version"}},
		{"no result.json", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, ResultFile)) }, []string{ResultFile, "not finished"}},
		{"cut off", write(ContentFile, `{"schema":1`), []string{ContentFile, "not a readable file"}},
		{"of the future", write(ContentFile, `{"schema":7}`), []string{"schema 7"}},
		{"label out of range", change(func(c *Content) { c.Harmful[0].Label = 99 }), []string{"label 99", "out of range"}},
		{"negative label", change(func(c *Content) { c.Helpful[0].Predicted = -2 }), []string{"label -2"}},
		{"label of a neighbor", change(func(c *Content) { c.Harmful[0].Facts.Neighbors[0].Label = 8 }), []string{"label 8"}},
		{"label of a copy", change(func(c *Content) { c.Harmful[0].Facts.Copies[0].Label = 50 }), []string{"label 50"}},
		{"prediction for a score sample", change(func(c *Content) { c.Harmful[0].Facts.Hurts[0].Predicted = 50 }), []string{"label 50"}},
		{"layers of the histogram", change(func(c *Content) { c.Histogram.Planted = nil }), []string{"histogram"}},
	} {
		dir := runDirectory(t, outcome(t))
		// What is refused beyond a wrong checksum: files that carry none.
		if err := os.Remove(filepath.Join(dir, durable.SumsFile)); err != nil {
			t.Fatal(err)
		}
		tt.edit(t, dir)
		_, err := ReadContent(dir)
		var input *dataset.InputError
		if !errors.As(err, &input) {
			t.Errorf("%s: error %v, want an InputError", tt.name, err)
			continue
		}
		for _, want := range tt.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", tt.name, err, want)
			}
		}
	}
	if _, err := ReadContent(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such run directory") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// Names that a page must not take for its own markup come out as text, wherever the page shows them.
func TestPageEscapesNames(t *testing.T) {
	const hostile = `</title><script>alert(1)</script>"'><img src=x onerror=alert(2)>`
	o := outcome(t)
	o.Result.Data.Name, o.Result.Net.Name, o.Result.Infl.Solver.Message = hostile, hostile, hostile
	o.Result.Infl.Solver.Converged = false
	o.Result.Drop.Amounts[1].Rule = hostile
	for k := range o.Data.Images.Classes {
		o.Data.Images.Classes[k] = hostile
	}
	for k := range o.Data.Images.IDs {
		o.Data.Images.IDs[k] = hostile
	}
	c, err := NewContent(o)
	if err != nil {
		t.Fatal(err)
	}
	for name, review := range map[string]*Review{"report": nil, "review": {Nonce: "n0nce"}} {
		page, err := c.Render(review)
		if err != nil {
			t.Fatal(err)
		}
		text := string(page)
		if strings.Contains(text, "<script>") || strings.Contains(text, "<img src=x") || strings.Contains(text, `"'>`) {
			t.Errorf("%s: a name is part of the markup", name)
		}
		if strings.Contains(text, "ZgotmplZ") {
			t.Errorf("%s: the page holds a refused value", name)
		}
		if want := map[string]int{"report": 0, "review": 1}[name]; strings.Count(text, "<script") != want {
			t.Errorf("%s: %d scripts, want %d", name, strings.Count(text, "<script"), want)
		}
	}
}

// The largest page there can be, of noise in color that no encoder makes small, stays within its bound.
func TestPageSizeIsBounded(t *testing.T) {
	for _, side := range []int{exactSide, 160} {
		rng := rand.New(rand.NewPCG(1, 2))
		o := outcome(t)
		images := o.Data.Images
		images.Height, images.Width, images.Channels = side, side, 3
		images.Pix = make([]uint8, len(images.Labels)*side*side*3)
		for k := range images.Pix {
			images.Pix[k] = uint8(rng.Uint32())
		}
		x := &o.Examined
		x.Harmful, x.Helpful, x.Samples = nil, nil, nil
		for k := range 20 {
			x.Harmful, x.Helpful = append(x.Harmful, k%12), append(x.Helpful, k%12)
			var e datadropout.Examination
			for j := range 10 {
				e.Neighbors = append(e.Neighbors, datadropout.Neighbor{Position: j})
				e.ClassNeighbors = append(e.ClassNeighbors, datadropout.Neighbor{Position: j})
				e.Hurts = append(e.Hurts, datadropout.Hurt{Position: j, Product: -1})
			}
			x.Samples = append(x.Samples, e)
		}
		page, err := Page(o)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > 5<<20 {
			t.Errorf("pictures of %d pixels make a page of %.1f MiB, want at most 5", side, float64(len(page))/(1<<20))
		}
	}
}

func TestThumbnail(t *testing.T) {
	for _, tt := range []struct {
		width, height, side   int
		wantWidth, wantHeight int
		kind                  string
	}{
		{28, 28, gallerySide, 28, 28, "png"},
		{48, 20, neighborSide, 48, 20, "png"},
		{100, 60, gallerySide, 100, 60, "jpeg"},
		{1000, 500, gallerySide, 128, 64, "jpeg"},
		{500, 1000, neighborSide, 32, 64, "jpeg"},
		{5000, 3, neighborSide, 64, 1, "jpeg"},
	} {
		m := image.NewNRGBA(image.Rect(0, 0, tt.width, tt.height))
		for k := range tt.width * tt.height {
			m.SetNRGBA(k%tt.width, k/tt.width, color.NRGBA{200, 100, 50, 255})
		}
		data, err := thumbnail(m, tt.side)
		if err != nil {
			t.Fatal(err)
		}
		got, kind, err := image.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if b := got.Bounds(); kind != tt.kind || b.Dx() != tt.wantWidth || b.Dy() != tt.wantHeight {
			t.Errorf("%dx%d: a %s of %dx%d, want a %s of %dx%d", tt.width, tt.height, kind, b.Dx(), b.Dy(), tt.kind, tt.wantWidth, tt.wantHeight)
		}
		if r, g, b, _ := got.At(0, 0).RGBA(); max(r>>8, 200)-min(r>>8, 200) > 4 || max(g>>8, 100)-min(g>>8, 100) > 4 || max(b>>8, 50)-min(b>>8, 50) > 4 {
			t.Errorf("%dx%d: the color is %d, %d, %d, want 200, 100, 50", tt.width, tt.height, r>>8, g>>8, b>>8)
		}
	}
	// What is transparent becomes white where there is no transparency.
	data, err := thumbnail(image.NewNRGBA(image.Rect(0, 0, 200, 200)), gallerySide)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if r, _, _, _ := m.At(64, 64).RGBA(); r>>8 < 250 {
		t.Errorf("a transparent picture has the brightness %d", r>>8)
	}
}

func TestScaleTicks(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		log       bool
		n         int
		want      []string
	}{
		{0, 1, false, 5, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		{-0.3, 0.15, false, 5, []string{"−0.3", "−0.2", "−0.1", "0", "0.1"}},
		{0.7, 0.93, false, 5, []string{"0.7", "0.75", "0.8", "0.85", "0.9"}},
		{0.1, 3, true, 5, []string{"0.1", "0.2", "0.5", "1", "2"}},
		{1.1, 1.9, true, 5, []string{"1.2", "1.4", "1.6", "1.8"}},
	} {
		var got []string
		for _, v := range (scale{low: tt.low, high: tt.high, to: 1, log: tt.log}).ticks(tt.n) {
			got = append(got, short(v))
		}
		if strings.Join(got, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%v to %v: ticks %v, want %v", tt.low, tt.high, got, tt.want)
		}
	}
}

// Values that are all the same make a scale all the same.
func TestScaleOfOneValue(t *testing.T) {
	for _, log := range []bool{false, true} {
		third := 26. / 30
		for _, values := range [][]float64{{0.5, 0.5}, {1}, {1e-9}, {third, (third + third + third + third + third) / 5}, {third, math.Nextafter(third, 1)}} {
			s := newScale(values, 10, 90, log)
			if at := s.at(values[0]); !(at > 10 && at < 90) {
				t.Errorf("%v, log %v: %v is drawn at %v", values, log, values[0], at)
			}
			if n := len(s.ticks(5)); n > 12 {
				t.Errorf("%v, log %v: %d ticks", values, log, n)
			}
		}
	}
}
