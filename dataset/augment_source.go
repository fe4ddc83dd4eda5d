package dataset

import (
	"fmt"
	"image"
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
)

// augmented is a set of images whose training samples are varied. Fill, and everything but FillEpoch, is that of the images.
type augmented struct {
	*Images
	by Augmentation
	// normal[c][v] is what Fill makes of the pixel value v in channel c.
	normal [][256]float32
	// rooms holds *colorRoom, for what is resized or changed in color.
	rooms sync.Pool
}

var _ Varying = (*augmented)(nil)

// Augmented returns the source with its training samples varied, and with everything else as it is: positions, ids, and what
// Fill gives for evaluation and scoring. The draws of a sample depend on the seed of training, the epoch and the position only,
// so two trainings from one seed on different subsets show a sample they share in the same way. The normalization is that which
// the images have now.
//
// Values out of range, images that an augmentation does not fit, and a source of other things than images with classes are
// errors. The zero augmentation varies nothing.
func Augmented(src Source, by Augmentation) (Varying, error) {
	if err := by.Validate(); err != nil {
		return nil, err
	}
	images, ok := src.(*Images)
	switch {
	case !ok:
		return nil, fmt.Errorf("the augmentation %s is for images with classes, and can't vary other samples", by)
	case by.Saturation > 0 && images.Channels != 3:
		return nil, fmt.Errorf("data set %s: saturation needs images of three channels, these have %d", images.Name, images.Channels)
	case by.Reflect && by.Crop >= min(images.Height, images.Width):
		return nil, fmt.Errorf("data set %s: images of %dx%d pixels can't be padded by %d by reflection", images.Name, images.Height, images.Width, by.Crop)
	}
	s := &augmented{Images: images, by: by, normal: images.values()}
	s.rooms.New = func() any { return newColorRoom(images) }
	return s, nil
}

// FillEpoch implements Varying.
func (s *augmented) FillEpoch(i int, seed, epoch uint64, input, target []float32) {
	pix, loan := s.lend(i)
	defer s.takeBack(loan)
	if len(input) != len(pix) || len(target) != len(s.Classes) {
		panic(fmt.Sprintf("dataset: FillEpoch with slices of %d and %d numbers, want %d and %d", len(input), len(target), len(pix), len(s.Classes)))
	}
	d := newDraws(seed, epoch, i)
	if s.recolors() {
		s.recolor(pix, &d, input)
		s.cutOut(s.cutAt(&d), input)
	} else {
		v := s.view(&d)
		s.cropAndFlip(pix, v, input)
		s.cutOut(v.Cut, input)
	}
	clear(target)
	target[s.Labels[i]] = 1
}

// recolors says whether pixels take other values than those of the image.
func (s *augmented) recolors() bool {
	return s.by.ResizedCrop > 0 || s.by.Brightness > 0 || s.by.Contrast > 0 || s.by.Saturation > 0
}

// view draws how a sample is shown that is not recolored.
func (s *augmented) view(d *draws) View {
	var v View
	v.Top, v.Left = s.cropAt(d)
	v.Flip = s.by.Flip && d.coin()
	v.Cut = s.cutAt(d)
	return v
}

// cropAndFlip writes the image, cropped, flipped and normalized.
func (s *augmented) cropAndFlip(pix []uint8, v View, input []float32) {
	width, channels := s.Width, s.Channels
	for y := range s.Height {
		row := input[y*width*channels : (y+1)*width*channels]
		from, inside := s.padded(y+v.Top, s.Height)
		if !inside {
			for c := range channels {
				black := s.normal[c][0]
				for k := c; k < len(row); k += channels {
					row[k] = black
				}
			}
			continue
		}
		line := pix[from*width*channels : (from+1)*width*channels]
		for x := range width {
			at := x
			if v.Flip {
				at = width - 1 - x
			}
			column, inside := s.padded(at+v.Left, width)
			dst := row[x*channels : (x+1)*channels]
			if !inside {
				for c := range dst {
					dst[c] = s.normal[c][0]
				}
				continue
			}
			src := line[column*channels : (column+1)*channels]
			for c := range dst {
				dst[c] = s.normal[c][src[c]]
			}
		}
	}
}

// cropAt draws where the window of a crop begins in the image, from -Crop to Crop in each direction.
func (s *augmented) cropAt(d *draws) (top, left int) {
	if s.by.Crop == 0 {
		return 0, 0
	}
	return d.below(2*s.by.Crop+1) - s.by.Crop, d.below(2*s.by.Crop+1) - s.by.Crop
}

// padded returns the row or column, of n, that a place in the padded image shows; inside is false where it is black.
func (s *augmented) padded(at, n int) (from int, inside bool) {
	if uint(at) < uint(n) {
		return at, true
	}
	if !s.by.Reflect {
		return 0, false
	}
	if at < 0 {
		return -at, true
	}
	return 2*(n-1) - at, true
}

// cutAt draws the square that cutout covers; it is empty without.
func (s *augmented) cutAt(d *draws) image.Rectangle {
	side := s.by.Cutout
	if side == 0 {
		return image.Rectangle{}
	}
	y, x := d.below(s.Height), d.below(s.Width)
	top, left := y-side/2, x-side/2
	return image.Rect(left, top, left+side, top+side).Intersect(image.Rect(0, 0, s.Width, s.Height))
}

// cutOut sets a part of the image to 0.
func (s *augmented) cutOut(part image.Rectangle, input []float32) {
	for y := part.Min.Y; y < part.Max.Y; y++ {
		row := input[y*s.Width*s.Channels : (y+1)*s.Width*s.Channels]
		clear(row[part.Min.X*s.Channels : part.Max.X*s.Channels])
	}
}

// draws is the stream of random numbers of one sample in one epoch; see the package comment.
type draws struct{ pcg rand.PCG }

func newDraws(seed, epoch uint64, position int) draws {
	var d draws
	h := splitMix64(splitMix64(splitMix64(splitMix64(seed)+uint64(purposeAugment))+epoch) + uint64(position))
	d.pcg.Seed(h, splitMix64(h))
	return d
}

// below draws from 0, ..., n-1: the product of Lemire (2019), whose bias of n/2^64 is beyond notice.
func (d *draws) below(n int) int {
	high, _ := bits.Mul64(d.pcg.Uint64(), uint64(n))
	return int(high)
}

func (d *draws) coin() bool { return d.pcg.Uint64()>>63 == 1 }

// between draws uniformly from [low, high).
func (d *draws) between(low, high float64) float64 {
	return low + float64((high-low)*float64(d.pcg.Uint64()>>11)/(1<<53))
}

// window is a part of an image.
type window struct{ top, left, height, width int }

// resizedWindow draws the part that a resized crop shows. As is usual, a shape that does not fit is drawn anew, ten times; after
// that it is the largest part in the middle whose shape is in range.
func (s *augmented) resizedWindow(d *draws) window {
	const least, most = 3.0 / 4, 4.0 / 3
	for range 10 {
		area := d.between(s.by.ResizedCrop, 1) * float64(s.Height*s.Width)
		aspect := math.Exp(d.between(math.Log(least), math.Log(most)))
		h, w := int(math.Round(math.Sqrt(area/aspect))), int(math.Round(math.Sqrt(area*aspect)))
		if h >= 1 && w >= 1 && h <= s.Height && w <= s.Width {
			return window{d.below(s.Height - h + 1), d.below(s.Width - w + 1), h, w}
		}
	}
	h, w := s.Height, s.Width
	switch aspect := float64(w) / float64(h); {
	case aspect < least:
		h = max(1, int(math.Round(float64(w)/least)))
	case aspect > most:
		w = max(1, int(math.Round(float64(h)*most)))
	}
	return window{(s.Height - h) / 2, (s.Width - w) / 2, h, w}
}
