package influence

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/train"
)

// pictures are n images of 2x3 pixels, classes of which overlap, the input of the network smooth.
func pictures(n int, seed uint64) *dataset.Images {
	rng := rand.New(rand.NewPCG(seed, 2))
	s := &dataset.Images{Name: "pictures", Height: 2, Width: 3, Channels: 1, Classes: []string{"a", "b", "c"},
		Mean: []float32{0.5}, Std: []float32{0.2}}
	for range n {
		label := rng.IntN(3)
		for j := range 6 {
			v := 127 + 50*rng.NormFloat64()
			if j%3 == label {
				v += 40
			}
			s.Pix = append(s.Pix, uint8(min(max(v, 0), 255)))
		}
		s.Labels, s.IDs = append(s.Labels, label), append(s.IDs, string(rune('A'+len(s.IDs))))
	}
	return s
}

// replayedLoss is retraining.loss for images by a recipe with Nesterov's momentum or an augmentation: the pixels of every step
// are those of the augmented source, asked for by seed, epoch and position.
func replayedLoss(t *testing.T, oracle *retraining, images *dataset.Images, weights []float64) float64 {
	t.Helper()
	p := oracle.p
	source, err := dataset.Augmented(images, p.Recipe.Augmentation)
	if err != nil {
		t.Fatal(err)
	}
	tensorsOf := func(positions []int, fill func(k int, x, y []float32)) (x, y *tensors.Tensor) {
		xs, ys := make([]float32, 6*len(positions)), make([]float32, 3*len(positions))
		for k := range positions {
			fill(k, xs[6*k:6*k+6], ys[3*k:3*k+3])
		}
		return tensors.FromFlatDataAndDimensions(wide(xs), len(positions), 2, 3, 1), tensors.FromFlatDataAndDimensions(wide(ys), len(positions), 3)
	}
	theta32, state32 := p.Net.Init(p.TrainSeed)
	theta, state := wide(theta32), wide(state32)
	if !oracle.statistics {
		state = []float64{0}
	}
	momentum := make([]float64, len(theta))
	order, err := train.NewOrder(images.Len(), p.Train, p.TrainSeed)
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]int, min(p.Recipe.BatchSize, len(p.Train)))
	steps := p.Recipe.Steps(len(p.Train))
	for s := range steps {
		order.Batch(s, batch)
		w := make([]float64, len(batch))
		for k, i := range batch {
			w[k] = weights[i]
		}
		x, y := tensorsOf(batch, func(k int, x, y []float32) {
			source.FillEpoch(batch[k], p.TrainSeed, uint64((s*len(batch)+k)/len(p.Train)), x, y)
			smooth := float32(p.Recipe.LabelSmoothing)
			for j := range y {
				y[j] = (1-smooth)*y[j] + smooth/3
			}
		})
		out, err := oracle.step.Call(theta, state, x, y, w)
		if err != nil {
			t.Fatal(err)
		}
		for j, g := range tensors.MustCopyFlatData[float64](out[0]) {
			g += p.Recipe.WeightDecay * theta[j]
			momentum[j] = p.Recipe.Momentum*momentum[j] + g
			direction := momentum[j]
			if p.Recipe.Nesterov {
				direction = g + p.Recipe.Momentum*momentum[j]
			}
			theta[j] -= p.Recipe.Rate(s, steps) * direction
		}
		if oracle.statistics {
			state = tensors.MustCopyFlatData[float64](out[1])
		}
	}
	x, y := tensorsOf(p.Score, func(k int, x, y []float32) { source.Fill(p.Score[k], x, y) })
	out, err := oracle.eval.Call(theta, state, x, y)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float64](out[0])[0]
}

// TestMetagradientOfRecipes: with Nesterov's momentum, with augmentation, and by milestones the scores are the derivatives that
// central differences of trainings in float64 give, one weight changed, on the same pixels in the same epochs.
func TestMetagradientOfRecipes(t *testing.T) {
	images := pictures(60, 3)
	for name, change := range map[string]func(*train.Recipe){
		"as it is":  func(*train.Recipe) {},
		"Nesterov":  func(r *train.Recipe) { r.Nesterov = true },
		"augmented": func(r *train.Recipe) { r.Augmentation = dataset.Augmentation{Crop: 1, Flip: true, Cutout: 1} },
		"smoothed":  func(r *train.Recipe) { r.LabelSmoothing = 0.3 },
		"colors and milestones": func(r *train.Recipe) {
			r.Augmentation.Brightness, r.Schedule, r.Milestones = 0.5, train.Milestones, []float64{0.5, 3}
		},
	} {
		r := metaRecipe
		change(&r)
		for _, n := range []string{"smooth", "moving"} {
			network := smooth()
			if n == "moving" {
				network = moving()
			}
			b := backend(t, 2)
			e := train.NewEngine(b, network, train.CrossEntropy{})
			defer e.Close()
			p := &Problem{Backend: b, Net: network, Loss: train.CrossEntropy{}, Source: images, Recipe: r, TrainSeed: 5, Train: span(0, 30), Score: span(30, 60)}
			var err error
			if p.Model, err = e.Train(t.Context(), images, p.Train, r, p.TrainSeed, nil); err != nil {
				t.Fatal(err)
			}
			got := score(t, estimator(t, "metagradient", Options{NoSmoothnessCheck: true}), p)
			oracle := newRetraining(t, p)
			weights := make([]float64, images.Len())
			for i := range weights {
				weights[i] = 1
			}
			const h = 1e-3
			var want, compared []float64
			for k := 0; k < len(p.Train); k += 2 {
				i := p.Train[k]
				weights[i] = 1 + h
				up := replayedLoss(t, oracle, images, weights)
				weights[i] = 1 - h
				want = append(want, (replayedLoss(t, oracle, images, weights)-up)/(2*h))
				compared = append(compared, got.Delta[k])
				weights[i] = 1
			}
			apart := apart(compared, want)
			t.Logf("%s, %s: relative error %.2g of scores with norm %.2g", name, n, apart, floats.Norm(want, 2))
			if !(apart < 2e-5) || floats.Norm(want, 2) < 1e-4 {
				t.Errorf("%s, %s: relative error %.2g, scores %v, want %v", name, n, apart, compared, want)
			}
		}
	}
}
