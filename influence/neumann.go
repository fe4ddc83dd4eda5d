package influence

import (
	"fmt"
	"hash"
	"math"

	"gonum.org/v1/gonum/floats"
)

// iterates is where the recursion s_j = b + s_(j-1) - A_j s_(j-1) / scale from s_0 = b stands, for all right-hand sides b at once: s after the
// steps taken, and mean the part of the result that is known.
type iterates struct {
	s, mean [][]float64
	taken   int
}

func newIterates(b [][]float64) *iterates {
	r := &iterates{s: vectors(len(b), len(b[0])), mean: vectors(len(b), len(b[0]))}
	for k := range b {
		copy(r.s[k], b[k])
	}
	return r
}

// run goes on to the given depth and returns the mean of the last tail s over scale. apply writes A_j v into out; while it is at work nothing
// changes.
//
// If no step lengthens a vector, |s_j| is at most (j+1) |b|. At twice that, or at a number that is not finite, the recursion
// has diverged: it ends with the iterates before, and taken, the number of steps that led there, is below depth.
func (r *iterates) run(apply func(v, out [][]float64) error, b [][]float64, scale float64, depth, tail int) (result [][]float64, err error) {
	next := vectors(len(b), len(b[0]))
	for r.taken < depth {
		if err := apply(r.s, next); err != nil {
			return nil, fmt.Errorf("step %d: %w", r.taken+1, err)
		}
		for k := range next {
			floats.Scale(-1/scale, next[k])
			floats.Add(next[k], r.s[k])
			floats.Add(next[k], b[k])
			if bound := 2 * float64(r.taken+2) * floats.Norm(b[k], 2); !(floats.Norm(next[k], 2) <= bound) {
				for k := range r.s {
					floats.Scale(1/scale, r.s[k])
				}
				return r.s, nil
			}
		}
		r.s, next = next, r.s
		r.taken++
		if r.taken > depth-tail {
			for k := range r.s {
				floats.AddScaled(r.mean[k], 1/(scale*float64(tail)), r.s[k])
			}
		}
	}
	return r.mean, nil
}

// repeats are the repeats of the recursion, one after the other, each with batches of its own.
type repeats struct {
	plan    plan
	batches *batches
	// runs holds the results of the repeats that are through; after one that has diverged that of this one alone, for the others have nothing
	// to add to an iterate on its way out.
	runs     [][][]float64
	diverged bool
	// taken is the number of steps in all, and now the repeat that goes on, nil between two.
	taken int
	now   *iterates
	kept  *piece
}

// run goes on to the end, with products of the mean over the positions of a batch.
func (r *repeats) run(apply func(positions []int, v, out [][]float64) error, b [][]float64) error {
	for len(r.runs) < r.plan.repeats && !r.diverged {
		if r.now == nil {
			r.now = newIterates(b)
		}
		before := r.taken - r.now.taken
		s, err := r.now.run(func(v, out [][]float64) error {
			r.taken = before + r.now.taken
			return apply(r.batches.next(), v, out)
		}, b, r.plan.scale, r.plan.depth, r.plan.tail)
		if err != nil {
			return err
		}
		r.taken = before + r.now.taken
		if r.diverged = r.now.taken < r.plan.depth; r.diverged {
			r.runs = nil
		}
		r.runs, r.now = append(r.runs, s), nil
	}
	r.kept.final = true
	return nil
}

// resume continues from what the keeper has of the recursion for k right-hand sides of the given size.
func (r *repeats) resume(keeper *keeper, k, size int) error {
	r.kept = &piece{name: recursionPiece, state: func() (stage, at int, values [][]float64) {
		if r.diverged {
			stage = 1
		}
		for _, run := range r.runs {
			values = append(values, run...)
		}
		if r.now != nil {
			values = append(append(values, r.now.s...), r.now.mean...)
		}
		return stage, r.taken, values
	}}
	r.kept.key = keeper.of(func(h hash.Hash) { fmt.Fprintln(h, "recursion") })
	return keeper.resume(r.kept, func(stage, at int, values []float64) error {
		runs, in, depth := at/r.plan.depth, at%r.plan.depth, r.plan.depth
		whole := runs // results that it holds
		switch {
		case stage == 1:
			whole, in = 1, 0
		case at > depth*r.plan.repeats:
			return fmt.Errorf("it speaks of step %d of %d", at, depth*r.plan.repeats)
		}
		want := whole * k * size
		if stage == 0 && runs < r.plan.repeats {
			// Between two repeats nothing is saved: one goes on, with its iterates.
			want += 2 * k * size
		}
		if len(values) != want {
			return fmt.Errorf("it holds %d values and not %d", len(values), want)
		}
		all := cut(values, size)
		for range whole {
			r.runs, all = append(r.runs, all[:k:k]), all[k:]
		}
		if len(all) > 0 {
			r.now = &iterates{s: all[:k:k], mean: all[k:], taken: in}
		}
		r.diverged, r.taken = stage == 1, at
		for range at {
			r.batches.next()
		}
		return nil
	})
}

// meanAndSpread returns the mean over runs of the solutions, runs[r][k] for right-hand side k, and how far runs lie apart:
// their standard deviation over the norm of the mean, the largest over all k; 0 for one run.
func meanAndSpread(runs [][][]float64) (mean [][]float64, spread float64) {
	mean = vectors(len(runs[0]), len(runs[0][0]))
	for k := range mean {
		for _, run := range runs {
			floats.AddScaled(mean[k], 1/float64(len(runs)), run[k])
		}
		sum := 0.0
		for _, run := range runs {
			sum += math.Pow(floats.Distance(run[k], mean[k], 2), 2)
		}
		if size := floats.Norm(mean[k], 2); size > 0 && len(runs) > 1 {
			spread = max(spread, math.Sqrt(sum/float64(len(runs)-1))/size)
		}
	}
	return mean, spread
}
