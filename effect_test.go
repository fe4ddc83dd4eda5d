package datadropout

import (
	"encoding/json"
	"math"
	"testing"
)

// The expected intervals are Student's t quantiles from tables: t(0.975; 2) = 4.302653, t(0.975; 4) = 2.776445.
func TestPairedEffect(t *testing.T) {
	tests := []struct {
		name       string
		a, b       []float64
		difference float64
		half       float64
		p          float64
		verdict    string
		moreSeeds  int
	}{
		{
			name: "three seeds, clear gain", a: []float64{0.83, 0.84, 0.85}, b: []float64{0.80, 0.80, 0.80},
			difference: 0.04, half: 4.302653 * 0.01 / math.Sqrt(3), p: 0.0202, verdict: Improved,
		},
		{
			name: "three seeds, clear loss", a: []float64{0.80, 0.80, 0.80}, b: []float64{0.83, 0.84, 0.85},
			difference: -0.04, half: 4.302653 * 0.01 / math.Sqrt(3), p: 0.0202, verdict: Worse,
		},
		{
			name: "five seeds, undecided", a: []float64{0.81, 0.79, 0.82, 0.80, 0.83}, b: []float64{0.80, 0.80, 0.80, 0.80, 0.80},
			// mean 0.01, s 0.0158114, t = 1.41421, two-sided p with 4 degrees of freedom 0.2302
			difference: 0.01, half: 2.776445 * 0.0158114 / math.Sqrt(5), p: 0.2302, verdict: NoSignificantChange,
			// The effect is 0.632456 deviations: the power of 21 seeds is 0.787227, of 22 seeds 0.807455 (scipy's nct).
			moreSeeds: 17,
		},
		{
			name: "no change at all", a: []float64{0.8, 0.8, 0.8}, b: []float64{0.8, 0.8, 0.8},
			p: 1, verdict: NoSignificantChange, moreSeeds: -1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := PairedEffect(tt.a, tt.b)
			near(t, "difference", e.Difference, tt.difference, 1e-12)
			near(t, "low", float64(e.CI95[0]), tt.difference-tt.half, 1e-6)
			near(t, "high", float64(e.CI95[1]), tt.difference+tt.half, 1e-6)
			near(t, "p", float64(e.P), tt.p, 1e-4)
			if e.Verdict != tt.verdict {
				t.Errorf("verdict %q, want %q", e.Verdict, tt.verdict)
			}
			if e.MoreSeeds != tt.moreSeeds {
				t.Errorf("%d more seeds, want %d", e.MoreSeeds, tt.moreSeeds)
			}
		})
	}
}

// Equal differences are no proof: with three seeds and a metric in steps they come by chance.
func TestPairedEffectOfTiedSeedsHasNoInterval(t *testing.T) {
	for _, tt := range [][2][]float64{
		{{0.86, 0.84}, {0.85, 0.83}},
		{{0.8601, 0.8401, 0.8201}, {0.86, 0.84, 0.82}},
		{{0.7, 0.7}, {0.8, 0.8}},
	} {
		e := PairedEffect(tt[0], tt[1])
		if e.Verdict != NoSignificantChange || e.MoreSeeds != -1 || e.Difference == 0 {
			t.Errorf("%v: %+v", tt, e)
		}
		c := newChange(minus(tt[0], tt[1]))
		for _, v := range []Number{e.CI95[0], e.CI95[1], e.P, e.Detectable, c.CI95[0], c.CI95[1], c.P} {
			if !math.IsNaN(float64(v)) {
				t.Errorf("%v: %+v, %+v", tt, e, c)
				break
			}
		}
	}
}

func TestPairedEffectOfOneSeedHasNoInterval(t *testing.T) {
	e := PairedEffect([]float64{0.9}, []float64{0.8})
	if e.Verdict != NoSignificantChange {
		t.Errorf("one seed gave the verdict %q", e.Verdict)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		CI95 []*float64 `json:"ci95"`
		P    *float64   `json:"p_value"`
	}
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.CI95) != 2 || back.CI95[0] != nil || back.P != nil {
		t.Errorf("JSON of an absent interval is %s, want null values", raw)
	}
	var again Effect
	if err := json.Unmarshal(raw, &again); err != nil || !math.IsNaN(float64(again.P)) {
		t.Errorf("reading %s back: p = %v, error %v", raw, again.P, err)
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %v, want %v within %v", what, got, want, tolerance)
	}
}
