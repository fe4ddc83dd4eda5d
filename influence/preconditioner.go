package influence

import (
	"context"

	"gonum.org/v1/gonum/floats"
)

// Preconditioners that Options.Preconditioner names.
const (
	NoPreconditioner       = "none"
	DiagonalPreconditioner = "diagonal"
)

// diagonalProbes is the number of probes for the diagonal of the curvature.
const diagonalProbes = 16

// diagonal estimates the diagonal of C + lambda I, C the mean curvature over the sample, [P] (Bekas, Kokiopoulou and Saad,
// Applied Numerical Mathematics 2007): with the elements of v drawn from -1 and 1, the mean of v * C v is diag C. Each of 16
// probes takes its own part of the sample, every sixteenth of it, so all of them cost what one product with C does; the
// mean over the parts is what it would be for the whole. An element below 0, which estimation leaves, counts as 0, so
// all are lambda or more.
func (d *derivatives) diagonal(ctx context.Context, curvature string, sample []int, lambda float64) ([]float64, error) {
	rng := seeded("diagonal probes", d.problem.Seed)
	size := len(d.problem.Model.Theta)
	sum, v, out := make([]float64, size), make([]float64, size), make([]float64, size)
	probes := min(diagonalProbes, len(sample))
	for k := range probes {
		for j := range v {
			v[j] = float64(2*rng.IntN(2) - 1)
		}
		var part []int
		for i := k; i < len(sample); i += probes {
			part = append(part, sample[i])
		}
		if err := d.curvatureProduct(ctx, curvature, part, v, out); err != nil {
			return nil, err
		}
		floats.Mul(out, v)
		floats.AddScaled(sum, 1/float64(probes), out)
	}
	if err := finite(sum, "the diagonal of the curvature"); err != nil {
		return nil, err
	}
	for j := range sum {
		sum[j] = max(0, sum[j]) + lambda
	}
	return sum, nil
}

// jacobi returns the preconditioner that divides by the diagonal. An element of 0 leaves a value as it is.
func jacobi(diagonal []float64) func(r, z []float64) {
	return func(r, z []float64) {
		for j, x := range r {
			z[j] = x
			if diagonal[j] > 0 {
				z[j] = x / diagonal[j]
			}
		}
	}
}
