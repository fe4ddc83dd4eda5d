package dataset

import (
	"bufio"
	"bytes"
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
	"path/filepath"
	"strings"
	"sync/atomic"

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

// Small files are kept in memory between the first look at their headers and their decoding, so that they are opened once: those of up
// to keptFile bytes, and keptBytes in all.
const (
	keptFile  = 1 << 16
	keptBytes = 1 << 28
)

// inspect reads the header of the file. room is what may be kept of files.
func (p *pictureFile) inspect(root *os.Root, room *atomic.Int64) { p.info, p.err = p.look(root, room) }

func (p *pictureFile) look(root *os.Root, room *atomic.Int64) (pictureInfo, error) {
	f, size, err := p.open(root)
	if err != nil {
		return pictureInfo{}, err
	}
	defer f.Close()
	var in io.Reader = f
	if size <= keptFile && room.Add(-size) >= 0 {
		p.raw = make([]byte, size)
		if _, err := io.ReadFull(f, p.raw); err != nil {
			return pictureInfo{}, imageError(err)
		}
		in = bytes.NewReader(p.raw)
	}
	r := bufio.NewReader(in)
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

// open opens the file, which must be a regular one, and returns its size. A link is followed within the root only; the way to
// other files has been walked without following one, and takes no second look.
func (p *pictureFile) open(root *os.Root) (*os.File, int64, error) {
	var f *os.File
	var err error
	if p.linked {
		f, err = root.Open(p.path)
	} else {
		f, err = os.Open(filepath.Join(root.Name(), filepath.FromSlash(p.path)))
	}
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		if err.Error() == "path escapes from parent" {
			err = errEscapes
		}
		return nil, 0, err
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
		return nil, 0, err
	}
	return f, info.Size(), nil
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

// decode reads the image and brings it to the size: [height, width, channels].
func (p *pictureFile) decode(root *os.Root, size imageSize, gray bool) (pix []uint8, err error) {
	defer func() { // a decoder that breaks on one file must not take the others along
		if r := recover(); r != nil {
			err = fmt.Errorf("its decoder failed: %v", r)
		}
	}()
	var in io.Reader = bytes.NewReader(p.raw)
	if p.raw == nil {
		f, _, err := p.open(root)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	p.raw = nil
	r := bufio.NewReader(in)
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
