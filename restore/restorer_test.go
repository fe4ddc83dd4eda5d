package restore

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// restorer returns one with initial weights, as large as those of a trained network, and statistics that are no constants.
func restorer(t *testing.T, name string, channels int) *Restorer {
	t.Helper()
	backend, err := cpu.New("threads=2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	input := [3]int{40, 40, channels}
	if net.TakesNoiseMap(name) {
		input[2]++
	}
	n, err := net.New(name, input, channels)
	if err != nil {
		t.Fatal(err)
	}
	m := &train.Model{}
	m.Theta, m.State = n.Init(5)
	rng := rand.New(rand.NewPCG(1, 2))
	at := 0
	for _, p := range n.State {
		for range p.Dims[0] {
			if strings.HasSuffix(p.Name, "/mean") {
				m.State[at] = 0.2*rng.Float32() - 0.1
			} else {
				m.State[at] = 0.4 + 0.2*rng.Float32() // lets activations grow a little, so that the farthest pixels count
			}
			at++
		}
	}
	r, err := NewRestorer(backend, n, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func noise(height, width, channels int) *Image {
	m := NewImage(height, width, channels)
	rng := rand.New(rand.NewPCG(3, 4))
	for k := range m.Pix {
		m.Pix[k] = rng.Float32()
	}
	return m
}

// TestSeams compares tiles with the whole image, for sizes that are no multiples of anything, and knows that it would notice: with half
// of the overlap, seams are there.
func TestSeams(t *testing.T) {
	for _, tt := range []struct {
		name          string
		channels      int
		height, width int
		tile          int // about
	}{
		{"dncnn-7", 1, 151, 133, 60},
		{"dncnn-7", 3, 50, 190, 60},
		{"dncnn-s", 1, 113, 120, 80},
		{"ffdnet", 1, 141, 145, 104},
	} {
		r := restorer(t, tt.name, tt.channels)
		m := noise(tt.height, tt.width, tt.channels)
		whole, err := r.Restore(t.Context(), m, 0.1, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		bound := int64(tt.tile*tt.tile) * r.bytesPerPixel
		apart := func() (most float64) {
			tiled, err := r.Restore(t.Context(), m, 0.1, bound)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range tiled.Pix {
				most = max(most, math.Abs(float64(v-whole.Pix[k])))
			}
			return most
		}
		if h, w, _ := r.tileSize(tt.height, tt.width, bound); h >= tt.height && w >= tt.width {
			t.Fatalf("%s: one tile of %dx%d", tt.name, h, w)
		}
		seam := apart()
		reach := r.net.Reach
		r.net.Reach /= 2
		seen := apart()
		r.net.Reach = reach
		// Winograd convolutions round by the place of a pixel in its tile; the network is a random one, whose values are large.
		size := 1.0
		for _, v := range whole.Pix {
			size = max(size, math.Abs(float64(v)))
		}
		t.Logf("%s: seams of %.2g, with half of the overlap %.2g, in values of up to %.2g", tt.name, seam, seen, size)
		if seam > 5e-5*size {
			t.Errorf("%s: seams of %v", tt.name, seam)
		}
		if seen < 1e-4 {
			t.Errorf("%s: half of the overlap makes seams of %v only", tt.name, seen)
		}
	}
}

// TestSpans: tiles have the size, lie in the axis on the grid, and keep every pixel once, away from the edges that are not the image's.
func TestSpans(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		grid := 1 + rng.IntN(3)
		reach := rng.IntN(20)
		n := grid * (1 + rng.IntN(200))
		size := grid * ((2*reach+grid)/grid + 1 + rng.IntN(50))
		next := 0
		for _, s := range spans(n, size, reach, grid) {
			if s.core != next || s.coreTo <= s.core || s.from%grid != 0 || s.to-s.from != min(size, n) || s.to > n ||
				s.from > 0 && s.core < s.from+reach || s.to < n && s.coreTo > s.to-reach {
				t.Fatalf("n %d, size %d, reach %d, grid %d: %+v after %d", n, size, reach, grid, s, next)
			}
			next = s.coreTo
		}
		if next != n {
			t.Fatalf("n %d, size %d, reach %d, grid %d: ends at %d", n, size, reach, grid, next)
		}
	}
}

func TestTileSize(t *testing.T) {
	r := restorer(t, "ffdnet", 1)
	r.bytesPerPixel = 10
	for _, tt := range []struct {
		height, width int
		pixels        int64
		h, w          int
	}{
		{100, 200, 20000, 100, 200},
		{100, 200, 19999, 100, 198},
		{200, 100, 15000, 150, 100},
		{300, 400, 40001, 200, 200},
		{300, 400, 94 * 94, 94, 94}, // 2*31 and 32
		{300, 400, 94*94 - 1, 0, 0},
		{20, 4000, 2000, 20, 100},
		{20, 4000, 20*94 - 1, 0, 0},
	} {
		h, w, err := r.tileSize(tt.height, tt.width, 10*tt.pixels)
		if h != tt.h || w != tt.w || (err != nil) != (h == 0) {
			t.Errorf("%+v: %dx%d, %v", tt, h, w, err)
		}
	}
	_, err := r.Restore(context.Background(), noise(300, 400, 1), 0, 20<<10)
	var small *MemoryError
	if !errors.As(err, &small) || !strings.Contains(err.Error(), "tiles for ffdnet need at least 1 MiB of memory, and 0 are allowed") {
		t.Errorf("%v", err)
	}
	if _, err := r.Restore(context.Background(), noise(20, 20, 3), 0, 0); err == nil || !strings.Contains(err.Error(), "images of 1 channels, not of 3") {
		t.Errorf("%v", err)
	}
}

// TestMeasure: a network that finds no noise leaves the image noisy; at sigma 25 that is 20.17 dB, a little more once it is clamped, and
// the loss is that of the noise. Sets repeat, and images have noise of their own.
func TestMeasure(t *testing.T) {
	r := restorer(t, "dncnn-7", 1)
	for k := range r.args { // no weights
		dims := r.args[k].(interface{ Size() int }).Size()
		r.args[k] = make([]float32, dims)
	}
	defer func() { r.args = nil }()
	s := &Set{Pairs: dataset.CleanPairs(dataset.DeadLeaves(t.Context(), 3, 96, 1, 1)), Degradation: dataset.Gaussian(25), Seed: 1}
	scores, err := r.Measure(t.Context(), s, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range scores {
		if math.Abs(one.NoisyPSNR-20.17) > 0.3 || one.PSNR < one.NoisyPSNR || one.PSNR > one.NoisyPSNR+1 || math.Abs(one.Loss-0.961) > 0.07 {
			t.Errorf("%+v", one)
		}
		if one.ID != s.Pairs[i].Clean.ID || one.Height != 96 || !(one.NoisySSIM > 0 && one.NoisySSIM < one.SSIM+0.05 && one.SSIM < 1) {
			t.Errorf("%+v", one)
		}
	}
	again, err := r.Measure(t.Context(), s, 0)
	if err != nil || again[1] != scores[1] || Mean(scores).PSNR == scores[0].PSNR {
		t.Errorf("%v, %+v then %+v", err, scores[1], again[1])
	}
}
