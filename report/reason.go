package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/datadropout/datadropout/dataset"
)

// Reason is why a sample may be harmful, in words, with what speaks for it.
type Reason struct{ Title, Evidence string }

// Limits of the reasons. Ranks are shares of the training samples.
const (
	lowRank  = 0.01
	isolated = 0.99
	// agreeing is the share of the neighbors that must have one label.
	agreeing = 0.6
	// doubted is the probability of the label below which the model disagrees even though it predicts it.
	doubted = 0.5
)

// reasons returns what may make a harmful sample so, the likeliest first; at least one.
func (c *Content) reasons(s Sample) []Reason {
	f := s.Facts
	var all []Reason
	add := func(title, format string, args ...any) {
		all = append(all, Reason{title, fmt.Sprintf(format, args...)})
	}
	if other := otherLabels(f.Copies, s.Label); len(other) > 0 {
		add("A copy has another label", "pixel for pixel the same as %s", c.named(other))
	} else if other := otherLabels(f.NearCopies, s.Label); len(other) > 0 {
		add("Almost a copy of one with another label", "its pixels hardly differ from those of %s", c.named(other))
	}
	if f.Contrast < dataset.BlankContrast && f.ContrastRank < lowRank {
		add("Nearly blank", "its brightness has a standard deviation of %.3f (of 1), which is less than %s of the training pictures have", f.Contrast, share(1-f.ContrastRank))
	} else if f.SharpnessRank < lowRank {
		add("Blurred", "it has less fine detail than %s of the training pictures", share(1-f.SharpnessRank))
	}
	probability := math.Exp(-s.TrainLoss)
	model := s.Predicted != s.Label
	other, count := c.commonLabel(f.NeighborLabels)
	own := 0
	for _, l := range f.NeighborLabels {
		if l == s.Label {
			own++
		}
	}
	neighbors := len(f.NeighborLabels) > 0 && other != s.Label && float64(count) >= agreeing*float64(len(f.NeighborLabels))
	says := fmt.Sprintf("the model that was trained on it predicts %s and gives %s a probability of %s", c.Classes[s.Predicted], c.Classes[s.Label], percentage(probability))
	near := ""
	if neighbors {
		near = fmt.Sprintf("%d of its %d nearest neighbors are labeled %s, %d %s", count, len(f.NeighborLabels), c.Classes[other], own, c.Classes[s.Label])
	}
	switch {
	case model && neighbors:
		add("The label looks wrong", "%s; %s", says, near)
	case model:
		add("The model disagrees with the label", "%s", says)
	case neighbors && probability < doubted:
		add("The label looks wrong", "%s; the model that was trained on it gives its label a probability of only %s", near, percentage(probability))
	case neighbors:
		add("The neighbors have another label", "%s", near)
	case probability < doubted:
		add("The model doubts the label", "it predicts %s, but with a probability of only %s, though it was trained on it", c.Classes[s.Predicted], percentage(probability))
	}
	if f.Isolation >= isolated {
		add("Unlike the other samples", "it lies farther from its tenth neighbor than %s of the training samples do from theirs", share(f.Isolation))
	}
	if len(all) == 0 {
		add("No single reason found", "label, model and neighbors agree, and the picture is an ordinary one (its contrast ranks at %s, its sharpness at %s)",
			percentage(f.ContrastRank), percentage(f.SharpnessRank))
	}
	return all
}

// otherLabels returns those with another label.
func otherLabels(list []Reference, label int) []Reference {
	var other []Reference
	for _, r := range list {
		if r.Label != label {
			other = append(other, r)
		}
	}
	return other
}

// named lists samples with their labels, at most three.
func (c *Content) named(list []Reference) string {
	var words []string
	for _, r := range list[:min(len(list), 3)] {
		words = append(words, fmt.Sprintf("%s, labeled %s", r.ID, c.Classes[r.Label]))
	}
	s := strings.Join(words, "; ")
	if more := len(list) - 3; more > 0 {
		s += fmt.Sprintf("; and %d more", more)
	}
	return s
}

// commonLabel returns the label that most of the list have, of equally many the one named first, and how many have it; -1 of
// none.
func (c *Content) commonLabel(labels []int) (label, count int) {
	counts := map[int]int{}
	label = -1
	for _, l := range labels {
		counts[l]++
	}
	for _, l := range labels {
		if counts[l] > count {
			label, count = l, counts[l]
		}
	}
	return label, count
}

// share writes a share that is near 1 so that it does not round to all.
func share(x float64) string {
	if x >= 1 {
		return "all"
	}
	return fmt.Sprintf("%.4g %%", math.Floor(1000*x)/10)
}

// percentage writes a probability with as many digits as say something.
func percentage(p float64) string {
	switch {
	case p < 0.0001:
		return "less than 0.01 %"
	case p < 0.01:
		return fmt.Sprintf("%.2f %%", 100*p)
	}
	return fmt.Sprintf("%.0f %%", 100*p)
}
