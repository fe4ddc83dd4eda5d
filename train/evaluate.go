package train

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
)

// evaluationBatch is the number of samples evaluated at once. It is fixed, and a last batch is padded to it, so that a
// sample's loss has the same bits whichever samples are evaluated with it.
const evaluationBatch = 128

// Evaluation is how a model does on a set of samples, in the order of the positions asked for.
type Evaluation struct {
	// Loss and Metric are means over the samples, summed in float64.
	Loss, Metric float64
	// SampleLoss and SampleMetric hold every sample's own.
	SampleLoss, SampleMetric []float32
	// Predicted holds the position of the largest output, the predicted class; of equal ones the lowest. It is nil when
	// outputs are not vectors.
	Predicted []int
	// Confidence holds the probability of the predicted class, by the softmax of the outputs, and Rank how many outputs come before
	// that of the target's class: larger ones, and equal ones of a lower class. Both are nil when outputs are not vectors.
	Confidence []float32
	Rank       []int
}

// NotFiniteError says that a model has no finite loss on some samples: its training diverged, though its parameters are finite.
type NotFiniteError struct {
	// Net names the network.
	Net string
	// Count is the number of such samples among the Samples evaluated.
	Count, Samples int
	// Position is that of the first of them in the source, and Loss its loss, NaN or infinite.
	Position int
	Loss     float64
}

// Error implements error.
func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("training of %s diverged: the loss of %d of %d samples is not finite, that of sample %d is %v; %s",
		e.Net, e.Count, e.Samples, e.Position, e.Loss, advice)
}

// evaluationGraph maps theta [P], x, y and, for a network with state, the state [S] to the per-sample losses [batch],
// metrics [batch] and, for vector outputs, predictions [batch] and the outputs themselves.
func (e *Engine) evaluationGraph(in []*Node) []*Node {
	pass := &net.Pass{Params: net.Unflatten(in[0], e.net.Params)}
	if e.net.StateSize() > 0 {
		pass.State = net.Unflatten(in[3], e.net.State)
	}
	outputs := e.net.Forward(pass, in[1])
	out := []*Node{e.loss.PerSample(outputs, in[2]), e.loss.PerSampleMetric(outputs, in[2])}
	if outputs.Rank() == 2 {
		out = append(out, ArgMax(outputs, -1, dtypes.Int32), outputs)
	}
	return out
}

// Evaluate measures the model on the samples of the source at the positions idx, with batch norm at its running
// statistics. No positions give an evaluation of zeros. Cancelling ctx stops between two batches. A loss that is not finite is a
// *[NotFiniteError].
func (e *Engine) Evaluate(ctx context.Context, m *Model, src dataset.Source, idx []int) (*Evaluation, error) {
	if err := m.Fits(e.net); err != nil {
		return nil, err
	}
	theta := tensors.FromFlatDataAndDimensions(m.Theta, len(m.Theta))
	defer theta.FinalizeAll()
	batch := NewBatch(src, evaluationBatch)
	defer batch.Close()
	args := []any{theta, batch.X, batch.Y}
	if len(m.State) > 0 {
		state := tensors.FromFlatDataAndDimensions(m.State, len(m.State))
		defer state.FinalizeAll()
		args = append(args, state)
	}
	n := len(idx)
	ev := &Evaluation{SampleLoss: make([]float32, n), SampleMetric: make([]float32, n)}
	for at := 0; at < n; at += evaluationBatch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		end := min(n, at+evaluationBatch)
		if err := batch.Fill(idx[at:end]); err != nil {
			return nil, err
		}
		out, err := e.eval.Call(args...)
		if err != nil {
			return nil, fmt.Errorf("evaluating %s: %w", e.net.Name, err)
		}
		if err := toFloat32(out[0], ev.SampleLoss[at:end]); err != nil {
			return nil, err
		}
		if err := toFloat32(out[1], ev.SampleMetric[at:end]); err != nil {
			return nil, err
		}
		if len(out) > 2 {
			if err := tensors.ConstFlatData(out[2], func(classes []int32) {
				for _, c := range classes[:end-at] {
					ev.Predicted = append(ev.Predicted, int(c))
				}
			}); err != nil {
				return nil, err
			}
			if err := out[2].FinalizeAll(); err != nil {
				return nil, err
			}
			if err := ev.addOutputs(out[3], batch.Y, end-at); err != nil {
				return nil, err
			}
		}
	}
	if err := e.finite(ev.SampleLoss, idx); err != nil {
		return nil, err
	}
	if n > 0 {
		ev.Loss, ev.Metric = mean(ev.SampleLoss), mean(ev.SampleMetric)
	}
	return ev, nil
}

// finite returns an error if a loss of the samples at the positions idx is not finite.
func (e *Engine) finite(losses []float32, idx []int) error {
	bad := &NotFiniteError{Net: e.net.Name, Samples: len(idx)}
	for k, l := range losses {
		if l := float64(l); math.IsNaN(l) || math.IsInf(l, 0) {
			if bad.Count == 0 {
				bad.Position, bad.Loss = idx[k], l
			}
			bad.Count++
		}
	}
	if bad.Count == 0 {
		return nil
	}
	return bad
}

// addOutputs appends the confidence and the rank of the first n samples of a batch, and frees the outputs.
func (ev *Evaluation) addOutputs(outputs, targets *tensors.Tensor, n int) error {
	classes := outputs.Shape().Dimensions[1]
	var inner error
	err := tensors.ConstFlatData(outputs, func(z []float32) {
		inner = tensors.ConstFlatData(targets, func(y []float32) {
			for k := range n {
				row := z[k*classes : (k+1)*classes]
				top, target := row[largest(row)], largest(y[k*classes:(k+1)*classes])
				sum, rank := 0.0, 0
				for c, v := range row {
					sum += math.Exp(float64(v - top))
					if v > row[target] || v == row[target] && c < target {
						rank++
					}
				}
				ev.Confidence, ev.Rank = append(ev.Confidence, float32(1/sum)), append(ev.Rank, rank)
			}
		})
	})
	if err := cmp.Or(err, inner); err != nil {
		return err
	}
	return outputs.FinalizeAll()
}

func mean(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x)
	}
	return sum / float64(len(v))
}
