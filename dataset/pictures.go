package dataset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
)

// Names of the ways in which a person's own images become a data set, for settings that name one. [OpenPictures] reads them.
const (
	// FolderName is that of a folder that holds a folder of images for each class.
	FolderName = "folder"
	// ManifestName is that of a text file with the path and the label of an image a line.
	ManifestName = "manifest"
	// ParquetName is that of one or several Parquet files of images, or of their paths, and labels.
	ParquetName = "parquet"
)

// PicturesNames lists the names that [OpenPictures] takes.
func PicturesNames() []string { return []string{FolderName, ManifestName, ParquetName} }

const (
	// defaultSide is the side that images of different sizes are brought to where no size is asked for.
	defaultSide = 64
	// DefaultPixelMemory bounds the decoded pixels in memory, in bytes, where nothing else is asked for. What is on disk beyond that
	// comes from the system's file cache as long as there is memory to spare, so a larger bound gains little.
	DefaultPixelMemory = 2 << 30
	// mostSetBytes bounds the decoded pixels of a set, in bytes.
	mostSetBytes = 1 << 40
)

// PictureOptions say how images of all kinds and sizes become a data set. The zero value means the defaults.
type PictureOptions struct {
	// Height and Width are the size that images are brought to: scaled until they cover it, and cropped around their center. 0
	// means the size that all of them have or, where they differ, 64x64.
	Height, Width int
	// SkipUnreadable leaves out what can't be read, and Pictures.Skipped lists it. Otherwise it is an [*UnreadableError].
	SkipUnreadable bool
	// Columns names the columns of a manifest or a Parquet file.
	Columns Columns
	// Memory is how many bytes of decoded pixels may be kept in memory. More of them go into a file, wholly, and are read from
	// there; [Images.Close] removes it. 0 means DefaultPixelMemory.
	Memory int64
	// Scratch is the folder for that file; empty means the folder scratch in the user's cache, see [CacheDir].
	Scratch string
}

// Pictures is what [OpenPictures] reads.
type Pictures struct {
	// Train holds the images to train on and to choose by, and Test the official test set, nil where there is none.
	Train, Test *Images
	// Skipped lists what could not be read, in the order of the records.
	Skipped []Unreadable
	// Sizes tells of the sizes that the others have before they are brought to one.
	Sizes SizeRange
}

// OpenPictures reads images of a person's own: a folder ([FolderName]), a manifest ([ManifestName]) or Parquet files
// ([ParquetName]) at the path; [RecognizePictures] tells which it is.
//
// Images may be PNG, JPEG, GIF (the first frame), BMP, TIFF and WebP, told apart by their content. JPEG files are turned upright
// as their EXIF orientation says, transparent pixels are laid on white, and of 16 bits the upper 8 count. The set is gray if all
// images are, else it has three channels. Images whose size differs are scaled (Catmull-Rom) and cropped; see PictureOptions.
// Classes are sorted by name, numbers in names by value, unless the data declare them. The same data give the same bits,
// whatever the number of processors and wherever the pixels are kept.
//
// Records may say which part they belong to: test is the official test set, val, valid and validation join train. Paths
// and links that lead out of the folder are not followed. A class without images, fewer than two classes and a test class that
// there is none of in training are an [*InputError].
func OpenPictures(ctx context.Context, name, path string, o PictureOptions) (*Pictures, error) {
	var list func(ctx context.Context, path string, o PictureOptions) (*collection, error)
	switch name {
	case FolderName:
		list = listFolder
	case ManifestName:
		list = listManifest
	case ParquetName:
		list = listParquet
	default:
		return nil, fmt.Errorf("%q is no kind of images; known: %v", name, PicturesNames())
	}
	o.Memory = cmp.Or(o.Memory, DefaultPixelMemory)
	c, err := list(ctx, path, o)
	if err != nil {
		return nil, err
	}
	defer c.album.close()
	if err := c.check(); err != nil {
		return nil, err
	}
	return c.read(ctx, o)
}

// OpenFolder reads a folder that holds a folder for every class, with images in it at any depth; other files are passed over, and
// whatever has a name that begins with a dot. Where the folder holds one named train instead, the classes are in there, and in test
// and val beside it. Ids are paths within the folder. A link to a folder is an [*InputError]: none is followed. For the rest it is
// [OpenPictures].
func OpenFolder(ctx context.Context, dir string, o PictureOptions) (*Pictures, error) {
	return OpenPictures(ctx, FolderName, dir, o)
}

// picture is a record on its way to become an image of the set.
type picture struct {
	id    string // the image's
	where string // what messages call it
	class int
	test  bool
	info  pictureInfo
	err   error
}

// album is where the pictures of a collection are.
type album interface {
	// each calls look with the content of every picture that has no error yet, from several goroutines, and puts what look
	// returns, or what keeps it from being called, into picture.err. A cancelled context stops it; what it returns concerns the
	// whole collection.
	each(ctx context.Context, pictures []picture, look func(i int, content io.Reader) error) error
	close() error
}

// collection is a set of pictures before it is read.
type collection struct {
	path     string // for messages
	name     string // of the set
	pictures []picture
	classes  []string
	album    album
	notes    []string
}

// check reports what no image needs to be read for: no classes to tell apart, and classes that are tested on only.
func (c *collection) check() error {
	trained, tested := make([]bool, len(c.classes)), make([]bool, len(c.classes))
	for _, p := range c.pictures {
		if p.test {
			tested[p.class] = true
		} else {
			trained[p.class] = true
		}
	}
	switch {
	case len(c.pictures) == 0:
		return inputErrorf(c.path, "holds no images")
	case len(c.classes) < 2:
		return inputErrorf(c.path, "holds one class, %q; there must be at least two", c.classes[0])
	}
	for k := range c.classes {
		switch {
		case trained[k]:
		case tested[k]:
			return inputErrorf(c.path, "class %q is tested on and not trained on", c.classes[k])
		default:
			return errNoImage(c.path, c.classes[k])
		}
	}
	return nil
}

func errNoImage(path, class string) error {
	return inputErrorf(path, "class %q has no image to train on", class)
}

// read looks at all pictures, settles the size and the channels, and decodes.
func (c *collection) read(ctx context.Context, o PictureOptions) (*Pictures, error) {
	pictures := c.pictures
	err := c.album.each(ctx, pictures, func(i int, content io.Reader) (err error) {
		pictures[i].info, err = inspect(content)
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	size, gray, note := o.resolve(pictures)
	channels := 3
	if gray {
		channels = 1
	}
	bytes := size.height * size.width * channels
	if total := int64(bytes) * int64(len(pictures)); total > mostSetBytes {
		return nil, inputErrorf(c.path, "%d images of %dx%d take %d GiB, more than the %d that a set may: ask for a smaller --image-size",
			len(pictures), size.height, size.width, total>>30, mostSetBytes>>30)
	}
	pixels, err := c.decode(ctx, o, size, channels)
	if err != nil {
		return nil, err
	}
	f := pixels.assemble(c, size, channels)
	if err := c.finish(f, o, note, pixels.digests); err != nil {
		if pixels.disk != nil {
			_ = pixels.disk.close()
		}
		return nil, err
	}
	return f, nil
}

// finish reports what is wrong with the whole, and notes what a reader of results must know.
func (c *collection) finish(f *Pictures, o PictureOptions, note string, digests [][sha256.Size]byte) error {
	var sizes []imageSize
	for _, p := range c.pictures {
		if p.err != nil {
			f.Skipped = append(f.Skipped, Unreadable{p.where, p.err})
		} else {
			sizes = append(sizes, p.info.size)
		}
	}
	f.Sizes = sizeRange(sizes)
	if len(f.Skipped) > 0 {
		e := &UnreadableError{Dir: c.path, Files: f.Skipped}
		if !o.SkipUnreadable {
			return e
		}
		f.Train.Notes = e.lines("left out that can't be read")
	}
	f.Train.Notes = append(f.Train.Notes, c.notes...)
	if note != "" {
		f.Train.Notes = append(f.Train.Notes, c.path+": "+note)
	}
	if f.Test.Len() == 0 {
		f.Test = nil
	} else if n, first := c.overlap(digests); n > 0 {
		f.Train.Notes = append(f.Train.Notes, fmt.Sprintf("%s: %d of %d test images are among the training images too, such as %s: the test flatters", c.path, n, f.Test.Len(), first))
	}
	counts := make([]int, len(c.classes))
	for _, l := range f.Train.Labels {
		counts[l]++
	}
	for k, n := range counts {
		if n == 0 {
			return errNoImage(c.path, c.classes[k])
		}
	}
	return nil
}

// overlap counts the test images whose pixels a training image has, and names the first one.
func (c *collection) overlap(digests [][sha256.Size]byte) (n int, first string) {
	seen := make(map[[sha256.Size]byte]bool, len(digests))
	for _, test := range []bool{false, true} {
		for i, p := range c.pictures {
			switch {
			case p.err != nil || p.test != test:
			case !test:
				seen[digests[i]] = true
			case seen[digests[i]]:
				if n == 0 {
					first = p.where
				}
				n++
			}
		}
	}
	return n, first
}

// resolve settles the size of all images and whether they are gray, and says what of it a person should know.
func (o PictureOptions) resolve(pictures []picture) (size imageSize, gray bool, note string) {
	gray = true
	var least, most imageSize
	differ := false
	for _, p := range pictures {
		if p.err != nil {
			continue
		}
		gray = gray && p.info.gray
		s := p.info.size
		if least.height == 0 {
			least, most = s, s
		}
		differ = differ || s != least
		if s.height*s.width < least.height*least.width {
			least = s
		}
		if s.height*s.width > most.height*most.width {
			most = s
		}
	}
	switch {
	case o.Height > 0:
		return imageSize{o.Height, o.Width}, gray, ""
	case !differ && least.height > 0:
		return least, gray, ""
	}
	size = imageSize{defaultSide, defaultSide}
	return size, gray, fmt.Sprintf("sizes differ, from %v to %v: images are scaled and cropped to %v (--image-size sets another)", least, most, size)
}

// setName is the name of a set that is read from the path.
func setName(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return filepath.Base(path)
}
