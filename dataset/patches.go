package dataset

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"
)

// Patches is the [Source] of image restoration: square windows of images, a degraded one the input and the clean one the target. It
// implements [Varying]: training sees every patch in one of its eight symmetries and with noise drawn anew, by seed, epoch and
// position; Fill gives it as it is, with noise by position.
//
// Patches are added by [Patches.Add] before anything else is asked of the set.
type Patches struct {
	options PatchOptions
	// channels of an image; 0 before the first Add.
	channels int
	pairs    []Pair
	views    []view
	table    []corner
}

// PatchOptions say how patches are made.
type PatchOptions struct {
	// Size is the height and width of a patch.
	Size int
	// Degradation makes inputs of targets, where a pair has no input of its own.
	Degradation Degradation
	// Evaluated is what Fill draws by where that is not Degradation, such as one sigma of a range; what is not drawn must be alike. It holds
	// for all patches, those that are trained on too: at one sigma their losses and gradients can be compared, where at a sigma drawn for each
	// of them the draw would decide.
	Evaluated Degradation
	// NoiseMap adds a channel to the input, behind those of the image: the sigma of its normal noise, in units of the range.
	NoiseMap bool
	// Symmetries shows training patches in one of the eight flips and rotations of a square, drawn for every epoch.
	Symmetries bool
	// Seed draws the noise of Fill, and which patches are kept where there is a bound.
	Seed uint64
}

// Patch says where a patch comes from.
type Patch struct {
	// Pair is the position of its image in Pairs.
	Pair int
	// Scale is what the image was scaled by before the patch was cut out, and X and Y are its left upper corner there.
	Scale float64
	X, Y  int
}

// view is an image at one scale: what inputs are made from, and the target.
type view struct {
	pair          int
	scale         float64
	input, target *Picture
}

// corner is the left upper corner of a patch in a view.
type corner struct{ view, x, y int32 }

var (
	_ Varying = (*Patches)(nil)
	_ Grouped = (*Patches)(nil)
)

// NewPatches returns an empty set. A size below 1, and a degradation that is out of range, are errors.
func NewPatches(o PatchOptions) (*Patches, error) {
	if o.Size < 1 {
		return nil, fmt.Errorf("patches of %dx%d pixels", o.Size, o.Size)
	}
	if o.NoiseMap && (o.Degradation.Sigma[1] == 0 || o.Degradation != Degradation{Sigma: o.Degradation.Sigma}) {
		return nil, fmt.Errorf("a map of the noise needs normal noise and nothing else, not %s", o.Degradation)
	}
	if err := o.Evaluated.Validate(); err != nil {
		return nil, err
	}
	return &Patches{options: o}, o.Degradation.Validate()
}

// Cut says which patches of images are taken.
type Cut struct {
	// Stride is the number of pixels from a patch to the next, to the right and down.
	Stride int
	// Scales are what the images are scaled by, in (0, 1], beside their own size, 1, which must be among them to count. Nil means 1.
	// Where an image is smaller than a patch at a scale, there is none of it.
	Scales []float64
	// Most bounds the number of patches: of more, so many are drawn. 0 means no bound.
	Most int
}

// Add adds patches of pairs, image by image, and returns their positions. Images smaller than a patch and of other channels than those
// added before, real pairs with a scale other than 1, and no patch at all are errors.
func (s *Patches) Add(ctx context.Context, pairs []Pair, cut Cut) ([]int, error) {
	scales := cut.Scales
	if scales == nil {
		scales = []float64{1}
	}
	if cut.Stride < 1 {
		return nil, fmt.Errorf("a stride of %d pixels", cut.Stride)
	}
	for _, scale := range scales {
		if !(scale > 0 && scale <= 1) {
			return nil, fmt.Errorf("the scales of patches lie in (0, 1], got %v", scale)
		}
	}
	for _, p := range pairs {
		c := p.Clean
		if s.channels == 0 {
			s.channels = c.Channels
		}
		switch {
		case c.Channels != s.channels || p.source().Channels != s.channels:
			return nil, fmt.Errorf("%s has %d channels, and other images %d", c.ID, c.Channels, s.channels)
		case min(c.Height, c.Width) < s.options.Size:
			return nil, fmt.Errorf("%s is of %dx%d pixels, smaller than a patch of %dx%d", c.ID, c.Height, c.Width, s.options.Size, s.options.Size)
		case p.Noisy != nil && !slices.Equal(scales, []float64{1}):
			return nil, fmt.Errorf("real pairs can't be scaled: it changes their noise")
		}
	}
	first, n := len(s.pairs), len(scales)
	s.pairs = append(s.pairs, pairs...)
	views := make([]view, len(pairs)*n)
	inParallel(ctx, len(views), func(k int) {
		if pair, scale := pairs[k/n], scales[k%n]; s.fits(pair.Clean, scale) {
			views[k] = s.view(first+k/n, pair, scale)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var places []corner
	for _, v := range views {
		if v.target == nil {
			continue
		}
		for y := 0; y+s.options.Size <= v.target.Height; y += cut.Stride {
			for x := 0; x+s.options.Size <= v.target.Width; x += cut.Stride {
				places = append(places, corner{int32(len(s.views)), int32(x), int32(y)})
			}
		}
		s.views = append(s.views, v)
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("no patch of %dx%d pixels fits into the images at their scales", s.options.Size, s.options.Size)
	}
	if cut.Most > 0 && cut.Most < len(places) {
		drawn := stream(s.options.Seed, purposePatches, uint64(first)).Perm(len(places))[:cut.Most]
		slices.Sort(drawn)
		for k, i := range drawn {
			places[k] = places[i]
		}
		places = places[:cut.Most]
	}
	at := len(s.table)
	s.table = append(s.table, places...)
	positions := make([]int, len(places))
	for k := range positions {
		positions[k] = at + k
	}
	return positions, nil
}

// scaledSize is the size of a picture at a scale.
func scaledSize(p *Picture, scale float64) (height, width int) {
	return int(math.Round(float64(p.Height) * scale)), int(math.Round(float64(p.Width) * scale))
}

func (s *Patches) fits(p *Picture, scale float64) bool {
	height, width := scaledSize(p, scale)
	return min(height, width) >= s.options.Size
}

// view scales a pair and carries out what of its degradation is not drawn.
func (s *Patches) view(pair int, p Pair, scale float64) view {
	height, width := scaledSize(p.Clean, scale)
	v := view{pair: pair, scale: scale, target: p.Clean.Scaled(height, width)}
	switch {
	case p.Noisy != nil:
		v.input = p.Noisy
	case p.Source != nil:
		v.input = s.options.Degradation.fixed(p.Source.Scaled(height, width))
	default:
		v.input = s.options.Degradation.fixed(v.target)
	}
	return v
}

// Pairs returns the pairs that patches are of.
func (s *Patches) Pairs() []Pair { return s.pairs }

// Options returns how patches are made.
func (s *Patches) Options() PatchOptions { return s.options }

// Patch says where the patch at position i comes from.
func (s *Patches) Patch(i int) Patch {
	at := s.table[i]
	v := s.views[at.view]
	return Patch{Pair: v.pair, Scale: v.scale, X: int(at.x), Y: int(at.y)}
}

// Group implements [Grouped]: patches of one image depend on each other.
func (s *Patches) Group(i int) int { return s.Patch(i).Pair }

// Region returns the part of its image, in pixels of its own size, that the patch at position i shows.
func (s *Patches) Region(i int) image.Rectangle {
	at := s.table[i]
	v := s.views[at.view]
	own := s.pairs[v.pair].Clean
	back := func(at int32, from, to int) int { return int(math.Round(float64(at) * float64(to) / float64(from))) }
	size := int32(s.options.Size)
	return image.Rect(back(at.x, v.target.Width, own.Width), back(at.y, v.target.Height, own.Height),
		back(at.x+size, v.target.Width, own.Width), back(at.y+size, v.target.Height, own.Height))
}

// Planted says what was done on purpose to the target of the patch at position i; see [Pair].
func (s *Patches) Planted(i int) string { return s.pairs[s.views[s.table[i].view].pair].Planted }

// Len returns the number of patches.
func (s *Patches) Len() int { return len(s.table) }

// ID returns the name of the patch at position i: that of its image, the scale where it is not 1, and the left upper corner, such as
// "test_001.png@0.9+40+20".
func (s *Patches) ID(i int) string {
	p := s.Patch(i)
	name := s.pairs[p.Pair].Clean.ID
	if p.Scale != 1 {
		name += fmt.Sprintf("@%g", p.Scale)
	}
	return fmt.Sprintf("%s+%d+%d", name, p.X, p.Y)
}

// Channels returns the channels of an image.
func (s *Patches) Channels() int { return s.channels }

// InputDims returns [Size, Size, channels], with one channel more for the map of the noise.
func (s *Patches) InputDims() []int {
	channels := s.channels
	if s.options.NoiseMap {
		channels++
	}
	return []int{s.options.Size, s.options.Size, channels}
}

// TargetDims returns [Size, Size, channels].
func (s *Patches) TargetDims() []int { return []int{s.options.Size, s.options.Size, s.channels} }

// Fill implements Source: the patch as it is, with noise by Evaluated that is drawn by its position alone.
func (s *Patches) Fill(i int, input, target []float32) {
	s.fill(i, 0, input, target)
	s.degrade(i, input, func(values []float32) float32 {
		return s.evaluated().draw(stream(s.options.Seed, purposePair, uint64(i)), values)
	})
}

func (s *Patches) evaluated() Degradation {
	if s.options.Evaluated.IsZero() {
		return s.options.Degradation
	}
	return s.options.Evaluated
}

// FillEpoch implements Varying.
func (s *Patches) FillEpoch(i int, seed, epoch uint64, input, target []float32) {
	symmetry := 0
	if s.options.Symmetries {
		symmetry = epochStream(seed, purposeSymmetry, epoch, uint64(i)).IntN(8)
	}
	s.fill(i, symmetry, input, target)
	s.degrade(i, input, func(values []float32) float32 {
		return s.options.Degradation.draw(epochStream(seed, purposeDegrade, epoch, uint64(i)), values)
	})
}

// fill writes what the input is made from, and the target, in a symmetry: bit 2 exchanges rows and columns, bit 1 turns the rows around,
// and bit 0 the columns.
func (s *Patches) fill(i, symmetry int, input, target []float32) {
	n, c := s.options.Size, s.channels
	dims := s.InputDims()
	if len(input) != n*n*dims[2] || len(target) != n*n*c {
		panic(fmt.Sprintf("dataset: Fill with slices of %d and %d numbers, want %d and %d", len(input), len(target), n*n*dims[2], n*n*c))
	}
	at := s.table[i]
	v := s.views[at.view]
	write := func(from *Picture, to []float32) {
		k := 0
		for y := range n {
			for x := range n {
				row, column := y, x
				if symmetry&4 != 0 {
					row, column = column, row
				}
				if symmetry&2 != 0 {
					row = n - 1 - row
				}
				if symmetry&1 != 0 {
					column = n - 1 - column
				}
				p := ((int(at.y)+row)*from.Width + int(at.x) + column) * c
				for _, v := range from.Pix[p : p+c] {
					to[k] = float32(v) / 65535
					k++
				}
			}
		}
	}
	write(v.target, target)
	write(v.input, input[:n*n*c])
}

// degrade draws the noise of an input of which the image's channels are filled, one after the other, and puts the map of the noise
// between them where one is asked for.
func (s *Patches) degrade(i int, input []float32, draw func(values []float32) float32) {
	n, c := s.options.Size*s.options.Size, s.channels
	sigma := float32(0)
	if s.pairs[s.views[s.table[i].view].pair].Noisy == nil {
		sigma = draw(input[:n*c])
	}
	if !s.options.NoiseMap {
		return
	}
	for k := n - 1; k >= 0; k-- { // from the end, where there is room
		copy(input[k*(c+1):], input[k*c:(k+1)*c])
		input[k*(c+1)+c] = sigma
	}
}
