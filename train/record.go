package train

import (
	"crypto/sha256"
	"fmt"
	"math"

	"github.com/datadropout/datadropout/dataset"
)

// Recording says what [Engine.TrainRecorded] keeps. The zero value keeps nothing.
type Recording struct {
	// Dynamics asks for the margins, forgetting events and errors of every sample, of a classification.
	Dynamics bool
	// Early asks for the parameters after the first fifth of the epochs; see [Recipe.EarlyEpochs].
	Early bool
	// Checkpoints is the number of checkpoints, evenly spaced over the steps; no more than there are steps are kept.
	Checkpoints int
}

// Record is what was seen of the training samples along the way. Its vectors are in the order of the positions trained on;
// what was not asked for is nil.
//
// The outputs z are the logits in the forward pass of the step that a sample is in, before its update and in training mode:
// with batch norm they depend on the batch. y is the target, and the given label is the class of its largest value.
type Record struct {
	// End is the [Model.Digest] of the model that the training ended with.
	End [sha256.Size]byte
	// Presentations counts the steps that a sample was in. It is the number of epochs or, where the batches leave a rest at
	// the end, one less.
	Presentations []int
	// AUM is the mean over the presentations of z[label] - max over the others of z, the area under the margin (Pleiss et
	// al., NeurIPS 2020, arXiv:2001.10528, eqs. 1 and 2). 0 for a sample that was never presented.
	AUM []float64
	// Forgotten counts the presentations at which a sample was classified wrongly that had been classified correctly at its
	// presentation before; Learned says whether it was ever classified correctly (Toneva et al., ICLR 2019,
	// arXiv:1812.05159, section 3). Of equal logits the lowest class counts.
	Forgotten []int
	Learned   []bool
	// EL2N is the mean of |softmax(z) - y|_2 over the presentations within the first [Recipe.EarlyEpochs] epochs (Paul et
	// al., NeurIPS 2021, arXiv:2107.07075). The original takes one early epoch and the mean over ten
	// initializations instead. 0 for a sample that was not presented by then.
	EL2N []float64
	// Early is the model after the first EarlyEpochs epochs, if asked for.
	Early *Model
	// Checkpoints are models along the way, in the order of their steps.
	Checkpoints []Checkpoint
}

// Checkpoint is the model in the middle of a segment of the training that it stands for: the T steps are cut into as many
// segments of nearly equal length as there are checkpoints. With a checkpoint for every step it is where that step starts.
type Checkpoint struct {
	// Step is the number of steps done.
	Step int
	// Rates is the sum of the learning rates of the steps of the segment.
	Rates float64
	Model
}

// EarlyEpochs returns the number of epochs that count as early: a fifth of them, rounded down, and at least one.
func (r Recipe) EarlyEpochs() int { return max(1, r.Epochs/5) }

// EarlySteps returns the number of steps of the early epochs for n training samples, at least 1.
func (r Recipe) EarlySteps(n int) int {
	early := r
	early.Epochs = r.EarlyEpochs()
	return min(early.Steps(n), r.Steps(n))
}

// Holds says whether the record has what the recording asks for, of a training on n samples by the recipe.
func (r *Record) Holds(rec Recording, recipe Recipe, n int) bool {
	switch {
	case rec.Dynamics && (len(r.Presentations) != n || len(r.AUM) != n || len(r.Forgotten) != n || len(r.Learned) != n || len(r.EL2N) != n):
		return false
	case rec.Early && r.Early == nil:
		return false
	}
	return rec.Checkpoints == 0 || len(r.Checkpoints) == min(rec.Checkpoints, recipe.Steps(n))
}

// recorder fills a record while a round is carried out. Its methods do nothing where nothing is recorded.
type recorder struct {
	round  *round
	record *Record
	// segments holds where the segments of the C checkpoints begin and end: segments[0] = 0 < ... < segments[C] = T.
	segments []int
	early    int // the step before which Early is kept; -1: never
	// place is the number in the record of every position of the source that is trained on.
	place       []int
	classes     int
	earlyEnd    int // presentations of all samples that count as early
	earlySeen   []int
	correct     []bool // at the presentation before
	probability []float64
}

// newRecorder begins to record a round over the positions idx.
func newRecorder(r *round, rec Recording, src dataset.Source, idx []int) (*recorder, error) {
	c := &recorder{round: r, early: -1}
	if rec.Checkpoints < 0 {
		return nil, fmt.Errorf("the number of checkpoints must not be negative, got %d", rec.Checkpoints)
	}
	if (rec == Recording{}) {
		return c, nil
	}
	n := len(idx)
	c.record = &Record{}
	if rec.Early {
		c.early = r.recipe.EarlySteps(n)
	}
	if count := min(rec.Checkpoints, r.steps); count > 0 {
		c.segments = make([]int, count+1)
		for k := range c.segments {
			c.segments[k] = k * r.steps / count
		}
	}
	if !rec.Dynamics {
		return c, nil
	}
	if dims := src.TargetDims(); r.engine.loss.Name() != (CrossEntropy{}).Name() || len(dims) != 1 || dims[0] < 2 {
		return nil, fmt.Errorf("margins, forgetting events and errors of samples are recorded of a classification with %s; %s is trained for %s on targets of dimensions %v",
			CrossEntropy{}.Name(), r.engine.net.Name, r.engine.loss.Name(), dims)
	}
	c.classes = src.TargetDims()[0]
	c.earlyEnd = r.recipe.EarlyEpochs() * n
	c.record.Presentations, c.record.Forgotten, c.record.Learned = make([]int, n), make([]int, n), make([]bool, n)
	c.record.AUM, c.record.EL2N = make([]float64, n), make([]float64, n)
	c.earlySeen, c.correct, c.probability = make([]int, n), make([]bool, n), make([]float64, c.classes)
	c.place = make([]int, src.Len())
	for k, i := range idx {
		c.place[i] = k
	}
	r.watch = c.batch
	return c, nil
}

// before keeps what is wanted of the parameters after t steps.
func (c *recorder) before(t int) error {
	if t == c.early {
		m, err := c.round.copied()
		if err != nil {
			return err
		}
		c.record.Early = m
	}
	k := 0
	if c.record != nil {
		k = len(c.record.Checkpoints)
	}
	if k+1 >= len(c.segments) || t != c.middle(k) {
		return nil
	}
	m, err := c.round.copied()
	if err != nil {
		return err
	}
	point := Checkpoint{Step: t, Model: *m}
	for s := c.segments[k]; s < c.segments[k+1]; s++ {
		point.Rates += c.round.recipe.Rate(s, c.round.steps)
	}
	c.record.Checkpoints = append(c.record.Checkpoints, point)
	return nil
}

// next returns the step after t before which parameters are wanted next, or the number of all steps.
func (c *recorder) next(t int) int {
	next := c.round.steps
	if c.early > t {
		next = min(next, c.early)
	}
	for k := range max(0, len(c.segments)-1) {
		if middle := c.middle(k); middle > t {
			return min(next, middle)
		}
	}
	return next
}

// middle returns the step before which the k-th checkpoint is.
func (c *recorder) middle(k int) int { return (c.segments[k] + c.segments[k+1]) / 2 }

// batch takes in the outputs [batch, classes] of step t for samples of the given labels.
func (c *recorder) batch(t int, labels []int, outputs []float32) {
	for k, i := range c.round.positions {
		early := t*len(c.round.positions)+k < c.earlyEnd
		c.sample(c.place[i], early, outputs[k*c.classes:][:c.classes], labels[k])
	}
}

// sample takes in one presentation of the sample with number i of the record.
func (c *recorder) sample(i int, early bool, z []float32, label int) {
	r := c.record
	r.AUM[i] += margin(z, label)
	correct := largest(z) == label
	if c.correct[i] && !correct {
		r.Forgotten[i]++
	}
	c.correct[i] = correct
	r.Learned[i] = r.Learned[i] || correct
	r.Presentations[i]++
	if early {
		r.EL2N[i] += c.distance(z, label)
		c.earlySeen[i]++
	}
}

// end returns the finished record, once all steps are done and the parameters are still on the device.
func (c *recorder) end() (*Record, error) {
	if err := c.before(c.round.steps); err != nil || c.record == nil {
		return nil, err
	}
	for i, n := range c.record.Presentations {
		c.record.AUM[i] /= float64(max(1, n))
		c.record.EL2N[i] /= float64(max(1, c.earlySeen[i]))
	}
	return c.record, nil
}

// largest returns the position of the largest value; of equal ones the lowest.
func largest(v []float32) int {
	best := 0
	for k, x := range v {
		if x > v[best] {
			best = k
		}
	}
	return best
}

// margin returns the logit of the label less the largest of the others.
func margin(z []float32, label int) float64 {
	other := math.Inf(-1)
	for k, x := range z {
		if k != label {
			other = max(other, float64(x))
		}
	}
	return float64(z[label]) - other
}

// distance returns |softmax(z) - y|_2 for the one-hot y of the label, whether or not training smooths it.
func (c *recorder) distance(z []float32, label int) float64 {
	top, sum := float64(z[largest(z)]), 0.0
	for k, x := range z {
		c.probability[k] = math.Exp(float64(x) - top)
		sum += c.probability[k]
	}
	squares := 0.0
	for k, p := range c.probability {
		d := p / sum
		if k == label {
			d--
		}
		squares += d * d
	}
	return math.Sqrt(squares)
}
