package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// PhaseTraining is a training as a run has it, batches and all: of images of 8 bits that are cropped and flipped, or of noisy patches where the
// network restores. Where a step is fast the batches count, and on a GPU many steps are one call.
const PhaseTraining = "train"

// batchesInSet is the size of the set that PhaseTraining trains on, in batches.
const batchesInSet = 20

// runTraining measures a training on the source of the setting, or on random samples, of at least three steps after the first one, which compiles.
func runTraining(ctx context.Context, b compute.Backend, n *net.Network, s Setting) (*Measurement, error) {
	src, r := s.Source, train.Recipe{}
	if src == nil {
		var err error
		if src, r, err = trainingSet(ctx, n, s.Batch); err != nil {
			return nil, err
		}
	}
	r.BatchSize, r.Momentum, r.WeightDecay, r.Nesterov = s.Batch, 0.9, 5e-4, s.Nesterov
	r.LearningRate, r.Schedule, r.Epochs = 1e-4, "constant", 1e5 // longer than anybody measures
	engine := train.NewEngine(b, n, lossOf(n))
	defer engine.Close()
	training, stop := context.WithCancel(ctx)
	defer stop()

	began := time.Now()
	var first, last time.Time
	runs := 0
	_, err := engine.Train(training, src, positions(src.Len()), r, 1, func(p train.Progress) {
		last, runs = time.Now(), p.Step-1
		if p.Step == 1 {
			first = last
		}
		if runs >= 3 && last.Sub(first).Seconds() >= s.Seconds {
			stop() // what the call has done beside counts too
		}
	})
	if err != nil && (ctx.Err() != nil || !errors.Is(err, context.Canceled)) { // it was stopped, or came to its end
		return nil, err
	}
	mean := last.Sub(first).Seconds() / float64(runs)
	rate := float64(s.Batch) / mean
	return &Measurement{
		ImagesPerSecond: rate, GFLOPS: rate * operations(n, PhaseTraining, 1) / 1e9, Runs: runs,
		MeanSeconds: mean, FirstSeconds: first.Sub(began).Seconds(),
	}, nil
}

func positions(n int) []int {
	idx := make([]int, n)
	for i := range idx {
		idx[i] = i
	}
	return idx
}

// trainingSet returns random samples for a network, and a recipe with how they are varied.
func trainingSet(ctx context.Context, n *net.Network, batch int) (dataset.Source, train.Recipe, error) {
	count := batchesInSet * batch
	rng := rand.New(rand.NewPCG(1, 3))
	if len(n.Outputs) > 1 {
		src, err := noisyPatches(ctx, n, count, rng)
		return src, train.Recipe{}, err
	}
	set := &dataset.Images{
		Name: "random", Height: n.Input[0], Width: n.Input[1], Channels: n.Input[2], Classes: make([]string, n.Outputs[0]),
		Pix: make([]uint8, count*product(n.Input[:])), Labels: make([]int, count),
	}
	for i := range set.Pix {
		set.Pix[i] = uint8(rng.Uint32())
	}
	for i := range set.Labels {
		set.Labels[i] = rng.IntN(len(set.Classes))
	}
	return set, train.Recipe{Augmentation: dataset.Augmentation{Crop: min(4, (min(set.Height, set.Width)+1)/2), Flip: true}}, nil
}

// noisyPatches are patches side by side in one image, with noise that is drawn for every epoch.
func noisyPatches(ctx context.Context, n *net.Network, count int, rng *rand.Rand) (*dataset.Patches, error) {
	size, channels := n.Input[0], n.Outputs[2]
	o := dataset.PatchOptions{Size: size, Degradation: dataset.Degradation{Sigma: [2]float64{25, 25}}, Symmetries: true, NoiseMap: n.Input[2] > channels}
	patches, err := dataset.NewPatches(o)
	if err != nil {
		return nil, err
	}
	picture := &dataset.Picture{ID: "random", Height: size, Width: size * count, Channels: channels, Depth: 8}
	picture.Pix = make([]uint16, picture.Height*picture.Width*channels)
	for i := range picture.Pix {
		picture.Pix[i] = uint16(rng.Uint32())
	}
	_, err = patches.Add(ctx, dataset.CleanPairs([]*dataset.Picture{picture}), dataset.Cut{Stride: size})
	return patches, err
}
