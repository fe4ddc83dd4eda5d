package dataset

import (
	"cmp"
	"slices"
)

// apportion returns how many samples of each class each part takes: counts[class][part], with the parts' sizes as column
// sums, no class taking more than totals[class], and every count less than one away from the proportional share
// sizes[part]*totals[class]/sum(totals). The sizes must add up to at most the sum of totals.
//
// This is controlled rounding of a two-way table (Cox, "A constructive procedure for unbiased controlled rounding", JASA
// 1987): with the samples that no part takes as one more part, row and column sums are whole, so rounding every share up or
// down can keep them all. Which shares go up is a bipartite assignment, found by augmenting paths: the fractional shares
// themselves are a flow, so a whole one exists.
func apportion(totals, sizes []int) [][]int {
	all, taken := 0, 0
	for _, t := range totals {
		all += t
	}
	for _, s := range sizes {
		taken += s
	}
	columns := append(slices.Clone(sizes), all-taken)

	r := rounding{
		counts: make([][]int, len(totals)),
		state:  make([][]cell, len(totals)),
		room:   slices.Clone(columns),
	}
	open := make([]int, len(totals)) // samples of a class beyond its rounded-down shares
	for c, total := range totals {
		r.counts[c] = make([]int, len(columns))
		r.state[c] = make([]cell, len(columns))
		open[c] = total
		for p, size := range columns {
			if all == 0 {
				continue
			}
			share := size * total / all
			r.counts[c][p] = share
			open[c] -= share
			r.room[p] -= share
			if size*total%all != 0 {
				r.state[c][p] = cell{up: true, remainder: size * total % all}
			}
		}
	}
	for c := range totals {
		for range open[c] {
			if !r.place(c, make([]bool, len(columns))) {
				panic("dataset: shares can't be rounded")
			}
		}
	}
	for c := range r.counts {
		r.counts[c] = r.counts[c][:len(sizes)]
	}
	return r.counts
}

// cell says of one class in one part whether its share may be rounded up, and whether it was.
type cell struct {
	up, raised bool
	remainder  int // of the share; the larger, the sooner it's rounded up
}

type rounding struct {
	counts [][]int
	state  [][]cell
	room   []int // samples that a part still needs
}

// place gives one more sample of class c to a part, moving samples of other classes where it must. seen marks parts that
// this search has tried.
func (r *rounding) place(c int, seen []bool) bool {
	parts := make([]int, len(r.room))
	for p := range parts {
		parts[p] = p
	}
	slices.SortStableFunc(parts, func(a, b int) int { return cmp.Compare(r.state[c][b].remainder, r.state[c][a].remainder) })
	for _, p := range parts {
		if seen[p] || !r.state[c][p].up || r.state[c][p].raised {
			continue
		}
		seen[p] = true
		if r.room[p] > 0 {
			r.room[p]--
			r.raise(c, p, 1)
			return true
		}
		for other := range r.state {
			if other != c && r.state[other][p].raised && r.place(other, seen) {
				r.raise(other, p, -1)
				r.raise(c, p, 1)
				return true
			}
		}
	}
	return false
}

func (r *rounding) raise(c, p, by int) {
	r.counts[c][p] += by
	r.state[c][p].raised = by > 0
}
