package dataset

import (
	"bufio"
	"encoding/binary"
	"image"
	"image/color"
)

// turn is an EXIF orientation, 1 to 8: how an image is stored (EXIF 2.3, tag 0x0112). 0 and 1 are upright.
type turn int

// swaps says whether height and width are exchanged.
func (t turn) swaps() bool { return t >= 5 && t <= 8 }

// exifWindow is how much of a file is searched for its orientation.
const exifWindow = 1 << 12

// orientation looks for the EXIF orientation at the start of a JPEG file and leaves the reader where it is. Anything out of order
// counts as upright: the decoder has the word about the file.
func orientation(r *bufio.Reader) turn {
	head, _ := r.Peek(min(exifWindow, r.Size())) // of a shorter file, what there is
	if len(head) < 4 || head[0] != 0xff || head[1] != 0xd8 {
		return 1
	}
	for at := 2; at+4 <= len(head) && head[at] == 0xff; {
		marker, size := head[at+1], int(binary.BigEndian.Uint16(head[at+2:]))
		if marker == 0xda || size < 2 {
			return 1
		}
		body := head[at+4 : min(len(head), at+2+size)]
		if marker == 0xe1 && len(body) > 14 && string(body[:6]) == "Exif\x00\x00" {
			return tiffOrientation(body[6:])
		}
		at += 2 + size
	}
	return 1
}

// tiffOrientation reads tag 0x0112 of the first directory of a TIFF header.
func tiffOrientation(b []byte) turn {
	var order binary.ByteOrder = binary.LittleEndian
	switch string(b[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := uint64(order.Uint32(b[4:]))
	if at+2 > uint64(len(b)) {
		return 1
	}
	entries := uint64(order.Uint16(b[at:]))
	for k := range entries {
		e := at + 2 + 12*k
		if e+12 > uint64(len(b)) {
			return 1
		}
		if order.Uint16(b[e:]) == 0x0112 && order.Uint16(b[e+2:]) == 3 && order.Uint32(b[e+4:]) == 1 {
			if v := turn(order.Uint16(b[e+8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
	}
	return 1
}

// turned is an image upright.
type turned struct {
	image.Image
	turn turn
}

// Bounds implements image.Image.
func (t turned) Bounds() image.Rectangle {
	b := t.Image.Bounds()
	if t.turn.swaps() {
		return image.Rect(0, 0, b.Dy(), b.Dx())
	}
	return image.Rect(0, 0, b.Dx(), b.Dy())
}

// At implements image.Image.
func (t turned) At(x, y int) color.Color {
	b := t.Image.Bounds()
	right, bottom := b.Dx()-1, b.Dy()-1
	switch t.turn {
	case 2:
		x = right - x
	case 3:
		x, y = right-x, bottom-y
	case 4:
		y = bottom - y
	case 5:
		x, y = y, x
	case 6:
		x, y = y, bottom-x
	case 7:
		x, y = right-y, bottom-x
	case 8:
		x, y = right-y, x
	}
	return t.Image.At(b.Min.X+x, b.Min.Y+y)
}
