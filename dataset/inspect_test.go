package dataset

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"
)

// plain is a set of classes a, b and c of gray images of 2x2 pixels, each of the four given values.
func plain(part string, labels []int, pixels ...[4]uint8) *Images {
	s := &Images{Name: "plain", Height: 2, Width: 2, Channels: 1, Classes: []string{"a", "b", "c"}, Labels: labels, IDs: sequentialIDs(part, len(labels))}
	for _, p := range pixels {
		s.Pix = append(s.Pix, p[:]...)
	}
	return s
}

// TestInspect looks at a set made with known copies, leaks, contradictions and near-blank images.
func TestInspect(t *testing.T) {
	w, x, y, z, blank := [4]uint8{0, 255}, [4]uint8{255, 0}, [4]uint8{9, 9, 255}, [4]uint8{1, 200, 3, 4}, [4]uint8{70, 70, 70, 80}
	train := plain("train", []int{0, 0, 1, 0, 1, 2, 0}, w, x, w, x, y, blank, x)
	train.Notes = []string{"note"}
	test := plain("test", []int{1, 1, 0, 2}, z, y, z, x)
	got, err := Inspect(context.Background(), train, test)
	if err != nil {
		t.Fatal(err)
	}
	mean, std := meanAndDeviationOf(train.Pix)
	testMean, testStd := meanAndDeviationOf(test.Pix)
	copyOf := func(part string, i, label int) Copy {
		return Copy{ID: fmt.Sprintf("%s/%05d", part, i), Class: train.Classes[label], Label: label, Test: part == "test"}
	}
	want := &Inspection{
		Name: "plain", Height: 2, Width: 2, Channels: 1, Classes: train.Classes, Notes: []string{"note"},
		// A deviation of 70, 70, 70, 80 is 4.3 of 255.
		Train: &PartInspection{Images: 7, PerClass: []int{4, 2, 1}, Mean: []float64{mean}, Std: []float64{std}, NearBlank: []string{"train/00005"}},
		Test:  &PartInspection{Images: 4, PerClass: []int{1, 2, 1}, Mean: []float64{testMean}, Std: []float64{testStd}, NearBlank: []string{}},
		Copies: []Copies{
			{copyOf("train", 0, 0), copyOf("train", 2, 1)},                                              // w: a contradiction
			{copyOf("train", 1, 0), copyOf("train", 3, 0), copyOf("train", 6, 0), copyOf("test", 3, 2)}, // x: a leak, too
			{copyOf("train", 4, 1), copyOf("test", 1, 1)},                                               // y: a leak
			{copyOf("test", 0, 1), copyOf("test", 2, 0)},                                                // z
		},
		Duplicates: Duplicates{Train: 1 + 2, Test: 1, Leaked: 2, Contradictions: 3, Contradicting: 2 + 4 + 2},
	}
	for _, p := range []*PartInspection{got.Train, got.Test} {
		p.Mean[0], p.Std[0] = round12(p.Mean[0]), round12(p.Std[0])
	}
	for _, p := range []*PartInspection{want.Train, want.Test} {
		p.Mean[0], p.Std[0] = round12(p.Mean[0]), round12(p.Std[0])
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\n     %+v %+v\nwant %+v\n     %+v %+v", got, got.Train, got.Test, want, want.Train, want.Test)
	}
}

func round12(v float64) float64 { return math.Round(v*1e12) / 1e12 }

// meanAndDeviationOf takes a second way to the statistics of one channel.
func meanAndDeviationOf(pix []uint8) (mean, std float64) {
	values := make([]float64, len(pix))
	for k, p := range pix {
		values[k] = float64(p) / 255
	}
	return meanAndDeviation(values)
}

// TestInspectChannels: every channel has statistics of its own, and without a test set there is nothing of one.
func TestInspectChannels(t *testing.T) {
	s := drawn(4, 4, 3, func(y, _, c int) uint8 { return []uint8{255, 51, uint8(y * 85)}[c] })
	s.Classes = []string{"a", "b"}
	got, err := Inspect(context.Background(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantMean, wantStd := []float64{1, 0.2, 0.5}, []float64{0, 0, math.Sqrt(5) / 6} // of 0, 1/3, 2/3, 1
	for c := range wantMean {
		if math.Abs(got.Train.Mean[c]-wantMean[c]) > 1e-12 || math.Abs(got.Train.Std[c]-wantStd[c]) > 1e-12 {
			t.Errorf("channel %d: %v and %v, want %v and %v", c, got.Train.Mean[c], got.Train.Std[c], wantMean[c], wantStd[c])
		}
	}
	if got.Test != nil || len(got.Copies) != 0 || got.Duplicates != (Duplicates{}) || !slices.Equal(got.Train.PerClass, []int{1, 0}) {
		t.Errorf("got %+v", got)
	}
}

// TestInspectThreads: the same whatever the number of processors, with copies in many chunks; and cancelled, it says so.
func TestInspectThreads(t *testing.T) {
	s := Shapes(1000, 5)
	for i := 500; i < 700; i++ {
		copy(s.Pixels(i), s.Pixels(i-500))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one, err := Inspect(context.Background(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if one.Duplicates.Train != 200 || len(one.Copies) != 200 {
		t.Errorf("%d copies in %d groups, want 200", one.Duplicates.Train, len(one.Copies))
	}
	runtime.GOMAXPROCS(4)
	four, err := Inspect(context.Background(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(one, four) {
		t.Error("four processors find something else than one")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Inspect(ctx, s, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestInspectFolder: a folder tells of the sizes in its files, of what could be read; and pixels on disk are inspected like those in memory.
func TestInspectFolder(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string][2]int{"a/1": {20, 31}, "a/2": {40, 10}, "b/1": {20, 31}, "b/2": {25, 12}} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), encoded(t, colorful(size[0], size[1]), "png"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "b", "3.png"), []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFolder(context.Background(), dir, PictureOptions{SkipUnreadable: true, Height: 8, Width: 8})
	if err != nil {
		t.Fatal(err)
	}
	if want := (SizeRange{LeastHeight: 20, MostHeight: 40, LeastWidth: 10, MostWidth: 31, Distinct: 3}); f.Sizes != want {
		t.Errorf("sizes %+v, want %+v", f.Sizes, want)
	}
	onDisk, err := OpenFolder(context.Background(), dir, PictureOptions{SkipUnreadable: true, Height: 8, Width: 8, Memory: 1, Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer onDisk.Train.Close()
	var found [2]*Inspection
	for k, p := range []*Pictures{f, onDisk} {
		if found[k], err = Inspect(context.Background(), p.Train, p.Test); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(found[0], found[1]) || found[0].Duplicates.Train != 1 {
		t.Errorf("in memory %+v, on disk %+v", found[0], found[1])
	}
}

// TestContactSheet: every picture is at its place, pixel by pixel, and sheets stay within their bounds whatever the number of classes.
func TestContactSheet(t *testing.T) {
	s := &Images{Height: 16, Width: 16, Channels: 3}
	for c := range 3 {
		s.Classes = append(s.Classes, fmt.Sprint("class ", c))
		for i := range 5 * (1 + 9*c) { // 5, 50 and 95
			s.Labels = append(s.Labels, c)
			for range 16 * 16 {
				s.Pix = append(s.Pix, uint8(c), uint8(2*i), 77)
			}
		}
	}
	sheet := ContactSheet(s)
	l := layOut(3)
	for c, n := range []int{5, 50, 95} {
		for column := range l.samples {
			x := sheetMargin + sheetLabel + column*(l.tile+sheetGap)
			y := sheetMargin + c*l.rowHeight()
			want := [3]uint8{uint8(c), uint8(2 * (column * n / l.samples)), 77}
			if n < l.samples {
				want[1] = uint8(2 * column)
			}
			if n < l.samples && column >= n {
				want = [3]uint8{232, 232, 232} // no picture: the sheet
			}
			for _, at := range []image.Point{{x, y}, {x + l.tile - 1, y + l.tile - 1}, {x + l.tile/2, y + 3}} {
				r, g, b, _ := sheet.At(at.X, at.Y).RGBA()
				if got := [3]uint8{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8)}; got != want {
					t.Fatalf("class %d, picture %d: %v at %v, want %v", c, column, got, at, want)
				}
			}
		}
	}
	for _, classes := range []int{1, 2, 10, 20, 21, 100, 120, 121, 1000, 1001, 3000} {
		s := plain("train", []int{0, classes - 1}, [4]uint8{}, [4]uint8{})
		s.Classes = make([]string, classes)
		for c := range s.Classes {
			s.Classes[c] = fmt.Sprintf("a class named %d at length, with an é", c)
		}
		b := ContactSheet(s).Bounds()
		if b.Dx()*b.Dy() > 12e6 || float64(max(b.Dx(), b.Dy())) > 1.8*float64(min(b.Dx(), b.Dy())) && classes > 10 {
			t.Errorf("%d classes: a sheet of %v", classes, b.Size())
		}
	}
}

func TestSheetName(t *testing.T) {
	for name, want := range map[string]string{
		"cat":                  "cat",
		"a name of 16 let":     "a name of 16 let",
		"a name of 17 letters": "a name of 17 l..",
		"chat écaille":         "7 chat écaille",
		"\u732b":               "7 \u732b",
	} {
		if got := sheetName(name, 7); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestInspectFashionMNIST: the channel statistics are those that are quoted everywhere, 0.2860 and 0.3530.
func TestInspectFashionMNIST(t *testing.T) {
	train, test, err := OpenDir("fashion-mnist", realData(t, "fashion-mnist"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Inspect(context.Background(), train, test)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Train.Mean[0]-0.2860) > 5e-5 || math.Abs(got.Train.Std[0]-0.3530) > 5e-5 {
		t.Errorf("mean %v and deviation %v", got.Train.Mean, got.Train.Std)
	}
	if got.Duplicates != (Duplicates{}) || slices.Min(got.Train.PerClass) != 6000 || slices.Max(got.Test.PerClass) != 1000 {
		t.Errorf("%+v, %v and %v of each class", got.Duplicates, got.Train.PerClass, got.Test.PerClass)
	}
}
