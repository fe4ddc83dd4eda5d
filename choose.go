package datadropout

import (
	"context"
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/datadropout/datadropout/train"
)

// choose settles what is dropped: directly for a fixed rule, by trainings and the tune split for an adaptive one.
func (r *runner) choose(ctx context.Context) error {
	delta := r.out.Estimates.Delta
	proposals, err := r.rule.Propose(r.out.Estimates)
	if err != nil {
		return err
	}
	var drop []int
	switch {
	case !r.rule.Adaptive():
		drop = proposals[0].Drop
	case len(proposals) > 0:
		tried, err := r.try(ctx, proposals)
		if err != nil {
			return err
		}
		chosen := chooseAmount(tried)
		tried[chosen].Chosen = true
		if chosen > 0 {
			drop = proposals[chosen-1].Drop
		}
		r.drop.Amounts = tried
	}
	if len(drop) >= len(delta) {
		return fmt.Errorf("the rule %s would drop all %d training samples", r.rule, len(delta))
	}
	r.out.Dropped = r.positions(drop)
	r.out.Kept = r.data.without(r.out.Dropped)
	r.drop.Rule = r.rule.String()
	r.drop.Count = len(drop)
	r.drop.Fraction = float64(len(drop)) / float64(len(delta))
	r.drop.Unfavorable = unfavorable(delta)
	r.drop.PlantedFound = r.data.Planted(r.out.Dropped)
	return nil
}

// positions are those in the data set of places in the training split.
func (r *runner) positions(order []int) []int {
	p := make([]int, len(order))
	for k, o := range order {
		p[k] = r.data.Split.Train[o]
	}
	return p
}

// try trains once, at the first seed, for every proposal and compares each with the full arm of that seed on the tune
// split. Entry 0 of the answer is the full arm: dropping nothing.
func (r *runner) try(ctx context.Context, proposals []Proposal) ([]Amount, error) {
	full, _, _, err := r.store.Model(armKey(Full, 0))
	if err != nil {
		return nil, err
	}
	base, err := r.engine.Evaluate(ctx, full, r.data.Images, r.data.Split.Tune)
	if err != nil {
		return nil, err
	}
	tried := []Amount{{Count: 0, Loss: base.Loss, Metric: base.Metric}}
	for i, p := range proposals {
		n := len(p.Drop)
		piece := Event{Stage: StageChoose, Part: i + 1, Parts: len(proposals),
			What: fmt.Sprintf("%s: dropping %d (%.1f %%)", p.Rule, n, 100*float64(n)/float64(len(r.out.Estimates.Delta)))}
		m, err := r.train(ctx, "choose/"+strings.ReplaceAll(p.Rule, ":", "-"), r.data.without(r.positions(p.Drop)), r.seed(0), piece, &r.times.Choose)
		if err != nil {
			return nil, err
		}
		e, err := r.engine.Evaluate(ctx, m, r.data.Images, r.data.Split.Tune)
		if err != nil {
			return nil, err
		}
		change, stdErr := pairedChange(e, base)
		tried = append(tried, Amount{Rule: p.Rule, Count: n, Loss: e.Loss, Metric: e.Metric, LossChange: change, StandardError: stdErr})
	}
	return tried, nil
}

// pairedChange returns the mean over samples of the change in loss, and its standard error.
func pairedChange(after, before *train.Evaluation) (mean, stdErr float64) {
	diff := make([]float64, len(after.SampleLoss))
	for i := range diff {
		diff[i] = float64(after.SampleLoss[i]) - float64(before.SampleLoss[i])
	}
	mean, sd := stat.MeanStdDev(diff, nil)
	return mean, sd / math.Sqrt(float64(len(diff)))
}

// chooseAmount returns the index of the amount to drop. tried[0] is dropping nothing. An amount qualifies when its tune
// loss lies below that of dropping nothing by more than chance over tune samples would explain, in a one-sided test at
// 5 % shared among the amounts tried (Bonferroni), and its tune metric is no lower. Of those that qualify, the lowest
// tune loss wins. If none does, nothing is dropped.
func chooseAmount(tried []Amount) int {
	if len(tried) < 2 {
		return 0
	}
	z := distuv.UnitNormal.Quantile(1 - significance/float64(len(tried)-1))
	best := 0
	for i, a := range tried[1:] {
		if a.LossChange+z*a.StandardError < 0 && a.Metric >= tried[0].Metric && a.Loss < tried[best].Loss {
			best = i + 1
		}
	}
	return best
}
