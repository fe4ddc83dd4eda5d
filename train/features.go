package train

import (
	"context"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
)

// Features returns what the network's last dense layer reads of the samples at the positions idx, a row of width values a
// sample: the penultimate features, in which samples that the network takes for alike lie close together. The width is 0
// for a network without a dense layer. Batch norm is at its running statistics, and a sample's features have the same bits
// whichever samples are asked for with it. Cancelling ctx stops between two batches.
func (e *Engine) Features(ctx context.Context, m *Model, src dataset.Source, idx []int) (rows []float32, width int, err error) {
	if err := m.Fits(e.net); err != nil {
		return nil, 0, err
	}
	// Inputs: theta [P], x and, for a network with state, the state [S].
	exec, err := NewExec(e.backend, func(in []*Node) []*Node {
		pass := &net.Pass{Params: net.Unflatten(in[0], e.net.Params)}
		if e.net.StateSize() > 0 {
			pass.State = net.Unflatten(in[2], e.net.State)
		}
		var features *Node
		pass.Tap = func(t net.Tap) {
			if t.Kind == net.TapDense {
				features = t.Input
			}
		}
		outputs := e.net.Forward(pass, in[1])
		if features == nil {
			// A graph has at least one output; this one says that there are no features.
			return []*Node{ReduceAllSum(outputs)}
		}
		return []*Node{features}
	})
	if err != nil {
		return nil, 0, err
	}
	exec.WithName("features").SetMaxCache(-1)
	defer exec.Finalize()
	theta := tensors.FromFlatDataAndDimensions(m.Theta, len(m.Theta))
	defer theta.FinalizeAll()
	batch := NewBatch(src, evaluationBatch)
	defer batch.Close()
	args := []any{theta, batch.X}
	if len(m.State) > 0 {
		state := tensors.FromFlatDataAndDimensions(m.State, len(m.State))
		defer state.FinalizeAll()
		args = append(args, state)
	}
	for at := 0; at < len(idx); at += evaluationBatch {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		end := min(len(idx), at+evaluationBatch)
		if err := batch.Fill(idx[at:end]); err != nil {
			return nil, 0, err
		}
		out, err := exec.Call(args...)
		if err != nil {
			return nil, 0, fmt.Errorf("the features of %s: %w", e.net.Name, err)
		}
		if out[0].Rank() == 2 {
			width = out[0].Shape().Dimensions[1]
			rows = append(rows, make([]float32, (end-at)*width)...)
		}
		if err := toFloat32(out[0], rows[at*width:]); err != nil {
			return nil, 0, err
		}
	}
	return rows, width, nil
}
