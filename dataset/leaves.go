package dataset

import (
	"context"
	"math"
)

// LeavesName is the name of the procedural set of images for restoration.
const LeavesName = "dead-leaves"

// leavesSampling is the number of points a pixel is the mean of, in each direction.
const leavesSampling = 2

// DeadLeaves draws n square images of the dead leaves model: discs that fall on each other, the last one on top, with radii r of the
// density 1/r^3 between half a pixel and the image's side, which makes images scale invariant, with the edges, the occlusion and the 1/f^2
// spectrum of natural ones (Lee, Mumford and Huang 2001, "Occlusion models for natural images"). Each disc has a gray value, or a
// color, and a ramp of it. Channels are 1 or 3. Image i is a function of side, channels, the seed and i alone. Ids are
// leaves/00000, ...
func DeadLeaves(ctx context.Context, n, side, channels int, seed uint64) []*Picture {
	ids := sequentialIDs("leaves", n)
	all := make([]*Picture, n)
	inParallel(ctx, n, func(i int) {
		all[i] = &Picture{ID: ids[i], Height: side, Width: side, Channels: channels, Depth: 8}
		all[i].fall(seed, uint64(i))
	})
	return all
}

// fall draws the leaves from the top one down, so that each covers what is still bare, until all is covered.
func (p *Picture) fall(seed, index uint64) {
	rng := stream(seed, purposeLeaves, index)
	side := p.Height * leavesSampling
	points := make([]float32, side*side*p.Channels)
	covered := make([]bool, side*side)
	bare := side * side
	least, most := 0.5*leavesSampling, float64(side)
	a, b := 1/(least*least), 1/(most*most)
	for bare > 0 {
		r := 1 / math.Sqrt(a-rng.Float64()*(a-b)) // by the inverse of the distribution function of 1/r^3
		cy, cx := (2*rng.Float64()-0.5)*most, (2*rng.Float64()-0.5)*most
		var value [3]float64
		for c := range p.Channels {
			value[c] = 255 * rng.Float64()
		}
		angle, slope := 2*math.Pi*rng.Float64(), 60*rng.Float64()/most
		sy, sx := slope*math.Sin(angle), slope*math.Cos(angle)
		for y := max(0, int(math.Ceil(cy-r))); y < side && float64(y) <= cy+r; y++ {
			dy := float64(y) - cy
			half := math.Sqrt(max(0, r*r-dy*dy))
			for x := max(0, int(math.Ceil(cx-half))); x < side && float64(x) <= cx+half; x++ {
				at := y*side + x
				if covered[at] {
					continue
				}
				covered[at] = true
				bare--
				for c := range p.Channels {
					points[at*p.Channels+c] = float32(value[c] + dy*sy + (float64(x)-cx)*sx)
				}
			}
		}
	}
	p.Pix = make([]uint16, p.Height*p.Width*p.Channels)
	for y := range p.Height {
		for x := range p.Width {
			for c := range p.Channels {
				sum := float32(0)
				for k := range leavesSampling * leavesSampling {
					sum += points[((y*leavesSampling+k/leavesSampling)*side+x*leavesSampling+k%leavesSampling)*p.Channels+c]
				}
				p.Pix[(y*p.Width+x)*p.Channels+c] = p.level(257 * float64(sum) / (leavesSampling * leavesSampling))
			}
		}
	}
}
