package dataset

import (
	"bufio"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"io"
)

// isGrayGIF says whether all colors of a GIF file's first frame are gray, those aside that are transparent. The reader is behind the
// palette for all frames, which may be empty; a frame with a palette of its own has nothing to do with it (GIF89a, sections 19 to 23).
func isGrayGIF(r *bufio.Reader, all color.Model) (bool, error) {
	palette, _ := all.(color.Palette)
	transparent := -1
	for {
		kind, err := r.ReadByte()
		if err != nil {
			return false, err
		}
		switch kind {
		case '!':
			if err := skipExtension(r, &transparent); err != nil {
				return false, err
			}
		case ',':
			var frame [9]byte
			if _, err := io.ReadFull(r, frame[:]); err != nil {
				return false, err
			}
			if flags := frame[8]; flags&0x80 != 0 {
				if palette, err = readPalette(r, 2<<(flags&7)); err != nil {
					return false, err
				}
			}
			if transparent >= 0 && transparent < len(palette) {
				palette[transparent] = color.White // which it is laid on
			}
			return isGray(palette), nil
		default:
			return false, errors.New("is a GIF without an image")
		}
	}
}

// skipExtension reads over an extension. Where it sets the color that is transparent, transparent becomes its number.
func skipExtension(r *bufio.Reader, transparent *int) error {
	label, err := r.ReadByte()
	if err != nil {
		return err
	}
	for {
		n, err := r.ReadByte()
		if n == 0 || err != nil {
			return err
		}
		var block [255]byte
		if _, err := io.ReadFull(r, block[:n]); err != nil {
			return err
		}
		if label == 0xf9 && n == 4 && block[0]&1 != 0 {
			*transparent = int(block[3])
		}
	}
}

// readPalette reads n colors.
func readPalette(r *bufio.Reader, n int) (color.Palette, error) {
	var table [3 * 256]byte
	if _, err := io.ReadFull(r, table[:3*n]); err != nil {
		return nil, err
	}
	palette := make(color.Palette, n)
	for k := range palette {
		palette[k] = color.RGBA{table[3*k], table[3*k+1], table[3*k+2], 255}
	}
	return palette, nil
}

// screenGIF returns what a GIF file's frames are placed on, and leaves the reader where it is. Of other files it returns anything.
func screenGIF(r *bufio.Reader) image.Rectangle {
	head, _ := r.Peek(10)
	if len(head) < 10 {
		return image.Rectangle{}
	}
	return image.Rect(0, 0, int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:])))
}

// placed is a frame at its place on a screen, which is transparent elsewhere.
type placed struct {
	image.Image
	screen image.Rectangle
}

// Bounds implements image.Image.
func (p placed) Bounds() image.Rectangle { return p.screen }

// At implements image.Image.
func (p placed) At(x, y int) color.Color {
	if !(image.Point{X: x, Y: y}).In(p.Image.Bounds()) {
		return color.RGBA{}
	}
	return p.Image.At(x, y)
}
