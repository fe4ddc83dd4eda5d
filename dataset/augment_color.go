package dataset

// colorRoom is what one sample needs while it is resized or changed in color: the values of its pixels, 0 to 255, and where the
// columns of a resized image come from.
type colorRoom struct {
	values  []float32 // [Height, Width, Channels]
	columns []blend
}

// blend is a place between two rows or columns: (1-share) of the first and share of the second.
type blend struct {
	first, second int
	share         float32
}

func newColorRoom(s *Images) *colorRoom {
	return &colorRoom{values: make([]float32, s.pixelsPerImage()), columns: make([]blend, s.Width)}
}

// recolor writes the image, cropped, flipped, changed in color and normalized.
func (s *augmented) recolor(pix []uint8, d *draws, input []float32) {
	room := s.rooms.Get().(*colorRoom)
	defer s.rooms.Put(room)
	if s.by.ResizedCrop > 0 {
		w := s.resizedWindow(d)
		s.resize(pix, w, s.by.Flip && d.coin(), room)
	} else {
		top, left := s.cropAt(d)
		s.shift(pix, top, left, s.by.Flip && d.coin(), room.values)
	}
	values := room.values
	if v := s.by.Brightness; v > 0 {
		scaleFrom(values, 0, float32(d.between(1-v, 1+v)))
	}
	if v := s.by.Contrast; v > 0 {
		scaleFrom(values, s.meanGray(values), float32(d.between(1-v, 1+v)))
	}
	if v := s.by.Saturation; v > 0 {
		factor := float32(d.between(1-v, 1+v))
		for at := 0; at < len(values); at += 3 {
			pixel := values[at : at+3]
			scaleFrom(pixel, gray(pixel), factor)
		}
	}
	for c := range s.Channels {
		scale, shift := s.normalization(c)
		for k := c; k < len(values); k += s.Channels {
			input[k] = float32(values[k]*scale) + shift
		}
	}
}

// scaleFrom moves the values away from a point by a factor, and clamps them to 0..255.
func scaleFrom(values []float32, point, factor float32) {
	rest := float32(point * (1 - factor))
	for k, v := range values {
		values[k] = min(max(float32(v*factor)+rest, 0), 255)
	}
}

// gray returns the luma of ITU-R BT.601 of a pixel of three channels.
func gray(pixel []float32) float32 {
	return float32(0.299*pixel[0]) + float32(0.587*pixel[1]) + float32(0.114*pixel[2])
}

// meanGray returns the mean gray value; images of other than three channels are gray in each.
func (s *augmented) meanGray(values []float32) float32 {
	sum := 0.0
	if s.Channels != 3 {
		for _, v := range values {
			sum += float64(v)
		}
		return float32(sum / float64(len(values)))
	}
	for at := 0; at < len(values); at += 3 {
		sum += float64(gray(values[at : at+3]))
	}
	return float32(sum / float64(len(values)/3))
}

// shift writes the window of a crop, flipped or not, before normalization.
func (s *augmented) shift(pix []uint8, top, left int, flip bool, values []float32) {
	clear(values)
	for y := range s.Height {
		from, inside := s.padded(y+top, s.Height)
		if !inside {
			continue
		}
		for x := range s.Width {
			at := x
			if flip {
				at = s.Width - 1 - x
			}
			column, inside := s.padded(at+left, s.Width)
			if !inside {
				continue
			}
			src, dst := (from*s.Width+column)*s.Channels, (y*s.Width+x)*s.Channels
			for c := range s.Channels {
				values[dst+c] = float32(pix[src+c])
			}
		}
	}
}

// resize writes the part of the image enlarged to the whole, flipped or not: bilinear, with pixels as squares whose values hold
// at their centers.
func (s *augmented) resize(pix []uint8, w window, flip bool, room *colorRoom) {
	for x := range room.columns {
		at := x
		if flip {
			at = s.Width - 1 - x
		}
		room.columns[x] = place(at, s.Width, w.left, w.width)
	}
	width := s.Width * s.Channels
	for y := range s.Height {
		row := place(y, s.Height, w.top, w.height)
		upper, lower := pix[row.first*width:(row.first+1)*width], pix[row.second*width:(row.second+1)*width]
		dst := room.values[y*width : (y+1)*width]
		for x, column := range room.columns {
			a, b := column.first*s.Channels, column.second*s.Channels
			for c := range s.Channels {
				up := mix(float32(upper[a+c]), float32(upper[b+c]), column.share)
				low := mix(float32(lower[a+c]), float32(lower[b+c]), column.share)
				dst[x*s.Channels+c] = mix(up, low, row.share)
			}
		}
	}
}

// place returns where pixel at of n comes from if the pixels from, ..., from+size-1 are stretched over all n.
func place(at, n, from, size int) blend {
	center := (float64(at)+0.5)*float64(size)/float64(n) - 0.5
	center = min(max(center, 0), float64(size-1))
	first := int(center)
	return blend{from + first, from + min(first+1, size-1), float32(center - float64(first))}
}

func mix(a, b, share float32) float32 { return a + float32((b-a)*share) }
