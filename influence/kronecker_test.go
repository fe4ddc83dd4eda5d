package influence

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// convolve is a convolution of the parameter at a position, with a bias after it or none, whose taps are told.
func convolve(p *net.Pass, at int, bias bool, x *Node, window, stride, padding int) *Node {
	pad := [2]int{padding, padding}
	t := net.Tap{Kind: net.TapConvolution, Weight: at, Bias: -1, Input: x, Window: window, Stride: stride, Padding: padding}
	t.Output = Convolve(x, p.Params[at]).Strides(stride).PaddingPerDim([][2]int{pad, pad}).Done()
	if bias {
		t.Bias = at + 1
		t.Output = Add(t.Output, Reshape(p.Params[at+1], 1, 1, 1, -1))
	}
	if p.Tap != nil {
		p.Tap(t)
	}
	return t.Output
}

// convolved is a residual network of 174 parameters without kinks for 5x4x1 inputs: a convolution with stride 2 and padding,
// scale and offset, a shortcut around a convolution without bias, and a dense layer.
func convolved() *net.Network {
	return &net.Network{
		Name: "convolved", Input: [3]int{5, 4, 1}, Outputs: []int{3},
		Params: []net.Param{
			{Name: "conv1/kernel", Dims: []int{3, 3, 1, 3}, Init: normal(0.5)},
			{Name: "conv1/bias", Dims: []int{3}, Init: normal(0.5)},
			{Name: "norm/scale", Dims: []int{3}, Init: normal(1)},
			{Name: "norm/offset", Dims: []int{3}, Init: normal(0.5)},
			{Name: "conv2/kernel", Dims: []int{3, 3, 3, 3}, Init: normal(0.3)},
			{Name: "dense/weights", Dims: []int{18, 3}, Init: normal(0.5)},
			{Name: "dense/bias", Dims: []int{3}, Init: normal(0.5)},
		},
		Forward: func(p *net.Pass, x *Node) *Node {
			x = convolve(p, 0, true, x, 3, 2, 1) // [batch, 3, 2, 3]
			t := net.Tap{Kind: net.TapNorm, Weight: 2, Bias: 3, Input: MulScalar(AddScalar(x, 0.2), 1.5)}
			t.Output = Add(Mul(t.Input, Reshape(p.Params[2], 1, 1, 1, 3)), Reshape(p.Params[3], 1, 1, 1, 3))
			if p.Tap != nil {
				p.Tap(t)
			}
			x = Tanh(t.Output)
			x = Add(x, Tanh(convolve(p, 4, false, x, 3, 1, 1)))
			return dense(p, 5, Reshape(x, x.Shape().Dimensions[0], 18))
		},
	}
}

// denoising is a problem of image restoration for a network of 39 parameters, two convolutions on 5x4x1 images.
func denoising(t testing.TB, samples int) *Problem {
	n := &net.Network{
		Name: "restoring", Input: [3]int{5, 4, 1}, Outputs: []int{5, 4, 1},
		Params: []net.Param{
			{Name: "conv1/kernel", Dims: []int{3, 3, 1, 2}, Init: normal(0.5)},
			{Name: "conv1/bias", Dims: []int{2}, Init: normal(0.5)},
			{Name: "conv2/kernel", Dims: []int{3, 3, 2, 1}, Init: normal(0.5)},
			{Name: "conv2/bias", Dims: []int{1}, Init: normal(0.5)},
		},
		Forward: func(p *net.Pass, x *Node) *Node {
			return convolve(p, 2, true, Tanh(convolve(p, 0, true, x, 3, 1, 1)), 3, 1, 1)
		},
	}
	src := newBlobs(samples, 5, 4, 3, 8)
	clean := newBlobs(samples, 5, 4, 3, 9)
	p := newProblem(backend(t, 2), n, src, initial(n, 2), 0)
	p.Source, p.Loss = &retargeted{blobs: src, dims: []int{5, 4, 1}, targets: clean.x}, train.SquaredError{}
	return p
}

func factored(t testing.TB, p *Problem, positions []int, block int) *kronecker {
	t.Helper()
	k, err := newKronecker(t.Context(), p, positions, block, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.close)
	return k
}

// full returns a basis as a matrix.
func (b *eigenbasis) full() *mat.Dense {
	size := b.spans[len(b.spans)-1][1]
	one := mat.NewDense(size, size, nil)
	for i := range size {
		one.Set(i, i, 1)
	}
	return b.fromLeft(one, false)
}

// gradientMatrix cuts the [rows, columns] of a layer from a flat vector.
func (k *kronecker) gradientMatrix(l *kroneckerLayer, v []float64) *mat.Dense {
	starts := k.starts()
	var flat []float64
	flat = append(flat, v[starts[l.weight]:starts[l.weight+1]]...)
	if l.bias >= 0 {
		flat = append(flat, v[starts[l.bias]:starts[l.bias+1]]...)
	}
	return mat.NewDense(l.rows, l.columns, flat)
}

// matrix assembles C, [P, P]: the sum over a and b of Lambda_ab u u^T, u = vec(q_a q_b^T) with the columns of Q_A and Q_S.
func (k *kronecker) matrix() *mat.SymDense {
	size := k.fisher.problem.Net.Size()
	c := mat.NewSymDense(size, nil)
	starts := k.starts()
	for _, l := range k.layers {
		place := func(j int) int { // in the flat vector
			if n := starts[l.weight+1] - starts[l.weight]; j >= n {
				return starts[l.bias] + j - n
			}
			return starts[l.weight] + j
		}
		n := l.rows * l.columns
		u := mat.NewDense(n, n, nil)
		if l.in == nil {
			for j := range n {
				u.Set(j, j, 1)
			}
		} else {
			u.Kronecker(l.in.full(), l.out.full())
		}
		for j := range n {
			for i := range j + 1 {
				sum := 0.0
				for a, m := range l.moments {
					sum += m * u.At(i, a) * u.At(j, a)
				}
				c.SetSym(place(i), place(j), sum)
			}
		}
	}
	return c
}

// rotated is Q_A^T G Q_S.
func (l *kroneckerLayer) rotated(g *mat.Dense) *mat.Dense {
	if l.in == nil {
		return g
	}
	var left, both mat.Dense
	left.Mul(l.in.full().T(), g)
	both.Mul(&left, l.out.full())
	return &both
}

// TestKroneckerFactors compares with the network smooth in float64: the bases must be orthonormal and diagonalize the blocks
// of the factors, and Lambda must hold the mean squares of the gradients for drawn targets, by finite differences.
func TestKroneckerFactors(t *testing.T) {
	src, n := newBlobs(90, 2, 3, 3, 7), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 3), 0)
	p.Seed = 5
	theta := wide(p.Model.Theta)
	drawn := *src
	drawn.labels = nil
	for _, y := range withDrawnTargets(t, p).Source.(*retargeted).targets {
		drawn.labels = append(drawn.labels, floats.MaxIdx(wide(y)))
	}
	for _, block := range []int{0, 4, 3} {
		k := factored(t, p, p.Train, block)
		// The factors and the second moments, for the hidden and the output layer.
		var a, s, moments []*mat.Dense
		for _, l := range k.layers {
			a, s = append(a, mat.NewDense(l.rows, l.rows, nil)), append(s, mat.NewDense(l.columns, l.columns, nil))
			moments = append(moments, mat.NewDense(l.rows, l.columns, nil))
		}
		for _, i := range p.Train {
			gradient := fd.Gradient(nil, smoothLoss(&drawn, []int{i}), theta, central)
			x := append(wide(src.x[i]), 1)
			h := make([]float64, smoothHidden+1)
			for j := range smoothHidden {
				sum := 0.0
				for r, v := range x {
					sum += v * theta[r*smoothHidden+j] // the bias follows the kernel's rows
				}
				h[j] = math.Tanh(sum)
			}
			h[smoothHidden] = 1
			for n, input := range [][]float64{x, h} {
				l := k.layers[n]
				g := k.gradientMatrix(l, gradient)
				d := g.RawRowView(l.rows - 1) // the gradient of the bias is that of the outputs
				for q := range input {
					for r := range input {
						a[n].Set(q, r, a[n].At(q, r)+input[q]*input[r])
					}
				}
				for q := range d {
					for r := range d {
						s[n].Set(q, r, s[n].At(q, r)+d[q]*d[r])
					}
				}
				r := l.rotated(g)
				r.MulElem(r, r)
				moments[n].Add(moments[n], r)
			}
		}
		for n, l := range k.layers {
			moments[n].Scale(1/float64(len(p.Train)), moments[n])
			if e := apart(l.moments, moments[n].RawMatrix().Data); e > 1e-4 {
				t.Errorf("blocks of %d, layer %d: relative error of Lambda %.2g", block, n, e)
			}
			for name, side := range map[string]struct {
				basis  *eigenbasis
				factor *mat.Dense
			}{"A": {l.in, a[n]}, "S": {l.out, s[n]}} {
				if most := largestSpan(side.basis); block > 0 && most > block || block == 0 && len(side.basis.spans) != 1 {
					t.Errorf("blocks of %d, %s of layer %d: %d blocks of up to %d rows", block, name, n, len(side.basis.spans), most)
				}
				for b, span := range side.basis.spans {
					q := side.basis.vectors[b]
					var product, half mat.Dense
					product.Mul(q.T(), q)
					half.Mul(q.T(), side.factor.Slice(span[0], span[1], span[0], span[1]))
					var diagonal mat.Dense
					diagonal.Mul(&half, q)
					size := mat.Norm(side.factor, 2)
					for i := range span[1] - span[0] {
						for j := range span[1] - span[0] {
							want := 0.0
							if i == j {
								want = 1
							}
							if math.Abs(product.At(i, j)-want) > 1e-12 {
								t.Errorf("blocks of %d, %s of layer %d: the basis is not orthonormal: %v at %d, %d", block, name, n, product.At(i, j), i, j)
							}
							if i != j && math.Abs(diagonal.At(i, j)) > 1e-5*size {
								t.Errorf("blocks of %d, %s of layer %d: %v at %d, %d in the eigenbasis, of a norm of %v", block, name, n, diagonal.At(i, j), i, j, size)
							}
						}
					}
				}
			}
		}
	}
}

func largestSpan(b *eigenbasis) int {
	most := 0
	for _, s := range b.spans {
		most = max(most, s[1]-s[0])
	}
	return most
}

// TestKroneckerMoments compares Lambda with the gradients of one sample at a time, on networks with convolutions, scale and
// offset, and a shortcut.
func TestKroneckerMoments(t *testing.T) {
	n := convolved()
	classes := newProblem(backend(t, 2), n, newBlobs(50, 5, 4, 3, 7), initial(n, 3), 0)
	classes.Seed, classes.Batch = 5, 10
	images := denoising(t, 50)
	images.Batch = 7
	for _, p := range []*Problem{classes, images} {
		gradients := withDrawnTargets(t, p)
		for _, block := range []int{0, 4} {
			k := factored(t, p, p.Train, block)
			want := make([][]float64, len(k.layers))
			d := open(t, gradients)
			for _, i := range p.Train {
				g, err := d.meanGradient(t.Context(), []int{i})
				if err != nil {
					t.Fatal(err)
				}
				for n, l := range k.layers {
					r := l.rotated(k.gradientMatrix(l, g))
					r.MulElem(r, r)
					if want[n] == nil {
						want[n] = make([]float64, len(l.moments))
					}
					floats.AddScaled(want[n], 1/float64(len(p.Train)), r.RawMatrix().Data)
				}
			}
			for n, l := range k.layers {
				if e := apart(l.moments, want[n]); !(e < 1e-5) {
					t.Errorf("%s, blocks of %d, layer %d: relative error %.2g", p.Net.Name, block, n, e)
				}
			}
		}
	}
}

// TestKroneckerTrace compares the trace of C, which the eigenbasis does not change, with that of the Gauss-Newton matrix by
// its products: the draws of the targets have the right distribution.
func TestKroneckerTrace(t *testing.T) {
	n := convolved()
	classes := newProblem(backend(t, 2), n, newBlobs(1200, 5, 4, 3, 7), initial(n, 3), 0)
	for _, p := range []*Problem{classes, denoising(t, 1200)} {
		k := factored(t, p, p.Train, 0)
		got, want := 0.0, 0.0
		for _, l := range k.layers {
			got += floats.Sum(l.moments)
		}
		d := open(t, p)
		v, product := make([]float64, p.Net.Size()), make([]float64, p.Net.Size())
		for j := range v {
			v[j] = 1
			if err := d.curvatureProduct(t.Context(), GaussNewton, p.Train, v, product); err != nil {
				t.Fatal(err)
			}
			want += product[j]
			v[j] = 0
		}
		t.Logf("%s: trace %.4g, of the Gauss-Newton matrix %.4g", p.Net.Name, got, want)
		if math.Abs(got/want-1) > 0.1 { // 600 draws
			t.Errorf("%s: the trace is %v, that of the Gauss-Newton matrix %v", p.Net.Name, got, want)
		}
	}
}

// TestKroneckerInverse compares with the inverse of the assembled matrix.
func TestKroneckerInverse(t *testing.T) {
	const lambda = 0.01
	n, small := convolved(), smooth()
	for _, p := range []*Problem{
		newProblem(backend(t, 2), n, newBlobs(50, 5, 4, 3, 7), initial(n, 3), 0),
		newProblem(backend(t, 2), small, newBlobs(50, 2, 3, 3, 7), initial(small, 3), 0),
		denoising(t, 50),
	} {
		for _, block := range []int{0, 4} {
			k := factored(t, p, p.Train, block)
			c := k.matrix()
			for i := range c.SymmetricDim() {
				c.SetSym(i, i, c.At(i, i)+lambda)
			}
			var cholesky mat.Cholesky
			if !cholesky.Factorize(c) {
				t.Fatalf("%s: not positive definite", p.Net.Name)
			}
			inverses, zeros := k.inverse(lambda)
			if zeros != 0 {
				t.Errorf("%s: %d eigenvalues count as zero", p.Net.Name, zeros)
			}
			v := randomVector(p.Net.Size(), 4)
			var want mat.VecDense
			if err := cholesky.SolveVecTo(&want, mat.NewVecDense(len(v), v)); err != nil {
				t.Fatal(err)
			}
			if e := apart(k.solve(v, inverses), want.RawVector().Data); !(e < 1e-9) {
				t.Errorf("%s, blocks of %d: relative error %.2g", p.Net.Name, block, e)
			}
		}
	}
}

// TestEKFACAndSelfInfluence compares the scores with the assembled matrix and the gradients of one sample at a time.
func TestEKFACAndSelfInfluence(t *testing.T) {
	const damping, decay = 0.02, 0.01
	n, small := convolved(), smooth()
	for _, p := range []*Problem{
		newProblem(backend(t, 2), n, newBlobs(50, 5, 4, 3, 7), initial(n, 3), decay),
		newProblem(backend(t, 2), small, newBlobs(50, 2, 3, 3, 7), initial(small, 3), decay),
		denoising(t, 50),
	} {
		p.Recipe.WeightDecay = decay
		k := factored(t, p, p.Train, 0)
		c := k.matrix()
		for i := range c.SymmetricDim() {
			c.SetSym(i, i, c.At(i, i)+damping+decay)
		}
		var cholesky mat.Cholesky
		if !cholesky.Factorize(c) {
			t.Fatalf("%s: not positive definite", p.Net.Name)
		}
		d := open(t, p)
		target, err := d.meanGradient(t.Context(), p.Score)
		if err != nil {
			t.Fatal(err)
		}
		var effects, own []float64
		for _, i := range p.Train {
			g, err := d.meanGradient(t.Context(), []int{i})
			if err != nil {
				t.Fatal(err)
			}
			var s mat.VecDense
			if err := cholesky.SolveVecTo(&s, mat.NewVecDense(len(g), g)); err != nil {
				t.Fatal(err)
			}
			effects = append(effects, floats.Dot(s.RawVector().Data, target)/float64(len(p.Train)))
			own = append(own, -floats.Dot(s.RawVector().Data, g)/float64(len(p.Train)))
		}
		for name, want := range map[string][]float64{"ekfac": effects, "self": own} {
			s := score(t, estimator(t, name, Options{Damping: damping, HessianSamples: AllSamples}), p)
			if e := apart(s.Delta, want); !(e < 1e-4) {
				t.Errorf("%s on %s: relative error %.2g", name, p.Net.Name, e)
			}
			if !s.Solver.Converged || s.Solver.Samples != len(p.Train) || math.Abs(s.Solver.Damping-damping-decay) > 1e-15 ||
				!strings.Contains(s.Solver.Message, "layers in") {
				t.Errorf("%s on %s: %+v", name, p.Net.Name, s.Solver)
			}
		}
	}
}

// TestEKFACAgreesWithConjugateGradients is on softmax regression, where the Gauss-Newton matrix is the Hessian. What is left
// are the draws of 300 targets and the off-diagonal elements in the eigenbasis, which the damping hides the more of the larger
// it is.
func TestEKFACAgreesWithConjugateGradients(t *testing.T) {
	p, _ := planted(t)
	for _, test := range []struct{ damping, r, slope float64 }{{DefaultDamping, 0.99, 0.15}, {0.1, 0.95, 0.3}} {
		o := Options{Damping: test.damping, HessianSamples: AllSamples}
		exact, got := score(t, estimator(t, "cg", o), p), score(t, estimator(t, "ekfac", o), p)
		r := stat.Correlation(got.Delta, exact.Delta, nil)
		_, slope := stat.LinearRegression(got.Delta, exact.Delta, nil, false)
		t.Logf("damping %v: r = %.4f, slope %.3f", test.damping, r, slope)
		if r < test.r || math.Abs(slope-1) > test.slope {
			t.Errorf("damping %v: Pearson's r is %.4f and the slope %.3f", test.damping, r, slope)
		}
	}
}

// TestEKFACWithoutDamping has a singular matrix: no gradient changes the sum of all classes' weights.
func TestEKFACWithoutDamping(t *testing.T) {
	p, _ := planted(t)
	p.Recipe.WeightDecay = 0
	for _, name := range []string{"ekfac", "self"} {
		s := score(t, estimator(t, name, Options{Damping: NoDamping, HessianSamples: AllSamples}), p)
		if s.Solver.Converged || !strings.Contains(s.Solver.Message, "zero in ") || s.Solver.Damping != 0 {
			t.Errorf("%s: %+v, want a word on the singular matrix", name, s.Solver)
		}
	}
}

// TestEKFACCancelledMidway cancels after so many samples: in the targets, both passes for the factors, and the scores.
func TestEKFACCancelledMidway(t *testing.T) {
	p, _ := planted(t)
	for _, name := range []string{"ekfac", "self"} {
		for _, share := range []float64{0.1, 0.3, 0.5, 0.7, 0.9} {
			ctx, cancel := context.WithCancel(t.Context())
			last := 0
			_, err := estimator(t, name, Options{}).Score(ctx, p, func(done, total int) {
				if last = done; float64(done) >= share*float64(total) {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s, cancelled at %v: error %v after %d samples", name, share, err, last)
			}
			cancel()
		}
	}
}

func TestKroneckerRefuses(t *testing.T) {
	for what, test := range map[string]struct {
		change func(p *Problem)
		says   string
	}{
		"a loss without a distribution": {func(p *Problem) { p.Loss = hinge{} }, "hinge"},
		"parameters that no tap tells of": {func(p *Problem) {
			forward := p.Net.Forward
			p.Net.Forward = func(pass *net.Pass, x *Node) *Node {
				silent := *pass
				if pass.Tap != nil {
					silent.Tap = func(t net.Tap) {
						if t.Weight != 2 {
							pass.Tap(t)
						}
					}
				}
				return forward(&silent, x)
			}
		}, "out/kernel"},
	} {
		src, n := newBlobs(20, 2, 3, 3, 5), smooth()
		p := newProblem(backend(t, 1), n, src, initial(n, 4), 0)
		test.change(p)
		for _, name := range []string{"ekfac", "self"} {
			if _, err := estimator(t, name, Options{}).Score(t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s, %s: error %v, want one about %q", name, what, err, test.says)
			}
		}
	}
}
