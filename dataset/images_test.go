package dataset

import (
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"
)

// colors returns four images of 2x1 pixels, RGB, whose bytes count up.
func colors() *Images {
	s := &Images{
		Name: "colors", Height: 2, Width: 1, Channels: 3,
		Classes: []string{"red", "green", "blue"},
		Labels:  []int{0, 1, 2, 1},
		IDs:     sequentialIDs("train", 4),
	}
	for k := range 4 * 2 * 3 {
		s.Pix = append(s.Pix, uint8(10*k))
	}
	return s
}

func TestFill(t *testing.T) {
	s := colors()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	if got, want := s.InputDims(), []int{2, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("InputDims = %v, want %v", got, want)
	}
	if got, want := s.TargetDims(), []int{3}; !slices.Equal(got, want) {
		t.Errorf("TargetDims = %v, want %v", got, want)
	}
	for _, test := range []struct {
		name      string
		mean, std []float32
	}{
		{"no normalization", nil, nil},
		{"mean only", []float32{0.1, 0.2, 0.3}, nil},
		{"mean and deviation", []float32{0.1, 0.2, 0.3}, []float32{0.5, 0.25, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.Mean, s.Std = test.mean, test.std
			input, target := make([]float32, 6), []float32{7, 7, 7} // stale numbers must go
			s.Fill(2, input, target)
			if want := []float32{0, 0, 1}; !slices.Equal(target, want) {
				t.Errorf("target %v, want %v", target, want)
			}
			for k, got := range input {
				mean, std := 0.0, 1.0
				if test.mean != nil {
					mean = float64(test.mean[k%3])
				}
				if test.std != nil {
					std = float64(test.std[k%3])
				}
				want := (float64(10*(12+k))/255 - mean) / std
				if math.Abs(float64(got)-want) > 1e-6 {
					t.Errorf("input[%d] = %v, want %v", k, got, want)
				}
			}
		})
	}
}

func TestFillRejectsOtherLengths(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a target that is too short went through")
		}
	}()
	colors().Fill(0, make([]float32, 6), make([]float32, 2))
}

func TestChannelStatsNormalize(t *testing.T) {
	s := Shapes(64, 3)
	idx := []int{5, 9, 11, 40, 63, 2}
	s.Mean, s.Std = s.ChannelStats(idx)
	var sum, squares, n float64
	input, target := make([]float32, 28*28), make([]float32, len(s.Classes))
	for _, i := range idx {
		s.Fill(i, input, target)
		for _, v := range input {
			sum += float64(v)
			squares += float64(v) * float64(v)
			n++
		}
	}
	if mean := sum / n; math.Abs(mean) > 1e-5 {
		t.Errorf("mean after normalization %v, want 0", mean)
	}
	if variance := squares / n; math.Abs(variance-1) > 1e-4 {
		t.Errorf("variance after normalization %v, want 1", variance)
	}
	slices.Reverse(idx)
	mean, std := s.ChannelStats(idx)
	if !slices.Equal(mean, s.Mean) || !slices.Equal(std, s.Std) {
		t.Error("the order of positions changes the result")
	}
}

func TestChannelStatsOfConstantChannel(t *testing.T) {
	s := colors()
	for _, idx := range [][]int{{}, nil} {
		mean, std := s.ChannelStats(idx)
		if !slices.Equal(mean, []float32{0, 0, 0}) || !slices.Equal(std, []float32{1, 1, 1}) {
			t.Errorf("no images: mean %v and deviation %v, want 0 and 1", mean, std)
		}
	}
	for k := range s.Pix {
		s.Pix[k] = 51 * uint8(k%3)
	}
	mean, std := s.ChannelStats([]int{0, 3})
	if want := []float32{0, 0.2, 0.4}; !slices.Equal(mean, want) {
		t.Errorf("mean %v, want %v", mean, want)
	}
	if want := []float32{1, 1, 1}; !slices.Equal(std, want) {
		t.Errorf("deviation %v, want %v", std, want)
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(s *Images)
		want   string
	}{
		{"dimensions", func(s *Images) { s.Width = 0 }, "images of 2x0 pixels"},
		{"empty", func(s *Images) { s.Labels = nil }, "no images"},
		{"no classes", func(s *Images) { s.Classes = nil }, "no classes"},
		{"pixels", func(s *Images) { s.Pix = s.Pix[1:] }, "4 labels but 23 bytes of pixels, want 24"},
		{"ids", func(s *Images) { s.IDs = s.IDs[1:] }, "4 labels but 3 ids"},
		{"id twice", func(s *Images) { s.IDs = []string{"a", "b", "c", "b"} }, `records 1 and 3 have the same id "b"`},
		{"label", func(s *Images) { s.Labels = []int{0, 1, 3, 1} }, "record 2 (train/00002): label 3 is out of range: 3 classes"},
		{"negative label", func(s *Images) { s.Labels = []int{-1, 1, 2, 1} }, "record 0 (train/00000): label -1"},
		{"original", func(s *Images) { s.Original = []int{0, 1, 2, 5} }, "record 3 (train/00003): original label 5"},
		{"originals", func(s *Images) { s.Original = []int{0} }, "1 original labels"},
		{"means", func(s *Images) { s.Mean = []float32{0} }, "1 means and 0 standard deviations for 3 channels"},
		{"mean", func(s *Images) { s.Mean = []float32{0, float32(math.NaN()), 0} }, "mean of channel 1 is NaN"},
		{"deviation", func(s *Images) { s.Std = []float32{1, 1, 0} }, "standard deviation of channel 2 is 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := colors()
			test.damage(s)
			err := s.Validate()
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); !strings.HasPrefix(got, "data set colors: ") || !strings.Contains(got, test.want) || strings.Contains(got, "\n") {
				t.Errorf("got %q, want one line with %q", got, test.want)
			}
		})
	}
}

func TestHash(t *testing.T) {
	// Computed apart, from the bytes that the comment on Hash lists; a change breaks every config.yaml that holds a hash.
	const want = "3651c12e8ea49e271868fde1845b98b4970c721e75881dcab0bcff5b1bc1c50f"
	if got := colors().Hash(); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	for _, test := range []struct {
		name    string
		change  func(s *Images)
		differs bool
	}{
		{"pixel", func(s *Images) { s.Pix[7]++ }, true},
		{"label", func(s *Images) { s.Labels[0] = 1 }, true},
		{"id", func(s *Images) { s.IDs[3] = "train/3" }, true},
		{"boundary of ids", func(s *Images) { s.IDs = []string{"train/000000", "rain/00001", "train/00002", "train/00003"} }, true},
		{"dimensions", func(s *Images) { s.Height, s.Width = 1, 2 }, true},
		{"name", func(s *Images) { s.Name = "other" }, false},
		{"normalization", func(s *Images) { s.Mean = []float32{1, 1, 1} }, false},
		{"original labels", func(s *Images) { s.Original = []int{0, 0, 0, 0} }, false},
	} {
		s := colors()
		test.change(s)
		if differs := s.Hash() != want; differs != test.differs {
			t.Errorf("%s: hash differs: %v, want %v", test.name, differs, test.differs)
		}
	}
}

func TestSubset(t *testing.T) {
	s := colors()
	s.Original = []int{2, 1, 2, 1}
	s.Mean = []float32{0.5, 0.5, 0.5}
	u := s.Subset([]int{3, 0})
	if err := u.Validate(); err != nil {
		t.Fatal(err)
	}
	if u.ID(0) != "train/00003" || u.ID(1) != "train/00000" {
		t.Errorf("ids %v", u.IDs)
	}
	for k, i := range []int{3, 0} {
		if !slices.Equal(u.Pixels(k), s.Pixels(i)) || u.Labels[k] != s.Labels[i] || u.Planted(k) != s.Planted(i) {
			t.Errorf("position %d isn't image %d", k, i)
		}
	}
	u.Pix[0], u.Labels[0] = 1, 2
	if s.Pix[18] == 1 || s.Labels[3] == 2 {
		t.Error("a subset shares memory that it should copy")
	}
}

func TestConcat(t *testing.T) {
	a, b := colors(), colors()
	b.IDs = sequentialIDs("test", 4)
	b.Labels = []int{2, 2, 2, 2}
	b.Original = []int{2, 2, 0, 2}
	s, err := Concat(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	if s.Name != "colors" || s.Len() != 8 || s.ID(4) != "test/00000" || s.Labels[4] != 2 {
		t.Errorf("joined set: name %q, %d images, ids %v, labels %v", s.Name, s.Len(), s.IDs, s.Labels)
	}
	if !slices.Equal(s.Original, []int{0, 1, 2, 1, 2, 2, 0, 2}) || s.Planted(0) || !s.Planted(6) {
		t.Errorf("original labels %v", s.Original)
	}
	for _, test := range []struct {
		name   string
		change func(s *Images)
		want   string
	}{
		{"size", func(s *Images) { s.Height, s.Width = 1, 2 }, "images of [2 1 3] and of [1 2 3]"},
		{"classes", func(s *Images) { s.Classes = []string{"a", "b", "c"} }, "different classes"},
		{"normalization", func(s *Images) { s.Std = []float32{1, 1, 1} }, "different normalization"},
		{"ids", func(s *Images) { s.IDs[2] = "train/00001" }, `record 2 of the second has the id "train/00001"`},
	} {
		b := colors()
		b.IDs = sequentialIDs("test", 4)
		test.change(b)
		if _, err := Concat(a, b); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q in it", test.name, err, test.want)
		}
	}
}

func TestIDsSortByNumber(t *testing.T) {
	ids := sequentialIDs("train", 100_001)
	if ids[17] != "train/000017" || ids[100_000] != "train/100000" || !slices.IsSorted(ids) {
		t.Errorf("ids %s ... %s", ids[17], ids[100_000])
	}
}

func TestImage(t *testing.T) {
	for _, test := range []struct {
		channels int
		want     color.Color
	}{
		{1, color.Gray{30}},
		{2, color.NRGBA{60, 60, 60, 70}},
		{3, color.NRGBA{90, 100, 110, 255}},
		{4, color.NRGBA{120, 130, 140, 150}},
		{5, color.NRGBA{150, 160, 170, 255}},
	} {
		s := &Images{Height: 2, Width: 2, Channels: test.channels, Labels: []int{0}}
		for k := range 4 * test.channels {
			s.Pix = append(s.Pix, uint8(10*k))
		}
		m := s.Image(0)
		if m.Bounds() != image.Rect(0, 0, 2, 2) {
			t.Errorf("%d channels: bounds %v", test.channels, m.Bounds())
		}
		if got := m.At(1, 1); got != test.want {
			t.Errorf("%d channels: pixel (1, 1) is %v, want %v", test.channels, got, test.want)
		}
	}
}
