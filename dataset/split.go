package dataset

import (
	"errors"
	"fmt"
	"slices"
)

// Sizes are the wished sizes of a split's parts. 0 means the default: one sixth of the pool each for Score, for Tune and,
// where there is no official test set, for Test; what is left for Train; and the whole official test set, where there is
// one. Where the sizes that are given leave less than that, the defaults share what they leave.
type Sizes struct{ Train, Score, Tune, Test int }

// Split holds the positions of the parts of a data set, disjoint and each in ascending order. Train is trained on, Score is
// the validation set that influence is measured on, Tune decides how much to drop, Test is read once, at the end.
type Split struct{ Train, Score, Tune, Test []int }

// NewSplit splits positions at random. Train, Score and Tune come from pool; Test from officialTest, or from pool where
// officialTest is nil. Every part is stratified: the number of samples of a class differs by less than one from the part's
// proportional share of that class. The result depends on the labels, the sets of positions, the sizes and the seed.
//
// A part that can't have its size is a [*TooFewError]; other errors are negative sizes, and positions that are out of range
// or given twice.
func NewSplit(labels []int, pool, officialTest []int, sizes Sizes, seed uint64) (Split, error) {
	if min(sizes.Train, sizes.Score, sizes.Tune, sizes.Test) < 0 {
		return Split{}, fmt.Errorf("split: negative size in %+v", sizes)
	}
	both, err := byClass(labels, slices.Concat(pool, officialTest))
	if err != nil {
		return Split{}, fmt.Errorf("split: %w", err)
	}
	sizes, err = sizes.resolve(len(pool), officialTest)
	if err != nil {
		return Split{}, err
	}
	if officialTest == nil {
		parts := deal(both, []int{sizes.Train, sizes.Score, sizes.Tune, sizes.Test}, seed, 0)
		return Split{Train: parts[0], Score: parts[1], Tune: parts[2], Test: parts[3]}, nil
	}
	own, err := byClass(labels, pool)
	if err != nil {
		return Split{}, fmt.Errorf("split: %w", err)
	}
	official, err := byClass(labels, officialTest)
	if err != nil {
		return Split{}, fmt.Errorf("split: %w", err)
	}
	parts := deal(own, []int{sizes.Train, sizes.Score, sizes.Tune}, seed, 0)
	test := deal(official, []int{sizes.Test}, seed, 1)
	return Split{Train: parts[0], Score: parts[1], Tune: parts[2], Test: test[0]}, nil
}

// resolve replaces zeros by the default shares and checks that there are enough samples.
func (z Sizes) resolve(pool int, officialTest []int) (Sizes, error) {
	if officialTest != nil {
		if z.Test == 0 {
			z.Test = len(officialTest)
		}
		if z.Test == 0 {
			return z, errors.New("split: the official test set is empty")
		}
		if z.Test > len(officialTest) {
			return z, &TooFewError{What: "the test split", Asked: z.Test, Available: len(officialTest)}
		}
	}
	asked := Sizes{Train: z.Train, Score: z.Score, Tune: z.Tune}
	parts := []*int{&z.Score, &z.Tune}
	if officialTest == nil {
		asked.Test = z.Test
		parts = append(parts, &z.Test)
	}
	given := asked.Train + asked.Score + asked.Tune + asked.Test
	var open []*int
	for _, p := range parts {
		if *p == 0 {
			open = append(open, p)
		}
	}
	openTrain := z.Train == 0
	need := given + len(open) // at least one sample for every open part
	if openTrain {
		need++
	}
	if need > pool {
		return z, &TooFewError{What: "the split (" + asked.describe(officialTest == nil) + ")", Asked: need, Available: pool}
	}
	left := pool - given
	shares := len(open)
	if openTrain {
		shares++ // an open train part is never smaller than its open neighbors
	}
	for _, p := range open {
		*p = max(1, min(pool/6, left/shares))
	}
	if openTrain {
		z.Train = pool - z.Score - z.Tune
		if officialTest == nil {
			z.Train -= z.Test
		}
	}
	return z, nil
}

// describe lists the sizes that were asked for; 0 is the default, which needs at least one sample.
func (z Sizes) describe(withTest bool) string {
	word := func(name string, n int) string {
		if n == 0 {
			return name + " at least 1"
		}
		return fmt.Sprintf("%s %d", name, n)
	}
	s := word("train", z.Train) + ", " + word("score", z.Score) + ", " + word("tune", z.Tune)
	if withTest {
		s += ", " + word("test", z.Test)
	}
	return s
}

// deal shuffles the members of every class and deals them to parts of the given sizes, stratified. index separates the
// streams of several deals under one seed.
func deal(classes [][]int, sizes []int, seed, index uint64) [][]int {
	totals := make([]int, len(classes))
	for c, members := range classes {
		totals[c] = len(members)
	}
	rng := stream(seed, purposeSplit, index)
	parts := make([][]int, len(sizes))
	for c, counts := range apportion(totals, sizes) {
		members := slices.Clone(classes[c])
		rng.Shuffle(len(members), func(a, b int) { members[a], members[b] = members[b], members[a] })
		for p, count := range counts {
			parts[p] = append(parts[p], members[:count]...)
			members = members[count:]
		}
	}
	for _, part := range parts {
		slices.Sort(part)
	}
	return parts
}
