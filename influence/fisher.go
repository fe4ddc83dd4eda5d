package influence

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// fisher evaluates the per-sample gradients whose second moments are the Fisher information matrix
//
//	F = E_x E_{y ~ p(y|x, theta)} [grad log p(y|x) grad log p(y|x)^T]:
//
// gradients for targets that are drawn from the model's own predictions, not for those of the data. F is the Gauss-Newton
// matrix of the loss (Martens 2020, arXiv:1412.1193, section 9). Where the loss is the cross-entropy, p is the softmax
// of the outputs; where it is the squared error, c |y - z|^2, p is the normal distribution of variance 1/(2c) around the outputs z,
// so the gradient with respect to the outputs is normal noise of variance 2c.
//
// A sample's draw depends on the seed and its position in the source alone.
type fisher struct {
	*derivatives
	noise *tensors.Tensor // what the targets of a batch are drawn by: [batch] or [batch, outputs...]
	at    int             // of the noise among the inputs of a graph; what follows it are the caller's
	draw  func(rng *rand.Rand, dst []float32)
}

// newFisher prepares evaluations in batches of at most the given size. Any loss but the cross-entropy and the squared error
// is an error.
func newFisher(p *Problem, batch int, tick func(samples int)) (*fisher, error) {
	q := *p
	if q.Batch == 0 || q.Batch > batch {
		q.Batch = batch
	}
	if p.Batch < 0 {
		q.Batch = p.Batch // for newDerivatives to refuse
	}
	d, err := newDerivatives(&q, tick)
	if err != nil {
		return nil, err
	}
	f := &fisher{derivatives: d, at: len(d.fixed)}
	var dims []int
	switch p.Loss.(type) {
	case train.CrossEntropy:
		f.draw = func(rng *rand.Rand, dst []float32) { dst[0] = rng.Float32() }
	case train.SquaredError:
		dims = p.Source.TargetDims()
		f.draw = func(rng *rand.Rand, dst []float32) {
			sd := math.Sqrt(2 * train.SquaredErrorScale / float64(len(dst)))
			for i := range dst {
				dst[i] = float32(sd * rng.NormFloat64())
			}
		}
	default:
		d.close()
		return nil, fmt.Errorf("influence: no predictive distribution is known for the loss %s", p.Loss.Name())
	}
	f.noise = tensors.FromShape(shapes.Make(dtypes.Float32, append([]int{d.batch.Size()}, dims...)...))
	d.fixed = append(d.fixed, f.noise)
	return f, nil
}

// outputGradient returns the gradient of the losses for drawn targets with respect to the outputs, [batch, ...].
func (f *fisher) outputGradient(outputs, noise *Node) *Node {
	if _, ok := f.problem.Loss.(train.SquaredError); ok {
		return noise
	}
	p := Softmax(outputs)
	g, batch, classes := p.Graph(), p.Shape().Dimensions[0], p.Shape().Dimensions[1]
	// Class k is drawn where p_1 + ... + p_k is the first of these sums above the noise; the last sum counts as 1.
	sums := Slice(CumSum(p, -1), AxisRange(), AxisRange(0, classes-1))
	above := ConvertDType(GreaterThan(sums, ExpandAxes(noise, 1)), p.DType())
	column := shapes.Make(p.DType(), batch, 1)
	drawn := Sub(Concatenate([]*Node{above, Ones(g, column)}, 1), Concatenate([]*Node{Zeros(g, column), above}, 1))
	return Sub(p, drawn)
}

// tapped is a tap with the gradient of the per-sample losses with respect to its output, [batch, ..., out]. Frozen batch
// norm lets no sample touch another, so the gradient of their sum is every sample's own. It is zero for padding.
type tapped struct {
	net.Tap
	gradient *Node
}

// taps returns the taps with the gradients for drawn targets, or for those of the data.
func (f *fisher) taps(in []*Node, drawn bool) []tapped {
	var all []tapped
	e := f.evaluateWith(in, func(t net.Tap) { all = append(all, tapped{Tap: t}) })
	sum := e.sum
	if drawn {
		dz := f.outputGradient(StopGradient(e.outputs), in[f.at])
		sum = ReduceAllSum(Mul(StopGradient(Mul(dz, samples(in[3], dz.Rank()))), e.outputs))
	}
	outputs := make([]*Node, len(all))
	for k, t := range all {
		outputs[k] = t.Output
	}
	for k, g := range Gradient(sum, outputs...) {
		all[k].gradient = g
	}
	return all
}

// samples shapes a vector [batch] for broadcasting over the first axis of a tensor of the given rank.
func samples(v *Node, rank int) *Node {
	dims := make([]int, rank)
	for k := range dims {
		dims[k] = 1
	}
	dims[0] = v.Shape().Dimensions[0]
	return Reshape(v, dims...)
}

// each is derivatives.each with targets drawn for every position.
func (f *fisher) each(ctx context.Context, name string, graph func([]*Node) []*Node, positions []int,
	use func(at, n int, result []float32)) error {
	size := f.batch.Size()
	each := f.noise.Size() / size
	for from := 0; from < len(positions); from += size {
		part := positions[from:min(len(positions), from+size)]
		if err := tensors.MutableFlatData(f.noise, func(noise []float32) {
			clear(noise)
			for k, i := range part {
				f.draw(seeded(fmt.Sprint("target ", i), f.problem.Seed), noise[k*each:][:each])
			}
		}); err != nil {
			return err
		}
		if err := f.derivatives.each(ctx, name, graph, nil, part, func(_, n int, result []float32) { use(from, n, result) }); err != nil {
			return err
		}
	}
	return nil
}
