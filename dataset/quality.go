package dataset

import "math"

// BlankContrast is the contrast below which an image is nearly blank: a standard deviation of 8 of 255 gray levels.
const BlankContrast = 0.03

// Contrast returns the standard deviation of the brightness of the image at position i, in units of pixel/255: 0 for a blank
// image. The brightness of a pixel is the mean of its color channels.
func (s *Images) Contrast(i int) float64 {
	_, std := meanAndDeviation(s.brightness(i))
	return std
}

// Sharpness returns the standard deviation of the Laplacian of the brightness (the four neighbors less four times the
// pixel, inside the border) over that of the brightness: how much of an image is fine detail. Blurring lowers it,
// brightness and contrast do not change it (Pertuz, Puig and Garcia 2013, Pattern Recognition 46(5), operator LAP4). It is 0
// for a blank image and for one of fewer than three pixels in height or width.
func (s *Images) Sharpness(i int) float64 {
	b := s.brightness(i)
	_, contrast := meanAndDeviation(b)
	if s.Height < 3 || s.Width < 3 || contrast == 0 {
		return 0
	}
	laplacian := make([]float64, 0, (s.Height-2)*(s.Width-2))
	for y := 1; y < s.Height-1; y++ {
		for x := 1; x < s.Width-1; x++ {
			k := y*s.Width + x
			laplacian = append(laplacian, b[k-s.Width]+b[k+s.Width]+b[k-1]+b[k+1]-4*b[k])
		}
	}
	_, detail := meanAndDeviation(laplacian)
	return detail / contrast
}

// PixelDistance returns the root mean square difference of the pixels of two images, in units of pixel/255: 0 for copies, 1
// between black and white.
func (s *Images) PixelDistance(i, j int) float64 {
	a, b := s.Pixels(i), s.Pixels(j)
	sum := 0
	for k := range a {
		d := int(a[k]) - int(b[k])
		sum += d * d
	}
	return math.Sqrt(float64(sum)/float64(len(a))) / 255
}

// brightness returns the mean over the color channels of every pixel, in units of pixel/255. The second channel of two and
// the fourth of four are alpha and left out.
func (s *Images) brightness(i int) []float64 {
	colors := s.Channels
	if colors == 2 || colors == 4 {
		colors--
	}
	pix, loan := s.lend(i)
	defer s.takeBack(loan)
	out := make([]float64, s.Height*s.Width)
	for k := range out {
		sum := 0
		for _, p := range pix[k*s.Channels:][:colors] {
			sum += int(p)
		}
		out[k] = float64(sum) / float64(255*colors)
	}
	return out
}

// meanAndDeviation returns the mean and the (population) standard deviation.
func meanAndDeviation(v []float64) (mean, std float64) {
	for _, x := range v {
		mean += x
	}
	mean /= float64(len(v))
	sum := 0.0
	for _, x := range v {
		sum += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(sum / float64(len(v)))
}
