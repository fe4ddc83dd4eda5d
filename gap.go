package datadropout

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// Gap is what dropping changed on each split, for what was chosen: the over-fitting of the selection is what the gain on score, by
// which samples were chosen, and on tune, by which their number was, lies above that on test.
type Gap struct {
	// PredictedScoreLoss is the change of the loss on the score split that the removal effects predict, to first order; NaN
	// (null) where the estimator does not predict in loss units. See [Estimates.Predicted].
	PredictedScoreLoss Number      `json:"predicted_score_loss"`
	Score              SplitChange `json:"score"`
	Tune               SplitChange `json:"tune"`
	Test               SplitChange `json:"test"`
	// ScoreMinusTest and TuneMinusTest are the differences of these changes, seed by seed.
	ScoreMinusTest SplitChange `json:"score_minus_test"`
	TuneMinusTest  SplitChange `json:"tune_minus_test"`
}

// SplitChange is the change of the metric and of the loss on a split, dropped minus full.
type SplitChange struct {
	Metric Change `json:"metric"`
	Loss   Change `json:"loss"`
}

// Change is a mean over seeds of paired differences, with the interval and the p value of [Effect].
type Change struct {
	Difference float64  `json:"difference"`
	CI95       Interval `json:"ci95"`
	P          Number   `json:"p_value"`
}

// NewGap compares the arms full and dropped on every split; nil where one of them was not trained or not measured on all.
// predicted is Gap.PredictedScoreLoss.
func NewGap(arms ArmsResult, predicted float64) *Gap {
	full, dropped := arms[Full], arms[Dropped]
	if full == nil || dropped == nil || len(dropped.TestMetric) == 0 {
		return nil
	}
	n := len(dropped.TestMetric)
	for _, a := range []*ArmResult{full, dropped} {
		for _, list := range [][]float64{a.ScoreMetric, a.ScoreLoss, a.TuneMetric, a.TuneLoss, a.TestMetric, a.TestLoss} {
			if len(list) != n {
				return nil
			}
		}
	}
	type changes struct{ metric, loss []float64 }
	score := changes{minus(dropped.ScoreMetric, full.ScoreMetric), minus(dropped.ScoreLoss, full.ScoreLoss)}
	tune := changes{minus(dropped.TuneMetric, full.TuneMetric), minus(dropped.TuneLoss, full.TuneLoss)}
	test := changes{minus(dropped.TestMetric, full.TestMetric), minus(dropped.TestLoss, full.TestLoss)}
	sum := func(c changes) SplitChange { return SplitChange{newChange(c.metric), newChange(c.loss)} }
	over := func(c changes) SplitChange {
		return sum(changes{minus(c.metric, test.metric), minus(c.loss, test.loss)})
	}
	return &Gap{Number(predicted), sum(score), sum(tune), sum(test), over(score), over(tune)}
}

func minus(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for k := range d {
		d[k] = a[k] - b[k]
	}
	return d
}

func newChange(differences []float64) Change {
	n := len(differences)
	mean := stat.Mean(differences, nil)
	nan := Number(math.NaN())
	s := pairedDeviation(differences)
	if math.IsNaN(s) {
		return Change{mean, Interval{nan, nan}, nan}
	}
	half := halfWidth(s, n)
	return Change{mean, Interval{Number(mean - half), Number(mean + half)}, Number(pairedP(mean, s, n))}
}

// Predicted is the change of the mean validation loss, to first order, when the samples of these places are dropped and training is
// on the rest as on a whole, which gives each of the others the weight n/(n-k):
//
//	sum_D delta_i - k/(n-k) sum_others delta_j = n/(n-k) sum_D (delta_i - mean)
func (e *Estimates) Predicted(drop []int) float64 {
	n, sum := float64(len(e.Delta)), 0.0
	for _, i := range drop {
		sum += e.Delta[i] - e.Mean
	}
	return n / (n - float64(len(drop))) * sum
}
