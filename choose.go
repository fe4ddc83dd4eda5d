package datadropout

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/datadropout/datadropout/dataset"
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

// selectProposal tries every proposal at the first seed, and confirms the best of those that qualify at the other seeds: what differs
// by the luck of one training must not be taken for a gain. It returns what the first confirmed one drops and what the guards kept
// back of it, nil if none is. With one seed there is none to confirm at: the best of those that qualify is taken as it is.
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
			if err := r.confirm(ctx, p, &tried[i], tried[0]); err != nil {
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
	if before, err = r.evaluate(ctx, full, Full, k, splitTune, r.data.Split.Tune); err != nil {
		return nil, nil, err
	}
	piece.Stage, piece.Kind = StageChoose, KindTraining
	m, err := r.train(ctx, r.trainer, trialKey(p.Rule, k), r.data.without(r.positions(p.Drop)), r.seed(k), piece, &r.times.Choose)
	if err != nil {
		return nil, nil, err
	}
	if after, err = r.evaluate(ctx, m, p.Rule, k, splitTune, r.data.Split.Tune); err != nil {
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
		c := pairedChange([]*train.Evaluation{after}, []*train.Evaluation{before}, dataset.Groups(r.data.Source(), r.data.Split.Tune))
		a := Amount{Rule: p.Rule, Count: n, Images: r.units.imagesOf(r.positions(p.Drop)), Loss: after.Loss, Metric: after.Metric}
		a.LossChange, a.StandardError, a.df = c.mean, c.stdErr, c.df
		tried = append(tried, a)
	}
	testAmounts(tried)
	return tried, nil
}

// qualified returns the indices of the proposals that qualify, the lowest tune loss first. tried[0] is dropping nothing. A
// proposal qualifies when its tune loss lies below that of dropping nothing by more than chance over tune samples would
// explain, in a one-sided test at 5 % corrected for the number of proposals tried (Holm), and its tune metric is no lower. The
// test knows nothing of the luck of the two trainings; that is what [runner.confirm] is for.
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
