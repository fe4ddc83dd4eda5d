package evidence

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
)

// LDSResult is the linear datamodeling score at one fraction: how the sum of the removal effects of a random subset agrees
// with what dropping it does.
type LDSResult struct {
	// Fraction is the share of the training samples dropped and Count their number. alpha in the literature is the share kept.
	Fraction float64 `json:"fraction"`
	Count    int     `json:"count"`
	// Agreement is over the subsets, the changes those of the mean score loss: the summed target.
	Agreement
	// PerPoint is nil where it was not asked for or the estimator scores no single target.
	PerPoint *PerPointResult `json:"per_point,omitempty"`
}

// PerPointResult is the score with the loss of a single test sample for the target, averaged over test samples, as
// published tables have it.
type PerPointResult struct {
	// Points is the number of test samples averaged over: those whose loss and prediction vary.
	Points int `json:"points"`
	// Spearman is the mean over test samples, and SpearmanCI its 95 % bootstrap interval over them.
	Spearman   datadropout.Number   `json:"spearman"`
	SpearmanCI datadropout.Interval `json:"spearman_ci95"`
	// Seconds is what the removal effects for all these targets took, for one model.
	Seconds float64 `json:"seconds"`
}

func (r *runner) ldsSets(fraction float64) []dropped {
	var sets []dropped
	for j, samples := range r.ldsSubsets(fraction) {
		sets = append(sets, dropped{samples, r.inPlace(), fmt.Sprintf("lds at %s, subset %d of %d", percent(fraction), j+1, r.options.Subsets)})
	}
	return sets
}

func (r *runner) ldsSubsets(fraction float64) [][]int {
	n := len(r.Data.Split.Train)
	return randomSubsets(n, countOf(fraction, n), r.options.Subsets, r.Config.Seed)
}

// lds compares the predicted with the true changes over the subsets.
func (r *runner) lds(s *scored, fraction float64) (LDSResult, error) {
	subsets := r.ldsSubsets(fraction)
	l := LDSResult{Fraction: fraction, Count: len(subsets[0])}
	var err error
	if l.Agreement, err = r.compare(s, subsets); err != nil || s.points == nil {
		return l, err
	}
	l.PerPoint, err = r.perPoint(s, subsets)
	return l, err
}

// perPoint averages the rank correlation of predicted and true changes over the test samples that were scored.
func (r *runner) perPoint(s *scored, subsets [][]int) (*PerPointResult, error) {
	truth := make([][]float64, len(s.points)) // [points][subsets]
	for q := range truth {
		truth[q] = make([]float64, len(subsets))
	}
	share := 1 / float64(r.options.RetrainSeeds)
	for j, samples := range subsets {
		for k := range r.options.RetrainSeeds {
			after, err := r.without(samples, r.inPlace(), k)
			if err != nil {
				return nil, err
			}
			before, err := r.without(nil, false, k)
			if err != nil {
				return nil, err
			}
			for q := range truth {
				truth[q][j] += share * (float64(after.TestLoss[q]) - float64(before.TestLoss[q]))
			}
		}
	}
	var each []float64
	for q, delta := range s.points {
		predicted := make([]float64, len(subsets))
		for j, samples := range subsets {
			predicted[j] = sumOver(delta, samples)
		}
		if rho := spearman(predicted, truth[q]); !math.IsNaN(rho) {
			each = append(each, rho)
		}
	}
	p := averagePoints(each, r.Config.Seed)
	p.Seconds = s.pointSeconds
	return p, nil
}

// averagePoints averages the correlations of test samples.
func averagePoints(each []float64, seed uint64) *PerPointResult {
	nan := datadropout.Number(math.NaN())
	p := &PerPointResult{Points: len(each), Spearman: nan, SpearmanCI: datadropout.Interval{nan, nan}}
	if len(each) > 0 {
		p.Spearman = datadropout.Number(stat.Mean(each, nil))
		p.SpearmanCI = bootstrap(len(each), seed, func(drawn []int) float64 { return stat.Mean(at(each, drawn), nil) })
	}
	return p
}

func percent(fraction float64) string { return fmt.Sprintf("%.4g %%", 100*fraction) }
