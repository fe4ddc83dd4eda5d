package train

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
)

// Trajectory is a finished training that can be gone through backwards. It keeps the parameters of some steps on the device, of others
// in memory or on disk, and computes the rest again from checkpoints, bit for bit, so that bounds on what it keeps are paid for by
// time. It is not safe for concurrent use.
type Trajectory struct {
	round  *round
	ticked func(done, planned int)
	walk   *walk
	final  *Model
	// done counts the steps carried out so far, planned those in all.
	done, planned int
	// vectors is the number of vectors of P values that can be kept beside the start, in store.
	vectors int
	store   *store
	// until is the number of steps that are left to go back over, from the first; ladder keeps the training while it rises, and below are its
	// rungs that this process began above.
	until  int
	ladder *ladder
	rises  bool
	below  int
}

// Bounds limit what a trajectory keeps, in bytes. What fits is kept on the device first, then in memory, then on disk.
type Bounds struct {
	// Device bounds the memory of the device that the trajectory keeps vectors in, where they are made and where they are wanted, beside what
	// training and whoever goes back take there. 0 means none, and is the value for backends whose buffers are memory of the host
	// (HasSharedBuffers): there it would be a second bound on the host memory.
	Device int64
	// Memory bounds the host memory.
	Memory int64
	// Disk bounds a file for what Memory has no room for; 0 means none. It takes the memory of four vectors of parameters to
	// make use of it.
	Disk int64
	// Dir is the folder of the file, which is gone when the trajectory is closed; empty means the system's for temporary files.
	Dir string
}

// Moment is one step of a training, seen before its update. Its tensors and batch are valid until the visit ends, and not to be changed
// or given away.
type Moment struct {
	// Step counts from 0. Rate is its learning rate.
	Step int
	Rate float64
	// Theta [P] and State [S] are what the step starts from, on the device if they were kept there. State is nil for a network without.
	Theta, State *tensors.Tensor
	// Batch holds the samples of the step, Positions their positions in the source.
	Batch     *Batch
	Positions []int
	// Gates [len(Network.Gates)] are the gates of the step; nil for a network without.
	Gates *tensors.Tensor
}

// walk is one stretch of steps that was carried out: the ends of its segments, bounds[0] < ... < bounds[C], where the
// training stood at the start of each, and the parameters of every step of the last one if recorded.
type walk struct {
	bounds []int
	points []stored
	moment []stored // without momentum
}

// stored is a point that is kept: theta with the state beside it.
type stored struct {
	step            int
	theta, momentum *vector
}

// Trajectory is [Engine.SpilledTrajectory] with a bound on the host memory, in bytes, and nothing on disk.
func (e *Engine) Trajectory(ctx context.Context, src dataset.Source, idx []int, r Recipe, seed uint64, memory int64, tick func(done, planned int)) (*Trajectory, error) {
	return e.SpilledTrajectory(ctx, src, idx, r, seed, Bounds{Memory: memory}, tick)
}

// SpilledTrajectory carries out the training that [Engine.Train] does, from the same seed to the same bits, and keeps what
// going through it backwards needs. Bounds too small for the number of steps are an error that says what is needed. tick, which
// may be nil, is called after every step that is carried out, here and in [Trajectory.Backward], with what Done and Planned
// return.
//
// Let T be the steps and M the vectors of P parameters that fit, on the device, in memory and on disk together. With T <= M every step is
// recorded and nothing computed again. Otherwise the steps are cut into the fewest equal segments for which a checkpoint for each, of parameters and
// momentum, and the steps of one segment fit: at least about sqrt(8 T) vectors, for less than one training's steps more.
// With less memory than that the steps are halved, and each half treated so (after Griewank, 1992): the first halving costs
// up to one training more, every further one half of one.
func (e *Engine) SpilledTrajectory(ctx context.Context, src dataset.Source, idx []int, r Recipe, seed uint64, bounds Bounds, tick func(done, planned int)) (*Trajectory, error) {
	return e.KeptTrajectory(ctx, src, idx, r, seed, bounds, Keep{}, math.MaxInt, tick)
}

// KeptTrajectory is SpilledTrajectory that keeps on the way how far the training is, time and again, and goes through it backwards from the
// given number of steps, or from its end if that comes before. Whoever continues after an interruption computes again what the process before
// had in memory, and less than what a call of the keeper's Every lies apart beside. Where it does not reach the end, Final is nil.
func (e *Engine) KeptTrajectory(ctx context.Context, src dataset.Source, idx []int, r Recipe, seed uint64, bounds Bounds, keep Keep, until int,
	tick func(done, planned int)) (*Trajectory, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	run, err := e.newRound(src, idx, r, seed)
	if err != nil {
		return nil, err
	}
	if tick == nil {
		tick = func(int, int) {}
	}
	t := &Trajectory{round: run, ticked: tick, until: min(until, run.steps)}
	if err := t.provide(bounds); err != nil {
		t.Close()
		return nil, err
	}
	if t.ladder, err = newLadder(keep, run, idx, t.until); err == nil {
		t.plan()
		err = t.begin(ctx, seed)
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// provide settles how many vectors are kept, and where, and makes the store for them.
func (t *Trajectory) provide(bounds Bounds) error {
	n, steps := t.round.engine.net, t.round.steps
	if err := checkReplay(n, steps, bounds); err != nil {
		return err
	}
	room := provision(steps, t.vectorBytes(), bounds)
	t.vectors = room.vectors()
	var err error
	t.store, err = newStore(t.round.engine.backend, n.Size(), n.StateSize(), room, bounds.Dir)
	return err
}

// plan counts the steps to come: those to the end, what going back computes again of them, and of what lies below each rung.
func (t *Trajectory) plan() {
	t.below = len(t.ladder.steps)
	left := t.until - t.ladder.top()
	if whole := t.until == t.round.steps; whole {
		t.planned = left + again(left, t.vectors, true)
	} else {
		t.planned = again(left, t.vectors, false)
	}
	from := 0
	for _, to := range t.ladder.steps {
		t.planned += again(to-from, t.vectors, false)
		from = to
	}
}

// rung returns the start of the training for 0, and the k-th of its rungs from 1.
func (t *Trajectory) rung(k int, seed uint64) (stored, error) {
	if k == 0 {
		theta, state := t.round.engine.net.Init(seed)
		return start(point{theta: theta, momentum: make([]float32, len(theta)), state: state}), nil
	}
	kept, err := t.ladder.load(k-1, t.round)
	if err == nil && (kept == nil || kept.step != t.ladder.steps[k-1]) {
		err = fmt.Errorf("step %d of the training, which was kept, is not there any more", t.ladder.steps[k-1])
	}
	if err != nil {
		return stored{}, err
	}
	return start(*kept), nil
}

// start is a point in memory that the store doesn't know.
func start(p point) stored {
	return stored{step: p.step, theta: &vector{values: p.theta, state: p.state}, momentum: &vector{values: p.momentum}}
}

func (t *Trajectory) begin(ctx context.Context, seed uint64) error {
	start, err := t.rung(t.below, seed)
	if err != nil {
		return err
	}
	t.store.hold(startVectors)
	t.rises = true
	whole := t.until == t.round.steps
	if t.walk, err = t.advance(ctx, start, t.until, t.vectors, whole); err != nil {
		return err
	}
	t.rises = false
	if !whole {
		return nil
	}
	n := t.round.engine.net
	t.final = &Model{Theta: make([]float32, n.Size()), State: make([]float32, n.StateSize())}
	if err := t.round.read(t.final); err != nil {
		return err
	}
	if !t.final.finite() {
		return &DivergedError{Net: t.round.engine.net.Name, Epoch: t.round.recipe.Epochs, Step: t.round.steps, Loss: math.NaN()}
	}
	return nil
}

// Final returns the model that training ended with, the same as Train's; nil if it was not carried out to its end.
func (t *Trajectory) Final() *Model { return t.final }

// Steps returns the number of steps of the training.
func (t *Trajectory) Steps() int { return t.round.steps }

// Done returns the number of steps carried out so far.
func (t *Trajectory) Done() int { return t.done }

// Planned returns what Done will be after Backward.
func (t *Trajectory) Planned() int { return t.planned }

// Peak returns the most host memory that the trajectory has held, in bytes.
func (t *Trajectory) Peak() int64 { return int64(t.store.peak) * t.vectorBytes() }

// PeakOnDevice returns the most memory of the device that the trajectory has kept vectors in, in bytes.
func (t *Trajectory) PeakOnDevice() int64 { return int64(t.store.peakOnDevice) * t.vectorBytes() }

// PeakOnDisk returns the most bytes that the trajectory has kept on disk.
func (t *Trajectory) PeakOnDisk() int64 {
	if t.store.disk == nil {
		return 0
	}
	return int64(t.store.disk.most) * t.vectorBytes()
}

// Close frees everything, and removes the file.
func (t *Trajectory) Close() {
	t.round.close()
	t.walk = nil
	if t.store != nil {
		t.store.close()
	}
}

// Backward calls visit with every step from the last to the first, and frees what it has passed, so that it can be
// called once. Cancelling ctx stops between two steps and returns its error; so does an error of visit.
func (t *Trajectory) Backward(ctx context.Context, visit func(Moment) error) error {
	w := t.walk
	if w == nil {
		return fmt.Errorf("a trajectory can be gone through backwards once")
	}
	t.walk = nil
	if err := t.back(ctx, w, t.vectors, visit); err != nil {
		return err
	}
	for k := t.below - 1; k >= 0; k-- {
		start, err := t.rung(k, t.round.seed)
		if err != nil {
			return err
		}
		if w, err = t.advance(ctx, start, t.ladder.steps[k], t.vectors, false); err != nil {
			return err
		}
		if err := t.back(ctx, w, t.vectors, visit); err != nil {
			return err
		}
	}
	return nil
}

// back visits the steps of a walk backwards with the given number of vectors for checkpoints and steps, those that the
// walk holds included, but for its start.
func (t *Trajectory) back(ctx context.Context, w *walk, vectors int, visit func(Moment) error) error {
	for j := len(w.points) - 1; j >= 0; j-- {
		free := vectors - 2*j
		if j < len(w.points)-1 || w.moment == nil {
			inner, err := t.advance(ctx, w.points[j], w.bounds[j+1], free, false)
			if err != nil {
				return err
			}
			if err := t.back(ctx, inner, free, visit); err != nil {
				return err
			}
		} else if err := t.visit(ctx, w.moment, visit); err != nil {
			return err
		}
		if j > 0 {
			t.release(w.points[j])
		}
	}
	return nil
}

func (t *Trajectory) visit(ctx context.Context, moments []stored, visit func(Moment) error) error {
	for k := len(moments) - 1; k >= 0; k-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		step := moments[k].step
		theta, state, err := t.store.view(moments[k].theta)
		if err != nil {
			return err
		}
		if err := t.round.fill(step); err != nil {
			return err
		}
		if err := visit(Moment{
			Step: step, Rate: t.round.recipe.Rate(step, t.round.steps), Theta: theta, State: state,
			Batch: t.round.batch, Positions: t.round.positions, Gates: t.round.gates,
		}); err != nil {
			return err
		}
		t.release(moments[k])
	}
	return nil
}

// advance carries out the steps from start to end, or, where the end is not asked for, those that going back needs.
func (t *Trajectory) advance(ctx context.Context, start stored, end, vectors int, toEnd bool) (*walk, error) {
	segments, recorded := cut(end-start.step, vectors)
	w := &walk{bounds: make([]int, segments+1), points: []stored{start}}
	for j := range w.bounds {
		w.bounds[j] = start.step + j*(end-start.step)/segments
	}
	last := w.bounds[segments-1]
	stop := end - 1 // the last step need not be carried out to know where it starts
	if toEnd {
		stop = end
	} else if !recorded {
		stop = last
	}
	if err := t.store.load(t.round, start); err != nil {
		return nil, err
	}
	for s := start.step; ; {
		// Before the trajectory keeps this point: a rung is read by way of copies in memory, which what is kept on the device must not have.
		if t.rises && s != stop && t.ladder.due(s) {
			if err := t.ladder.save(s, t.round); err != nil {
				return nil, err
			}
		}
		if j := len(w.points); j < segments && s == w.bounds[j] {
			p, err := t.save(s, true)
			if err != nil {
				return nil, err
			}
			w.points = append(w.points, p)
		}
		if recorded && s >= last && s < end {
			p, err := t.save(s, false)
			if err != nil {
				return nil, err
			}
			w.moment = append(w.moment, p)
		}
		if s == stop {
			return w, nil
		}
		if err := ctx.Err(); err != nil {
			if t.rises {
				err = cmp.Or(t.ladder.save(s, t.round), err)
			}
			return nil, err
		}
		next := stop // where a point is kept, or the end
		switch {
		case recorded && s >= last:
			next = s + 1
		case len(w.points) < segments:
			next = min(stop, w.bounds[len(w.points)])
		}
		losses, err := t.round.advance(s, min(t.round.ahead, next-s))
		if err != nil {
			return nil, t.store.advise(err)
		}
		for _, l := range losses {
			loss, epoch := float64(l), s*len(t.round.positions)/t.round.order.size+1
			s++
			if math.IsNaN(loss) || math.IsInf(loss, 0) {
				return nil, &DivergedError{Net: t.round.engine.net.Name, Epoch: epoch, Step: s, Loss: loss}
			}
			t.done++
			t.ticked(t.done, t.planned)
		}
	}
}

// vectorBytes is the memory of one step's parameters and state.
func (t *Trajectory) vectorBytes() int64 { return vectorBytes(t.round.engine.net) }

// save keeps where the training stands, with or without momentum.
func (t *Trajectory) save(step int, momentum bool) (stored, error) {
	p := stored{step: step}
	var err error
	if p.theta, err = t.keep(t.round.theta, t.round.state); err == nil && momentum {
		p.momentum, err = t.keep(t.round.momentum, nil)
	}
	return p, err
}

// keep keeps a vector that the training stands at, and the state beside it. What stays on the device is the store's.
func (t *Trajectory) keep(values, state *tensors.Tensor) (*vector, error) {
	v, err := t.store.keep(values, state)
	if err == nil && v.tensor != nil {
		t.round.keep(values)
		t.round.keep(state)
	}
	return v, err
}

// release takes the place of a point back for the next save.
func (t *Trajectory) release(p stored) {
	t.store.release(p.theta)
	t.store.release(p.momentum)
}
