package dataset

import (
	"math"
	"runtime"
	"slices"
	"testing"
)

// The hash was recorded once: the procedural set is part of published results, so its pixels don't change unnoticed.
func TestShapesGolden(t *testing.T) {
	const want = "68ec6eae67889cef28a7d96b2d6da9de2deed7b43e4707c44a10c03ff7937d9f"
	if got := Shapes(200, 1).Hash(); got != want {
		t.Errorf("hash of Shapes(200, 1) is %s, want %s", got, want)
	}
}

func TestShapesIndependentOfThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runtime.GOMAXPROCS(1)
	want := Shapes(333, 6).Hash()
	for _, threads := range []int{2, 5} {
		runtime.GOMAXPROCS(threads)
		if got := Shapes(333, 6).Hash(); got != want {
			t.Errorf("%d threads draw other images than one", threads)
		}
	}
}

func TestShapesLabels(t *testing.T) {
	for _, n := range []int{0, 1, 7, 64, 65, 1001} {
		s := Shapes(n, 2)
		if s.Len() != n {
			t.Fatalf("%d images, want %d", s.Len(), n)
		}
		if n > 0 {
			if err := s.Validate(); err != nil {
				t.Error(err)
			}
		}
		counts := tally(s.Labels, s.positions(), len(s.Classes))
		if slices.Max(counts)-slices.Min(counts) > 1 {
			t.Errorf("%d images: classes are unbalanced: %v", n, counts)
		}
	}
	a, b := Shapes(1000, 2), Shapes(1000, 3)
	if slices.IsSorted(a.Labels) || slices.Equal(a.Labels, b.Labels) {
		t.Error("labels aren't shuffled by the seed")
	}
}

func TestShapesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, seed := range []uint64{1, 2} {
		s := Shapes(500, seed)
		for i := range s.Len() {
			key := string(s.Pixels(i))
			if seen[key] {
				t.Fatalf("seed %d: image %d was drawn before", seed, i)
			}
			seen[key] = true
		}
	}
}

// Every figure can be seen: painted without it, the image differs by more than the noise in a good number of pixels.
func TestShapesCanBeSeen(t *testing.T) {
	classes := shapeClasses()
	for c, class := range classes {
		for k := range 200 {
			rng := stream(8, purposeShape, uint64(c*200+k))
			with := newScene(rng, class.draw)
			without := *with
			without.layers = with.layers[1:]
			visible := 0
			for y := range shapeSide {
				for x := range shapeSide {
					p := point{float64(x) - 13.5, float64(y) - 13.5}
					if math.Abs(with.gray(p)-without.gray(p)) > 2*with.noise {
						visible++
					}
				}
			}
			if visible < 10 {
				t.Errorf("%s %d shows in %d pixels only", class.name, k, visible)
			}
		}
	}
}

// A class can't be told from brightness: the mean gray of a class differs from that of all by less than a third of the
// deviation between images.
func TestShapesHideTheClassFromBrightness(t *testing.T) {
	s := Shapes(4000, 4)
	byLabel := make([][]float64, len(s.Classes))
	var all []float64
	for i, label := range s.Labels {
		sum := 0.0
		for _, p := range s.Pixels(i) {
			sum += float64(p)
		}
		byLabel[label] = append(byLabel[label], sum/(28*28))
		all = append(all, sum/(28*28))
	}
	mean, deviation := moments(all)
	for c, values := range byLabel {
		if m, _ := moments(values); math.Abs(m-mean) > deviation/3 {
			t.Errorf("class %s has the mean gray %.1f, all have %.1f with deviation %.1f", s.Classes[c], m, mean, deviation)
		}
	}
}

func moments(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, math.Sqrt(deviation)
}

// Distances against values worked out by hand.
func TestSignedDistances(t *testing.T) {
	triangle := []point{{0, 0}, {4, 0}, {0, 3}}
	for _, test := range []struct {
		name      string
		got, want float64
	}{
		{"disc, inside", distanceToDisc(point{3, 4}, 7), -2},
		{"disc, outside", distanceToDisc(point{3, 4}, 2), 3},
		{"box, center", distanceToBox(point{0, 0}, point{2, 1}), -1},
		{"box, side", distanceToBox(point{-5, 0.5}, point{2, 1}), 3},
		{"box, corner", distanceToBox(point{5, -5}, point{2, 1}), 5},
		{"segment, beside", distanceToSegment(point{1, 2}, point{0, 0}, point{5, 0}), 2},
		{"segment, beyond", distanceToSegment(point{8, 4}, point{0, 0}, point{5, 0}), 5},
		{"polygon, at the center of its incircle", distanceToPolygon(point{1, 1}, triangle), -1},
		{"polygon, outside a side", distanceToPolygon(point{2, -2}, triangle), 2},
		{"polygon, outside a corner", distanceToPolygon(point{-3, -4}, triangle), 5},
		{"polygon, on an edge", distanceToPolygon(point{2, 1.5}, triangle), 0},
		{"star, center", math.Copysign(1, distanceToPolygon(point{}, starPolygon(5, 8, 3))), -1},
		{"star, between two points", math.Copysign(1, distanceToPolygon(polar(5, -math.Pi*0.3), starPolygon(5, 8, 3))), 1},
		{"star, in a point", math.Copysign(1, distanceToPolygon(polar(6, -math.Pi/2), starPolygon(5, 8, 3))), -1},
	} {
		if math.Abs(test.got-test.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", test.name, test.got, test.want)
		}
	}
}

func BenchmarkShapes(b *testing.B) {
	for b.Loop() {
		Shapes(4000, 1)
	}
	b.ReportMetric(float64(4000*b.N)/b.Elapsed().Seconds(), "images/s")
}
