package train

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/net"
)

var recipe = Recipe{Epochs: 3, BatchSize: 8, LearningRate: 0.2, Momentum: 0.9, WeightDecay: 0.01, Schedule: Cosine, WarmupFraction: 0.1}

// TestTrainFollowsTheEquations compares training with the update of the package comment carried out in plain Go.
func TestTrainFollowsTheEquations(t *testing.T) {
	for name, change := range map[string]func(*Recipe){
		"as it is":        func(*Recipe) {},
		"no momentum":     func(r *Recipe) { r.Momentum = 0 },
		"Nesterov":        func(r *Recipe) { r.Nesterov = true },
		"step schedule":   func(r *Recipe) { r.Schedule, r.StepEvery = Step, 1 },
		"one large batch": func(r *Recipe) { r.BatchSize, r.Epochs = 1000, 20 },
	} {
		r := recipe
		change(&r)
		src, n := newBlobs(60, 1), linear()
		idx := []int{}
		for i := range src.x {
			if i%5 != 2 {
				idx = append(idx, i)
			}
		}
		e := NewEngine(backend(t, 2), n, CrossEntropy{})
		defer e.Close()
		var losses []float64
		m, err := e.Train(t.Context(), src, idx, r, 7, func(p Progress) { losses = append(losses, p.Loss) })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		theta, _ := n.Init(7)
		want := newReference(theta)
		momentum := make([]float64, len(theta))
		order, err := NewOrder(src.Len(), idx, 7)
		if err != nil {
			t.Fatal(err)
		}
		batch := make([]int, min(r.BatchSize, len(idx)))
		steps := r.Steps(len(idx))
		first := 0.0
		for s := range steps {
			order.Batch(s, batch)
			loss, g := want.gradient(src, batch)
			if s == 0 {
				first = loss
			}
			for j := range g {
				momentum[j] = r.Momentum*momentum[j] + g[j] + r.WeightDecay*want.theta[j]
				direction := momentum[j]
				if r.Nesterov {
					direction = g[j] + r.WeightDecay*want.theta[j] + r.Momentum*momentum[j]
				}
				want.theta[j] -= r.Rate(s, steps) * direction
			}
		}
		if len(losses) != steps {
			t.Errorf("%s: progress was told of %d steps, want %d", name, len(losses), steps)
		}
		if math.Abs(losses[0]-first) > 1e-5 {
			t.Errorf("%s: first loss %v, want %v", name, losses[0], first)
		}
		for j, v := range m.Theta {
			if math.Abs(float64(v)-want.theta[j]) > 2e-5 {
				t.Errorf("%s: parameter %d is %v, want %v", name, j, v, want.theta[j])
			}
		}
	}
}

func TestTrainSameSeedSameBits(t *testing.T) {
	src := newBlobs(100, 2)
	cnn, err := net.New("cnn", [3]int{8, 8, 1}, classes)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		net  *net.Network
		src  interface {
			Len() int
			ID(int) string
			InputDims() []int
			TargetDims() []int
			Fill(int, []float32, []float32)
		}
	}{{"linear", linear(), src}, {"normalized", normalized(), src}, {"cnn", cnn, pictures{src}}} {
		var first *Model
		for _, threads := range []int{1, 2, 2} {
			e := NewEngine(backend(t, threads), test.net, CrossEntropy{})
			defer e.Close()
			m, err := e.Train(t.Context(), test.src, positions(50), recipe, 3, nil)
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			if first == nil {
				first = m
			} else if !slices.Equal(first.Theta, m.Theta) || !slices.Equal(first.State, m.State) {
				t.Errorf("%s: %d threads give other bits than 1", test.name, threads)
			}
		}
		e := NewEngine(backend(t, 2), test.net, CrossEntropy{})
		defer e.Close()
		if m, err := e.Train(t.Context(), test.src, positions(50), recipe, 4, nil); err != nil || slices.Equal(first.Theta, m.Theta) {
			t.Errorf("%s: another seed gives the same model (%v)", test.name, err)
		}
	}
}

// pictures shows blobs as 8x8 images: the features repeated.
type pictures struct{ *blobs }

func (p pictures) InputDims() []int { return []int{8, 8, 1} }
func (p pictures) Fill(i int, x, y []float32) {
	p.blobs.Fill(i, make([]float32, features), y)
	for j := range x {
		x[j] = p.x[i][j%features] * float32(1+j%7) / 4
	}
}

func TestTrainRunningStatistics(t *testing.T) {
	src, n := newBlobs(40, 3), normalized()
	e := NewEngine(backend(t, 2), n, CrossEntropy{})
	defer e.Close()
	r := Recipe{Epochs: 60, BatchSize: 40, LearningRate: 0.1, Schedule: Constant}
	m, err := e.Train(t.Context(), src, positions(40), r, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	// Every batch is the whole set, so after k steps the running mean is (1 - 0.9^k) times the set's.
	share := 1 - math.Pow(0.9, 60)
	for j := range features {
		mean, variance := 0.0, 0.0
		for _, x := range src.x {
			mean += float64(x[j]) / 40
		}
		for _, x := range src.x {
			variance += math.Pow(float64(x[j])-mean, 2) / 40
		}
		if got, want := float64(m.State[j]), share*mean; math.Abs(got-want) > 1e-5 {
			t.Errorf("running mean %d: %v, want %v", j, got, want)
		}
		if got, want := float64(m.State[features+j]), 1-share+share*variance; math.Abs(got-want) > 1e-5 {
			t.Errorf("running variance %d: %v, want %v", j, got, want)
		}
	}
	// Evaluation reads them: it equals the reference on inputs normalized by them.
	ev, err := e.Evaluate(t.Context(), m, src, []int{5})
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, features)
	for j, v := range src.x[5] {
		x[j] = (v - m.State[j]) / float32(math.Sqrt(float64(m.State[features+j])+1e-5))
	}
	if want, _ := newReference(m.Theta).loss(x, src.labels[5]); math.Abs(ev.Loss-want) > 1e-5 {
		t.Errorf("loss %v with running statistics, want %v", ev.Loss, want)
	}
}

func TestTrainDiverges(t *testing.T) {
	src := newBlobs(40, 1)
	for j := range src.x[0] {
		for i := range src.x {
			src.x[i][j] *= 1e10
		}
	}
	e := NewEngine(backend(t, 1), linear(), CrossEntropy{})
	defer e.Close()
	r := recipe
	r.LearningRate, r.Epochs = 1e30, 10
	_, err := e.Train(t.Context(), src, positions(40), r, 1, nil)
	var diverged *DivergedError
	if !errors.As(err, &diverged) {
		t.Fatalf("error %v, want a DivergedError", err)
	}
	if !(math.IsNaN(diverged.Loss) || math.IsInf(diverged.Loss, 0)) || diverged.Step < 1 || diverged.Step > 50 || diverged.Epoch != (diverged.Step-1)*8/40+1 {
		t.Errorf("it says %+v", *diverged)
	}
	if diverged.Net != linear().Name || !strings.Contains(err.Error(), "training of "+diverged.Net) {
		t.Errorf("%v does not name the network %q", err, linear().Name)
	}
}

// A model whose parameters are finite may have outputs that are not.
func TestEvaluateRefusesLossesThatAreNotFinite(t *testing.T) {
	src, n := newBlobs(300, 5), linear()
	e := NewEngine(backend(t, 1), n, CrossEntropy{})
	defer e.Close()
	theta, _ := n.Init(9)
	for _, i := range []int{140, 141, 250} {
		for j := range src.x[i] {
			src.x[i][j] = 3e38
		}
	}
	for j := range theta {
		theta[j] *= 10
	}
	idx := append(positions(300)[100:], 0)
	_, err := e.Evaluate(t.Context(), &Model{Theta: theta}, src, idx)
	var bad *NotFiniteError
	if !errors.As(err, &bad) {
		t.Fatalf("error %v, want a NotFiniteError", err)
	}
	if bad.Net != n.Name || bad.Count != 3 || bad.Samples != 201 || bad.Position != 140 || !(math.IsNaN(bad.Loss) || math.IsInf(bad.Loss, 0)) {
		t.Errorf("it says %+v", *bad)
	}
	if _, err := e.Evaluate(t.Context(), &Model{Theta: theta}, src, positions(140)); err != nil {
		t.Errorf("the other samples: %v", err)
	}
}

func TestTrainDivergesInTheLastStep(t *testing.T) {
	e := NewEngine(backend(t, 1), linear(), CrossEntropy{})
	defer e.Close()
	r := Recipe{Epochs: 1, BatchSize: 40, LearningRate: 1e38, Momentum: 0.5, WeightDecay: 1e38}
	_, err := e.Train(t.Context(), newBlobs(40, 1), positions(40), r, 1, nil)
	var diverged *DivergedError
	if !errors.As(err, &diverged) || !math.IsNaN(diverged.Loss) {
		t.Errorf("error %v, want a DivergedError for the parameters", err)
	}
}

func TestTrainStopsWhenCanceled(t *testing.T) {
	e := NewEngine(backend(t, 1), linear(), CrossEntropy{})
	defer e.Close()
	ctx, cancel := context.WithCancel(t.Context())
	steps := 0
	_, err := e.Train(ctx, newBlobs(40, 1), positions(40), recipe, 1, func(Progress) {
		if steps++; steps == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || steps != 3 {
		t.Errorf("%d steps and error %v, want 3 and canceled", steps, err)
	}
	if _, err := e.Evaluate(ctx, &Model{Theta: make([]float32, 21)}, newBlobs(40, 1), positions(3)); !errors.Is(err, context.Canceled) {
		t.Errorf("evaluation: error %v, want canceled", err)
	}
}

func TestEvaluate(t *testing.T) {
	src, n := newBlobs(300, 5), linear()
	e := NewEngine(backend(t, 2), n, CrossEntropy{})
	defer e.Close()
	theta, _ := n.Init(9)
	m := &Model{Theta: theta}
	all, err := e.Evaluate(t.Context(), m, src, positions(300))
	if err != nil {
		t.Fatal(err)
	}
	want := newReference(theta)
	loss, metric := 0.0, 0.0
	for i := range src.x {
		l, p := want.loss(src.x[i], src.labels[i])
		best := 0
		for k := range p {
			if p[k] > p[best] {
				best = k
			}
		}
		right := float32(0)
		if best == src.labels[i] {
			right = 1
		}
		loss, metric = loss+l/300, metric+float64(right)/300
		if math.Abs(float64(all.SampleLoss[i])-l) > 1e-5 || all.Predicted[i] != best || all.SampleMetric[i] != right {
			t.Errorf("sample %d: loss %v, class %d, metric %v; want %v, %d, %v", i,
				all.SampleLoss[i], all.Predicted[i], all.SampleMetric[i], l, best, right)
		}
	}
	if math.Abs(all.Loss-loss) > 1e-6 || math.Abs(all.Metric-metric) > 1e-12 {
		t.Errorf("mean loss %v and accuracy %v, want %v and %v", all.Loss, all.Metric, loss, metric)
	}
	// A sample's values do not depend on its company or on the padding.
	for _, idx := range [][]int{{7}, {299, 0, 128}, positions(130), positions(256)} {
		part, err := e.Evaluate(t.Context(), m, src, idx)
		if err != nil {
			t.Fatal(err)
		}
		if len(part.SampleLoss) != len(idx) || len(part.Predicted) != len(idx) {
			t.Fatalf("%d samples asked for, %d losses, %d predictions", len(idx), len(part.SampleLoss), len(part.Predicted))
		}
		for k, i := range idx {
			if part.SampleLoss[k] != all.SampleLoss[i] || part.SampleMetric[k] != all.SampleMetric[i] || part.Predicted[k] != all.Predicted[i] {
				t.Errorf("sample %d of %d differs from its evaluation among all", i, len(idx))
			}
		}
	}
	if none, err := e.Evaluate(t.Context(), m, src, nil); err != nil || none.Loss != 0 || len(none.SampleLoss) != 0 {
		t.Errorf("no samples: %+v, %v", none, err)
	}
	if _, err := e.Evaluate(t.Context(), m, src, []int{300}); err == nil {
		t.Error("a position out of range: no error")
	}
	if _, err := e.Evaluate(t.Context(), &Model{Theta: theta[1:]}, src, nil); err == nil {
		t.Error("a model of another network: no error")
	}
}

func TestLoadedModelEvaluatesTheSame(t *testing.T) {
	src := newBlobs(100, 6)
	b := backend(t, 2)
	e := NewEngine(b, normalized(), CrossEntropy{})
	defer e.Close()
	m, err := e.Train(t.Context(), src, positions(100), recipe, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "round1.model")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	other := NewEngine(b, normalized(), CrossEntropy{})
	defer other.Close()
	want, err := e.Evaluate(t.Context(), m, src, positions(100))
	if err != nil {
		t.Fatal(err)
	}
	got, err := other.Evaluate(t.Context(), loaded, src, positions(100))
	if err != nil {
		t.Fatal(err)
	}
	if want.Loss != got.Loss || !slices.Equal(want.SampleLoss, got.SampleLoss) {
		t.Errorf("loss %v before saving, %v after loading", want.Loss, got.Loss)
	}
	if want.Metric <= 0.5 {
		t.Errorf("training reached an accuracy of %v on three separable blobs, want above 0.5", want.Metric)
	}
}
