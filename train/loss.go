package train

import (
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

// toFloat32 copies the first len(dst) values of a float32 tensor into dst and frees the tensor.
func toFloat32(t *tensors.Tensor, dst []float32) error {
	if err := tensors.ConstFlatData(t, func(flat []float32) { copy(dst, flat) }); err != nil {
		return err
	}
	return t.FinalizeAll()
}
