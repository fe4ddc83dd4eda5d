package influence

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// metagradient is the estimator "metagradient": delta_i = -d L_val(theta_T) / d w_i, the exact derivative through the
// whole training with respect to the weight of a sample in the loss of every step that it is in,
// (1/B) sum_i w_i l_i (SGD-influence, Hara et al., NeurIPS 2019; MAGIC, Ilyas and Engstrom, 2025).
//
// With the adjoints a_theta and a_m of parameters and momentum, starting from grad L_val(theta_T) and 0, the sweep goes
// backwards over the steps m' = mu m + g(theta, w) + wd theta, theta' = theta - lr m':
//
//	b = a_m - lr a_theta
//	dL_val/dw_i += (1/B) grad l_i(theta) . b
//	a_theta += (Hess + wd I) b
//	a_m = mu b
//
// and over those with Nesterov's momentum, theta' = theta - lr (g + wd theta + mu m'),
//
//	c = a_m - lr mu a_theta
//	b = c - lr a_theta
//	a_m = mu c
//
// and the rest as before. Losses and their derivatives are those of training, so batch norm takes the statistics of the batch, and the running
// ones that they move are a part of what training ends with: their adjoint a_state starts from the derivative of L_val,
// and <a_state, state'(theta, state)> joins <b, grad L_batch(theta)> in what is differentiated.
//
// With folds of the scoring set every fold has adjoints of its own, and all go back together: a step back for all of them
// shares the forward pass.
//
// It is the derivative of training as it was carried out, kinks included: with ReLU or max-pooling it says little about
// what removing a sample does. So the scores are checked, see checkSmoothness. The training is repeated from its seed and must end at the problem's model.
type metagradient struct{ options Options }

var _ Estimator = (*metagradient)(nil)

// Name implements Estimator.
func (*metagradient) Name() string { return "metagradient" }

// sweepCost is what a step back counts in progress, in steps of training.
const sweepCost = 3

// Score implements Estimator. The solver has converged, and its message says what the way back took.
func (e *metagradient) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	if err := p.Recipe.Validate(); err != nil {
		return nil, fmt.Errorf("influence: the training that metagradient repeats: %w", err)
	}
	if err := checkStatistics(p); err != nil {
		return nil, err
	}
	engine := train.NewEngine(p.Backend, p.Net, p.Loss)
	engine.BoundDeviceMemory(p.DeviceMemory)
	defer engine.Close()
	steps := p.Recipe.Steps(len(p.Train))
	s, err := resumeSweep(p, steps)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if s.left > 0 {
		if err := e.goBack(ctx, p, engine, s, progress); err != nil {
			return nil, err
		}
	} else {
		s.count = newCounter(progress, e.total(p, 0))
		s.count.add(e.total(p, 0) - e.checked(p))
	}
	scores, err := p.foldScores(s.delta)
	if err != nil {
		return nil, err
	}
	scores.Calibrated = true
	// What is planned is what an unbroken way back takes.
	replay := train.PlanReplay(p.Net, p.Recipe, len(p.Train), e.bounds(p))
	scores.Solver = Solver{Converged: true, Message: fmt.Sprintf("%d steps back; training takes %.2f times its steps, and the way back holds %s",
		steps, float64(replay.Steps)/float64(steps), held(replay))}
	if !e.options.NoSmoothnessCheck {
		if err := checkSmoothness(ctx, engine, p, scores.Delta, &scores.Solver, s.count.add); err != nil {
			return nil, err
		}
	}
	s.count.advance(0)
	return scores, nil
}

// held says how much is kept of a training that is gone back through, and where if not all in memory.
func held(r train.Replay) string {
	if r.Device == 0 && r.Disk == 0 {
		return fmt.Sprintf("%.1f MB", float64(r.Memory)/1e6)
	}
	var parts []string
	for _, place := range []struct {
		bytes int64
		where string
	}{{r.Device, "on the device"}, {r.Memory, "in memory"}, {r.Disk, "on disk"}} {
		if place.bytes > 0 {
			parts = append(parts, fmt.Sprintf("%.1f MB %s", float64(place.bytes)/1e6, place.where))
		}
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// goBack repeats the training and goes back through it over the steps that are left.
func (e *metagradient) goBack(ctx context.Context, p *Problem, engine *train.Engine, s *sweep, progress func(done, total int)) error {
	size := min(p.Recipe.BatchSize, len(p.Train))
	trajectory, err := engine.KeptTrajectory(ctx, p.Source, p.Train, p.Recipe, p.TrainSeed, e.bounds(p), p.keep(), s.left, func(_, planned int) {
		if s.count == nil {
			s.count = newCounter(progress, e.total(p, planned))
			s.count.add(sweepCost * (p.Recipe.Steps(len(p.Train)) - s.left) * size)
		}
		s.count.add(size)
	})
	if err != nil {
		return fmt.Errorf("influence: repeating the training: %w", err)
	}
	defer trajectory.Close()
	if s.count == nil { // the first step is all that is left, and takes no training
		s.count = newCounter(progress, e.total(p, 0))
	}
	if s.aTheta == nil {
		if err := p.endsAt(trajectory.Final()); err != nil {
			return err
		}
		if err := s.begin(ctx); err != nil {
			return err
		}
	}
	if err := s.compile(); err != nil {
		return err
	}
	err = trajectory.Backward(ctx, s.back)
	if err != nil && ctx.Err() != nil {
		err = cmp.Or(s.keep(), err)
	}
	return err
}

// total is what progress counts where the training is planned to take so many steps, in samples; checked is the part of the check of
// smoothness.
func (e *metagradient) total(p *Problem, planned int) int {
	steps, size := p.Recipe.Steps(len(p.Train)), min(p.Recipe.BatchSize, len(p.Train))
	return (planned+sweepCost*steps)*size + len(p.Score) + e.checked(p)
}

func (e *metagradient) checked(p *Problem) int {
	if e.options.NoSmoothnessCheck {
		return 0
	}
	return len(perturbedFractions) * p.Recipe.Steps(len(p.Train)) * min(p.Recipe.BatchSize, len(p.Train))
}

// bounds returns those of what is kept of the training.
func (e *metagradient) bounds(p *Problem) train.Bounds {
	b := train.Bounds{Memory: cmp.Or(e.options.Memory, DefaultMemory), Disk: e.options.Disk, Dir: p.ScratchDir}
	switch {
	case p.Backend == nil: // where it is planned
		b.Device = train.LeftOnDevice(p.DeviceMemory, p.Source, p.Recipe)
	case !p.Backend.HasSharedBuffers():
		b.Device = train.LeftOnDevice(cmp.Or(p.DeviceMemory, train.DefaultDeviceMemory), p.Source, p.Recipe)
	}
	return b
}

// CheckMemory returns an error if the options bound the memory and the disk of what the named estimator keeps of a training of n samples
// by the recipe to less than it can do with beside deviceMemory, the bytes of the device that there are for it ([train.LeftOnDevice]); nil for
// estimators without such a bound. It is known before anything is trained.
func CheckMemory(name string, o Options, deviceMemory int64, network *net.Network, r train.Recipe, n int) error {
	if name != "metagradient" {
		return nil
	}
	e := metagradient{o}
	if err := train.CheckReplay(network, r, n, e.bounds(&Problem{DeviceMemory: deviceMemory})); err != nil {
		return fmt.Errorf("the estimator %s: %w", name, err)
	}
	return nil
}

// checkStatistics returns an error if the network's running statistics stop gradients: their adjoint would be lost, and
// the scores wrong without a word. It evaluates the network once, on nothing.
func checkStatistics(p *Problem) error {
	n := p.Net
	if n.StateSize() == 0 {
		return nil
	}
	stops := false
	x := tensors.FromShape(shapes.Make(dtypes.Float32, append([]int{1}, p.Source.InputDims()...)...))
	defer x.FinalizeAll()
	moved, err := CallOnce(p.Backend, func(theta, state, x *Node) *Node {
		pass := &net.Pass{Params: net.Unflatten(theta, n.Params), State: net.Unflatten(state, n.State), Training: true}
		pass.NewState = make([]*Node, len(pass.State))
		if gates := len(n.Gates); gates > 0 {
			pass.Gates = Ones(x.Graph(), shapes.Make(dtypes.Float32, gates))
		}
		n.Forward(pass, x)
		stops = stopsGradients(pass.NewState)
		return net.Flatten(pass.NewState)
	}, p.Model.Theta, p.Model.State, x)
	if err != nil {
		return err
	}
	if stops {
		err = fmt.Errorf("influence: the running statistics of %s stop gradients, and metagradient cannot go through them", n.Name)
	}
	return cmp.Or(err, moved.FinalizeAll())
}

// stopsGradients says whether one of the nodes, or of those they come from, stops gradients.
func stopsGradients(nodes []*Node) bool {
	seen := map[NodeId]bool{}
	var look func(n *Node) bool
	look = func(n *Node) bool {
		if seen[n.Id()] {
			return false
		}
		seen[n.Id()] = true
		return n.StopGradient() || slices.ContainsFunc(n.Inputs(), look)
	}
	return slices.ContainsFunc(nodes, look)
}
