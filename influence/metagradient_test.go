package influence

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// replayable trains the network on the first half of the blobs by the recipe, and scores on the second.
func replayable(t testing.TB, threads int, n *net.Network, src *blobs, r train.Recipe, seed uint64) *Problem {
	t.Helper()
	return replayableOn(t, backend(t, threads), n, src, r, seed)
}

// replayableOn is replayable on a backend.
func replayableOn(t testing.TB, b compute.Backend, n *net.Network, src *blobs, r train.Recipe, seed uint64) *Problem {
	t.Helper()
	p := newProblem(b, n, src, nil, 0)
	p.Recipe, p.TrainSeed = r, seed
	e := train.NewEngine(b, n, train.CrossEntropy{})
	defer e.Close()
	m, err := e.Train(t.Context(), src, p.Train, r, seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Model = m
	return p
}

// retraining is the oracle: training with weighted samples in float64, by the update of package train's comment.
type retraining struct {
	p          *Problem
	step, eval *Exec
	statistics bool
}

func newRetraining(t testing.TB, p *Problem) *retraining {
	n := p.Net
	r := &retraining{p: p, statistics: n.StateSize() > 0}
	pass := func(in []*Node, training bool) *net.Pass {
		pass := &net.Pass{Params: net.Unflatten(in[0], n.Params), Training: training}
		if r.statistics {
			pass.State = net.Unflatten(in[1], n.State)
			pass.NewState = make([]*Node, len(pass.State))
		}
		if training && len(in) > 5 {
			pass.Gates = in[5]
		}
		return pass
	}
	r.step = MustNewExec(p.Backend, func(in []*Node) []*Node { // theta, state, x, y, weights and, for a network with gates, gates
		q := pass(in, true)
		loss := ReduceAllMean(Mul(in[4], p.Loss.PerSample(n.Forward(q, in[2]), in[3])))
		out := []*Node{net.Flatten(Gradient(loss, q.Params...))}
		if r.statistics {
			out = append(out, net.Flatten(q.NewState))
		}
		return out
	})
	r.eval = MustNewExec(p.Backend, func(in []*Node) []*Node {
		return []*Node{ReduceAllMean(p.Loss.PerSample(n.Forward(pass(in, false), in[2]), in[3]))}
	})
	t.Cleanup(func() { r.step.Finalize(); r.eval.Finalize() })
	return r
}

// samples returns inputs and targets in float64.
func (r *retraining) samples(positions []int) (x, y *tensors.Tensor) {
	src := r.p.Source.(*blobs)
	var xs, ys []float64
	for _, i := range positions {
		xs = append(xs, wide(src.x[i])...)
		target := make([]float64, src.classes)
		target[src.labels[i]] = 1
		ys = append(ys, target...)
	}
	return tensors.FromFlatDataAndDimensions(xs, len(positions), src.height, src.width, 1),
		tensors.FromFlatDataAndDimensions(ys, len(positions), src.classes)
}

// loss trains with a weight for every position of the source and returns the mean loss over the scoring set.
func (r *retraining) loss(t testing.TB, weights []float64) float64 {
	t.Helper()
	p := r.p
	theta32, state32 := p.Net.Init(p.TrainSeed)
	theta, state := wide(theta32), wide(state32)
	if !r.statistics {
		state = []float64{0}
	}
	momentum := make([]float64, len(theta))
	order, err := train.NewOrder(p.Source.Len(), p.Train, p.TrainSeed)
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]int, min(p.Recipe.BatchSize, len(p.Train)))
	steps := p.Recipe.Steps(len(p.Train))
	for s := range steps {
		order.Batch(s, batch)
		w := make([]float64, len(batch))
		for k, i := range batch {
			w[k] = weights[i]
		}
		x, y := r.samples(batch)
		gates := make([]float32, max(1, len(p.Net.Gates))) // one that nobody reads, where there are none
		train.DrawGates(p.Net.Gates, p.TrainSeed, s, gates)
		out, err := r.step.Call(theta, state, x, y, w, wide(gates))
		if err != nil {
			t.Fatal(err)
		}
		g := tensors.MustCopyFlatData[float64](out[0])
		for j := range theta {
			momentum[j] = p.Recipe.Momentum*momentum[j] + g[j] + p.Recipe.WeightDecay*theta[j]
			theta[j] -= p.Recipe.Rate(s, steps) * momentum[j]
		}
		if r.statistics {
			state = tensors.MustCopyFlatData[float64](out[1])
		}
	}
	x, y := r.samples(p.Score)
	out, err := r.eval.Call(theta, state, x, y)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float64](out[0])[0]
}

// moving is the network normalized in training as well: its statistics there are those of the batch, and the running
// ones follow, behind a layer with parameters.
func moving() *net.Network {
	n := smooth()
	n.Name = "moving"
	fill := func(v float32) net.Initializer {
		return func(_ *rand.Rand, _ []int, dst []float32) {
			for i := range dst {
				dst[i] = v
			}
		}
	}
	n.State = []net.Param{
		{Name: "mean", Dims: []int{smoothHidden}, Init: fill(0)},
		{Name: "variance", Dims: []int{smoothHidden}, Init: fill(1)},
	}
	n.Forward = func(p *net.Pass, x *Node) *Node {
		x = Reshape(x, x.Shape().Dimensions[0], -1)
		h := Add(Dot(x, p.Params[0]).Product(), ExpandAxes(p.Params[1], 0))
		mean, variance := p.State[0], p.State[1]
		if p.Training {
			mean = ReduceMean(h, 0)
			variance = ReduceMean(Square(Sub(h, ExpandAxes(mean, 0))), 0)
			p.NewState[0] = Add(MulScalar(p.State[0], 0.8), MulScalar(mean, 0.2))
			p.NewState[1] = Add(MulScalar(p.State[1], 0.8), MulScalar(variance, 0.2))
		}
		h = Tanh(Div(Sub(h, ExpandAxes(mean, 0)), Sqrt(AddScalar(ExpandAxes(variance, 0), 1e-3))))
		return Add(Dot(h, p.Params[2]).Product(), ExpandAxes(p.Params[3], 0))
	}
	return n
}

// gated adds two branches that a step may skip: the network moving, running statistics included, and one without a norm.
func gated() *net.Network {
	n := moving()
	n.Name, n.Gates = "gated", []float64{0.6, 0.5}
	forward := n.Forward
	n.Forward = func(p *net.Pass, x *Node) *Node {
		y := forward(p, x)
		flat := Reshape(x, x.Shape().Dimensions[0], -1)
		side := Dot(Tanh(Dot(flat, p.Params[0]).Product()), p.Params[2]).Product()
		if !p.Training {
			return Add(MulScalar(y, 0.6), MulScalar(side, 0.5))
		}
		gate := func(k int) *Node { return Reshape(Slice(p.Gates, AxisElem(k))) }
		for k, s := range p.NewState {
			p.NewState[k] = Add(Mul(gate(0), s), Mul(OneMinus(gate(0)), p.State[k]))
		}
		return Add(Mul(gate(0), y), Mul(gate(1), side))
	}
	return n
}

var metaRecipe = train.Recipe{Epochs: 4, BatchSize: 8, LearningRate: 0.15, Momentum: 0.9, WeightDecay: 0.02, WarmupFraction: 0.1}

// TestMetagradientAgainstRetraining compares with central differences of trainings in float64 with one weight changed.
// The 4 epochs of 30 samples make 15 batches of 8, some of them over the end of an epoch.
func TestMetagradientAgainstRetraining(t *testing.T) {
	src := newBlobs(60, 2, 3, 3, 2)
	zoo, err := net.New("lenet5-smooth", [3]int{12, 12, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		net    *net.Network
		src    *blobs
		stride int // every stride-th sample is compared
		change func(*train.Recipe)
	}{
		{smooth(), src, 1, func(*train.Recipe) {}},
		{smooth(), src, 3, func(r *train.Recipe) { r.Momentum, r.WeightDecay, r.Schedule = 0, 0, train.Constant }},
		{smooth(), src, 3, func(r *train.Recipe) { r.BatchSize, r.Epochs = 1000, 9 }},
		{moving(), src, 1, func(*train.Recipe) {}},
		{gated(), src, 2, func(*train.Recipe) {}},
		{zoo, newBlobs(60, 12, 12, 3, 4), 10, func(r *train.Recipe) { r.LearningRate, r.Epochs = 0.02, 2 }},
	} {
		r := metaRecipe
		test.change(&r)
		p := replayable(t, 2, test.net, test.src, r, 5)
		got := score(t, estimator(t, "metagradient", Options{}), p)
		if !got.Calibrated || !got.Solver.Converged || got.Solver.Message == "" {
			t.Errorf("%s: %+v", p.Net.Name, got.Solver)
		}
		oracle := newRetraining(t, p)
		weights := make([]float64, p.Source.Len())
		for i := range weights {
			weights[i] = 1
		}
		const h = 1e-3
		var want, compared []float64
		for k := 0; k < len(p.Train); k += test.stride {
			i := p.Train[k]
			weights[i] = 1 + h
			up := oracle.loss(t, weights)
			weights[i] = 1 - h
			want = append(want, (oracle.loss(t, weights)-up)/(2*h))
			compared = append(compared, got.Delta[k])
			weights[i] = 1
		}
		e := apart(compared, want)
		t.Logf("%s %+v: relative error %.2g of %d scores with norm %.2g; %s", p.Net.Name, r, e, len(want), floats.Norm(want, 2), got.Solver.Message)
		if !(e < 1e-5) || floats.Norm(want, 2) < 1e-4 {
			t.Errorf("%s %+v: relative error %.2g, scores %v, want %v", p.Net.Name, r, e, compared, want)
		}
	}
}

// TestMetagradientSameBits goes back with several bounds on memory and numbers of threads.
func TestMetagradientSameBits(t *testing.T) {
	src := newBlobs(80, 2, 3, 3, 7)
	for _, n := range []*net.Network{smooth(), moving(), gated()} {
		var first *Scores
		messages := map[string]bool{}
		for _, threads := range []int{1, 2} {
			p := replayable(t, threads, n, src, metaRecipe, 3)
			for _, vectors := range []int{0, 15, 12, 11} {
				memory := int64(4 * (n.Size() + n.StateSize()) * vectors)
				s := score(t, estimator(t, "metagradient", Options{Memory: memory}), p)
				messages[s.Solver.Message] = true
				if first == nil {
					first = s
				} else if !slices.Equal(s.Delta, first.Delta) {
					t.Errorf("%s: %d threads and memory for %d vectors give other bits", n.Name, threads, vectors)
				}
			}
		}
		if len(messages) != 4 {
			t.Errorf("%s: the bounds on memory change nothing: %v", n.Name, messages)
		}
	}
}

// TestMetagradientOnDisk has room in memory for next to nothing and on disk for all or some of the steps: the same bits, and
// the message tells.
func TestMetagradientOnDisk(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 7), moving()
	p := replayable(t, 2, n, src, metaRecipe, 3)
	p.ScratchDir = t.TempDir()
	want := score(t, estimator(t, "metagradient", Options{}), p)
	vector := int64(4 * (n.Size() + n.StateSize()))
	for disk, repeats := range map[int64]bool{1000: false, 9: true} {
		s := score(t, estimator(t, "metagradient", Options{Memory: 5 * vector, Disk: disk * vector}), p)
		if !slices.Equal(s.Delta, want.Delta) {
			t.Errorf("%d vectors on disk: other bits", disk)
		}
		if !strings.Contains(s.Solver.Message, "MB in memory and") || strings.Contains(s.Solver.Message, "takes 1.00 times") == repeats {
			t.Errorf("%d vectors on disk: %q", disk, s.Solver.Message)
		}
	}
	if left, err := os.ReadDir(p.ScratchDir); err != nil || len(left) > 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
	p.ScratchDir = filepath.Join(p.ScratchDir, "missing")
	if _, err := estimator(t, "metagradient", Options{Memory: 5 * vector, Disk: 1 << 20}).Score(t.Context(), p, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: error %v", err)
	}
}

// TestMetagradientOfAConvergedTraining compares with cg without damping on softmax regression at its minimum, where both
// are the same but for the weight a sample has in time.
func TestMetagradientOfAConvergedTraining(t *testing.T) {
	p, wrong := planted(t)
	exact := score(t, estimator(t, "cg", Options{Damping: NoDamping, HessianSamples: AllSamples, Tolerance: 1e-4}), p)
	got := score(t, estimator(t, "metagradient", Options{}), p)
	r := stat.Correlation(got.Delta, exact.Delta, nil)
	offset, slope := stat.LinearRegression(got.Delta, exact.Delta, nil, false)
	t.Logf("r = %.5f, slope %.4f, offset %.2g; %s", r, slope, offset, got.Solver.Message)
	if r < 0.99 || math.Abs(slope-1) > 0.05 {
		t.Errorf("r = %.4f and slope %.3f with cg, want 1 and 1", r, slope)
	}
	found := 0
	for i := range wrong {
		if got.Delta[i] < 0 {
			found++
		}
	}
	if got.Delta[0] >= 0 || found < len(wrong)*80/100 {
		t.Errorf("removal effect of the plain error %v; %d of %d planted below zero", got.Delta[0], found, len(wrong))
	}
}

func TestMetagradientRefuses(t *testing.T) {
	src := newBlobs(60, 2, 3, 3, 2)
	frozen := moving()
	forward := frozen.Forward
	frozen.Forward = func(p *net.Pass, x *Node) *Node {
		y := forward(p, x)
		for k := range p.NewState {
			if p.Training {
				p.NewState[k] = Add(p.State[k], StopGradient(Sub(p.NewState[k], p.State[k])))
			}
		}
		return y
	}
	for _, test := range []struct {
		net    *net.Network
		memory int64
		change func(*Problem)
		says   string
	}{
		{smooth(), 0, func(p *Problem) { p.TrainSeed++ }, "bit for bit"},
		{smooth(), 0, func(p *Problem) { p.Recipe.Momentum = 0.8 }, "bit for bit"},
		{smooth(), 0, func(p *Problem) { p.Train = p.Train[1:] }, "bit for bit"},
		{smooth(), 0, func(p *Problem) { p.Recipe.BatchSize = 0 }, "batch size"},
		{smooth(), 100, func(p *Problem) {}, "memory"},
		{frozen, 0, func(p *Problem) {}, "stop gradients"},
	} {
		p := replayable(t, 2, test.net, src, metaRecipe, 5)
		test.change(p)
		_, err := estimator(t, "metagradient", Options{Memory: test.memory}).Score(t.Context(), p, nil)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("error %v, want one about %q", err, test.says)
		}
	}
	if _, err := New("metagradient", Options{Memory: -1}); err == nil {
		t.Error("a negative bound on memory: no error")
	}
}

// TestSmoothnessCheck trains a smooth network, whose removals the metagradient predicts, and one with ReLU, max-pooling and
// large steps, where the check must find the prediction wrong.
func TestSmoothnessCheck(t *testing.T) {
	src := newBlobs(400, 12, 12, 3, 8)
	for i := 0; i < 200; i += 7 {
		src.labels[i] = (src.labels[i] + 1) % 3
	}
	for _, c := range []struct {
		name   string
		recipe train.Recipe
		smooth bool
	}{
		{"lenet5-smooth", train.Recipe{Epochs: 4, BatchSize: 40, LearningRate: 0.01, Momentum: 0.9, WarmupFraction: 0.1}, true},
		{"lenet5", train.Recipe{Epochs: 20, BatchSize: 20, LearningRate: 0.1, Momentum: 0.9}, false},
	} {
		n, err := net.New(c.name, [3]int{12, 12, 1}, 3)
		if err != nil {
			t.Fatal(err)
		}
		p := replayable(t, 2, n, src, c.recipe, 3)
		s := score(t, estimator(t, "metagradient", Options{}), p)
		t.Logf("%s: %+v", c.name, s.Solver)
		if s.Solver.Converged != c.smooth {
			t.Errorf("%s: converged is %v; %+v", c.name, s.Solver.Converged, s.Solver)
		}
		if len(s.Solver.Smoothness) != len(perturbedFractions) {
			t.Fatalf("%s: %d perturbations", c.name, len(s.Solver.Smoothness))
		}
		first := s.Solver.Smoothness[0]
		if c.smooth && math.Abs(first.True/first.Predicted-1) > 0.2 {
			t.Errorf("%s: predicted %g, true %g", c.name, first.Predicted, first.True)
		}
	}
}
