package dataset

import "image"

// Stored is a Source of which batches can be made elsewhere than here, such as on a GPU: its samples are what is said of them
// in a Store, and nothing else.
type Stored interface {
	Source
	// Store returns what the samples are made of. ok is false where it can't: the pixels are on disk, or training samples are
	// varied by more than a [View].
	Store() (s Store, ok bool)
}

// Store is what the samples of a [Stored] source are made of. Its slices are shared: they are read, not written.
type Store struct {
	// Pix holds the pixels, [Len, height, width, channels], and Labels the classes, of which a target is the one-hot vector.
	Pix    []uint8
	Labels []int
	// Values[c][v] is the number in the input that the pixel value v of channel c becomes.
	Values [][256]float32
	// View returns how training from a seed shows the sample at position i in an epoch, as [Varying].FillEpoch does. It is nil
	// where that is as it is stored, in every epoch.
	View func(i int, seed, epoch uint64) View
	// Reflect says how a View goes on beyond the border: by reflection about the border pixels, else in black, the pixel value 0.
	Reflect bool
}

// View is how training shows an image: row y and column x show the pixel of row y+Top and column x'+Left, where x' is x or, with
// Flip, that from the right, width-1-x. What Cut covers of the result, in rows and columns from the top left, is 0.
type View struct {
	Top, Left int
	Flip      bool
	Cut       image.Rectangle
}

var (
	_ Stored = (*Images)(nil)
	_ Stored = (*augmented)(nil)
)

// Store implements Stored: for images in memory.
func (s *Images) Store() (Store, bool) {
	if s.disk != nil {
		return Store{}, false
	}
	return Store{Pix: s.Pix, Labels: s.Labels, Values: s.values()}, true
}

// values returns for every channel what Fill makes of each pixel value.
func (s *Images) values() [][256]float32 {
	values := make([][256]float32, s.Channels)
	for c := range values {
		scale, shift := s.normalization(c)
		for v := range values[c] {
			values[c][v] = float32(float32(v)*scale) + shift
		}
	}
	return values
}

// Store implements Stored: for images in memory that are cropped, flipped and cut out of.
func (s *augmented) Store() (Store, bool) {
	store, ok := s.Images.Store()
	if !ok || s.recolors() {
		return Store{}, false
	}
	store.Values, store.Reflect = s.normal, s.by.Reflect
	if !s.by.IsZero() {
		store.View = func(i int, seed, epoch uint64) View {
			d := newDraws(seed, epoch, i)
			return s.view(&d)
		}
	}
	return store, true
}
