package evidence

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
)

// GroupResult is what dropping the extremes of the scores does, at one fraction. Changes are of the means over the splits,
// after minus before, averaged over seeds. It trains on the rest, as round 2 does, whatever Options.Removal says.
type GroupResult struct {
	Fraction float64 `json:"fraction"`
	Count    int     `json:"count"`
	// Harmful drops the Count samples of the lowest removal effect: a good score lowers the losses. Helpful drops those of
	// the highest: a good score must raise them.
	Harmful Change `json:"harmful"`
	Helpful Change `json:"helpful"`
	// Random is the mean over the random subsets of as many samples, RandomSD the sample standard deviation over them, and
	// Draws their number: the first of the subsets that lds removes.
	Random   Change   `json:"random"`
	RandomSD SpreadOf `json:"random_sd"`
	Draws    int      `json:"draws"`
	// PredictedHarmful and PredictedHelpful are the sums of the removal effects: the predicted changes of the score loss.
	PredictedHarmful float64 `json:"predicted_harmful"`
	PredictedHelpful float64 `json:"predicted_helpful"`
}

// mostDraws is the largest number of random subsets that the control averages over.
const mostDraws = 5

func (r *runner) groupSets(fraction float64) []dropped {
	n := len(r.Data.Split.Train)
	count := countOf(fraction, n)
	var sets []dropped
	for j, samples := range r.randomDraws(fraction) {
		sets = append(sets, dropped{samples, false, fmt.Sprintf("group at %s, random %d", percent(fraction), j+1)})
	}
	for _, s := range r.scored {
		harmful, helpful := extremes(s.delta, count)
		sets = append(sets,
			dropped{harmful, false, fmt.Sprintf("group at %s, most harmful by %s", percent(fraction), s.name)},
			dropped{helpful, false, fmt.Sprintf("group at %s, most helpful by %s", percent(fraction), s.name)})
	}
	return sets
}

func (r *runner) randomDraws(fraction float64) [][]int {
	n := len(r.Data.Split.Train)
	return randomSubsets(n, countOf(fraction, n), min(mostDraws, r.options.Subsets), r.Config.Seed)
}

// extremes returns the count samples of the lowest and of the highest removal effect, each in ascending order.
func extremes(delta []float64, count int) (harmful, helpful []int) {
	order := datadropout.MostHarmful(delta)
	harmful, helpful = slices.Clone(order[:count]), slices.Clone(order[len(order)-count:])
	slices.Sort(harmful)
	slices.Sort(helpful)
	return harmful, helpful
}

// group compares dropping the extremes of the scores with dropping as many at random.
func (r *runner) group(s *scored, fraction float64) (GroupResult, error) {
	count := countOf(fraction, len(s.delta))
	harmful, helpful := extremes(s.delta, count)
	g := GroupResult{Fraction: fraction, Count: count, PredictedHarmful: sumOver(s.delta, harmful), PredictedHelpful: sumOver(s.delta, helpful)}
	var err error
	if g.Harmful, err = r.change(harmful, false); err != nil {
		return g, err
	}
	if g.Helpful, err = r.change(helpful, false); err != nil {
		return g, err
	}
	var draws []Change
	for _, samples := range r.randomDraws(fraction) {
		c, err := r.change(samples, false)
		if err != nil {
			return g, err
		}
		draws = append(draws, c)
	}
	g.Random, g.RandomSD = spread(draws)
	g.Draws = len(draws)
	return g, nil
}

// SpreadOf holds the standard deviations of the fields of [Change].
type SpreadOf struct {
	ScoreLoss  datadropout.Number `json:"score_loss"`
	TestLoss   datadropout.Number `json:"test_loss"`
	TestMetric datadropout.Number `json:"test_metric"`
}

// spread returns the mean of the changes and their sample standard deviation, NaN for a single one.
func spread(draws []Change) (Change, SpreadOf) {
	of := func(field func(Change) float64) (float64, datadropout.Number) {
		v := make([]float64, len(draws))
		for k, c := range draws {
			v[k] = field(c)
		}
		if len(v) == 1 {
			return v[0], datadropout.Number(math.NaN())
		}
		m, sd := stat.MeanStdDev(v, nil)
		return m, datadropout.Number(sd)
	}
	var m Change
	var sd SpreadOf
	m.ScoreLoss, sd.ScoreLoss = of(func(c Change) float64 { return c.ScoreLoss })
	m.TestLoss, sd.TestLoss = of(func(c Change) float64 { return c.TestLoss })
	m.TestMetric, sd.TestMetric = of(func(c Change) float64 { return c.TestMetric })
	return m, sd
}
