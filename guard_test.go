package datadropout

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/influence"
)

// Ten samples of class 0, four of class 1, one of class 2.
func testGuard(share, agreement float64) *guard {
	return &guard{
		minClassShare: share, minSignAgreement: agreement, classes: 3,
		labels:    []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2},
		agreement: []float64{1, 1, 1, 0.8, 0.6, 1, 1, 1, 1, 1, 1, 0.6, 1, 1, 1},
	}
}

func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		name             string
		share, agreement float64
		signs            bool
		drop, want       []int
		guarded          Guarded
	}{
		{"within bounds", 0.5, 0.8, true, []int{3, 10}, []int{3, 10}, Guarded{}},
		{"half of class 1 stays", 0.5, 0, true, []int{13, 12, 11, 10}, []int{13, 12}, Guarded{2, 0, 2, []GuardedClass{{1, 0, 2}}}},
		{"a class of one sample keeps it", 0.01, 0, true, []int{14, 0}, []int{0}, Guarded{1, 0, 1, []GuardedClass{{2, 0, 1}}}},
		// 0.7 of 10 is 7, of 4 it is 2.8, so 3 stay.
		{"shares are rounded up", 0.7, 0, true, []int{0, 1, 2, 3, 10, 11}, []int{0, 1, 2, 10}, Guarded{2, 0, 2, []GuardedClass{{0, 0, 1}, {1, 0, 1}}}},
		{"no bound", 0, 0, true, []int{10, 11, 12, 13, 14}, []int{10, 11, 12, 13, 14}, Guarded{}},
		{"unstable signs", 0, 0.8, true, []int{4, 3, 11, 0}, []int{3, 0}, Guarded{2, 2, 0, []GuardedClass{{0, 1, 0}, {1, 1, 0}}}},
		{"all have to agree", 0, 1, true, []int{4, 3, 0}, []int{0}, Guarded{2, 2, 0, []GuardedClass{{0, 2, 0}}}},
		{"a rule that does not judge signs", 0.5, 0.8, false, []int{4, 3, 11, 0}, []int{4, 3, 11, 0}, Guarded{}},
		// What is unstable takes no room from what is dropped.
		{"both", 0.5, 0.8, true, []int{11, 12, 13, 10}, []int{12, 13}, Guarded{2, 1, 1, []GuardedClass{{1, 1, 1}}}},
	} {
		p, guarded := testGuard(tt.share, tt.agreement).apply(Proposal{"r", tt.drop}, tt.signs)
		if p.Rule != "r" || !slices.Equal(p.Drop, tt.want) || !reflect.DeepEqual(guarded, tt.guarded) {
			t.Errorf("%s: dropped %v, kept back %+v; want %v and %+v", tt.name, p.Drop, guarded, tt.want, tt.guarded)
		}
	}
	// Without anything to compare, and without classes.
	g := &guard{minClassShare: 0.5, minSignAgreement: 0.8}
	if p, guarded := g.apply(Proposal{Drop: []int{3, 1}}, true); len(p.Drop) != 2 || guarded.Count != 0 {
		t.Errorf("dropped %v, kept back %+v", p.Drop, guarded)
	}
}

// The control of the highest loss has the floor of the classes, and says when it finds too few.
func TestHighestLossIsGuarded(t *testing.T) {
	loss := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 21, 22, 23, 30}
	got, err := testGuard(0.5, 0.8).highestLoss(loss, 4)
	if want := []int{13, 12, 9, 8}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v (%v), want %v", got, err, want)
	}
	if got, err := testGuard(0, 0).highestLoss(loss, 4); err != nil || !slices.Equal(got, []int{14, 13, 12, 11}) {
		t.Errorf("unguarded: %v (%v)", got, err)
	}
	if _, err := testGuard(0.5, 0.8).highestLoss(loss, 8); err == nil {
		t.Error("eight were found, where the classes have room for seven")
	}
}

// Signs by hand. Sample 0 is below zero and the mean on all folds and both seeds; 1 on one fold of the mean over seeds and on one
// seed; 2 is below zero, but not below the mean of the third fold.
func TestSignAgreement(t *testing.T) {
	a := &influence.Scores{Delta: []float64{-6, -5, -4, 1}, Folds: [][]float64{{-3, 4, -2, 1}, {-5, 4, -4, 1}, {-9, -9, -2, 4}}}
	b := &influence.Scores{Delta: []float64{-6, 3, -4, 1}, Folds: [][]float64{{-3, 2, -2, 1}, {-5, 2, -4, 1}, {-9, -9, -2, 4}}}
	e := Combine([]*influence.Scores{a, b})
	// The folds have the means 0, -1 and -4; the seeds -3.5 and -1.5.
	for i, want := range []float64{1, 1. / 3, 2. / 3, 0} {
		if math.Abs(e.SignAgreement[i]-want) > 1e-12 {
			t.Errorf("sample %d: %v, want %v", i, e.SignAgreement[i], want)
		}
	}
	// Seeds alone: of the second sample one of two agrees.
	e = Combine([]*influence.Scores{{Delta: a.Delta}, {Delta: b.Delta}})
	if !slices.Equal(e.SignAgreement, []float64{1, 0.5, 1, 0}) {
		t.Errorf("over seeds alone: %v", e.SignAgreement)
	}
	if e := Combine([]*influence.Scores{{Delta: a.Delta}}); e.SignAgreement != nil {
		t.Errorf("one seed without folds: %v", e.SignAgreement)
	}
}

// A run never drops more than the guards allow, says what it kept back, and keeps its arms at equal counts.
func TestRunIsGuarded(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	run := func(edit func(c *Config)) *Outcome {
		t.Helper()
		c := DefaultConfig()
		c.Train, c.Score, c.Tune, c.Test = 300, 100, 100, 100
		c.Net, c.Recipe.Epochs, c.Seeds, c.Estimator = "softmax", 3, 2, "graddot"
		edit(&c)
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		data, err := LoadData(t.Context(), &c)
		if err != nil {
			t.Fatal(err)
		}
		o, err := Run(context.Background(), c, data, backend, NewMemoryStore(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	o := run(func(c *Config) { c.Rule, c.MinClassShare = "count:60", 0.9 })
	free := run(func(c *Config) { c.Rule, c.MinClassShare = "count:60", 0 })
	g := o.Result.Drop.Guarded
	if len(free.Dropped) != 60 || free.Result.Drop.Guarded.Count != 0 || g.Count == 0 || len(o.Dropped)+g.Count != 60 || g.UnstableSign != 0 {
		t.Errorf("dropped %d and kept back %+v; without guards %d", len(o.Dropped), g, len(free.Dropped))
	}
	labels := o.Data.Images.Labels
	all, gone := make([]int, len(o.Data.Images.Classes)), make([]int, len(o.Data.Images.Classes))
	for _, p := range o.Data.Split.Train {
		all[labels[p]]++
	}
	for _, p := range o.Dropped {
		gone[labels[p]]++
	}
	back := 0
	for l := range all {
		if float64(all[l]-gone[l]) < 0.9*float64(all[l]) {
			t.Errorf("class %d keeps %d of %d", l, all[l]-gone[l], all[l])
		}
	}
	for _, c := range g.Classes {
		back += c.ClassShare
		if left := all[c.Class] - gone[c.Class]; float64(left-1) >= 0.9*float64(all[c.Class]) {
			t.Errorf("class %d has room for one of the %d kept back: it keeps %d of %d", c.Class, c.ClassShare, left, all[c.Class])
		}
	}
	if back != g.Count {
		t.Errorf("the classes add up to %d of %d", back, g.Count)
	}
	if o.Result.Gap == nil || !math.IsNaN(float64(o.Result.Gap.PredictedScoreLoss)) {
		t.Errorf("the gap of an estimator that is a ranking: %+v", o.Result.Gap)
	}
	// Nothing that is unstable is dropped; with all folds to agree less is dropped than with none.
	strict := run(func(c *Config) { c.Rule, c.MinSignAgreement = "significant:0.3", 1 })
	loose := run(func(c *Config) { c.Rule, c.MinSignAgreement, c.MinClassShare = "significant:0.3", 0, 0 })
	for _, p := range strict.Dropped {
		if a := strict.Estimates.SignAgreement[slices.Index(strict.Data.Split.Train, p)]; a < 1-1e-9 {
			t.Errorf("sample %d is dropped with an agreement of %v", p, a)
		}
	}
	if g := strict.Result.Drop.Guarded; g.UnstableSign == 0 || len(strict.Dropped)+g.Count != len(loose.Dropped) {
		t.Errorf("dropped %d and kept back %+v, without guards %d", len(strict.Dropped), g, len(loose.Dropped))
	}
}

// Where the guards leave nothing to try, the result says how many they kept back.
func TestGuardsLeaveNothing(t *testing.T) {
	e := &Estimates{Delta: []float64{-1, -2, 3}, SignAgreement: []float64{0.5, 0.5, 0}}
	r := &runner{rule: Auto{}, guard: &guard{minSignAgreement: 0.8, agreement: e.SignAgreement}}
	found, err := r.rule.Propose(e)
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	if proposals, _ := r.guarded(found); len(proposals) != 0 {
		t.Errorf("left over: %+v", proposals)
	}
}

func TestValidateGuards(t *testing.T) {
	for _, tt := range []struct {
		share, agreement float64
		want             string
	}{
		{0, 0, ""}, {0.99, 1, ""},
		{1, 0.8, "minimum class share"}, {-0.1, 0.8, "minimum class share"}, {math.NaN(), 0.8, "minimum class share"},
		{0.5, 1.1, "minimum sign agreement"}, {0.5, -1, "minimum sign agreement"}, {0.5, math.NaN(), "minimum sign agreement"},
	} {
		c := DefaultConfig()
		c.MinClassShare, c.MinSignAgreement = tt.share, tt.agreement
		err := c.Validate()
		var usage *UsageError
		if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &usage) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("share %v, agreement %v: error %v", tt.share, tt.agreement, err)
		}
	}
}
