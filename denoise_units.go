package datadropout

import (
	"cmp"
	"slices"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
)

// units are groups of samples that are dropped together: the patches of an image. A group's removal effect is, to first order, the sum
// of those of its members, and so it is on every fold of the score split.
type units struct {
	// members holds the places in the training split of each group, groups and places in ascending order.
	members [][]int
	// groupOf holds the group of every place, and training the position of every place.
	groupOf, training []int
	estimates         *Estimates // of the groups
}

// imageUnits groups the training patches by image.
func imageUnits(d *Data) *units {
	u := &units{training: d.Split.Train}
	groups := map[int]int{}
	for place, i := range d.Split.Train {
		pair := d.Patches.Patch(i).Pair
		g, ok := groups[pair]
		if !ok {
			g = len(u.members)
			groups[pair] = g
			u.members = append(u.members, nil)
		}
		u.members[g] = append(u.members[g], place)
		u.groupOf = append(u.groupOf, g)
	}
	return u
}

// sums adds up the values of the members of each group.
func (u *units) sums(values []float64) []float64 {
	out := make([]float64, len(u.members))
	for g, members := range u.members {
		for _, place := range members {
			out[g] += values[place]
		}
	}
	return out
}

// scoreUnits estimates the removal effects of what is dropped, where that is not single samples.
func (r *runner) scoreUnits(all []*influence.Scores) {
	if r.config.Task != Denoising || r.config.Denoise.DropUnit != DropImages {
		return
	}
	u := imageUnits(r.data)
	var summed []*influence.Scores
	for _, s := range all {
		t := *s
		t.Delta, t.Folds = u.sums(s.Delta), nil
		for _, fold := range s.Folds {
			t.Folds = append(t.Folds, u.sums(fold))
		}
		summed = append(summed, &t)
	}
	u.estimates = Combine(summed)
	r.units = u
}

// propose asks the rule what to drop. Proposals hold places in the training split.
func (r *runner) propose() ([]Proposal, error) {
	if r.units == nil {
		return r.rule.Propose(r.out.Estimates)
	}
	proposals, err := r.rule.Propose(r.units.estimates)
	for k, p := range proposals {
		proposals[k].Drop = r.units.places(p.Drop)
	}
	return proposals, err
}

// places are those of the members of groups, group by group.
func (u *units) places(groups []int) []int {
	var places []int
	for _, g := range groups {
		places = append(places, u.members[g]...)
	}
	return places
}

// positions are those of the members of groups, in the data.
func (u *units) positions(groups []int) []int {
	places := u.places(groups)
	for k, place := range places {
		places[k] = u.training[place]
	}
	return places
}

// count returns the number of groups that the positions are of.
func (u *units) count(positions []int) int {
	of := make(map[int]int, len(u.training))
	for place, i := range u.training {
		of[i] = u.groupOf[place]
	}
	seen := map[int]bool{}
	for _, i := range positions {
		seen[of[i]] = true
	}
	return len(seen)
}

// imagesOf is count, and 0 where single samples are dropped.
func (u *units) imagesOf(positions []int) int {
	if u == nil {
		return 0
	}
	return u.count(positions)
}

// random draws as many groups as the positions are of, and returns their members' positions in ascending order.
func (u *units) random(dropped []int, seed uint64) ([]int, error) {
	n := len(u.members)
	groups, err := dataset.StratifiedSample(make([]int, n), positions(0, n), []int{u.count(dropped)}, seed)
	if err != nil {
		return nil, err
	}
	drawn := u.positions(groups)
	slices.Sort(drawn)
	return drawn, nil
}

// highestLoss returns the members' positions of as many groups as the positions are of: those of the highest mean loss. loss has an
// entry a place.
func (u *units) highestLoss(dropped []int, loss []float32) []int {
	mean := make([]float64, len(u.members))
	order := make([]int, len(u.members))
	for g, members := range u.members {
		order[g] = g
		for _, place := range members {
			mean[g] += float64(loss[place]) / float64(len(members))
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(mean[b], mean[a]) })
	return u.positions(order[:u.count(dropped)])
}

// guard makes a guard judge a sample by its group, so that groups are kept back as a whole.
func (u *units) guard(g *guard) {
	if u == nil || g.agreement == nil {
		return
	}
	if u.estimates.SignAgreement == nil {
		g.agreement = nil
		return
	}
	g.agreement = make([]float64, len(u.groupOf))
	for place, group := range u.groupOf {
		g.agreement[place] = u.estimates.SignAgreement[group]
	}
}
