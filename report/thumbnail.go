package report

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

// Sides of thumbnails, in pixels: of a sample in a gallery, and of the ones shown beside it.
const (
	gallerySide  = 128
	neighborSide = 64
	// exactSide is the largest side of a picture that is kept pixel by pixel.
	exactSide = 48
)

// thumbnail encodes a picture so that neither side is longer than the given one: small pictures as PNG, pixel by pixel, others as
// JPEG, scaled down and on white where they are transparent. What comes out has at most some 20 kB.
func thumbnail(m image.Image, side int) ([]byte, error) {
	var b bytes.Buffer
	width, height := m.Bounds().Dx(), m.Bounds().Dy()
	longest := max(width, height)
	if longest <= exactSide {
		err := png.Encode(&b, m)
		return b.Bytes(), err
	}
	if longest > side {
		width, height = max(1, width*side/longest), max(1, height*side/longest)
	}
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(small, small.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.CatmullRom.Scale(small, small.Bounds(), m, m.Bounds(), draw.Over, nil)
	err := jpeg.Encode(&b, small, &jpeg.Options{Quality: 85})
	return b.Bytes(), err
}
