package influence

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// accumulator adds up in float64 on the device what batches give there in float32: the additions that the host would make, in the same
// order, without the copies to it.
type accumulator struct {
	backend compute.Backend
	exec    *Exec
	sum     *tensors.Tensor // one after the other, flat
}

// accumulation adds a tensor of float32 of any shape to as many sums, [N].
func accumulation(in []*Node) []*Node {
	sum, more := in[0], in[1]
	return []*Node{Add(sum, ConvertDType(Reshape(more, -1), dtypes.Float64))}
}

// newAccumulator returns one that begins at the values. exec is compiled of accumulation, and stays its owner's.
func newAccumulator(b compute.Backend, exec *Exec, values [][]float64) *accumulator {
	flat := make([]float64, 0, total(values))
	for _, v := range values {
		flat = append(flat, v...)
	}
	return &accumulator{backend: b, exec: exec, sum: tensors.FromFlatDataAndDimensions(flat, len(flat))}
}

// add adds a tensor of as many values. Its memory may be overwritten.
func (a *accumulator) add(more *tensors.Tensor) error {
	args := make([]any, 2)
	for k, t := range []*tensors.Tensor{a.sum, more} {
		given, err := DonateTensorBuffer(t, a.backend, 0)
		if err != nil {
			return err
		}
		args[k] = given
	}
	out, err := a.exec.Call(args...)
	if err != nil {
		return fmt.Errorf("adding up on the device: %w", err)
	}
	a.sum = out[0]
	return nil
}

// read fills the values with the sums.
func (a *accumulator) read(values [][]float64) error {
	return tensors.ConstFlatData(a.sum, func(flat []float64) { unflatten(values, flat) })
}

// close frees the sums.
func (a *accumulator) close() {
	_ = a.sum.FinalizeAll() // freeing memory early is all this does; there is nothing to be done about a failure
}
