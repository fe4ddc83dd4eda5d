package influence

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// lissa is the estimator "lissa", the stochastic recursion of Agarwal, Bullins and Hazan (JMLR 2017) as Koh and Liang
// (ICML 2017, section 3) use it:
//
//	s_0 = b,    s_j = b + s_(j-1) - (C_B + lambda I) s_(j-1) / scale,    (C + lambda I)^-1 b ~ s_depth / scale
//
// b the gradient of the target and C_B the mean curvature of a batch drawn by the seed from the curvature sample, anew in
// every step. The mean of several repeats is used, and in each the mean of the last iterates in place of the last. All folds
// of the scoring set go through the same batches together.
//
// The recursion contracts the component along an eigenvector of eigenvalue mu by 1 - (mu + lambda)/scale a step, so it
// diverges where scale is below half of the largest eigenvalue, and takes about scale/lambda steps for each factor of e.
// Both are measured and not guessed: see scaleMargin, and depth.
type lissa struct{ options Options }

var _ Estimator = (*lissa)(nil)

const (
	// lissaBatch is the number of samples in a batch of the recursion.
	lissaBatch = 128
	// scaleMargin is the default scale in units of the largest eigenvalue of C + lambda I. At 1 no component oscillates for
	// the mean curvature; a batch has a largest eigenvalue above the mean's, and may have one three times as large before
	// a step lengthens anything. A larger scale costs depth in proportion, and lowers the spread by its root only.
	scaleMargin = 1.5
	// tailShare is the share of the depth whose iterates are averaged where batches are drawn (Polyak and Juditsky 1992). The
	// components of large eigenvalues forget the past within scale/eigenvalue steps, so the last iterate has the noise of the
	// last few batches in them; a tenth of the depth holds many times as many, and costs the slowest component a tenth
	// of its convergence at most.
	tailShare = 0.1
	// mostDepth bounds the depth that is chosen; it is what Koh and Liang's code takes at all times.
	mostDepth = 5000
	// roughTolerance is the relative residual up to which an estimator that draws batches, or works in a subspace, counts as
	// converged: noise of the batches keeps lissa's residual from going further down whatever the depth.
	roughTolerance = 0.1
)

// Name implements Estimator.
func (*lissa) Name() string { return "lissa" }

// Score implements Estimator. The solver has Depth times Repeats iterations, of a product with a batch each; its residual
// is that of the mean over the repeats for the whole curvature sample. It has converged if that is within the tolerance or,
// where batches are drawn, within 0.1. A recursion that grows beyond what a contraction can reach stops there; the scores
// are then of its last iterate within that bound, and the solver has not converged.
func (e *lissa) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	o := e.options
	sample := curvatureSample(p.Train, o.HessianSamples, p.Seed)
	// The depth is known once the eigenvalue is, and the total must stand before: the recursion counts as many products as
	// the eigenvalue may take, whatever it takes.
	recursion := mostEigenvalueProducts * len(sample)
	count := newCounter(progress, len(p.Score)+mostEigenvalueProducts*len(sample)+recursion+len(sample)+len(p.Train))
	d, err := newDerivatives(p, count.add)
	if err != nil {
		return nil, err
	}
	defer d.close()
	targets, err := d.targets(ctx)
	if err != nil {
		return nil, err
	}
	lambda := p.Recipe.WeightDecay + max(0, o.Damping)
	apply := d.damped(ctx, o.Curvature, lambda)
	whole := func(v, out [][]float64) error { return apply(sample, v, out) }
	spectrum, err := largestEigenvalue(alone(whole), krylovStart(len(p.Model.Theta), p.Seed), eigenvalueTolerance, mostEigenvalueProducts,
		p.keeper, func(products int) { count.add(products * len(sample)) })
	if err != nil {
		return nil, err
	}
	count.advance(recursion + len(sample) + len(p.Train))

	plan := e.plan(spectrum, lambda, len(sample))
	tick := d.tick
	d.tick = nil
	r := &repeats{plan: plan, batches: newBatches(sample, lissaBatch, p.Seed)}
	all, steps := plan.depth*plan.repeats, 0
	advance := func(n int) {
		count.add(recursion*(steps+n)/all - recursion*steps/all)
		steps += n
	}
	if err := r.resume(p.keeper, len(targets), p.Net.Size()); err != nil {
		return nil, err
	}
	advance(r.taken)
	if err := r.run(func(positions []int, v, out [][]float64) error {
		err := apply(positions, v, out)
		advance(1)
		return err
	}, targets); err != nil {
		return nil, fmt.Errorf("lissa: %w", err)
	}
	runs, taken := r.runs, r.taken
	d.tick = tick
	count.advance(len(sample) + len(p.Train))
	mean, spread := meanAndSpread(runs)
	residual, err := d.residual(targets, whole, mean)
	if err != nil {
		return nil, err
	}
	count.advance(len(p.Train))
	scores, err := d.removalEffects(ctx, mean)
	if err != nil {
		return nil, err
	}
	scores.Calibrated = true
	scores.Solver = Solver{
		Iterations: taken, Residual: residual[0], Damping: lambda, Samples: len(sample),
		LargestEigenvalue: spectrum.Largest, Spread: spread,
	}
	plan.judge(&scores.Solver, spectrum, taken%plan.depth+1, taken < plan.depth*plan.repeats)
	return scores, nil
}

// plan is how the recursion is carried out.
type plan struct {
	scale          float64
	depth, repeats int
	tail           int     // iterates, of the last, whose mean is taken
	limit          float64 // of the residual that counts as converged
}

// plan settles what the options leave open. By default the scale is scaleMargin times the largest eigenvalue of C + lambda
// I, and the depth brings the slowest component to the tolerance: (1 - mu/scale)^depth <= tolerance with mu = lambda, or the
// smallest eigenvalue met if that is between 0 and lambda, as a Hessian's may be; but no deeper than mostDepth. If a batch holds the whole sample nothing is drawn, and one repeat is all.
func (e *lissa) plan(spectrum extremes, lambda float64, samples int) plan {
	o := e.options
	slowest := lambda
	if spectrum.Smallest > 0 {
		slowest = min(lambda, spectrum.Smallest)
	}
	p := plan{scale: o.Scale, depth: o.Depth, repeats: o.Repeats, limit: max(o.Tolerance, roughTolerance)}
	if p.scale == 0 {
		p.scale = scaleMargin * spectrum.Largest
		if p.scale <= 0 { // no curvature at all: any scale will do
			p.scale = 1
		}
	}
	if p.depth == 0 {
		p.depth = mostDepth
		if slowest >= p.scale {
			p.depth = 1
		} else if steps := math.Log(o.Tolerance) / math.Log1p(-slowest/p.scale); steps < mostDepth {
			p.depth = max(1, int(math.Ceil(steps)))
		}
	}
	p.tail = max(1, int(tailShare*float64(p.depth)))
	if samples <= lissaBatch {
		p.repeats, p.tail, p.limit = 1, 1, o.Tolerance
	}
	return p
}

// judge says whether the recursion has converged, and what it was; it stopped in the given step if it diverged.
func (p plan) judge(s *Solver, spectrum extremes, step int, diverged bool) {
	told := fmt.Sprintf("scale %.3g for a largest eigenvalue of %.3g; depth %d, repeats %d, spread %.2g",
		p.scale, spectrum.Largest, p.depth, p.repeats, s.Spread)
	if spectrum.Smallest < -resolution*math.Abs(spectrum.Largest) {
		s.NegativeCurvature = 1
	}
	s.Converged = !diverged && s.NegativeCurvature == 0 && s.Residual <= p.limit
	switch {
	case s.NegativeCurvature > 0:
		told = fmt.Sprintf("the curvature is not positive definite: it has an eigenvalue of %.2g or below; "+
			"raise the damping or use the Gauss-Newton curvature; %s", spectrum.Smallest, told)
	case diverged:
		told = fmt.Sprintf("the recursion diverged in step %d; raise the scale to the largest eigenvalue or above; %s", step, told)
	case !s.Converged:
		told = fmt.Sprintf("the residual %.2g is above %.2g; raise the depth, the repeats or the damping; %s", s.Residual, p.limit, told)
	}
	s.Message = told
}

// batches draws batches from a sample without putting back, and begins again with the whole sample, in a new order, where
// fewer than a batch are left. Every sample is then drawn about as often as any other.
type batches struct {
	sample []int
	size   int
	rng    *rand.Rand
	order  []int
}

func newBatches(sample []int, size int, seed uint64) *batches {
	return &batches{sample: sample, size: size, rng: seeded("lissa batches", seed)}
}

// next returns a batch; the sample itself, always in the same order, if it is no larger than one.
func (b *batches) next() []int {
	if len(b.sample) <= b.size {
		return b.sample
	}
	if len(b.order) < b.size {
		b.order = slices.Clone(b.sample)
		b.rng.Shuffle(len(b.order), func(i, j int) { b.order[i], b.order[j] = b.order[j], b.order[i] })
	}
	batch := b.order[:b.size]
	b.order = b.order[b.size:]
	return batch
}
