package influence

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// regression is softmax regression with an L2 term in plain Go and float64, the oracle of leave-one-out retraining:
//
//	F(theta) = sum_i weights_i l_i(theta) + (decay/2) |theta|^2
//
// theta is the kernel [features, classes], then the bias [classes].
type regression struct {
	src     *blobs
	train   []int
	weights []float64
	decay   float64
}

func (r *regression) probabilities(theta []float64, i int) (float64, []float64) {
	z := append([]float64(nil), theta[len(theta)-r.src.classes:]...)
	for j, v := range r.src.x[i] {
		for k := range z {
			z[k] += float64(v) * theta[j*r.src.classes+k]
		}
	}
	return crossEntropy(z, r.src.labels[i])
}

// gradient writes grad F into g.
func (r *regression) gradient(theta, g []float64) {
	copy(g, theta)
	floats.Scale(r.decay, g)
	k := r.src.classes
	for t, i := range r.train {
		if r.weights[t] == 0 {
			continue
		}
		_, p := r.probabilities(theta, i)
		p[r.src.labels[i]]--
		floats.Scale(r.weights[t], p)
		for j, v := range r.src.x[i] {
			floats.AddScaled(g[j*k:(j+1)*k], float64(v), p)
		}
		floats.Add(g[len(g)-k:], p)
	}
}

// hessian returns the Cholesky factors of the Hessian of F.
func (r *regression) hessian(theta []float64) (*mat.Cholesky, error) {
	k, n := r.src.classes, len(theta)
	h := mat.NewSymDense(n, nil)
	for t, i := range r.train {
		_, p := r.probabilities(theta, i)
		x := append(wide(r.src.x[i]), 1)
		for a := range n {
			for b := a; b < n; b++ {
				d := -p[a%k] * p[b%k]
				if a%k == b%k {
					d += p[a%k]
				}
				h.SetSym(a, b, h.At(a, b)+r.weights[t]*x[a/k]*x[b/k]*d)
			}
		}
	}
	for a := range n {
		h.SetSym(a, a, h.At(a, a)+r.decay)
	}
	var c mat.Cholesky
	if !c.Factorize(h) {
		return nil, fmt.Errorf("the Hessian is not positive definite")
	}
	return &c, nil
}

// minimize moves theta to the minimum of F by Newton's method with the Hessian that is given, for a start that is near.
func (r *regression) minimize(theta []float64, h *mat.Cholesky) error {
	g := make([]float64, len(theta))
	step := mat.NewVecDense(len(theta), nil)
	for range 100 {
		r.gradient(theta, g)
		if floats.Norm(g, 2) < 1e-9 {
			return nil
		}
		if err := h.SolveVecTo(step, mat.NewVecDense(len(g), g)); err != nil {
			return err
		}
		floats.Sub(theta, step.RawVector().Data)
	}
	return fmt.Errorf("no minimum found: the gradient is still %v", floats.Norm(g, 2))
}

// loss returns the mean loss over the positions.
func (r *regression) loss(theta []float64, positions []int) float64 {
	sum := 0.0
	for _, i := range positions {
		l, _ := r.probabilities(theta, i)
		sum += l
	}
	return sum / float64(len(positions))
}

// predict returns the removal effects by the full Hessian: grad l_i^T H^-1 grad L_score / n.
func (r *regression) predict(theta []float64, score []int) ([]float64, error) {
	h, err := r.hessian(theta)
	if err != nil {
		return nil, err
	}
	gradient := func(positions ...int) []float64 {
		mean := &regression{src: r.src, train: positions, weights: make([]float64, len(positions))}
		for t := range mean.weights {
			mean.weights[t] = 1 / float64(len(positions))
		}
		g := make([]float64, len(theta))
		mean.gradient(theta, g)
		return g
	}
	var s mat.VecDense
	if err := h.SolveVecTo(&s, mat.NewVecDense(len(theta), gradient(score...))); err != nil {
		return nil, err
	}
	delta := make([]float64, len(r.train))
	for t, i := range r.train {
		delta[t] = floats.Dot(s.RawVector().Data, gradient(i)) / float64(len(r.train))
	}
	return delta, nil
}

// retrain returns, for every stride-th training sample, the change of the mean loss over score when training starts over
// without it. With renormalize the mean is over the n-1 others, else each keeps its weight 1/n.
func (r *regression) retrain(theta []float64, score []int, stride int, renormalize bool) ([]float64, error) {
	h, err := r.hessian(theta)
	if err != nil {
		return nil, err
	}
	n := len(r.train)
	change, errs := make([]float64, n/stride), make([]error, n/stride)
	before := r.loss(theta, score)
	var wait sync.WaitGroup
	for part := range 2 {
		wait.Go(func() {
			for k := part; k < len(change); k += 2 {
				without := *r
				without.weights = append([]float64(nil), r.weights...)
				without.weights[k*stride] = 0
				if renormalize {
					floats.Scale(float64(n)/float64(n-1), without.weights)
				}
				moved := append([]float64(nil), theta...)
				errs[k] = without.minimize(moved, h)
				change[k] = without.loss(moved, score) - before
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return change, nil
}

// TestConjugateGradientPredictsRetraining compares removal effects on softmax regression, n = 500, with the truth.
func TestConjugateGradientPredictsRetraining(t *testing.T) {
	const n, decay = 500, 0.1
	src := newBlobs(n+300, 8, 8, 4, 11)
	for i := range n / 10 { // a tenth of the training labels are wrong
		src.labels[i*10] = (src.labels[i*10] + 1 + i%3) % 4
	}
	network, err := net.New("softmax", [3]int{8, 8, 1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	b := backend(t, 2)
	engine := train.NewEngine(b, network, train.CrossEntropy{})
	defer engine.Close()
	recipe := train.Recipe{Epochs: 600, BatchSize: n, LearningRate: 0.5, Momentum: 0.9, WeightDecay: decay}
	model, err := engine.Train(t.Context(), src, span(0, n), recipe, 1, nil)
	if err != nil {
		t.Fatal(err)
	}

	oracle := &regression{src: src, train: span(0, n), weights: make([]float64, n), decay: decay}
	for i := range oracle.weights {
		oracle.weights[i] = 1.0 / n
	}
	theta := wide(model.Theta)
	h, err := oracle.hessian(theta)
	if err != nil {
		t.Fatal(err)
	}
	if err := oracle.minimize(theta, h); err != nil {
		t.Fatal(err)
	}
	if e := apart(wide(model.Theta), theta); e > 1e-4 {
		t.Fatalf("training ended %.2g from the minimum, relative", e)
	}

	p := newProblem(b, network, src, model, decay)
	p.Train, p.Score, p.Recipe = span(0, n), span(n, n+300), recipe
	exact, err := oracle.predict(theta, p.Score)
	if err != nil {
		t.Fatal(err)
	}
	var delta []float64
	for _, curvature := range []string{Hessian, GaussNewton} { // the same for softmax regression
		cg := estimator(t, "cg", Options{Curvature: curvature, Damping: NoDamping, HessianSamples: AllSamples, Tolerance: 1e-4, MaxIterations: 300})
		scores := score(t, cg, p)
		if !scores.Solver.Converged || scores.Solver.Damping != decay || !scores.Calibrated {
			t.Errorf("%s: %+v", curvature, scores.Solver)
		}
		delta = scores.Delta
		if e := apart(delta, exact); e > 1e-3 {
			t.Errorf("%s: relative error %.2g against the inverse of the full Hessian", curvature, e)
		}
	}
	for _, test := range []struct {
		name        string
		stride      int
		renormalize bool
	}{{"weights stay 1/n", 1, false}, {"mean over the others", 5, true}} {
		truth, err := oracle.retrain(theta, p.Score, test.stride, test.renormalize)
		if err != nil {
			t.Fatal(err)
		}
		predicted := make([]float64, len(truth))
		for k := range predicted {
			predicted[k] = delta[k*test.stride]
		}
		r := stat.Correlation(predicted, truth, nil)
		offset, slope := stat.LinearRegression(predicted, truth, nil, false)
		spread := stat.StdDev(truth, nil)
		agree, large := 0, 0
		for k, v := range truth {
			if math.Abs(v) > 0.2*spread {
				large++
				if predicted[k]*v > 0 {
					agree++
				}
			}
		}
		t.Logf("%s: r = %.5f, slope %.3f, offset %.2g of a deviation of %.2g, sign right for %d of %d", test.name, r, slope, offset, spread, agree, large)
		if r <= 0.99 {
			t.Errorf("%s: Pearson's r is %.4f, want above 0.99", test.name, r)
		}
		if slope < 0.9 || slope > 1.1 {
			t.Errorf("%s: the slope of the truth over the prediction is %.3f, want 1", test.name, slope)
		}
		if agree < large*98/100 {
			t.Errorf("%s: the sign is right for %d of %d samples", test.name, agree, large)
		}
	}
}
