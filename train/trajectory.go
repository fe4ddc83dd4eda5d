package train

import (
	"context"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
)

// Trajectory is a finished training that can be gone through backwards. It keeps the parameters of some steps in memory
// and computes the others again from checkpoints, bit for bit, so that a bound on memory is paid for by time. Nothing is
// spilled to disk. It is not safe for concurrent use.
type Trajectory struct {
	round  *round
	memory int64
	ticked func(done, planned int)
	walk   *walk
	final  *Model
	// done counts the steps carried out so far, planned those in all.
	done, planned int
	spare         [][]float32
	used          int // vectors of P values in memory
	peak          int
}

// Moment is one step of a training, seen before its update. Its vectors and batch are valid until the visit ends.
type Moment struct {
	// Step counts from 0. Rate is its learning rate.
	Step int
	Rate float64
	// Theta [P] and State [S] are what the step starts from.
	Theta, State []float32
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
	points []point
	moment []point // without momentum
}

// Trajectory carries out the training that [Engine.Train] does, from the same seed to the same bits, and keeps what
// going through it backwards needs. memory bounds the host memory for that, in bytes; a bound too small for the number
// of steps is an error that says what is needed. tick, which may be nil, is called after every step that is carried
// out, here and in [Trajectory.Backward], with what Done and Planned return.
//
// Let T be the steps and M the vectors of P parameters that fit. With T <= M every step is recorded and nothing computed
// again. Otherwise the steps are cut into the fewest equal segments for which a checkpoint for each, of parameters and
// momentum, and the steps of one segment fit: at least about sqrt(8 T) vectors, for less than one training's steps more.
// With less memory than that the steps are halved, and each half treated so (after Griewank, 1992): the first halving costs
// up to one training more, every further one half of one.
func (e *Engine) Trajectory(ctx context.Context, src dataset.Source, idx []int, r Recipe, seed uint64, memory int64, tick func(done, planned int)) (*Trajectory, error) {
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
	t := &Trajectory{round: run, memory: memory, ticked: tick}
	if least := 2 + leastVectors(run.steps); t.vectors() < least-2 {
		run.close()
		return nil, fmt.Errorf("going back through %d steps of %s takes at least %d bytes of memory, the bound is %d",
			run.steps, e.net.Name, int64(least)*t.vectorBytes(), memory)
	}
	t.planned = run.steps + again(run.steps, t.vectors(), true)
	if err := t.begin(ctx, seed); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Trajectory) begin(ctx context.Context, seed uint64) error {
	theta, state := t.round.engine.net.Init(seed)
	start := point{theta: theta, momentum: make([]float32, len(theta)), state: state}
	t.hold(2)
	var err error
	if t.walk, err = t.advance(ctx, start, t.round.steps, t.vectors(), true); err != nil {
		return err
	}
	t.final = &Model{Theta: make([]float32, len(theta)), State: make([]float32, len(state))}
	if err := t.round.read(t.final); err != nil {
		return err
	}
	if !t.final.finite() {
		return &DivergedError{Epoch: t.round.recipe.Epochs, Step: t.round.steps, Loss: math.NaN()}
	}
	return nil
}

// Final returns the model that training ended with, the same as Train's.
func (t *Trajectory) Final() *Model { return t.final }

// Steps returns the number of steps of the training.
func (t *Trajectory) Steps() int { return t.round.steps }

// Done returns the number of steps carried out so far.
func (t *Trajectory) Done() int { return t.done }

// Planned returns what Done will be after Backward.
func (t *Trajectory) Planned() int { return t.planned }

// Peak returns the most host memory that the trajectory has held, in bytes.
func (t *Trajectory) Peak() int64 { return int64(t.peak) * t.vectorBytes() }

// Close frees everything.
func (t *Trajectory) Close() {
	t.round.close()
	t.walk, t.spare = nil, nil
}

// Backward calls visit with every step from the last to the first, and frees what it has passed, so that it can be
// called once. Cancelling ctx stops between two steps and returns its error; so does an error of visit.
func (t *Trajectory) Backward(ctx context.Context, visit func(Moment) error) error {
	w := t.walk
	if w == nil {
		return fmt.Errorf("a trajectory can be gone through backwards once")
	}
	t.walk = nil
	return t.back(ctx, w, t.vectors(), visit)
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
			t.release(w.points[j].theta, w.points[j].momentum)
		}
	}
	return nil
}

func (t *Trajectory) visit(ctx context.Context, moments []point, visit func(Moment) error) error {
	for k := len(moments) - 1; k >= 0; k-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := moments[k]
		if err := t.round.fill(p.step); err != nil {
			return err
		}
		if err := visit(Moment{
			Step: p.step, Rate: t.round.recipe.Rate(p.step, t.round.steps), Theta: p.theta, State: p.state,
			Batch: t.round.batch, Positions: t.round.positions, Gates: t.round.gates,
		}); err != nil {
			return err
		}
		t.release(p.theta)
	}
	return nil
}

// advance carries out the steps from start to end, or, where the end is not asked for, those that going back needs.
func (t *Trajectory) advance(ctx context.Context, start point, end, vectors int, toEnd bool) (*walk, error) {
	segments, recorded := cut(end-start.step, vectors)
	w := &walk{bounds: make([]int, segments+1), points: []point{start}}
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
	t.round.load(start)
	for s := start.step; ; s++ {
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
			return nil, err
		}
		loss, err := t.round.advance(s)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return nil, &DivergedError{Epoch: s*len(t.round.positions)/t.round.order.size + 1, Step: s + 1, Loss: loss}
		}
		t.done++
		t.ticked(t.done, t.planned)
	}
}

// cut says into how many segments to cut n steps that are to be gone through backwards with the given number of vectors,
// and whether the steps of the last segment can be recorded along with the checkpoints.
func cut(n, vectors int) (segments int, recorded bool) {
	for c := 1; c <= n; c++ {
		if 2*(c-1)+(n+c-1)/c <= vectors {
			return c, true
		}
	}
	return 2, false
}

// again counts the steps that going back through n steps carries out again: after the first walk, which reached the end,
// or with it.
func again(n, vectors int, walked bool) int {
	c, recorded := cut(n, vectors)
	steps := 0
	for j := c - 1; j >= 0; j-- {
		if j < c-1 || !recorded {
			steps += again((j+1)*n/c-j*n/c, vectors-2*j, false)
		}
	}
	switch {
	case walked:
	case recorded:
		steps += n - 1
	default:
		steps += n / 2
	}
	return steps
}

// leastVectors returns the fewest vectors with which n steps can be gone through backwards.
func leastVectors(n int) int {
	if n <= 2 {
		return n
	}
	least := 2 + leastVectors((n+1)/2)
	for c := 1; c <= n; c++ {
		least = min(least, 2*(c-1)+(n+c-1)/c)
	}
	return least
}

// vectorBytes is the memory of one step's parameters and state.
func (t *Trajectory) vectorBytes() int64 {
	return 4 * int64(t.round.engine.net.Size()+t.round.engine.net.StateSize())
}

// vectors is the number of vectors that fit beside the start.
func (t *Trajectory) vectors() int { return int(min(t.memory/t.vectorBytes(), math.MaxInt32)) - 2 }

func (t *Trajectory) hold(vectors int) {
	t.used += vectors
	t.peak = max(t.peak, t.used)
}

// save copies where the training stands from the device, with or without momentum.
func (t *Trajectory) save(step int, momentum bool) (point, error) {
	p := point{step: step}
	var err error
	if p.theta, err = t.copied(t.round.theta); err != nil {
		return p, err
	}
	if momentum {
		if p.momentum, err = t.copied(t.round.momentum); err != nil {
			return p, err
		}
	}
	if t.round.state != nil {
		p.state = make([]float32, t.round.state.Size())
		err = tensors.ConstFlatData(t.round.state, func(flat []float32) { copy(p.state, flat) })
	}
	return p, err
}

func (t *Trajectory) copied(from *tensors.Tensor) ([]float32, error) {
	t.hold(1)
	var v []float32
	if k := len(t.spare); k > 0 {
		v, t.spare = t.spare[k-1], t.spare[:k-1]
	} else {
		v = make([]float32, from.Size())
	}
	return v, tensors.ConstFlatData(from, func(flat []float32) { copy(v, flat) })
}

// release takes vectors back for the next save.
func (t *Trajectory) release(vectors ...[]float32) {
	t.used -= len(vectors)
	t.spare = append(t.spare, vectors...)
}
