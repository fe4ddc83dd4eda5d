package datadropout

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/datadropout/datadropout/influence"
)

// Estimates are the removal effects that a rule decides on: means over seeds of round 1, and how far they can be trusted.
// Its lists hold an entry a training sample, in the order of the training split.
type Estimates struct {
	// Delta holds the removal effects, in loss units; below zero the sample is unfavorable.
	Delta []float64
	// Mean is the mean removal effect over samples, and a sample's excess is what its own lies above: Delta[i] - Mean.
	//
	// A removal effect takes the weight of a sample away and leaves the others theirs. Round 2 trains on the rest as on a
	// whole: with the weights n/(n-1), so that one sample less changes the loss by the excess, to first order. Where training
	// overfits, less weight on any sample lowers the validation loss: the mean is below zero, and most removal effects are,
	// with nothing wrong with the samples.
	Mean float64
	// StandardError holds the standard errors of the excesses over the folds of the score split and over seeds; nil where
	// there is neither. The variances are moderated: each is drawn towards the one that all samples have in common, as far as
	// they agree (Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3(1), section 6.2).
	StandardError []float64
	// DegreesOfFreedom of the t statistics, excess over standard error; infinite where all samples share one variance.
	DegreesOfFreedom float64
	// SignAgreement is the share of the folds of the score split, or of the seeds where that is less, on which a sample's removal
	// effect is below zero and below the mean of all samples: on which it is found harmful. Nil where there is neither.
	SignAgreement []float64
	// SeedCorrelation is the mean Spearman correlation between the removal effects of two seeds; NaN with one seed.
	SeedCorrelation float64
}

// Combine averages the scores of round 1 at several seeds, at least one, all of the same samples.
//
// With K folds of the score split and x_k the mean over seeds of a sample's excess on fold k, the mean over folds has the
// variance s^2/K, s the sample standard deviation of the x_k. With S seeds the variance over seeds, of their excesses, over S
// is added.
func Combine(scores []*influence.Scores) *Estimates {
	n, seeds := len(scores[0].Delta), len(scores)
	e := &Estimates{Delta: make([]float64, n), SeedCorrelation: math.NaN()}
	for _, s := range scores {
		floats.AddScaled(e.Delta, 1/float64(seeds), s.Delta)
	}
	e.Mean = stat.Mean(e.Delta, nil)
	if seeds > 1 {
		e.SeedCorrelation = seedCorrelation(scores)
	}
	if variance, df := variances(scores); df > 0 {
		e.moderate(variance, df)
		e.SignAgreement = signAgreement(scores)
	}
	return e
}

// signAgreement returns the share of the rows on which each sample is found harmful, of the folds (means over seeds) or of the
// seeds, whichever is less.
func signAgreement(scores []*influence.Scores) []float64 {
	least := make([]float64, len(scores[0].Delta))
	floats.AddConst(1, least)
	for _, rows := range [][][]float64{foldMeans(scores), seedDeltas(scores)} {
		if len(rows) < 2 {
			continue
		}
		share := make([]float64, len(least))
		for _, row := range rows {
			limit := math.Min(0, stat.Mean(row, nil))
			for i, d := range row {
				if d < limit {
					share[i] += 1 / float64(len(rows))
				}
			}
		}
		for i, s := range share {
			least[i] = math.Min(least[i], s)
		}
	}
	return least
}

// foldMeans returns the mean over seeds of the removal effects on every fold.
func foldMeans(scores []*influence.Scores) [][]float64 {
	byFold := make([][]float64, len(scores[0].Folds))
	for k := range byFold {
		byFold[k] = make([]float64, len(scores[0].Delta))
		for _, s := range scores {
			floats.AddScaled(byFold[k], 1/float64(len(scores)), s.Folds[k])
		}
	}
	return byFold
}

// seedDeltas returns the removal effects of every seed.
func seedDeltas(scores []*influence.Scores) [][]float64 {
	bySeed := make([][]float64, len(scores))
	for k, s := range scores {
		bySeed[k] = s.Delta
	}
	return bySeed
}

// Excess returns what each removal effect lies above their mean.
func (e *Estimates) Excess() []float64 {
	x := slices.Clone(e.Delta)
	floats.AddConst(-e.Mean, x)
	return x
}

// variances returns the variances of the mean excesses over folds and over seeds, added, and their degrees of freedom, added;
// 0 where there is neither.
func variances(scores []*influence.Scores) (variance []float64, df float64) {
	variance = make([]float64, len(scores[0].Delta))
	// over adds the variances over the rows of the mean of each.
	over := func(rows [][]float64) {
		if len(rows) < 2 {
			return
		}
		df += float64(len(rows) - 1)
		values, means := make([]float64, len(rows)), make([]float64, len(rows))
		for k, row := range rows {
			means[k] = stat.Mean(row, nil)
		}
		for i := range variance {
			for k, row := range rows {
				values[k] = row[i] - means[k]
			}
			variance[i] += stat.Variance(values, nil) / float64(len(rows))
		}
	}
	over(foldMeans(scores))
	over(seedDeltas(scores))
	return variance, df
}

// moderate fills in the standard errors: with d degrees of freedom behind every variance and the prior's d0 and s0^2,
// (d0 s0^2 + d s^2) / (d0 + d).
func (e *Estimates) moderate(variance []float64, d float64) {
	d0, s0 := commonVariance(variance, d)
	e.DegreesOfFreedom = d0 + d
	e.StandardError = make([]float64, len(variance))
	for i, v := range variance {
		if math.IsInf(d0, 1) {
			v = s0
		} else {
			v = (d0*s0 + d*v) / (d0 + d)
		}
		e.StandardError[i] = math.Sqrt(v)
	}
}

// commonVariance estimates the prior of variances with d degrees of freedom each: d0 and s0^2 of a scaled inverse
// chi-squared distribution, by the moments of their logarithms (Smyth 2004, section 6.2). Variances of zero are left out.
// Without two others there is no prior: d0 is 0.
func commonVariance(variance []float64, d float64) (d0, s0 float64) {
	var logs []float64
	for _, v := range variance {
		if v > 0 {
			logs = append(logs, math.Log(v)-mathext.Digamma(d/2)+math.Log(d/2))
		}
	}
	if len(logs) < 2 {
		return 0, 0
	}
	mean, spread := stat.MeanVariance(logs, nil)
	excess := spread - trigamma(d/2)
	if excess <= 0 {
		return math.Inf(1), math.Exp(mean)
	}
	d0 = 2 * inverseTrigamma(excess)
	return d0, math.Exp(mean + mathext.Digamma(d0/2) - math.Log(d0/2))
}

func trigamma(x float64) float64 { return mathext.Zeta(2, x) }

// inverseTrigamma solves trigamma(y) = x > 0. Newton's iteration on 1/trigamma, which is convex and nearly linear, rises
// towards the solution from 1/2 + 1/x, which lies below it (Smyth 2004, appendix).
func inverseTrigamma(x float64) float64 {
	if x > 1e7 {
		return 1 / math.Sqrt(x)
	}
	y := 0.5 + 1/x
	for range 50 {
		t := trigamma(y)
		step := t * (1 - t/x) / (-2 * mathext.Zeta(3, y)) // the derivative of trigamma
		y += step
		if math.Abs(step) < 1e-10*y {
			break
		}
	}
	return y
}

// seedCorrelation is the mean Spearman correlation over all pairs of scores.
func seedCorrelation(scores []*influence.Scores) float64 {
	ranked := make([][]float64, len(scores))
	for k, s := range scores {
		ranked[k] = Ranks(s.Delta)
	}
	sum, pairs := 0.0, 0
	for a := range ranked {
		for b := range a {
			sum += stat.Correlation(ranked[a], ranked[b], nil)
			pairs++
		}
	}
	return sum / float64(pairs)
}

// Ranks returns the ranks of the values from 1; equal values share the mean of theirs, as Spearman's correlation wants it.
func Ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	r := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			r[i] = float64(from+1+to) / 2
		}
		from = to
	}
	return r
}

// PValues are the one-sided p values against an excess of zero or more: small where the sample is surely less favorable than
// the mean. It is nil without standard errors; a standard error of zero gives 1.
func (e *Estimates) PValues() []float64 {
	if e.StandardError == nil {
		return nil
	}
	cdf := distuv.UnitNormal.CDF
	if !math.IsInf(e.DegreesOfFreedom, 1) {
		cdf = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: e.DegreesOfFreedom}.CDF
	}
	p := make([]float64, len(e.Delta))
	for i, d := range e.Excess() {
		p[i] = 1
		if e.StandardError[i] > 0 {
			p[i] = cdf(d / e.StandardError[i])
		}
	}
	return p
}

// Shrunk returns the posterior means and standard deviations of the true excesses when these are normally distributed around
// zero over samples and the estimates around them: empirical Bayes (Efron and Morris, JASA 1973), the variance of the prior by
// moments. It is nil without standard errors. A standard error of zero is none: nothing is known of such a sample but the prior.
func (e *Estimates) Shrunk() (mean, deviation []float64) {
	if e.StandardError == nil {
		return nil, nil
	}
	excess := e.Excess()
	spread, noise := stat.Variance(excess, nil), 0.0
	for _, s := range e.StandardError {
		noise += s * s / float64(len(excess))
	}
	prior := max(0, spread-noise)
	mean, deviation = make([]float64, len(excess)), make([]float64, len(excess))
	for i, x := range excess {
		v := e.StandardError[i] * e.StandardError[i]
		if v == 0 {
			deviation[i] = math.Sqrt(prior)
			continue
		}
		mean[i] = x * prior / (prior + v)
		deviation[i] = math.Sqrt(prior * v / (prior + v))
	}
	return mean, deviation
}
