package datadropout

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/train"
)

func evaluationOf(losses ...float32) *train.Evaluation {
	e := &train.Evaluation{SampleLoss: losses}
	for _, l := range losses {
		e.Loss += float64(l) / float64(len(losses))
	}
	return e
}

func TestConfirmed(t *testing.T) {
	for _, tt := range []struct {
		name string
		a    Amount
		want bool
	}{
		{"a sure gain", Amount{LossChange: -0.1, StandardError: 0.05, MetricChange: 0.01}, true},
		{"a gain within chance", Amount{LossChange: -0.1, StandardError: 0.07, MetricChange: 0.01}, false},
		{"few degrees of freedom", Amount{LossChange: -0.1, StandardError: 0.05, MetricChange: 0.01, df: 1.5}, false},
		{"a lower metric", Amount{LossChange: -0.1, StandardError: 0.01, MetricChange: -0.01}, false},
	} {
		if got := tt.a.confirmed(); got != tt.want {
			t.Errorf("%s: confirmed is %v", tt.name, got)
		}
	}
}

// Seeds that disagree widen the standard error of the change, and take its degrees of freedom.
func TestPairedChange(t *testing.T) {
	before := evaluationOf(1, 1, 1, 1)
	c := pairedChange([]*train.Evaluation{evaluationOf(0.5, 1, 0.5, 1)}, []*train.Evaluation{before}, nil)
	// The differences -1/2, 0, -1/2, 0 have the variance 1/12, over 4 samples 1/48.
	if c.mean != -0.25 || math.Abs(c.stdErr-math.Sqrt(1./48)) > 1e-12 || c.df != 0 {
		t.Errorf("one seed: %+v", c)
	}
	c = pairedChange([]*train.Evaluation{evaluationOf(0.5, 1, 0.5, 1), evaluationOf(1, 0.5, 1, 0.5), evaluationOf(1, 1, 1, 1)},
		[]*train.Evaluation{before, before, before}, nil)
	// Every sample's mean is -1/6, which leaves no variance over samples; the seeds have -1/4, -1/4 and 0, with the variance 1/48,
	// over 3 seeds 1/144, and 2 degrees of freedom.
	if math.Abs(c.mean+1./6) > 1e-7 || math.Abs(c.stdErr-1./12) > 1e-7 || math.Abs(c.df-2) > 1e-7 {
		t.Errorf("three seeds: %+v", c)
	}
	c = pairedChange([]*train.Evaluation{evaluationOf(0, 1, 1, 1), evaluationOf(1, 1, 1, 1)}, []*train.Evaluation{before, before}, nil)
	// Samples: -1/2, 0, 0, 0 with the variance 1/16, over 4 samples 1/64, and 3 degrees of freedom; seeds: -1/4 and 0, with the
	// variance 1/32, over 2 seeds 1/64, and 1. (1/32)^2 / (1/64^2/3 + 1/64^2) = 3.
	if c.mean != -0.125 || math.Abs(c.stdErr-math.Sqrt(1./32)) > 1e-12 || math.Abs(c.df-3) > 1e-12 {
		t.Errorf("two seeds: %+v", c)
	}
}

// The standard error of samples in groups.
func TestPairedChangeOfGroups(t *testing.T) {
	before := evaluationOf(1, 1, 1, 1, 1, 1)
	losses := []float32{0.5, 0.75, 1, 1.25, 0.25, 1}
	one := func(group []int, losses ...float32) change {
		return pairedChange([]*train.Evaluation{evaluationOf(losses...)}, []*train.Evaluation{before}, group)
	}
	// Groups of one sample each are independent samples.
	free, single := one(nil, losses...), one([]int{5, 4, 3, 2, 1, 0}, losses...)
	if math.Abs(free.stdErr-single.stdErr) > 1e-12 || free.mean != single.mean || single.df != 5 {
		t.Errorf("groups of one: %+v, samples: %+v", single, free)
	}
	// The same value twice in every group is three independent samples, not six: -1/2, 0, -1/4 with the variance 1/16, over 3.
	if c := one([]int{7, 7, 8, 8, 9, 9}, 0.5, 0.5, 1, 1, 0.75, 0.75); math.Abs(c.stdErr-math.Sqrt(1./48)) > 1e-12 || c.df != 2 {
		t.Errorf("copies: %+v", c)
	}
	// Groups of 1, 2 and 3 samples, by the formula.
	losses = []float32{0.5, 0.75, 1, 1.25, 0.25, 1}
	mean := (-0.5 - 0.25 + 0 + 0.25 - 0.75 + 0) / 6
	sums := []float64{-0.5 - mean, -0.25 + 0 - 2*mean, 0.25 - 0.75 + 0 - 3*mean}
	want := 0.0
	for _, s := range sums {
		want += s * s * 3 / 2 / 36
	}
	if c := one([]int{0, 1, 1, 2, 2, 2}, losses...); math.Abs(c.stdErr-math.Sqrt(want)) > 1e-12 {
		t.Errorf("unequal groups: %+v, want %v", c, math.Sqrt(want))
	}
	// One image tells nothing, however sure its patches are.
	c := one([]int{3, 3, 3, 3, 3, 3}, 0.5, 0.5, 0.5, 0.5, 0.5, 0.4)
	if p := pBelow(c.mean, c.stdErr, c.df); p != 1 || c.stdErr != 0 {
		t.Errorf("one group: %+v with the p value %v", c, p)
	}
}

// Where patches of an image share its luck the test of the change holds its level, which it doesn't of patches taken for
// independent ones.
func TestPairedChangeOfGroupsHoldsTheLevel(t *testing.T) {
	const runs, images, patches = 2000, 12, 16
	rng := rand.New(rand.NewPCG(3, 4))
	group := make([]int, images*patches)
	before := evaluationOf(make([]float32, len(group))...)
	grouped, free := 0, 0
	for range runs {
		losses := make([]float32, len(group))
		for i := range images {
			image := rng.NormFloat64()
			for j := range patches {
				losses[i*patches+j], group[i*patches+j] = float32(image+rng.NormFloat64()), i
			}
		}
		after, full := []*train.Evaluation{evaluationOf(losses...)}, []*train.Evaluation{before}
		if c := pairedChange(after, full, group); pBelow(c.mean, c.stdErr, c.df) < significance {
			grouped++
		}
		if c := pairedChange(after, full, nil); pBelow(c.mean, c.stdErr, c.df) < significance {
			free++
		}
	}
	t.Logf("by image %.1f %%, by patch %.1f %%", 100*float64(grouped)/runs, 100*float64(free)/runs)
	if share := float64(grouped) / runs; share < 0.03 || share > 0.07 {
		t.Errorf("%.1f %% pass a test at 5 %%", 100*share)
	}
	if share := float64(free) / runs; share < 0.2 {
		t.Errorf("patches are no longer dependent here: %.1f %% pass", 100*share)
	}
}

// TestChanceOfDroppingForNothing simulates runs without anything to gain: seven amounts whose tune loss differs by the luck of the
// tune samples, which all seeds share, with a standard error of 1, and by that of training, drawn at every seed. docs/method.md
// quotes the shares that are logged.
func TestChanceOfDroppingForNothing(t *testing.T) {
	const runs, amounts = 3000, 7
	for _, tt := range []struct {
		seeds int
		noise float64 // of training, in standard errors over the tune samples
		// alone bounds the share of amounts, picked without looking, that the confirmation lets pass; chosen that of runs that
		// choose one; and improved that of all runs that end so.
		alone, chosen, improved float64
	}{
		{3, 0.6, 0.07, 0.12, 0.02}, {3, 1.2, 0.08, 0.14, 0.03}, {3, 2, 0.1, 0.16, 0.06},
		{5, 0.6, 0.07, 0.12, 0.02}, {5, 1.2, 0.07, 0.14, 0.03}, {5, 2, 0.07, 0.16, 0.06},
	} {
		rng := rand.New(rand.NewPCG(5, uint64(tt.seeds)))
		proposed, confirmable, confirmed, chosen, improved, alone := 0, 0, 0, 0, 0, 0
		for range runs {
			luck := make([][]float64, amounts)
			tried := []Amount{{Metric: 0}}
			shared := make([]float64, amounts)
			for a := range luck {
				shared[a] = rng.NormFloat64()
				for range tt.seeds {
					luck[a] = append(luck[a], tt.noise*rng.NormFloat64())
				}
				change := shared[a] + luck[a][0]
				tried = append(tried, Amount{Loss: change, LossChange: change, StandardError: 1})
			}
			confirm := func(a int) bool {
				c := tried[a+1]
				c.LossChange, c.StandardError, c.df = simulatedChange(shared[a], luck[a][1:])
				return c.confirmed()
			}
			if confirm(0) {
				alone++
			}
			testAmounts(tried)
			order := qualified(tried)
			if len(order) > 0 {
				proposed++
			}
			for _, i := range order[:min(len(order), mostConfirmed)] {
				confirmable++
				if !confirm(i - 1) {
					continue
				}
				confirmed++
				chosen++
				// The dropped arm's models are those that were confirmed: what luck lowered their tune loss lowers their test loss.
				metric := make([]float64, tt.seeds)
				for k := range metric {
					metric[k] = -luck[i-1][k] + 0.3*tt.noise*rng.NormFloat64()
				}
				if mean, s := stat.MeanStdDev(metric, nil); mean > halfWidth(s, tt.seeds) {
					improved++
				}
				break
			}
		}
		share := func(n, of int) float64 { return float64(n) / float64(max(1, of)) }
		t.Logf("%d seeds, noise %.1f: %.1f %% of runs propose, %.1f %% of what is proposed is confirmed (%.1f %% of what is not selected), "+
			"%.1f %% of runs drop; improved: %.1f %% of those, %.2f %% of all", tt.seeds, tt.noise, 100*share(proposed, runs), 100*share(confirmed, confirmable),
			100*share(alone, runs), 100*share(chosen, runs), 100*share(improved, chosen), 100*share(improved, runs))
		if share(alone, runs) > tt.alone || share(chosen, runs) > tt.chosen || share(improved, runs) > tt.improved {
			t.Errorf("%d seeds, noise %.1f: beyond %.1f %% of what is not selected, %.1f %% of runs that drop, %.1f %% that improve", tt.seeds, tt.noise,
				100*tt.alone, 100*tt.chosen, 100*tt.improved)
		}
	}
}

// simulatedChange is pairedChange of evaluations on 100 tune samples whose luck the seeds share, with a standard error of 1.
func simulatedChange(shared float64, luck []float64) (mean, stdErr, df float64) {
	const n = 100
	before := evaluationOf(make([]float32, n)...)
	var after, full []*train.Evaluation
	for _, x := range luck {
		losses := make([]float32, n)
		for i := range losses {
			losses[i] = float32(shared + x + math.Sqrt(n-1)*float64(2*(i%2)-1))
		}
		e := evaluationOf(losses...)
		after, full = append(after, e), append(full, before)
	}
	c := pairedChange(after, full, nil)
	return c.mean, c.stdErr, c.df
}

// The model of the simulation: the standard error over samples is 1.
func TestSimulatedChange(t *testing.T) {
	luck := []float64{1, 2, 3}
	mean, stdErr, df := simulatedChange(-1, luck)
	near(t, "mean", mean, 1, 1e-4)
	v := stat.Variance(luck, nil) / 3
	near(t, "standard error", stdErr, math.Sqrt(1+v), 1e-4)
	near(t, "degrees of freedom", df, (1+v)*(1+v)/(1/99.+v*v/2), 1e-2)
}

// TestEventsOfTheChoice: what is tried, its controls and what is confirmed are trainings, told once each, in parts from 1; the first
// seed is not confirmed.
func TestEventsOfTheChoice(t *testing.T) {
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test = 200, 100, 100, 50
	c.Net, c.Recipe.Epochs, c.Rule, c.Seeds, c.DoseControls = "softmax", 2, "auto:0.1,0.2", 3, true
	c.ScoreFolds = 1 // two amounts, and no others
	data, err := LoadData(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	made := newRehearsal(c, data, 1)
	told := map[string]int{}
	r, err := newRunner(c, data, nil, made.store(), func(e Event) {
		made.observe(e)
		if e.Stage != StageChoose || e.Type == "progress" {
			return
		}
		if e.Kind != KindTraining {
			t.Errorf("%q of the kind %q", e.What, e.Kind)
		}
		told[fmt.Sprintf("%s %d/%d %s", e.Type, e.Part, e.Parts, e.What)]++
	}, made.tools())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := r.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	add := func(part, parts int, what string, types ...string) {
		for _, typ := range types {
			want[fmt.Sprintf("%s %d/%d %s", typ, part, parts, what)]++
		}
	}
	add(1, 2, "fraction:0.1: dropping 20 (10.0 %)", "start", "done", "measured")
	add(2, 2, "fraction:0.2: dropping 40 (20.0 %)", "start", "done", "measured")
	for i, n := range []int{20, 40} {
		add(2*i+1, 4, fmt.Sprintf("random control: dropping %d", n), "start", "done")
		add(2*i+2, 4, fmt.Sprintf("highest_loss control: dropping %d", n), "start", "done")
	}
	for _, f := range []string{"0.1", "0.2"} { // the first is not confirmed
		for k := 1; k <= 2; k++ {
			add(k, 2, fmt.Sprintf("fraction:%s: confirming at seed %d", f, c.Seed+uint64(k)), "start", "done", "measured")
		}
	}
	if !maps.Equal(told, want) {
		t.Errorf("told %v\nwant %v", slices.Sorted(maps.Keys(told)), slices.Sorted(maps.Keys(want)))
	}
	for i, a := range r.drop.Amounts[1:] {
		if len(a.SeedLossChanges) != 3 || a.SeedLossChanges[0] != a.Loss-r.drop.Amounts[0].Loss || a.Chosen != (i == 1) {
			t.Errorf("%+v", a)
		}
	}
	// The first seed gains, the others lose: over these the change is theirs.
	if a := r.drop.Amounts[1]; !(a.SeedLossChanges[0] < 0 && a.SeedLossChanges[1] > 0) || math.Abs(a.LossChange-a.SeedLossChanges[1]) > 1e-6 || *a.SeedsP != 1 || a.MetricChange >= 0 {
		t.Errorf("%+v", a)
	}
}

// As many patches of other numbers of images have another control of the highest loss, and as many samples the same one.
func TestHighestLossKey(t *testing.T) {
	r := &runner{data: &Data{}}
	r.data.Split.Train = []int{10, 11, 12, 13, 14, 15}
	one, two := Proposal{"fraction:0.4", []int{3, 4, 5}}, Proposal{"shrunk", []int{0, 1, 2}}
	if a, b := r.highestLossKey(one), r.highestLossKey(two); a != "highest_loss:3" || a != b {
		t.Errorf("of samples: %s and %s", a, b)
	}
	r.units = &units{members: [][]int{{0}, {1, 2}, {3, 4, 5}}, groupOf: []int{0, 1, 1, 2, 2, 2}, training: r.data.Split.Train}
	if a, b := r.highestLossKey(one), r.highestLossKey(two); a != "highest_loss:1-images" || b != "highest_loss:2-images" {
		t.Errorf("of images: %s and %s", a, b)
	}
}
