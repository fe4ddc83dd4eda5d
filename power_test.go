package datadropout

import (
	"math"
	"testing"
)

// The expected powers are those of scipy 1.17's noncentral t; the numbers of samples for d of 0.2, 0.5 and 0.8 are those in Cohen's
// tables and in G*Power: 199, 34 and 15.
func TestPower(t *testing.T) {
	for _, tt := range []struct {
		d    float64
		n    int
		want float64
	}{
		{0.5, 34, 0.8077775012792738}, {0.5, 33, 0.7953658414875041}, {0.8, 15, 0.8213105387241096},
		{0.2, 199, 0.8016910240370655}, {0.2, 198, 0.7996983729002213}, {1, 5, 0.40138991737179536},
		{2, 5, 0.9088848681009404}, {3, 3, 0.7452680070062837}, {10, 2, 0.7328195898057123}, {0.1, 30, 0.08272600819885276},
		{0, 7, 0.05},
	} {
		near(t, "power", Power(tt.d, tt.n), tt.want, 1e-8)
	}
}

// What more seeds likely show, and what as many do, against the power itself.
func TestMoreSeeds(t *testing.T) {
	for _, tt := range []struct {
		mean, s float64
		n, want int
	}{
		{0.5, 1, 5, 29}, {-0.5, 1, 5, 29}, {0.8, 1, 12, 3}, {0.8, 1, 14, 1}, {0.01, 1, 5, -1}, {0, 1, 5, -1},
	} {
		if got := moreSeeds(tt.mean, tt.s, tt.n); got != tt.want {
			t.Errorf("%+v: %d more seeds", tt, got)
		}
	}
}

// The effects of power 0.8 are those that scipy's nct and brentq find.
func TestDetectable(t *testing.T) {
	for _, tt := range []struct {
		n    int
		want float64
	}{{5, 1.6819969659555547}, {10, 0.9960013714554438}, {30, 0.529235615112928}} {
		near(t, "detectable", detectable(2, tt.n), 2*tt.want, 1e-6)
	}
	if got := Power(detectable(1, 2), 2); math.Abs(got-likely) > 1e-6 {
		t.Errorf("two seeds: the power is %v", got)
	}
	if e := PairedEffect([]float64{1, 1}, []float64{0, 0}); !math.IsNaN(float64(e.Detectable)) || e.Verdict != NoSignificantChange {
		t.Errorf("without spread: %+v", e)
	}
}
