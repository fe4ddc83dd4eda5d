package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Picture is an image of any size for restoration. It is read, not written.
type Picture struct {
	// ID names it: its path in its folder.
	ID                      string
	Height, Width, Channels int
	// Pix holds [Height, Width, Channels], 0 for black and 65535 for white. A value v of 8 bits is v*257.
	Pix []uint16
	// Depth is the number of bits of a value in the file that it is from: 8 or 16.
	Depth int
}

// ColorModes are the values of PictureFolderOptions.Color.
var ColorModes = []string{"auto", "gray", "color"}

// PictureFolderOptions say how the images of a folder become pictures.
type PictureFolderOptions struct {
	// Color is "gray", "color" or "auto", which empty means: gray if all images are.
	Color string
	// Least is the least height and width; a smaller image can't be read.
	Least int
	// SkipUnreadable leaves out what can't be read, with a note. Otherwise it is an [*UnreadableError].
	SkipUnreadable bool
}

// PictureFolder is what [OpenPictureFolder] finds.
type PictureFolder struct {
	Dir string
	// All is sorted by name, numbers in names by value.
	All []*Picture
	// Skipped lists what could not be read, and Notes what a reader of results must know, a line each.
	Skipped []Unreadable
	Notes   []string
}

// OpenPictureFolder reads the images in a folder, at any depth and in their own sizes: PNG, JPEG, GIF (its first frame), BMP, TIFF and
// WebP, told apart by their content; other files are passed over. JPEG files are turned upright as their EXIF orientation says,
// transparent pixels are laid on white, and palettes are resolved. All pictures have one channel or all have three. Gray is
// 0.299 R + 0.587 G + 0.114 B.
//
// A folder that is not there or holds no image, and a link to a folder in it, are an [*InputError].
func OpenPictureFolder(ctx context.Context, dir string, o PictureFolderOptions) (*PictureFolder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fileError(dir, err)
	}
	defer root.Close()
	var files []folderFile
	err = walkPictures(ctx, root, dir, ".", func(name string, plain bool) {
		files = append(files, folderFile{path: name, plain: plain})
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, inputErrorf(dir, "holds no images")
	}
	slices.SortFunc(files, func(a, b folderFile) int { return compareNatural(a.path, b.path) })
	return readFolder(ctx, root, dir, files, o)
}

// OpenPicture reads one image file in its own colors.
func OpenPicture(path string) (*Picture, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fileError(path, err)
	}
	defer root.Close()
	album := newFileAlbum(root, 0)
	album.add(filepath.Base(path), true) // a link is followed wherever it leads: a person named this file
	album.kept = make([][]byte, 1)
	p, err := readPicture(album, 0, 1)
	if err != nil {
		return nil, &InputError{Path: path, Err: err}
	}
	return p.Picture, nil
}

// pictureRead is a picture with what a reader of results must know of its file.
type pictureRead struct {
	*Picture
	animated, transparent bool
}

// readPicture reads a file of an album that keeps none in memory.
func readPicture(album *fileAlbum, i, least int) (p pictureRead, err error) {
	err = album.visit(i, func(_ int, content io.Reader) error {
		info, err := inspect(content)
		if s := info.size; err == nil && min(s.height, s.width) < least {
			err = fmt.Errorf("is of %v pixels, smaller than a patch of %dx%d", s, least, least)
		}
		return err
	})
	if err != nil {
		return p, err
	}
	err = album.visit(i, func(_ int, content io.Reader) (err error) {
		var m image.Image
		if m, p.animated, err = uprightImage(content); err == nil {
			p.Picture, p.transparent = newPicture(album.paths[i], m)
		}
		return err
	})
	return p, err
}

func readFolder(ctx context.Context, root *os.Root, dir string, files []folderFile, o PictureFolderOptions) (*PictureFolder, error) {
	album := newFileAlbum(root, 0)
	album.kept = make([][]byte, len(files))
	all, shown, errs := make([]pictureRead, len(files)), make([]string, len(files)), make([]error, len(files))
	for i, f := range files {
		album.add(f.path, f.plain)
		shown[i], errs[i] = f.shown()
	}
	inParallel(ctx, len(files), func(i int) {
		if errs[i] == nil {
			all[i], errs[i] = readPicture(album, i, o.Least)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &PictureFolder{Dir: dir}
	var animated, transparent []string
	for i, f := range files {
		if errs[i] != nil {
			p.Skipped = append(p.Skipped, Unreadable{shown[i], errs[i]})
			continue
		}
		p.All = append(p.All, all[i].Picture)
		if all[i].animated {
			animated = append(animated, f.path)
		}
		if all[i].transparent {
			transparent = append(transparent, f.path)
		}
	}
	if len(p.Skipped) > 0 {
		e := &UnreadableError{Dir: dir, Files: p.Skipped}
		if !o.SkipUnreadable {
			return nil, e
		}
		p.Notes = append(p.Notes, e.lines("left out that can't be read")...)
	}
	if len(p.All) == 0 {
		return nil, inputErrorf(dir, "holds no image that can be read")
	}
	p.note(animated, "is animated: its first frame counts", "are animated: their first frames count")
	p.note(transparent, "has transparent pixels, which are laid on white", "have transparent pixels, which are laid on white")
	p.recolor(o.Color)
	return p, nil
}

func (p *PictureFolder) note(names []string, one, several string) {
	switch len(names) {
	case 0:
	case 1:
		p.Notes = append(p.Notes, fmt.Sprintf("%s: %s %s", p.Dir, names[0], one))
	default:
		p.Notes = append(p.Notes, fmt.Sprintf("%s: %d images, such as %s, %s", p.Dir, len(names), names[0], several))
	}
}

// recolor brings all pictures to one number of channels.
func (p *PictureFolder) recolor(mode string) {
	colored := slices.ContainsFunc(p.All, func(m *Picture) bool { return m.Channels == 3 })
	for k, m := range p.All {
		if mode == "gray" || mode != "color" && !colored {
			p.All[k] = m.Gray()
		} else {
			p.All[k] = m.Color()
		}
	}
}

// newPicture makes a picture of an image: gray if all its pixels are. transparent says that some are not opaque.
func newPicture(id string, source image.Image) (m *Picture, transparent bool) {
	b := source.Bounds()
	m = &Picture{ID: id, Height: b.Dy(), Width: b.Dx(), Channels: 3, Depth: 8}
	if g, ok := source.(*image.Gray); ok {
		m.Channels = 1
		m.Pix = make([]uint16, 0, m.Height*m.Width)
		for y := range m.Height {
			for _, v := range g.Pix[y*g.Stride : y*g.Stride+m.Width] {
				m.Pix = append(m.Pix, uint16(v)*257)
			}
		}
		return m, false
	}
	switch source.ColorModel() {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		m.Depth = 16
	}
	m.Pix = make([]uint16, 0, 3*m.Height*m.Width)
	gray := true
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, b, a := source.At(x, y).RGBA() // premultiplied: laid on white by what is missing to opaque
			white := 0xffff - a
			transparent = transparent || white > 0
			gray = gray && r == g && g == b
			for _, v := range [3]uint32{r, g, b} {
				m.Pix = append(m.Pix, m.level(float64(v+white)))
			}
		}
	}
	if gray {
		return m.Gray(), transparent
	}
	return m, transparent
}

// level rounds and clamps a value of 0..65535 to what the picture's depth can hold.
func (p *Picture) level(v float64) uint16 {
	v = min(max(v, 0), 65535)
	if p.Depth == 8 {
		return 257 * uint16(v/257+0.5)
	}
	return uint16(v + 0.5)
}

// Gray returns the picture with one channel; of three equal ones that is each of them.
func (p *Picture) Gray() *Picture {
	if p.Channels == 1 {
		return p
	}
	g := *p
	g.Channels, g.Pix = 1, make([]uint16, p.Height*p.Width)
	for k := range g.Pix {
		c := p.Pix[3*k : 3*k+3]
		g.Pix[k] = p.level(0.299*float64(c[0]) + 0.587*float64(c[1]) + 0.114*float64(c[2]))
	}
	return &g
}

// Color returns the picture with three channels; those of a gray one are alike.
func (p *Picture) Color() *Picture {
	if p.Channels == 3 {
		return p
	}
	c := *p
	c.Channels, c.Pix = 3, make([]uint16, 0, 3*len(p.Pix))
	for _, v := range p.Pix {
		c.Pix = append(c.Pix, v, v, v)
	}
	return &c
}

// Values writes the pixels, in 0..1, into dst, of the length of Pix.
func (p *Picture) Values(dst []float32) {
	for k, v := range p.Pix {
		dst[k] = float32(v) / 65535
	}
}

// Hash returns the SHA-256 of size and pixels.
func (p *Picture) Hash() [sha256.Size]byte {
	h := sha256.New()
	// Writing into a hash does not fail.
	_ = binary.Write(h, binary.LittleEndian, [3]uint32{uint32(p.Height), uint32(p.Width), uint32(p.Channels)})
	_ = binary.Write(h, binary.LittleEndian, p.Pix)
	return [sha256.Size]byte(h.Sum(nil))
}

// Leakage says which of the test pictures are among the training pictures too, pixel for pixel.
func Leakage(training, test []*Picture) []*Picture {
	seen := make(map[[sha256.Size]byte]bool, len(training))
	for _, p := range training {
		seen[p.Hash()] = true
	}
	var both []*Picture
	for _, p := range test {
		if seen[p.Hash()] {
			both = append(both, p)
		}
	}
	return both
}
