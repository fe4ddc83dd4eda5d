package train

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
)

// round is what one training holds on the device, and the order and settings that its steps follow. state is nil for a
// network without state.
type round struct {
	engine                 *Engine
	recipe                 Recipe
	seed                   uint64
	order                  *Order
	steps                  int
	positions              []int    // of the samples in batch
	epochs                 []uint64 // that each of them belongs to
	batch                  *Batch
	theta, momentum, state *tensors.Tensor
	rate, mu, decay        *tensors.Tensor
	gates                  *tensors.Tensor // of the step; nil for a network without
	// weightOf holds the weights of the samples by position in the source, and weights those of the batch, in a weighted
	// training; else both are nil.
	weightOf []float32
	weights  *tensors.Tensor
	// watch, unless nil, is handed the outputs of the network for the batch of every step, flat.
	watch func(t int, outputs []float32) error
}

// point is where a training stands between two steps: copies on the host. step counts the steps done.
type point struct {
	step                   int
	theta, momentum, state []float32
}

// newRound prepares a training of a valid recipe; load puts it somewhere.
func (e *Engine) newRound(src dataset.Source, idx []int, r Recipe, seed uint64) (*round, error) {
	order, err := NewOrder(src.Len(), idx, seed)
	if err != nil {
		return nil, err
	}
	if !r.Augmentation.IsZero() {
		// Positions stay what they are, so whoever trains, replays or evaluates speaks of the same samples.
		if src, err = dataset.Augmented(src, r.Augmentation); err != nil {
			return nil, err
		}
	}
	size := min(r.BatchSize, len(idx))
	batch, err := NewTrainingBatch(src, size, r, e.loss)
	if err != nil {
		return nil, err
	}
	run := &round{
		engine: e, recipe: r, seed: seed, order: order, steps: r.Steps(len(idx)),
		positions: make([]int, size), epochs: make([]uint64, size), batch: batch,
		rate:  tensors.FromScalar(float32(0)),
		mu:    r.MomentumFactor(),
		decay: tensors.FromScalar(float32(r.WeightDecay)),
	}
	if gates := len(e.net.Gates); gates > 0 {
		run.gates = tensors.FromFlatDataAndDimensions(make([]float32, gates), gates)
	}
	return run, nil
}

// load puts the training where p stands. The vectors are copied.
func (r *round) load(p point) {
	r.free()
	r.theta = tensors.FromFlatDataAndDimensions(p.theta, len(p.theta))
	r.momentum = tensors.FromFlatDataAndDimensions(p.momentum, len(p.momentum))
	if len(p.state) > 0 {
		r.state = tensors.FromFlatDataAndDimensions(p.state, len(p.state))
	}
}

// fill loads the samples of step t into the batch, and its gates.
func (r *round) fill(t int) error {
	r.order.Batch(t, r.positions)
	for k := range r.epochs {
		r.epochs[k] = r.order.Epoch(t*len(r.positions) + k)
	}
	if err := r.drawGates(t); err != nil {
		return err
	}
	return r.batch.FillEpochs(r.positions, r.seed, r.epochs)
}

// advance carries out step t, for which the training must stand at t, and returns the mean loss before the update.
func (r *round) advance(t int) (float64, error) {
	if err := r.fill(t); err != nil {
		return 0, err
	}
	loss, err := r.step(t)
	if err != nil {
		return 0, fmt.Errorf("training %s: %w", r.engine.net.Name, err)
	}
	return loss, nil
}

// step makes the update of step t with the batch as it is filled and returns its mean loss before the update.
func (r *round) step(t int) (float64, error) {
	if err := tensors.AssignFlatData(r.rate, []float32{float32(r.recipe.Rate(t, r.steps))}); err != nil {
		return 0, err
	}
	args := []any{r.theta, r.momentum, r.batch.X, r.batch.Y, r.rate, r.mu, r.decay}
	if r.state != nil {
		args = append(args, r.state)
	}
	for _, k := range []int{0, 1, 7} { // theta, momentum, state
		if k < len(args) {
			donated, err := DonateTensorBuffer(args[k].(*tensors.Tensor), r.engine.backend, 0)
			if err != nil {
				return 0, err
			}
			args[k] = donated
		}
	}
	if r.gates != nil {
		args = append(args, r.gates)
	}
	exec, stateful := r.engine.step, r.state != nil
	if r.watch != nil {
		exec = r.engine.recorded
	}
	r.theta, r.momentum, r.state = nil, nil, nil
	if r.weights != nil {
		if err := r.fillWeights(); err != nil {
			return 0, err
		}
		exec, args = r.engine.weighted, append(args, r.weights)
	}
	out, err := exec.Call(args...)
	if err != nil {
		return 0, err
	}
	r.theta, r.momentum = out[0], out[1]
	if stateful {
		r.state = out[3]
	}
	if r.watch != nil {
		outputs := out[len(out)-1]
		var watched error
		if err := tensors.ConstFlatData(outputs, func(flat []float32) { watched = r.watch(t, flat) }); err != nil {
			return 0, err
		}
		if watched != nil {
			return 0, watched
		}
		if err := outputs.FinalizeAll(); err != nil {
			return 0, err
		}
	}
	var loss [1]float32
	err = toFloat32(out[2], loss[:])
	return float64(loss[0]), err
}

// read moves parameters and state from the device into the model.
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

// copied returns a copy of parameters and state as they stand.
func (r *round) copied() (*Model, error) {
	m := &Model{Theta: make([]float32, r.theta.Size())}
	if err := tensors.ConstFlatData(r.theta, func(flat []float32) { copy(m.Theta, flat) }); err != nil || r.state == nil {
		return m, err
	}
	m.State = make([]float32, r.state.Size())
	return m, tensors.ConstFlatData(r.state, func(flat []float32) { copy(m.State, flat) })
}

// free frees what load and step put on the device.
func (r *round) free() {
	for _, t := range []*tensors.Tensor{r.theta, r.momentum, r.state} {
		if t != nil {
			// Freeing memory early is all this does; there is nothing to be done about a failure.
			_ = t.FinalizeAll()
		}
	}
	r.theta, r.momentum, r.state = nil, nil, nil
}

func (r *round) close() {
	r.free()
	for _, t := range []*tensors.Tensor{r.rate, r.mu, r.decay} {
		_ = t.FinalizeAll()
	}
	for _, t := range []*tensors.Tensor{r.weights, r.gates} {
		if t != nil {
			_ = t.FinalizeAll()
		}
	}
	_ = r.batch.Close()
}
