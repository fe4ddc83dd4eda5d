package dataset

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// WithLabelNoise returns the set with symmetric label noise planted: exactly round(rate*len(idx)) of the positions in idx,
// drawn at random, get another class, each of the other classes with the same probability. Original keeps the labels
// before, so that Planted knows the truth. The receiver is unchanged; pixels and ids are shared with it.
//
// rate lies in [0, 1]. Noise can be planted in several disjoint places, one call after the other; planting twice at one
// position is an error, for the second could undo the first.
func (s *Images) WithLabelNoise(rate float64, idx []int, seed uint64) (*Images, error) {
	fail := func(err error) (*Images, error) { return nil, fmt.Errorf("data set %s: label noise: %w", s.Name, err) }
	if math.IsNaN(rate) || rate < 0 || rate > 1 {
		return fail(fmt.Errorf("rate %v is not in [0, 1]", rate))
	}
	count := int(math.Round(rate * float64(len(idx))))
	if count > 0 && len(s.Classes) < 2 {
		return fail(errors.New("a set of one class has no other class to mistake it for"))
	}
	chosen := slices.Sorted(slices.Values(idx))
	for k, i := range chosen {
		switch {
		case i < 0 || i >= s.Len():
			return fail(fmt.Errorf("position %d of %d", i, s.Len()))
		case k > 0 && chosen[k-1] == i:
			return fail(fmt.Errorf("position %d is given twice", i))
		case s.Planted(i):
			return fail(fmt.Errorf("record %d (%s) already carries a planted label", i, s.IDs[i]))
		}
	}
	t := *s
	if count == 0 {
		return &t, nil
	}
	t.Labels = slices.Clone(s.Labels)
	t.Original = slices.Clone(s.originalLabels())
	rng := stream(seed, purposeNoise, 0)
	rng.Shuffle(len(chosen), func(a, b int) { chosen[a], chosen[b] = chosen[b], chosen[a] })
	for _, i := range chosen[:count] {
		// One of the classes but the current one: step 1 to classes-1 around the circle of classes.
		t.Labels[i] = (s.Labels[i] + 1 + rng.IntN(len(s.Classes)-1)) % len(s.Classes)
	}
	return &t, nil
}
