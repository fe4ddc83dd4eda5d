package datadropout

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/train"
)

// choose settles what is dropped: directly for a fixed rule, by trainings and the tune split for an adaptive one.
func (r *runner) choose(ctx context.Context) error {
	delta := r.out.Estimates.Delta
	found, err := r.propose()
	if err != nil {
		return err
	}
	r.guard = newGuard(r.config, r.data, r.out.Estimates)
	r.units.guard(r.guard)
	proposals, guarded := r.guarded(found)
	var drop []int
	if r.rule.Adaptive() {
		if drop, r.drop.Guarded, err = r.selectProposal(ctx, proposals, guarded); err != nil {
			return err
		}
		if len(proposals) == 0 && len(found) > 0 {
			_, r.drop.Guarded = r.guard.apply(found[len(found)-1], judgesSigns(r.rule))
		}
	} else {
		drop, r.drop.Guarded = proposals[0].Drop, guarded[0]
	}
	if len(drop) >= len(delta) {
		return fmt.Errorf("the rule %s would drop all %d training samples", r.rule, len(delta))
	}
	r.out.Dropped = r.positions(drop)
	r.out.Kept = r.data.without(r.out.Dropped)
	r.drop.Rule = r.rule.String()
	r.drop.MinClassShare, r.drop.MinSignAgreement = r.config.MinClassShare, r.config.MinSignAgreement
	r.drop.Count = len(drop)
	r.drop.Fraction = float64(len(drop)) / float64(len(delta))
	r.drop.Unfavorable = unfavorable(delta)
	r.drop.PlantedFound = r.data.Planted(r.out.Dropped)
	return nil
}

// guarded returns the proposals less what the guards keep back, and what that is. Of an adaptive rule those go that nothing is left
// of, or the same as of another.
func (r *runner) guarded(found []Proposal) ([]Proposal, []Guarded) {
	var proposals []Proposal
	var guarded []Guarded
	for _, p := range found {
		p, kept := r.guard.apply(p, judgesSigns(r.rule))
		if r.rule.Adaptive() && (len(p.Drop) == 0 || slices.ContainsFunc(proposals, func(q Proposal) bool { return sameSet(p.Drop, q.Drop) })) {
			continue
		}
		proposals, guarded = append(proposals, p), append(guarded, kept)
	}
	return proposals, guarded
}

// mostConfirmed bounds how many proposals are trained at every seed.
const mostConfirmed = 2

// selectProposal tries every proposal at the first seed, and confirms the best of those that qualify at all seeds: what differs by
// the luck of one training must not be taken for a gain. It returns what the first confirmed one drops and what the guards kept back of it, nil if none is.
func (r *runner) selectProposal(ctx context.Context, proposals []Proposal, guarded []Guarded) ([]int, Guarded, error) {
	if len(proposals) == 0 {
		return nil, Guarded{}, nil
	}
	tried, err := r.try(ctx, proposals)
	if err != nil {
		return nil, Guarded{}, err
	}
	for i, g := range guarded {
		tried[i+1].Guarded = g.Count
	}
	r.drop.Amounts = tried
	if r.config.DoseControls {
		if err := r.tryControls(ctx, proposals, tried); err != nil {
			return nil, Guarded{}, err
		}
	}
	order := qualified(tried)
	for _, i := range order[:min(len(order), mostConfirmed)] {
		p := proposals[i-1]
		if r.config.Seeds > 1 {
			if err := r.confirm(ctx, p, &tried[i]); err != nil {
				return nil, Guarded{}, err
			}
			if !tried[i].confirmed() {
				continue
			}
		}
		tried[i].Chosen, r.chosen = true, p.Rule
		return p.Drop, guarded[i-1], nil
	}
	tried[0].Chosen = true
	return nil, Guarded{}, nil
}

// positions are those in the data set of places in the training split.
func (r *runner) positions(order []int) []int {
	p := make([]int, len(order))
	for k, o := range order {
		p[k] = r.data.Split.Train[o]
	}
	return p
}

// trialKey is the key of the training on what a proposal keeps, at seed number k.
func trialKey(rule string, k int) string {
	return fmt.Sprintf("try/%s/%d", strings.ReplaceAll(rule, ":", "-"), k)
}

// trial trains on what a proposal keeps, at seed number k, and compares with the full arm of that seed on the tune split.
// It returns the evaluations with the samples dropped and of the full arm.
func (r *runner) trial(ctx context.Context, p Proposal, k int, piece Event) (after, before *train.Evaluation, err error) {
	full, _, _, err := r.store.Model(armKey(Full, k))
	if err != nil {
		return nil, nil, err
	}
	if before, err = r.engine.Evaluate(ctx, full, r.data.Source(), r.data.Split.Tune); err != nil {
		return nil, nil, err
	}
	piece.Stage = StageChoose
	m, err := r.train(ctx, r.trainer, trialKey(p.Rule, k), r.data.without(r.positions(p.Drop)), r.seed(k), piece, &r.times.Choose)
	if err != nil {
		return nil, nil, err
	}
	if after, err = r.engine.Evaluate(ctx, m, r.data.Source(), r.data.Split.Tune); err != nil {
		return nil, nil, err
	}
	r.observe.measured(piece, splitTune, after.Loss, after.Metric)
	return after, before, nil
}

// try trains once, at the first seed, for every proposal and compares each with the full arm of that seed on the tune
// split. Entry 0 of the answer is the full arm: dropping nothing.
func (r *runner) try(ctx context.Context, proposals []Proposal) ([]Amount, error) {
	tried := []Amount{{}}
	for i, p := range proposals {
		n := len(p.Drop)
		after, before, err := r.trial(ctx, p, 0, Event{Part: i + 1, Parts: len(proposals),
			What: fmt.Sprintf("%s: dropping %d (%.1f %%)", p.Rule, n, 100*float64(n)/float64(len(r.out.Estimates.Delta)))})
		if err != nil {
			return nil, err
		}
		tried[0].Loss, tried[0].Metric = before.Loss, before.Metric
		change, stdErr := pairedChange([]*train.Evaluation{after}, []*train.Evaluation{before})
		tried = append(tried, Amount{Rule: p.Rule, Count: n, Images: r.units.imagesOf(r.positions(p.Drop)), Loss: after.Loss, Metric: after.Metric, LossChange: change, StandardError: stdErr})
	}
	testAmounts(tried)
	return tried, nil
}

// confirm trains a proposal at the other seeds and fills in what the tune split says over all of them.
func (r *runner) confirm(ctx context.Context, p Proposal, a *Amount) error {
	var after, before []*train.Evaluation
	for k := range r.config.Seeds {
		x, y, err := r.trial(ctx, p, k, Event{Part: k, Parts: r.config.Seeds - 1, What: fmt.Sprintf("%s: confirming at seed %d", p.Rule, r.seed(k))})
		if err != nil {
			return err
		}
		after, before = append(after, x), append(before, y)
		a.SeedLossChanges = append(a.SeedLossChanges, x.Loss-y.Loss)
		a.MetricChange += (x.Metric - y.Metric) / float64(r.config.Seeds)
	}
	a.LossChange, a.StandardError = pairedChange(after, before)
	overSeeds := Number(pBelow(a.LossChange, a.StandardError))
	a.SeedsP = &overSeeds
	return nil
}

// confirmed says whether the tune loss over all seeds is lower by more than chance over tune samples and seeds explains, in a
// one-sided test at 5 %, and the tune metric no lower.
func (a *Amount) confirmed() bool {
	return pBelow(a.LossChange, a.StandardError) < significance && a.MetricChange >= 0
}

// pairedChange returns the mean change in loss over samples and seeds, and its standard error: that over samples of a sample's
// mean over seeds and, with several seeds, that over seeds, added as variances.
func pairedChange(after, before []*train.Evaluation) (mean, stdErr float64) {
	seeds := float64(len(after))
	diff := make([]float64, len(after[0].SampleLoss))
	perSeed := make([]float64, len(after))
	for k := range after {
		perSeed[k] = after[k].Loss - before[k].Loss
		for i := range diff {
			diff[i] += (float64(after[k].SampleLoss[i]) - float64(before[k].SampleLoss[i])) / seeds
		}
	}
	mean, sd := stat.MeanStdDev(diff, nil)
	variance := sd * sd / float64(len(diff))
	if len(after) > 1 {
		variance += stat.Variance(perSeed, nil) / seeds
	}
	return mean, math.Sqrt(variance)
}

// qualified returns the indices of the proposals that qualify, the lowest tune loss first. tried[0] is dropping nothing. A
// proposal qualifies when its tune loss lies below that of dropping nothing by more than chance over tune samples would
// explain, in a one-sided test at 5 % corrected for the number of proposals tried (Holm), and its tune metric is no lower.
func qualified(tried []Amount) []int {
	var all []int
	for i, a := range tried {
		if i > 0 && *a.PHolm < significance && a.Metric >= tried[0].Metric && a.Loss < tried[0].Loss {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(i, j int) int { return cmp.Compare(tried[i].Loss, tried[j].Loss) })
	return all
}
