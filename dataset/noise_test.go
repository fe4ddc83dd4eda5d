package dataset

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestWithLabelNoise(t *testing.T) {
	s := Shapes(1000, 1)
	before := slices.Clone(s.Labels)
	idx := make([]int, 0, 600)
	for i := 200; i < 800; i++ {
		idx = append(idx, i)
	}
	for _, rate := range []float64{0, 0.001, 0.1, 0.2, 0.3333, 0.5, 1} {
		noisy, err := s.WithLabelNoise(rate, idx, 5)
		if err != nil {
			t.Fatal(err)
		}
		planted := 0
		for i := range noisy.Len() {
			if noisy.Planted(i) != (noisy.Labels[i] != before[i]) {
				t.Fatalf("rate %v: Planted(%d) = %v, label %d was %d", rate, i, noisy.Planted(i), noisy.Labels[i], before[i])
			}
			if noisy.Planted(i) {
				planted++
				if i < 200 || i >= 800 {
					t.Errorf("rate %v: planted at %d, outside the positions given", rate, i)
				}
			}
		}
		if want := int(math.Round(rate * 600)); planted != want {
			t.Errorf("rate %v: %d planted, want exactly %d", rate, planted, want)
		}
		if (noisy.Original == nil) != (planted == 0) {
			t.Errorf("rate %v: original labels %v with %d planted", rate, noisy.Original != nil, planted)
		}
		if err := noisy.Validate(); err != nil {
			t.Error(err)
		}
		if !slices.Equal(noisy.IDs, s.IDs) {
			t.Errorf("rate %v: ids changed", rate)
		}
	}
	if !slices.Equal(s.Labels, before) || s.Original != nil {
		t.Error("the receiver changed")
	}
}

func TestLabelNoiseSeeds(t *testing.T) {
	s := Shapes(400, 1)
	idx := s.positions()
	a, _ := s.WithLabelNoise(0.3, idx, 1)
	slices.Reverse(idx)
	b, _ := s.WithLabelNoise(0.3, idx, 1)
	c, _ := s.WithLabelNoise(0.3, idx, 2)
	if !slices.Equal(a.Labels, b.Labels) {
		t.Error("one seed gave two noises")
	}
	if slices.Equal(a.Labels, c.Labels) {
		t.Error("two seeds gave one noise")
	}
}

// positions returns all positions.
func (s *Images) positions() []int {
	idx := make([]int, s.Len())
	for i := range idx {
		idx[i] = i
	}
	return idx
}

// The wrong class is uniform over the other classes: chi-square over 56 pairs of classes has 48 degrees of freedom, and its
// 99.99 % point is 93.2.
func TestLabelNoiseIsSymmetric(t *testing.T) {
	const n, classes = 40_000, 8
	s := &Images{Name: "flat", Height: 1, Width: 1, Channels: 1, Classes: make([]string, classes), Pix: make([]uint8, n), IDs: sequentialIDs("x", n)}
	for i := range n {
		s.Labels = append(s.Labels, i%classes)
	}
	noisy, err := s.WithLabelNoise(1, s.positions(), 9)
	if err != nil {
		t.Fatal(err)
	}
	var counts [classes][classes]float64
	for i := range n {
		counts[s.Labels[i]][noisy.Labels[i]]++
	}
	chi := 0.0
	const want = float64(n) / classes / (classes - 1)
	for from := range classes {
		for to := range classes {
			if from == to {
				if counts[from][to] != 0 {
					t.Errorf("class %d kept its label %v times", from, counts[from][to])
				}
				continue
			}
			chi += (counts[from][to] - want) * (counts[from][to] - want) / want
		}
	}
	if chi > 93.2 {
		t.Errorf("chi-square %v of 48 degrees of freedom", chi)
	}
}

func TestLabelNoiseErrors(t *testing.T) {
	s := colors()
	one := colors()
	one.Classes, one.Labels = []string{"all"}, []int{0, 0, 0, 0}
	planted, err := s.WithLabelNoise(1, []int{1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		set  *Images
		rate float64
		idx  []int
		want string
	}{
		{"negative rate", s, -0.1, []int{0}, "rate -0.1"},
		{"rate over 1", s, 1.1, []int{0}, "rate 1.1"},
		{"not a number", s, math.NaN(), []int{0}, "rate NaN"},
		{"position", s, 0.5, []int{0, 4}, "position 4 of 4"},
		{"negative position", s, 0.5, []int{-1, 2}, "position -1 of 4"},
		{"position twice", s, 0.5, []int{2, 0, 2}, "position 2 is given twice"},
		{"one class", one, 1, []int{0, 1}, "no other class"},
		{"planted twice", planted, 1, []int{0, 1}, "record 1 (train/00001) already carries a planted label"},
	} {
		if _, err := test.set.WithLabelNoise(test.rate, test.idx, 1); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q in it", test.name, err, test.want)
		}
	}
	both, err := planted.WithLabelNoise(1, []int{3}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(both.Original, s.Labels) || !both.Planted(1) || !both.Planted(3) || both.Planted(0) {
		t.Errorf("noise in two places: labels %v, original %v", both.Labels, both.Original)
	}
}
