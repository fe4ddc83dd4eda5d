package dataset

import "math"

// ChannelStats returns mean and standard deviation of every channel over the images at the given positions, in units of
// pixel/255: what Mean and Std want. It counts pixel values, so the result is exact in its sums and independent of the
// order of idx. A channel without variation, and an empty idx, have the standard deviation 1: Fill divides by it.
func (s *Images) ChannelStats(idx []int) (mean, std []float32) {
	counts := make([][256]int64, s.Channels)
	for _, i := range idx {
		pix, loan := s.lend(i)
		for c := range counts {
			for k := c; k < len(pix); k += s.Channels {
				counts[c][pix[k]]++
			}
		}
		s.takeBack(loan)
	}
	mean, std = make([]float32, s.Channels), make([]float32, s.Channels)
	for c := range counts {
		m, d := histogramStats(&counts[c])
		mean[c], std[c] = float32(m/255), float32(d/255)
		if std[c] == 0 {
			std[c] = 1
		}
	}
	return mean, std
}

// histogramStats returns mean and (population) standard deviation of values counted by value.
func histogramStats(counts *[256]int64) (mean, std float64) {
	var n, sum int64
	for v, count := range counts {
		n += count
		sum += int64(v) * count
	}
	if n == 0 {
		return 0, 0
	}
	mean = float64(sum) / float64(n)
	var squares float64
	for v, count := range counts {
		d := float64(v) - mean
		squares += float64(count) * d * d
	}
	return mean, math.Sqrt(squares / float64(n))
}
