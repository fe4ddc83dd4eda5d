package train

import (
	"cmp"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
)

// Batch holds samples of a source as tensors that are filled again and again. A batch that is not full is padded with
// zero inputs and targets of weight 0.
//
// Filling a batch while a computation that reads it still runs is an error of the caller: wait for its results first.
type Batch struct {
	// X holds the inputs, [size, height, width, channels], Y the targets, [size, ...], and Weights [size] is 1 for
	// samples and 0 for padding.
	X, Y, Weights *tensors.Tensor

	src          dataset.Source
	size         int
	xSize, ySize int
	smoothing    float32
	filled       int // samples in X and Y; what follows is zero
	weighted     int // samples that Weights counts
}

// NewBatch returns an empty batch of the given size for samples of the source.
func NewBatch(src dataset.Source, size int) *Batch {
	tensor := func(dims ...int) *tensors.Tensor {
		return tensors.FromShape(shapes.Make(dtypes.Float32, append([]int{size}, dims...)...))
	}
	b := &Batch{X: tensor(src.InputDims()...), Y: tensor(src.TargetDims()...), Weights: tensor(), src: src, size: size}
	b.xSize, b.ySize = b.X.Size()/size, b.Y.Size()/size
	return b
}

// NewTrainingBatch is NewBatch with the targets that training by the recipe has: smoothed, where it says so. Smoothing for another
// loss than the cross-entropy of classes is an error.
func NewTrainingBatch(src dataset.Source, size int, r Recipe, l Loss) (*Batch, error) {
	if dims := src.TargetDims(); r.LabelSmoothing > 0 && (l.Name() != CrossEntropy{}.Name() || len(dims) != 1) {
		return nil, fmt.Errorf("label smoothing is for the %s of classes, not for the %s on targets of dimensions %v", CrossEntropy{}.Name(), l.Name(), dims)
	}
	b := NewBatch(src, size)
	b.Smooth(r.LabelSmoothing)
	return b, nil
}

// Smooth makes the targets of the batches to come (1-epsilon) y + epsilon/K, for K values of a target, and returns the
// epsilon before.
func (b *Batch) Smooth(epsilon float64) (before float64) {
	before, b.smoothing = float64(b.smoothing), float32(epsilon)
	return before
}

// Size returns the number of samples of a full batch.
func (b *Batch) Size() int { return b.size }

// Fill loads the samples at the positions, at most Size of them, and zeros the rest.
func (b *Batch) Fill(positions []int) error {
	return b.fill(positions, func(k int, x, y []float32) { b.src.Fill(positions[k], x, y) })
}

// FillEpochs loads the samples as training from the seed sees them, the k-th in epoch epochs[k]. Where the source is not
// [dataset.Varying], that is Fill.
func (b *Batch) FillEpochs(positions []int, seed uint64, epochs []uint64) error {
	varying, ok := b.src.(dataset.Varying)
	if !ok {
		return b.Fill(positions)
	}
	return b.fill(positions, func(k int, x, y []float32) { varying.FillEpoch(positions[k], seed, epochs[k], x, y) })
}

func (b *Batch) fill(positions []int, fill func(k int, x, y []float32)) error {
	if len(positions) > b.size {
		return fmt.Errorf("%d samples do not fit into a batch of %d", len(positions), b.size)
	}
	for _, i := range positions {
		if i < 0 || i >= b.src.Len() {
			return fmt.Errorf("sample position %d is outside the data set of %d samples", i, b.src.Len())
		}
	}
	var errY error
	errX := tensors.MutableFlatData(b.X, func(x []float32) {
		errY = tensors.MutableFlatData(b.Y, func(y []float32) {
			for k := range positions {
				target := y[k*b.ySize : (k+1)*b.ySize]
				fill(k, x[k*b.xSize:(k+1)*b.xSize], target)
				if b.smoothing > 0 {
					smooth(target, b.smoothing, b.ySize)
				}
			}
			if len(positions) < b.filled {
				clear(x[len(positions)*b.xSize : b.filled*b.xSize])
				clear(y[len(positions)*b.ySize : b.filled*b.ySize])
			}
		})
	})
	if err := cmp.Or(errX, errY); err != nil {
		return err
	}
	if on, ok := b.src.(interface{ Err() error }); ok { // samples on disk
		if err := on.Err(); err != nil {
			return err
		}
	}
	b.filled = len(positions)
	if b.weighted == b.filled {
		return nil
	}
	b.weighted = b.filled
	return tensors.MutableFlatData(b.Weights, func(w []float32) {
		for k := range w {
			w[k] = 0
			if k < b.filled {
				w[k] = 1
			}
		}
	})
}

// labels returns the class of every sample of the batch, that of the largest value of its target.
func (b *Batch) labels() ([]int, error) {
	labels := make([]int, b.filled)
	return labels, tensors.ConstFlatData(b.Y, func(y []float32) {
		for k := range labels {
			labels[k] = largest(y[k*b.ySize : (k+1)*b.ySize])
		}
	})
}

// smooth makes values of a target of K values smoothed ones, (1-epsilon) y + epsilon/K.
func smooth(target []float32, epsilon float32, k int) {
	for j, v := range target {
		target[j] = float32((1-epsilon)*v) + epsilon/float32(k)
	}
}

// Close frees the tensors.
func (b *Batch) Close() error {
	for _, t := range []*tensors.Tensor{b.X, b.Y, b.Weights} {
		if err := t.FinalizeAll(); err != nil {
			return err
		}
	}
	return nil
}
