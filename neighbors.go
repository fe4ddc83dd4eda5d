package datadropout

import (
	"cmp"
	"math"
	"slices"
)

// features is a set of feature vectors of length 1. Distances between such vectors of a network tell samples apart that are
// unlike what it was trained on (Sun et al., ICML 2022, arXiv:2204.06507), and those of one label from mislabeled ones
// (Papernot and McDaniel 2018, arXiv:1803.04765).
type features struct {
	rows      []float32 // [len(positions), width]
	width     int
	positions []int
}

// newFeatures scales the rows to length 1, in place. A row of zeros stays one.
func newFeatures(rows []float32, width int, positions []int) features {
	f := features{rows, width, positions}
	for k := range positions {
		row := f.row(k)
		sum := 0.0
		for _, x := range row {
			sum += float64(x) * float64(x)
		}
		if sum == 0 {
			continue
		}
		for j := range row {
			row[j] = float32(float64(row[j]) / math.Sqrt(sum))
		}
	}
	return f
}

func (f features) row(k int) []float32 { return f.rows[k*f.width : (k+1)*f.width] }

// nearest returns at most n of the vectors' positions that are admitted, the nearest to v first; of equally near ones the
// first.
func (f features) nearest(v []float32, n int, admit func(position int) bool) []Neighbor {
	best := make([]Neighbor, 0, n+1)
	for k, position := range f.positions {
		if !admit(position) {
			continue
		}
		d := squaredDistance(f.row(k), v)
		if len(best) == n && d >= best[n-1].Distance {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, d, func(b Neighbor, d float64) int {
			if b.Distance <= d {
				return -1
			}
			return 1
		})
		best = slices.Insert(best, at, Neighbor{position, d})
		best = best[:min(len(best), n)]
	}
	for k := range best {
		best[k].Distance = math.Sqrt(best[k].Distance)
	}
	return best
}

// squaredDistance sums in four parts, in an order that does not depend on the machine.
func squaredDistance(a, b []float32) float64 {
	var s0, s1, s2, s3 float32
	k := 0
	for ; k+4 <= len(a); k += 4 {
		d0, d1, d2, d3 := a[k]-b[k], a[k+1]-b[k+1], a[k+2]-b[k+2], a[k+3]-b[k+3]
		s0 += float32(d0 * d0)
		s1 += float32(d1 * d1)
		s2 += float32(d2 * d2)
		s3 += float32(d3 * d3)
	}
	for ; k < len(a); k++ {
		d := a[k] - b[k]
		s0 += float32(d * d)
	}
	return float64(s0) + float64(s1) + float64(s2) + float64(s3)
}

// farthest returns the largest distance, 0 of none.
func farthest(n []Neighbor) float64 {
	if len(n) == 0 {
		return 0
	}
	return slices.MaxFunc(n, func(a, b Neighbor) int { return cmp.Compare(a.Distance, b.Distance) }).Distance
}
