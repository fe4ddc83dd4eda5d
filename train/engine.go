package train

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
)

// Engine trains and evaluates one network for one loss on one backend. It compiles its graphs when they are first
// needed and keeps them over rounds: hyper-parameters are inputs, so only another batch size compiles anew.
// It is safe for concurrent use.
type Engine struct {
	backend compute.Backend
	net     *net.Network
	loss    Loss
	step    *Exec
	// weighted is step with a weight for every sample.
	weighted *Exec
	// recorded is step with the outputs of the network beside the update.
	recorded *Exec
	eval     *Exec

	// apart says whether training sets are kept on the device, up to deviceMemory bytes of pixels, and loop builds the loop over steps:
	// tests set both.
	apart        bool
	deviceMemory int64
	loop         func(start []*Node, before func(around []*Node) *Node, once func(around []*Node) []*Node) []*Node

	mu     sync.Mutex
	steps  map[stepsKind]*Exec         // many steps in one call, compiled when they are first needed
	pixels map[pixelsKey]*devicePixels // those in use
}

// NewEngine returns an engine. Close it when it is no longer needed.
func NewEngine(b compute.Backend, n *net.Network, l Loss) *Engine {
	e := &Engine{backend: b, net: n, loss: l, apart: apart(b), deviceMemory: DefaultDeviceMemory, loop: whileLoop}
	e.steps, e.pixels = map[stepsKind]*Exec{}, map[pixelsKey]*devicePixels{}
	e.step = MustNewExec(b, e.StepGraph).WithName("train step").SetMaxCache(-1)
	e.weighted = MustNewExec(b, e.weightedStepGraph).WithName("weighted train step").SetMaxCache(-1)
	e.recorded = MustNewExec(b, e.recordedStepGraph).WithName("recorded train step").SetMaxCache(-1)
	e.eval = MustNewExec(b, e.evaluationGraph).WithName("evaluation").SetMaxCache(-1)
	return e
}

// Close frees the compiled graphs.
func (e *Engine) Close() {
	e.step.Finalize()
	e.weighted.Finalize()
	e.recorded.Finalize()
	e.eval.Finalize()
	for _, steps := range e.steps {
		steps.Finalize()
	}
}

// Progress is where a training stands after a step.
type Progress struct {
	// Epoch counts from 1; Step counts the steps done. Epochs and Steps are the totals.
	Epoch, Epochs, Step, Steps int
	// Loss is the mean loss over the current epoch's steps so far, each taken before its update.
	Loss float64
	// SamplesPerSecond is the mean speed since the first step, whose compilation is left out.
	SamplesPerSecond float64
}

// DivergedError says that training left the finite numbers: the learning rate is too high for the data and network.
type DivergedError struct {
	// Net names the network.
	Net string
	// Epoch and Step count from 1.
	Epoch, Step int
	// Loss is the step's mean loss, NaN or infinite; NaN where it was the parameters that left the finite numbers.
	Loss float64
}

// advice is what helps against divergence.
const advice = "try a lower learning rate"

// Error implements error.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("training of %s diverged: the loss is %v at step %d of epoch %d; %s", e.Net, e.Loss, e.Step, e.Epoch, advice)
}

// StepGraph builds one update, for those who compile it by themselves. Inputs: theta [P], momentum [P], x [batch, height, width, channels], y [batch, ...], the
// scalars learning rate, momentum factor and weight decay, for a network with state the state [S], and for one with gates
// those of the step (see [DrawGates]). A momentum factor of shape [1] asks for Nesterov's momentum: it is another graph,
// compiled when it is first needed.
// Outputs: theta', momentum', the mean loss before the update, and the new state where there is one.
func (e *Engine) StepGraph(in []*Node) []*Node {
	out, _ := e.update(in, meanLoss)
	return out
}

func meanLoss(losses *Node) *Node { return ReduceAllMean(losses) }

// recordedStepGraph is StepGraph with the outputs of the network, [batch, ...], in training mode and before the update, as
// one output more.
func (e *Engine) recordedStepGraph(in []*Node) []*Node {
	out, outputs := e.update(in, meanLoss)
	return append(out, outputs)
}

// update builds the outputs of StepGraph, and those of the network, for a batch loss that is made of the losses of the
// samples, [batch].
func (e *Engine) update(in []*Node, join func(losses *Node) *Node) (out []*Node, outputs *Node) {
	theta, momentum, x, y, rate, mu, decay := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
	pass := &net.Pass{Params: net.Unflatten(theta, e.net.Params), Training: true}
	if e.net.StateSize() > 0 {
		pass.State = net.Unflatten(in[7], e.net.State)
		pass.NewState = make([]*Node, len(pass.State))
	}
	if len(e.net.Gates) > 0 {
		pass.Gates = in[len(in)-1]
	}
	outputs = e.net.Forward(pass, x)
	loss := join(e.loss.PerSample(outputs, y))
	// With respect to the tensors, not to the flat vector: cutting it up has no part in the derivative.
	gradient := net.Flatten(Gradient(loss, pass.Params...))
	nesterov := mu.Rank() == 1
	mu = Reshape(mu)
	momentum = Add(Add(Mul(mu, momentum), gradient), Mul(decay, theta))
	direction := momentum
	if nesterov {
		direction = Add(Add(gradient, Mul(decay, theta)), Mul(mu, momentum))
	}
	out = []*Node{Sub(theta, Mul(rate, direction)), momentum, loss}
	if e.net.StateSize() > 0 {
		out = append(out, net.Flatten(pass.NewState))
	}
	return out, outputs
}

// Train runs one round from scratch on the samples of the source at the positions idx: initial weights and order of
// samples come from the seed (see [Order]). progress, which may be nil, is called after every step. Cancelling ctx stops
// between two steps and returns its error. A loss or parameter that is not finite is a *[DivergedError].
func (e *Engine) Train(ctx context.Context, src dataset.Source, idx []int, r Recipe, seed uint64, progress func(Progress)) (*Model, error) {
	m, _, err := e.TrainRecorded(ctx, src, idx, r, seed, Recording{}, progress)
	return m, err
}

// TrainRecorded is Train, and keeps along the way what rec asks for, at no extra run: the network's outputs come from the
// forward pass of the step. The model has the very bits of Train's. The record is nil if rec asks for nothing. Dynamics of
// a training that is no classification are an error.
func (e *Engine) TrainRecorded(ctx context.Context, src dataset.Source, idx []int, r Recipe, seed uint64, rec Recording,
	progress func(Progress)) (*Model, *Record, error) {
	t, err := e.train(ctx, src, idx, nil, r, seed, rec, Keep{}, progress)
	if err != nil {
		return nil, nil, err
	}
	return t.Model, t.Record, nil
}

func (e *Engine) train(ctx context.Context, src dataset.Source, idx []int, weights []float32, r Recipe, seed uint64, rec Recording, keep Keep,
	progress func(Progress)) (*Trained, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	theta, state := e.net.Init(seed)
	run, err := e.newRound(src, idx, r, seed)
	if err != nil {
		return nil, err
	}
	defer run.close()
	if weights != nil {
		run.weigh(src.Len(), idx, weights)
	}
	recorder, err := newRecorder(run, rec, src, idx)
	if err != nil {
		return nil, err
	}
	var losses epochLoss
	keeper := newKeeper(keep, run, recorder, rec, idx, weights)
	first, err := keeper.resume(&losses)
	if err != nil {
		return nil, err
	}
	if first == 0 {
		run.load(point{theta: theta, momentum: make([]float32, len(theta)), state: state})
	}
	size := run.batch.Size()

	p := Progress{Epochs: r.Epochs, Steps: run.steps}
	var began time.Time
	for t := first; t < p.Steps; {
		if err := ctx.Err(); err != nil {
			return nil, cmp.Or(keeper.save(t, &losses), err)
		}
		if keeper.due(t) {
			if err := keeper.save(t, &losses); err != nil {
				return nil, err
			}
		}
		if err := recorder.before(t); err != nil {
			return nil, err
		}
		done, err := run.advance(t, min(run.ahead, recorder.next(t)-t))
		if err != nil {
			return nil, err
		}
		if t == first {
			began = time.Now()
		} else if seconds := time.Since(began).Seconds(); seconds > 0 {
			p.SamplesPerSecond = float64((t+len(done)-1-first)*size) / seconds
		}
		for _, l := range done {
			loss, epoch := float64(l), t*size/len(idx)+1
			t++
			if math.IsNaN(loss) || math.IsInf(loss, 0) {
				return nil, &DivergedError{Net: e.net.Name, Epoch: epoch, Step: t, Loss: loss}
			}
			p.Epoch, p.Step, p.Loss = epoch, t, losses.add(epoch, loss)
			if progress != nil {
				progress(p)
			}
		}
	}
	if keep.End {
		if err := keeper.save(p.Steps, &losses); err != nil {
			return nil, err
		}
	}
	record, err := recorder.end()
	if err != nil {
		return nil, err
	}
	m := &Model{Theta: theta, State: state}
	if err := run.read(m); err != nil {
		return nil, err
	}
	if !m.finite() {
		return nil, &DivergedError{Net: e.net.Name, Epoch: p.Epoch, Step: p.Steps, Loss: math.NaN()}
	}
	if record != nil {
		record.End = m.Digest()
	}
	return &Trained{Model: m, Record: record, Curve: losses.curve, Seconds: keeper.seconds()}, nil
}
