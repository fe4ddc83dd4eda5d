package influence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/tangent"
	"github.com/datadropout/datadropout/train"
)

// derivatives evaluates the derivatives of the per-sample losses at a problem's model, over any set of positions: the
// one primitive that carries every estimator. The losses are those of training, with its smoothed labels; see measured.
// Vectors in parameter space have length P, the number of parameters.
// It is not safe for concurrent use.
type derivatives struct {
	problem *Problem
	// net is what is evaluated: the problem's network with its products in float32. Curvature products and differences of losses lose
	// their digits in bfloat16.
	net   *net.Network
	batch *train.Batch
	// fixed holds the inputs that every graph has: theta [P], x, y, weights [batch], and the state [S] where there is one.
	fixed     []any
	direction *tensors.Tensor // [K, P] for the K directions of the last evaluation that had any
	tick      func(samples int)
	execs     map[string]*Exec
	// What the next pass is made of, beside its name and positions, for whoever keeps it: the digest of the model, whether the losses are
	// those that models are measured by, and the directions.
	model    [sha256.Size]byte
	measures bool
	along    [][]float64
}

// newDerivatives prepares the evaluations; nothing is compiled before it is needed. tick is told of samples evaluated.
func newDerivatives(p *Problem, tick func(samples int)) (*derivatives, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	n := len(p.Model.Theta)
	batch, err := train.NewTrainingBatch(p.Source, p.batchSize(), p.Recipe, p.Loss)
	if err != nil {
		return nil, err
	}
	d := &derivatives{problem: p, net: p.Net.Float32(), tick: tick, batch: batch, execs: map[string]*Exec{}}
	if p.keeper != nil {
		d.model = p.Model.Digest()
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
	// Freeing memory early is all this does; there is nothing to be done about a failure.
	for _, t := range d.fixed {
		_ = t.(*tensors.Tensor).FinalizeAll()
	}
	if d.direction != nil {
		_ = d.direction.FinalizeAll()
	}
}

// measured carries out evaluations for the loss that models are measured by, whose labels are not smoothed: that of the score
// split.
func (d *derivatives) measured(evaluate func() error) error {
	defer d.batch.Smooth(d.batch.Smooth(0))
	d.measures = true
	defer func() { d.measures = false }()
	return evaluate()
}

// evaluation is one batch inside a graph: the parameter and state tensors, the outputs and the losses [batch], and their weighted
// sum, a scalar.
type evaluation struct {
	params, state   []*Node
	outputs, losses *Node
	sum             *Node
}

func (d *derivatives) evaluate(in []*Node) evaluation { return d.evaluateWith(in, nil) }

// evaluateWith is evaluate with a function that is told of the network's taps.
func (d *derivatives) evaluateWith(in []*Node, tap func(net.Tap)) evaluation {
	n := d.net
	pass := &net.Pass{Params: net.Unflatten(in[0], n.Params), Tap: tap}
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

// directions cuts the last input of a graph, [K, P], into a node for every parameter of each of K directions.
func (d *derivatives) directions(in []*Node) [][]*Node {
	all := in[len(in)-1]
	cut := make([][]*Node, all.Shape().Dimensions[0])
	for k := range cut {
		cut[k] = net.Unflatten(Reshape(Slice(all, AxisElem(k)), all.Shape().Dimensions[1]), d.net.Params)
	}
	return cut
}

// stack makes [K, n] of K vectors.
func stack(vectors []*Node) *Node {
	if len(vectors) == 1 {
		return Reshape(vectors[0], 1, -1)
	}
	return Stack(vectors, 0)
}

// directionalGraph returns grad l_i . v for every sample and each of K directions, [K, batch]; they are the last input,
// [K, P].
func (d *derivatives) directionalGraph(in []*Node) []*Node {
	e := d.evaluate(in)
	var moved []*Node
	for _, v := range d.directions(in) {
		moved = append(moved, tangent.Forward([]*Node{e.losses}, e.params, v)[0])
	}
	return []*Node{stack(moved)}
}

// gaussNewtonGraph returns sum_i w_i J_i^T (d^2 l_i / dz^2) J_i v for K directions v, [K, P], with J_i the Jacobian of the
// outputs z; the directions are the last input, [K, P].
func (d *derivatives) gaussNewtonGraph(in []*Node) []*Node {
	e := d.evaluate(in)
	var products []*Node
	for _, v := range d.directions(in) {
		products = append(products, net.Flatten(tangent.GaussNewtonProduct(e.sum, e.outputs, e.params, v)))
	}
	return []*Node{stack(products)}
}

// hessianGraph returns sum_i w_i Hess l_i v for K directions v, [K, P], which are the last input.
func (d *derivatives) hessianGraph(in []*Node) []*Node {
	e := d.evaluate(in)
	var products []*Node
	for _, v := range d.directions(in) {
		products = append(products, net.Flatten(tangent.HessianProduct(e.sum, e.params, v)))
	}
	return []*Node{stack(products)}
}

// meanGradient returns the gradient of the mean loss over the positions, [P].
func (d *derivatives) meanGradient(ctx context.Context, positions []int) ([]float64, error) {
	return d.mean(ctx, "gradient", d.gradientGraph, len(d.problem.Model.Theta), positions)
}

// mean returns the mean over the positions of what a graph sums over a batch, a vector of the given size.
func (d *derivatives) mean(ctx context.Context, name string, graph func([]*Node) []*Node, size int, positions []int) ([]float64, error) {
	sum := make([]float64, size)
	err := d.sum(ctx, name, graph, nil, positions, [][]float64{sum})
	floats.Scale(1/float64(len(positions)), sum)
	return sum, err
}

// curvatureProducts writes C v into out for each of the vectors v, where C is the mean over the positions of the curvature
// that is named. All have length P. The products share the forward pass.
func (d *derivatives) curvatureProducts(ctx context.Context, curvature string, positions []int, v, out [][]float64) error {
	norms, err := d.setDirections(v)
	if err != nil {
		return err
	}
	graph := d.gaussNewtonGraph
	if curvature == Hessian {
		graph = d.hessianGraph
	}
	for k := range out {
		clear(out[k])
	}
	err = d.sum(ctx, curvature, graph, d.direction, positions, out)
	for k := range out {
		floats.Scale(norms[k]/float64(len(positions)), out[k])
	}
	return err
}

// curvatureProduct is curvatureProducts for one vector.
func (d *derivatives) curvatureProduct(ctx context.Context, curvature string, positions []int, v, out []float64) error {
	return d.curvatureProducts(ctx, curvature, positions, [][]float64{v}, [][]float64{out})
}

// directionals returns grad l_i . v for every position i and each of the vectors v, [len(v)][len(positions)], in forward
// mode: one pass, and no gradient per sample.
func (d *derivatives) directionals(ctx context.Context, positions []int, v [][]float64) ([][]float64, error) {
	norms, err := d.setDirections(v)
	if err != nil {
		return nil, err
	}
	out := make([][]float64, len(v))
	for k := range out {
		out[k] = make([]float64, len(positions))
	}
	err = d.pass(ctx, "directional", d.directionalGraph, d.direction, positions, out, func(at, n int, moved []float32) {
		for k, norm := range norms {
			for j, x := range moved[k*d.batch.Size():][:n] {
				out[k][at+j] = norm * float64(x)
			}
		}
	})
	return out, err
}

// directional is directionals for one vector.
func (d *derivatives) directional(ctx context.Context, positions []int, v []float64) ([]float64, error) {
	all, err := d.directionals(ctx, positions, [][]float64{v})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// setDirections loads v / |v| for every vector v as the directions and returns |v|: at unit length a direction can neither
// overflow nor fade out in float32. A zero vector stays one.
func (d *derivatives) setDirections(v [][]float64) (norms []float64, err error) {
	size := len(d.problem.Model.Theta)
	if d.direction == nil || d.direction.Shape().Dimensions[0] != len(v) {
		if d.direction != nil {
			if err := d.direction.FinalizeAll(); err != nil {
				return nil, err
			}
		}
		d.direction = tensors.FromShape(shapes.Make(dtypes.Float32, len(v), size))
	}
	d.along = v
	norms = make([]float64, len(v))
	for k := range v {
		if err := finite(v[k], "a direction"); err != nil {
			return nil, err
		}
		norms[k] = floats.Norm(v[k], 2)
	}
	return norms, tensors.MutableFlatData(d.direction, func(flat []float32) {
		for k := range v {
			to := flat[k*size:][:size]
			if norms[k] == 0 {
				clear(to)
				continue
			}
			for j, x := range v[k] {
				to[j] = float32(x / norms[k])
			}
		}
	})
}

// sum adds to the vectors of sums, in float64, what a graph sums over a batch, for all batches of the positions: its result has their values
// one after the other. On a device of its own the sums stay there until they are wanted. It continues where it was interrupted: see [pass].
func (d *derivatives) sum(ctx context.Context, name string, graph func([]*Node) []*Node, direction *tensors.Tensor,
	positions []int, sums [][]float64) error {
	if d.problem.Backend.HasSharedBuffers() {
		return d.pass(ctx, name, graph, direction, positions, sums, func(_, _ int, result []float32) {
			for _, sum := range sums {
				for j, x := range result[:len(sum)] {
					sum[j] += float64(x)
				}
				result = result[len(sum):]
			}
		})
	}
	p := d.newPass(name, direction, positions, sums)
	p.each = func(rest []int, use func(at, n int, result []float32)) error {
		adds, err := d.exec("sum over batches", accumulation)
		if err != nil {
			return err
		}
		a := newAccumulator(d.problem.Backend, adds, sums)
		defer a.close()
		read := func() error { return a.read(sums) }
		err = d.batches(ctx, name, graph, direction, rest, read, func(at, n int, result *tensors.Tensor) error {
			if err := a.add(result); err != nil {
				return err
			}
			use(at, n, nil) // for it to know how far it is
			return nil
		})
		if err != nil {
			return err
		}
		return read()
	}
	return p.run(func(int, int, []float32) {})
}

// pass is each for what fills values, and continues where it was interrupted: see [pass].
func (d *derivatives) pass(ctx context.Context, name string, graph func([]*Node) []*Node, direction *tensors.Tensor,
	positions []int, values [][]float64, use func(at, n int, result []float32)) error {
	p := d.newPass(name, direction, positions, values)
	p.each = func(rest []int, use func(at, n int, result []float32)) error {
		return d.each(ctx, name, graph, direction, rest, use)
	}
	return p.run(use)
}

// newPass describes a pass over the positions that fills values by the named graph; how it goes through them is left to the caller.
func (d *derivatives) newPass(name string, direction *tensors.Tensor, positions []int, values [][]float64) *pass {
	return &pass{
		keeper: d.problem.keeper, positions: positions, size: d.batch.Size(), values: values, tick: d.tick,
		made: func(h hash.Hash) {
			fmt.Fprintf(h, "%s\n%x\n%v\n%d\n%v\n", name, d.model, d.measures, d.batch.Size(), positions)
			if direction != nil {
				hashVectors(h, d.along)
			}
		},
	}
}

// exec returns what compiles the named graph, once.
func (d *derivatives) exec(name string, graph func([]*Node) []*Node) (*Exec, error) {
	exec, ok := d.execs[name]
	if !ok {
		var err error
		if exec, err = NewExec(d.problem.Backend, graph); err != nil {
			return nil, err
		}
		// A graph is compiled for every number of directions, of which there are as many as folds: GoMLX's bound is 32.
		d.execs[name] = exec.WithName(name).SetMaxCache(-1)
	}
	return exec, nil
}

// each evaluates a graph over the positions, batch by batch, and hands use the result for the n positions that begin at
// position number at.
func (d *derivatives) each(ctx context.Context, name string, graph func([]*Node) []*Node, direction *tensors.Tensor,
	positions []int, use func(at, n int, result []float32)) error {
	return d.batches(ctx, name, graph, direction, positions, func() error { return nil }, func(at, n int, result *tensors.Tensor) error {
		if err := tensors.ConstFlatData(result, func(flat []float32) { use(at, n, flat) }); err != nil {
			return err
		}
		return result.FinalizeAll()
	})
}

// batches is each that hands take the result as a tensor, for it to free, and calls ready before what the batches made is kept.
func (d *derivatives) batches(ctx context.Context, name string, graph func([]*Node) []*Node, direction *tensors.Tensor,
	positions []int, ready func() error, take func(at, n int, result *tensors.Tensor) error) error {
	exec, err := d.exec(name, graph)
	if err != nil {
		return err
	}
	args := d.fixed
	if direction != nil {
		args = append(args[:len(args):len(args)], direction)
	}
	for at := 0; at < len(positions); at += d.batch.Size() {
		if err := ctx.Err(); err != nil {
			if failed := ready(); failed != nil {
				return failed
			}
			return cmp.Or(d.problem.keeper.interrupt(), err)
		}
		end := min(len(positions), at+d.batch.Size())
		if err := d.batch.Fill(positions[at:end]); err != nil {
			return err
		}
		out, err := exec.Call(args...)
		if err != nil {
			return fmt.Errorf("evaluating the %s of %s: %w", name, d.net.Name, err)
		}
		if err := take(at, end-at, out[0]); err != nil {
			return err
		}
		if d.tick != nil {
			d.tick(end - at)
		}
		if d.problem.keeper.due() {
			if err := ready(); err != nil {
				return err
			}
			if err := d.problem.keeper.save(); err != nil {
				return err
			}
		}
	}
	return nil
}
