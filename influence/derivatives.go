package influence

import (
	"context"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/tangent"
	"github.com/datadropout/datadropout/train"
)

// derivatives evaluates the derivatives of the per-sample losses at a problem's model, over any set of positions: the
// one primitive that carries every estimator. Vectors in parameter space have length P, the number of parameters.
// It is not safe for concurrent use.
type derivatives struct {
	problem *Problem
	batch   *train.Batch
	// fixed holds the inputs that every graph has: theta [P], x, y, weights [batch], and the state [S] where there is one.
	fixed     []any
	direction *tensors.Tensor // [P]
	scaled    []float32       // [P], the direction as the tensor takes it
	tick      func(samples int)
	execs     map[string]*Exec
}

// newDerivatives prepares the evaluations; nothing is compiled before it is needed. tick is told of samples evaluated.
func newDerivatives(p *Problem, tick func(samples int)) (*derivatives, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	size := p.Batch
	if size == 0 {
		size = defaultBatch
	}
	n := len(p.Model.Theta)
	d := &derivatives{
		problem: p, tick: tick,
		batch:     train.NewBatch(p.Source, min(size, max(len(p.Train), len(p.Score)))),
		direction: tensors.FromFlatDataAndDimensions(make([]float32, n), n),
		scaled:    make([]float32, n),
		execs:     map[string]*Exec{},
	}
	d.fixed = []any{tensors.FromFlatDataAndDimensions(p.Model.Theta, n), d.batch.X, d.batch.Y, d.batch.Weights}
	if len(p.Model.State) > 0 {
		d.fixed = append(d.fixed, tensors.FromFlatDataAndDimensions(p.Model.State, len(p.Model.State)))
	}
	return d, nil
}

// close frees the compiled graphs and the tensors.
func (d *derivatives) close() {
	for _, e := range d.execs {
		e.Finalize()
	}
	for _, t := range append(d.fixed, d.direction) {
		// Freeing memory early is all this does; there is nothing to be done about a failure.
		_ = t.(*tensors.Tensor).FinalizeAll()
	}
}

// evaluation is one batch inside a graph: the parameter and state tensors, the outputs and the losses [batch], and their weighted
// sum, a scalar.
type evaluation struct {
	params, state   []*Node
	outputs, losses *Node
	sum             *Node
}

func (d *derivatives) evaluate(in []*Node) evaluation {
	n := d.problem.Net
	pass := &net.Pass{Params: net.Unflatten(in[0], n.Params)}
	if n.StateSize() > 0 {
		pass.State = net.Unflatten(in[4], n.State)
	}
	outputs := n.Forward(pass, in[1])
	losses := d.problem.Loss.PerSample(outputs, in[2])
	return evaluation{params: pass.Params, state: pass.State, outputs: outputs, losses: losses, sum: ReduceAllSum(Mul(losses, in[3]))}
}

// gradientGraph returns sum_i w_i grad l_i, [P].
func (d *derivatives) gradientGraph(in []*Node) []*Node {
	e := d.evaluate(in)
	return []*Node{net.Flatten(Gradient(e.sum, e.params...))}
}

// stateGradientGraph returns sum_i w_i d l_i / d state, [S], for a network with state.
func (d *derivatives) stateGradientGraph(in []*Node) []*Node {
	e := d.evaluate(in)
	return []*Node{net.Flatten(Gradient(e.sum, e.state...))}
}

// directionalGraph returns grad l_i . v for every sample, [batch]; v [P] is the last input.
func (d *derivatives) directionalGraph(in []*Node) []*Node {
	e := d.evaluate(in)
	v := net.Unflatten(in[len(in)-1], d.problem.Net.Params)
	return tangent.Forward([]*Node{e.losses}, e.params, v)
}

// gaussNewtonGraph returns sum_i w_i J_i^T (d^2 l_i / dz^2) J_i v, [P], with J_i the Jacobian of the outputs z; v [P] is
// the last input.
func (d *derivatives) gaussNewtonGraph(in []*Node) []*Node {
	e := d.evaluate(in)
	v := net.Unflatten(in[len(in)-1], d.problem.Net.Params)
	return []*Node{net.Flatten(tangent.GaussNewtonProduct(e.sum, e.outputs, e.params, v))}
}

// hessianGraph returns sum_i w_i Hess l_i v, [P]; v [P] is the last input.
func (d *derivatives) hessianGraph(in []*Node) []*Node {
	e := d.evaluate(in)
	v := net.Unflatten(in[len(in)-1], d.problem.Net.Params)
	return []*Node{net.Flatten(tangent.HessianProduct(e.sum, e.params, v))}
}

// meanGradient returns the gradient of the mean loss over the positions, [P].
func (d *derivatives) meanGradient(ctx context.Context, positions []int) ([]float64, error) {
	return d.mean(ctx, "gradient", d.gradientGraph, len(d.problem.Model.Theta), positions)
}

// mean returns the mean over the positions of what a graph sums over a batch, a vector of the given size.
func (d *derivatives) mean(ctx context.Context, name string, graph func([]*Node) []*Node, size int, positions []int) ([]float64, error) {
	sum := make([]float64, size)
	err := d.each(ctx, name, graph, nil, positions, func(_, _ int, g []float32) {
		for j, x := range g {
			sum[j] += float64(x)
		}
	})
	floats.Scale(1/float64(len(positions)), sum)
	return sum, err
}

// curvatureProduct writes C v into out, where C is the mean over the positions of the curvature that is named. Both have
// length P.
func (d *derivatives) curvatureProduct(ctx context.Context, curvature string, positions []int, v, out []float64) error {
	clear(out)
	norm, err := d.setDirection(v)
	if norm == 0 || err != nil {
		return err
	}
	graph := d.gaussNewtonGraph
	if curvature == Hessian {
		graph = d.hessianGraph
	}
	err = d.each(ctx, curvature, graph, d.direction, positions, func(_, _ int, g []float32) {
		for j, x := range g {
			out[j] += float64(x)
		}
	})
	floats.Scale(norm/float64(len(positions)), out)
	return err
}

// directional returns grad l_i . v for every position i, in forward mode: one pass, and no gradient per sample.
func (d *derivatives) directional(ctx context.Context, positions []int, v []float64) ([]float64, error) {
	out := make([]float64, len(positions))
	norm, err := d.setDirection(v)
	if norm == 0 || err != nil {
		return out, err
	}
	err = d.each(ctx, "directional", d.directionalGraph, d.direction, positions, func(at, n int, g []float32) {
		for k, x := range g[:n] {
			out[at+k] = norm * float64(x)
		}
	})
	return out, err
}

// setDirection loads v / |v| as the direction and returns |v|: at unit length a direction can neither overflow nor fade
// out in float32.
func (d *derivatives) setDirection(v []float64) (norm float64, err error) {
	if err := finite(v, "a direction"); err != nil {
		return 0, err
	}
	norm = floats.Norm(v, 2)
	if norm == 0 {
		return 0, nil
	}
	for j, x := range v {
		d.scaled[j] = float32(x / norm)
	}
	return norm, tensors.AssignFlatData(d.direction, d.scaled)
}

// each evaluates a graph over the positions, batch by batch, and hands use the result for the n positions that begin at
// position number at.
func (d *derivatives) each(ctx context.Context, name string, graph func([]*Node) []*Node, direction *tensors.Tensor,
	positions []int, use func(at, n int, result []float32)) error {
	exec, ok := d.execs[name]
	if !ok {
		var err error
		if exec, err = NewExec(d.problem.Backend, graph); err != nil {
			return err
		}
		d.execs[name] = exec.WithName(name)
	}
	args := d.fixed
	if direction != nil {
		args = append(args[:len(args):len(args)], direction)
	}
	for at := 0; at < len(positions); at += d.batch.Size() {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := min(len(positions), at+d.batch.Size())
		if err := d.batch.Fill(positions[at:end]); err != nil {
			return err
		}
		out, err := exec.Call(args...)
		if err != nil {
			return fmt.Errorf("evaluating the %s of %s: %w", name, d.problem.Net.Name, err)
		}
		if err := tensors.ConstFlatData(out[0], func(flat []float32) { use(at, end-at, flat) }); err != nil {
			return err
		}
		if err := out[0].FinalizeAll(); err != nil {
			return err
		}
		if d.tick != nil {
			d.tick(end - at)
		}
	}
	return nil
}
