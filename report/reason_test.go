package report

import (
	"math"
	"strings"
	"testing"
)

func TestReasons(t *testing.T) {
	c := &Content{Classes: []string{"coat", "shirt", "bag"}}
	labels := func(zeros, ones int) []int {
		var l []int
		for range ones {
			l = append(l, 1)
		}
		for range zeros {
			l = append(l, 0)
		}
		return l
	}
	// An ordinary sample of the class coat, whose loss gives its label a probability of 0.9.
	ordinary := func() Sample {
		return Sample{
			Reference: Reference{ID: "train/7"}, TrainLoss: -math.Log(0.9),
			Facts: &Facts{NeighborLabels: labels(9, 1), Contrast: 0.3, ContrastRank: 0.5, SharpnessRank: 0.5, Isolation: 0.5},
		}
	}
	tests := []struct {
		name string
		edit func(s *Sample)
		want []string // titles, in order
		says []string // of the first one's evidence
	}{
		{"ordinary", func(*Sample) {}, []string{"No single reason"}, []string{"agree"}},
		{"wrong label", func(s *Sample) { s.Predicted, s.TrainLoss, s.Facts.NeighborLabels = 1, 4, labels(2, 8) },
			[]string{"The label looks wrong"}, []string{"predicts shirt", "coat a probability of 2 %", "8 of its 10 nearest", "2 coat"}},
		{"the model fits the wrong label", func(s *Sample) { s.Facts.NeighborLabels = labels(0, 10) }, []string{"The neighbors have another label"}, []string{"10 of its 10"}},
		{"five of ten are no majority", func(s *Sample) { s.Facts.NeighborLabels = labels(5, 5) }, []string{"No single reason"}, nil},
		{"hard", func(s *Sample) { s.Predicted, s.TrainLoss = 1, 1 }, []string{"The model disagrees"}, []string{"37 %"}},
		{"no features", func(s *Sample) { s.Predicted, s.Facts.NeighborLabels = 1, nil }, []string{"The model disagrees"}, nil},
		{"doubted", func(s *Sample) { s.TrainLoss = 1 }, []string{"The model doubts"}, []string{"only 37 %"}},
		{"copy", func(s *Sample) {
			s.Facts.Copies = []Reference{{ID: "train/1", Label: 0}, {ID: "train/2", Label: 2}}
			s.Predicted = 2
		}, []string{"A copy has another label", "The model disagrees"}, []string{"train/2, labeled bag"}},
		{"copies that agree", func(s *Sample) { s.Facts.Copies = []Reference{{ID: "train/1", Label: 0}} }, []string{"No single reason"}, nil},
		{"near copy", func(s *Sample) { s.Facts.NearCopies = []Reference{{ID: "train/3", Label: 1}} }, []string{"Almost a copy"}, []string{"train/3"}},
		{"many copies", func(s *Sample) {
			for range 5 {
				s.Facts.Copies = append(s.Facts.Copies, Reference{ID: "x", Label: 1})
			}
		}, []string{"A copy has another label"}, []string{"and 2 more"}},
		{"blank", func(s *Sample) { s.Facts.Contrast, s.Facts.ContrastRank, s.Facts.SharpnessRank = 0.01, 0.002, 0 }, []string{"Nearly blank"}, []string{"0.010", "99.8 %"}},
		{"pale among pale ones", func(s *Sample) { s.Facts.Contrast, s.Facts.ContrastRank = 0.01, 0.4 }, []string{"No single reason"}, nil},
		{"blurred", func(s *Sample) { s.Facts.SharpnessRank = 0.004 }, []string{"Blurred"}, []string{"99.6 %"}},
		{"far away", func(s *Sample) { s.Facts.Isolation = 0.996 }, []string{"Unlike the other samples"}, []string{"99.6 %"}},
		{"farthest", func(s *Sample) { s.Facts.Isolation = 1 }, []string{"Unlike the other samples"}, []string{"than all of"}},
	}
	for _, tt := range tests {
		s := ordinary()
		tt.edit(&s)
		got := c.reasons(s)
		if len(got) != len(tt.want) {
			t.Errorf("%s: the reasons are %q, want %q", tt.name, got, tt.want)
			continue
		}
		for k, want := range tt.want {
			if !strings.HasPrefix(got[k].Title, want) {
				t.Errorf("%s: reason %d is %q, want %q", tt.name, k, got[k].Title, want)
			}
		}
		for _, want := range tt.says {
			if !strings.Contains(got[0].Evidence, want) {
				t.Errorf("%s: the evidence %q lacks %q", tt.name, got[0].Evidence, want)
			}
		}
	}
}
