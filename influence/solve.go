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

// conjugate is a system A s = b that is solved by conjugate gradients (Hestenes and Stiefel, 1952) from s = 0, on its way. Whenever a product is
// computed it holds all that going on from there takes.
type conjugate struct {
	stage conjugateStage
	// s is the solution, r the residual of the recursion and p the direction; rz is r . M^-1 r.
	s, r, p  []float64
	rz       float64
	restarts int
	Solver
}

type conjugateStage int

const (
	conjugateBegins     conjugateStage = iota
	conjugateIterates                  // the product of p is computed
	conjugateRefreshes                 // the product of s is computed, r and p follow from it
	conjugateHasStopped                // s is the solution
)

// run solves the system to the end, for a symmetric A given by its product: apply writes A v into out. precondition writes M^-1 r into z, for a
// symmetric and positive definite M that is near A (Saad, Iterative Methods for Sparse Linear Systems, algorithm 9.1); nil means M = I.
//
// It stops when |b - A s| <= tolerance |b|. The residual of the recursion drifts from the true one as rounding in the
// products adds up, so the true one is computed at the end, and the iterations go on from there if it is too large. It
// also stops after maxIterations, or at a direction p with p^T A p <= 0, at the iterate before it: A is not positive
// definite, and the minimum that the iterates approach does not exist (Martens, ICML 2010, section 3.1).
// Numbers that are not finite are an error.
func (c *conjugate) run(apply func(v, out []float64) error, precondition func(r, z []float64), b []float64,
	tolerance float64, maxIterations int) error {
	if c.stage == conjugateHasStopped {
		return nil
	}
	size := floats.Norm(b, 2)
	if c.stage == conjugateBegins {
		c.s, c.r = make([]float64, len(b)), append([]float64(nil), b...)
		if err := finite([]float64{floats.Dot(b, b)}, "the squared norm of the right-hand side"); err != nil {
			return err
		}
	}
	z, ap := c.r, make([]float64, len(b)) // z is M^-1 r
	if precondition == nil {
		precondition = func(_, _ []float64) {}
	} else {
		z = make([]float64, len(b))
	}
	if c.stage == conjugateBegins {
		precondition(c.r, z)
		c.p, c.rz = append([]float64(nil), z...), floats.Dot(c.r, z)
		c.stage = conjugateIterates
		if size == 0 {
			c.stage, c.Converged = conjugateHasStopped, true
			return nil
		}
	}
	for ; ; c.restarts++ {
		for c.stage == conjugateIterates && c.Iterations < maxIterations && floats.Norm(c.r, 2) > tolerance*size {
			if err := apply(c.p, ap); err != nil {
				return err
			}
			c.Iterations++
			pap := floats.Dot(c.p, ap)
			if err := finite([]float64{pap}, "a curvature product"); err != nil {
				return err
			}
			if pap <= 0 {
				c.NegativeCurvature++
				break
			}
			alpha := c.rz / pap
			floats.AddScaled(c.s, alpha, c.p)
			floats.AddScaled(c.r, -alpha, ap)
			precondition(c.r, z)
			next := floats.Dot(c.r, z)
			floats.Scale(next/c.rz, c.p)
			floats.Add(c.p, z)
			c.rz = next
		}
		// The true residual, and from it the direction of a new start.
		c.stage = conjugateRefreshes
		if err := apply(c.s, c.r); err != nil {
			return err
		}
		floats.SubTo(c.r, b, c.r)
		precondition(c.r, z)
		copy(c.p, z)
		c.rz = floats.Dot(c.r, z)
		c.Residual = floats.Norm(c.r, 2) / size
		c.judge(tolerance, maxIterations)
		if err := finite([]float64{c.Residual}, "the residual"); err != nil {
			return err
		}
		if c.Converged || c.NegativeCurvature > 0 || c.Iterations >= maxIterations || c.restarts == mostRestarts {
			break
		}
		c.stage, c.Message = conjugateIterates, ""
	}
	c.stage = conjugateHasStopped
	return nil
}

// judge says whether the residual is small enough, and in words why it is not.
func (c *conjugate) judge(tolerance float64, maxIterations int) {
	if c.Converged = c.Residual <= tolerance; !c.Converged {
		c.Message = c.reason(tolerance, maxIterations)
	}
}

// conjugateHeader is the number of values that keep a system beside its vectors.
const conjugateHeader = 6

// values are those that keep the system.
func (c *conjugate) values() [][]float64 {
	header := []float64{float64(c.stage), float64(c.Iterations), float64(c.restarts), float64(c.NegativeCurvature), c.Residual, c.rz}
	switch c.stage {
	case conjugateBegins:
		return [][]float64{header}
	case conjugateIterates:
		return [][]float64{header, c.s, c.r, c.p}
	}
	return [][]float64{header, c.s}
}

// take puts the system of the given size where the first of the values say, and returns the others.
func (c *conjugate) take(values []float64, size int, tolerance float64, maxIterations int) ([]float64, error) {
	if len(values) < conjugateHeader {
		return nil, fmt.Errorf("it has %d values more", len(values))
	}
	header, rest := values[:conjugateHeader], values[conjugateHeader:]
	c.stage, c.Iterations, c.restarts, c.NegativeCurvature = conjugateStage(header[0]), int(header[1]), int(header[2]), int(header[3])
	c.Residual, c.rz = header[4], header[5]
	var vectors []*[]float64
	switch c.stage {
	case conjugateBegins:
	case conjugateIterates:
		vectors = []*[]float64{&c.s, &c.r, &c.p}
	case conjugateRefreshes, conjugateHasStopped:
		vectors = []*[]float64{&c.s}
		c.r, c.p = make([]float64, size), make([]float64, size)
	default:
		return nil, fmt.Errorf("it speaks of stage %d", c.stage)
	}
	if len(rest) < len(vectors)*size {
		return nil, fmt.Errorf("it has %d values more", len(rest))
	}
	for _, v := range vectors {
		*v, rest = rest[:size:size], rest[size:]
	}
	if c.stage == conjugateHasStopped {
		c.judge(tolerance, maxIterations)
	}
	return rest, nil
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

// newSystems returns n systems that begin.
func newSystems(n int) []*conjugate {
	systems := make([]*conjugate, n)
	for k := range systems {
		systems[k] = new(conjugate)
	}
	return systems
}

// solveAll runs all systems to the end, with right-hand sides b: apply writes the product of A and every v into out, for those systems
// that still want one, so that the products of all systems can be computed together; while it is at work no system changes. precondition must be
// safe for concurrent use.
func solveAll(systems []*conjugate, apply func(v, out [][]float64) error, precondition func(r, z []float64), b [][]float64,
	tolerance float64, maxIterations int) ([][]float64, []Solver, error) {
	type product struct {
		system int
		v, out []float64
		done   chan error
	}
	var (
		wanted = make(chan product)
		ended  = make(chan struct{})
		errs   = make([]error, len(b))
		wait   sync.WaitGroup
	)
	for k := range b {
		wait.Go(func() {
			done := make(chan error)
			errs[k] = systems[k].run(func(v, out []float64) error {
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
	solutions, solvers := make([][]float64, len(b)), make([]Solver, len(b))
	for k, c := range systems {
		if errs[k] != nil {
			return nil, nil, fmt.Errorf("after %d iterations: %w", c.Iterations, errs[k])
		}
		solutions[k], solvers[k] = c.s, c.Solver
	}
	return solutions, solvers, nil
}
