package datadropout

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/influence"
)

func TestCombine(t *testing.T) {
	a := &influence.Scores{Delta: []float64{2, -1, 0}, Folds: [][]float64{{1, -1, 0}, {3, -1, 0}}}
	b := &influence.Scores{Delta: []float64{4, -3, 1}, Folds: [][]float64{{3, -3, 2}, {5, -3, 0}}}
	e := Combine([]*influence.Scores{a, b})
	for i, want := range []float64{3, -2, 0.5} {
		if e.Delta[i] != want {
			t.Errorf("delta %d is %v, want %v", i, e.Delta[i], want)
		}
	}
	// Over the folds of the mean, and over seeds: sample 0 has 2, 4 and 2, 4; sample 1 -2, -2 and -1, -3; sample 2 1, 0
	// and 0, 1. Half of each sample variance adds up to 1+1, 0+1 and 1/4+1/4.
	variance, df := variances([]*influence.Scores{a, b})
	if !slices.Equal(variance, []float64{2, 1, 0.5}) || df != 2 {
		t.Errorf("variances %v with %v degrees of freedom, want 2, 1, 0.5 with 2", variance, df)
	}
	if len(e.StandardError) != 3 || e.DegreesOfFreedom < 2 {
		t.Errorf("%v degrees of freedom, want 2 and those of the prior", e.DegreesOfFreedom)
	}
	if e.SeedCorrelation != 1 {
		t.Errorf("rank correlation %v of equal ranks", e.SeedCorrelation)
	}
	plain := Combine([]*influence.Scores{{Delta: []float64{1, 2}}})
	if plain.StandardError != nil || plain.PValues() != nil || !math.IsNaN(plain.SeedCorrelation) {
		t.Errorf("one seed without folds: %+v, want no standard errors", plain)
	}
}

// TestCombineWithoutVariance has folds that agree to the last bit: no p value may come of it.
func TestCombineWithoutVariance(t *testing.T) {
	s := &influence.Scores{Delta: []float64{-2, 1}, Folds: [][]float64{{-2, 1}, {-2, 1}}}
	e := Combine([]*influence.Scores{s})
	for i, p := range e.PValues() {
		if p != 1 {
			t.Errorf("sample %d without variance has the p value %v", i, p)
		}
	}
	for _, r := range []Rule{Significant(0.1), Shrunk{}} {
		list, err := r.Propose(e)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s drops %v", r, list[0].Drop)
	}
}

func TestTrigamma(t *testing.T) {
	// trigamma(1) = pi^2/6, trigamma(1/2) = pi^2/2.
	for _, c := range []struct{ x, want float64 }{{1, math.Pi * math.Pi / 6}, {0.5, math.Pi * math.Pi / 2}} {
		if got := trigamma(c.x); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("trigamma(%v) is %v, want %v", c.x, got, c.want)
		}
	}
	for _, y := range []float64{1e-4, 0.01, 0.3, 1, 7, 200, 1e5} {
		if got := inverseTrigamma(trigamma(y)); math.Abs(got-y) > 1e-6*y {
			t.Errorf("inverse of trigamma at %v is %v", y, got)
		}
	}
}

// TestCommonVariance draws variances from the prior and finds its parameters again.
func TestCommonVariance(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	chi2 := func(d int) float64 {
		sum := 0.0
		for range d {
			x := rng.NormFloat64()
			sum += x * x
		}
		return sum
	}
	const d, d0, s0 = 4, 6, 2.5
	drawn := make([]float64, 20000)
	for i := range drawn {
		drawn[i] = s0 * d0 / chi2(d0) * chi2(d) / d
	}
	drawn[7] = 0
	gotD, gotS := commonVariance(drawn, d)
	if math.Abs(gotD-d0) > 0.6 || math.Abs(gotS-s0) > 0.1 {
		t.Errorf("prior of %.3g degrees of freedom and variance %.3g, want %d and %v", gotD, gotS, d0, s0)
	}
	for i := range drawn { // one variance for all
		drawn[i] = s0 * chi2(d) / d
	}
	if gotD, gotS = commonVariance(drawn, d); gotD < 100 || math.Abs(gotS-s0) > 0.1 {
		t.Errorf("one variance for all: %.3g degrees of freedom and variance %.3g, want many and %v", gotD, gotS, s0)
	}
}

// TestFalseDiscoveries simulates effects of which most are zero: the share of false ones among those found stays at Q, and
// most of the true ones are found. Plain t tests on as few folds would find next to none.
func TestFalseDiscoveries(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n, harmful, folds = 4000, 400, 5
	falseShare, found := 0.0, 0.0
	const repeats = 20
	for range repeats {
		s := &influence.Scores{Delta: make([]float64, n), Folds: make([][]float64, folds)}
		for k := range folds {
			s.Folds[k] = make([]float64, n)
			for i := range n {
				mean := 0.0
				if i < harmful {
					mean = -2.5
				}
				s.Folds[k][i] = mean + rng.NormFloat64()
				s.Delta[i] += s.Folds[k][i] / folds
			}
		}
		list, err := Significant(0.1).Propose(Combine([]*influence.Scores{s}))
		if err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for _, i := range list[0].Drop {
			if i >= harmful {
				wrong++
			}
		}
		falseShare += float64(wrong) / float64(max(1, len(list[0].Drop))) / repeats
		found += float64(len(list[0].Drop)-wrong) / harmful / repeats
	}
	if falseShare > 0.11 || found < 0.9 {
		t.Errorf("%.3f of the discoveries are false, %.2f of the true ones found; want at most 0.1 and at least 0.9", falseShare, found)
	}
}

// TestShrunkBeatsThePlainSign simulates effects that are mostly noise: those that the rule shrunk drops are truly below
// zero more often than those that the plain rule drops.
func TestShrunkBeatsThePlainSign(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n = 5000
	e := &Estimates{Delta: make([]float64, n), StandardError: make([]float64, n), DegreesOfFreedom: 20}
	truth := make([]float64, n)
	for i := range truth {
		truth[i] = 0.2 + 0.5*rng.NormFloat64()
		e.StandardError[i] = 0.5 + rng.Float64()
		e.Delta[i] = truth[i] + e.StandardError[i]*rng.NormFloat64()
	}
	mean := func(r Rule) float64 {
		list, err := r.Propose(e)
		if err != nil || len(list[0].Drop) == 0 {
			t.Fatalf("%s drops %d (%v)", r, len(list), err)
		}
		var true []float64
		for _, i := range list[0].Drop {
			true = append(true, truth[i])
		}
		return stat.Mean(true, nil)
	}
	plain, shrunk := mean(Unfavorable{}), mean(Shrunk{})
	if shrunk >= 0 || shrunk >= plain {
		t.Errorf("what shrunk drops has a mean true effect of %.3f, what the plain rule drops %.3f", shrunk, plain)
	}
}
