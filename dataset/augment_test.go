package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestParseAugmentation(t *testing.T) {
	for _, test := range []struct {
		text string
		want Augmentation
		back string // the text it is written as, where another
	}{
		{"", Augmentation{}, "none"},
		{"none", Augmentation{}, ""},
		{"flip", Augmentation{Flip: true}, ""},
		{"crop:4,flip,cutout:8", Augmentation{Crop: 4, Flip: true, Cutout: 8}, ""},
		{"cutout:8, flip, crop:4:reflect", Augmentation{Crop: 4, Reflect: true, Flip: true, Cutout: 8}, "crop:4:reflect,flip,cutout:8"},
		{"resized-crop:0.08,flip,brightness:0.4,contrast:0.4,saturation:1",
			Augmentation{ResizedCrop: 0.08, Flip: true, Brightness: 0.4, Contrast: 0.4, Saturation: 1}, ""},
	} {
		got, err := ParseAugmentation(test.text)
		if err != nil || got != test.want {
			t.Errorf("%q: %+v, %v", test.text, got, err)
		}
		back := test.back
		if back == "" {
			back = test.text
		}
		if got.String() != back {
			t.Errorf("%q is written as %q, want %q", test.text, got, back)
		}
		var fromYAML, fromJSON struct{ A Augmentation }
		if err := yaml.Unmarshal([]byte("a: "+back), &fromYAML); err != nil || fromYAML.A != test.want {
			t.Errorf("%q from YAML: %+v, %v", back, fromYAML.A, err)
		}
		raw, err := json.Marshal(test.want)
		if err != nil || string(raw) != fmt.Sprintf("%q", back) {
			t.Errorf("%q as JSON: %s, %v", back, raw, err)
		}
		if err := json.Unmarshal([]byte(`{"A":`+string(raw)+`}`), &fromJSON); err != nil || fromJSON.A != test.want {
			t.Errorf("%s from JSON: %+v, %v", raw, fromJSON.A, err)
		}
	}
	for text, says := range map[string]string{
		"crop":                      "crop:4",
		"crop:0":                    "above 0",
		"crop:-1":                   "padding",
		"crop:4:mirror":             "crop:4",
		"crop:4,crop:2":             "crop is given twice",
		"flip:1":                    "flip takes no value",
		"flip,":                     "unknown term",
		"rotate:15":                 "known: crop:PIXELS",
		"cutout:x":                  "cutout:8",
		"cutout:99999999":           "cutout",
		"resized-crop:1.5":          "resized-crop must lie",
		"resized-crop:0.5,crop:4":   "exclude",
		"brightness:NaN":            "above 0",
		"brightness:-0.1":           "[0, 1]",
		"contrast:2":                "contrast",
		"saturation:+Inf":           "saturation",
		"crop:99999999999999999999": "crop:4",
	} {
		if _, err := ParseAugmentation(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want one about %q", text, err, says)
		}
	}
}

func FuzzParseAugmentation(f *testing.F) {
	for _, text := range []string{"none", "crop:4,flip,cutout:8", "crop:4:reflect", "resized-crop:0.08,saturation:1", "brightness:1e-300", "crop:+4"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAugmentation(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") && !strings.Contains(text, "\n") {
				t.Errorf("%q: the error has several lines: %v", text, err)
			}
			return
		}
		if back, err := ParseAugmentation(a.String()); err != nil || back != a {
			t.Errorf("%q reads as %+v, and its text %q as %+v (%v)", text, a, a, back, err)
		}
	})
}

// numbered is one image of the given size whose pixels tell row, column and channel: 50 row + 10 column + channel + 1.
func numbered(height, width, channels int) *Images {
	s := &Images{Name: "numbered", Height: height, Width: width, Channels: channels, Classes: []string{"a", "b"}, Labels: []int{1}, IDs: []string{"x"}}
	for y := range height {
		for x := range width {
			for c := range channels {
				s.Pix = append(s.Pix, uint8(50*y+10*x+c+1))
			}
		}
	}
	return s
}

func fillEpoch(t testing.TB, s Source, by Augmentation, i int, seed, epoch uint64) (input, target []float32) {
	t.Helper()
	v, err := Augmented(s, by)
	if err != nil {
		t.Fatal(err)
	}
	d := s.InputDims()
	input, target = make([]float32, d[0]*d[1]*d[2]), make([]float32, s.TargetDims()[0])
	for k := range input {
		input[k] = -99 // whatever was there before
	}
	v.FillEpoch(i, seed, epoch, input, target)
	return input, target
}

// TestCropAndFlip compares every sample with the one of all crops and flips that it must be, and counts that each comes up.
func TestCropAndFlip(t *testing.T) {
	for _, channels := range []int{1, 2, 3} {
		s := numbered(3, 4, channels)
		s.Mean, s.Std = slices.Repeat([]float32{0.25}, channels), slices.Repeat([]float32{0.5}, channels)
		for _, by := range []Augmentation{{Crop: 1}, {Crop: 2, Flip: true}, {Crop: 2, Flip: true, Reflect: true}, {Flip: true}} {
			// The definition: pad, cut out, mirror.
			known := map[string]int{} // how many crops and flips show it
			all := 0.0
			flips := []bool{false, true}
			if !by.Flip {
				flips = flips[:1]
			}
			for top := -by.Crop; top <= by.Crop; top++ {
				for left := -by.Crop; left <= by.Crop; left++ {
					for _, flip := range flips {
						var want []float32
						for y := range 3 {
							for x := range 4 {
								at := x
								if flip {
									at = 3 - x
								}
								row, column := y+top, at+left
								if by.Reflect {
									row, column = reflected(row, 3), reflected(column, 4)
								}
								for c := range channels {
									v := float32(0)
									if row >= 0 && row < 3 && column >= 0 && column < 4 {
										v = float32(50*row + 10*column + c + 1)
									}
									want = append(want, v)
								}
							}
						}
						known[fmt.Sprint(want)]++
						all++
					}
				}
			}
			const draws = 3000
			seen := map[string]int{}
			for epoch := range uint64(draws) {
				input, target := fillEpoch(t, s, by, 0, 4, epoch)
				for k := range input {
					input[k] = float32(math.Round(float64(input[k]*0.5+0.25) * 255))
				}
				key := fmt.Sprint(input)
				if known[key] == 0 {
					t.Fatalf("%v, %d channels: epoch %d shows %v, which no crop and flip gives", by, channels, epoch, input)
				}
				seen[key]++
				if !slices.Equal(target, []float32{0, 1}) {
					t.Fatalf("target %v", target)
				}
			}
			// Each is as likely as another: chi-square within 5 standard deviations of its mean.
			chi, freedom := 0.0, float64(len(known)-1)
			for key, ways := range known {
				want := draws * float64(ways) / all
				chi += (float64(seen[key]) - want) * (float64(seen[key]) - want) / want
			}
			if chi > freedom+5*math.Sqrt(2*freedom)+1 {
				t.Errorf("%v, %d channels: chi-square %.1f of %v degrees of freedom", by, channels, chi, freedom)
			}
		}
	}
}

// reflected mirrors a place about the border pixels of a line of n.
func reflected(at, n int) int {
	if at < 0 {
		return -at
	}
	if at >= n {
		return 2*n - 2 - at
	}
	return at
}

// TestCutout: a square around every pixel, cut off at the border, at the mean; all else as it was.
func TestCutout(t *testing.T) {
	s := numbered(5, 4, 3)
	s.Mean = []float32{0.5, 0.5, 0.5}
	plain, _ := fillEpoch(t, s, Augmentation{}, 0, 1, 0)
	for _, side := range []int{1, 2, 3, 9} {
		seen := map[string]bool{}
		for epoch := range uint64(400) {
			input, _ := fillEpoch(t, s, Augmentation{Cutout: side}, 0, 1, epoch)
			rows, columns := map[int]bool{}, map[int]bool{}
			gone := 0
			for k, v := range input {
				if v == 0 {
					gone++
					rows[k/12], columns[k%12/3] = true, true
				} else if v != plain[k] {
					t.Fatalf("side %d: value %d is %v, was %v", side, k, v, plain[k])
				}
			}
			if gone != 3*len(rows)*len(columns) || gone == 0 || len(rows) > side || len(columns) > side {
				t.Fatalf("side %d: %d values gone in %d rows and %d columns", side, gone, len(rows), len(columns))
			}
			seen[fmt.Sprint(input)] = true
		}
		if side == 1 && len(seen) != 20 {
			t.Errorf("%d places of a single pixel, want all 20", len(seen))
		}
	}
}

// TestColor compares with factors recovered from the image itself: each change is linear, so two pixels tell the factor.
func TestColor(t *testing.T) {
	s := numbered(2, 2, 3)
	for k := range s.Pix {
		s.Pix[k] = uint8(60 + 11*k) // 60 to 181: nothing is clamped by the factors below
	}
	values := func(by Augmentation, epoch uint64) []float64 {
		input, _ := fillEpoch(t, s, by, 0, 3, epoch)
		v := make([]float64, len(input))
		for k := range v {
			v[k] = 255 * float64(input[k])
		}
		return v
	}
	grayOf := func(p []float64) float64 { return 0.299*p[0] + 0.587*p[1] + 0.114*p[2] }
	plain := values(Augmentation{}, 0)
	mean := 0.0
	for at := 0; at < 12; at += 3 {
		mean += grayOf(plain[at:at+3]) / 4
	}
	for _, test := range []struct {
		name string
		by   Augmentation
		from func(k int) float64 // the point that the factor moves away from
	}{
		{"brightness", Augmentation{Brightness: 0.2}, func(int) float64 { return 0 }},
		{"contrast", Augmentation{Contrast: 0.3}, func(int) float64 { return mean }},
		{"saturation", Augmentation{Saturation: 0.4}, func(k int) float64 { return grayOf(plain[k/3*3 : k/3*3+3]) }},
	} {
		limit := max(test.by.Brightness, test.by.Contrast, test.by.Saturation)
		least, most := math.Inf(1), math.Inf(-1)
		for epoch := range uint64(300) {
			got := values(test.by, epoch)
			factor := (got[0] - test.from(0)) / (plain[0] - test.from(0))
			least, most = min(least, factor), max(most, factor)
			for k := range got {
				if want := test.from(k) + factor*(plain[k]-test.from(k)); math.Abs(got[k]-want) > 1e-3 {
					t.Fatalf("%s, epoch %d: value %d is %v, want %v with the factor %v", test.name, epoch, k, got[k], want, factor)
				}
			}
		}
		// 300 uniform draws come within a twentieth of either end but for a chance of 4e-4 with probability 1/2 each side; the seed is fixed.
		if least < 1-limit-1e-4 || most > 1+limit+1e-4 || least > 1-0.9*limit || most < 1+0.9*limit {
			t.Errorf("%s: factors from %v to %v, want %v to %v", test.name, least, most, 1-limit, 1+limit)
		}
	}
	bright := values(Augmentation{Brightness: 1}, 0)
	for epoch := range uint64(50) {
		bright = append(bright, values(Augmentation{Brightness: 1, Contrast: 1, Saturation: 1}, epoch)...)
	}
	if slices.Min(bright) < 0 || slices.Max(bright) > 255.001 {
		t.Errorf("values from %v to %v, want them clamped to 0..255", slices.Min(bright), slices.Max(bright))
	}
}

// TestResizedCrop: on an image that is linear in row and column, every enlarged part is linear too, up to the half pixel at
// its borders where the value is that of the border; its slopes tell the part's size.
func TestResizedCrop(t *testing.T) {
	const side = 16
	s := &Images{Name: "ramp", Height: side, Width: side, Channels: 1, Classes: []string{"a"}, Labels: []int{0}, IDs: []string{"x"}}
	for y := range side {
		for x := range side {
			s.Pix = append(s.Pix, uint8(10*x+5*y))
		}
	}
	areas := 0.0
	const draws = 400
	flipped := 0
	for epoch := range uint64(draws) {
		input, _ := fillEpoch(t, s, Augmentation{ResizedCrop: 0.25, Flip: true}, 0, 5, epoch)
		at := func(y, x int) float64 { return 255 * float64(input[y*side+x]) }
		across, down := (at(8, 9)-at(8, 8))/10, (at(9, 8)-at(8, 8))/5
		if across < 0 {
			flipped++
		}
		for y := 4; y < 12; y++ {
			for x := 4; x < 12; x++ {
				want := at(8, 8) + 10*across*float64(x-8) + 5*down*float64(y-8)
				if math.Abs(at(y, x)-want) > 0.01 {
					t.Fatalf("epoch %d: (%d,%d) is %v, want %v", epoch, y, x, at(y, x), want)
				}
			}
		}
		width, height := math.Abs(across)*side, down*side
		if math.Abs(width-math.Round(width)) > 0.01 || width > 16.01 || height > 16.01 || width*height < 0.2*256 {
			t.Errorf("epoch %d: a part of %vx%v", epoch, width, height)
		}
		if ratio := width / height; ratio < 0.65 || ratio > 1.55 { // 3/4 to 4/3 before rounding to pixels
			t.Errorf("epoch %d: width over height is %v", epoch, ratio)
		}
		areas += width * height / 256 / draws
	}
	// A uniform share from 1/4 to 1 has the mean 0.625; those near 1 that do not fit are drawn anew, which lowers it.
	if areas < 0.53 || areas > 0.63 {
		t.Errorf("the mean share of the area is %v", areas)
	}
	if flipped < draws*2/5 || flipped > draws*3/5 {
		t.Errorf("%d of %d flipped", flipped, draws)
	}
	whole, _ := fillEpoch(t, s, Augmentation{ResizedCrop: 1}, 0, 5, 0)
	if got := whole[0]; got != 0 {
		t.Errorf("the whole image begins with %v", got)
	}
}

// TestAugmentedIsReproducible: the same seed, epoch and position give the same bits, another of either other ones; whatever was
// filled before; and Fill shows the plain image.
func TestAugmentedIsReproducible(t *testing.T) {
	s := Shapes(4, 1)
	s.Mean, s.Std = s.ChannelStats(s.positions())
	for _, text := range []string{"crop:4,flip,cutout:8", "resized-crop:0.2,brightness:0.4,contrast:0.4,cutout:8"} {
		by, err := ParseAugmentation(text)
		if err != nil {
			t.Fatal(err)
		}
		v, err := Augmented(s, by)
		if err != nil {
			t.Fatal(err)
		}
		fill := func(i int, seed, epoch uint64) []float32 {
			x, y := make([]float32, len(s.Pixels(0))), make([]float32, len(s.Classes))
			v.FillEpoch(i, seed, epoch, x, y)
			return x
		}
		first := fill(2, 7, 3)
		for name, other := range map[string][]float32{"seed": fill(2, 8, 3), "epoch": fill(2, 7, 4), "position": fill(3, 7, 3)} {
			if slices.Equal(first, other) {
				t.Errorf("%s: another %s shows the same", text, name)
			}
		}
		if !slices.Equal(first, fill(2, 7, 3)) {
			t.Errorf("%s: other bits the second time", text)
		}
		x, y := make([]float32, len(first)), make([]float32, len(s.Classes))
		wantX, wantY := slices.Clone(x), slices.Clone(y)
		v.Fill(2, x, y)
		s.Fill(2, wantX, wantY)
		if !slices.Equal(x, wantX) || !slices.Equal(y, wantY) || v.ID(2) != s.ID(2) || v.Len() != s.Len() {
			t.Errorf("%s: Fill shows other than the plain image", text)
		}
	}
	plain, _ := fillEpoch(t, s, Augmentation{}, 1, 1, 1)
	x, y := make([]float32, len(plain)), make([]float32, len(s.Classes))
	s.Fill(1, x, y)
	if !slices.Equal(plain, x) {
		t.Error("no augmentation: other bits than Fill")
	}
}

func TestAugmentedRefuses(t *testing.T) {
	for _, test := range []struct {
		src  Source
		by   Augmentation
		says string
	}{
		{numbered(3, 3, 1), Augmentation{Saturation: 0.5}, "three channels"},
		{numbered(3, 4, 1), Augmentation{Crop: 3, Reflect: true}, "reflection"},
		{numbered(3, 4, 1), Augmentation{Crop: -1}, "crop"},
		{struct{ Source }{numbered(3, 4, 1)}, Augmentation{Flip: true}, "can't vary"},
	} {
		if _, err := Augmented(test.src, test.by); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: error %v, want one about %q", test.by, err, test.says)
		}
	}
}

func TestAugmentedAllocatesNothing(t *testing.T) {
	s := cifarLike(1)
	v, err := Augmented(s, Augmentation{Crop: 4, Flip: true, Cutout: 8})
	if err != nil {
		t.Fatal(err)
	}
	x, y := make([]float32, 32*32*3), make([]float32, len(s.Classes))
	if n := testing.AllocsPerRun(100, func() { v.FillEpoch(0, 1, 2, x, y) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// cifarLike returns n color images of 32x32.
func cifarLike(n int) *Images {
	s := &Images{Name: "random", Height: 32, Width: 32, Channels: 3, Classes: make([]string, 10), Labels: make([]int, n), IDs: sequentialIDs("x", n)}
	s.Pix = bytes.Repeat([]byte{1, 100, 200, 7, 31}, n*32*32*3/5+1)[:n*32*32*3]
	s.Mean, s.Std = []float32{0.5, 0.5, 0.5}, []float32{0.25, 0.25, 0.25}
	return s
}

func BenchmarkFillEpoch(b *testing.B) {
	s := cifarLike(100)
	x, y := make([]float32, 32*32*3), make([]float32, len(s.Classes))
	for _, text := range []string{"none", "crop:4,flip", "crop:4,flip,cutout:8", "resized-crop:0.08,flip", "crop:4,flip,brightness:0.4,contrast:0.4,saturation:0.4"} {
		v := augmentedBy(b, s, text)
		b.Run(text, func(b *testing.B) {
			for k := range b.N {
				v.FillEpoch(k%100, 1, uint64(k/100), x, y)
			}
		})
	}
	b.Run("plain Fill", func(b *testing.B) {
		for k := range b.N {
			s.Fill(k%100, x, y)
		}
	})
}
