package datadropout

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestParseRule(t *testing.T) {
	for _, s := range []string{"auto", "auto:0.05,0.2", "unfavorable", "significant:0.1", "shrunk", "count:7", "fraction:0.25"} {
		r, err := ParseRule(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if r.String() != s {
			t.Errorf("%s reads back as %s", s, r)
		}
	}
	for _, s := range []string{"", "auto:1", "auto:", "auto:0.2,0.1", "auto:0.1,", "count", "count:0", "count:-1", "count:x", "fraction:0", "fraction:1", "fraction:NaN", "fraction:", "significant:2", "significant", "shrunk:1", "worst"} {
		_, err := ParseRule(s)
		var usage *UsageError
		if !errors.As(err, &usage) {
			t.Errorf("%q: error %v, want a usage error", s, err)
		}
	}
	if _, err := ParseRule("worst"); !strings.Contains(err.Error(), "fraction:F") {
		t.Errorf("the error for an unknown rule does not list the known ones: %v", err)
	}
}

// counts are the sizes of what a rule proposes.
func counts(t *testing.T, r Rule, e *Estimates) (n []int) {
	t.Helper()
	list, err := r.Propose(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		n = append(n, len(p.Drop))
	}
	return n
}

func TestRulePropose(t *testing.T) {
	delta := make([]float64, 100) // 15 unfavorable, one exactly zero, 84 favorable
	errs := make([]float64, 100)
	for i := range delta {
		delta[i] = float64(i - 15)
		errs[i] = 4
	}
	plain := &Estimates{Delta: delta}
	sure := &Estimates{Delta: delta, StandardError: errs, DegreesOfFreedom: math.Inf(1)}
	tests := []struct {
		rule string
		e    *Estimates
		want []int
	}{
		{"unfavorable", plain, []int{15}},
		{"count:7", plain, []int{7}},
		{"count:1000", plain, []int{99}},
		{"fraction:0.25", plain, []int{25}},
		{"fraction:0.999", plain, []int{99}},
		{"auto", plain, []int{2, 5, 10, 15}},
		// By hand: at -15+k the p value is Phi((k-15)/4), and k+1 of 100 at a rate of 0.1 have to lie below 0.001 (k+1).
		// Phi(-11/4) = 0.0030 <= 0.005 for k = 4; Phi(-10/4) = 0.0062 > 0.006 for k = 5, and so on.
		{"significant:0.1", sure, []int{5}},
		// The prior has the variance 841.7 - 16, so that zero draws by 16/841.7, and the posterior has a standard deviation of
		// 3.96: 0.981 x + 7.92 < 0 for x below -8.07.
		{"shrunk", sure, []int{7}},
		{"auto", sure, []int{2, 5, 7, 10, 15}},
	}
	for _, tt := range tests {
		r, err := ParseRule(tt.rule)
		if err != nil {
			t.Fatal(err)
		}
		if got := counts(t, r, tt.e); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.rule, got, tt.want)
		}
	}
	if got := counts(t, Auto{}, &Estimates{Delta: []float64{1, 2, 3}}); len(got) != 0 {
		t.Errorf("auto proposes %v where no sample is unfavorable", got)
	}
	for _, r := range []Rule{Significant(0.1), Shrunk{}} {
		var usage *UsageError
		if _, err := r.Propose(plain); !errors.As(err, &usage) {
			t.Errorf("%s without standard errors: %v, want a usage error", r, err)
		}
	}
}

// A sample with a small effect that is sure goes before one with a large effect that is not.
func TestSignificantDropsTheSure(t *testing.T) {
	e := &Estimates{Delta: []float64{-9, -1, 5, 5}, StandardError: []float64{9, 0.1, 1, 1}, DegreesOfFreedom: 20}
	list, err := Significant(0.05).Propose(e)
	if err != nil || !slices.Equal(list[0].Drop, []int{1}) {
		t.Errorf("dropped %v (%v), want the sure sample 1 alone", list, err)
	}
}

func TestMostHarmfulPutsNegativeFirst(t *testing.T) {
	got := MostHarmful([]float64{0.5, -1, 0, -2, -1})
	if want := []int{3, 1, 4, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v: the most negative first, ties in order", got, want)
	}
}

func TestQualified(t *testing.T) {
	full := Amount{Loss: 1, Metric: 0.80}
	better := Amount{Count: 10, Loss: 0.9, Metric: 0.82, LossChange: -0.1, StandardError: 0.01}
	best := Amount{Count: 20, Loss: 0.8, Metric: 0.83, LossChange: -0.2, StandardError: 0.01}
	chance := Amount{Count: 20, Loss: 0.8, Metric: 0.83, LossChange: -0.2, StandardError: 0.15}
	lowerMetric := Amount{Count: 30, Loss: 0.7, Metric: 0.79, LossChange: -0.3, StandardError: 0.01}
	worse := Amount{Count: 30, Loss: 1.1, Metric: 0.85, LossChange: 0.1, StandardError: 0.01}
	tests := []struct {
		name  string
		tried []Amount
		want  []int
	}{
		{"only the full arm", []Amount{full}, nil},
		{"the lowest loss first", []Amount{full, better, best}, []int{2, 1}},
		{"a gain within chance does not count", []Amount{full, chance}, nil},
		{"a gain within chance loses to a sure one", []Amount{full, better, chance}, []int{1}},
		{"a lower metric does not qualify", []Amount{full, lowerMetric}, nil},
		{"a higher loss does not qualify", []Amount{full, worse}, nil},
	}
	for _, tt := range tests {
		testAmounts(tt.tried)
		if got := qualified(tt.tried); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// With five amounts the level is shared: 1.9 standard errors suffice for one amount and not for five.
func TestQualifiedSharesTheLevel(t *testing.T) {
	a := Amount{Count: 1, Loss: 0.981, Metric: 0.8, LossChange: -0.019, StandardError: 0.01}
	full := Amount{Loss: 1, Metric: 0.8}
	one, five := []Amount{full, a}, []Amount{full, a, a, a, a, a}
	testAmounts(one)
	testAmounts(five)
	if len(qualified(one)) != 1 {
		t.Error("1.9 standard errors were not enough for one amount")
	}
	if got := qualified(five); len(got) != 0 {
		t.Errorf("1.9 standard errors were enough for five amounts: %v", got)
	}
	// Phi(-1.9) = 0.028717, five times that is 0.143583.
	near(t, "p value", float64(*five[3].P), 0.028717, 1e-6)
	near(t, "corrected", float64(*five[3].PHolm), 0.143583, 1e-5)
}

// A rule that needs standard errors is refused before anything is trained where there will be none.
func TestValidateWantsStandardErrors(t *testing.T) {
	for _, tt := range []struct {
		estimator, rule string
		folds, seeds    int
		ok              bool
	}{
		{"cg", "shrunk", 5, 1, true}, {"cg", "significant:0.1", 1, 1, false}, {"cg", "shrunk", 1, 2, true},
		{"aum", "shrunk", 5, 1, false}, {"aum", "significant:0.1", 5, 3, true}, {"aum", "auto", 5, 1, true},
	} {
		c := DefaultConfig()
		c.Estimator, c.Rule, c.ScoreFolds, c.InfluenceSeeds = tt.estimator, tt.rule, tt.folds, tt.seeds
		if err := c.Validate(); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
