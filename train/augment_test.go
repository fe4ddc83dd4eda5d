package train

import (
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
)

// TestTrainAugments: training by a recipe with an augmentation is training on the augmented source, on any number of threads, and
// evaluation sees the plain images.
func TestTrainAugments(t *testing.T) {
	images := dataset.Shapes(60, 3)
	idx := positions(50)
	images.Mean, images.Std = images.ChannelStats(idx)
	n, err := net.New("softmax", [3]int{images.Height, images.Width, images.Channels}, len(images.Classes))
	if err != nil {
		t.Fatal(err)
	}
	plain := Recipe{Epochs: 3, BatchSize: 16, LearningRate: 0.02, Momentum: 0.9}
	varied := plain
	varied.Augmentation = dataset.Augmentation{Crop: 2, Flip: true, Cutout: 4}
	source, err := dataset.Augmented(images, varied.Augmentation)
	if err != nil {
		t.Fatal(err)
	}
	var want *Model
	for _, threads := range []int{1, 2} {
		e := NewEngine(backend(t, threads), n, CrossEntropy{})
		defer e.Close()
		if want == nil {
			if want, err = e.Train(t.Context(), source, idx, plain, 5, nil); err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.Train(t.Context(), images, idx, varied, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Theta, want.Theta) {
			t.Errorf("%d threads: the recipe's augmentation gives other bits than the augmented source", threads)
		}
		tr, err := e.Trajectory(t.Context(), images, idx, varied, 5, 1<<24, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(tr.Final().Theta, want.Theta) {
			t.Errorf("%d threads: the trajectory ends elsewhere", threads)
		}
		tr.Close()
		if same, err := e.Train(t.Context(), images, idx, plain, 5, nil); err != nil || slices.Equal(same.Theta, want.Theta) {
			t.Errorf("without the augmentation the same model (%v)", err)
		}
		a, err := e.Evaluate(t.Context(), want, images, idx)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := e.Evaluate(t.Context(), want, source, idx); err != nil || a.Loss != b.Loss {
			t.Errorf("evaluation sees varied images: loss %v, plain %v (%v)", b.Loss, a.Loss, err)
		}
	}
	e := NewEngine(backend(t, 1), linear(), CrossEntropy{})
	defer e.Close()
	if _, err := e.Train(t.Context(), newBlobs(60, 1), idx, varied, 5, nil); err == nil || !strings.Contains(err.Error(), "can't vary") {
		t.Errorf("augmenting what can't be: error %v", err)
	}
}
