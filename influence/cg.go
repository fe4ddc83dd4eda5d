package influence

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"slices"
)

// conjugateGradient is the estimator "cg", the way of Koh and Liang (2017) with one system for all training samples:
//
//	(C + lambda I) s = grad L_val,    delta_i = grad l_i . s / n,
//
// C the mean Gauss-Newton matrix J^T (d^2 l/dz^2) J (Schraudolph 2002; Martens, ICML 2010) or the mean Hessian over
// HessianSamples training samples, lambda the recipe's weight decay plus the damping. The scores of all training
// samples take one forward-mode pass. With folds of the scoring set there is a system for each; they are solved side by
// side, so that their curvature products share the forward pass, and the preconditioner, which is computed once: "diagonal"
// divides by an estimate of the diagonal of C + lambda I, "kronecker" solves with the Kronecker-factored curvature of
// ekfac in place of C.
type conjugateGradient struct{ options Options }

var _ Estimator = (*conjugateGradient)(nil)

// Name implements Estimator.
func (*conjugateGradient) Name() string { return "cg" }

// Score implements Estimator.
func (e *conjugateGradient) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	o := e.options
	sample := curvatureSample(p.Train, o.HessianSamples, p.Seed)
	count := newCounter(progress, most(e.Work(p)))
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
	precondition, err := d.preconditioner(ctx, o.Preconditioner, o.Curvature, sample, lambda)
	if err != nil {
		return nil, fmt.Errorf("the preconditioner: %w", err)
	}
	apply := d.damped(ctx, o.Curvature, lambda)
	systems, kept, err := e.resume(p, len(sample), count)
	if err != nil {
		return nil, err
	}
	solutions, solvers, err := solveAll(systems, func(v, out [][]float64) error { return apply(sample, v, out) },
		precondition, targets, o.Tolerance, o.MaxIterations)
	if err != nil {
		return nil, fmt.Errorf("conjugate gradients: %w", err)
	}
	kept.final = true
	count.advance(len(p.Train))
	scores, err := d.removalEffects(ctx, solutions)
	if err != nil {
		return nil, err
	}
	scores.Calibrated = true
	scores.Solver = worst(solvers)
	scores.Solver.Damping, scores.Solver.Samples = lambda, len(sample)
	return scores, nil
}

// resume returns the systems of all folds where they were kept, each product over the given number of samples, and the piece that keeps them.
func (e *conjugateGradient) resume(p *Problem, samples int, count *counter) ([]*conjugate, *piece, error) {
	systems := newSystems(p.directionCount())
	kept := &piece{name: systemsPiece, state: func() (_, _ int, values [][]float64) {
		for _, c := range systems {
			values = append(values, c.values()...)
		}
		return 0, 0, values
	}}
	kept.key = p.keeper.of(func(h hash.Hash) { fmt.Fprintln(h, "systems") })
	err := p.keeper.resume(kept, func(_, _ int, values []float64) (err error) {
		found, products := newSystems(len(systems)), 0
		for _, c := range found {
			if values, err = c.take(values, p.Net.Size(), e.options.Tolerance, e.options.MaxIterations); err != nil {
				return err
			}
			products = max(products, c.Iterations)
		}
		if len(values) > 0 {
			return fmt.Errorf("it has %d values too many", len(values))
		}
		systems = found
		count.add(products * samples)
		return nil
	})
	return systems, kept, err
}

// curvatureSample draws n of the positions, in ascending order; all of them where n is negative or more than there are.
func curvatureSample(positions []int, n int, seed uint64) []int {
	if n < 0 || n >= len(positions) {
		return positions
	}
	order := seeded("curvature sample", seed).Perm(len(positions))[:n]
	slices.Sort(order)
	drawn := make([]int, n)
	for k, o := range order {
		drawn[k] = positions[o]
	}
	return drawn
}

// seeded returns a generator for a purpose, of at most 24 bytes.
func seeded(purpose string, seed uint64) *rand.Rand {
	var key [32]byte
	copy(key[:24], purpose)
	binary.LittleEndian.PutUint64(key[24:], seed)
	return rand.New(rand.NewChaCha8(key))
}
