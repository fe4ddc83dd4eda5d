package dataset

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// WithLabelNoise returns the set with symmetric label noise planted: exactly round(rate*len(idx)) of the positions in idx,
// drawn at random, get another class, each of the other classes with the same probability. Original keeps the labels
// before, so that Planted knows the truth. The receiver is unchanged; pixels and ids are shared with it.
//
// rate lies in [0, 1]. Noise can be planted in several disjoint places, one call after the other; planting twice at one
// position is an error, for the second could undo the first.
func (s *Images) WithLabelNoise(rate float64, idx []int, seed uint64) (*Images, error) {
	// One of the classes but the current one: step 1 to classes-1 around the circle of classes.
	return s.withNoiseAt(rate, idx, stream(seed, purposeNoise, symmetricNoise), func(label int, rng *rand.Rand) int {
		return (label + 1 + rng.IntN(len(s.Classes)-1)) % len(s.Classes)
	})
}

// WithPairNoise is WithLabelNoise with class c always mistaken for c+1, and the last class for the first: the pair noise of
// Han et al. (Co-teaching, NeurIPS 2018).
func (s *Images) WithPairNoise(rate float64, idx []int, seed uint64) (*Images, error) {
	return s.withNoiseAt(rate, idx, stream(seed, purposeNoise, pairNoise), func(label int, _ *rand.Rand) int {
		return (label + 1) % len(s.Classes)
	})
}

// WithTransitions returns the set with every label at the positions in idx drawn anew: class c becomes class k with the
// probability transitions[c][k] over the sum of row c. So a confusion matrix of counts serves as well as one of probabilities;
// [ReadTransitions] reads one. Samples whose class comes out the same carry no planted label. For the rest it is WithLabelNoise.
func (s *Images) WithTransitions(transitions [][]float64, idx []int, seed uint64) (*Images, error) {
	if err := checkTransitions(transitions, len(s.Classes)); err != nil {
		return nil, s.noiseError(err)
	}
	rng := stream(seed, purposeNoise, transitionNoise)
	return s.relabeled(idx, func(i int) int {
		row := transitions[s.Labels[i]]
		total := 0.0
		for _, weight := range row {
			total += weight
		}
		at := rng.Float64() * total
		last := 0
		for k, weight := range row {
			if weight > 0 {
				if last = k; at < weight {
					break
				}
				at -= weight
			}
		}
		return last
	})
}

// WithLabels returns the set with other labels at the positions in idx: labels[i] at position i, such as those of other
// annotators; [ReadLabels] reads them. Where a label differs it counts as planted. For the rest it is WithLabelNoise.
func (s *Images) WithLabels(labels []int, idx []int) (*Images, error) {
	for _, i := range idx {
		if i >= len(labels) {
			return nil, s.noiseError(fmt.Errorf("%d labels, and none for position %d", len(labels), i))
		}
		if i >= 0 {
			if err := s.checkLabel(labels[i]); err != nil {
				return nil, s.noiseError(fmt.Errorf("position %d: %w", i, err))
			}
		}
	}
	return s.relabeled(idx, func(i int) int { return labels[i] })
}

// Streams of the kinds of noise under one seed. The numbers never change.
const (
	symmetricNoise = iota
	pairNoise
	transitionNoise
)

func (s *Images) noiseError(err error) error {
	return fmt.Errorf("data set %s: label noise: %w", s.Name, err)
}

// withNoiseAt gives exactly round(rate*len(idx)) of the positions, drawn at random, the class that wrong says.
func (s *Images) withNoiseAt(rate float64, idx []int, rng *rand.Rand, wrong func(label int, rng *rand.Rand) int) (*Images, error) {
	if math.IsNaN(rate) || rate < 0 || rate > 1 {
		return nil, s.noiseError(fmt.Errorf("rate %v is not in [0, 1]", rate))
	}
	count := int(math.Round(rate * float64(len(idx))))
	if count > 0 && len(s.Classes) < 2 {
		return nil, s.noiseError(errors.New("a set of one class has no other class to mistake it for"))
	}
	chosen, err := s.plantable(idx)
	if err != nil {
		return nil, err
	}
	rng.Shuffle(len(chosen), func(a, b int) { chosen[a], chosen[b] = chosen[b], chosen[a] })
	return s.planted(chosen[:count], func(i int) int { return wrong(s.Labels[i], rng) }), nil
}

// relabeled gives every position, in ascending order, the label that label says.
func (s *Images) relabeled(idx []int, label func(i int) int) (*Images, error) {
	chosen, err := s.plantable(idx)
	if err != nil {
		return nil, err
	}
	return s.planted(chosen, label), nil
}

// plantable returns the positions in ascending order if noise can be planted at each.
func (s *Images) plantable(idx []int) ([]int, error) {
	chosen := slices.Sorted(slices.Values(idx))
	for k, i := range chosen {
		switch {
		case i < 0 || i >= s.Len():
			return nil, s.noiseError(fmt.Errorf("position %d of %d", i, s.Len()))
		case k > 0 && chosen[k-1] == i:
			return nil, s.noiseError(fmt.Errorf("position %d is given twice", i))
		case s.Planted(i):
			return nil, s.noiseError(fmt.Errorf("record %d (%s) already carries a planted label", i, s.IDs[i]))
		}
	}
	return chosen, nil
}

// planted returns the set with the labels at the positions replaced.
func (s *Images) planted(positions []int, label func(i int) int) *Images {
	t := *s
	if len(positions) == 0 {
		return &t
	}
	t.Labels = slices.Clone(s.Labels)
	t.Original = slices.Clone(s.originalLabels())
	for _, i := range positions {
		t.Labels[i] = label(i)
	}
	return &t
}
