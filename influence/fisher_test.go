package influence

import (
	"fmt"
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// retargeted is a source of blobs with targets of its own.
type retargeted struct {
	*blobs
	dims    []int
	targets [][]float32
}

func (r *retargeted) TargetDims() []int { return r.dims }
func (r *retargeted) Fill(i int, x, y []float32) {
	copy(x, r.x[i])
	copy(y, r.targets[i])
}

// outputs evaluates the network of the problem on all samples, [samples][outputs].
func outputs(t testing.TB, p *Problem) [][]float32 {
	t.Helper()
	d := open(t, p)
	var all [][]float32
	err := d.each(t.Context(), "outputs", func(in []*Node) []*Node {
		e := d.evaluate(in)
		return []*Node{Reshape(e.outputs, e.outputs.Shape().Dimensions[0], -1)}
	}, nil, span(0, p.Source.Len()), func(_, n int, z []float32) {
		size := len(z) / d.batch.Size()
		for k := range n {
			all = append(all, slices.Clone(z[k*size:][:size]))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// withDrawnTargets is the problem with the targets that its Fisher matrix is made with, by the account of fisher: its
// per-sample gradients are those whose second moments the matrix holds.
func withDrawnTargets(t testing.TB, p *Problem) *Problem {
	t.Helper()
	src := &retargeted{blobs: p.Source.(interface{ picture() *blobs }).picture(), dims: p.Source.TargetDims()}
	for i, z := range outputs(t, p) {
		rng := seeded(fmt.Sprint("target ", i), p.Seed)
		y := make([]float32, len(z))
		if p.Loss == (train.SquaredError{}) { // dl/dz = 2c (z - y), c = 100 over the values
			c := 100 / float64(len(z))
			for j := range y {
				y[j] = z[j] - float32(rng.NormFloat64()/math.Sqrt(2*c))
			}
		} else {
			_, prob := crossEntropy(wide(z), 0)
			u, sum, k := float64(rng.Float32()), 0.0, 0
			for ; k < len(prob)-1; k++ {
				if sum += prob[k]; sum > u {
					break
				}
			}
			y[k] = 1
		}
		src.targets = append(src.targets, y)
	}
	q := *p
	q.Source = src
	return &q
}

func (b *blobs) picture() *blobs { return b }

// TestDrawnClasses draws with evenly spaced noise, which must find every class as often as its probability says.
func TestDrawnClasses(t *testing.T) {
	const draws = 1000
	src, n := newBlobs(20, 2, 3, 3, 5), smooth()
	f, err := newFisher(newProblem(backend(t, 2), n, src, initial(n, 1), 0), 8, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	z := []float64{0.3, -1, 2, 0.5, -30} // the last is never drawn
	_, p := crossEntropy(z, 0)
	logits, noise := make([]float32, 0, draws*len(z)), make([]float32, draws)
	for i := range noise {
		noise[i] = (float32(i) + 0.5) / draws
		logits = append(logits, narrow(z)...)
	}
	out, err := CallOnce(f.problem.Backend, func(z, noise *Node) *Node { return f.outputGradient(z, noise) },
		tensors.FromFlatDataAndDimensions(logits, draws, len(z)), noise)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]float64, len(z))
	for j, g := range tensors.MustCopyFlatData[float32](out) {
		k := j % len(z)
		drawn := p[k] - float64(g) // 1 for the class that was drawn, else 0
		if math.Abs(drawn-math.Round(drawn)) > 1e-6 || drawn < -0.5 || drawn > 1.5 {
			t.Fatalf("element %d: gradient %v for the probability %v", j, g, p[k])
		}
		counts[k] += math.Round(drawn)
	}
	for k := range counts {
		if math.Abs(counts[k]-draws*p[k]) > 1 {
			t.Errorf("class %d: drawn %v times of %d with probability %v", k, counts[k], draws, p[k])
		}
	}
}

// The noise of the squared error is normal, of variance 2*100/size, and a sample's does not depend on the batch that it is in.
func TestDrawnNoise(t *testing.T) {
	const samples, size = 60, 20
	var first []float64
	for _, batch := range []int{1, 7, 32} {
		p := denoising(t, samples)
		f, err := newFisher(p, batch, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		var all []float64
		err = f.each(t.Context(), "noise", func(in []*Node) []*Node { return []*Node{f.outputGradient(f.evaluate(in).outputs, in[f.at])} },
			span(0, samples), func(at, n int, noise []float32) {
				if at*size != len(all) {
					t.Errorf("batch %d: position %d after %d values", batch, at, len(all))
				}
				all = append(all, wide(noise[:n*size])...)
			})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = all
		} else if !slices.Equal(first, all) {
			t.Errorf("batch %d: other noise", batch)
		}
	}
	for k := range first {
		first[k] /= math.Sqrt(200.0 / size)
	}
	mean, variance := stat.MeanVariance(first, nil)
	// Standard errors of 1,200 values: 0.029 and 0.041.
	if len(first) != samples*size || math.Abs(mean) > 0.12 || math.Abs(variance-1) > 0.17 {
		t.Errorf("%d values with mean %v and variance %v", len(first), mean, variance)
	}
}

// TestTapsMakeTheGradient puts the gradient together from the taps of networks with strides, padding, batch norm and
// shortcuts.
func TestTapsMakeTheGradient(t *testing.T) {
	for _, name := range []string{"softmax", "mlp", "lenet5", "cnn", "resnet20", "resnet9", "dncnn-s"} {
		const height, width = 12, 13
		src := newBlobs(12, height, width, 3, 4)
		n, err := net.New(name, [3]int{height, width, 1}, 3)
		if name == "dncnn-s" {
			n, err = net.New(name, [3]int{height, width, 1}, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
		p := newProblem(backend(t, 2), n, src, initial(n, 1), 0)
		p.Batch = 4
		for j := range p.Model.State { // other statistics than those of an untrained network
			p.Model.State[j] += float32(j%5) / 10
		}
		if name == "dncnn-s" {
			p.Loss = train.SquaredError{}
			p.Source = &retargeted{blobs: src, dims: []int{height, width, 1}, targets: src.x}
		}
		f, err := newFisher(p, 4, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		got := make([]float64, n.Size())
		err = f.each(t.Context(), "gradient from taps", func(in []*Node) []*Node {
			params := make([]*Node, len(n.Params))
			for _, tap := range f.taps(in, false) {
				if tap.Kind == net.TapNorm {
					channels := tap.gradient.Shape().Dimensions[3]
					params[tap.Weight] = ReduceSum(Reshape(Mul(tap.Input, tap.gradient), -1, channels), 0)
					params[tap.Bias] = ReduceSum(Reshape(tap.gradient, -1, channels), 0)
					continue
				}
				a, d := operands(tap)
				g := DotGeneral(a, []int{0, 1}, nil, d, []int{0, 1}, nil)
				inputs := elements(n.Params[tap.Weight]) / d.Shape().Dimensions[2]
				params[tap.Weight] = Slice(g, AxisRange(0, inputs))
				if tap.Bias >= 0 {
					params[tap.Bias] = Slice(g, AxisElem(inputs))
				}
			}
			return []*Node{net.Flatten(params)}
		}, p.Train, func(_, _ int, g []float32) {
			for j, x := range g {
				got[j] += float64(x) / float64(len(p.Train))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		want, err := open(t, p).meanGradient(t.Context(), p.Train)
		if err != nil {
			t.Fatal(err)
		}
		if e := apart(got, want); !(e < 1e-5) {
			t.Errorf("%s: relative error %.2g", name, e)
		}
	}
}

// hinge is a loss without a predictive distribution.
type hinge struct{ train.CrossEntropy }

func (hinge) Name() string { return "hinge" }
