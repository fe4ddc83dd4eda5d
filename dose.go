package datadropout

import (
	"context"
	"fmt"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/train"
)

// tryControls trains, at the first seed, the controls that drop as many samples as each proposal, and fills in what the tune
// split says of them: the dose-response of dropping as such, and of dropping what is hard to fit. Nothing is chosen by it.
func (r *runner) tryControls(ctx context.Context, proposals []Proposal, tried []Amount) error {
	full, _, _, err := r.store.Model(armKey(Full, 0))
	if err != nil {
		return err
	}
	before, err := r.evaluate(ctx, full, Full, 0, splitTune, r.data.Split.Tune)
	if err != nil {
		return err
	}
	control := func(arm, key string, i int, dropped []int) (*ControlAmount, error) {
		part := 2*i + 1
		if arm == HighestLoss {
			part++
		}
		piece := Event{Stage: StageChoose, Part: part, Parts: 2 * len(proposals), What: fmt.Sprintf("%s control: dropping %d", arm, len(dropped))}
		m, err := r.train(ctx, r.trainer, trialKey(key, 0), r.data.without(dropped), r.seed(0), piece, &r.times.Choose)
		if err != nil {
			return nil, err
		}
		after, err := r.evaluate(ctx, m, piece.What, 0, splitTune, r.data.Split.Tune)
		if err != nil {
			return nil, err
		}
		c := pairedChange([]*train.Evaluation{after}, []*train.Evaluation{before}, dataset.Groups(r.data.Source(), r.data.Split.Tune))
		return &ControlAmount{LossChange: c.mean, StandardError: c.stdErr, Metric: after.Metric}, nil
	}
	for i, p := range proposals {
		random, err := r.randomLike(r.positions(p.Drop), 0)
		if err != nil {
			return err
		}
		a := &tried[i+1]
		if a.Random, err = control(Random, "random-like-"+p.Rule, i, random); err != nil {
			return err
		}
		worst, err := r.highestLoss(r.positions(p.Drop))
		if err != nil {
			return err
		}
		if a.HighestLoss, err = control(HighestLoss, r.highestLossKey(p), i, worst); err != nil {
			return err
		}
	}
	return nil
}

// highestLossKey names the control of the highest loss for a proposal by what decides about it: the number of samples, or of
// images where these are dropped as a whole. As many patches may be of more or fewer images.
func (r *runner) highestLossKey(p Proposal) string {
	if r.units == nil {
		return fmt.Sprintf("highest_loss:%d", len(p.Drop))
	}
	return fmt.Sprintf("highest_loss:%d-images", r.units.count(r.positions(p.Drop)))
}
