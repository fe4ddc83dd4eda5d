package influence

import (
	"context"
)

// productDirections is how many gradients go through the samples in one pass.
const productDirections = 4

// GradientProducts returns grad l_i . grad l_j for every training sample i and every score sample j of a problem,
// [len(Train)][len(Score)]: below zero, a small step of gradient descent on i raises the loss of j. It costs a gradient a
// training sample and, for every four of them, a forward-mode pass over the score samples. Cancelling ctx stops between two
// batches.
func GradientProducts(ctx context.Context, p *Problem) ([][]float64, error) {
	d, err := newDerivatives(p, nil)
	if err != nil {
		return nil, err
	}
	defer d.close()
	var products [][]float64
	for at := 0; at < len(p.Train); at += productDirections {
		var gradients [][]float64
		for _, i := range p.Train[at:min(len(p.Train), at+productDirections)] {
			g, err := d.meanGradient(ctx, []int{i})
			if err != nil {
				return nil, err
			}
			gradients = append(gradients, g)
		}
		var rows [][]float64
		err := d.measured(func() (err error) {
			rows, err = d.directionals(ctx, p.Score, gradients)
			return err
		})
		if err != nil {
			return nil, err
		}
		products = append(products, rows...)
	}
	for _, row := range products {
		if err := finite(row, "a product of gradients"); err != nil {
			return nil, err
		}
	}
	return products, nil
}
