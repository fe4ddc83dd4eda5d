package influence

import (
	"context"
	"fmt"
	"hash"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/tangent"
	"github.com/datadropout/datadropout/train"
)

// sweep is the way back through a training.
type sweep struct {
	problem *Problem
	count   *counter
	exec    *Exec
	// The adjoints, [folds, P] and, for a network with state, [folds, S], stay on the device.
	aTheta, aMomentum, aState *tensors.Tensor
	rate, mu, decay           *tensors.Tensor
	delta                     [][]float64 // by fold
	place                     map[int]int // from position in the source to number in delta
	// left is the number of steps, from the first, that are left to go back over.
	left int
}

// resumeSweep returns the way back through a training of so many steps where it was kept, or at its end, without adjoints.
func resumeSweep(p *Problem, steps int) (*sweep, error) {
	s := &sweep{
		problem: p, left: steps,
		rate: tensors.FromScalar(float32(0)), mu: p.Recipe.MomentumFactor(), decay: tensors.FromScalar(float32(p.Recipe.WeightDecay)),
		delta: vectors(p.directionCount(), len(p.Train)), place: make(map[int]int, len(p.Train)),
	}
	for k, i := range p.Train {
		s.place[i] = k
	}
	err := p.keeper.find(s.piece(nil), func(_, at int, values []float64) error {
		folds, size, state := len(s.delta), p.Net.Size(), p.Net.StateSize()
		want := total(s.delta)
		if at > 0 {
			want += folds * (2*size + state)
		}
		if at > steps || len(values) != want {
			return fmt.Errorf("it holds %d values at step %d", len(values), at)
		}
		s.left = at
		unflatten(s.delta, values)
		if at == 0 {
			return nil
		}
		values = values[total(s.delta):]
		s.aTheta, s.aMomentum = matrix(cut(values[:folds*size], size)), matrix(cut(values[folds*size:][:folds*size], size))
		if state > 0 {
			s.aState = matrix(cut(values[2*folds*size:], state))
		}
		return nil
	})
	return s, err
}

// piece is that of the way back where its values are.
func (s *sweep) piece(values [][]float64) *piece {
	at := s.left
	return &piece{
		name: sweepPiece, key: s.problem.keeper.of(func(h hash.Hash) { fmt.Fprintln(h, "sweep") }), final: true,
		state: func() (int, int, [][]float64) { return 0, at, values },
	}
}

// keep saves where the way back stands: the effects and, unless it is at its end, the adjoints.
func (s *sweep) keep() error {
	if s.problem.keeper == nil || s.aTheta == nil { // a step back that failed has left none
		return nil
	}
	values := slices.Clone(s.delta)
	for _, adjoint := range []*tensors.Tensor{s.aTheta, s.aMomentum, s.aState} {
		if adjoint == nil || s.left == 0 {
			continue
		}
		if err := tensors.ConstFlatData(adjoint, func(flat []float32) {
			v := make([]float64, len(flat))
			for j, x := range flat {
				v[j] = float64(x)
			}
			values = append(values, v)
		}); err != nil {
			return err
		}
	}
	s.problem.keeper.hold(s.piece(values))
	return s.problem.keeper.save()
}

// begin computes the adjoints at the end of the training, the problem's model.
func (s *sweep) begin(ctx context.Context) error {
	p := s.problem
	d, err := newDerivatives(p, s.count.add)
	if err != nil {
		return err
	}
	defer d.close()
	d.net = p.Net // that which was trained, in its precision
	targets, err := d.targets(ctx)
	if err != nil {
		return err
	}
	if size := p.Net.StateSize(); size > 0 {
		d.tick = nil // the samples are counted once
		var moved [][]float64
		for _, positions := range p.folds() {
			var m []float64
			err := d.measured(func() (err error) {
				m, err = d.mean(ctx, "state gradient", d.stateGradientGraph, size, positions)
				return err
			})
			if err != nil {
				return err
			}
			moved = append(moved, m)
		}
		s.aState = matrix(moved)
	}
	s.aTheta, s.aMomentum = matrix(targets), empty(len(targets), p.Net.Size())
	return s.keep()
}

// compile makes the graph of a step back.
func (s *sweep) compile() (err error) {
	if s.exec, err = NewExec(s.problem.Backend, s.graph); err == nil {
		s.exec.WithName("metagradient step").SetMaxCache(-1)
	}
	return err
}

func empty(dims ...int) *tensors.Tensor {
	return tensors.FromShape(shapes.Make(dtypes.Float32, dims...))
}

// matrix is the tensor whose rows are given, all of one length.
func matrix(rows [][]float64) *tensors.Tensor {
	flat := make([]float32, 0, len(rows)*len(rows[0]))
	for _, row := range rows {
		for _, x := range row {
			flat = append(flat, float32(x))
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, len(rows), len(rows[0]))
}

// close frees the compiled graph and the tensors.
func (s *sweep) close() {
	if s.exec != nil {
		s.exec.Finalize()
	}
	for _, t := range []*tensors.Tensor{s.aTheta, s.aMomentum, s.aState, s.rate, s.mu, s.decay} {
		if t != nil {
			// Freeing memory early is all this does; there is nothing to be done about a failure.
			_ = t.FinalizeAll()
		}
	}
}

// graph takes the adjoints of K folds over one step backwards. Inputs: a_theta [K, P], a_m [K, P] after the step, theta [P]
// before it, x, y, the scalars learning rate, momentum factor and weight decay and, for a network with state, a_state
// [K, S] after the step and the state [S] before it, and for one with gates those of the step.
// Outputs: a_theta and a_m before the step, grad l_i . b / B for every fold and sample of the batch, [K, B], and a_state.
func (s *sweep) graph(in []*Node) []*Node {
	n := s.problem.Net
	aTheta, aMomentum, theta, x, y, rate, mu, decay := in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7]
	nesterov := mu.Rank() == 1
	mu = Reshape(mu)
	if nesterov {
		aMomentum = Sub(aMomentum, Mul(Mul(rate, mu), aTheta))
	}
	b := Sub(aMomentum, Mul(rate, aTheta))
	pass := &net.Pass{Params: net.Unflatten(theta, n.Params), Training: true}
	if n.StateSize() > 0 {
		pass.State = net.Unflatten(in[9], n.State)
		pass.NewState = make([]*Node, len(pass.State))
	}
	if len(n.Gates) > 0 {
		pass.Gates = in[len(in)-1]
	}
	losses := s.problem.Loss.PerSample(n.Forward(pass, x), y)
	row := func(x *Node, k int) *Node { return Reshape(Slice(x, AxisElem(k)), x.Shape().Dimensions[1]) }
	var changed, gradients, states []*Node
	for k := range aTheta.Shape().Dimensions[0] {
		// The derivative along b of every sample's loss, batch statistics moving with the parameters.
		moved := tangent.Forward([]*Node{losses}, pass.Params, net.Unflatten(row(b, k), n.Params))[0]
		changes := MulScalar(moved, 1/float64(moved.Shape().Size()))
		scalar := ReduceAllSum(changes)
		inputs := pass.Params
		if n.StateSize() > 0 {
			scalar = Add(scalar, ReduceAllSum(Mul(row(in[8], k), net.Flatten(pass.NewState))))
			inputs = append(slices.Clone(inputs), pass.State...)
		}
		g := Gradient(scalar, inputs...)
		params := len(pass.Params)
		changed, gradients = append(changed, changes), append(gradients, net.Flatten(g[:params]))
		if n.StateSize() > 0 {
			states = append(states, net.Flatten(g[params:]))
		}
	}
	if !nesterov {
		aMomentum = b
	}
	out := []*Node{Add(Add(aTheta, stack(gradients)), Mul(decay, b)), Mul(mu, aMomentum), stack(changed)}
	if n.StateSize() > 0 {
		out = append(out, stack(states))
	}
	return out
}

// back goes back over one step.
func (s *sweep) back(m train.Moment) error {
	if err := tensors.AssignFlatData(s.rate, []float32{float32(m.Rate)}); err != nil {
		return err
	}
	aTheta, err := DonateTensorBuffer(s.aTheta, s.problem.Backend, 0)
	if err != nil {
		return err
	}
	aMomentum, err := DonateTensorBuffer(s.aMomentum, s.problem.Backend, 0)
	if err != nil {
		return err
	}
	s.aTheta, s.aMomentum = nil, nil
	args := []any{aTheta, aMomentum, m.Theta, m.Batch.X, m.Batch.Y, s.rate, s.mu, s.decay}
	if m.State != nil {
		args = append(args, s.aState, m.State)
	}
	if m.Gates != nil {
		args = append(args, m.Gates)
	}
	out, err := s.exec.Call(args...)
	if err != nil {
		return fmt.Errorf("going back over step %d of %s: %w", m.Step+1, s.problem.Net.Name, err)
	}
	s.aTheta, s.aMomentum = out[0], out[1]
	if m.State != nil {
		old := s.aState
		s.aState = out[3]
		if err := old.FinalizeAll(); err != nil {
			return err
		}
	}
	if err := tensors.ConstFlatData(out[2], func(changes []float32) {
		for k, delta := range s.delta {
			for j, i := range m.Positions {
				delta[s.place[i]] -= float64(changes[k*len(m.Positions)+j])
			}
		}
	}); err != nil {
		return err
	}
	s.count.add(sweepCost * len(m.Positions))
	if err := out[2].FinalizeAll(); err != nil {
		return err
	}
	if s.left = m.Step; s.left == 0 || s.problem.keeper.due() {
		return s.keep()
	}
	return nil
}
