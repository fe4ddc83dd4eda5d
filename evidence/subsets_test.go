package evidence

import (
	"slices"
	"testing"
)

func TestCountOf(t *testing.T) {
	for _, test := range []struct {
		fraction float64
		n, want  int
	}{{0.01, 1000, 10}, {0.01, 20, 1}, {0.5, 7, 4}, {0.99, 10, 9}, {0.999, 10, 9}} {
		if got := countOf(test.fraction, test.n); got != test.want {
			t.Errorf("%v of %d: %d, want %d", test.fraction, test.n, got, test.want)
		}
	}
}

// Subsets are sets of the size asked for, every sample is as likely in one as another, and asking for more of them adds to
// the same.
func TestRandomSubsets(t *testing.T) {
	const n, count, m = 30, 6, 2000
	subsets := randomSubsets(n, count, m, 3)
	var times [n]int
	for _, s := range subsets {
		if len(s) != count || !slices.IsSorted(s) || len(slices.Compact(slices.Clone(s))) != count || s[0] < 0 || s[count-1] >= n {
			t.Fatalf("%v is not an ascending set of %d of %d", s, count, n)
		}
		for _, i := range s {
			times[i]++
		}
	}
	for i, c := range times { // 400 expected, deviation sqrt(2000 * 0.2 * 0.8) = 18
		if c < 400-5*18 || c > 400+5*18 {
			t.Errorf("sample %d is in %d of %d subsets, want about 400", i, c, m)
		}
	}
	for j, s := range randomSubsets(n, count, 5, 3) {
		if !slices.Equal(s, subsets[j]) {
			t.Errorf("subset %d of 5 is not subset %d of %d", j, j, m)
		}
	}
	if slices.Equal(subsets[0], randomSubsets(n, count, 1, 4)[0]) || slices.Equal(subsets[0], subsets[1]) {
		t.Error("another seed or another draw gives the same subset")
	}
}

func TestDisjointGroups(t *testing.T) {
	seen := map[int]bool{}
	for _, g := range disjointGroups(20, 3, 6, 1) {
		if len(g) != 3 || !slices.IsSorted(g) {
			t.Errorf("group %v", g)
		}
		for _, i := range g {
			if seen[i] || i < 0 || i >= 20 {
				t.Errorf("sample %d is in two groups, or is none", i)
			}
			seen[i] = true
		}
	}
}
