package influence

import (
	"context"
	"fmt"
	"hash"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/train"
)

// gradientNorms returns |grad l_i| at a model for every training sample: a backward pass for each, in batches of one, of which
// only the norm leaves the device. It is exact and costs less than an estimate: the mean of (grad l_i . v)^2 over K random
// directions v in forward mode is off by sqrt(2/K), relative, and already with K = 32 takes several times as long.
func gradientNorms(ctx context.Context, p *Problem, m *train.Model, tick func(samples int)) ([]float64, error) {
	single := *p
	single.Batch, single.Model = 1, m
	d, err := newDerivatives(&single, tick)
	if err != nil {
		return nil, err
	}
	defer d.close()
	key := p.keeper.of(func(h hash.Hash) { fmt.Fprintf(h, "norms\n%x\n", d.model) })
	norms, found, err := p.keeper.result(normsPiece, key, len(p.Train), func() ([]float64, error) {
		norms := make([]float64, len(p.Train))
		err := d.pass(ctx, "gradient norm", d.gradientNormGraph, nil, p.Train, [][]float64{norms}, func(at, _ int, norm []float32) {
			norms[at] = float64(norm[0])
		})
		return norms, err
	})
	if err != nil {
		return nil, err
	}
	if found {
		tick(len(norms))
	}
	return norms, finite(norms, "the gradient norms")
}

// leastNorm is the shortest gradient whose length is known: the squares that make it up are computed in float32, whose smallest normal
// number is 1.2e-38, which those of a hundred million elements keep above.
const leastNorm = 1e-15

// gradientNormGraph returns |sum_i w_i grad l_i|, a scalar.
func (d *derivatives) gradientNormGraph(in []*Node) []*Node {
	e := d.evaluate(in)
	var squares *Node
	for _, g := range Gradient(e.sum, e.params...) {
		square := ReduceAllSum(Square(g))
		if squares == nil {
			squares = square
		} else {
			squares = Add(squares, square)
		}
	}
	return []*Node{Sqrt(squares)}
}

// gradNorm is the baseline "grand": delta_i = -|grad l_i| / n at the parameters after the first fifth of the epochs (GraNd,
// Paul et al., NeurIPS 2021, arXiv:2107.07075, who take the mean over ten initializations: average the scores of models
// trained from as many seeds for that). It knows no scoring set, and only its sequence means something: the samples that
// pulled hardest come out as the least favorable.
type gradNorm struct{}

var _ Estimator = gradNorm{}

// Name implements Estimator.
func (gradNorm) Name() string { return "grand" }

// Score implements Estimator.
func (e gradNorm) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	want := train.Recording{Early: true}
	n := len(p.Train)
	count := newCounter(progress, most(e.Work(p)))
	r, message, err := p.record(ctx, want, count.add)
	if err != nil {
		return nil, err
	}
	norms, err := gradientNorms(ctx, p, r.Early, count.add)
	if err != nil {
		return nil, err
	}
	delta := make([]float64, n)
	for i, x := range norms {
		delta[i] = (0 - x) / float64(n) // not the negative zero
	}
	return &Scores{Delta: delta, Solver: Solver{Converged: true, Message: message}}, nil
}

// gradCos is the estimator "gradcos": delta_i = grad L_val . grad l_i / (n |grad l_i|) at the trained model, graddot with
// every sample's gradient brought to length 1, so that no sample stands out by the size of its loss alone. Up to |grad L_val|,
// the same for all samples, it is the cosine between the two. Only its sequence means something. The direction of a gradient that is
// next to nothing, that of a sample the network is sure of, is chance; below leastNorm it has the effect 0.
type gradCos struct{}

var _ Estimator = gradCos{}

// Name implements Estimator.
func (gradCos) Name() string { return "gradcos" }

// Score implements Estimator.
func (e gradCos) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	n := len(p.Train)
	count := newCounter(progress, most(e.Work(p)))
	d, err := newDerivatives(p, count.add)
	if err != nil {
		return nil, err
	}
	defer d.close()
	targets, err := d.targets(ctx)
	if err != nil {
		return nil, err
	}
	norms, err := gradientNorms(ctx, p, p.Model, count.add)
	if err != nil {
		return nil, err
	}
	effects, err := d.directionals(ctx, p.Train, targets)
	if err != nil {
		return nil, err
	}
	for _, delta := range effects {
		for i, norm := range norms {
			if norm < leastNorm {
				delta[i] = 0
				continue
			}
			delta[i] /= norm * float64(n)
		}
	}
	s, err := p.foldScores(effects)
	if err != nil {
		return nil, err
	}
	s.Solver.Converged = true
	return s, nil
}
