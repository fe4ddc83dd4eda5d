package evidence

import (
	"fmt"
	"math"
	"slices"
)

// The samples of the training split are counted here by their order in it, 0 to n-1.

// countOf returns how many of n samples a fraction is: at least 1, and at least 1 stays.
func countOf(fraction float64, n int) int {
	return max(1, min(n-1, int(math.Round(fraction*float64(n)))))
}

// randomSubsets draws m subsets of count out of n samples, each in ascending order. A larger m draws the same subsets
// first, so that more of them can be added to a study.
func randomSubsets(n, count, m int, seed uint64) [][]int {
	rng := seeded(fmt.Sprintf("subsets of %d", count), seed)
	subsets := make([][]int, m)
	for j := range subsets {
		subsets[j] = rng.Perm(n)[:count]
		slices.Sort(subsets[j])
	}
	return subsets
}

// disjointGroups draws m groups of k out of n samples that share none, m*k of them at most n, each in ascending order.
func disjointGroups(n, k, m int, seed uint64) [][]int {
	order := seeded("left-out groups", seed).Perm(n)
	groups := make([][]int, m)
	for j := range groups {
		groups[j] = order[j*k : (j+1)*k]
		slices.Sort(groups[j])
	}
	return groups
}

// sumOver returns the sum of the removal effects of the samples: the predicted change if all of them are removed.
func sumOver(delta []float64, samples []int) float64 {
	sum := 0.0
	for _, i := range samples {
		sum += delta[i]
	}
	return sum
}
