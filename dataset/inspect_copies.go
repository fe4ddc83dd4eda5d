package dataset

// Copy is one of several images with the same pixels.
type Copy struct {
	ID    string `json:"id"`
	Class string `json:"class"`
	Label int    `json:"label"`
	Test  bool   `json:"test"` // in the official test set
}

// Copies are two images or more with the same pixels: those of the training set first, each set's in its order.
type Copies []Copy

// Leak says whether the picture is in the training set and in the test set.
func (c Copies) Leak() bool { return !c[0].Test && c[len(c)-1].Test }

// Contradiction says whether the same picture has different labels.
func (c Copies) Contradiction() bool {
	for _, other := range c[1:] {
		if other.Label != c[0].Label {
			return true
		}
	}
	return false
}

// Duplicates counts images that occur more than once.
type Duplicates struct {
	// Train and Test count the images that an earlier one of the same set equals: as many as could go without a picture being lost.
	Train int `json:"train"`
	Test  int `json:"test"`
	// Leaked counts the test images that a training image equals: the test does not measure generalization on them.
	Leaked int `json:"leaked"`
	// Contradictions counts the pictures with different labels, of which at most one is right, and Contradicting the images that
	// show one of them.
	Contradictions int `json:"contradictions"`
	Contradicting  int `json:"contradicting"`
}

// findCopies groups the images with the same digests. test may be nil.
func findCopies(train, test *Images, digests [2][]digest) []Copies {
	seen := make(map[digest]int, len(digests[0])+len(digests[1])) // how often; below zero, the group
	for _, part := range digests {
		for _, d := range part {
			seen[d]++
		}
	}
	groups := []Copies{}
	for part, s := range []*Images{train, test} {
		for i, d := range digests[part] {
			at := seen[d]
			if at == 1 {
				continue
			}
			if at > 1 {
				groups = append(groups, make(Copies, 0, at))
				at = -len(groups)
				seen[d] = at
			}
			g := &groups[-at-1]
			*g = append(*g, Copy{ID: s.IDs[i], Class: s.Classes[s.Labels[i]], Label: s.Labels[i], Test: part == 1})
		}
	}
	return groups
}

func countDuplicates(groups []Copies) (d Duplicates) {
	for _, g := range groups {
		inTest := 0
		for _, c := range g {
			if c.Test {
				inTest++
			}
		}
		d.Train += max(0, len(g)-inTest-1)
		d.Test += max(0, inTest-1)
		if g.Leak() {
			d.Leaked += inTest
		}
		if g.Contradiction() {
			d.Contradictions++
			d.Contradicting += len(g)
		}
	}
	return d
}
