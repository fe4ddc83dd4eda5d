package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/internal/precision"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// What [Agree] compares beside the phases that are one graph each: the parameters after a few steps of training, for a classifier also of one on augmented images,
// which a backend with memory of its own keeps there, and the scores of two estimators.
const (
	AgreeTraining     = "training"
	AgreeImages       = "images"
	AgreeCG           = "cg"
	AgreeMetagradient = "metagradient"
)

// Agreement is how far what one backend computes is from what another does. Differences are the largest one between two numbers of
// a result over its largest number.
type Agreement struct {
	// What is one of [Phases] but train, AgreeTraining, AgreeImages, AgreeCG or AgreeMetagradient.
	What string
	// Difference is that between the backends. Rounding is what the result changes by on the reference if every input, pixels and
	// parameters, moves to a neighboring float32; two orders of adding up differ by some such amount. Both are +Inf where
	// numbers are not finite.
	Difference, Rounding float64
	// Kinks says that the network may have such, by activation functions or pooling.
	Kinks bool
	// Seconds is what the backend took, compilation included.
	Seconds float64
}

// tolerance is how far results of a precision may be apart. A backend agrees within so many roundings of the inputs, and in any case within
// the least that is allowed. With ReLU or max-pooling a number near a kink may fall on its other side, on one backend and not on another,
// which moves derivatives a good deal further; the coarser the numbers, the more do.
type tolerance struct{ roundings, least, leastAtKinks float64 }

const kinkRoundings = 10

// tolerances are those by precision. TF32's numbers are 2^13 times as far apart as float32's and are told from these by that; bfloat16's are
// 2^16 times as far.
var tolerances = map[string]tolerance{
	precision.Float32:  {100, 2e-5, 0.05},
	precision.TF32:     {1 << 13, 2e-5 * (1 << 13) / 100, 0.5},
	precision.BFloat16: {1 << 16, 2e-5 * (1 << 16) / 100, 0.5},
}

// inBFloat16 are the results that a network in bfloat16 computes so: what trains it, evaluates it and goes back through its training.
// The others are derivatives at a model, which are computed as with auto.
var inBFloat16 = []string{influence.PhaseForward, influence.PhaseStep, AgreeTraining, AgreeImages, AgreeMetagradient}

// Allowed is the difference within which the backends agree, where products are in the given precision: float32, tf32 or bfloat16.
func (a Agreement) Allowed(in string) float64 {
	if in == precision.BFloat16 && !slices.Contains(inBFloat16, a.What) {
		in = precision.TF32
	}
	t := tolerances[in]
	if a.Kinks && a.What != influence.PhaseForward {
		return max(t.leastAtKinks, kinkRoundings*a.Rounding)
	}
	return max(t.least, t.roundings*a.Rounding)
}

// Agrees says whether the difference is within what is allowed.
func (a Agreement) Agrees(in string) bool {
	return !math.IsInf(a.Difference, 0) && a.Difference <= a.Allowed(in)
}

// AgreeSetting is what [Agree] compares.
type AgreeSetting struct {
	// Net names the network, for images of its usual size; Batch is the number of samples of an evaluation or step, at least 2.
	Net   string
	Batch int
	// BFloat16 lets the network compute its products in bfloat16 on the backend, and not on the reference.
	BFloat16 bool
}

// Agree computes the same on a backend and on a reference, from synthetic samples, and reports how far they agree: every phase and the
// scores of cg at parameters that the reference draws, a training of four steps, and the scores of metagradient by it. Of
// networks with smooth activation functions and pooling the difference says the most.
func Agree(ctx context.Context, backend, reference compute.Backend, s AgreeSetting, report func(Agreement)) error {
	if s.Batch < 2 {
		return fmt.Errorf("the batch must hold at least 2 samples, got %d", s.Batch)
	}
	size, outputs := net.Usual(s.Net)
	network, err := net.New(s.Net, size, outputs)
	if err != nil {
		return err
	}
	point, err := newTrial(reference, network, s, nil).trained(ctx, pointRecipe(s))
	if err != nil {
		return fmt.Errorf("training %s on the reference: %w", s.Net, err)
	}
	own := network
	if s.BFloat16 {
		own = network.BFloat16()
	}
	mine, plain, moved := newTrial(backend, own, s, nil), newTrial(reference, network, s, nil), newTrial(reference, network, s, neighbor)
	for _, t := range []*trial{mine, plain, moved} {
		t.point = &train.Model{Theta: slices.Clone(point.Theta), State: point.State}
		t.apply(0, t.point.Theta)
	}
	compared := append(append([]string{}, graphPhases...), AgreeTraining, AgreeCG, AgreeMetagradient)
	if len(network.Outputs) == 1 {
		compared = append(compared, AgreeImages)
	}
	for _, what := range compared {
		want, err := plain.results(ctx, what)
		if err != nil {
			return fmt.Errorf("%s of %s on the reference: %w", what, s.Net, err)
		}
		nearby, err := moved.results(ctx, what)
		if err != nil {
			return fmt.Errorf("%s of %s on the reference: %w", what, s.Net, err)
		}
		began := time.Now()
		got, err := mine.results(ctx, what)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", what, s.Net, err)
		}
		report(Agreement{
			What: what, Difference: apart(got, want), Rounding: apart(nearby, want), Kinks: !strings.HasSuffix(s.Net, "-smooth"),
			Seconds: time.Since(began).Seconds(),
		})
	}
	return nil
}

// apart is the largest difference between two lists of vectors, each relative to the largest number of its vector in want.
func apart(got, want [][]float32) float64 {
	most := 0.0
	for k := range want {
		if len(got[k]) != len(want[k]) {
			return math.Inf(1)
		}
		largest, difference := 0.0, 0.0
		for i, w := range want[k] {
			d := math.Abs(float64(got[k][i]) - float64(w))
			if math.IsNaN(d) {
				return math.Inf(1)
			}
			largest, difference = max(largest, math.Abs(float64(w))), max(difference, d)
		}
		if difference > 0 {
			most = max(most, difference/largest)
		}
	}
	return most
}

// neighbor returns the next float32 above or below, as the dice fall.
func neighbor(x float32, rng *rand.Rand) float32 {
	return math.Nextafter32(x, float32(math.Inf(1-2*rng.IntN(2))))
}

// trial computes on one backend what is compared. disturb, unless nil, is applied to every pixel and parameter that goes in.
type trial struct {
	backend compute.Backend
	net     *net.Network
	setting AgreeSetting
	disturb func(x float32, rng *rand.Rand) float32
	source  synthetic
	point   *train.Model // that derivatives are taken at
	model   *train.Model // that it trained
}

func newTrial(b compute.Backend, n *net.Network, s AgreeSetting, disturb func(float32, *rand.Rand) float32) *trial {
	t := &trial{backend: b, net: n, setting: s, disturb: disturb}
	t.source = synthetic{len: (agreeSteps + 1) * s.Batch, input: n.Input[:], target: n.Outputs, disturb: t.apply}
	return t
}

// agreeSteps is the number of training steps, of which each has its own samples. The samples after theirs are those that are scored on.
const agreeSteps = 4

// apply disturbs a vector; the same vector, named by a stream, is always disturbed alike.
func (t *trial) apply(stream uint64, v []float32) {
	if t.disturb == nil {
		return
	}
	rng := rand.New(rand.NewPCG(3, stream))
	for i, x := range v {
		v[i] = t.disturb(x, rng)
	}
}

func (t *trial) results(ctx context.Context, what string) ([][]float32, error) {
	switch what {
	case AgreeTraining:
		m, err := t.own(ctx)
		if err != nil {
			return nil, err
		}
		return [][]float32{m.Theta, m.State}, nil
	case AgreeImages:
		src, err := t.images()
		if err != nil {
			return nil, err
		}
		m, err := t.trainedOn(ctx, src, agreeRecipe(t.setting))
		if err != nil {
			return nil, err
		}
		return [][]float32{m.Theta, m.State}, nil
	case AgreeCG, AgreeMetagradient:
		return t.scores(ctx, what)
	}
	return t.phase(what)
}

// phase returns the outputs of a phase for the first samples.
func (t *trial) phase(name string) ([][]float32, error) {
	w := newWorkload(t.backend, t.net, Setting{Phase: name, Source: t.source})
	defer w.close()
	w.load(t.setting.Batch)
	if err := w.fill(); err != nil {
		return nil, err
	}
	if err := tensors.MutableFlatData(w.args[0].(*tensors.Tensor), func(theta []float32) { copy(theta, t.point.Theta) }); err != nil {
		return nil, err
	}
	if w.state > 0 {
		if err := tensors.MutableFlatData(w.args[w.state].(*tensors.Tensor), func(state []float32) { copy(state, t.point.State) }); err != nil {
			return nil, err
		}
	}
	outputs, err := w.exec.Call(w.args...)
	if err != nil {
		return nil, err
	}
	values := make([][]float32, len(outputs))
	for k, out := range outputs {
		err := tensors.ConstFlatData(out, func(v []float32) { values[k] = append(values[k], v...) })
		if err != nil {
			return nil, err
		}
		if err := out.FinalizeAll(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// agreeRecipe is a training of agreeSteps steps, at a rate at which rounding does not grow with every step.
func agreeRecipe(s AgreeSetting) train.Recipe {
	return train.Recipe{Epochs: 1, BatchSize: s.Batch, LearningRate: 1e-3, Momentum: 0.9, WeightDecay: 5e-4, Schedule: "constant"}
}

// pointRecipe leads to where derivatives are taken. It brings the running statistics of batch norm near to what they estimate, and moves
// parameters next to nothing: samples that are learned by heart have losses so small that differences of outputs lose their digits.
func pointRecipe(s AgreeSetting) train.Recipe {
	return train.Recipe{Epochs: 6, BatchSize: s.Batch, LearningRate: 1e-6, Schedule: "constant"}
}

// positions are those of the samples trained on, and of those scored on.
func (t *trial) positions() (training, score []int) {
	for i := range t.source.len {
		if i < agreeSteps*t.setting.Batch {
			training = append(training, i)
		} else {
			score = append(score, i)
		}
	}
	return training, score
}

// trained returns the model of a training of the trial's.
func (t *trial) trained(ctx context.Context, r train.Recipe) (*train.Model, error) {
	return t.trainedOn(ctx, t.source, r)
}

func (t *trial) trainedOn(ctx context.Context, src dataset.Source, r train.Recipe) (*train.Model, error) {
	e := train.NewEngine(t.backend, t.net, lossOf(t.net))
	defer e.Close()
	training, _ := t.positions()
	return e.Train(ctx, src, training, r, 1, nil)
}

// images are 8-bit images with labels in turn, augmented.
func (t *trial) images() (dataset.Source, error) {
	d := t.net.Input
	s := &dataset.Images{Name: "synthetic", Height: d[0], Width: d[1], Channels: d[2], Classes: make([]string, t.net.Outputs[0])}
	s.Mean, s.Std = slices.Repeat([]float32{0.5}, d[2]), slices.Repeat([]float32{0.3}, d[2])
	rng := rand.New(rand.NewPCG(11, 7))
	for i := range t.source.len {
		s.Labels, s.IDs = append(s.Labels, i%len(s.Classes)), append(s.IDs, t.source.ID(i))
		for range d[0] * d[1] * d[2] {
			s.Pix = append(s.Pix, uint8(rng.IntN(256)))
		}
	}
	src, err := dataset.Augmented(s, dataset.Augmentation{Crop: 2, Flip: true, Cutout: 3})
	if err != nil || t.disturb == nil {
		return src, err
	}
	return disturbed{src, t.apply}, nil
}

// disturbed is a source whose inputs are.
type disturbed struct {
	dataset.Varying
	disturb func(stream uint64, v []float32)
}

func (s disturbed) FillEpoch(i int, seed, epoch uint64, input, target []float32) {
	s.Varying.FillEpoch(i, seed, epoch, input, target)
	s.disturb(uint64(i)+1, input)
}

// own returns the model by agreeRecipe, which is trained once.
func (t *trial) own(ctx context.Context) (m *train.Model, err error) {
	if t.model == nil {
		t.model, err = t.trained(ctx, agreeRecipe(t.setting))
	}
	return t.model, err
}

// scores returns those of an estimator. metagradient goes back through the trial's own training.
func (t *trial) scores(ctx context.Context, estimator string) ([][]float32, error) {
	m := t.point
	if estimator == AgreeMetagradient {
		var err error
		if m, err = t.own(ctx); err != nil {
			return nil, err
		}
	}
	p := &influence.Problem{
		Backend: t.backend, Net: t.net, Loss: lossOf(t.net), Model: m, Recipe: agreeRecipe(t.setting), TrainSeed: 1, Source: t.source, Batch: t.setting.Batch,
	}
	p.Train, p.Score = t.positions()
	// A fixed number of iterations: where the solver stops by the residual is not a smooth function of its input.
	e, err := influence.New(estimator, influence.Options{MaxIterations: 4, Tolerance: 1e-12, NoSmoothnessCheck: true})
	if err != nil {
		return nil, err
	}
	s, err := e.Score(ctx, p, nil)
	if err != nil {
		return nil, err
	}
	delta := make([]float32, len(s.Delta))
	for i, d := range s.Delta {
		delta[i] = float32(d)
	}
	return [][]float32{delta}, nil
}

// synthetic holds samples from a normal distribution, and for classes a label each, in turn.
type synthetic struct {
	len           int
	input, target []int
	disturb       func(stream uint64, v []float32)
}

func (s synthetic) Len() int          { return s.len }
func (s synthetic) ID(i int) string   { return fmt.Sprintf("synthetic/%05d", i) }
func (s synthetic) InputDims() []int  { return s.input }
func (s synthetic) TargetDims() []int { return s.target }
func (s synthetic) Fill(i int, input, target []float32) {
	rng := rand.New(rand.NewPCG(uint64(i), 7))
	for j := range input {
		input[j] = float32(rng.NormFloat64())
	}
	s.disturb(uint64(i)+1, input)
	if len(s.target) == 1 {
		clear(target)
		target[i%len(target)] = 1
		return
	}
	for j := range target {
		target[j] = float32(rng.NormFloat64())
	}
}
