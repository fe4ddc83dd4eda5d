package influence

import (
	"cmp"
	"context"
	"fmt"
	"hash"
	"slices"

	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/dataset"
)

// folds cuts the scoring positions into parts of nearly equal size by the seed; one part if the problem asks for none. Of a
// source with groups, such as the images of patches, a group is in one part as a whole: each goes to the part that has the fewest
// positions so far, the largest first, in an order drawn by the seed among equals. As many folds as score samples are these, one by one, whatever their groups.
func (p *Problem) folds() [][]int {
	parts := make([][]int, max(1, p.Folds))
	if len(parts) == 1 {
		parts[0] = p.Score
		return parts
	}
	if members := p.scoreGroups(); members != nil {
		order := seeded("score folds", p.Seed).Perm(len(members))
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(members[b]), len(members[a])) })
		for _, g := range order {
			least := 0
			for k, part := range parts {
				if len(part) < len(parts[least]) {
					least = k
				}
			}
			parts[least] = append(parts[least], members[g]...)
		}
		return parts
	}
	for k, o := range seeded("score folds", p.Seed).Perm(len(p.Score)) {
		parts[k%len(parts)] = append(parts[k%len(parts)], p.Score[o])
	}
	return parts
}

// scoreGroups returns the scoring positions of each group, in the order of Score; nil where folds are cut by samples.
func (p *Problem) scoreGroups() (members [][]int) {
	of := dataset.Groups(p.Source, p.Score)
	if of == nil || p.Folds < 2 || p.Folds == len(p.Score) {
		return nil
	}
	place := map[int]int{}
	for k, group := range of {
		g, ok := place[group]
		if !ok {
			g = len(members)
			place[group], members = g, append(members, nil)
		}
		members[g] = append(members[g], p.Score[k])
	}
	return members
}

// FoldPositions returns the positions of each part that Folds cuts Score into, in the sequence of Scores.Folds; one part
// if the problem asks for none. With as many folds as score samples, every part is one of them, and Scores.Folds[k] holds
// the removal effects for the loss of that sample alone.
func (p *Problem) FoldPositions() [][]int { return p.folds() }

// targets returns the gradient of the mean loss over each fold of the scoring set, [folds][P]. A gradient that is not
// finite is an error.
func (d *derivatives) targets(ctx context.Context) ([][]float64, error) {
	var all [][]float64
	folds, size := d.problem.folds(), d.problem.Net.Size()
	kept := &piece{name: targetsPiece, state: func() (int, int, [][]float64) { return 0, len(all), all }}
	kept.key = d.problem.keeper.of(func(h hash.Hash) { fmt.Fprintf(h, "targets\n%x\n", d.model) })
	err := d.problem.keeper.resume(kept, func(_, at int, values []float64) error {
		if at > len(folds) || len(values) != at*size {
			return fmt.Errorf("it holds %d values of %d folds", len(values), at)
		}
		all = cut(values, size)
		if d.tick != nil {
			for _, positions := range folds[:at] {
				d.tick(len(positions))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(all) == len(folds) {
		d.problem.keeper.drop(targetsPiece) // there is nothing to be saved again
	}
	for _, positions := range folds[len(all):] {
		var g []float64
		err := d.measured(func() (err error) {
			g, err = d.meanGradient(ctx, positions)
			return err
		})
		if err == nil {
			err = finite(g, "the gradient of the validation loss")
		}
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	kept.final = true
	return all, nil
}

// foldScores makes scores of the removal effects for each fold.
func (p *Problem) foldScores(folds [][]float64) (*Scores, error) {
	for _, delta := range folds {
		if err := finite(delta, "the removal effects"); err != nil {
			return nil, err
		}
	}
	if p.Folds < 2 {
		return &Scores{Delta: folds[0]}, nil
	}
	s := &Scores{Delta: make([]float64, len(p.Train)), Folds: folds}
	for k, part := range p.folds() {
		floats.AddScaled(s.Delta, float64(len(part))/float64(len(p.Score)), folds[k])
	}
	return s, nil
}

// removalEffects returns the scores delta_i = grad l_i . s / n of all n training samples for the vector s of every fold.
func (d *derivatives) removalEffects(ctx context.Context, s [][]float64) (*Scores, error) {
	all, err := d.directionals(ctx, d.problem.Train, s)
	if err != nil {
		return nil, err
	}
	for _, delta := range all {
		floats.Scale(1/float64(len(delta)), delta)
	}
	return d.problem.foldScores(all)
}

// worst joins the outcomes of the solvers of all folds.
func worst(solvers []Solver) Solver {
	all := solvers[0]
	for k, s := range solvers[1:] {
		all.Iterations = max(all.Iterations, s.Iterations)
		all.Residual = max(all.Residual, s.Residual)
		all.NegativeCurvature += s.NegativeCurvature
		if all.Converged && !s.Converged {
			all.Message = fmt.Sprintf("fold %d: %s", k+2, s.Message)
		}
		all.Converged = all.Converged && s.Converged
	}
	return all
}
