package dataset

import (
	"fmt"
	"slices"
)

// StratifiedSample draws positions at random, without replacement: of every class c, perClass[c] of the positions in from
// whose label is c. It returns them in ascending order. Classes beyond perClass are not drawn. A control arm that drops as
// many samples of every class as another arm did is drawn with it.
//
// A class with too few positions is a [*TooFewError]; other errors are positions that are out of range or given twice, and
// negative labels or counts. The order of from doesn't matter.
func StratifiedSample(labels []int, from []int, perClass []int, seed uint64) ([]int, error) {
	classes, err := byClass(labels, from)
	if err != nil {
		return nil, fmt.Errorf("stratified sample: %w", err)
	}
	var drawn []int
	for c, count := range perClass {
		if count == 0 {
			continue
		}
		var members []int
		if c < len(classes) {
			members = classes[c]
		}
		switch {
		case count < 0:
			return nil, fmt.Errorf("stratified sample: %d samples of class %d", count, c)
		case count > len(members):
			return nil, &TooFewError{What: fmt.Sprintf("the stratified sample of class %d", c), Asked: count, Available: len(members)}
		}
		rng := stream(seed, purposeSample, uint64(c))
		rng.Shuffle(len(members), func(a, b int) { members[a], members[b] = members[b], members[a] })
		drawn = append(drawn, members[:count]...)
	}
	slices.Sort(drawn)
	return drawn, nil
}

// byClass sorts the given positions into one ascending list a class.
func byClass(labels, positions []int) ([][]int, error) {
	sorted := slices.Sorted(slices.Values(positions))
	var classes [][]int
	for k, i := range sorted {
		switch {
		case i < 0 || i >= len(labels):
			return nil, fmt.Errorf("position %d of %d labels", i, len(labels))
		case k > 0 && sorted[k-1] == i:
			return nil, fmt.Errorf("position %d is given twice", i)
		case labels[i] < 0:
			return nil, fmt.Errorf("position %d has the label %d", i, labels[i])
		}
		for labels[i] >= len(classes) {
			classes = append(classes, nil)
		}
		classes[labels[i]] = append(classes[labels[i]], i)
	}
	return classes, nil
}
