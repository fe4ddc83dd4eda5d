package datadropout

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/datadropout/datadropout/internal/nearest"
)

// Rule decides which training samples to drop, given their removal effects.
//
// A fixed rule answers from the removal effects alone. An adaptive one, [Auto], needs trainings on the reduced data to
// choose among what it proposes.
type Rule interface {
	// String returns the rule as [ParseRule] reads it.
	String() string
	// Propose returns what the rule would drop: one proposal for a fixed rule, several or none for an adaptive one.
	// A rule that needs standard errors where there are none is an error.
	Propose(e *Estimates) ([]Proposal, error)
	// Adaptive says that one of the proposals is to be chosen, or none, on the tune split.
	Adaptive() bool
}

// Proposal is a set of samples to drop, by the fixed rule of the name: positions in the training split, the most harmful
// first.
type Proposal struct {
	Rule string
	Drop []int
}

// Rules lists the forms that [ParseRule] reads.
const Rules = "auto, auto:F,F,..., unfavorable, significant:Q, shrunk, count:N, fraction:F"

// ParseRule reads "auto", "auto:F,F,..." with ascending shares (0 < F < 1), "unfavorable", "significant:Q" (0 < Q < 1), "shrunk", "count:N" (N >= 1) or "fraction:F"
// (0 < F < 1).
func ParseRule(s string) (Rule, error) {
	name, value, hasValue := strings.Cut(s, ":")
	share := func(what string) (float64, error) {
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !(f > 0 && f < 1) {
			return 0, usagef("rule %q: the %s must lie between 0 and 1", s, what)
		}
		return f, nil
	}
	switch {
	case name == "auto" && !hasValue:
		return Auto{}, nil
	case name == "auto" && hasValue:
		return parseAuto(s, value)
	case name == "unfavorable" && !hasValue:
		return Unfavorable{}, nil
	case name == "shrunk" && !hasValue:
		return Shrunk{}, nil
	case name == "significant" && hasValue:
		q, err := share("false discovery rate")
		return Significant(q), err
	case name == "count" && hasValue:
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return nil, usagef("rule %q: the count must be a whole number of at least 1", s)
		}
		return Count(n), nil
	case name == "fraction" && hasValue:
		f, err := share("fraction")
		return Fraction(f), err
	}
	return nil, usagef("unknown rule %q%s", s, nearest.Among(s, strings.Split(Rules, ", ")))
}

func parseAuto(s, list string) (Rule, error) {
	var a Auto
	for _, text := range strings.Split(list, ",") {
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !(f > 0 && f < 1) || len(a.Fractions) > 0 && f <= a.Fractions[len(a.Fractions)-1] {
			return nil, usagef("rule %q: the shares to try must ascend and lie between 0 and 1", s)
		}
		a.Fractions = append(a.Fractions, f)
	}
	return a, nil
}

// mostHarmful proposes the n samples of the most negative removal effects, at most all but one.
func mostHarmful(rule string, e *Estimates, n int) []Proposal {
	return []Proposal{{rule, MostHarmful(e.Delta)[:max(0, min(n, len(e.Delta)-1))]}}
}

// Unfavorable is the paper's rule: drop every sample with phi > 0, that is with a removal effect below zero
// (Wang et al. 2018, algorithm 1).
type Unfavorable struct{}

func (Unfavorable) String() string { return "unfavorable" }
func (Unfavorable) Adaptive() bool { return false }

// Propose implements Rule.
func (u Unfavorable) Propose(e *Estimates) ([]Proposal, error) {
	return []Proposal{{u.String(), MostHarmful(e.Delta)[:unfavorable(e.Delta)]}}, nil
}

// Count drops the N samples of the most negative removal effects, whatever their sign.
type Count int

func (c Count) String() string { return "count:" + strconv.Itoa(int(c)) }
func (Count) Adaptive() bool   { return false }

// Propose implements Rule: N samples, at most one less than there are.
func (c Count) Propose(e *Estimates) ([]Proposal, error) {
	return mostHarmful(c.String(), e, int(c)), nil
}

// Fraction drops the share F of the samples that has the most negative removal effects, whatever their sign.
type Fraction float64

func (f Fraction) String() string { return "fraction:" + strconv.FormatFloat(float64(f), 'g', -1, 64) }
func (Fraction) Adaptive() bool   { return false }

// Propose implements Rule: F times the number of samples, rounded to the nearest whole number.
func (f Fraction) Propose(e *Estimates) ([]Proposal, error) {
	return mostHarmful(f.String(), e, int(math.Round(float64(f)*float64(len(e.Delta))))), nil
}

// Significant drops the samples whose removal effect is below the mean of all, see [Estimates].Mean, and below zero, by more
// than the folds of the score split, and the seeds, differ: one-sided t tests, with the false discovery rate held at Q
// (Benjamini and Hochberg, JRSS B 1995). The least p value comes first.
type Significant float64

func (q Significant) String() string {
	return "significant:" + strconv.FormatFloat(float64(q), 'g', -1, 64)
}
func (Significant) Adaptive() bool { return false }

// Propose implements Rule.
func (q Significant) Propose(e *Estimates) ([]Proposal, error) {
	p := e.PValues()
	if p == nil {
		return nil, errNoStandardErrors(q)
	}
	order := MostHarmful(e.Delta)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	n := 0
	for k, i := range order {
		if p[i] <= float64(q)*float64(k+1)/float64(len(p)) {
			n = k + 1
		}
	}
	return []Proposal{{q.String(), e.unfavorable(order[:min(n, len(p)-1)])}}, nil
}

// Shrunk drops the samples whose removal effect is below zero, and still below the mean of all by two standard deviations after
// it has been drawn towards that mean, as far as it is noise; see [Estimates.Shrunk]. The lowest posterior mean comes first.
type Shrunk struct{}

func (Shrunk) String() string { return "shrunk" }
func (Shrunk) Adaptive() bool { return false }

// Propose implements Rule.
func (r Shrunk) Propose(e *Estimates) ([]Proposal, error) {
	mean, deviation := e.Shrunk()
	if mean == nil {
		return nil, errNoStandardErrors(r)
	}
	order := slices.DeleteFunc(MostHarmful(mean), func(i int) bool { return mean[i]+shrunkMargin*deviation[i] >= 0 })
	return []Proposal{{r.String(), e.unfavorable(order[:min(len(order), len(mean)-1)])}}, nil
}

// shrunkMargin is how many posterior standard deviations the rule shrunk keeps away from the mean.
const shrunkMargin = 2

// unfavorable keeps those of the samples whose removal effect is below zero.
func (e *Estimates) unfavorable(samples []int) []int {
	return slices.DeleteFunc(slices.Clone(samples), func(i int) bool { return e.Delta[i] >= 0 })
}

func errNoStandardErrors(r Rule) error {
	return usagef("the rule %s needs standard errors: an estimator with the score split for its target, and --score-folds or --influence-seeds above 1", r)
}

// Auto proposes several amounts, never more than there are unfavorable samples, and where there are standard errors what the
// rules significant and shrunk drop. Each is tried by training once on the reduced data; the tune split decides, and may
// decide for dropping nothing. See [qualified] for the decision.
type Auto struct {
	// Fractions are the shares of the training set that are tried; nil means [AutoFractions].
	Fractions []float64
}

// AutoFractions are the shares of the training set that Auto tries unless it is told others. Mislabeled shares met in practice lie between a
// few and some tens of percent, so the steps grow.
var AutoFractions = []float64{0.02, 0.05, 0.1, 0.2, 0.3}

// autoDiscovery is the false discovery rate of the rule significant that Auto tries.
const autoDiscovery = 0.1

// String implements Rule.
func (a Auto) String() string {
	if a.Fractions == nil {
		return "auto"
	}
	text := make([]string, len(a.Fractions))
	for k, f := range a.Fractions {
		text[k] = strconv.FormatFloat(f, 'g', -1, 64)
	}
	return "auto:" + strings.Join(text, ",")
}

func (Auto) Adaptive() bool { return true }

// Propose implements Rule: its shares, cut at the number of unfavorable samples, significant and shrunk,
// without empty ones and repeats, the smallest first.
func (a Auto) Propose(e *Estimates) ([]Proposal, error) {
	limit := unfavorable(e.Delta)
	var all []Proposal
	add := func(list []Proposal, err error) error {
		if err != nil {
			return err
		}
		if p := list[0]; len(p.Drop) > 0 && !slices.ContainsFunc(all, func(q Proposal) bool { return sameSet(p.Drop, q.Drop) }) {
			all = append(all, p)
		}
		return nil
	}
	fractions := a.Fractions
	if fractions == nil {
		fractions = AutoFractions
	}
	for _, f := range fractions {
		list, err := Fraction(f).Propose(e)
		if n := min(limit, len(list[0].Drop)); n < len(list[0].Drop) {
			list = mostHarmful(Unfavorable{}.String(), e, n)
		}
		if err := add(list, err); err != nil {
			return nil, err
		}
	}
	if e.StandardError != nil {
		for _, r := range []Rule{Significant(autoDiscovery), Shrunk{}} {
			if err := add(r.Propose(e)); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Proposal) int { return cmp.Compare(len(a.Drop), len(b.Drop)) })
	return all, nil
}

func sameSet(a, b []int) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
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
