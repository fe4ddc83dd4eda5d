package train

import (
	"cmp"
	"fmt"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

const (
	// mostSteps is the largest number of steps in one call. The calls are the same program whatever their number is, so a training has the
	// same bits however it is cut into calls.
	mostSteps = 16
	// callTime is about the longest that a call of more than one step may take: in between is when a training can be stopped and kept.
	callTime = 500 * time.Millisecond
)

// stepsKind tells the programs for many steps of one engine apart. All of them return the outputs of the network, so a training
// that is recorded has the same bits as one that is not.
type stepsKind struct{ weighted, viewed, reflect bool }

// stepsInputs are the inputs of such a program, for at most K steps in one call: tensors, or the nodes of its graph.
type stepsInputs[T any] struct {
	// As in StepGraph; the momentum factor of shape [1] asks for Nesterov's momentum.
	theta, momentum, state, mu, decay T
	// Of the resident.
	pixels, labels, values, targets, weights T
	// The plan: the positions of the samples [K, batch] and, if they are viewed, their views [K, batch, viewNumbers], the learning rates [K],
	// and the gates [K, gates].
	positions, views, rates, gates T
	// The number of steps to carry out, at most K.
	count T
}

// list returns the inputs that a program of the kind has, in their order. The first ones are theta, momentum and, for a network with it, the state.
func (in *stepsInputs[T]) list(e *Engine, kind stepsKind) []*T {
	all := []*T{&in.theta, &in.momentum}
	add := func(has bool, inputs ...*T) {
		if has {
			all = append(all, inputs...)
		}
	}
	add(e.net.StateSize() > 0, &in.state)
	add(true, &in.mu, &in.decay, &in.pixels, &in.labels, &in.values, &in.targets, &in.positions, &in.rates, &in.count)
	add(kind.weighted, &in.weights)
	add(kind.viewed, &in.views)
	add(len(e.net.Gates) > 0, &in.gates)
	return all
}

// set takes the inputs from a list.
func (in *stepsInputs[T]) set(e *Engine, kind stepsKind, from []T) {
	for k, input := range in.list(e, kind) {
		*input = from[k]
	}
}

// stepsExec returns the program of the kind.
func (e *Engine) stepsExec(kind stepsKind) *Exec {
	e.mu.Lock()
	defer e.mu.Unlock()
	exec := e.steps[kind]
	if exec == nil {
		exec = MustNewExec(e.backend, func(nodes []*Node) []*Node { return e.stepsGraph(kind, nodes) }).WithName("train steps").SetMaxCache(-1)
		e.steps[kind] = exec
	}
	return exec
}

// stepsGraph builds count steps, with batches made on the device. Outputs: theta', momentum', the mean losses before each update [K], the outputs
// of the network in each step [K, batch, ...], and the new state where there is one.
func (e *Engine) stepsGraph(kind stepsKind, nodes []*Node) []*Node {
	var in stepsInputs[*Node]
	in.set(e, kind, nodes)
	g := in.theta.Graph()
	most, batch := in.positions.Shape().Dimensions[0], in.positions.Shape().Dimensions[1]
	// What goes round the loop: the steps done, losses and outputs, and the inputs.
	zeros := func(dims ...int) *Node { return BroadcastToDims(Const(g, float32(0)), dims...) }
	start := []*Node{Const(g, int32(0)), zeros(most), zeros(append([]int{most, batch}, e.net.Outputs...)...)}
	start = append(start, nodes...)
	before := func(around []*Node) *Node {
		var in stepsInputs[*Node]
		in.set(e, kind, around[3:])
		return LessThan(around[0], in.count)
	}
	once := func(around []*Node) []*Node {
		var in stepsInputs[*Node]
		done, losses, outputs := around[0], around[1], around[2]
		in.set(e, kind, around[3:])
		loss, output := e.oneOfSteps(kind, done, &in)
		next := []*Node{Add(done, Const(done.Graph(), int32(1))), put(losses, done, loss), put(outputs, done, output)}
		for _, n := range in.list(e, kind) {
			next = append(next, *n)
		}
		return next
	}
	out := e.loop(start, before, once)
	in.set(e, kind, out[3:])
	results := []*Node{in.theta, in.momentum, out[1], out[2]}
	if in.state != nil {
		results = append(results, in.state)
	}
	return results
}

// whileLoop builds a loop from what goes round it: while before says so, once makes the next of it. Neither uses other nodes, since go-xla
// has operations that can't mix those of a closure with those outside. For the same reason no constant is used outside that the graph
// keeps and hands out again, as that of [ScalarZero].
func whileLoop(start []*Node, before func(around []*Node) *Node, once func(around []*Node) []*Node) []*Node {
	g := start[0].Graph()
	around := func(g *Graph) []*Node {
		p := make([]*Node, len(start))
		for k, n := range start {
			p[k] = Parameter(g, fmt.Sprintf("around_%d", k), n.Shape())
		}
		return p
	}
	return While(
		NewClosure(g, func(g *Graph) []*Node { return []*Node{before(around(g))} }),
		NewClosure(g, func(g *Graph) []*Node { return once(around(g)) }),
		start...)
}

// oneOfSteps builds step t of the plan, after which parameters, momentum and state of in are the new ones. It returns the loss and the outputs of the
// network.
func (e *Engine) oneOfSteps(kind stepsKind, t *Node, in *stepsInputs[*Node]) (loss, outputs *Node) {
	positions, views := row(in.positions, t), (*Node)(nil)
	if kind.viewed {
		views = row(in.views, t)
	}
	x := inputBatch(in.pixels, in.values, positions, views, kind.reflect)
	y := targetBatch(in.labels, in.targets, positions, e.net.Outputs[0])
	step := []*Node{in.theta, in.momentum, x, y, row(in.rates, t), in.mu, in.decay}
	if in.state != nil {
		step = append(step, in.state)
	}
	if in.gates != nil {
		step = append(step, row(in.gates, t))
	}
	join := meanLoss
	if kind.weighted {
		join = weightedMeanLoss(Gather(in.weights, InsertAxes(positions, -1)))
	}
	out, outputs := e.update(step, join)
	in.theta, in.momentum = out[0], out[1]
	if in.state != nil {
		in.state = out[3]
	}
	return out[2], outputs
}

// row returns what a list over the steps has for step t, and put the list with another value there: in operations that every backend has.
func row(list, t *Node) *Node { return Squeeze(Gather(list, Reshape(t, 1, 1)), 0) }

func put(list, t, value *Node) *Node {
	here := Equal(Iota(list.Graph(), shapes.Make(dtypes.Int32, list.Shape().Dimensions...), 0), t)
	return Where(here, BroadcastToShape(InsertAxes(value, 0), list.Shape()), list)
}

// plan is what the steps of a call do, on the host.
type plan struct {
	positions, views []int32
	rates, gates     []float32
}

// planned returns what the n steps from t on do, padded to mostSteps.
func (r *round) planned(t, n int) plan {
	size, gates := len(r.positions), len(r.engine.net.Gates)
	p := plan{rates: make([]float32, mostSteps), gates: make([]float32, mostSteps*gates)}
	for k := range n {
		r.order.Batch(t+k, r.positions)
		for j, i := range r.positions {
			p.positions = append(p.positions, int32(i))
			if view := r.resident.store.View; view != nil {
				p.views = appendView(p.views, view(i, r.seed, r.order.Epoch((t+k)*size+j)))
			}
		}
		p.rates[k] = float32(r.recipe.Rate(t+k, r.steps))
		DrawGates(r.engine.net.Gates, r.seed, t+k, p.gates[k*gates:(k+1)*gates])
	}
	p.positions = append(p.positions, make([]int32, (mostSteps-n)*size)...)
	if p.views != nil {
		p.views = append(p.views, make([]int32, (mostSteps-n)*size*viewNumbers)...)
	}
	return p
}

// stepsOnDevice carries out the n steps from t on in one call, n at most mostSteps, and returns their losses.
func (r *round) stepsOnDevice(t, n int) ([]float32, error) {
	e, d, p := r.engine, r.resident, r.planned(t, n)
	began, size := time.Now(), len(r.positions)
	kind := stepsKind{weighted: d.weights != nil, viewed: p.views != nil, reflect: d.store.Reflect}
	in := stepsInputs[*tensors.Tensor]{
		theta: r.theta, momentum: r.momentum, state: r.state, mu: r.mu, decay: r.decay,
		pixels: d.pixels, labels: d.labels, values: d.values, targets: d.targets, weights: d.weights,
		positions: tensors.FromFlatDataAndDimensions(p.positions, mostSteps, size),
		rates:     tensors.FromFlatDataAndDimensions(p.rates, mostSteps),
		count:     tensors.FromScalar(int32(n)),
	}
	passing := []*tensors.Tensor{in.positions, in.rates, in.count}
	defer func() { finalize(passing...) }()
	if kind.viewed {
		in.views = tensors.FromFlatDataAndDimensions(p.views, mostSteps, size, viewNumbers)
		passing = append(passing, in.views)
	}
	if gates := len(e.net.Gates); gates > 0 {
		in.gates = tensors.FromFlatDataAndDimensions(p.gates, mostSteps, gates)
		passing = append(passing, in.gates)
	}
	var args []any
	for _, input := range in.list(e, kind) {
		args = append(args, *input)
	}
	stateful, replaced := r.state != nil, 2 // theta, momentum
	if stateful {
		replaced = 3
	}
	if err := r.donate(args[:replaced]); err != nil {
		return nil, err
	}
	r.theta, r.momentum, r.state, r.kept = nil, nil, nil, nil
	out, err := e.stepsExec(kind).Call(args...)
	if err != nil {
		return nil, err
	}
	r.theta, r.momentum = out[0], out[1]
	if stateful {
		r.state = out[4]
	}
	losses := make([]float32, n)
	if err := cmp.Or(toFloat32(out[2], losses), r.watchSteps(t, n, p.positions, out[3])); err != nil {
		return nil, err
	}
	r.pace(n, time.Since(began))
	return losses, nil
}

// watchSteps hands on the outputs of the network in the n steps from t on, and frees them.
func (r *round) watchSteps(t, n int, positions []int32, outputs *tensors.Tensor) error {
	if r.watch == nil {
		return outputs.FinalizeAll()
	}
	size := len(r.positions)
	labels := make([]int, size)
	err := tensors.ConstFlatData(outputs, func(flat []float32) {
		for k := range n {
			for j, i := range positions[k*size : (k+1)*size] {
				r.positions[j], labels[j] = int(i), r.resident.store.Labels[i]
			}
			step := len(flat) / mostSteps
			r.watch(t+k, labels, flat[k*step:(k+1)*step])
		}
	})
	return cmp.Or(err, outputs.FinalizeAll())
}

// pace settles how many steps the next call may take, by what n of them took.
func (r *round) pace(n int, took time.Duration) {
	r.ahead = int(min(max(callTime*time.Duration(n)/max(took, 1), 1), mostSteps))
}
