package influence

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"gonum.org/v1/gonum/floats"
)

// mostRestarts bounds how often the solver continues from a solution whose residual, computed anew, lies above the
// recursion's.
const mostRestarts = 3

// solve solves A s = b by conjugate gradients (Hestenes and Stiefel, 1952) from s = 0, for a symmetric A given by its
// product: apply writes A v into out. precondition writes M^-1 r into z, for a symmetric and positive definite M that is
// near A (Saad, Iterative Methods for Sparse Linear Systems, algorithm 9.1); nil means M = I.
//
// It stops when |b - A s| <= tolerance |b|. The residual of the recursion drifts from the true one as rounding in the
// products adds up, so the true one is computed at the end, and the iterations go on from there if it is too large. It
// also stops after maxIterations, or at a direction p with p^T A p <= 0, at the iterate before it: A is not positive
// definite, and the minimum that the iterates approach does not exist (Martens, ICML 2010, section 3.1).
// Numbers that are not finite are an error.
func solve(apply func(v, out []float64) error, precondition func(r, z []float64), b []float64,
	tolerance float64, maxIterations int) ([]float64, Solver, error) {
	var (
		s     = make([]float64, len(b))
		r     = append([]float64(nil), b...)
		z     = r // M^-1 r
		ap    = make([]float64, len(b))
		size  = floats.Norm(b, 2)
		state Solver
	)
	if err := finite([]float64{floats.Dot(r, r)}, "the squared norm of the right-hand side"); err != nil {
		return nil, state, err
	}
	if precondition == nil {
		precondition = func(_, _ []float64) {}
	} else {
		z = make([]float64, len(b))
	}
	precondition(r, z)
	p, rz := append([]float64(nil), z...), floats.Dot(r, z)
	if size == 0 {
		state.Converged = true
		return s, state, nil
	}
	// refresh computes the true residual, and from it the direction of a new start.
	refresh := func() error {
		if err := apply(s, r); err != nil {
			return err
		}
		floats.SubTo(r, b, r)
		precondition(r, z)
		copy(p, z)
		rz = floats.Dot(r, z)
		state.Residual = floats.Norm(r, 2) / size
		state.Converged = state.Residual <= tolerance
		return finite([]float64{state.Residual}, "the residual")
	}
	for restarts := 0; ; restarts++ {
		for state.Iterations < maxIterations && floats.Norm(r, 2) > tolerance*size {
			state.Iterations++
			if err := apply(p, ap); err != nil {
				return nil, state, err
			}
			pap := floats.Dot(p, ap)
			if err := finite([]float64{pap}, "a curvature product"); err != nil {
				return nil, state, err
			}
			if pap <= 0 {
				state.NegativeCurvature++
				break
			}
			alpha := rz / pap
			floats.AddScaled(s, alpha, p)
			floats.AddScaled(r, -alpha, ap)
			precondition(r, z)
			next := floats.Dot(r, z)
			floats.Scale(next/rz, p)
			floats.Add(p, z)
			rz = next
		}
		if err := refresh(); err != nil {
			return nil, state, err
		}
		if state.Converged || state.NegativeCurvature > 0 || state.Iterations >= maxIterations || restarts == mostRestarts {
			break
		}
	}
	if !state.Converged {
		state.Message = state.reason(tolerance, maxIterations)
	}
	return s, state, nil
}

func (s *Solver) reason(tolerance float64, maxIterations int) string {
	switch {
	case s.NegativeCurvature > 0:
		return fmt.Sprintf("the curvature is not positive definite: a direction of negative or no curvature in iteration %d; "+
			"raise the damping or use the Gauss-Newton curvature", s.Iterations)
	case s.Iterations >= maxIterations:
		return fmt.Sprintf("the residual %.2g is above the tolerance %.2g after %d iterations; raise the damping or the iterations",
			s.Residual, tolerance, s.Iterations)
	}
	return fmt.Sprintf("the residual %.2g does not reach the tolerance %.2g in the precision of the curvature products; raise the damping or the tolerance",
		s.Residual, tolerance)
}

// solveAll is solve for several right-hand sides: apply writes the product of A and every v into out, for those systems
// that still want one, so that the products of all systems can be computed together. precondition must be safe for
// concurrent use.
func solveAll(apply func(v, out [][]float64) error, precondition func(r, z []float64), b [][]float64,
	tolerance float64, maxIterations int) ([][]float64, []Solver, error) {
	type product struct {
		system int
		v, out []float64
		done   chan error
	}
	var (
		wanted    = make(chan product)
		ended     = make(chan struct{})
		solutions = make([][]float64, len(b))
		solvers   = make([]Solver, len(b))
		errs      = make([]error, len(b))
		wait      sync.WaitGroup
	)
	for k := range b {
		wait.Go(func() {
			done := make(chan error)
			solutions[k], solvers[k], errs[k] = solve(func(v, out []float64) error {
				wanted <- product{k, v, out, done}
				return <-done
			}, precondition, b[k], tolerance, maxIterations)
			ended <- struct{}{}
		})
	}
	var waiting []product
	for running := len(b); running > 0; {
		select {
		case p := <-wanted:
			waiting = append(waiting, p)
		case <-ended:
			running--
		}
		if running == 0 || len(waiting) < running {
			continue
		}
		slices.SortFunc(waiting, func(x, y product) int { return cmp.Compare(x.system, y.system) })
		var v, out [][]float64
		for _, p := range waiting {
			v, out = append(v, p.v), append(out, p.out)
		}
		err := apply(v, out)
		for _, p := range waiting {
			p.done <- err
		}
		waiting = waiting[:0]
	}
	wait.Wait()
	for k, err := range errs {
		if err != nil {
			return nil, nil, fmt.Errorf("iteration %d: %w", solvers[k].Iterations, err)
		}
	}
	return solutions, solvers, nil
}
