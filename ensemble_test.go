package datadropout

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/floats"
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
	if math.Abs(e.Mean-0.5) > 1e-15 || math.Abs(e.Excess()[1]+2.5) > 1e-15 {
		t.Errorf("mean %v, excesses %v", e.Mean, e.Excess())
	}
	// Over the folds of the mean over seeds, in thirds: 6 -6 3 and 12 -6 0 have the means 1 and 2, so the excesses are 5 -7 2
	// and 10 -8 -2; over seeds 6 -3 0 and 12 -9 3 have the means 1 and 2, and the excesses 5 -4 -1 and 10 -11 1. Half of each
	// sample variance is a quarter of the squared difference: (25+25)/36, (1+49)/36 and (16+4)/36.
	variance, df := variances([]*influence.Scores{a, b})
	for i, want := range []float64{50. / 36, 50. / 36, 20. / 36} {
		if math.Abs(variance[i]-want) > 1e-12 || df != 2 {
			t.Errorf("variances %v with %v degrees of freedom, want %v for sample %d, with 2", variance, df, want, i)
		}
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

// TestCommonShift moves all removal effects of a fold alike, as overfitting does: no sample is to blame for that. None becomes
// significant, and none is dropped by shrunk that was not before.
func TestCommonShift(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const n, folds = 2000, 5
	s := &influence.Scores{Delta: make([]float64, n), Folds: make([][]float64, folds)}
	for k := range folds {
		s.Folds[k] = make([]float64, n)
		for i := range n {
			s.Folds[k][i] = float64(i%40-20)/20 + 0.5*rng.NormFloat64()
			s.Delta[i] += s.Folds[k][i] / folds
		}
	}
	before := Combine([]*influence.Scores{s})
	for k := range folds {
		floats.AddConst(-3-float64(k), s.Folds[k])
	}
	floats.AddConst(-5, s.Delta)
	after := Combine([]*influence.Scores{s})
	for i := range n {
		if math.Abs(after.StandardError[i]-before.StandardError[i]) > 1e-12 || math.Abs(after.PValues()[i]-before.PValues()[i]) > 1e-9 {
			t.Fatalf("sample %d: standard error %v and p value %v, before the shift %v and %v", i, after.StandardError[i], after.PValues()[i],
				before.StandardError[i], before.PValues()[i])
		}
		if i == 50 { // PValues takes all samples each time
			break
		}
	}
	for _, r := range []Rule{Significant(0.1), Shrunk{}} {
		x, errX := r.Propose(before)
		y, errY := r.Propose(after)
		if errX != nil || errY != nil || !slices.Equal(x[0].Drop, y[0].Drop) || len(x[0].Drop) == 0 || len(x[0].Drop) > n/2 {
			t.Errorf("%s drops %d, before the shift %d (%v, %v)", r, len(y[0].Drop), len(x[0].Drop), errX, errY)
		}
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
