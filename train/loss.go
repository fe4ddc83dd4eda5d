package train

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Loss is what a network is trained for and measured by. Its graph functions panic on shapes that do not fit.
type Loss interface {
	// Name of the loss, such as "cross-entropy".
	Name() string
	// PerSample returns the losses of a batch, [batch], from outputs and targets of shape [batch, ...]. The loss of a
	// sample depends on that sample's outputs and targets only.
	PerSample(outputs, targets *Node) *Node
	// Metric names the measure that people read, such as "accuracy".
	Metric() string
	// PerSampleMetric returns the metric of every sample, [batch], whose mean is the metric of a set.
	PerSampleMetric(outputs, targets *Node) *Node
}

// CrossEntropy is the softmax cross-entropy of classification, in nats. Outputs are logits [batch, classes], targets
// one-hot or probabilities that sum to 1, [batch, classes]. Its metric is the accuracy: 1 where the largest logit is
// the target's class, else 0; of equal logits the lowest class counts.
type CrossEntropy struct{}

var _ Loss = CrossEntropy{}

// Name implements Loss.
func (CrossEntropy) Name() string { return "cross-entropy" }

// Metric implements Loss.
func (CrossEntropy) Metric() string { return "accuracy" }

// PerSample implements Loss: log sum_k exp(z_k) - sum_k t_k z_k, with the largest logit taken off all logits first.
// Where the targets sum to 1 that constant changes neither the value nor a derivative.
func (CrossEntropy) PerSample(outputs, targets *Node) *Node {
	z := Sub(outputs, StopGradient(ReduceAndKeep(outputs, ReduceMax, -1)))
	return Sub(Log(ReduceSum(Exp(z), -1)), ReduceSum(Mul(targets, z), -1))
}

// PerSampleMetric implements Loss.
func (CrossEntropy) PerSampleMetric(outputs, targets *Node) *Node {
	return ConvertDType(Equal(ArgMax(outputs, -1), ArgMax(targets, -1)), outputs.DType())
}

// SquaredError is the loss of image restoration: the mean squared error of a sample's values in units of a tenth of their
// range, which is [SquaredErrorScale] times that in units of the range. Outputs and targets are images [batch, height, width,
// channels] of values in 0..1. So noise of sigma 25.5 gray levels of 255 has the loss 1, and the PSNR of a sample in dB is
// 20 - 10 log10(loss). DnCNN's half sum over a patch (Zhang et al. 2017, eq. 1) is this loss times a constant, values/200.
//
// Its metric is the PSNR in dB, 10 log10(1 / mean squared error in units of the range), of a sample. Outputs are neither rounded nor
// clamped.
type SquaredError struct{}

// SquaredErrorScale is the loss over the mean squared error in units of the range.
const SquaredErrorScale = 100

var _ Loss = SquaredError{}

// Name implements Loss.
func (SquaredError) Name() string { return "squared error" }

// Metric implements Loss.
func (SquaredError) Metric() string { return "psnr" }

// PerSample implements Loss.
func (SquaredError) PerSample(outputs, targets *Node) *Node {
	return MulScalar(sumOfSquares(outputs, targets), SquaredErrorScale/float64(valuesOf(outputs)))
}

// PerSampleMetric implements Loss.
func (SquaredError) PerSampleMetric(outputs, targets *Node) *Node {
	return MulScalar(Log(MulScalar(sumOfSquares(outputs, targets), 1/float64(valuesOf(outputs)))), -10/math.Ln10)
}

// valuesOf returns the number of values of one sample.
func valuesOf(outputs *Node) int { return outputs.Shape().Size() / outputs.Shape().Dimensions[0] }

// sumOfSquares returns the squared error of every sample, [batch].
func sumOfSquares(outputs, targets *Node) *Node {
	axes := make([]int, outputs.Rank()-1)
	for i := range axes {
		axes[i] = i + 1
	}
	return ReduceSum(Square(Sub(outputs, targets)), axes...)
}

// toFloat32 copies the first len(dst) values of a float32 tensor into dst and frees the tensor.
func toFloat32(t *tensors.Tensor, dst []float32) error {
	if err := tensors.ConstFlatData(t, func(flat []float32) { copy(dst, flat) }); err != nil {
		return err
	}
	return t.FinalizeAll()
}
