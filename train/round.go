package train

import (
	"cmp"
	"fmt"
	"slices"

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
	// kept are those of theta, momentum and state that somebody else goes on using, and frees.
	kept []*tensors.Tensor
	// weightOf holds the weights of the samples by position in the source, and weights those of the batch, in a weighted
	// training; else both are nil.
	weightOf []float32
	weights  *tensors.Tensor
	// watch, unless nil, is handed the labels of the samples at the positions of every step, and the outputs of the network for them, flat.
	watch func(t int, labels []int, outputs []float32)
	// resident is the training set on the device, nil where the host makes the batches; then a call is one step. ahead is how many steps the next
	// call may take, at least 1.
	resident *resident
	ahead    int
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
		ahead: 1,
	}
	if run.resident, err = e.newResident(src, r.LabelSmoothing); err != nil {
		run.close()
		return nil, err
	}
	if gates := len(e.net.Gates); gates > 0 {
		run.gates = tensors.FromFlatDataAndDimensions(make([]float32, gates), gates)
	}
	return run, nil
}

// load puts the training where p stands. The vectors are copied.
func (r *round) load(p point) {
	var state *tensors.Tensor
	if len(p.state) > 0 {
		state = tensors.FromFlatDataAndDimensions(p.state, len(p.state))
	}
	r.put(tensors.FromFlatDataAndDimensions(p.theta, len(p.theta)), tensors.FromFlatDataAndDimensions(p.momentum, len(p.momentum)), state)
}

// put puts the training where these tensors stand, which are its own from then on but for those that it is told to keep.
func (r *round) put(theta, momentum, state *tensors.Tensor) {
	r.free()
	r.theta, r.momentum, r.state = theta, momentum, state
}

// keep says that a tensor that the training stands at belongs to somebody else. The next step reads it and makes another.
func (r *round) keep(t *tensors.Tensor) {
	if t != nil && !slices.Contains(r.kept, t) {
		r.kept = append(r.kept, t)
	}
}

// give returns what hands a tensor over to a call: the tensor itself where it is kept, else its buffer, for the call to reuse.
func (r *round) give(t *tensors.Tensor) (any, error) {
	if slices.Contains(r.kept, t) {
		return t, nil
	}
	return DonateTensorBuffer(t, r.engine.backend, 0)
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

// advance carries out the n steps from t on, for which the training must stand at t, and returns the mean loss of each before its
// update. n is at most ahead.
func (r *round) advance(t, n int) (losses []float32, err error) {
	if r.resident != nil {
		losses, err = r.stepsOnDevice(t, n)
	} else {
		if err := r.fill(t); err != nil {
			return nil, err
		}
		losses, err = r.step(t)
	}
	if err != nil {
		return nil, fmt.Errorf("training %s: %w", r.engine.net.Name, err)
	}
	return losses, nil
}

// step makes the update of step t with the batch as it is filled and returns its mean loss before the update, a list of one.
func (r *round) step(t int) ([]float32, error) {
	if err := tensors.AssignFlatData(r.rate, []float32{float32(r.recipe.Rate(t, r.steps))}); err != nil {
		return nil, err
	}
	args := []any{r.theta, r.momentum, r.batch.X, r.batch.Y, r.rate, r.mu, r.decay}
	if r.state != nil {
		args = append(args, r.state)
	}
	if err := cmp.Or(r.donate(args[:2]), r.donate(args[7:])); err != nil { // theta, momentum, state
		return nil, err
	}
	if r.gates != nil {
		args = append(args, r.gates)
	}
	exec, stateful := r.engine.step, r.state != nil
	if r.watch != nil {
		exec = r.engine.recorded
	}
	r.theta, r.momentum, r.state, r.kept = nil, nil, nil, nil
	if r.weights != nil {
		if err := r.fillWeights(); err != nil {
			return nil, err
		}
		exec, args = r.engine.weighted, append(args, r.weights)
	}
	out, err := exec.Call(args...)
	if err != nil {
		return nil, err
	}
	r.theta, r.momentum = out[0], out[1]
	if stateful {
		r.state = out[3]
	}
	if r.watch != nil {
		if err := r.watchStep(t, out[len(out)-1]); err != nil {
			return nil, err
		}
	}
	losses := make([]float32, 1)
	return losses, toFloat32(out[2], losses)
}

// watchStep hands on the outputs of the network in step t, for the batch as it is filled, and frees them.
func (r *round) watchStep(t int, outputs *tensors.Tensor) error {
	labels, err := r.batch.labels()
	if err != nil {
		return err
	}
	err = tensors.ConstFlatData(outputs, func(flat []float32) { r.watch(t, labels, flat) })
	return cmp.Or(err, outputs.FinalizeAll())
}

// donate puts in place of tensors what hands these over to a call: see give.
func (r *round) donate(args []any) error {
	for k, a := range args {
		given, err := r.give(a.(*tensors.Tensor))
		if err != nil {
			return err
		}
		args[k] = given
	}
	return nil
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

// free frees what load and step put on the device, but for what is kept.
func (r *round) free() {
	for _, t := range []*tensors.Tensor{r.theta, r.momentum, r.state} {
		if t != nil && !slices.Contains(r.kept, t) {
			// Freeing memory early is all this does; there is nothing to be done about a failure.
			_ = t.FinalizeAll()
		}
	}
	r.theta, r.momentum, r.state, r.kept = nil, nil, nil, nil
}

// close frees everything. It may be called again.
func (r *round) close() {
	r.free()
	finalize(r.rate, r.mu, r.decay, r.weights, r.gates)
	_ = r.batch.Close()
	if r.resident != nil {
		r.resident.close(r.engine)
		r.resident = nil // other rounds may use the pixels
	}
}
