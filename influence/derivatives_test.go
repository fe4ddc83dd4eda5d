package influence

import (
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/datadropout/datadropout/net"
)

func open(t testing.TB, p *Problem) *derivatives {
	t.Helper()
	d, err := newDerivatives(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

func randomVector(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 2))
	v := make([]float64, n)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	return v
}

// smoothLoss is the mean loss of the network smooth over the positions, in plain Go and float64.
func smoothLoss(src *blobs, positions []int) func(theta []float64) float64 {
	return func(theta []float64) float64 {
		sum := 0.0
		for _, i := range positions {
			l, _ := crossEntropy(smoothOutputs(theta, src.x[i]), src.labels[i])
			sum += l
		}
		return sum / float64(len(positions))
	}
}

var central = &fd.Settings{Formula: fd.Central, Step: 1e-5}

func TestMeanGradientAgainstFiniteDifferences(t *testing.T) {
	src, n := newBlobs(40, 2, 3, 3, 1), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 1), 0)
	for _, batch := range []int{1, 3, 7, 20, 64} {
		p.Batch = batch
		got, err := open(t, p).meanGradient(t.Context(), p.Train)
		if err != nil {
			t.Fatal(err)
		}
		want := fd.Gradient(nil, smoothLoss(src, p.Train), wide(p.Model.Theta), central)
		if e := apart(got, want); e > 2e-6 {
			t.Errorf("batch %d: relative error %.2g", batch, e)
		}
	}
}

func TestDirectionalIsGradientTimesDirection(t *testing.T) {
	src, n := newBlobs(40, 2, 3, 3, 1), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 1), 0)
	p.Batch = 6
	for _, scale := range []float64{1, 1e-30, 1e30} { // a direction's length must not matter to float32
		v := randomVector(n.Size(), 3)
		floats.Scale(scale, v)
		d := open(t, p)
		got, err := d.directional(t.Context(), p.Train, v)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, len(p.Train))
		for k, i := range p.Train {
			g := fd.Gradient(nil, smoothLoss(src, []int{i}), wide(p.Model.Theta), central)
			want[k] = floats.Dot(g, v)
		}
		if e := apart(got, want); e > 1e-5 {
			t.Errorf("scale %v: relative error %.2g against finite differences", scale, e)
		}
		for k, i := range p.Train { // and against reverse mode, one sample at a time
			g, err := d.meanGradient(t.Context(), []int{i})
			if err != nil {
				t.Fatal(err)
			}
			if dot := floats.Dot(g, v); !(abs(dot-got[k]) <= 1e-5*floats.Norm(g, 2)*floats.Norm(v, 2)) {
				t.Errorf("sample %d: forward mode %v, gradient times direction %v", i, got[k], dot)
			}
		}
	}
}

func abs(x float64) float64 { return max(x, -x) }

// As many directions share a pass as there are folds, and a solver asks for fewer and fewer of them: of every number a graph is compiled.
func TestAnyNumberOfDirections(t *testing.T) {
	src, n := newBlobs(40, 2, 3, 3, 1), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 1), 0)
	d := open(t, p)
	v := randomVector(n.Size(), 3)
	want, err := d.directional(t.Context(), p.Train, v)
	if err != nil {
		t.Fatal(err)
	}
	for k := 40; k > 1; k-- { // GoMLX compiles 32 shapes unless told otherwise
		got, err := d.directionals(t.Context(), p.Train, slices.Repeat([][]float64{v}, k))
		if err != nil {
			t.Fatalf("%d directions: %v", k, err)
		}
		if e := apart(got[k-1], want); e > 1e-6 {
			t.Fatalf("%d directions: the last is off by %.2g", k, e)
		}
	}
}

func TestDirectionalOnTheZoo(t *testing.T) {
	src := newBlobs(24, 12, 12, 3, 4)
	for _, name := range []string{"softmax", "lenet5", "cnn", "lenet5-smooth", "cnn-smooth", "lenet5+silu", "lenet5+softplus+avg", "lenet5+tanh"} {
		n, err := net.New(name, [3]int{12, 12, 1}, 3)
		if err != nil {
			t.Fatal(err)
		}
		p := newProblem(backend(t, 2), n, src, initial(n, 1), 0)
		p.Batch = 5
		if name == "softmax" { // it starts at zero
			copy(p.Model.Theta, narrow(randomVector(n.Size(), 8)))
		}
		d, v := open(t, p), randomVector(n.Size(), 5)
		got, err := d.directional(t.Context(), p.Train, v)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, len(got))
		for k, i := range p.Train {
			g, err := d.meanGradient(t.Context(), []int{i})
			if err != nil {
				t.Fatal(err)
			}
			want[k] = floats.Dot(g, v)
		}
		if e := apart(got, want); e > 2e-5 {
			t.Errorf("%s: relative error %.2g between forward mode and gradient times direction", name, e)
		}
	}
}

func narrow(v []float64) []float32 {
	w := make([]float32, len(v))
	for i, x := range v {
		w[i] = float32(x)
	}
	return w
}

// smoothHessian is the Hessian of smoothLoss in float64, by finite differences.
func smoothHessian(src *blobs, positions []int, theta []float64) *mat.SymDense {
	hessian := mat.NewSymDense(len(theta), nil)
	fd.Hessian(hessian, smoothLoss(src, positions), theta, &fd.Settings{Formula: fd.Forward, Step: 1e-5})
	return hessian
}

// smoothGaussNewton is the mean Gauss-Newton matrix of the network smooth in float64, from finite differences of the outputs.
func smoothGaussNewton(src *blobs, positions []int, theta []float64) *mat.SymDense {
	gaussNewton := mat.NewDense(len(theta), len(theta), nil)
	for _, i := range positions {
		j := mat.NewDense(smoothClasses, len(theta), nil)
		fd.Jacobian(j, func(z, theta []float64) { copy(z, smoothOutputs(theta, src.x[i])) }, theta,
			&fd.JacobianSettings{Formula: fd.Central, Step: 1e-5})
		_, prob := crossEntropy(smoothOutputs(theta, src.x[i]), src.labels[i])
		h := mat.NewDense(smoothClasses, smoothClasses, nil)
		for a := range prob {
			for b := range prob {
				h.Set(a, b, -prob[a]*prob[b])
			}
			h.Set(a, a, prob[a]-prob[a]*prob[a])
		}
		var hj, jhj mat.Dense
		hj.Mul(h, j)
		jhj.Mul(j.T(), &hj)
		jhj.Scale(1/float64(len(positions)), &jhj)
		gaussNewton.Add(gaussNewton, &jhj)
	}
	symmetric := mat.NewSymDense(len(theta), nil)
	for a := range theta {
		for b := a; b < len(theta); b++ {
			symmetric.SetSym(a, b, (gaussNewton.At(a, b)+gaussNewton.At(b, a))/2)
		}
	}
	return symmetric
}

// TestCurvatureProducts compares with the full matrices of the network in float64.
func TestCurvatureProducts(t *testing.T) {
	src, n := newBlobs(30, 2, 3, 3, 2), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 2), 0)
	theta := wide(p.Model.Theta)
	for _, test := range []struct {
		curvature string
		matrix    mat.Matrix
		tolerance float64
	}{{Hessian, smoothHessian(src, p.Train, theta), 2e-4}, {GaussNewton, smoothGaussNewton(src, p.Train, theta), 1e-5}} {
		for _, batch := range []int{1, 4, 15, 64} {
			p.Batch = batch
			d := open(t, p)
			for seed := range uint64(3) {
				v := randomVector(len(theta), seed)
				got := make([]float64, len(v))
				if err := d.curvatureProduct(t.Context(), test.curvature, p.Train, v, got); err != nil {
					t.Fatal(err)
				}
				var want mat.VecDense
				want.MulVec(test.matrix, mat.NewVecDense(len(v), v))
				if e := apart(got, want.RawVector().Data); e > test.tolerance {
					t.Errorf("%s, batch %d: relative error %.2g", test.curvature, batch, e)
				}
			}
		}
	}
}

// TestBatchNormIsFrozen checks that a sample's derivative does not depend on the samples evaluated with it.
func TestBatchNormIsFrozen(t *testing.T) {
	src, n := newBlobs(40, 2, 3, 3, 3), normalized()
	p := newProblem(backend(t, 2), n, src, initial(n, 3), 0)
	v := randomVector(n.Size(), 1)
	p.Batch = 1
	alone, err := open(t, p).directional(t.Context(), p.Train, v)
	if err != nil {
		t.Fatal(err)
	}
	p.Batch = 20
	together, err := open(t, p).directional(t.Context(), p.Train, v)
	if err != nil {
		t.Fatal(err)
	}
	if e := apart(together, alone); e > 1e-6 {
		t.Errorf("relative difference %.2g between batches of 1 and of 20", e)
	}
	// The running statistics are read: other ones give other derivatives.
	p.Model.State[smoothInputs] *= 4
	other, err := open(t, p).directional(t.Context(), p.Train, v)
	if err != nil {
		t.Fatal(err)
	}
	if apart(other, together) < 1e-3 {
		t.Error("other running statistics do not change the derivatives")
	}
}

func TestDerivativesSameBitsAtAnyThreadCount(t *testing.T) {
	src := newBlobs(64, 12, 12, 3, 4)
	n, err := net.New("cnn", [3]int{12, 12, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	var first [3][]float64
	for _, threads := range []int{1, 2} {
		p := newProblem(backend(t, threads), n, src, initial(n, 1), 0)
		p.Batch = 12
		d, v := open(t, p), randomVector(n.Size(), 5)
		var got [3][]float64
		if got[0], err = d.meanGradient(t.Context(), p.Train); err != nil {
			t.Fatal(err)
		}
		if got[1], err = d.directional(t.Context(), p.Train, v); err != nil {
			t.Fatal(err)
		}
		got[2] = make([]float64, len(v))
		if err := d.curvatureProduct(t.Context(), GaussNewton, p.Train, v, got[2]); err != nil {
			t.Fatal(err)
		}
		if threads == 1 {
			first = got
			continue
		}
		for k, what := range []string{"mean gradient", "directional derivatives", "Gauss-Newton product"} {
			if !slices.Equal(got[k], first[k]) {
				t.Errorf("the %s of %d threads has other bits than that of 1", what, threads)
			}
		}
	}
}
