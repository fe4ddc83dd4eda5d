package dataset

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// span returns from, ..., to-1.
func span(from, to int) []int {
	s := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		s = append(s, i)
	}
	return s
}

func TestSplitSizes(t *testing.T) {
	for _, test := range []struct {
		name               string
		pool, official     int
		sizes              Sizes
		train, score, tune int
		test               int
	}{
		{name: "defaults", pool: 600, train: 300, score: 100, tune: 100, test: 100},
		{name: "defaults with an official test", pool: 600, official: 70, train: 400, score: 100, tune: 100, test: 70},
		{name: "all given", pool: 600, sizes: Sizes{100, 20, 30, 40}, train: 100, score: 20, tune: 30, test: 40},
		{name: "the whole pool", pool: 600, sizes: Sizes{300, 100, 100, 100}, train: 300, score: 100, tune: 100, test: 100},
		{name: "part of an official test", pool: 600, official: 70, sizes: Sizes{100, 20, 30, 40}, train: 100, score: 20, tune: 30, test: 40},
		{name: "train leaves little", pool: 600, official: 70, sizes: Sizes{Train: 550}, train: 550, score: 25, tune: 25, test: 70},
		{name: "train takes the rest", pool: 600, official: 70, sizes: Sizes{Score: 10, Tune: 20}, train: 570, score: 10, tune: 20, test: 70},
		{name: "train before its neighbors", pool: 600, official: 70, sizes: Sizes{Score: 590}, train: 5, score: 590, tune: 5, test: 70},
		{name: "tiny", pool: 4, train: 1, score: 1, tune: 1, test: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			labels := make([]int, test.pool+test.official)
			for i := range labels {
				labels[i] = i % 3
			}
			var official []int
			if test.official > 0 {
				official = span(test.pool, test.pool+test.official)
			}
			s, err := NewSplit(labels, span(0, test.pool), official, test.sizes, 1)
			if err != nil {
				t.Fatal(err)
			}
			got := []int{len(s.Train), len(s.Score), len(s.Tune), len(s.Test)}
			if want := []int{test.train, test.score, test.tune, test.test}; !slices.Equal(got, want) {
				t.Errorf("sizes %v, want %v", got, want)
			}
		})
	}
}

func TestSplitErrors(t *testing.T) {
	labels := make([]int, 100)
	for _, test := range []struct {
		name           string
		labels         []int
		pool, official []int
		sizes          Sizes
		asked, there   int // of the TooFewError; 0: another error
		want           string
	}{
		{"too few", labels, span(0, 100), nil, Sizes{60, 20, 20, 10}, 110, 100, "the split (train 60, score 20, tune 20, test 10) asks for 110 samples, only 100 available"},
		{"nothing left for tune", labels, span(0, 50), span(50, 100), Sizes{Train: 40, Score: 10}, 51, 50, "train 40, score 10, tune at least 1) asks for 51"},
		{"test", labels, span(0, 50), span(50, 100), Sizes{Test: 51}, 51, 50, "the test split asks for 51 samples, only 50 available"},
		{"empty pool", labels, nil, nil, Sizes{}, 4, 0, "asks for 4 samples, only 0 available"},
		{"negative", labels, span(0, 100), nil, Sizes{Tune: -1}, 0, 0, "negative size"},
		{"overlap", labels, span(0, 60), span(50, 100), Sizes{}, 0, 0, "position 50 is given twice"},
		{"out of range", labels, span(0, 101), nil, Sizes{}, 0, 0, "position 100 of 100"},
		{"empty official test", labels, span(0, 100), []int{}, Sizes{}, 0, 0, "official test set is empty"},
		{"negative label", []int{0, -2, 1, 1}, span(0, 4), nil, Sizes{}, 0, 0, "position 1 has the label -2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewSplit(test.labels, test.pool, test.official, test.sizes, 1)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q in it", err, test.want)
			}
			var few *TooFewError
			if errors.As(err, &few) != (test.asked > 0) || test.asked > 0 && (few.Asked != test.asked || few.Available != test.there) {
				t.Errorf("error %#v, want %d asked and %d there", err, test.asked, test.there)
			}
		})
	}
}

// Random splits of random sets: parts are disjoint, come from where they must, are sorted, and hold of every class less
// than one sample more or less than its share.
func TestSplitProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		pool, official := 20+rng.IntN(400), rng.IntN(2)*(1+rng.IntN(100))
		labels := make([]int, pool+official)
		classes := 1 + rng.IntN(12)
		for i := range labels {
			labels[i] = min(rng.IntN(classes), rng.IntN(classes)) // unbalanced
		}
		at := rng.Perm(len(labels))
		from, test := at[:pool], at[pool:]
		if official == 0 {
			test = nil
		}
		sizes := Sizes{Train: 1 + rng.IntN(pool/2), Score: 1 + rng.IntN(pool/8), Tune: 1 + rng.IntN(pool/8), Test: rng.IntN(official/2 + 1)}
		seed := rng.Uint64()
		s, err := NewSplit(labels, from, test, sizes, seed)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]bool{}
		check := func(name string, part, source []int, size int) {
			if len(part) != size && size != 0 {
				t.Errorf("round %d: %s has %d samples, want %d", round, name, len(part), size)
			}
			if !slices.IsSorted(part) {
				t.Errorf("round %d: %s isn't sorted", round, name)
			}
			for _, i := range part {
				if seen[i] || !slices.Contains(source, i) {
					t.Errorf("round %d: position %d of %s is in another part or foreign", round, i, name)
				}
				seen[i] = true
			}
			all, got := tally(labels, source, classes), tally(labels, part, classes)
			for c := range classes {
				share := float64(len(part)) * float64(all[c]) / float64(len(source))
				if d := float64(got[c]) - share; d >= 1 || d <= -1 {
					t.Errorf("round %d: %s has %d of class %d, its share is %v", round, name, got[c], c, share)
				}
			}
		}
		testSource := test
		if test == nil {
			testSource = from
		}
		check("train", s.Train, from, sizes.Train)
		check("score", s.Score, from, sizes.Score)
		check("tune", s.Tune, from, sizes.Tune)
		check("test", s.Test, testSource, sizes.Test)

		slices.Reverse(from)
		again, err := NewSplit(labels, from, test, sizes, seed)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(again) != fmt.Sprint(s) {
			t.Errorf("round %d: one seed gave two splits", round)
		}
	}
}

func tally(labels, positions []int, classes int) []int {
	counts := make([]int, classes)
	for _, i := range positions {
		counts[labels[i]]++
	}
	return counts
}

func TestSplitSeeds(t *testing.T) {
	labels := make([]int, 1000)
	a, _ := NewSplit(labels, span(0, 1000), nil, Sizes{}, 1)
	b, _ := NewSplit(labels, span(0, 1000), nil, Sizes{}, 2)
	if slices.Equal(a.Train, b.Train) || slices.Equal(a.Test, b.Test) {
		t.Error("two seeds gave one split")
	}
}

// The rounding is exact where the shares are whole, and a table whose shares are all halves still keeps its sums.
func TestApportion(t *testing.T) {
	for _, test := range []struct {
		name          string
		totals, sizes []int
	}{
		{"whole shares", []int{40, 20, 20}, []int{40, 20, 20}},
		{"halves", []int{1, 1, 1, 1}, []int{2, 2}},
		{"many small classes", []int{1, 2, 3, 1, 1, 5, 1, 1, 2}, []int{5, 4, 3, 2}},
		{"an empty class", []int{0, 7, 0, 5}, []int{5, 3}},
		{"nothing", []int{0}, []int{0}},
	} {
		all := 0
		for _, n := range test.totals {
			all += n
		}
		counts := apportion(test.totals, test.sizes)
		for p, size := range test.sizes {
			sum := 0
			for c, total := range test.totals {
				n := counts[c][p]
				sum += n
				if all > 0 && (n*all > size*total+all-1 || n*all < size*total-all+1) {
					t.Errorf("%s: %d of class %d in part %d, share %d/%d", test.name, n, c, p, size*total, all)
				}
			}
			if sum != size {
				t.Errorf("%s: part %d has %d samples, want %d", test.name, p, sum, size)
			}
		}
		for c, total := range test.totals {
			sum := 0
			for _, n := range counts[c] {
				sum += n
			}
			if sum > total {
				t.Errorf("%s: class %d gives %d samples of %d", test.name, c, sum, total)
			}
		}
	}
}

func TestStratifiedSample(t *testing.T) {
	labels := Shapes(400, 2).Labels
	from := span(50, 350)
	perClass := []int{3, 0, 7, 1, 0, 20, 5, 2}
	drawn, err := StratifiedSample(labels, from, perClass, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got := tally(labels, drawn, 8); !slices.Equal(got, perClass) {
		t.Errorf("drawn per class %v, want %v", got, perClass)
	}
	if !slices.IsSorted(drawn) || len(slices.Compact(slices.Clone(drawn))) != 38 || drawn[0] < 50 || drawn[37] >= 350 {
		t.Errorf("drawn %v: not sorted, not distinct or not from the positions given", drawn)
	}
	slices.Reverse(from)
	again, _ := StratifiedSample(labels, from, perClass, 4)
	other, _ := StratifiedSample(labels, from, perClass, 5)
	if !slices.Equal(drawn, again) || slices.Equal(drawn, other) {
		t.Error("the draw isn't a function of the seed")
	}
}

// Every position has the same chance: 4,000 draws of 2 of 8; a count is binomial with mean 1000 and deviation 27.4.
func TestStratifiedSampleIsUniform(t *testing.T) {
	labels := make([]int, 8)
	counts := make([]int, 8)
	for seed := range uint64(4000) {
		drawn, err := StratifiedSample(labels, span(0, 8), []int{2}, seed)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range drawn {
			counts[i]++
		}
	}
	for i, n := range counts {
		if n < 1000-137 || n > 1000+137 {
			t.Errorf("position %d was drawn %d times of 4000, want 1000 within 5 deviations", i, n)
		}
	}
}

func TestStratifiedSampleErrors(t *testing.T) {
	labels := []int{0, 0, 1, 1, 1}
	for _, test := range []struct {
		name     string
		from     []int
		perClass []int
		want     string
	}{
		{"too few", span(0, 5), []int{3, 1}, "the stratified sample of class 0 asks for 3 samples, only 2 available"},
		{"no such class", span(0, 5), []int{0, 0, 1}, "class 2 asks for 1 sample, only 0 available"},
		{"negative", span(0, 5), []int{-1}, "-1 samples of class 0"},
		{"position", []int{0, 5}, []int{1}, "position 5 of 5"},
		{"position twice", []int{1, 1}, []int{1}, "position 1 is given twice"},
	} {
		if _, err := StratifiedSample(labels, test.from, test.perClass, 1); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q in it", test.name, err, test.want)
		}
	}
}
