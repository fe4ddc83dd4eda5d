package datadropout

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/train"
)

func smallRun(t *testing.T, rule string) *Outcome {
	t.Helper()
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test = 300, 100, 100, 100
	c.Net, c.Recipe.Epochs, c.Seeds, c.Rule = "softmax", 3, 2, rule
	data, backend := prepare(t, &c)
	o, err := Run(context.Background(), c, data, backend, NewMemoryStore(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The dropped samples are those of the most negative removal effects, dropped and kept are the training split, and
// nothing of the other splits is among them.
func TestRunDropsTheMostHarmful(t *testing.T) {
	o := smallRun(t, "count:40")
	worst := slices.Clone(o.Estimates.Delta)
	slices.Sort(worst)
	place := map[int]int{}
	for k, p := range o.Data.Split.Train {
		place[p] = k
	}
	for k, p := range o.Dropped {
		if got := o.Estimates.Delta[place[p]]; got != worst[k] {
			t.Fatalf("dropped sample %d has the removal effect %v, want %v", k, got, worst[k])
		}
	}
	all := append(slices.Clone(o.Dropped), o.Kept...)
	slices.Sort(all)
	if !slices.Equal(all, o.Data.Split.Train) {
		t.Error("dropped and kept samples together are not the training split")
	}
}

// The control arms drop as many: random the same number of every class, highest_loss the highest losses of round 1.
func TestControlArms(t *testing.T) {
	o := smallRun(t, "count:60")
	r := &runner{config: o.Config, data: o.Data, out: o, guard: newGuard(o.Config, o.Data, o.Estimates)}
	kept := map[string][][]int{}
	if err := r.selectControls(kept); err != nil {
		t.Fatal(err)
	}
	classes := func(keep []int) []int {
		n := make([]int, len(o.Data.Images.Classes))
		for _, i := range keep {
			n[o.Data.Images.Labels[i]]++
		}
		return n
	}
	for k := range o.Config.Seeds {
		for _, arm := range []string{Dropped, Random, HighestLoss} {
			if got := len(kept[arm][k]); got != 240 {
				t.Errorf("%s, seed %d keeps %d samples, want 240", arm, k, got)
			}
		}
		if a, b := classes(kept[Random][k]), classes(kept[Dropped][k]); !slices.Equal(a, b) {
			t.Errorf("seed %d: random keeps %v of the classes, dropped %v", k, a, b)
		}
	}
	if slices.Equal(kept[Random][0], kept[Random][1]) {
		t.Error("two seeds drew the same random samples")
	}
	gone := map[int]bool{}
	for _, i := range o.Data.Split.Train {
		gone[i] = true
	}
	for _, i := range kept[HighestLoss][0] {
		delete(gone, i)
	}
	lowest, highest := float32(1e30), float32(-1)
	for k, i := range o.Data.Split.Train {
		if gone[i] {
			lowest = min(lowest, o.TrainLoss[k])
		} else {
			highest = max(highest, o.TrainLoss[k])
		}
	}
	if lowest < highest {
		t.Errorf("highest_loss dropped a loss of %v and kept one of %v", lowest, highest)
	}
}

// Labels are planted in the training split alone, and the splits share no sample.
func TestLoadDataKeepsTheSplitsApart(t *testing.T) {
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test = 300, 100, 100, 100
	d, err := LoadData(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for name, idx := range map[string][]int{"train": d.Split.Train, "score": d.Split.Score, "tune": d.Split.Tune, "test": d.Split.Test} {
		if want := map[string]int{"train": 60}[name]; d.Planted(idx) != want {
			t.Errorf("%d wrong labels planted in %s, want %d", d.Planted(idx), name, want)
		}
		for _, i := range idx {
			if seen[i] {
				t.Fatalf("sample %d is in two splits", i)
			}
			seen[i] = true
		}
	}
}

// prepare loads the data of the settings and opens a backend of two threads, for the length of the test.
func prepare(t *testing.T, c *Config) (*Data, compute.Backend) {
	t.Helper()
	data, err := LoadData(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := cpu.New("threads=2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	return data, backend
}

// A run whose removal effects are computed with another network and recipe trains its arms with its own, and drops by the
// other's scores.
func TestRunWithInfluenceNet(t *testing.T) {
	scored := func(change func(c *Config)) *Outcome {
		t.Helper()
		c := DefaultConfig()
		c.Train, c.Score, c.Tune, c.Test = 300, 100, 100, 100
		c.Net, c.Recipe.Epochs, c.Seeds, c.Rule, c.Estimator = "softmax", 3, 1, "count:30", "graddot"
		change(&c)
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		data, backend := prepare(t, &c)
		o, err := Run(t.Context(), c, data, backend, NewMemoryStore(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	own := scored(func(*Config) {})
	twin := scored(func(c *Config) { c.InfluenceNet, c.InfluenceRecipe = "lenet5", "smooth" })
	alone := scored(func(c *Config) { c.Net, c.Recipe = "lenet5", train.Recipes["smooth"] })
	if !slices.Equal(own.Result.Arms[Full].TestLoss, twin.Result.Arms[Full].TestLoss) || own.Result.Net != twin.Result.Net {
		t.Error("the arms are not those of the run's network")
	}
	if !slices.Equal(twin.Estimates.Delta, alone.Estimates.Delta) {
		t.Error("the removal effects are not those of the influence network")
	}
	if slices.Equal(twin.Estimates.Delta, own.Estimates.Delta) {
		t.Error("the removal effects are those of the run's network")
	}
}

// With several influence seeds el2n and grand are means over as many initializations, as Paul et al. take them: each is trained from
// a seed of its own, and recorded as it goes.
func TestRunAveragesOverInitializations(t *testing.T) {
	for _, estimator := range []string{"el2n", "grand"} {
		c := DefaultConfig()
		c.Train, c.Score, c.Tune, c.Test = 300, 100, 100, 100
		c.Net, c.Recipe.Epochs, c.Seeds, c.Rule, c.Estimator, c.InfluenceSeeds = "softmax", 5, 1, "count:30", estimator, 3
		data, backend := prepare(t, &c)
		o, err := Run(t.Context(), c, data, backend, NewMemoryStore(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(o.Solver.Message, "repeated") || o.Result.Infl.Seeds != 3 {
			t.Errorf("%s: %d seeds; %s", estimator, o.Result.Infl.Seeds, o.Solver.Message)
		}
		// The oracle trains each model by itself, and lets the estimator repeat that.
		by, err := newTrainer(computing(backend, data.Loss(), c.DeviceMemory), &c, data, c.Net, c.Recipe)
		if err != nil {
			t.Fatal(err)
		}
		defer by.engine.Close()
		e, err := influence.New(estimator, c.Influence)
		if err != nil {
			t.Fatal(err)
		}
		mean := make([]float64, len(data.Split.Train))
		var alone [][]float64
		for k := range uint64(3) {
			trained, err := by.engine.TrainKept(t.Context(), data.Images, data.Split.Train, c.Recipe, c.Seed+k, train.Recording{}, train.Keep{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := e.Score(t.Context(), &influence.Problem{
				Backend: backend, Net: by.network, Loss: train.CrossEntropy{}, Model: trained.Model, Recipe: c.Recipe, TrainSeed: c.Seed + k,
				Source: data.Images, Train: data.Split.Train, Score: data.Split.Score,
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			floats.AddScaled(mean, 1.0/3, s.Delta)
			alone = append(alone, s.Delta)
		}
		if !floats.EqualApprox(o.Estimates.Delta, mean, 1e-15) {
			t.Errorf("%s: the scores are not the mean over the three initializations", estimator)
		}
		for k := range alone {
			if floats.EqualApprox(alone[k], alone[(k+1)%3], 1e-9) || floats.EqualApprox(alone[k], mean, 1e-9) {
				t.Errorf("%s: initialization %d gives the scores of another, or the mean", estimator, k)
			}
		}
		if len(o.Estimates.StandardError) != len(mean) {
			t.Errorf("%s: no standard errors over the seeds", estimator)
		}
	}
}

// What an estimator wants recorded is recorded while round 1 trains: nothing is trained again for it, and a resumed run finds
// it in the store.
func TestRunRecordsForTheEstimator(t *testing.T) {
	for _, estimator := range []string{"aum", "tracin", "grand"} {
		c := DefaultConfig()
		c.Train, c.Score, c.Tune, c.Test = 300, 100, 100, 100
		c.Net, c.Recipe.Epochs, c.Seeds, c.Rule, c.Estimator = "softmax", 5, 1, "count:30", estimator
		data, backend := prepare(t, &c)
		dir := t.TempDir()
		var first *Outcome
		for range 2 {
			store, err := OpenDirStore(dir, Identity{Version: "one"})
			if err != nil {
				t.Fatal(err)
			}
			o, err := Run(t.Context(), c, data, backend, store, nil)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(o.Solver.Message, "repeated") {
				t.Errorf("%s: %s", estimator, o.Solver.Message)
			}
			if first == nil {
				first = o
				// The scores are gone, what was recorded is not.
				if err := os.Remove(filepath.Join(dir, "checkpoints", "scores-0.json")); err != nil {
					t.Fatal(err)
				}
			} else if !slices.Equal(o.Estimates.Delta, first.Estimates.Delta) {
				t.Errorf("%s: the resumed run has other scores", estimator)
			}
		}
	}
}
