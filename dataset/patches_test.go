package dataset

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
	"testing"
)

// gradients are pictures of distinct pixels.
func gradients(n, height, width, channels int) []*Picture {
	var all []*Picture
	for i := range n {
		p := &Picture{ID: fmt.Sprintf("image/%d", i), Height: height, Width: width, Channels: channels, Depth: 16}
		for k := range height * width * channels {
			p.Pix = append(p.Pix, uint16(k*31+i*7919))
		}
		all = append(all, p)
	}
	return all
}

func patches(t *testing.T, o PatchOptions, pairs []Pair, cut Cut) (*Patches, []int) {
	t.Helper()
	s, err := NewPatches(o)
	if err != nil {
		t.Fatal(err)
	}
	idx, err := s.Add(t.Context(), pairs, cut)
	if err != nil {
		t.Fatal(err)
	}
	return s, idx
}

// filled returns input and target of a patch as it is, or as training sees it in an epoch from 0.
func filled(s *Patches, i int, seed uint64, epoch int) (input, target []float32) {
	product := func(dims []int) int { return dims[0] * dims[1] * dims[2] }
	input, target = make([]float32, product(s.InputDims())), make([]float32, product(s.TargetDims()))
	if epoch < 0 {
		s.Fill(i, input, target)
	} else {
		s.FillEpoch(i, seed, uint64(epoch), input, target)
	}
	return input, target
}

// TestEveryPatchMapsBack: the target of a patch is the part of the image at its scale that Patch tells, the region lies in the image
// and covers as much of it, and without a degradation the input is the target.
func TestEveryPatchMapsBack(t *testing.T) {
	const size = 8
	pictures := gradients(3, 30, 24, 3)
	scales := []float64{1, 0.9, 0.7, 0.3}
	s, idx := patches(t, PatchOptions{Size: size}, CleanPairs(pictures), Cut{Stride: 5, Scales: scales})
	// 30x24, 27x22, 21x17 and 9x7, which is too small: 5x4 + 4x3 + 3x2 patches.
	if s.Len() != 3*38 || len(idx) != s.Len() || idx[0] != 0 || idx[37] != 37 {
		t.Fatalf("%d patches, positions %v", s.Len(), idx)
	}
	seen := map[string]bool{}
	for i := range s.Len() {
		p := s.Patch(i)
		own := pictures[p.Pair]
		scaled := own.Scaled(int(math.Round(30*p.Scale)), int(math.Round(24*p.Scale)))
		input, target := filled(s, i, 0, -1)
		for y := range size {
			for x := range size {
				for c := range 3 {
					want := float32(scaled.Pix[((p.Y+y)*scaled.Width+p.X+x)*3+c]) / 65535
					if got := target[(y*size+x)*3+c]; got != want {
						t.Fatalf("patch %d at %d, %d: %v, want %v", i, y, x, got, want)
					}
				}
			}
		}
		if !slices.Equal(input, target) {
			t.Fatalf("patch %d: the input is not the target", i)
		}
		r := s.Region(i)
		if !r.In(image.Rect(0, 0, 24, 30)) || p.Scale == 1 && r != image.Rect(p.X, p.Y, p.X+size, p.Y+size) {
			t.Errorf("patch %d, %+v: region %v", i, p, r)
		}
		if want := size / p.Scale; math.Abs(float64(r.Dx())-want) > 1 || math.Abs(float64(r.Dy())-want) > 1 {
			t.Errorf("patch %d, %+v: region %v of a side of about %v", i, p, r, want)
		}
		id := s.ID(i)
		if seen[id] || !strings.HasPrefix(id, own.ID) {
			t.Errorf("patch %d is called %s", i, id)
		}
		seen[id] = true
	}
	if got := s.ID(21); got != "image/0@0.9+5+0" {
		t.Errorf("patch 21 is called %s", got)
	}
}

// TestPatchesRepeat: the same seed, epoch and position give the same bits whatever was filled before; another of them gives other noise,
// and a bound on the number of patches keeps the same ones.
func TestPatchesRepeat(t *testing.T) {
	o := PatchOptions{Size: 8, Degradation: Degradation{Sigma: [2]float64{5, 50}, Peak: 40}, Symmetries: true, Seed: 3}
	s, _ := patches(t, o, CleanPairs(gradients(2, 20, 20, 1)), Cut{Stride: 4})
	again, _ := patches(t, o, CleanPairs(gradients(2, 20, 20, 1)), Cut{Stride: 4})
	seen := map[float32]string{}
	for i := s.Len() - 1; i >= 0; i-- {
		for _, seed := range []uint64{1, 2} {
			for epoch := -1; epoch < 3; epoch++ {
				if epoch == -1 && seed == 2 {
					continue
				}
				x, y := filled(s, i, seed, epoch)
				x2, y2 := filled(again, i, seed, epoch)
				if !slices.Equal(x, x2) || !slices.Equal(y, y2) {
					t.Fatalf("patch %d, seed %d, epoch %d: other bits", i, seed, epoch)
				}
				key := fmt.Sprint(i, seed, epoch)
				if other, ok := seen[x[0]-y[0]]; ok {
					t.Errorf("patches %s and %s have the same noise", key, other)
				}
				seen[x[0]-y[0]] = key
			}
		}
	}
	few, idx := patches(t, o, CleanPairs(gradients(2, 20, 20, 1)), Cut{Stride: 4, Most: 7})
	if few.Len() != 7 || len(idx) != 7 {
		t.Fatalf("%d patches", few.Len())
	}
	twin, _ := patches(t, o, CleanPairs(gradients(2, 20, 20, 1)), Cut{Stride: 4, Most: 7})
	for i := range 7 {
		if few.ID(i) != twin.ID(i) || i > 0 && few.ID(i) == few.ID(i-1) {
			t.Errorf("patch %d is %s and %s", i, few.ID(i), twin.ID(i))
		}
	}
}

// TestSymmetries: over epochs a patch comes in all eight symmetries about alike, its target and its input in the same one, and
// each has the pixels of the patch.
func TestSymmetries(t *testing.T) {
	s, _ := patches(t, PatchOptions{Size: 4, Symmetries: true}, CleanPairs(gradients(1, 4, 4, 1)), Cut{Stride: 1})
	_, plain := filled(s, 0, 0, -1)
	count := map[string]int{}
	for epoch := range 400 {
		x, y := filled(s, 0, 9, epoch)
		if !slices.Equal(x, y) {
			t.Fatal("input and target differ")
		}
		count[fmt.Sprint(y)]++
		if got, want := slices.Sorted(slices.Values(y)), slices.Sorted(slices.Values(plain)); !slices.Equal(got, want) {
			t.Fatal("other pixels")
		}
		// A neighbor of the corner stays one.
		corner := slices.Index(y, plain[0])
		if next := slices.Index(y, plain[1]); corner%3 != 0 && corner != 12 || next-corner != 1 && corner-next != 1 && next-corner != 4 && corner-next != 4 {
			t.Fatalf("the corner is at %d and its neighbor at %d", corner, next)
		}
	}
	if len(count) != 8 {
		t.Fatalf("%d symmetries", len(count))
	}
	for _, n := range count {
		if n < 25 || n > 80 { // 50 +- 6.6
			t.Errorf("a symmetry comes %d times of 400", n)
		}
	}
}

// TestNoiseLevels: the noise has the standard deviation that is asked for, uniform over a range, and the map of the noise tells it.
func TestNoiseLevels(t *testing.T) {
	pairs := CleanPairs(gradients(1, 40, 40, 3))
	s, _ := patches(t, PatchOptions{Size: 40, Degradation: Gaussian(25)}, pairs, Cut{Stride: 1})
	x, y := filled(s, 0, 1, 0)
	sum := 0.0
	for k := range x {
		d := float64(x[k]-y[k]) * 255
		sum += d * d
	}
	// 4,800 values: a standard error of 0.09 dB.
	if psnr := 10 * math.Log10(255*255/(sum/float64(len(x)))); math.Abs(psnr-20.17) > 0.3 {
		t.Errorf("the PSNR at sigma 25 is %.2f dB, want 20.17", psnr)
	}
	blind, _ := patches(t, PatchOptions{Size: 40, Degradation: Degradation{Sigma: [2]float64{0, 55}}, NoiseMap: true}, pairs, Cut{Stride: 1})
	mean := 0.0
	for epoch := range 40 {
		x, y := filled(blind, 0, 1, epoch)
		sigma := float64(x[3])
		mean += sigma * 255 / 40
		sum := 0.0
		for k := range 1600 {
			if float64(x[4*k+3]) != sigma {
				t.Fatal("the map of the noise varies")
			}
			for c := range 3 {
				d := float64(x[4*k+c] - y[3*k+c])
				sum += d * d
			}
		}
		if got := math.Sqrt(sum / 4800); sigma < 0 || sigma > 55.0/255 || math.Abs(got-sigma) > 0.05*sigma+1e-4 {
			t.Errorf("epoch %d: noise of %v, its map says %v", epoch, got, sigma)
		}
	}
	if math.Abs(mean-27.5) > 8 { // standard error 2.5
		t.Errorf("a mean sigma of %v", mean)
	}
}

func TestPatchesRefuse(t *testing.T) {
	big, small := gradients(1, 20, 20, 1), gradients(1, 7, 30, 1)
	real := []Pair{{Clean: big[0], Noisy: big[0]}}
	for _, tt := range []struct {
		o     PatchOptions
		pairs []Pair
		cut   Cut
		want  string
	}{
		{PatchOptions{}, nil, Cut{Stride: 1}, "patches of 0x0"},
		{PatchOptions{Size: 8, Degradation: Gaussian(256)}, nil, Cut{}, "sigma must lie in 0..255 gray levels, its least value first, got 256"},
		{PatchOptions{Size: 8, NoiseMap: true}, nil, Cut{}, "a map of the noise needs normal noise and nothing else, not none"},
		{PatchOptions{Size: 8}, CleanPairs(small), Cut{Stride: 1}, "image/0 is of 7x30 pixels, smaller than a patch of 8x8"},
		{PatchOptions{Size: 8}, append(CleanPairs(big), CleanPairs(gradients(1, 20, 20, 3))...), Cut{Stride: 1}, "3 channels, and other images 1"},
		{PatchOptions{Size: 8}, CleanPairs(big), Cut{}, "a stride of 0 pixels"},
		{PatchOptions{Size: 8}, CleanPairs(big), Cut{Stride: 1, Scales: []float64{1.5}}, "scales of patches lie in (0, 1], got 1.5"},
		{PatchOptions{Size: 8}, real, Cut{Stride: 1, Scales: []float64{1, 0.9}}, "real pairs can't be scaled"},
		{PatchOptions{Size: 8}, CleanPairs(big), Cut{Stride: 1, Scales: []float64{0.1}}, "no patch of 8x8"},
	} {
		s, err := NewPatches(tt.o)
		if err == nil {
			_, err = s.Add(context.Background(), tt.pairs, tt.cut)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}
