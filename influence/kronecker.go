package influence

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/datadropout/datadropout/net"
)

const (
	// kroneckerBatch bounds the samples evaluated at once: every position of a convolution's window is written out.
	kroneckerBatch = 32
	// kroneckerBlock bounds the size of an eigenproblem.
	kroneckerBlock = 512
)

// kronecker is the eigenvalue-corrected Kronecker-factored Fisher matrix C of a model (EK-FAC, George et al., NeurIPS 2018,
// arXiv:1806.03884; Grosse et al. 2023, arXiv:2308.03296, section 2.2), block-diagonal by layer. With a the inputs of a layer
// at one position, with a 1 appended where there is a bias, and d the gradient with respect to its outputs there, the
// per-sample gradient is the matrix
//
//	G_i = sum over positions of a d^T,    [inputs (+ 1), outputs],
//
// and, from the factors A = E[sum a a^T] and S = E[sum d d^T] (KFC, Grosse and Martens 2016, arXiv:1602.01407) with their
// eigenvectors Q_A and Q_S,
//
//	C vec(G) = vec(Q_A (Lambda * (Q_A^T G Q_S)) Q_S^T),    Lambda = E[(Q_A^T G_i Q_S)^2], element by element:
//
// the eigenvalues are the exact second moments of the gradient in the eigenbasis, so the scales of A and S don't matter.
// A dense layer has one position.
//
// A factor of more than kroneckerBlock rows is cut into blocks of nearly equal size, and its eigenvectors are those of its
// diagonal blocks: another orthonormal basis, in which Lambda is exact as well. The scale and offset of a batch norm keep the
// basis of the parameters, in which Lambda is the mean square of each derivative.
//
// The expectations are means over samples, with targets drawn from the model's predictions: see [fisher].
//
// With a problem's Scratch the sums are kept as they grow, and a computation that was interrupted continues where it was.
type kronecker struct {
	fisher  *fisher
	layers  []*kroneckerLayer // in the order of the taps
	block   int               // the most rows of an eigenproblem
	samples int
	// stage and at, the samples that its sums hold, are where the computation stands; every is how many samples apart it is
	// kept, key what it is, and note what there is to tell about what was kept before.
	stage, at, every int
	key              [sha256.Size]byte
	note             string
}

// kroneckerLayer holds C for the parameters of one tap.
type kroneckerLayer struct {
	weight, bias  int // positions in Network.Params, bias -1 for none
	rows, columns int
	positions     int
	// in and out are the bases Q_A and Q_S; both are nil where the basis is that of the parameters.
	in, out *eigenbasis
	// moments is Lambda, [rows, columns].
	moments []float64
}

// eigenbasis is an orthonormal basis that is block-diagonal: the eigenvectors of the blocks of a symmetric matrix on its
// diagonal.
type eigenbasis struct {
	spans   [][2]int    // rows from, to of each block
	factor  [][]float64 // the blocks, row by row, until they are decomposed
	vectors []*mat.Dense
}

// blockSpans cuts size rows into the fewest blocks of at most the given number: from which row to which each goes.
func blockSpans(size, block int) [][2]int {
	spans := make([][2]int, (size+block-1)/block)
	for k := range spans {
		spans[k] = [2]int{k * size / len(spans), (k + 1) * size / len(spans)}
	}
	return spans
}

func newEigenbasis(size, block int) *eigenbasis {
	b := &eigenbasis{spans: blockSpans(size, block)}
	b.vectors = make([]*mat.Dense, len(b.spans))
	for _, s := range b.spans {
		b.factor = append(b.factor, make([]float64, (s[1]-s[0])*(s[1]-s[0])))
	}
	return b
}

// decompose replaces the k-th block of the factor by its eigenvectors.
func (b *eigenbasis) decompose(k int) error {
	if err := finite(b.factor[k], "a Kronecker factor"); err != nil {
		return err
	}
	n := b.spans[k][1] - b.spans[k][0]
	var eigen mat.EigenSym
	if !eigen.Factorize(mat.NewSymDense(n, b.factor[k]), true) {
		return fmt.Errorf("influence: no eigenvectors found for a Kronecker factor of %d rows", n)
	}
	b.vectors[k] = new(mat.Dense)
	eigen.VectorsTo(b.vectors[k])
	b.factor[k] = nil
	return nil
}

// newKronecker computes C over the samples at the positions, which are evaluated twice. block bounds the rows of an
// eigenproblem; 0 means kroneckerBlock.
func newKronecker(ctx context.Context, p *Problem, positions []int, block int, tick func(samples int)) (*kronecker, error) {
	f, err := newFisher(p, kroneckerBatch, tick)
	if err != nil {
		return nil, err
	}
	if block == 0 {
		block = kroneckerBlock
	}
	k := &kronecker{fisher: f, block: block, samples: len(positions), every: keepEvery}
	if err := k.compute(ctx, positions); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// compute carries out what is left to be done.
func (k *kronecker) compute(ctx context.Context, positions []int) error {
	if err := k.lookAtTaps(); err != nil {
		return err
	}
	if err := k.resume(positions); err != nil {
		return err
	}
	if k.stage == stageFactors {
		if err := k.factorize(ctx, positions); err != nil {
			return err
		}
		if err := k.decompose(ctx); err != nil {
			return err
		}
		k.stage, k.at = stageMoments, 0
		if err := k.keep(); err != nil {
			return err
		}
	}
	k.loadBases()
	return k.measure(ctx, positions)
}

// lookAtTaps describes the layers by a graph that is built and thrown away, for what was kept of them must be read before the
// first evaluation.
func (k *kronecker) lookAtTaps() (err error) {
	defer func() { // building a graph panics with its errors
		if thrown := recover(); thrown != nil {
			var ok bool
			if err, ok = thrown.(error); !ok {
				panic(thrown)
			}
		}
	}()
	g := NewGraph(k.fisher.problem.Backend, "taps")
	defer g.Finalize()
	var in []*Node
	for n, t := range k.fisher.fixed {
		in = append(in, Parameter(g, fmt.Sprint("input ", n), t.(*tensors.Tensor).Shape()))
	}
	return k.describe(k.fisher.taps(in, true))
}

// close frees the compiled graphs and the tensors. [kronecker.solve] needs none of them.
func (k *kronecker) close() { k.fisher.close() }

// describe fills layers from the taps. Parameters that no tap tells of, or two, have no curvature here, and are an error.
func (k *kronecker) describe(taps []tapped) error {
	params := k.fisher.problem.Net.Params
	told := make([]int, len(params))
	k.layers = nil
	for _, t := range taps {
		dims := t.Output.Shape().Dimensions
		l := &kroneckerLayer{weight: t.Weight, bias: t.Bias, columns: dims[len(dims)-1]}
		told[t.Weight]++
		l.rows = elements(params[t.Weight]) / l.columns
		if t.Bias >= 0 {
			told[t.Bias]++
			l.rows++
		}
		if t.Kind != net.TapNorm {
			l.in, l.out = newEigenbasis(l.rows, k.block), newEigenbasis(l.columns, k.block)
			l.positions = t.Output.Shape().Size() / dims[0] / l.columns
		}
		l.moments = make([]float64, l.rows*l.columns)
		k.layers = append(k.layers, l)
	}
	for i, n := range told {
		if n != 1 {
			return fmt.Errorf("influence: the network %s tells %d times where its parameter %s acts, and must once",
				k.fisher.problem.Net.Name, n, params[i].Name)
		}
	}
	return nil
}

func elements(p net.Param) int {
	n := 1
	for _, d := range p.Dims {
		n *= d
	}
	return n
}

// bases lists the bases of all layers in a fixed order.
func (k *kronecker) bases() []*eigenbasis {
	var all []*eigenbasis
	for _, l := range k.layers {
		if l.in != nil {
			all = append(all, l.in, l.out)
		}
	}
	return all
}

// factorize sums the factors over the samples.
func (k *kronecker) factorize(ctx context.Context, positions []int) error {
	return k.stream(ctx, "factors", k.factorGraph, positions, func(sums []float32) {
		for _, b := range k.bases() {
			for _, factor := range b.factor {
				for j := range factor {
					factor[j] += float64(sums[j])
				}
				sums = sums[len(factor):]
			}
		}
	})
}

// decompose computes the eigenvectors of all factors, as many at once as there are threads for.
func (k *kronecker) decompose(ctx context.Context) error {
	type job struct {
		basis *eigenbasis
		block int
	}
	var all []job
	for _, b := range k.bases() {
		for block := range b.spans {
			all = append(all, job{b, block})
		}
	}
	jobs, errs := make(chan int), make([]error, len(all))
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for j := range jobs {
				if errs[j] = ctx.Err(); errs[j] == nil {
					errs[j] = all[j].basis.decompose(all[j].block)
				}
			}
		})
	}
	for j := range all {
		jobs <- j
	}
	close(jobs)
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// loadBases makes the eigenvectors inputs of the graphs to come: Q_A and Q_S of each layer, block by block.
func (k *kronecker) loadBases() {
	for _, b := range k.bases() {
		for _, q := range b.vectors {
			rows, columns := q.Dims()
			flat := make([]float32, 0, rows*columns)
			for _, x := range q.RawMatrix().Data { // a matrix that VectorsTo made has no gaps
				flat = append(flat, float32(x))
			}
			k.fisher.fixed = append(k.fisher.fixed, tensors.FromFlatDataAndDimensions(flat, rows, columns))
		}
	}
}

// measure computes Lambda.
func (k *kronecker) measure(ctx context.Context, positions []int) error {
	err := k.stream(ctx, "second moments", k.momentGraph, positions, func(sums []float32) {
		for _, l := range k.layers {
			for j := range l.moments {
				l.moments[j] += float64(sums[j])
			}
			sums = sums[len(l.moments):]
		}
	})
	if err != nil {
		return err
	}
	for _, l := range k.layers {
		for j := range l.moments {
			l.moments[j] /= float64(len(positions))
		}
		if err := finite(l.moments, "the curvature"); err != nil {
			return err
		}
	}
	return nil
}

// negligible is the share of the largest eigenvalue below which one counts as zero: about what squares of rounding errors in
// float32 come to.
const negligible = 1e-12

// inverse returns 1/(Lambda + lambda) of every layer, and how many of these eigenvalues are zero. Their inverse is set to
// zero, which makes a pseudo-inverse.
func (k *kronecker) inverse(lambda float64) (inverses [][]float64, zeros int) {
	largest := 0.0
	for _, l := range k.layers {
		for _, x := range l.moments {
			largest = max(largest, x)
		}
	}
	for _, l := range k.layers {
		inverse := make([]float64, len(l.moments))
		for j, x := range l.moments {
			if x += lambda; x > negligible*largest {
				inverse[j] = 1 / x
			} else {
				zeros++
			}
		}
		inverses = append(inverses, inverse)
	}
	return inverses, zeros
}

// solve returns (C + lambda I)^-1 v for a vector v in parameter space and the inverses by layer that inverse made.
func (k *kronecker) solve(v []float64, inverses [][]float64) []float64 {
	var (
		solution = make([]float64, len(v))
		starts   = k.starts()
	)
	for n, l := range k.layers {
		// The gradient matrix: the weight's rows, then the bias.
		m := mat.NewDense(l.rows, l.columns, nil)
		flat := m.RawMatrix().Data
		weights := copy(flat, v[starts[l.weight]:starts[l.weight+1]])
		if l.bias >= 0 {
			copy(flat[weights:], v[starts[l.bias]:starts[l.bias+1]])
		}
		if l.in != nil {
			m = l.out.fromRight(l.in.fromLeft(m, true), false)
			flat = m.RawMatrix().Data
		}
		for j, x := range inverses[n] {
			flat[j] *= x
		}
		if l.in != nil {
			m = l.out.fromRight(l.in.fromLeft(m, false), true)
			flat = m.RawMatrix().Data
		}
		copy(solution[starts[l.weight]:], flat[:weights])
		if l.bias >= 0 {
			copy(solution[starts[l.bias]:], flat[weights:])
		}
	}
	return solution
}

// starts returns where each parameter begins in the flat vector, and its length.
func (k *kronecker) starts() []int {
	starts := []int{0}
	for _, p := range k.fisher.problem.Net.Params {
		starts = append(starts, starts[len(starts)-1]+elements(p))
	}
	return starts
}

// fromLeft returns Q m, or Q^T m.
func (b *eigenbasis) fromLeft(m *mat.Dense, transposed bool) *mat.Dense {
	_, columns := m.Dims()
	out := mat.NewDense(b.spans[len(b.spans)-1][1], columns, nil)
	for k, s := range b.spans {
		to := out.Slice(s[0], s[1], 0, columns).(*mat.Dense)
		to.Mul(b.matrix(k, transposed), m.Slice(s[0], s[1], 0, columns))
	}
	return out
}

// fromRight returns m Q, or m Q^T.
func (b *eigenbasis) fromRight(m *mat.Dense, transposed bool) *mat.Dense {
	rows, _ := m.Dims()
	out := mat.NewDense(rows, b.spans[len(b.spans)-1][1], nil)
	for k, s := range b.spans {
		to := out.Slice(0, rows, s[0], s[1]).(*mat.Dense)
		to.Mul(m.Slice(0, rows, s[0], s[1]), b.matrix(k, transposed))
	}
	return out
}

func (b *eigenbasis) matrix(k int, transposed bool) mat.Matrix {
	if transposed {
		return b.vectors[k].T()
	}
	return b.vectors[k]
}

// solver tells how C + lambda I was inverted.
func (k *kronecker) solver(lambda float64, zeros int) Solver {
	blocks, rows, values, windows := 0, 0, 0, 0
	for _, b := range k.bases() {
		blocks += len(b.spans)
		for _, s := range b.spans {
			rows = max(rows, s[1]-s[0])
			values += (s[1] - s[0]) * (s[1] - s[0])
		}
	}
	for _, l := range k.layers {
		values += len(l.moments)
		windows = max(windows, k.fisher.batch.Size()*l.positions*l.rows)
	}
	s := Solver{Damping: lambda, Samples: k.samples, Converged: zeros == 0}
	// In float64 here, and the eigenvectors in float32 on the backend.
	s.Message = fmt.Sprintf("Kronecker factors of %d layers in %d blocks of at most %d rows, %.1f MB; "+
		"the widest layer's inputs take %.1f MB a batch", len(k.layers), blocks, rows, 8e-6*float64(values), 4e-6*float64(windows))
	if zeros > 0 {
		s.Message = fmt.Sprintf("the curvature is zero in %d directions, which are left out; raise the damping. ", zeros) + s.Message
	}
	if k.note != "" {
		s.Message += "; " + k.note
	}
	return s
}
