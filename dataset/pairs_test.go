package dataset

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"image/png"
)

// writePictures writes PNG files.
func writePictures(t *testing.T, dir string, names []string, all []*Picture) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for k, name := range names {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, all[k].Image()); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenPairs(t *testing.T) {
	clean, noisy := filepath.Join(t.TempDir(), "clean"), filepath.Join(t.TempDir(), "noisy")
	all := gradients(4, 9, 10, 1)
	writePictures(t, clean, []string{"a.png", "b.png"}, all[:2])
	writePictures(t, noisy, []string{"b.png", "a.png"}, all[2:])
	pairs, _, err := OpenPairs(t.Context(), clean, noisy, PictureFolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pairs) != 2 || pairs[0].Clean.ID != "a.png" || pairs[0].Noisy.Hash() != all[3].Hash() || pairs[1].Noisy.Hash() != all[2].Hash() {
		t.Fatalf("%+v", pairs)
	}
	s, _ := patches(t, PatchOptions{Size: 5, Degradation: Gaussian(25)}, pairs, Cut{Stride: 2})
	input, target := filled(s, 0, 1, 0)
	if input[0] != float32(all[3].Pix[0])/65535 || target[0] != float32(all[0].Pix[0])/65535 {
		t.Error("a real pair's input is changed")
	}
	for _, tt := range []struct {
		name string
		side string
		p    *Picture
		want string
	}{
		{"c.png", clean, all[0], "c.png has no partner in " + noisy},
		{"c.png", noisy, all[0], "c.png has no partner in " + clean},
		{"a.png", noisy, gradients(1, 9, 9, 1)[0], "a.png is of 9x10 pixels, and its partner " + filepath.Join(noisy, "a.png") + " of 9x9"},
		{"a.bmp.png", noisy, all[0], "has no partner"},
	} {
		before, _ := os.ReadFile(filepath.Join(tt.side, tt.name))
		writePictures(t, tt.side, []string{tt.name}, []*Picture{tt.p})
		if _, _, err := OpenPairs(t.Context(), clean, noisy, PictureFolderOptions{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
		if before == nil {
			os.Remove(filepath.Join(tt.side, tt.name))
		} else if err := os.WriteFile(filepath.Join(tt.side, tt.name), before, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlantBadPairs: of each kind there are as many, inputs stay those of the clean images, and targets are spoiled as their kind says.
func TestPlantBadPairs(t *testing.T) {
	clean := CleanPairs(DeadLeaves(t.Context(), 40, 32, 1, 1))
	bad := PlantBadPairs(clean, 0.3, BadPairKinds, false, 7)
	count := map[string]int{}
	for i, p := range bad {
		if p.Planted == "" {
			if p.Clean != clean[i].Clean || p.Source != nil {
				t.Errorf("pair %d is changed", i)
			}
			continue
		}
		count[p.Planted]++
		if p.Source != clean[i].Clean || p.Clean.ID != p.Source.ID || p.Clean.Hash() == p.Source.Hash() {
			t.Errorf("pair %d, %s: %v and %v", i, p.Planted, p.Source, p.Clean)
		}
		if m := p.Clean; m.Height != 32 || m.Width != 32 || len(m.Pix) != 1024 {
			t.Errorf("pair %d, %s: %dx%d", i, p.Planted, m.Height, m.Width)
		}
	}
	for _, kind := range BadPairKinds {
		if count[kind] != 3 {
			t.Errorf("%d of %s", count[kind], kind)
		}
	}
	p := clean[0].Clean
	rough := func(q *Picture) (sum float64) { // squared differences of neighbors
		for k := 1; k < len(q.Pix); k++ {
			if d := float64(q.Pix[k]) - float64(q.Pix[k-1]); k%q.Width != 0 {
				sum += d * d
			}
		}
		return sum
	}
	if b, n := rough(p.spoiled("blur", 1, 0)), rough(p.spoiled("noise", 1, 0)); b > rough(p)/2 || n < rough(p) {
		t.Errorf("roughness %v, blurred %v, noisy %v", rough(p), b, n)
	}
	shifted := p.spoiled("shift", 1, 0)
	found := false
	for _, dy := range []int{-3, -2, 2, 3} {
		for _, dx := range []int{-3, -2, 2, 3} {
			same := true
			for y := 3; y < 29; y++ {
				for x := 3; x < 29; x++ {
					same = same && shifted.Pix[y*32+x] == p.Pix[(y+dy)*32+x+dx]
				}
			}
			found = found || same
		}
	}
	if !found {
		t.Error("the shifted picture is no shift by 2 or 3 pixels")
	}
	whole := PlantBadPairs(clean, 0.3, BadPairKinds[:1], true, 7)
	for i, p := range whole {
		if (p.Planted == "blur") != (bad[i].Planted != "") || p.Source != nil {
			t.Errorf("pair %d: planted %q, source %v", i, p.Planted, p.Source)
		}
	}
	if HashPairs(clean) == HashPairs(bad) || HashPairs(clean) != HashPairs(CleanPairs(DeadLeaves(t.Context(), 40, 32, 1, 1))) {
		t.Error("the hash does not tell pairs apart, or tells equal ones apart")
	}
}

// TestDeadLeaves: images repeat, differ, use the range, and have the statistics of natural images: the squared difference of pixels
// grows with their distance about as its logarithm, far slower than in proportion, and edges make its distribution heavy-tailed.
func TestDeadLeaves(t *testing.T) {
	all, again := DeadLeaves(t.Context(), 12, 64, 1, 3), DeadLeaves(t.Context(), 12, 64, 1, 3)
	ids := map[string]bool{}
	variogram := func(distance int) (mean, kurtosis float64) {
		n, two, four := 0.0, 0.0, 0.0
		for _, p := range all {
			for y := range 64 {
				for x := 0; x+distance < 64; x++ {
					d := (float64(p.Pix[y*64+x]) - float64(p.Pix[y*64+x+distance])) / 257
					n, two, four = n+1, two+d*d, four+d*d*d*d
				}
			}
		}
		return two / n, four / n / (two / n * two / n)
	}
	for i, p := range all {
		if p.Hash() != again[i].Hash() || ids[p.ID] || i > 0 && p.Hash() == all[0].Hash() {
			t.Errorf("image %d, %s", i, p.ID)
		}
		ids[p.ID] = true
	}
	one, kurtosis := variogram(1)
	four, _ := variogram(4)
	sixteen, _ := variogram(16)
	t.Logf("squared differences %.0f, %.0f, %.0f, kurtosis %.1f", one, four, sixteen, kurtosis)
	if !(one < four && four < sixteen) || sixteen/one > 8 || kurtosis < 5 {
		t.Errorf("squared differences %v, %v, %v at distances 1, 4, 16, kurtosis %v", one, four, sixteen, kurtosis)
	}
	if c := DeadLeaves(t.Context(), 1, 16, 3, 3)[0]; c.Channels != 3 || len(c.Pix) != 768 || math.Abs(float64(c.Pix[0])-float64(c.Pix[1])) == 0 {
		t.Errorf("in color: %d channels, %d values", c.Channels, len(c.Pix))
	}
}
