package datadropout

import (
	"math"
	"testing"
)

// The expected values are R's p.adjust(p, "holm").
func TestHolm(t *testing.T) {
	for _, tt := range []struct{ p, want []float64 }{
		{nil, nil},
		{[]float64{0.03}, []float64{0.03}},
		{[]float64{0.01, 0.02, 0.03, 0.04, 0.05}, []float64{0.05, 0.08, 0.09, 0.09, 0.09}},
		{[]float64{0.04, 0.001, 0.6, 0.02, 0.02}, []float64{0.08, 0.005, 0.6, 0.08, 0.08}},
		{[]float64{0.5, 0.9, 0}, []float64{1, 1, 0}},
	} {
		got := Holm(tt.p)
		if len(got) != len(tt.want) {
			t.Fatalf("%v: %v", tt.p, got)
		}
		for i := range got {
			if math.Abs(got[i]-tt.want[i]) > 1e-15 {
				t.Errorf("%v: corrected %v, want %v", tt.p, got, tt.want)
			}
		}
	}
}

// The expected values are R's pnorm and pt.
func TestPBelow(t *testing.T) {
	for _, tt := range []struct{ change, err, df, want float64 }{
		{-2.5, 1, 0, 0.006209665}, {2, 2, 0, 0.841344746}, {-1, 0, 0, 0}, {0, 0, 0, 1}, {1, 0, 0, 1},
		{-2, 1, 1, 0.147583618}, {-2, 1, 2, 0.091751710}, {-1, 0, 3, 0}, {-1, 0, -1, 1}, {-1, 1, -1, 1},
	} {
		near(t, "p", pBelow(tt.change, tt.err, tt.df), tt.want, 1e-8)
	}
}
