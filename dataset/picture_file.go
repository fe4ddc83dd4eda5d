package dataset

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // the formats that image.Decode knows
	_ "image/jpeg"
	_ "image/png"
	"io"
	"strings"

	_ "golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"
)

// imageSize is the size of an image in pixels.
type imageSize struct{ height, width int }

func (s imageSize) String() string { return fmt.Sprintf("%dx%d", s.height, s.width) }

// pictureInfo is what the header of an image file says: its size when it is upright, and whether it can only be gray.
type pictureInfo struct {
	size imageSize
	gray bool
}

// mostFileBytes bounds what the pixels of one image take when they are decoded: more are refused on the word of the header, before anything
// is allocated for them.
const mostFileBytes = 1 << 30

// pixelBytes is the most that a decoder takes for a pixel of a file with the color model: four channels, of one byte or of two. A gray
// image may turn out to have transparent pixels, and to take as much.
func pixelBytes(m color.Model) int64 {
	switch m {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		return 8
	}
	return 4
}

// inspect reads the header of an image file.
func inspect(content io.Reader) (info pictureInfo, err error) {
	defer recovered(&err)
	r := bufio.NewReader(content)
	turn := orientation(r)
	config, format, err := image.DecodeConfig(r)
	if err != nil {
		return pictureInfo{}, imageError(err)
	}
	s := imageSize{config.Height, config.Width}
	most := mostFileBytes / pixelBytes(config.ColorModel)
	switch {
	case s.height < 1 || s.width < 1:
		return pictureInfo{}, fmt.Errorf("an image of %v pixels", s)
	case int64(s.height)*int64(s.width) > most || max(s.height, s.width) > 1<<17:
		return pictureInfo{}, fmt.Errorf("claims to be %v pixels, more than the %d that are read", s, most)
	}
	if turn.swaps() {
		s = imageSize{s.width, s.height}
	}
	gray := isGray(config.ColorModel)
	if format == "gif" {
		if gray, err = isGrayGIF(r, config.ColorModel); err != nil {
			return pictureInfo{}, imageError(err)
		}
	}
	return pictureInfo{s, gray}, nil
}

// recovered turns a panic into an error: a decoder that breaks on one file must not take the others along.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("its decoder failed: %v", r)
	}
}

func imageError(err error) error {
	switch {
	case errors.Is(err, image.ErrFormat):
		return errors.New("is no PNG, JPEG, GIF, BMP, TIFF or WebP image")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.HasSuffix(err.Error(), io.ErrUnexpectedEOF.Error()):
		return errors.New("is cut short")
	}
	return err
}

// isGray says whether all colors of the model are gray.
func isGray(m color.Model) bool {
	if palette, ok := m.(color.Palette); ok {
		for _, c := range palette {
			if r, g, b, a := c.RGBA(); r != g || g != b || a != 0xffff {
				return false
			}
		}
		return true
	}
	return m == color.GrayModel || m == color.Gray16Model
}

// decodePicture reads an image file and brings the image to the size: pix is [height, width, channels], of one channel or three.
func decodePicture(content io.Reader, size imageSize, gray bool, pix []uint8) (err error) {
	defer recovered(&err)
	m, _, err := uprightImage(content)
	if err != nil {
		return err
	}
	b := m.Bounds()
	if g, ok := m.(*image.Gray); ok && gray && b.Dy() == size.height && b.Dx() == size.width {
		for y := range size.height {
			copy(pix[y*size.width:], g.Pix[y*g.Stride:][:size.width])
		}
		return nil
	}
	flat := image.NewRGBA(image.Rect(0, 0, size.width, size.height))
	draw.Draw(flat, flat.Bounds(), image.White, image.Point{}, draw.Src)
	if b.Dy() == size.height && b.Dx() == size.width {
		draw.Draw(flat, flat.Bounds(), m, b.Min, draw.Over)
	} else {
		draw.CatmullRom.Scale(flat, flat.Bounds(), m, covering(b, size), draw.Over, nil)
	}
	if gray {
		for k := range pix {
			pix[k] = flat.Pix[4*k] // the channels are alike
		}
		return nil
	}
	for k := 0; k < size.height*size.width; k++ {
		copy(pix[3*k:3*k+3], flat.Pix[4*k:])
	}
	return nil
}

// uprightImage reads an image file and turns the image upright; the first frame of a GIF file stands at its place on the screen. animated
// says that the file holds further frames.
func uprightImage(content io.Reader) (m image.Image, animated bool, err error) {
	defer recovered(&err)
	r := bufio.NewReader(content)
	turn := orientation(r)
	screen := screenGIF(r)
	m, format, err := image.Decode(r)
	if err != nil {
		return nil, false, imageError(err)
	}
	if format == "gif" {
		if next, _ := r.Peek(1); len(next) == 1 && (next[0] == ',' || next[0] == '!') {
			animated = true // a further frame follows, or the settings of one
		}
		if m.Bounds() != screen {
			m = placed{m, screen}
		}
	}
	if turn > 1 {
		m = turned{m, turn}
	}
	return m, animated, nil
}

// covering returns the largest part around the center of b that has the proportions of the size.
func covering(b image.Rectangle, size imageSize) image.Rectangle {
	w, h := b.Dx(), b.Dy()
	if w*size.height > h*size.width {
		w = max(1, (h*size.width+size.height/2)/size.height)
	} else {
		h = max(1, (w*size.height+size.width/2)/size.width)
	}
	x, y := b.Min.X+(b.Dx()-w)/2, b.Min.Y+(b.Dy()-h)/2
	return image.Rect(x, y, x+w, y+h)
}

// ParseSize reads a size as HEIGHTxWIDTH, or as one number for both.
func ParseSize(s string) (height, width int, err error) {
	wrong := fmt.Errorf("want a size as 64 or 48x64 (height x width), each from 1 to %d, got %q", maxSide, s)
	h, w, two := strings.Cut(s, "x")
	if !two {
		w = h
	}
	for _, v := range []struct {
		text string
		to   *int
	}{{h, &height}, {w, &width}} {
		n := 0
		for _, c := range []byte(v.text) {
			if c < '0' || c > '9' || n > maxSide {
				return 0, 0, wrong
			}
			n = 10*n + int(c-'0')
		}
		if n < 1 || n > maxSide {
			return 0, 0, wrong
		}
		*v.to = n
	}
	return height, width, nil
}
