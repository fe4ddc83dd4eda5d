package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
)

const (
	shapeSide  = 28
	shapeChunk = 64 // images that a worker draws at a time
)

// Shapes draws the procedural set: n gray images of 28x28 pixels, each with one figure of eight classes. Figures vary in
// place, size, rotation, aspect, stroke and sharpness, and stand out dark or light from an uneven, noisy background; dots
// and lines distract, and some figures are partly covered. Labels are balanced (class counts differ by at most one), in
// random order, and tell what was drawn. It is made to be learned and not to be trivial: 10 epochs on 4,000 images bring
// LeNet-5 to about 94 % on new ones, softmax regression to under 25 %.
//
// The result is a function of n and seed alone, and the figure of image i follows from its label, i and the seed.
// Ids are shapes/00000, ... It panics when n is negative.
func Shapes(n int, seed uint64) *Images {
	if n < 0 {
		panic(fmt.Sprintf("dataset: %d shapes", n))
	}
	classes := shapeClasses()
	s := &Images{
		Name: shapesName, Height: shapeSide, Width: shapeSide, Channels: 1,
		Pix:    make([]uint8, n*shapeSide*shapeSide),
		Labels: make([]int, n),
		IDs:    sequentialIDs(shapesName, n),
	}
	for _, c := range classes {
		s.Classes = append(s.Classes, c.name)
	}
	for i := range s.Labels {
		s.Labels[i] = i % len(classes)
	}
	stream(seed, purposeShapeLabels, 0).Shuffle(n, func(a, b int) { s.Labels[a], s.Labels[b] = s.Labels[b], s.Labels[a] })

	chunks := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for start := range chunks {
				for i := start; i < min(start+shapeChunk, n); i++ {
					rng := stream(seed, purposeShape, uint64(i))
					newScene(rng, classes[s.Labels[i]].draw).paint(rng, s.Pixels(i))
				}
			}
		})
	}
	for start := 0; start < n; start += shapeChunk {
		chunks <- start
	}
	close(chunks)
	workers.Wait()
	return s
}

// figure is the signed distance, in pixels, to a figure around the origin.
type figure func(point) float64

// shapeClass is a class of figures; draw returns one of about the given radius, in pixels.
type shapeClass struct {
	name string
	draw func(rng *rand.Rand, radius float64) figure
}

func shapeClasses() []shapeClass {
	return []shapeClass{
		{"disc", func(rng *rand.Rand, r float64) figure {
			r *= 0.85
			return func(p point) float64 { return distanceToDisc(p, r) }
		}},
		{"ring", func(rng *rand.Rand, r float64) figure {
			r *= 0.85
			return outlined(rng, func(p point) float64 { return distanceToDisc(p, r) })
		}},
		{"square", func(rng *rand.Rand, r float64) figure {
			b := point{0.75 * r, 0.75 * r}
			return maybeOutlined(rng, func(p point) float64 { return distanceToBox(p, b) })
		}},
		{"triangle", func(rng *rand.Rand, r float64) figure {
			corners := regularPolygon(3, 1.1*r)
			return maybeOutlined(rng, func(p point) float64 { return distanceToPolygon(p, corners) })
		}},
		{"cross", func(rng *rand.Rand, r float64) figure {
			wide, tall := point{r, stroke(rng, r)}, point{stroke(rng, r), r}
			return func(p point) float64 { return min(distanceToBox(p, wide), distanceToBox(p, tall)) }
		}},
		{"star", func(rng *rand.Rand, r float64) figure {
			corners := starPolygon(5, 1.1*r, between(rng, 0.38, 0.55)*r)
			return maybeOutlined(rng, func(p point) float64 { return distanceToPolygon(p, corners) })
		}},
		{"bar", func(rng *rand.Rand, r float64) figure {
			end, half := point{r, 0}, stroke(rng, r)
			return func(p point) float64 { return distanceToSegment(p, end.times(-1), end) - half }
		}},
		{"crescent", func(rng *rand.Rand, r float64) figure {
			bite, off := 0.85*r, point{between(rng, 0.45, 0.7) * r, 0}
			return func(p point) float64 { return max(distanceToDisc(p, r), -distanceToDisc(p.minus(off), bite)) }
		}},
	}
}

// stroke draws half the thickness of an arm of a figure of the given radius, in pixels.
func stroke(rng *rand.Rand, radius float64) float64 { return max(0.9, between(rng, 0.12, 0.3)*radius) }

// outlined draws the outline of a figure, with a stroke of its own, inside it.
func outlined(rng *rand.Rand, f figure) figure {
	half := between(rng, 0.6, 1.4)
	return func(p point) float64 { return math.Abs(f(p)+half) - half }
}

// maybeOutlined leaves three figures of five filled.
func maybeOutlined(rng *rand.Rand, f figure) figure {
	if rng.Float64() < 0.6 {
		return f
	}
	return outlined(rng, f)
}

func between(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }

// around returns a number in [-a, a).
func around(rng *rand.Rand, a float64) float64 { return between(rng, -a, a) }
