package dataset

import (
	"math"
	"math/rand/v2"
)

// scene is one image of the procedural set before noise and rounding. Lengths are pixels, the origin is the middle of the
// image, gray values run from 0 to 255.
type scene struct {
	ground   float64 // gray of the background at the origin
	gradient point   // its change per pixel
	wave     point   // wave vector of its slow undulation, radians per pixel
	phase    float64
	swell    float64 // amplitude of the undulation

	layers []layer // painted one over the other
	noise  float64 // standard deviation of the pixels' noise
}

// layer is a figure of one gray, placed in the image.
type layer struct {
	gray      float64
	center    point
	reach     float64 // the figure lies within this distance of center
	cos, sin  float64 // rotation
	aspect    float64 // stretch along the figure's own first axis; the second shrinks by as much
	sharpness float64 // slope of the edge: 1 covers a pixel as an ideal camera would, less is blurred
	shape     figure
}

// The ranges that decide how hard the set is.
const (
	minRadius, maxRadius     = 7.5, 11.0
	minContrast, maxContrast = 60.0, 140.0 // gray values between figure and background
	minNoise, maxNoise       = 2.0, 20.0
	maxNoiseShare            = 0.2         // of the contrast, so that every figure can be seen
	maxTurn                  = math.Pi / 6 // radians, to either side
	maxShift                 = 3.0         // pixels from the middle, along each axis
	maxGradient              = 1.2         // gray values a pixel
	maxSwell                 = 8.0
	darkShare                = 0.25 // of the figures are darker than the background; grays that run out of range turn it over
	maxDots                  = 3
	lineShare                = 0.2  // of the images have a distracting line
	coverShare               = 0.25 // of the images have their figure partly covered
)

// newScene draws everything about an image but its noise.
func newScene(rng *rand.Rand, draw func(*rand.Rand, float64) figure) *scene {
	s := &scene{
		ground:   between(rng, 60, 195),
		gradient: polar(between(rng, 0, maxGradient), between(rng, 0, 2*math.Pi)),
		wave:     polar(between(rng, 0.1, 0.35), between(rng, 0, 2*math.Pi)),
		phase:    between(rng, 0, 2*math.Pi),
		swell:    between(rng, 0, maxSwell),
	}
	contrast := between(rng, minContrast, maxContrast)
	s.noise = between(rng, minNoise, min(maxNoise, contrast*maxNoiseShare))
	radius := between(rng, minRadius, maxRadius)
	slack := min(maxShift, shapeSide/2-radius-0.5)
	main := layer{
		center:    point{around(rng, slack), around(rng, slack)},
		reach:     1.6*radius + 2,
		aspect:    between(rng, 0.87, 1.15),
		sharpness: between(rng, 0.5, 1),
	}
	main.gray = s.apart(rng, contrast)
	main.turn(around(rng, maxTurn))
	main.shape = draw(rng, radius)
	s.layers = append(s.layers, main)
	if rng.Float64() < coverShare {
		s.layers = append(s.layers, s.cover(rng, main, radius))
	}
	for range rng.IntN(maxDots + 1) {
		s.layers = append(s.layers, s.dot(rng))
	}
	if rng.Float64() < lineShare {
		s.layers = append(s.layers, s.line(rng))
	}
	return s
}

// apart returns a gray that differs from the background's by contrast, darker or lighter.
func (s *scene) apart(rng *rand.Rand, contrast float64) float64 {
	if rng.Float64() < darkShare {
		contrast = -contrast
	}
	if g := s.ground + contrast; g < 0 || g > 255 {
		contrast = -contrast
	}
	return s.ground + contrast
}

// cover is a rounded box, gray like the background or nearly so, over the rim of the figure.
func (s *scene) cover(rng *rand.Rand, main layer, radius float64) layer {
	half := point{between(rng, 1, 2.2), between(rng, 2, 5)}
	rim := polar(radius*between(rng, 0.4, 1), between(rng, 0, 2*math.Pi))
	l := layer{
		gray:   s.ground + around(rng, 20),
		center: main.center.minus(rim),
		reach:  half.length() + 2,
		aspect: 1, sharpness: 0.8,
		shape: func(p point) float64 { return distanceToBox(p, half) - 0.5 },
	}
	l.turn(between(rng, 0, 2*math.Pi))
	return l
}

// dot is a small disc anywhere.
func (s *scene) dot(rng *rand.Rand) layer {
	r := between(rng, 0.6, 1.7)
	return layer{
		gray:   s.apart(rng, between(rng, 25, 110)),
		center: point{around(rng, shapeSide/2), around(rng, shapeSide/2)},
		reach:  r + 2,
		cos:    1, aspect: 1, sharpness: 0.9,
		shape: func(p point) float64 { return distanceToDisc(p, r) },
	}
}

// line is a thin, short line anywhere.
func (s *scene) line(rng *rand.Rand) layer {
	end, half := point{between(rng, 2.5, 7), 0}, between(rng, 0.3, 0.6)
	l := layer{
		gray:   s.apart(rng, between(rng, 20, 80)),
		center: point{around(rng, shapeSide/2), around(rng, shapeSide/2)},
		reach:  end.x + 3,
		aspect: 1, sharpness: 0.9,
		shape: func(p point) float64 { return distanceToSegment(p, end.times(-1), end) - half },
	}
	l.turn(between(rng, 0, 2*math.Pi))
	return l
}

func (l *layer) turn(angle float64) { l.sin, l.cos = math.Sincos(angle) }

// coverage returns the share of the pixel at p, in [0, 1], that the figure covers: the signed distance to its edge, cut off
// half a pixel to both sides.
func (l *layer) coverage(p point) float64 {
	d := p.minus(l.center)
	if d.dot(d) > l.reach*l.reach {
		return 0
	}
	own := point{(l.cos*d.x + l.sin*d.y) / l.aspect, (l.cos*d.y - l.sin*d.x) * l.aspect}
	return clamp(0.5-l.sharpness*l.shape(own), 0, 1)
}

// gray returns the gray at p, without noise.
func (s *scene) gray(p point) float64 {
	g := s.ground + s.gradient.dot(p) + s.swell*math.Sin(s.wave.dot(p)+s.phase)
	for i := range s.layers {
		l := &s.layers[i]
		g += l.coverage(p) * (l.gray - g)
	}
	return g
}

// paint writes the noisy image to pix, [shapeSide, shapeSide].
func (s *scene) paint(rng *rand.Rand, pix []uint8) {
	for k := range pix {
		p := point{float64(k%shapeSide) + 0.5 - shapeSide/2, float64(k/shapeSide) + 0.5 - shapeSide/2}
		pix[k] = uint8(math.Round(clamp(s.gray(p)+s.noise*rng.NormFloat64(), 0, 255)))
	}
}
