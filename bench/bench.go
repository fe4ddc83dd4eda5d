// Package bench measures how fast networks train, evaluate and are differentiated. The folder also holds the scripts that
// measure other programs beside this one.
package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/internal/nearest"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/tangent"
	"github.com/datadropout/datadropout/train"
)

// Phases lists what can be measured.
//
//   - train: steps as a training goes, batches and all; see PhaseTraining
//   - forward: outputs and losses with the running batch-norm statistics
//   - gradient: the gradient of the mean loss, batch norm frozen
//   - step: a training step: batch statistics, gradient, momentum, update
//   - score: the directional derivative of every sample's loss, in forward mode
//   - hvp: a Hessian-vector product
//   - ggn: a Gauss-Newton-vector product
var Phases = append([]string{PhaseTraining}, graphPhases...)

// graphPhases are those that are one graph each.
var graphPhases = []string{
	influence.PhaseForward, influence.PhaseGradient, influence.PhaseStep, influence.PhaseDirectional, influence.PhaseHessian, influence.PhaseGaussNewton,
}

// directed are the phases along directions.
var directed = []string{influence.PhaseDirectional, influence.PhaseHessian, influence.PhaseGaussNewton}

// Setting is what to measure.
type Setting struct {
	// Net names the network, for images of its usual size. Network, unless nil, takes its place.
	Net     string
	Network *net.Network
	// BFloat16 lets the network that Net names compute its products in bfloat16, in the phases in which runs do: forward, step and train.
	BFloat16 bool
	Batch    int
	Phase    string
	// Directions is the number of directions that share a pass of score, hvp and ggn; 0 means 1.
	Directions int
	// Source, unless nil, holds the samples: every run loads a batch of them, in turn, as training from a seed sees them in
	// its first epochs. Otherwise a run takes the same synthetic batch. Nesterov is the kind of momentum of a step.
	Source   dataset.Source
	Nesterov bool
	// Seconds is how long to measure; at least three runs are timed. With Brief one is enough; see brief.go.
	Seconds float64
	Brief   bool
}

// Measurement is what came out.
type Measurement struct {
	// ImagesPerSecond is the batch size over the median time of a run.
	ImagesPerSecond float64
	// GFLOPS counts the operations of convolutions and dense layers that the phase needs at least: one forward pass, a step's,
	// two forward passes for score, and so on; see operations.
	GFLOPS float64
	Runs   int
	// MeanSeconds is the mean time of a run of the whole batch, and FirstSeconds what its first run takes, which compiles.
	MeanSeconds, FirstSeconds float64
}

// operations returns the floating-point operations of a phase for one sample. A pass that carries tangents does the work of
// two, and products of second derivatives a pass and a gradient with tangents. Directions share what has no tangent.
func operations(n *net.Network, phase string, directions int) float64 {
	forward, step, k := float64(n.ForwardFLOPs), float64(n.StepFLOPs), float64(directions)
	switch phase {
	case influence.PhaseForward:
		return forward
	case influence.PhaseDirectional:
		return (1 + k) * forward
	case influence.PhaseHessian:
		return (1 + k) * step
	case influence.PhaseGaussNewton:
		return forward + k*step
	}
	return step
}

// Run measures one setting on a backend.
func Run(ctx context.Context, backend compute.Backend, s Setting) (*Measurement, error) {
	if !slices.Contains(Phases, s.Phase) {
		return nil, fmt.Errorf("unknown phase %q%s", s.Phase, nearest.Among(s.Phase, Phases))
	}
	if s.Batch < 1 {
		return nil, fmt.Errorf("the batch must hold at least 1 sample, got %d", s.Batch)
	}
	network := s.Network
	if network == nil {
		size, outputs := net.Usual(s.Net)
		var err error
		if network, err = net.New(s.Net, size, outputs); err != nil {
			return nil, err
		}
		if s.BFloat16 {
			network = network.BFloat16()
		}
	}
	if s.Phase == PhaseTraining {
		return runTraining(ctx, backend, network, s)
	}
	w := newWorkload(backend, network, s)
	defer w.close()
	var t timing
	var err error
	if s.Brief {
		t, err = w.brief(ctx, s)
	} else {
		w.load(s.Batch)
		t, err = w.timed(ctx, math.Inf(1), func(t timing) bool { return len(t.runs) < 3 || t.spent < s.Seconds })
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(t.runs)
	rate := float64(t.batch) / t.runs[len(t.runs)/2]
	whole := t.mean() + t.sample*float64(s.Batch-t.batch)
	return &Measurement{
		ImagesPerSecond: rate, GFLOPS: rate * operations(network, s.Phase, max(1, s.Directions)) / 1e9, Runs: len(t.runs),
		MeanSeconds: whole, FirstSeconds: whole + max(0, t.first-t.mean()),
	}, nil
}

// timing is what was measured of a batch, in seconds.
type timing struct {
	batch int
	// sample is what another sample in the batch takes, where it is a part of the one that was asked for.
	sample float64
	// first is what the first run took, which compiles; runs are the others, and spent their sum.
	first, spent float64
	runs         []float64
}

func (t timing) mean() float64 { return t.spent / float64(len(t.runs)) }

// timed runs a phase while more says so of what was measured. Where the first run takes long, it is the only one.
func (w *workload) timed(ctx context.Context, long float64, more func(timing) bool) (timing, error) {
	t := timing{batch: w.batch}
	began := time.Now()
	if err := w.compile(w.batch); err != nil {
		return t, err
	}
	compiled := time.Now()
	if err := w.run(); err != nil {
		return t, err
	}
	t.first = time.Since(began).Seconds()
	if took := time.Since(compiled).Seconds(); took >= long {
		t.runs, t.spent = []float64{took}, took
		return t, nil
	}
	for more(t) {
		if err := ctx.Err(); err != nil {
			return t, err
		}
		at := time.Now()
		if err := w.run(); err != nil {
			return t, err
		}
		took := time.Since(at).Seconds()
		t.runs, t.spent = append(t.runs, took), t.spent+took
	}
	return t, nil
}

// workload is a compiled phase with its inputs. Samples have to be loaded before it runs.
type workload struct {
	backend compute.Backend
	net     *net.Network
	loss    train.Loss
	exec    *Exec
	engine  *train.Engine
	args    []any
	// batch is the number of samples; inputs and targets are among the arguments from place x on.
	batch, x int
	// samples is the batch that is filled anew for every run, from position at on; nil for synthetic samples.
	samples *train.Batch
	source  dataset.Source
	at      int
	// directions share a pass, and are the argument at the place direction; both are 0 for a phase without.
	directions, direction int
	// carried counts the leading arguments that an output replaces, at the same place: theta and momentum of a step.
	carried int
	// state is the place of the state among the arguments, and of its successor among the outputs of a step; 0 for none.
	state, newState int
}

func newWorkload(backend compute.Backend, n *net.Network, s Setting) *workload {
	if s.Phase != influence.PhaseForward && s.Phase != influence.PhaseStep {
		n = n.Float32() // as estimators differentiate at a model
	}
	w := &workload{backend: backend, net: n, loss: lossOf(n)}
	w.engine = train.NewEngine(backend, n, w.loss)
	theta, state := n.Init(1)
	w.source = s.Source
	vector := func(v []float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(v, len(v)) }
	build := map[string]func([]*Node) []*Node{
		"forward": w.forward, "gradient": w.gradient, "step": w.engine.StepGraph, "score": w.score, "hvp": w.hvp, "ggn": w.ggn,
	}[s.Phase]
	w.exec = MustNewExec(backend, build).WithName(s.Phase).SetMaxCache(-1)
	if s.Phase == "step" {
		w.carried, w.x = 2, 2
		w.args = []any{vector(theta), vector(make([]float32, len(theta))), nil, nil,
			tensors.FromScalar(float32(1e-4)), train.Recipe{Momentum: 0.9, Nesterov: s.Nesterov}.MomentumFactor(), tensors.FromScalar(float32(5e-4))}
		w.newState = 3
	} else {
		w.x = 1
		w.args = []any{vector(theta), nil, nil}
		if slices.Contains(directed, s.Phase) {
			w.directions, w.direction = max(1, s.Directions), len(w.args)
			w.args = append(w.args, nil)
		}
	}
	if len(state) > 0 {
		w.state = len(w.args)
		w.args = append(w.args, vector(state))
	}
	if len(n.Gates) > 0 && s.Phase == "step" {
		gates := make([]float32, len(n.Gates))
		train.DrawGates(n.Gates, 1, 0, gates)
		w.args = append(w.args, vector(gates))
	}
	return w
}

// lossOf returns the loss that a network of its outputs is trained for.
func lossOf(n *net.Network) train.Loss {
	if len(n.Outputs) > 1 {
		return train.SquaredError{}
	}
	return train.CrossEntropy{}
}

// load takes the given number of samples for every run from now on.
func (w *workload) load(batch int) {
	w.batch = batch
	if w.direction > 0 && w.args[w.direction] == nil {
		w.direct(w.directions)
	}
	for _, old := range w.args[w.x : w.x+2] {
		if old != nil {
			_ = old.(*tensors.Tensor).FinalizeAll() // frees memory early, no more
		}
	}
	if w.source != nil {
		w.samples = train.NewBatch(w.source, batch)
		w.args[w.x], w.args[w.x+1] = w.samples.X, w.samples.Y
		return
	}
	in, out := w.shapes(batch)
	targets := normal(product(out))
	if len(out) == 2 {
		clear(targets)
		for i := range batch {
			targets[i*out[1]+i%out[1]] = 1
		}
	}
	w.args[w.x], w.args[w.x+1] = tensors.FromFlatDataAndDimensions(normal(product(in)), in...), tensors.FromFlatDataAndDimensions(targets, out...)
}

// direct takes so many directions for every run from now on.
func (w *workload) direct(n int) {
	w.directions = n
	if old := w.args[w.direction]; old != nil {
		_ = old.(*tensors.Tensor).FinalizeAll() // frees memory early, no more
	}
	w.args[w.direction] = tensors.FromFlatDataAndDimensions(normal(n*w.net.Size()), n, w.net.Size())
}

// shapes are the dimensions of inputs and targets.
func (w *workload) shapes(batch int) (in, out []int) {
	return append([]int{batch}, w.net.Input[:]...), append([]int{batch}, w.net.Outputs...)
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// normal returns n numbers from a normal distribution, of which no more differ than a measurement needs.
func normal(n int) []float32 {
	const different = 1<<16 + 1
	rng := rand.New(rand.NewPCG(1, 2))
	v := make([]float32, n)
	for i := range min(n, different) {
		v[i] = float32(rng.NormFloat64())
	}
	for have := different; have < n; have *= 2 {
		copy(v[have:], v[:have])
	}
	return v
}

// fill loads the next samples into the batch; there may be fewer than it holds.
func (w *workload) fill() error {
	if w.samples == nil {
		return nil
	}
	positions, epochs := make([]int, w.samples.Size()), make([]uint64, w.samples.Size())
	for k := range positions {
		positions[k], epochs[k] = w.at%w.source.Len(), uint64(w.at/w.source.Len())
		w.at++
	}
	if w.carried > 0 {
		return w.samples.FillEpochs(positions, 0, epochs)
	}
	return w.samples.Fill(positions)
}

// run executes the phase once and waits for it.
func (w *workload) run() error {
	if err := w.fill(); err != nil {
		return err
	}
	args := slices.Clone(w.args)
	donate := func(at int) error {
		buffer, err := DonateTensorBuffer(args[at].(*tensors.Tensor), w.backend, 0)
		args[at] = buffer
		return err
	}
	for at := range w.carried {
		if err := donate(at); err != nil {
			return err
		}
	}
	if w.carried > 0 && w.state > 0 {
		if err := donate(w.state); err != nil {
			return err
		}
	}
	out, err := w.exec.Call(args...)
	if err != nil {
		return err
	}
	for k, t := range out {
		switch {
		case k < w.carried:
			w.args[k] = t
		case w.carried > 0 && w.state > 0 && k == w.newState:
			w.args[w.state] = t
		default:
			if err := t.FinalizeAll(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *workload) close() {
	w.exec.Finalize()
	w.engine.Close()
	for _, a := range w.args { // the batch's tensors among them
		_ = a.(*tensors.Tensor).FinalizeAll() // frees memory early, no more
	}
}

// evaluation is a batch with frozen batch norm: parameters, outputs, losses [batch] and their mean.
func (w *workload) evaluation(in []*Node) (params []*Node, outputs, losses, mean *Node) {
	pass := &net.Pass{Params: net.Unflatten(in[0], w.net.Params)}
	if w.state > 0 {
		pass.State = net.Unflatten(in[w.state], w.net.State)
	}
	outputs = w.net.Forward(pass, in[1])
	losses = w.loss.PerSample(outputs, in[2])
	return pass.Params, outputs, losses, ReduceAllMean(losses)
}

func (w *workload) forward(in []*Node) []*Node {
	_, outputs, losses, _ := w.evaluation(in)
	return []*Node{losses, outputs}
}

func (w *workload) gradient(in []*Node) []*Node {
	params, _, _, mean := w.evaluation(in)
	return []*Node{net.Flatten(Gradient(mean, params...))}
}

// each returns what of says for every direction, one after the other.
func (w *workload) each(in []*Node, of func(direction []*Node) []*Node) []*Node {
	var out []*Node
	for k := range w.directions {
		direction := Reshape(Slice(in[3], AxisElem(k)), in[3].Shape().Dimensions[1])
		out = append(out, of(net.Unflatten(direction, w.net.Params))...)
	}
	return out
}

func (w *workload) score(in []*Node) []*Node {
	params, _, losses, _ := w.evaluation(in)
	return w.each(in, func(v []*Node) []*Node { return tangent.Forward([]*Node{losses}, params, v) })
}

func (w *workload) hvp(in []*Node) []*Node {
	params, _, _, mean := w.evaluation(in)
	return w.each(in, func(v []*Node) []*Node { return []*Node{net.Flatten(tangent.HessianProduct(mean, params, v))} })
}

func (w *workload) ggn(in []*Node) []*Node {
	params, outputs, _, mean := w.evaluation(in)
	return w.each(in, func(v []*Node) []*Node {
		return []*Node{net.Flatten(tangent.GaussNewtonProduct(mean, outputs, params, v))}
	})
}
