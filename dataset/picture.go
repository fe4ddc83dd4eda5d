package dataset

import (
	"image"
	"image/color"
)

// Image returns the image at position i for looking at: the stored pixels, without the normalization. One channel is gray,
// two are gray and alpha, three RGB, four RGB and alpha (not premultiplied); of more channels the first three are shown.
func (s *Images) Image(i int) image.Image {
	pix := s.Pixels(i)
	bounds := image.Rect(0, 0, s.Width, s.Height)
	if s.Channels == 1 {
		m := image.NewGray(bounds)
		copy(m.Pix, pix)
		return m
	}
	m := image.NewNRGBA(bounds)
	for k := range s.Height * s.Width {
		p := pix[k*s.Channels : (k+1)*s.Channels]
		var c color.NRGBA
		switch len(p) {
		case 2:
			c = color.NRGBA{p[0], p[0], p[0], p[1]}
		case 4:
			c = color.NRGBA{p[0], p[1], p[2], p[3]}
		default:
			c = color.NRGBA{p[0], p[1], p[2], 255}
		}
		m.SetNRGBA(k%s.Width, k/s.Width, c)
	}
	return m
}
