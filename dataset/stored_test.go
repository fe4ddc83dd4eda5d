package dataset

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// speckles are n random images of the given size, normalized by odd numbers.
func speckles(n, height, width, channels int) *Images {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	s := &Images{Name: "speckles", Height: height, Width: width, Channels: channels, Classes: []string{"a", "b", "c"}}
	for i := range n {
		s.Labels, s.IDs = append(s.Labels, rng.IntN(3)), append(s.IDs, fmt.Sprint(i))
		for range height * width * channels {
			s.Pix = append(s.Pix, uint8(rng.IntN(256)))
		}
	}
	for c := range channels {
		s.Mean, s.Std = append(s.Mean, 0.1+0.3*float32(c)), append(s.Std, 0.7/float32(c+3))
	}
	return s
}

// fromStore makes the input and the target of a sample from a store, by the words of Store and View.
func fromStore(s Store, height, width, i int, v View) (input, target []float32) {
	channels := len(s.Values)
	at := func(y, x, c int) uint8 { return s.Pix[((i*height+y)*width+x)*channels+c] }
	for y := range height {
		for x := range width {
			column := x
			if v.Flip {
				column = width - 1 - x
			}
			row, column := y+v.Top, column+v.Left
			if s.Reflect {
				row, column = reflected(row, height), reflected(column, width)
			}
			for c := range channels {
				pixel := uint8(0)
				if row >= 0 && row < height && column >= 0 && column < width {
					pixel = at(row, column, c)
				}
				value := s.Values[c][pixel]
				if y >= v.Cut.Min.Y && y < v.Cut.Max.Y && x >= v.Cut.Min.X && x < v.Cut.Max.X {
					value = 0
				}
				input = append(input, value)
			}
		}
	}
	target = make([]float32, 3)
	target[s.Labels[i]] = 1
	return input, target
}

// TestStore: what a store says of samples is what Fill and FillEpoch make, bit for bit.
func TestStore(t *testing.T) {
	for _, size := range [][3]int{{7, 9, 3}, {8, 5, 1}} {
		images := speckles(6, size[0], size[1], size[2])
		check := func(what string, s Store, v View, i int, fill func(input, target []float32)) {
			t.Helper()
			input, target := make([]float32, size[0]*size[1]*size[2]), make([]float32, 3)
			fill(input, target)
			wantInput, wantTarget := fromStore(s, size[0], size[1], i, v)
			if !slices.Equal(input, wantInput) || !slices.Equal(target, wantTarget) {
				t.Fatalf("%v, %s: sample %d as %+v is %v, %v; the store says %v, %v", size, what, i, v, input, target, wantInput, wantTarget)
			}
		}
		store, ok := images.Store()
		if !ok || store.View != nil {
			t.Fatalf("images in memory: %v, views %v", ok, store.View != nil)
		}
		for i := range images.Len() {
			check("plain", store, View{}, i, func(x, y []float32) { images.Fill(i, x, y) })
		}
		for _, by := range []string{"none", "crop:2", "crop:12", "crop:3:reflect", "flip", "cutout:1", "cutout:4", "cutout:8", "crop:2,flip,cutout:3", "crop:2:reflect,flip,cutout:3"} {
			source := augmentedBy(t, images, by)
			varied := by != "none"
			store, ok := source.(Stored).Store()
			if !ok || (store.View != nil) != varied {
				t.Fatalf("%s: %v, views %v", by, ok, store.View != nil)
			}
			seen := map[View]bool{}
			for epoch := range uint64(8) {
				for i := range images.Len() {
					v := View{}
					if store.View != nil {
						v = store.View(i, 5, epoch)
					}
					seen[v] = true
					check(by, store, v, i, func(x, y []float32) { source.FillEpoch(i, 5, epoch, x, y) })
				}
			}
			if varied && len(seen) < 2 {
				t.Errorf("%s: all samples are seen as %v", by, seen)
			}
		}
	}
}

// augmentedBy returns images as the text of an augmentation varies them.
func augmentedBy(t testing.TB, images *Images, text string) Varying {
	t.Helper()
	a, err := ParseAugmentation(text)
	if err != nil {
		t.Fatal(err)
	}
	source, err := Augmented(images, a)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// Samples that a View can't say everything of have no store, and neither have those on disk.
func TestNoStore(t *testing.T) {
	images := speckles(4, 6, 6, 3)
	for _, by := range []string{"brightness:0.2", "contrast:0.2", "saturation:0.2", "resized-crop:0.5", "crop:1,flip,brightness:0.1"} {
		if _, ok := augmentedBy(t, images, by).(Stored).Store(); ok {
			t.Errorf("%s has a store", by)
		}
	}
	disk, err := newPixelFile(t.TempDir(), 6*6*3)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.close()
	onDisk := *images
	onDisk.Pix, onDisk.disk, onDisk.at = nil, disk, []int{0, 1, 2, 3}
	if _, ok := onDisk.Store(); ok {
		t.Error("images on disk have a store")
	}
	source, err := Augmented(&onDisk, Augmentation{Flip: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := source.(Stored).Store(); ok {
		t.Error("augmented images on disk have a store")
	}
}
