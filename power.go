package datadropout

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/stat/distuv"
)

// likely is the power at which a test is said to show a difference.
const likely = 0.8

// mostMoreSeeds bounds how many further seeds are suggested.
const mostMoreSeeds = 100

// Power is the probability that a paired two-sided t test at 5 % over n seeds, at least 2, shows a true difference of d standard
// deviations of the paired differences (Cohen, Statistical Power Analysis, 1988, section 2.2):
//
//	P(|T| > t(0.975; n-1)),  T noncentral t with n-1 degrees of freedom and the noncentrality d sqrt(n)
func Power(d float64, n int) float64 {
	df, shift := float64(n-1), d*math.Sqrt(float64(n))
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(1 - significance/2)
	return noncentralT(-t, df, shift) + noncentralT(-t, df, -shift)
}

// noncentralT is P(T <= t) of T = (Z + shift) / sqrt(V/df), Z standard normal and V chi-squared with df degrees of freedom: the
// mean of Phi(t s - shift) over s = sqrt(V/df).
func noncentralT(t, df, shift float64) float64 {
	const beyond, nodes = 1e-13, 128
	chi := distuv.ChiSquared{K: df}
	low, high := math.Sqrt(chi.Quantile(beyond)/df), math.Sqrt(chi.Quantile(1-beyond)/df)
	return quad.Fixed(func(s float64) float64 {
		return distuv.UnitNormal.CDF(t*s-shift) * 2 * df * s * chi.Prob(df*s*s)
	}, low, high, nodes, nil, 0)
}

// moreSeeds returns how many seeds beyond n give the test a likely power, if the true difference is mean and the deviation s; -1
// where mostMoreSeeds do not.
func moreSeeds(mean, s float64, n int) int {
	if mean == 0 {
		return -1
	}
	for m := n + 1; m <= n+mostMoreSeeds; m++ {
		if Power(math.Abs(mean)/s, m) >= likely {
			return m - n
		}
	}
	return -1
}

// detectable returns the true difference that n seeds are likely to show, if the deviation is s.
func detectable(s float64, n int) float64 {
	low, high := 0.0, 1.0
	for Power(high, n) < likely {
		low, high = high, 2*high
	}
	for high-low > 1e-9*high {
		if d := (low + high) / 2; Power(d, n) < likely {
			low = d
		} else {
			high = d
		}
	}
	return high * s
}
