package datadropout

import (
	"cmp"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Holm returns the p values of several tests corrected for their number: at level a, those of at most a may be believed, with a
// probability of at most a that one of them is a mistake (Holm, Scandinavian Journal of Statistics 1979). In ascending order the
// k-th of m, from 0, becomes the largest of (m-j) p_j over j <= k, at most 1.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	corrected := make([]float64, len(p))
	largest := 0.0
	for k, i := range order {
		largest = max(largest, min(1, float64(len(p)-k)*p[i]))
		corrected[i] = largest
	}
	return corrected
}

// pBelow is the one-sided p value of a change against zero or more, by Student's t with df degrees of freedom, or by the normal
// distribution for a df of 0: the standard error is one over hundreds of samples. Below 0 there is no test, and p is 1.
func pBelow(change, standardError, df float64) float64 {
	switch {
	case df < 0:
		return 1
	case standardError > 0 && df > 0:
		return distuv.StudentsT{Sigma: 1, Nu: df}.CDF(change / standardError)
	case standardError > 0:
		return distuv.UnitNormal.CDF(change / standardError)
	case change < 0:
		return 0
	}
	return 1
}

// testAmounts fills in the p values of the amounts tried, corrected for their number. tried[0] is dropping nothing.
// The standard errors are over tune samples, of one training each, so the level holds for these two models, and not for the two
// training sets: of trainings that differ by luck as much as, or more than, by the tune samples, many more than 5 % pass.
func testAmounts(tried []Amount) {
	p := make([]float64, len(tried)-1)
	for i, a := range tried[1:] {
		p[i] = pBelow(a.LossChange, a.StandardError, a.df)
	}
	for i, corrected := range Holm(p) {
		first, holm := Number(p[i]), Number(corrected)
		tried[i+1].P, tried[i+1].PHolm = &first, &holm
	}
}
