package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// study is softmax regression with an L2 term on blobs: convex, trained to its minimum with all samples in a batch, so that
// influence without damping is what retraining does, to first order. A fifth of the 400 training labels are wrong.
func study(t *testing.T) Study {
	t.Helper()
	const side, classes, n = 5, 3, 700
	rng := rand.New(rand.NewPCG(5, 1))
	images := &dataset.Images{Name: "blobs", Height: side, Width: side, Channels: 1, Classes: []string{"a", "b", "c"}}
	for i := range n {
		label := i % classes
		for j := range side * side {
			v := 128 + 40*rng.NormFloat64()
			if j%classes == label {
				v += 24
			}
			images.Pix = append(images.Pix, uint8(max(0, min(255, v))))
		}
		images.Labels, images.IDs = append(images.Labels, label), append(images.IDs, fmt.Sprint("blob/", i))
	}
	d := &datadropout.Data{Split: dataset.Split{Train: span(0, 400), Score: span(400, 600), Test: span(600, n)}, Hash: images.Hash()}
	var err error
	if d.Images, err = images.WithLabelNoise(0.2, d.Split.Train, 1); err != nil {
		t.Fatal(err)
	}
	d.Images.Mean, d.Images.Std = d.Images.ChannelStats(d.Split.Train)
	c := datadropout.DefaultConfig()
	c.Data, c.Net, c.Seed, c.LabelNoise = "blobs", "softmax", 3, 0.2
	c.Recipe = train.Recipe{Epochs: 200, BatchSize: 1000, LearningRate: 0.3, Momentum: 0.9, WeightDecay: 0.1, Schedule: train.Cosine}
	c.Influence = influence.Options{Damping: influence.NoDamping, HessianSamples: influence.AllSamples, Tolerance: 1e-4}
	b, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return Study{Config: c, Data: d, Backend: b}
}

func span(from, to int) []int {
	idx := make([]int, to-from)
	for i := range idx {
		idx[i] = from + i
	}
	return idx
}

func run(t *testing.T, s Study, o Options) *Result {
	t.Helper()
	r, err := s.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// On a convex problem influence predicts retraining, and chance does not.
func TestStudyOnAConvexProblem(t *testing.T) {
	r := run(t, study(t), Options{
		Estimators: []string{"cg", "metagradient", "random"}, Tests: Tests, Fractions: []float64{0.02, 0.1},
		Subsets: 30, LOOSamples: 40, PerPoint: 11,
	})
	for _, e := range r.Estimators {
		t.Logf("%s: loo Pearson %.4f slope %.3f; lds %.3f %v, slope %.3f, and %.3f, slope %.3f; AUC %.3f; %.2f trainings",
			e.Name, e.LOO.Pearson, e.LOO.Slope, e.LDS[0].Spearman, e.LDS[0].SpearmanCI, e.LDS[0].Slope, e.LDS[1].Spearman, e.LDS[1].Slope, e.Mislabel.AUC, e.Trainings)
		random := e.Name == "random"
		if random != !e.Calibrated || !e.Solver.Converged || e.Seconds <= 0 || e.Trainings <= 0 {
			t.Errorf("%s: %+v", e.Name, e)
		}
		if got := float64(e.LOO.Pearson); random && math.Abs(got) > 0.35 || !random && got < 0.99 {
			t.Errorf("%s: Pearson %.4f over left-out samples", e.Name, got)
		}
		if got := float64(e.LOO.Slope); !random && math.Abs(got-1) > 0.1 {
			t.Errorf("%s: slope %.3f over left-out samples", e.Name, got)
		}
		for _, l := range e.LDS {
			if got := float64(l.Spearman); random && math.Abs(got) > 0.4 || !random && got < 0.9 {
				t.Errorf("%s at %v: LDS %.3f", e.Name, l.Fraction, got)
			}
			if float64(l.SpearmanCI[0]) > float64(l.Spearman) || float64(l.SpearmanCI[1]) < float64(l.Spearman) {
				t.Errorf("%s at %v: LDS %.3f is outside its interval %v", e.Name, l.Fraction, l.Spearman, l.SpearmanCI)
			}
			if random != (l.PerPoint == nil) {
				t.Fatalf("%s at %v: per point %v", e.Name, l.Fraction, l.PerPoint)
			}
			if !random && (l.PerPoint.Points != 11 || l.PerPoint.Spearman < 0.9) {
				t.Errorf("%s at %v: per point %+v", e.Name, l.Fraction, l.PerPoint)
			}
		}
		for _, g := range e.Group {
			if !random && !(g.Harmful.ScoreLoss < g.Random.ScoreLoss && g.Random.ScoreLoss < g.Helpful.ScoreLoss) {
				t.Errorf("%s at %v: harmful %v, random %v, helpful %v", e.Name, g.Fraction, g.Harmful, g.Random, g.Helpful)
			}
			if !random && math.Abs(g.PredictedHarmful/g.Harmful.ScoreLoss-1) > 0.5 {
				t.Errorf("%s at %v: predicted %v for the most harmful, true %v", e.Name, g.Fraction, g.PredictedHarmful, g.Harmful.ScoreLoss)
			}
			if g.Draws != 5 || g.RandomSD.ScoreLoss <= 0 {
				t.Errorf("%s at %v: %d draws, deviation %v", e.Name, g.Fraction, g.Draws, g.RandomSD)
			}
		}
		if e.Mislabel.Planted != 80 || !random && e.Mislabel.AUC < 0.8 || random && math.Abs(float64(e.Mislabel.AUC)-0.5) > 0.15 {
			t.Errorf("%s: %+v", e.Name, e.Mislabel)
		}
	}
	if r.HyperParameters != FixedBefore || len(r.Warnings) != 0 || len(r.Full) != 1 || r.TrainingSeconds <= 0 {
		t.Errorf("%+v", r)
	}
	// loo: 40; lds: 60; group: at each share two sets by each of three estimators, of which two may agree, and 5 random ones.
	if r.Retrainings > 40+60+22 || r.Retrainings < 40+60+18 || r.Resumed != 0 {
		t.Errorf("%d trainings, %d of them resumed", r.Retrainings, r.Resumed)
	}
}

// figures is a result without what differs between two runs of the same study.
func figures(t *testing.T, r *Result) string {
	t.Helper()
	c := *r
	c.Seconds, c.TrainingSeconds, c.Resumed, c.PeakMemory = 0, 0, 0, 0
	c.Estimators = nil
	for _, e := range r.Estimators {
		e.Seconds, e.Trainings = 0, 0
		c.Estimators = append(c.Estimators, e)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

var brief = Options{Estimators: []string{"graddot", "loss"}, Tests: []string{LOO, LDS, Group}, Fractions: []float64{0.1}, Subsets: 5, LOOSamples: 4, LOOGroup: 3, RetrainSeeds: 2}

// A study that was interrupted, one whose cache is damaged, one from a cache and one that retrains several at a time have
// the same figures.
func TestStudyResumes(t *testing.T) {
	s := study(t)
	s.Config.Recipe.Epochs = 20
	s.Cache = filepath.Join(t.TempDir(), "cache")
	whole := run(t, s, brief)
	want := figures(t, whole)
	if len(whole.Full) != 2 || len(whole.Warnings) != 1 || whole.Resumed != 0 {
		t.Errorf("%d full trainings, warnings %q, %d resumed", len(whole.Full), whole.Warnings, whole.Resumed)
	}

	again := run(t, s, brief)
	if again.Resumed != again.Retrainings || figures(t, again) != want {
		t.Errorf("from the cache, %d of %d:\n%s\nwant\n%s", again.Resumed, again.Retrainings, figures(t, again), want)
	}

	// A full file cut short, one with a wrong byte, and one that is empty; the first is the scored model's own, or not.
	entries, err := filepath.Glob(filepath.Join(s.Cache, "*.retraining"))
	if err != nil || len(entries) != whole.Retrainings+1 {
		t.Fatalf("%d files in the cache, want %d and the scored model's (%v)", len(entries), whole.Retrainings, err)
	}
	for k, path := range entries[:3] {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)/2] ^= 4
		if err := os.WriteFile(path, raw[:[]int{len(raw), len(raw) / 3, 0}[k]], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again = run(t, s, brief)
	if lost := again.Retrainings - again.Resumed; lost < 2 || lost > 3 || figures(t, again) != want {
		t.Errorf("after damage, %d of %d resumed:\n%s\nwant\n%s", again.Resumed, again.Retrainings, figures(t, again), want)
	}

	s.Cache = filepath.Join(t.TempDir(), "interrupted")
	ctx, cancel := context.WithCancel(t.Context())
	broken := s
	broken.Observe = func(e datadropout.Event) {
		if e.Stage == StageRetrain && e.Type == "done" && e.Part == 5 {
			cancel()
		}
	}
	if _, err := broken.Run(ctx, brief); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: error %v", err)
	}
	parallel := brief
	parallel.Parallel = 3
	again = run(t, s, parallel)
	if again.Resumed != 5 || figures(t, again) != want {
		t.Errorf("after an interruption, %d of %d resumed:\n%s\nwant\n%s", again.Resumed, again.Retrainings, figures(t, again), want)
	}

	// Another recipe is another study.
	s.Config.Recipe.LearningRate /= 2
	if other := run(t, s, brief); other.Resumed != 0 || figures(t, other) == want {
		t.Errorf("another learning rate resumes %d retrainings", other.Resumed)
	}
}

// The changes of every seed are against the full training of that seed, and averaged.
func TestChangesArePairedBySeed(t *testing.T) {
	s := study(t)
	s.Config.Net, s.Config.Recipe.Epochs = "softmax", 2
	s.Config.Recipe.BatchSize = 16
	o := brief
	o.Tests, o.LOOGroup = []string{LOO}, 1
	both := run(t, s, o)
	o.RetrainSeeds = 1
	first := run(t, s, o)
	s.Config.Seed++
	// Another first seed draws other samples to leave out: only the full training can be compared.
	second := run(t, s, o)
	if both.Full[0] != first.Full[0] || both.Full[1] != second.Full[0] || first.Full[0] == second.Full[0] {
		t.Errorf("full trainings %+v, alone %+v and %+v", both.Full, first.Full, second.Full)
	}
	o.RetrainSeeds, o.Removal = 2, ByLeavingOut
	s.Config.Seed--
	out := run(t, s, o)
	s.Config.Seed++
	e := train.NewEngine(s.Backend, network(t, s), train.CrossEntropy{})
	defer e.Close()
	sample := disjointGroups(400, 1, o.LOOSamples, s.Config.Seed-1)[0][0]
	var want, wantInPlace float64
	for _, seed := range []uint64{s.Config.Seed - 1, s.Config.Seed} {
		loss := func(m *train.Model, err error) float64 {
			if err != nil {
				t.Fatal(err)
			}
			ev, err := e.Evaluate(t.Context(), m, s.Data.Images, s.Data.Split.Score)
			if err != nil {
				t.Fatal(err)
			}
			return ev.Loss
		}
		all := s.Data.Split.Train
		weights := make([]float32, len(all))
		for i := range weights {
			weights[i] = 1
		}
		weights[sample] = 0
		full := loss(e.Train(t.Context(), s.Data.Images, all, s.Config.Recipe, seed, nil))
		rest := append(append([]int{}, all[:sample]...), all[sample+1:]...)
		want += (loss(e.Train(t.Context(), s.Data.Images, rest, s.Config.Recipe, seed, nil)) - full) / 2
		wantInPlace += (loss(e.TrainWeighted(t.Context(), s.Data.Images, all, weights, s.Config.Recipe, seed, nil)) - full) / 2
	}
	if got := out.Estimators[0].LOO.True[0]; math.Abs(got-want) > 1e-12 {
		t.Errorf("leaving out sample %d changes the loss by %v, want %v", sample, got, want)
	}
	if got := both.Estimators[0].LOO.True[0]; math.Abs(got-wantInPlace) > 1e-12 {
		t.Errorf("a weight of 0 for sample %d changes the loss by %v, want %v", sample, got, wantInPlace)
	}
}

// Averaged over seeds, scores are the mean of those of each seed.
func TestScoresAreAveragedOverSeeds(t *testing.T) {
	s := study(t)
	s.Config.Recipe = train.Recipe{Epochs: 2, BatchSize: 16, LearningRate: 0.05, Momentum: 0.9}
	o := Options{Estimators: []string{"graddot"}, Tests: []string{LOO}, LOOSamples: 5, InfluenceSeeds: 2}
	both := run(t, s, o).Estimators[0].LOO.Predicted
	e, err := influence.New("graddot", s.Config.Influence)
	if err != nil {
		t.Fatal(err)
	}
	n := network(t, s)
	engine := train.NewEngine(s.Backend, n, train.CrossEntropy{})
	defer engine.Close()
	want := make([]float64, len(both))
	for _, seed := range []uint64{s.Config.Seed, s.Config.Seed + 1} {
		m, err := engine.Train(t.Context(), s.Data.Images, s.Data.Split.Train, s.Config.Recipe, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		scores, err := e.Score(t.Context(), &influence.Problem{Backend: s.Backend, Net: n, Loss: train.CrossEntropy{}, Model: m, Recipe: s.Config.Recipe,
			Source: s.Data.Images, Train: s.Data.Split.Train, Score: s.Data.Split.Score}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, g := range disjointGroups(400, 1, 5, s.Config.Seed) {
			want[k] += scores.Delta[g[0]] / 2
		}
	}
	for k := range want {
		if math.Abs(both[k]-want[k]) > 1e-12 {
			t.Errorf("prediction %d is %v, want %v", k, both[k], want[k])
		}
	}
}

func TestStudyWarns(t *testing.T) {
	s := study(t)
	s.Config.Recipe.Epochs = 2
	s.Config.Influence.MaxIterations = 1
	s.Config.Influence.Tolerance = 1e-9
	o := brief
	o.Tests, o.Estimators, o.RetrainSeeds = []string{LOO}, []string{"cg"}, 1
	r := run(t, s, o)
	if r.Trusted() || len(r.Warnings) != 1 {
		t.Errorf("a solver that stops short: trusted %v, warnings %q", r.Trusted(), r.Warnings)
	}
}

func network(t *testing.T, s Study) *net.Network {
	t.Helper()
	images := s.Data.Images
	n, err := net.New(s.Config.Net, [3]int{images.Height, images.Width, images.Channels}, len(images.Classes))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
