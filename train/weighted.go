package train

import (
	"context"
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
)

// TrainWeighted is Train with a weight w_i for every sample of idx: the loss of a step is (1/B) sum_i w_i l_i over its batch.
// A sample of weight 0 keeps its place in the order, so that steps, batches and rates stay what they are: it is what the
// removal effect delta_i = -dL_val/dw_i predicts to first order, and what leave-one-out scores are held against (Ilyas and
// Engstrom 2025). Weights of one give Train's model up to rounding. A number of weights other than that of idx, or a weight
// that is not finite, is an error. A sample of weight 0 still takes part in the batch statistics of batch norm.
func (e *Engine) TrainWeighted(ctx context.Context, src dataset.Source, idx []int, weights []float32, r Recipe, seed uint64, progress func(Progress)) (*Model, error) {
	return e.TrainWeightedKept(ctx, src, idx, weights, r, seed, Keep{}, progress)
}

// TrainWeightedKept is TrainWeighted that continues where it was interrupted: see [Engine.TrainKept].
func (e *Engine) TrainWeightedKept(ctx context.Context, src dataset.Source, idx []int, weights []float32, r Recipe, seed uint64, keep Keep,
	progress func(Progress)) (*Model, error) {
	if len(weights) != len(idx) {
		return nil, fmt.Errorf("%d weights for %d samples", len(weights), len(idx))
	}
	for k, w := range weights {
		if math.IsNaN(float64(w)) || math.IsInf(float64(w), 0) {
			return nil, fmt.Errorf("the weight of sample %d is not finite: %v", idx[k], w)
		}
	}
	t, err := e.train(ctx, src, idx, weights, r, seed, Recording{}, keep, progress)
	if err != nil {
		return nil, err
	}
	return t.Model, nil
}

// weightedStepGraph is StepGraph with the weights of the samples, [batch], as one input more, the last one.
func (e *Engine) weightedStepGraph(in []*Node) []*Node {
	last := len(in) - 1
	out, _ := e.update(in[:last], weightedMeanLoss(in[last]))
	return out
}

// weightedMeanLoss returns the batch loss (1/B) sum_i w_i l_i for the weights of the samples, [batch].
func weightedMeanLoss(weights *Node) func(losses *Node) *Node {
	return func(losses *Node) *Node { return ReduceAllMean(Mul(weights, losses)) }
}

// weigh gives the samples at the positions idx of a source with n samples their weights.
func (r *round) weigh(n int, idx []int, weights []float32) {
	r.weightOf = make([]float32, n)
	for k, i := range idx {
		r.weightOf[i] = weights[k]
	}
	if r.resident != nil {
		r.resident.weights = tensors.FromFlatDataAndDimensions(r.weightOf, n)
		return
	}
	r.weights = tensors.FromFlatDataAndDimensions(make([]float32, len(r.positions)), len(r.positions))
}

// fillWeights loads the weights of the batch's samples.
func (r *round) fillWeights() error {
	return tensors.MutableFlatData(r.weights, func(w []float32) {
		for k, i := range r.positions {
			w[k] = r.weightOf[i]
		}
	})
}
