package dataset

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Images is a set of labeled 8-bit images of one size. It implements [Source]. Its slices are shared freely
// between sets (a set with label noise has the pixels of the one it was made from), so they are read, not written; a set
// is safe for concurrent use while its fields stay as they are.
//
// The pixels are in memory, in Pix, or, of a set too large for it, in a file that [OpenPictures] made; Err tells whether
// reading it has failed.
type Images struct {
	Name                    string
	Height, Width, Channels int
	Classes                 []string  // names of the classes; a label is an index into it
	Pix                     []uint8   // [Len, Height, Width, Channels]; nil where they are on disk
	Labels                  []int     // current labels, maybe with planted noise
	IDs                     []string  // stable names, distinct, such as "train/00017"
	Original                []int     // labels before noise was planted; nil when none was
	Mean, Std               []float32 // [Channels], in units of pixel/255; nil means 0 and 1
	Notes                   []string  // what a reader of results must know of how the set was read, a line each

	disk *pixelFile // where the pixels are if not in Pix, and
	at   []int      // the place of each image there
}

var _ Source = (*Images)(nil)

// Len returns the number of images.
func (s *Images) Len() int { return len(s.Labels) }

// ID returns the stable name of the image at position i.
func (s *Images) ID(i int) string { return s.IDs[i] }

// InputDims returns [Height, Width, Channels].
func (s *Images) InputDims() []int { return []int{s.Height, s.Width, s.Channels} }

// TargetDims returns [number of classes].
func (s *Images) TargetDims() []int { return []int{len(s.Classes)} }

// Fill writes (pixel/255 - mean) / std into input and the one-hot class into target. It panics when a slice has another
// length than InputDims and TargetDims say.
func (s *Images) Fill(i int, input, target []float32) {
	pix, loan := s.lend(i)
	defer s.takeBack(loan)
	if len(input) != len(pix) || len(target) != len(s.Classes) {
		panic(fmt.Sprintf("dataset: Fill with slices of %d and %d numbers, want %d and %d", len(input), len(target), len(pix), len(s.Classes)))
	}
	for c := range s.Channels {
		scale, shift := s.normalization(c)
		for k := c; k < len(pix); k += s.Channels {
			input[k] = float32(float32(pix[k])*scale) + shift
		}
	}
	clear(target)
	target[s.Labels[i]] = 1
}

// normalization returns scale and shift of channel c: pixel*scale + shift = (pixel/255 - mean) / std.
func (s *Images) normalization(c int) (scale, shift float32) {
	mean, std := 0.0, 1.0
	if s.Mean != nil {
		mean = float64(s.Mean[c])
	}
	if s.Std != nil {
		std = float64(s.Std[c])
	}
	return float32(1 / (255 * std)), float32(-mean / std)
}

// Pixels returns the pixels of the image at position i, [Height, Width, Channels]: those of Pix, or, of a set on disk, a copy. Where
// the disk fails it is black, and Err says so.
func (s *Images) Pixels(i int) []uint8 {
	n := s.pixelsPerImage()
	if s.disk != nil {
		pix := make([]uint8, n)
		s.disk.read(pix, s.at[i])
		return pix
	}
	return s.Pix[i*n : (i+1)*n : (i+1)*n]
}

// lend is Pixels without an allocation: the loan goes to takeBack when the pixels are done with.
func (s *Images) lend(i int) (pix []uint8, loan *[]uint8) {
	if s.disk == nil {
		return s.Pixels(i), nil
	}
	loan = s.disk.loans.Get().(*[]uint8)
	s.disk.read(*loan, s.at[i])
	return *loan, loan
}

func (s *Images) takeBack(loan *[]uint8) {
	if loan != nil {
		s.disk.loans.Put(loan)
	}
}

// Err returns the first failure to read pixels from disk, which nothing else reports. A set in memory has none.
func (s *Images) Err() error {
	if s.disk == nil {
		return nil
	}
	return s.disk.err()
}

// Close removes the file of a set on disk, which all sets made from this one share. They can't be read any more.
func (s *Images) Close() error {
	if s.disk == nil {
		return nil
	}
	return s.disk.close()
}

func (s *Images) pixelsPerImage() int { return s.Height * s.Width * s.Channels }

// Planted reports whether the image at position i carries a planted wrong label.
func (s *Images) Planted(i int) bool { return s.Original != nil && s.Original[i] != s.Labels[i] }

// Validate checks that the fields fit together: sizes, labels within the classes, distinct ids, a usable normalization.
// The error is one line that names the set and the record.
func (s *Images) Validate() error {
	if err := s.validate(); err != nil {
		return fmt.Errorf("data set %s: %w", s.Name, err)
	}
	return nil
}

func (s *Images) validate() error {
	n := len(s.Labels)
	switch {
	case s.Height < 1 || s.Width < 1 || s.Channels < 1:
		return fmt.Errorf("images of %dx%d pixels and %d channels", s.Height, s.Width, s.Channels)
	case n == 0:
		return errors.New("no images")
	case len(s.Classes) == 0:
		return errors.New("no classes")
	case s.disk != nil && (len(s.at) != n || s.disk.size != s.pixelsPerImage()):
		return fmt.Errorf("%d labels but %d images of %d bytes on disk, want %d for %dx%dx%d", n, len(s.at), s.disk.size, s.pixelsPerImage(), s.Height, s.Width, s.Channels)
	case s.disk == nil && len(s.Pix) != n*s.pixelsPerImage():
		return fmt.Errorf("%d labels but %d bytes of pixels, want %d for %dx%dx%d", n, len(s.Pix), n*s.pixelsPerImage(), s.Height, s.Width, s.Channels)
	case len(s.IDs) != n:
		return fmt.Errorf("%d labels but %d ids", n, len(s.IDs))
	case s.Original != nil && len(s.Original) != n:
		return fmt.Errorf("%d labels but %d original labels", n, len(s.Original))
	case s.Mean != nil && len(s.Mean) != s.Channels, s.Std != nil && len(s.Std) != s.Channels:
		return fmt.Errorf("%d means and %d standard deviations for %d channels", len(s.Mean), len(s.Std), s.Channels)
	}
	for c := range s.Mean {
		if m := float64(s.Mean[c]); math.IsNaN(m) || math.IsInf(m, 0) {
			return fmt.Errorf("the mean of channel %d is %v", c, m)
		}
	}
	for c := range s.Std {
		if d := float64(s.Std[c]); !(d > 0) || math.IsInf(d, 0) {
			return fmt.Errorf("the standard deviation of channel %d is %v", c, d)
		}
	}
	seen := make(map[string]int, n)
	for i, id := range s.IDs {
		if first, twice := seen[id]; twice {
			return fmt.Errorf("records %d and %d have the same id %q", first, i, id)
		}
		seen[id] = i
		if err := s.checkLabel(s.Labels[i]); err != nil {
			return fmt.Errorf("record %d (%s): %w", i, id, err)
		}
		if s.Original != nil {
			if err := s.checkLabel(s.Original[i]); err != nil {
				return fmt.Errorf("record %d (%s): original %w", i, id, err)
			}
		}
	}
	return nil
}

func (s *Images) checkLabel(label int) error {
	if label < 0 || label >= len(s.Classes) {
		return fmt.Errorf("label %d is out of range: %d classes", label, len(s.Classes))
	}
	return nil
}

// Subset returns the images at the given positions, in that order, as a set of its own. Ids, planted labels and the
// normalization survive. It panics when a position is out of range.
func (s *Images) Subset(idx []int) *Images {
	t := *s
	t.Pix, t.at = nil, nil
	if s.disk == nil {
		t.Pix = make([]uint8, 0, len(idx)*s.pixelsPerImage())
	}
	t.Labels = make([]int, len(idx))
	t.IDs = make([]string, len(idx))
	if s.Original != nil {
		t.Original = make([]int, len(idx))
	}
	for k, i := range idx {
		if s.disk != nil {
			t.at = append(t.at, s.at[i])
		} else {
			t.Pix = append(t.Pix, s.Pixels(i)...)
		}
		t.Labels[k] = s.Labels[i]
		t.IDs[k] = s.IDs[i]
		if s.Original != nil {
			t.Original[k] = s.Original[i]
		}
	}
	return &t
}

// Concat returns the images of a followed by those of b. The sets must agree in size, classes and normalization, and no id
// may occur in both. The name is a's, joined with b's where they differ.
func Concat(a, b *Images) (*Images, error) {
	join := func(format string, args ...any) (*Images, error) {
		return nil, fmt.Errorf("data sets %s and %s can't be joined: %w", a.Name, b.Name, fmt.Errorf(format, args...))
	}
	switch {
	case !slices.Equal(a.InputDims(), b.InputDims()):
		return join("images of %v and of %v", a.InputDims(), b.InputDims())
	case !slices.Equal(a.Classes, b.Classes):
		return join("different classes")
	case !slices.Equal(a.Mean, b.Mean) || !slices.Equal(a.Std, b.Std):
		return join("different normalization")
	}
	ids := make(map[string]bool, len(a.IDs))
	for _, id := range a.IDs {
		ids[id] = true
	}
	for i, id := range b.IDs {
		if ids[id] {
			return join("record %d of the second has the id %q, which the first has too", i, id)
		}
	}
	t := *a
	if a.Name != b.Name {
		t.Name = a.Name + "+" + b.Name
	}
	t.Pix, t.disk, t.at = joinedPixels(a, b)
	t.Labels = slices.Concat(a.Labels, b.Labels)
	t.IDs = slices.Concat(a.IDs, b.IDs)
	t.Notes = slices.Concat(a.Notes, b.Notes)
	if a.Original != nil || b.Original != nil {
		t.Original = slices.Concat(a.originalLabels(), b.originalLabels())
	}
	return &t, nil
}

// joinedPixels returns the pixels of a and then those of b, in memory or on disk, copying as little as can be.
func joinedPixels(a, b *Images) (pix []uint8, disk *pixelFile, at []int) {
	switch {
	case a.disk != nil && a.disk == b.disk:
		return nil, a.disk, slices.Concat(a.at, b.at)
	case a.disk == nil && b.disk == nil && adjacent(a.Pix, b.Pix):
		return a.Pix[:len(a.Pix)+len(b.Pix)], nil, nil
	case a.disk == nil && b.disk == nil:
		return slices.Concat(a.Pix, b.Pix), nil, nil
	}
	for _, s := range []*Images{a, b} {
		for i := range s.Len() {
			pix = append(pix, s.Pixels(i)...)
		}
	}
	return pix, nil, nil
}

// adjacent says whether b follows a in the same array, as the parts of a set that was read in one go do.
func adjacent(a, b []uint8) bool {
	return len(a) > 0 && len(b) > 0 && cap(a) >= len(a)+len(b) && &a[:len(a)+1][len(a)] == &b[0]
}

// originalLabels returns the labels before noise, which are the labels where none was planted.
func (s *Images) originalLabels() []int {
	if s.Original != nil {
		return s.Original
	}
	return s.Labels
}

// sequentialIDs returns part/00000, part/00001, ...: five digits, more where n needs them, so that ids sort by number.
func sequentialIDs(part string, n int) []string {
	digits := max(5, len(fmt.Sprint(n-1)))
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s/%0*d", part, digits, i)
	}
	return ids
}
