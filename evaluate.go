package datadropout

import (
	"context"
	"fmt"

	"github.com/datadropout/datadropout/train"
)

// evaluate measures the model of a training at seed number k on a split. Its errors name the training, the seed and the split.
func (r *runner) evaluate(ctx context.Context, m *train.Model, what string, k int, split string, idx []int) (*train.Evaluation, error) {
	e, err := r.engine.Evaluate(ctx, m, r.data.Source(), idx)
	if err != nil {
		return nil, fmt.Errorf("%s, seed %d, %s split: %w", what, r.seed(k), split, err)
	}
	return e, nil
}
