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
	"io/fs"
	"os"
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

// mostFilePixels bounds the pixels of one image: more are refused on the word of the header, before anything is allocated for them.
const mostFilePixels = 1 << 28

// inspect reads the header of an image file.
func inspect(root *os.Root, name string) (pictureInfo, error) {
	f, err := openPicture(root, name)
	if err != nil {
		return pictureInfo{}, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	turn := orientation(r)
	config, _, err := image.DecodeConfig(r)
	if err != nil {
		return pictureInfo{}, imageError(err)
	}
	s := imageSize{config.Height, config.Width}
	switch {
	case s.height < 1 || s.width < 1:
		return pictureInfo{}, fmt.Errorf("an image of %v pixels", s)
	case int64(s.height)*int64(s.width) > mostFilePixels || max(s.height, s.width) > 1<<17:
		return pictureInfo{}, fmt.Errorf("claims to be %v pixels, more than the %d that are read", s, mostFilePixels)
	}
	if turn.swaps() {
		s = imageSize{s.width, s.height}
	}
	return pictureInfo{s, isGray(config.ColorModel)}, nil
}

// openPicture opens a regular file of the folder.
func openPicture(root *os.Root, name string) (*os.File, error) {
	f, err := root.Open(name)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		if err.Error() == "path escapes from parent" {
			err = errEscapes
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no regular file")
	}
	if err == nil && info.Size() == 0 {
		err = errors.New("is empty")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
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

// decode reads an image of a known size and brings it to the wanted one: [height, width, channels].
func decode(root *os.Root, name string, size imageSize, gray bool) (pix []uint8, err error) {
	defer func() { // a decoder that breaks on one file must not take the others along
		if r := recover(); r != nil {
			err = fmt.Errorf("its decoder failed: %v", r)
		}
	}()
	f, err := openPicture(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	turn := orientation(r)
	m, _, err := image.Decode(r)
	if err != nil {
		return nil, imageError(err)
	}
	if turn > 1 {
		m = turned{m, turn}
	}
	b := m.Bounds()
	if g, ok := m.(*image.Gray); ok && gray && b.Dy() == size.height && b.Dx() == size.width {
		pix = make([]uint8, 0, size.height*size.width)
		for y := range size.height {
			pix = append(pix, g.Pix[y*g.Stride:y*g.Stride+size.width]...)
		}
		return pix, nil
	}
	flat := image.NewRGBA(image.Rect(0, 0, size.width, size.height))
	draw.Draw(flat, flat.Bounds(), image.White, image.Point{}, draw.Src)
	if b.Dy() == size.height && b.Dx() == size.width {
		draw.Draw(flat, flat.Bounds(), m, b.Min, draw.Over)
	} else {
		draw.CatmullRom.Scale(flat, flat.Bounds(), m, covering(b, size), draw.Over, nil)
	}
	if gray {
		pix = make([]uint8, 0, size.height*size.width)
		for k := 0; k < len(flat.Pix); k += 4 {
			pix = append(pix, flat.Pix[k]) // the channels are alike
		}
		return pix, nil
	}
	pix = make([]uint8, 0, 3*size.height*size.width)
	for k := 0; k < len(flat.Pix); k += 4 {
		pix = append(pix, flat.Pix[k:k+3]...)
	}
	return pix, nil
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
