package dataset

import "math"

// Signed distance functions in the plane: the distance of a point to a figure's outline, negative inside. The forms follow
// Inigo Quilez, "2D distance functions" (iquilezles.org/articles/distfunctions2d). Figures are centered on the origin.

// point is a point or vector in the plane.
type point struct{ x, y float64 }

func (p point) minus(q point) point   { return point{p.x - q.x, p.y - q.y} }
func (p point) dot(q point) float64   { return p.x*q.x + p.y*q.y }
func (p point) times(a float64) point { return point{a * p.x, a * p.y} }
func (p point) length() float64       { return math.Sqrt(p.dot(p)) }
func polar(radius, angle float64) point {
	s, c := math.Sincos(angle)
	return point{radius * c, radius * s}
}
func clamp(v, low, high float64) float64        { return max(low, min(high, v)) }
func distanceToDisc(p point, r float64) float64 { return p.length() - r }

// distanceToBox is for the rectangle with the half sides b.
func distanceToBox(p, b point) float64 {
	d := point{math.Abs(p.x) - b.x, math.Abs(p.y) - b.y}
	outside := point{max(d.x, 0), max(d.y, 0)}
	return outside.length() + min(max(d.x, d.y), 0)
}

// distanceToSegment is the distance to the line from a to b.
func distanceToSegment(p, a, b point) float64 {
	pa, ba := p.minus(a), b.minus(a)
	t := clamp(pa.dot(ba)/ba.dot(ba), 0, 1)
	return pa.minus(ba.times(t)).length()
}

// distanceToPolygon is for a simple polygon with the given corners.
func distanceToPolygon(p point, corners []point) float64 {
	nearest, sign := math.Inf(1), 1.0
	j := len(corners) - 1
	for i, a := range corners {
		b := corners[j]
		edge, w := b.minus(a), p.minus(a)
		off := w.minus(edge.times(clamp(w.dot(edge)/edge.dot(edge), 0, 1)))
		nearest = min(nearest, off.dot(off))
		above, below, left := p.y >= a.y, p.y < b.y, edge.x*w.y > edge.y*w.x
		if above == below && below == left {
			sign = -sign
		}
		j = i
	}
	return sign * math.Sqrt(nearest)
}

// regularPolygon returns n corners on the circle of radius r, the first above the center.
func regularPolygon(n int, r float64) []point {
	corners := make([]point, n)
	for k := range corners {
		corners[k] = polar(r, math.Pi*(2*float64(k)/float64(n)-0.5))
	}
	return corners
}

// starPolygon returns the outline of a star with n points on the circle of radius r and n notches on that of radius inner.
func starPolygon(n int, r, inner float64) []point {
	corners := make([]point, 2*n)
	for k := range corners {
		radius := r
		if k%2 == 1 {
			radius = inner
		}
		corners[k] = polar(radius, math.Pi*(float64(k)/float64(n)-0.5))
	}
	return corners
}
