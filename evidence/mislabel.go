package evidence

import (
	"math"

	"github.com/datadropout/datadropout"
)

// MislabelResult says how well the scores find planted wrong labels when samples are inspected from the most harmful on.
type MislabelResult struct {
	// Planted is their number among the training samples.
	Planted int `json:"planted"`
	// AUC is the probability that a planted sample stands before another one; ties count half. 0.5 is chance.
	AUC datadropout.Number `json:"auc"`
	// Found holds the share found after inspecting a share of the samples.
	Found []FoundResult `json:"found"`
}

// FoundResult is the share of the planted labels found among the first samples.
type FoundResult struct {
	// Inspected is the share of the samples inspected, rounded to a whole number of them.
	Inspected float64 `json:"inspected"`
	Found     float64 `json:"found"`
	// Possible is the most that any sequence could find.
	Possible float64 `json:"possible"`
}

var inspectedShares = []float64{0.05, 0.1, 0.2}

func (r *runner) mislabel(s *scored) *MislabelResult {
	planted := make([]bool, len(s.delta))
	for k, position := range r.Data.Split.Train {
		planted[k] = r.Data.Images.Planted(position)
	}
	return detect(s.delta, planted)
}

// detect measures how well the lowest values point at the planted samples, of which there is at least one. Samples of
// equal value are inspected in their order.
func detect(delta []float64, planted []bool) *MislabelResult {
	m := &MislabelResult{AUC: datadropout.Number(areaUnderCurve(delta, planted))}
	for _, p := range planted {
		if p {
			m.Planted++
		}
	}
	order := datadropout.MostHarmful(delta)
	for _, share := range inspectedShares {
		count := int(math.Round(share * float64(len(delta))))
		found := 0
		for _, i := range order[:count] {
			if planted[i] {
				found++
			}
		}
		all := float64(m.Planted)
		m.Found = append(m.Found, FoundResult{Inspected: share, Found: float64(found) / all, Possible: math.Min(1, float64(count)/all)})
	}
	return m
}
