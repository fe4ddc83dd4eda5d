package evidence

import "fmt"

// LOOResult compares removal effects with leaving out: groups of one sample, or of Group samples, one group at a time.
type LOOResult struct {
	// Group is the number of samples left out at once.
	Group int `json:"group"`
	// Agreement is over the groups, the changes those of the mean score loss.
	Agreement
}

// looSets draws the groups that are left out.
func (r *runner) looSets() []dropped {
	var sets []dropped
	for j, g := range r.looGroups() {
		what := fmt.Sprintf("loo, sample %d", r.Data.Split.Train[g[0]])
		if len(g) > 1 {
			what = fmt.Sprintf("loo, group %d of %d samples", j+1, len(g))
		}
		sets = append(sets, dropped{g, r.inPlace(), what})
	}
	return sets
}

func (r *runner) looGroups() [][]int {
	return disjointGroups(len(r.Data.Split.Train), r.options.LOOGroup, r.options.LOOSamples, r.Config.Seed)
}

// loo compares the predicted with the true changes over the groups.
func (r *runner) loo(s *scored) (*LOOResult, error) {
	a, err := r.compare(s, r.looGroups())
	return &LOOResult{Group: r.options.LOOGroup, Agreement: a}, err
}

// compare compares, over the sets of samples, the sum of the removal effects with the true change of the score loss.
func (r *runner) compare(s *scored, sets [][]int) (Agreement, error) {
	predicted, truth := make([]float64, len(sets)), make([]float64, len(sets))
	for j, samples := range sets {
		c, err := r.change(samples, r.inPlace())
		if err != nil {
			return Agreement{}, err
		}
		predicted[j], truth[j] = sumOver(s.delta, samples), c.ScoreLoss
	}
	return agree(predicted, truth, r.Config.Seed), nil
}
