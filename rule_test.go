package datadropout

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseRule(t *testing.T) {
	for _, s := range []string{"auto", "unfavorable", "count:7", "fraction:0.25"} {
		r, err := ParseRule(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if r.String() != s {
			t.Errorf("%s reads back as %s", s, r)
		}
	}
	for _, s := range []string{"", "auto:1", "count", "count:0", "count:-1", "count:x", "fraction:0", "fraction:1", "fraction:NaN", "fraction:", "worst"} {
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

func TestRuleAmounts(t *testing.T) {
	delta := make([]float64, 100) // 15 unfavorable, one exactly zero, 84 favorable
	for i := range delta {
		delta[i] = float64(i - 15)
	}
	tests := []struct {
		rule string
		want []int
	}{
		{"unfavorable", []int{15}},
		{"count:7", []int{7}},
		{"count:1000", []int{99}},
		{"fraction:0.25", []int{25}},
		{"fraction:0.999", []int{99}},
		{"auto", []int{2, 5, 10, 15}},
	}
	for _, tt := range tests {
		r, err := ParseRule(tt.rule)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Amounts(delta); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.rule, got, tt.want)
		}
	}
	if got := (Auto{}).Amounts([]float64{1, 2, 3}); len(got) != 0 {
		t.Errorf("auto proposes %v where no sample is unfavorable", got)
	}
}

func TestMostHarmfulPutsNegativeFirst(t *testing.T) {
	got := MostHarmful([]float64{0.5, -1, 0, -2, -1})
	if want := []int{3, 1, 4, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v: the most negative first, ties in order", got, want)
	}
}

func TestChooseAmount(t *testing.T) {
	full := Amount{Loss: 1, Metric: 0.80}
	better := Amount{Count: 10, Loss: 0.9, Metric: 0.82, LossChange: -0.1, StandardError: 0.01}
	best := Amount{Count: 20, Loss: 0.8, Metric: 0.83, LossChange: -0.2, StandardError: 0.01}
	chance := Amount{Count: 20, Loss: 0.8, Metric: 0.83, LossChange: -0.2, StandardError: 0.15}
	lowerMetric := Amount{Count: 30, Loss: 0.7, Metric: 0.79, LossChange: -0.3, StandardError: 0.01}
	worse := Amount{Count: 30, Loss: 1.1, Metric: 0.85, LossChange: 0.1, StandardError: 0.01}
	tests := []struct {
		name  string
		tried []Amount
		want  int
	}{
		{"only the full arm", []Amount{full}, 0},
		{"the lowest loss wins", []Amount{full, better, best}, 2},
		{"a gain within chance does not count", []Amount{full, chance}, 0},
		{"a gain within chance loses to a sure one", []Amount{full, better, chance}, 1},
		{"a lower metric does not qualify", []Amount{full, lowerMetric}, 0},
		{"a higher loss does not qualify", []Amount{full, worse}, 0},
	}
	for _, tt := range tests {
		if got := chooseAmount(tt.tried); got != tt.want {
			t.Errorf("%s: chose %d, want %d", tt.name, got, tt.want)
		}
	}
}

// With five amounts the level is shared: 1.9 standard errors suffice for one amount and not for five.
func TestChooseAmountSharesTheLevel(t *testing.T) {
	a := Amount{Count: 1, Loss: 0.981, Metric: 0.8, LossChange: -0.019, StandardError: 0.01}
	full := Amount{Loss: 1, Metric: 0.8}
	if chooseAmount([]Amount{full, a}) != 1 {
		t.Error("1.9 standard errors were not enough for one amount")
	}
	if got := chooseAmount([]Amount{full, a, a, a, a, a}); got != 0 {
		t.Errorf("1.9 standard errors were enough for five amounts: chose %d", got)
	}
}
