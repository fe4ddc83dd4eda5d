package datadropout

import (
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/restore"
)

// TestDenoisingExamined: the patches shown are the most extreme ones, with the pixels and the loss that the run has of them, and the test
// image is restored as it was measured.
func TestDenoisingExamined(t *testing.T) {
	o := runThin(t, thinRun(), "", NewMemoryStore())
	x, d := o.Examined, o.Data
	order := MostHarmful(o.Estimates.Delta)
	// Patches of this run do not overlap.
	if !slices.Equal(x.Harmful, order[:shownPatches]) || x.Helpful[0] != order[len(order)-1] || len(x.Helpful) != shownPatches || len(x.Patches) != 2*shownPatches {
		t.Fatalf("%d patches, harmful %v of %v, helpful %v", len(x.Patches), x.Harmful, order, x.Helpful)
	}
	for k, place := range append(slices.Clone(x.Harmful), x.Helpful...) {
		p := x.Patches[k]
		noisy, clean := restore.NewImage(8, 8, 1), restore.NewImage(8, 8, 1)
		d.Patches.Fill(d.Split.Train[place], noisy.Pix, clean.Pix)
		if !slices.Equal(p.Clean.Pix, clean.Pix) || !slices.Equal(p.Noisy.Pix, noisy.Pix) {
			t.Fatalf("patch %d: other pixels", place)
		}
		if loss := 100 * restore.MeanSquaredError(p.Restored, clean); math.Abs(loss-float64(o.TrainLoss[place])) > 1e-4*loss {
			t.Errorf("patch %d: a loss of %v, and in training of %v", place, loss, o.TrainLoss[place])
		}
	}
	e := x.Test
	clean := restore.FromPicture(d.TestSet.Pairs[e.Position].Clean)
	if e.At != image.Rect(0, 0, 80, 80) || !slices.Equal(e.Clean.Pix, clean.Pix) || len(e.Restored) != 2 {
		t.Fatalf("%v, %d arms", e.At, len(e.Restored))
	}
	for arm, m := range e.Restored {
		if got := restore.PSNR(m.Quantized(8), clean); math.Abs(got-e.PSNR[arm]) > 1e-3 {
			t.Errorf("%s: shown with %v dB, measured with %v", arm, got, e.PSNR[arm])
		}
	}
	if got := restore.PSNR(e.Noisy, clean); math.Abs(got-e.NoisyPSNR) > 1e-9 {
		t.Errorf("noisy: %v dB, measured with %v", got, e.NoisyPSNR)
	}
}

// TestApart: of patches that overlap the first is taken, image by image.
func TestApart(t *testing.T) {
	patches, err := dataset.NewPatches(dataset.PatchOptions{Size: 8})
	if err != nil {
		t.Fatal(err)
	}
	idx, err := patches.Add(t.Context(), dataset.CleanPairs(dataset.DeadLeaves(t.Context(), 2, 16, 1, 1)), dataset.Cut{Stride: 4})
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{data: &Data{Patches: patches, Split: dataset.Split{Train: idx}}}
	// Patches 0 to 8 of an image lie at 0, 4, 8 down and across; 9 to 17 are those of the second image.
	if got, want := r.apart([]int{4, 0, 8, 13, 9, 2}, 5), []int{4, 13}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := r.apart([]int{0, 1, 2, 3, 5, 6, 7, 8, 17}, 4), []int{0, 2, 6, 8}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestMostDifferent: the part with the largest difference is found among those on the grid, and a small image is shown whole.
func TestMostDifferent(t *testing.T) {
	a, b := restore.NewImage(70, 90, 3), restore.NewImage(70, 90, 3)
	rng := rand.New(rand.NewPCG(1, 1))
	for k := range a.Pix {
		a.Pix[k], b.Pix[k] = rng.Float32(), rng.Float32()
	}
	for y := 40; y < 60; y++ {
		for x := 61; x < 83; x++ {
			b.Pix[(y*90+x)*3] = a.Pix[(y*90+x)*3] + 3
		}
	}
	got := mostDifferent(a, b, 70, 90, 32)
	difference := func(r image.Rectangle) float64 {
		return restore.MeanSquaredError(a.Part(r), b.Part(r))
	}
	if got.Size() != image.Pt(32, 32) || !image.Rect(61, 40, 83, 60).In(got) {
		t.Errorf("%v", got)
	}
	for _, y := range []int{0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 38} {
		for x := 0; x <= 58; x += 2 {
			if x%4 != 0 && x != 58 {
				continue
			}
			if r := image.Rect(x, y, x+32, y+32); difference(r) > difference(got)+1e-9 {
				t.Errorf("%v differs more than %v", r, got)
			}
		}
	}
	if got := mostDifferent(a, b, 70, 90, 100); got != image.Rect(0, 0, 90, 70) {
		t.Errorf("all of it: %v", got)
	}
	if got := mostDifferent(a, nil, 70, 90, 32); got != image.Rect(29, 19, 61, 51) {
		t.Errorf("the middle: %v", got)
	}
}
