package restore

import (
	"fmt"
	"image"
	"math"
)

// Image is an image on its way through a network: values in 0..1 for black to white, [Height, Width, Channels]. A noisy one may have
// values beyond.
type Image struct {
	Height, Width, Channels int
	Pix                     []float32
}

// NewImage returns a black image.
func NewImage(height, width, channels int) *Image {
	return &Image{height, width, channels, make([]float32, height*width*channels)}
}

// Quantized returns the image with its values clamped to 0..1 and rounded to the levels of the given number of bits: what a file of 8
// or 16 bits holds. The papers measure restored images after that, with 8 bits.
func (m *Image) Quantized(bits int) *Image {
	levels := float64(int(1)<<bits - 1)
	q := NewImage(m.Height, m.Width, m.Channels)
	for k, v := range m.Pix {
		q.Pix[k] = float32(math.Round(clamp(float64(v))*levels) / levels)
	}
	return q
}

// Part returns a copy of a part of the image. A part that is empty or does not lie in the image panics.
func (m *Image) Part(r image.Rectangle) *Image {
	if r.Empty() || !r.In(image.Rect(0, 0, m.Width, m.Height)) {
		panic(fmt.Sprintf("restore: the part %v of an image of %dx%d pixels", r, m.Height, m.Width))
	}
	p := NewImage(r.Dy(), r.Dx(), m.Channels)
	for y := range p.Height {
		at := ((r.Min.Y+y)*m.Width + r.Min.X) * m.Channels
		copy(p.Pix[y*p.Width*p.Channels:(y+1)*p.Width*p.Channels], m.Pix[at:])
	}
	return p
}

// clamp brings a value into 0..1, and what is not a number to 0.
func clamp(v float64) float64 {
	if !(v > 0) {
		return 0
	}
	return min(v, 1)
}

// sameSize panics where two images can't be compared.
func sameSize(a, b *Image) {
	if a.Height != b.Height || a.Width != b.Width || a.Channels != b.Channels {
		panic(fmt.Sprintf("restore: an image of %dx%dx%d beside one of %dx%dx%d", a.Height, a.Width, a.Channels, b.Height, b.Width, b.Channels))
	}
}

// MeanSquaredError returns the mean of the squared differences, in units of the range. Images of different sizes panic.
func MeanSquaredError(a, b *Image) float64 {
	sameSize(a, b)
	sum := 0.0
	for k, v := range a.Pix {
		d := float64(v) - float64(b.Pix[k])
		sum += d * d
	}
	return sum / float64(len(a.Pix))
}

// PSNR returns the peak signal-to-noise ratio in dB, 10 log10(1 / mean squared error), over all pixels and channels; infinity for equal
// images. For values of 8 bits it is the usual 20 log10(255 / root mean squared error in gray levels).
func PSNR(a, b *Image) float64 { return -10 * math.Log10(MeanSquaredError(a, b)) }

// The settings of Wang, Bovik, Sheikh and Simoncelli (2004): an 11x11 Gaussian window of sigma 1.5, K1 and K2.
const (
	ssimWindow = 11
	ssimSigma  = 1.5
	ssimK1     = 0.01
	ssimK2     = 0.03
)

// SSIM returns the mean structural similarity (Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
// structural similarity", 2004, eqs. 13 to 17), with their settings, over the windows that lie within the image, and the mean over the
// channels. It is 1 for equal images, and NaN for images smaller than a window of 11x11.
func SSIM(a, b *Image) float64 {
	sameSize(a, b)
	if a.Height < ssimWindow || a.Width < ssimWindow {
		return math.NaN()
	}
	sum := 0.0
	for c := range a.Channels {
		sum += ssimPlane(a, b, c)
	}
	return sum / float64(a.Channels)
}

// ssimPlane returns the mean structural similarity of one channel. The window is a product, so its sums go along rows first, of which
// as many as the window has are kept.
func ssimPlane(a, b *Image, channel int) float64 {
	const c1, c2 = ssimK1 * ssimK1, ssimK2 * ssimK2
	var weights [ssimWindow]float64
	total := 0.0
	for k := range weights {
		d := float64(k - ssimWindow/2)
		weights[k] = math.Exp(-d * d / (2 * ssimSigma * ssimSigma))
		total += weights[k]
	}
	for k := range weights {
		weights[k] /= total
	}
	width := a.Width - ssimWindow + 1
	// rows[y % window][moment] holds the sums over a row: of x, y, xx, yy, xy.
	var rows [ssimWindow][5][]float64
	for k := range rows {
		for m := range rows[k] {
			rows[k][m] = make([]float64, width)
		}
	}
	sum := 0.0
	for y := range a.Height {
		row := &rows[y%ssimWindow]
		for x := range width {
			var s [5]float64
			at := (y*a.Width+x)*a.Channels + channel
			for _, w := range weights {
				u, v := float64(a.Pix[at]), float64(b.Pix[at])
				s[0] += w * u
				s[1] += w * v
				s[2] += w * u * u
				s[3] += w * v * v
				s[4] += w * u * v
				at += a.Channels
			}
			for m := range s {
				row[m][x] = s[m]
			}
		}
		if y < ssimWindow-1 {
			continue
		}
		for x := range width {
			var s [5]float64
			for k, w := range weights {
				r := &rows[(y-ssimWindow+1+k)%ssimWindow]
				for m := range s {
					s[m] += w * r[m][x]
				}
			}
			uu, vv, uv := s[2]-s[0]*s[0], s[3]-s[1]*s[1], s[4]-s[0]*s[1]
			sum += (2*s[0]*s[1] + c1) * (2*uv + c2) / ((s[0]*s[0] + s[1]*s[1] + c1) * (uu + vv + c2))
		}
	}
	return sum / float64(width*(a.Height-ssimWindow+1))
}
