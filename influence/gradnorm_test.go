package influence

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// exactNorms returns |grad l_i| at the problem's model, from a backward pass for every sample.
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

// TestGradientNorms compares estimates of |grad l_i|^2 with the exact ones: their error is within what its formula says, and
// over many seeds it averages out.
func TestGradientNorms(t *testing.T) {
	zoo, err := net.New("lenet5-smooth", [3]int{12, 12, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		net *net.Network
		src *blobs
	}{{smooth(), newBlobs(80, 2, 3, 3, 5)}, {normalized(), newBlobs(80, 2, 3, 3, 5)}, {zoo, newBlobs(80, 12, 12, 3, 5)}} {
		p := newProblem(backend(t, 2), test.net, test.src, initial(test.net, 4), 0)
		exact := exactNorms(t, p)
		d, err := newDerivatives(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		const seeds = 20
		for _, directions := range []int{1, 8, 32, 100} {
			square, bias := 0.0, make([]float64, len(exact))
			for seed := range uint64(seeds) {
				norms, err := d.gradientNorms(t.Context(), p.Train, directions, seed)
				if err != nil {
					t.Fatal(err)
				}
				for i, x := range norms {
					e := x*x/(exact[i]*exact[i]) - 1
					square += e * e / float64(seeds*len(exact))
					bias[i] += e / seeds
				}
			}
			bound := math.Sqrt(2 / float64(directions))
			worst := floats.Norm(bias, math.Inf(1))
			t.Logf("%s, %d directions: relative error of the square %.3f, at most %.3f expected; worst mean over %d seeds %.3f",
				test.net.Name, directions, math.Sqrt(square), bound, seeds, worst)
			// 1.3: the samples' errors go together, so 20 seeds are not many. 4.5 standard errors of a mean.
			if math.Sqrt(square) > 1.3*bound || worst > 4.5*bound/math.Sqrt(seeds) {
				t.Errorf("%s, %d directions: relative error %.3f and bias %.3f, expected at most %.3f", test.net.Name, directions, math.Sqrt(square), worst, bound)
			}
		}
	}
}

// TestGraNd compares with exact norms at the parameters after the first fifth of the epochs, from a training of that length
// at a constant rate.
func TestGraNd(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	r := train.Recipe{Epochs: 10, BatchSize: 8, LearningRate: 0.2, Momentum: 0.9, Schedule: train.Constant}
	p := replayable(t, 2, n, src, r, 4)
	s := score(t, estimator(t, "grand", Options{Directions: 4096}), p)
	r.Epochs = 2
	early := exactNorms(t, replayable(t, 2, n, src, r, 4))
	late := exactNorms(t, p)
	floats.Scale(-1/float64(len(p.Train)), early)
	floats.Scale(-1/float64(len(p.Train)), late)
	t.Logf("relative distance %.3f from the early norms, %.3f from the final ones", apart(s.Delta, early), apart(s.Delta, late))
	if got := apart(s.Delta, early); got > 0.05 || apart(s.Delta, late) < 0.2 || s.Folds != nil {
		t.Errorf("relative distance %.3f from the early norms, %.3f from the final ones", got, apart(s.Delta, late))
	}
}

// TestGradCos compares with the definition, and with graddot where a sample is taken twice as seriously.
func TestGradCos(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0)
	exact := exactNorms(t, p)
	dot := score(t, estimator(t, "graddot", Options{}), p)
	want := make([]float64, len(exact))
	floats.DivTo(want, dot.Delta, exact)
	for directions, bound := range map[int]float64{0: 0.2, 4096: 0.03} {
		s := score(t, estimator(t, "gradcos", Options{Directions: directions}), p)
		if got := apart(s.Delta, want); got > bound || !s.Solver.Converged || s.Calibrated {
			t.Errorf("%d directions: relative distance %.3f from the definition, want at most %v; %+v", directions, got, bound, s.Solver)
		}
	}
}
