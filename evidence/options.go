package evidence

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/internal/nearest"
)

// The tests of a study.
const (
	LOO      = "loo"
	LDS      = "lds"
	Group    = "group"
	Mislabel = "mislabel"
)

// Tests lists the tests in the order that tables show them.
var Tests = []string{LOO, LDS, Group, Mislabel}

// Options says what a study measures. The zero value of a field means its default.
type Options struct {
	// Estimators names the estimators; nil means DefaultEstimators.
	Estimators []string `json:"estimators"`
	// Tests names the tests; nil means lds, group and, where labels are planted, mislabel.
	Tests []string `json:"tests"`
	// Fractions are the shares of the training samples, each in (0, 1), that lds and group drop; nil means DefaultFractions.
	Fractions []float64 `json:"fractions"`
	// Subsets is the number of random subsets at each fraction; 0 means DefaultSubsets.
	Subsets int `json:"subsets"`
	// Removal says how loo and lds remove samples: ByWeight or ByLeavingOut; empty means ByWeight.
	Removal string `json:"removal"`
	// RetrainSeeds is the number of seeds, from Config.Seed on, that every retraining is repeated with; 0 means 1. Changes
	// are against the full training of the same seed, and averaged over seeds.
	RetrainSeeds int `json:"retrain_seeds"`
	// InfluenceSeeds is the number of seeds, from Config.Seed on, whose full model is scored; the scores are averaged. 0
	// means 1.
	InfluenceSeeds int `json:"influence_seeds"`
	// LOOSamples is the number of groups that loo leaves out, one at a time; 0 means DefaultLOOSamples. LOOGroup is the
	// number of samples in each; 0 means 1. Groups share no sample.
	LOOSamples int `json:"loo_samples"`
	LOOGroup   int `json:"loo_group"`
	// PerPoint is the number of test samples, the first of the split, whose own losses lds predicts as well; 0 means none.
	PerPoint int `json:"per_point"`
	// Parallel is the number of retrainings at a time; 0 means one for every 4 processors, for a training alone keeps few
	// busy. No figure but the seconds depends on it.
	Parallel int `json:"-"`
}

// DefaultFractions are the shares dropped where Options.Fractions is nil.
var DefaultFractions = []float64{0.01, 0.05, 0.1, 0.5}

// Ways to remove samples.
//
// ByWeight gives them the weight 0: they keep their places in their batches, so that steps, batches and rates stay as they
// were. That is the change that a removal effect predicts, and what the literature on derivatives through training measures.
// ByLeavingOut trains on the rest, as round 2 does: batches shift, and there are fewer steps.
const (
	ByWeight     = "weight"
	ByLeavingOut = "leave-out"
)

// Defaults of Options.
const (
	DefaultSubsets    = 20
	DefaultLOOSamples = 50
)

// DefaultEstimators are measured where Options.Estimators is nil.
var DefaultEstimators = []string{"cg", "graddot", "loss", "random"}

// WithDefaults returns the options with their defaults, but for Parallel, in place of zero values; planted says whether labels are.
func (o Options) WithDefaults(planted bool) Options {
	if len(o.Estimators) == 0 {
		o.Estimators = DefaultEstimators
	}
	if len(o.Tests) == 0 {
		o.Tests = []string{LDS, Group}
		if planted {
			o.Tests = append(o.Tests, Mislabel)
		}
	}
	if len(o.Fractions) == 0 {
		o.Fractions = DefaultFractions
	}
	if o.Removal == "" {
		o.Removal = ByWeight
	}
	for _, d := range []struct {
		value *int
		or    int
	}{{&o.Subsets, DefaultSubsets}, {&o.RetrainSeeds, 1}, {&o.InfluenceSeeds, 1}, {&o.LOOSamples, DefaultLOOSamples}, {&o.LOOGroup, 1}} {
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	return o
}

// Validate reports the first option that is out of range or unknown. It reads no data; zero values pass.
func (o Options) Validate() error {
	for _, name := range o.Estimators {
		if !slices.Contains(influence.Names(), name) {
			return usagef("unknown estimator %q%s", name, nearest.Among(name, influence.Names()))
		}
	}
	for _, name := range o.Tests {
		if !slices.Contains(Tests, name) {
			return usagef("unknown test %q%s", name, nearest.Among(name, Tests))
		}
	}
	for _, f := range o.Fractions {
		if math.IsNaN(f) || f <= 0 || f >= 1 {
			return usagef("a fraction to drop must lie in (0, 1), got %v", f)
		}
	}
	for _, list := range []struct {
		what   string
		unique bool
	}{{"estimator", unique(o.Estimators)}, {"test", unique(o.Tests)}, {"fraction", unique(o.Fractions)}} {
		if !list.unique {
			return usagef("the same %s is asked for twice", list.what)
		}
	}
	if o.Removal != "" && o.Removal != ByWeight && o.Removal != ByLeavingOut {
		return usagef("unknown way to remove samples %q%s", o.Removal, nearest.Among(o.Removal, []string{ByWeight, ByLeavingOut}))
	}
	if o.Subsets != 0 && o.Subsets < 3 {
		return usagef("a correlation needs at least 3 subsets, got %d", o.Subsets)
	}
	if o.LOOSamples != 0 && o.LOOSamples < 3 {
		return usagef("a correlation needs at least 3 left-out samples, got %d", o.LOOSamples)
	}
	for _, number := range []struct {
		what  string
		value int
	}{{"seeds to retrain with", o.RetrainSeeds}, {"seeds to score", o.InfluenceSeeds}, {"samples of a left-out group", o.LOOGroup},
		{"test samples per point", o.PerPoint}, {"retrainings at a time", o.Parallel}} {
		if number.value < 0 {
			return usagef("the number of %s must not be negative, got %d", number.what, number.value)
		}
	}
	if o.PerPoint > 0 && len(o.Tests) > 0 && !slices.Contains(o.Tests, LDS) {
		return usagef("scores per test point are part of the test %s, which is not among %s", LDS, strings.Join(o.Tests, ", "))
	}
	return nil
}

// fits says whether the data allow what the options, with their defaults, ask for.
func (o Options) fits(d *datadropout.Data) error {
	n := len(d.Split.Train)
	switch {
	case n < 3:
		return usagef("%d training samples are too few to leave some out", n)
	case slices.Contains(o.Tests, LOO) && o.LOOSamples*o.LOOGroup >= n:
		return usagef("%d groups of %d left-out samples, none in two, need more than the %d training samples", o.LOOSamples, o.LOOGroup, n)
	case o.PerPoint > len(d.Split.Test):
		return usagef("%d test points are more than the %d test samples", o.PerPoint, len(d.Split.Test))
	case slices.Contains(o.Tests, Mislabel) && d.Planted(d.Split.Train) == 0:
		return &datadropout.UsageError{Err: errors.New("the test mislabel looks for planted labels, and none are: ask for label noise")}
	}
	return nil
}

func unique[T comparable](v []T) bool {
	seen := map[T]bool{}
	for _, x := range v {
		if seen[x] {
			return false
		}
		seen[x] = true
	}
	return true
}

func usagef(format string, args ...any) error {
	return &datadropout.UsageError{Err: fmt.Errorf(format, args...)}
}
