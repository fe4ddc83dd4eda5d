package datadropout

import (
	"context"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/restore"
	"github.com/datadropout/datadropout/train"
)

// engine trains and evaluates one network: a [train.Engine], or one that only says what there is to do; see [NewPlan].
type engine interface {
	TrainKept(ctx context.Context, src dataset.Source, idx []int, r train.Recipe, seed uint64, rec train.Recording, keep train.Keep,
		progress func(train.Progress)) (*train.Trained, error)
	Evaluate(ctx context.Context, m *train.Model, src dataset.Source, idx []int) (*train.Evaluation, error)
	Features(ctx context.Context, m *train.Model, src dataset.Source, idx []int) (rows []float32, width int, err error)
	Close()
}

// tools carry out what a run decides to do. All that takes time goes through them.
type tools struct {
	engine    func(n *net.Network) engine
	estimator func(name string, o influence.Options) (influence.Estimator, error)
	restore   func(ctx context.Context, n *net.Network, m *train.Model, s *restore.Set) ([]restore.Score, error)
	apply     func(ctx context.Context, n *net.Network, m *train.Model, noisy []*restore.Image, sigmas []float32) ([]*restore.Image, error)
	products  func(ctx context.Context, p *influence.Problem) ([][]float64, error)
}

// computing are the tools that compute, for networks that are trained for the loss, with so much memory on the device; see [Config].DeviceMemory.
func computing(backend compute.Backend, loss train.Loss, deviceMemory int64) tools {
	return tools{
		engine: func(n *net.Network) engine {
			e := train.NewEngine(backend, n, loss)
			e.BoundDeviceMemory(deviceMemory)
			return e
		},
		estimator: influence.New,
		restore: func(ctx context.Context, n *net.Network, m *train.Model, s *restore.Set) ([]restore.Score, error) {
			restorer, err := restore.NewRestorer(backend, n, m)
			if err != nil {
				return nil, err
			}
			defer restorer.Close()
			return restorer.Measure(ctx, s, 0)
		},
		apply: func(ctx context.Context, n *net.Network, m *train.Model, noisy []*restore.Image, sigmas []float32) ([]*restore.Image, error) {
			restorer, err := restore.NewRestorer(backend, n, m)
			if err != nil {
				return nil, err
			}
			defer restorer.Close()
			out := make([]*restore.Image, len(noisy))
			for k, image := range noisy {
				if out[k], err = restorer.Restore(ctx, image, sigmas[k], 0); err != nil {
					return nil, err
				}
			}
			return out, nil
		},
		products: influence.GradientProducts,
	}
}
