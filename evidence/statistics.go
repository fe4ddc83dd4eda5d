package evidence

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
)

// Agreement says how well predicted changes agree with true ones.
type Agreement struct {
	// Pearson is the linear correlation and Spearman that of the ranks; equal values share their mean rank. NaN (null)
	// where either side does not vary.
	Pearson  datadropout.Number `json:"pearson"`
	Spearman datadropout.Number `json:"spearman"`
	// SpearmanCI is the 95 % percentile bootstrap interval of Spearman over the pairs.
	SpearmanCI datadropout.Interval `json:"spearman_ci95"`
	// Slope is the least-squares slope, with an intercept, of the true change over the predicted one: 1 where the
	// prediction is right in loss units, below 1 where it is too large. It means nothing for an uncalibrated estimator.
	// Offset is the intercept, in loss units: what all sets share, whichever samples are in them, such as the effect of
	// fewer steps of training.
	Slope  datadropout.Number `json:"slope"`
	Offset datadropout.Number `json:"offset"`
	// Predicted and True are the pairs, in loss units.
	Predicted []float64 `json:"predicted"`
	True      []float64 `json:"true"`
}

// agree compares predicted and true changes of the same length. seed draws the bootstrap.
func agree(predicted, truth []float64, seed uint64) Agreement {
	a := Agreement{Predicted: predicted, True: truth}
	a.Pearson = datadropout.Number(pearson(predicted, truth))
	a.Spearman = datadropout.Number(spearman(predicted, truth))
	a.SpearmanCI = bootstrap(len(truth), seed, func(drawn []int) float64 {
		return spearman(at(predicted, drawn), at(truth, drawn))
	})
	a.Slope, a.Offset = datadropout.Number(math.NaN()), datadropout.Number(math.NaN())
	if varies(predicted) {
		offset, slope := stat.LinearRegression(predicted, truth, nil, false)
		a.Slope, a.Offset = datadropout.Number(slope), datadropout.Number(offset)
	}
	return a
}

// pearson returns the correlation of a and b, NaN where either does not vary.
func pearson(a, b []float64) float64 {
	if !varies(a) || !varies(b) {
		return math.NaN()
	}
	return stat.Correlation(a, b, nil)
}

// spearman returns the correlation of the ranks of a and b, NaN where either does not vary.
func spearman(a, b []float64) float64 { return pearson(datadropout.Ranks(a), datadropout.Ranks(b)) }

func varies(v []float64) bool {
	return slices.ContainsFunc(v, func(x float64) bool { return x != v[0] })
}

func at(v []float64, positions []int) []float64 {
	out := make([]float64, len(positions))
	for k, i := range positions {
		out[k] = v[i]
	}
	return out
}

// bootstrapDraws is the number of resamples of an interval.
const bootstrapDraws = 2000

// bootstrap returns the 95 % percentile interval (Efron 1979) of a statistic over n elements, of which the seed draws n
// with replacement, bootstrapDraws times. Draws without a finite statistic, such as those of one element alone, are left
// out; with none left the interval does not exist.
func bootstrap(n int, seed uint64, statistic func(drawn []int) float64) datadropout.Interval {
	rng := seeded("bootstrap", seed)
	var values []float64
	drawn := make([]int, n)
	for range bootstrapDraws {
		for k := range drawn {
			drawn[k] = rng.IntN(n)
		}
		if v := statistic(drawn); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return datadropout.Interval{datadropout.Number(math.NaN()), datadropout.Number(math.NaN())}
	}
	slices.Sort(values)
	return datadropout.Interval{
		datadropout.Number(stat.Quantile(0.025, stat.Empirical, values, nil)),
		datadropout.Number(stat.Quantile(0.975, stat.Empirical, values, nil)),
	}
}

// areaUnderCurve returns the probability that a planted sample has a lower value than another one, ties counting half:
// the area under the ROC curve by the rank sum (Mann and Whitney 1947). NaN unless there are samples of both kinds.
func areaUnderCurve(values []float64, planted []bool) float64 {
	sum, bad := 0.0, 0
	for i, r := range datadropout.Ranks(values) {
		if planted[i] {
			sum += r
			bad++
		}
	}
	good := len(values) - bad
	if bad == 0 || good == 0 {
		return math.NaN()
	}
	higher := sum - float64(bad)*float64(bad+1)/2 // pairs in which the planted sample has the higher value
	return 1 - higher/(float64(bad)*float64(good))
}

// seeded returns a generator for a purpose, of at most 24 bytes.
func seeded(purpose string, seed uint64) *rand.Rand {
	var key [32]byte
	copy(key[:24], purpose)
	binary.LittleEndian.PutUint64(key[24:], seed)
	return rand.New(rand.NewChaCha8(key))
}
