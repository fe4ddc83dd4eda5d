package train

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

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
	eval    *Exec
}

// NewEngine returns an engine. Close it when it is no longer needed.
func NewEngine(b compute.Backend, n *net.Network, l Loss) *Engine {
	e := &Engine{backend: b, net: n, loss: l}
	e.step = MustNewExec(b, e.StepGraph).WithName("train step").SetMaxCache(-1)
	e.eval = MustNewExec(b, e.evaluationGraph).WithName("evaluation").SetMaxCache(-1)
	return e
}

// Close frees the compiled graphs.
func (e *Engine) Close() {
	e.step.Finalize()
	e.eval.Finalize()
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
	// Epoch and Step count from 1.
	Epoch, Step int
	// Loss is the step's mean loss, NaN or infinite; NaN where it was the parameters that left the finite numbers.
	Loss float64
}

// Error implements error.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("training diverged: the loss is %v at step %d of epoch %d; try a lower learning rate", e.Loss, e.Step, e.Epoch)
}

// StepGraph builds one update, for those who compile it by themselves. Inputs: theta [P], momentum [P], x [batch, height, width, channels], y [batch, ...], the
// scalars learning rate, momentum factor and weight decay, and for a network with state the state [S].
// Outputs: theta', momentum', the mean loss before the update, and the new state where there is one.
func (e *Engine) StepGraph(in []*Node) []*Node {
	theta, momentum, x, y, rate, mu, decay := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
	pass := &net.Pass{Params: net.Unflatten(theta, e.net.Params), Training: true}
	if e.net.StateSize() > 0 {
		pass.State = net.Unflatten(in[7], e.net.State)
		pass.NewState = make([]*Node, len(pass.State))
	}
	loss := ReduceAllMean(e.loss.PerSample(e.net.Forward(pass, x), y))
	// With respect to the tensors, not to the flat vector: cutting it up has no part in the derivative.
	gradient := net.Flatten(Gradient(loss, pass.Params...))
	momentum = Add(Add(Mul(mu, momentum), gradient), Mul(decay, theta))
	out := []*Node{Sub(theta, Mul(rate, momentum)), momentum, loss}
	if e.net.StateSize() > 0 {
		out = append(out, net.Flatten(pass.NewState))
	}
	return out
}

// Train runs one round from scratch on the samples of the source at the positions idx: initial weights and order of
// samples come from the seed (see [Order]). progress, which may be nil, is called after every step. Cancelling ctx stops
// between two steps and returns its error. A loss or parameter that is not finite is a *[DivergedError].
func (e *Engine) Train(ctx context.Context, src dataset.Source, idx []int, r Recipe, seed uint64, progress func(Progress)) (*Model, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	order, err := NewOrder(src.Len(), idx, seed)
	if err != nil {
		return nil, err
	}
	size := min(r.BatchSize, len(idx))
	batch := NewBatch(src, size)
	defer batch.Close()
	theta, state := e.net.Init(seed)
	run := &round{
		engine: e, batch: batch,
		theta:    tensors.FromFlatDataAndDimensions(theta, len(theta)),
		momentum: tensors.FromFlatDataAndDimensions(make([]float32, len(theta)), len(theta)),
		rate:     tensors.FromScalar(float32(0)),
		mu:       tensors.FromScalar(float32(r.Momentum)),
		decay:    tensors.FromScalar(float32(r.WeightDecay)),
	}
	if len(state) > 0 {
		run.state = tensors.FromFlatDataAndDimensions(state, len(state))
	}
	defer run.close()

	positions := make([]int, size)
	p := Progress{Epochs: r.Epochs, Steps: r.Steps(len(idx))}
	var began time.Time
	sum, count := 0.0, 0
	for t := range p.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		order.Batch(t, positions)
		if err := batch.Fill(positions); err != nil {
			return nil, err
		}
		loss, err := run.step(r.Rate(t, p.Steps))
		if err != nil {
			return nil, fmt.Errorf("training %s: %w", e.net.Name, err)
		}
		epoch := t*size/len(idx) + 1
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return nil, &DivergedError{Epoch: epoch, Step: t + 1, Loss: loss}
		}
		if epoch != p.Epoch {
			sum, count = 0, 0
		}
		sum, count = sum+loss, count+1
		p.Epoch, p.Step, p.Loss = epoch, t+1, sum/float64(count)
		if t == 0 {
			began = time.Now()
		} else if seconds := time.Since(began).Seconds(); seconds > 0 {
			p.SamplesPerSecond = float64(t*size) / seconds
		}
		if progress != nil {
			progress(p)
		}
	}
	m := &Model{Theta: theta, State: state}
	if err := run.read(m); err != nil {
		return nil, err
	}
	if !m.finite() {
		return nil, &DivergedError{Epoch: p.Epoch, Step: p.Steps, Loss: math.NaN()}
	}
	return m, nil
}

// round is what one training holds on the device. state is nil for a network without state.
type round struct {
	engine                 *Engine
	batch                  *Batch
	theta, momentum, state *tensors.Tensor
	rate, mu, decay        *tensors.Tensor
}

// step makes one update with the batch as it is filled and returns its mean loss before the update.
func (r *round) step(rate float64) (float64, error) {
	if err := tensors.AssignFlatData(r.rate, []float32{float32(rate)}); err != nil {
		return 0, err
	}
	args := []any{r.theta, r.momentum, r.batch.X, r.batch.Y, r.rate, r.mu, r.decay}
	if r.state != nil {
		args = append(args, r.state)
	}
	for _, k := range []int{0, 1, 7} {
		if k < len(args) {
			donated, err := DonateTensorBuffer(args[k].(*tensors.Tensor), r.engine.backend, 0)
			if err != nil {
				return 0, err
			}
			args[k] = donated
		}
	}
	r.theta, r.momentum, r.state = nil, nil, nil
	out, err := r.engine.step.Call(args...)
	if err != nil {
		return 0, err
	}
	r.theta, r.momentum = out[0], out[1]
	if len(out) > 3 {
		r.state = out[3]
	}
	var loss [1]float32
	err = toFloat32(out[2], loss[:])
	return float64(loss[0]), err
}

// read copies parameters and state from the device into the model.
func (r *round) read(m *Model) error {
	if err := toFloat32(r.theta, m.Theta); err != nil {
		return err
	}
	r.theta = nil
	if r.state == nil {
		return nil
	}
	err := toFloat32(r.state, m.State)
	r.state = nil
	return err
}

func (r *round) close() {
	for _, t := range []*tensors.Tensor{r.theta, r.momentum, r.state, r.rate, r.mu, r.decay} {
		if t != nil {
			// Freeing memory early is all this does; there is nothing to be done about a failure.
			_ = t.FinalizeAll()
		}
	}
}
