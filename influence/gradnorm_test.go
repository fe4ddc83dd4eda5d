package influence

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// exactNorms returns |grad l_i| at the problem's model, from the gradients themselves and in float64.
func exactNorms(t testing.TB, p *Problem) []float64 {
	t.Helper()
	d, err := newDerivatives(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	norms := make([]float64, len(p.Train))
	for k, i := range p.Train {
		g, err := d.meanGradient(t.Context(), []int{i})
		if err != nil {
			t.Fatal(err)
		}
		norms[k] = floats.Norm(g, 2)
	}
	return norms
}

func TestGradientNorms(t *testing.T) {
	for _, test := range []struct {
		net *net.Network
		src *blobs
	}{
		{smooth(), newBlobs(80, 2, 3, 3, 5)},
		{normalized(), newBlobs(80, 2, 3, 3, 5)},
		{zoo(t, "cnn", 12), newBlobs(80, 12, 12, 3, 5)},
		{zoo(t, "resnet20", 12), newBlobs(20, 12, 12, 3, 5)},
	} {
		p := newProblem(backend(t, 2), test.net, test.src, initial(test.net, 4), 0)
		exact := exactNorms(t, p)
		samples := 0
		got, err := gradientNorms(t.Context(), p, p.Model, func(n int) { samples += n })
		if err != nil {
			t.Fatal(err)
		}
		if e := apart(got, exact); e > 1e-5 || samples != len(p.Train) {
			t.Errorf("%s: relative error %.2g; told of %d samples of %d", test.net.Name, e, samples, len(p.Train))
		}
	}
}

// zoo is a network of the zoo for square images and three classes.
func zoo(t testing.TB, name string, side int) *net.Network {
	t.Helper()
	n, err := net.New(name, [3]int{side, side, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestGraNd compares with exact norms at the parameters after the first fifth of the epochs, from a training of that length
// at a constant rate.
func TestGraNd(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	r := train.Recipe{Epochs: 10, BatchSize: 8, LearningRate: 0.2, Momentum: 0.9, Schedule: train.Constant}
	p := replayable(t, 2, n, src, r, 4)
	s := score(t, estimator(t, "grand", Options{}), p)
	r.Epochs = 2
	early := exactNorms(t, replayable(t, 2, n, src, r, 4))
	late := exactNorms(t, p)
	floats.Scale(-1/float64(len(p.Train)), early)
	floats.Scale(-1/float64(len(p.Train)), late)
	if got := apart(s.Delta, early); got > 1e-5 || apart(s.Delta, late) < 0.2 || s.Folds != nil {
		t.Errorf("relative distance %.2g from the early norms, %.2g from the final ones", got, apart(s.Delta, late))
	}
}

// However sure the network is of a sample, and however small its gradient, the effect is finite and no larger than |grad L_val| / n:
// a cosine is at most 1.
func TestGradCosOfConfidentSamples(t *testing.T) {
	src := newBlobs(80, 2, 3, 3, 5)
	n, err := net.New("softmax", [3]int{2, 3, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	m := &train.Model{Theta: make([]float32, n.Size())}
	for j := range 6 { // a class has the sum of every third pixel as its logit
		m.Theta[3*j+j%3] = 1
	}
	for i := range 40 {
		for j := range src.x[i] {
			if src.x[i][j] = 0; j%3 == src.labels[i] {
				src.x[i][j] = float32(i) // the probabilities of the other classes are exp(-2i)
			}
		}
	}
	p := newProblem(backend(t, 2), n, src, m, 0)
	s := score(t, estimator(t, "gradcos", Options{}), p)
	d, err := newDerivatives(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	g, err := d.meanGradient(t.Context(), p.Score)
	if err != nil {
		t.Fatal(err)
	}
	norms, bound, small := exactNorms(t, p), floats.Norm(g, 2)/float64(len(p.Train)), 0
	for i, delta := range s.Delta {
		if norms[i] < leastNorm {
			small++
		}
		if !(math.Abs(delta) <= bound*(1+1e-3)) || norms[i] < leastNorm && delta != 0 {
			t.Errorf("a gradient of length %.3g has the effect %v, the bound is %v", norms[i], delta, bound)
		}
	}
	if small == 0 || small == len(norms) {
		t.Errorf("%d of %d gradients are next to nothing", small, len(norms))
	}
}

// TestGradCos compares with the definition.
func TestGradCos(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0)
	dot := score(t, estimator(t, "graddot", Options{}), p)
	want := make([]float64, len(p.Train))
	floats.DivTo(want, dot.Delta, exactNorms(t, p))
	s := score(t, estimator(t, "gradcos", Options{}), p)
	if got := apart(s.Delta, want); got > 1e-5 || !s.Solver.Converged || s.Calibrated {
		t.Errorf("relative distance %.2g from the definition; %+v", got, s.Solver)
	}
}
