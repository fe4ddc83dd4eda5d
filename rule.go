package datadropout

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Rule decides which training samples to drop, given their removal effects.
//
// A fixed rule answers from the removal effects alone. An adaptive one, [Auto], needs trainings on the reduced data to
// choose among the amounts it proposes.
type Rule interface {
	// String returns the rule as [ParseRule] reads it.
	String() string
	// Amounts returns the numbers of samples to drop, in ascending order, that the rule proposes for the removal
	// effects delta: one number for a fixed rule, several for an adaptive one. A number may be 0.
	Amounts(delta []float64) []int
	// Adaptive says that the amount is to be chosen among Amounts, or none, on the tune split.
	Adaptive() bool
}

// Rules lists the forms that [ParseRule] reads.
const Rules = "auto, unfavorable, count:N, fraction:F"

// ParseRule reads "auto", "unfavorable", "count:N" (N >= 1) or "fraction:F" (0 < F < 1).
func ParseRule(s string) (Rule, error) {
	name, value, hasValue := strings.Cut(s, ":")
	switch {
	case name == "auto" && !hasValue:
		return Auto{}, nil
	case name == "unfavorable" && !hasValue:
		return Unfavorable{}, nil
	case name == "count" && hasValue:
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return nil, usagef("rule %q: the count must be a whole number of at least 1", s)
		}
		return Count(n), nil
	case name == "fraction" && hasValue:
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !(f > 0 && f < 1) {
			return nil, usagef("rule %q: the fraction must lie between 0 and 1", s)
		}
		return Fraction(f), nil
	}
	return nil, usagef("unknown rule %q; known: %s", s, Rules)
}

// Unfavorable is the paper's rule: drop every sample with phi > 0, that is with a removal effect below zero
// (Wang et al. 2018, algorithm 1).
type Unfavorable struct{}

func (Unfavorable) String() string { return "unfavorable" }
func (Unfavorable) Adaptive() bool { return false }

// Amounts returns the number of removal effects below zero.
func (Unfavorable) Amounts(delta []float64) []int { return []int{unfavorable(delta)} }

// Count drops the N samples of the most negative removal effects, whatever their sign.
type Count int

func (c Count) String() string { return "count:" + strconv.Itoa(int(c)) }
func (Count) Adaptive() bool   { return false }

// Amounts returns N, at most one less than the number of samples.
func (c Count) Amounts(delta []float64) []int { return []int{max(0, min(int(c), len(delta)-1))} }

// Fraction drops the share F of the samples that has the most negative removal effects, whatever their sign.
type Fraction float64

func (f Fraction) String() string { return "fraction:" + strconv.FormatFloat(float64(f), 'g', -1, 64) }
func (Fraction) Adaptive() bool   { return false }

// Amounts returns F times the number of samples, rounded to the nearest whole number.
func (f Fraction) Amounts(delta []float64) []int {
	return []int{max(0, min(int(math.Round(float64(f)*float64(len(delta)))), len(delta)-1))}
}

// Auto proposes several amounts, never more than there are unfavorable samples. Each is tried by training once on the
// reduced data; the tune split decides, and may decide for dropping nothing. See [chooseAmount] for the decision.
type Auto struct{}

// autoFractions are the shares of the training set that Auto tries. Mislabeled shares met in practice lie between a
// few and some tens of percent, so the steps grow.
var autoFractions = []float64{0.02, 0.05, 0.1, 0.2, 0.3}

func (Auto) String() string { return "auto" }
func (Auto) Adaptive() bool { return true }

// Amounts returns the shares of autoFractions in samples, cut at the number of unfavorable samples, without repeats.
func (Auto) Amounts(delta []float64) []int {
	limit := unfavorable(delta)
	var amounts []int
	for _, f := range autoFractions {
		n := min(int(math.Round(f*float64(len(delta)))), limit, len(delta)-1)
		if n > 0 && !slices.Contains(amounts, n) {
			amounts = append(amounts, n)
		}
	}
	return amounts
}

func unfavorable(delta []float64) int {
	n := 0
	for _, d := range delta {
		if d < 0 {
			n++
		}
	}
	return n
}

// MostHarmful returns the positions 0..len(delta)-1 ordered by removal effect, the most negative first. Ties keep the
// order of positions.
func MostHarmful(delta []float64) []int {
	order := make([]int, len(delta))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(delta[a], delta[b]) })
	return order
}
