package train

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	backends "github.com/datadropout/datadropout/backend"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/internal/precision"
	"github.com/datadropout/datadropout/net"
)

// openXLA opens the plugin that DATADROPOUT_TESTING_XLA names, once for all tests; bench/xla builds one that needs no GPU.
var openXLA = sync.OnceValues(func() (compute.Backend, error) {
	return backends.Open("xla:"+os.Getenv("DATADROPOUT_TESTING_XLA"), backends.Options{Precision: precision.Float32})
})

// eachResident runs a test with training sets on the device: on the backend of this program, with the loop over steps unrolled, which it computes
// faster than a loop and GoMLX's own not at all, and on XLA where there is a plugin for it. engine makes the engines.
func eachResident(t *testing.T, test func(t *testing.T, b compute.Backend, engine func(n *net.Network) *Engine)) {
	run := func(t *testing.T, b compute.Backend, change func(e *Engine)) {
		test(t, b, func(n *net.Network) *Engine {
			e := NewEngine(b, n, CrossEntropy{})
			t.Cleanup(e.Close)
			change(e)
			return e
		})
	}
	t.Run("cpu", func(t *testing.T) {
		run(t, backend(t, 2), func(e *Engine) { e.apart, e.loop = true, unrolled })
	})
	t.Run("xla", func(t *testing.T) {
		if os.Getenv("DATADROPOUT_TESTING_XLA") == "" {
			t.Skip("DATADROPOUT_TESTING_XLA names no plugin of XLA; bench/xla/README.md says how to build one")
		}
		b, err := openXLA()
		if err != nil {
			t.Fatal(err)
		}
		run(t, b, func(e *Engine) { e.apart = true })
	})
}

// unrolled is whileLoop without a loop: mostSteps times, what comes next or what there is.
func unrolled(around []*Node, before func(around []*Node) *Node, once func(around []*Node) []*Node) []*Node {
	for range mostSteps {
		goes, next := before(around), once(around)
		for k, n := range next {
			if n != around[k] {
				next[k] = Where(goes, n, around[k])
			}
		}
		around = next
	}
	return around
}

// fromHost returns an engine whose batches the host makes.
func fromHost(t *testing.T, b compute.Backend, n *net.Network) *Engine {
	t.Helper()
	e := NewEngine(b, n, CrossEntropy{})
	e.apart = false
	t.Cleanup(e.Close)
	return e
}

// patterns are n random images with a label each, normalized by odd numbers.
func patterns(n, height, width, channels int) *dataset.Images {
	rng := rand.New(rand.NewPCG(uint64(n), 5))
	s := &dataset.Images{Name: "patterns", Height: height, Width: width, Channels: channels, Classes: []string{"a", "b", "c"}}
	for i := range n {
		label := rng.IntN(len(s.Classes))
		for k := range height * width * channels {
			s.Pix = append(s.Pix, uint8(rng.IntN(160)+30*((k+label)%3)))
		}
		s.Labels, s.IDs = append(s.Labels, label), append(s.IDs, fmt.Sprint(i))
	}
	for c := range channels {
		s.Mean, s.Std = append(s.Mean, 0.3+0.1*float32(c)), append(s.Std, 0.7/float32(c+3))
	}
	return s
}

func augmented(t *testing.T, s dataset.Source, by string) dataset.Source {
	t.Helper()
	a, err := dataset.ParseAugmentation(by)
	if err != nil {
		t.Fatal(err)
	}
	if a.IsZero() {
		return s
	}
	v, err := dataset.Augmented(s, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDeviceBatches: a batch that is made on the device has the bits of the one that the host makes.
func TestDeviceBatches(t *testing.T) {
	eachResident(t, func(t *testing.T, b compute.Backend, engine func(n *net.Network) *Engine) {
		const seed = 9
		images := patterns(20, 7, 9, 3)
		for _, by := range []string{"none", "flip", "crop:3", "crop:9", "crop:2:reflect", "cutout:4", "cutout:1", "crop:3:reflect,flip,cutout:3"} {
			src := augmented(t, images, by)
			for _, smoothing := range []float64{0, 0.1} {
				e := engine(linear())
				d, err := e.newResident(src, smoothing)
				if err != nil || d == nil {
					t.Fatalf("%s: the resident is %v (%v)", by, d, err)
				}
				host := NewBatch(src, 12)
				host.Smooth(smoothing)
				var at []int
				var epochs []uint64
				var positions, views []int32
				for k := range 12 {
					i, epoch := (k*7)%20, uint64(k%3)
					at, epochs, positions = append(at, i), append(epochs, epoch), append(positions, int32(i))
					if d.store.View != nil {
						views = appendView(views, d.store.View(i, seed, epoch))
					}
				}
				if err := host.FillEpochs(at, seed, epochs); err != nil {
					t.Fatal(err)
				}
				args := []any{d.pixels, d.values, d.labels, d.targets, positions}
				if views != nil {
					args = append(args, tensors.FromFlatDataAndDimensions(views, 12, viewNumbers))
				}
				exec := MustNewExec(b, func(in []*Node) []*Node {
					var views *Node
					if len(in) > 5 {
						views = in[5]
					}
					return []*Node{inputBatch(in[0], in[1], in[4], views, d.store.Reflect), targetBatch(in[2], in[3], in[4], 3)}
				})
				out, err := exec.Call(args...)
				if err != nil {
					t.Fatal(err)
				}
				for k, want := range []*tensors.Tensor{host.X, host.Y} {
					got, want := tensors.MustCopyFlatData[float32](out[k]), tensors.MustCopyFlatData[float32](want)
					if !slices.Equal(got, want) {
						t.Errorf("%s, smoothing %v: the device makes other numbers (input, target: %d): %v, want %v", by, smoothing, k, got[:9], want[:9])
					}
				}
				exec.Finalize()
				d.close(e)
				if len(e.pixels) > 0 {
					t.Errorf("%d sets are left on the device", len(e.pixels))
				}
			}
		}
	})
}

// TestResidentClose: what trains on the device may be closed as often as one likes, and leaves the pixels to others that train on them.
func TestResidentClose(t *testing.T) {
	e := NewEngine(backend(t, 2), linear(), CrossEntropy{})
	defer e.Close()
	e.apart, e.loop = true, unrolled
	src, idx, r := patterns(20, 2, 3, 1), positions(20), residentRecipe(t, false)
	other, err := e.newRound(src, idx, r, 1)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := e.Trajectory(t.Context(), src, idx, r, 5, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr.Close()
	tr.Close()
	if len(e.pixels) != 1 {
		t.Errorf("%d sets are on the device while a training on one goes on", len(e.pixels))
	}
	theta, state := e.net.Init(1)
	other.load(point{theta: theta, momentum: make([]float32, len(theta)), state: state})
	if _, err := other.advance(0, 1); err != nil {
		t.Error(err)
	}
	other.close()
	if len(e.pixels) != 0 {
		t.Errorf("%d sets are left on the device", len(e.pixels))
	}
}

func TestLeftOnDevice(t *testing.T) {
	src := &dataset.Images{Name: "test", Height: 2, Width: 2, Channels: 3, Classes: []string{"a", "b"}, Pix: make([]uint8, 60), Labels: make([]int, 5)}
	cropped, recolored := Recipe{Augmentation: dataset.Augmentation{Crop: 1}}, Recipe{Augmentation: dataset.Augmentation{Brightness: 0.5}}
	for _, test := range []struct {
		bound, want int64
		src         dataset.Source
		recipe      Recipe
	}{
		{100, 40, src, Recipe{}}, {60, 0, src, Recipe{}}, {59, 59, src, Recipe{}}, {100, 40, src, cropped}, {100, 100, src, recolored},
		{100, 100, nil, Recipe{}}, {100, 100, nil, cropped},
	} {
		if got := LeftOnDevice(test.bound, test.src, test.recipe); got != test.want {
			t.Errorf("%d bytes leave %d beside %T augmented by %s, want %d", test.bound, got, test.src, test.recipe.Augmentation, test.want)
		}
	}
}
