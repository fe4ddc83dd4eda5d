package dataset

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// FolderName is the name of the data set that [OpenFolder] reads, for settings that name one.
const FolderName = "folder"

const (
	// defaultSide is the side that images of different sizes are brought to where no size is asked for.
	defaultSide = 64
	// largestFolder bounds the pixels of all images together, in bytes.
	largestFolder = 16 << 30
)

// FolderOptions say how the images of a folder become a data set.
type FolderOptions struct {
	// Height and Width are the size that images are brought to: scaled until they cover it, and cropped around their center. 0
	// means the size that all of them have or, where they differ, 64x64.
	Height, Width int
	// SkipUnreadable leaves out what can't be read, and Folder.Skipped lists it. Otherwise it is an [*UnreadableError].
	SkipUnreadable bool
}

// Folder is what [OpenFolder] finds.
type Folder struct {
	// Train holds the images to train on and to choose by, and Test the official test set, nil where there is none.
	Train, Test *Images
	// Skipped lists what could not be read, sorted by path.
	Skipped []Unreadable
}

// Unreadable is a file that is no image that can be read, and why. Path is relative to the folder.
type Unreadable struct {
	Path string
	Err  error
}

// UnreadableError lists the files of a folder that can't be read.
type UnreadableError struct {
	Dir   string
	Files []Unreadable
}

// shownUnreadable bounds the lines of an UnreadableError.
const shownUnreadable = 20

// Error returns a line that counts the files and one for each of the first twenty.
func (e *UnreadableError) Error() string {
	noun := "images"
	if len(e.Files) == 1 {
		noun = "image"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d %s can't be read (--skip-unreadable leaves them out):", e.Dir, len(e.Files), noun)
	for k, f := range e.Files {
		if k == shownUnreadable {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Files)-k)
			break
		}
		fmt.Fprintf(&b, "\n  %s: %v", f.Path, f.Err)
	}
	return b.String()
}

// picture is one file of a folder on its way to become an image of the set.
type pictureFile struct {
	path   string // relative to the folder, with slashes
	linked bool   // by a symbolic link
	class  string
	test   bool
	info   pictureInfo
	raw    []byte // the file, if it is small enough to be kept from the first look at it
	err    error
}

// OpenFolder reads a folder that holds a folder for every class, with images in it at any depth: PNG, JPEG, GIF (its first
// frame), BMP, TIFF and WebP, told apart by their content; other files are passed over. Where the folder holds one named train
// instead, the classes are in there; test is the official test set then, and the images of val, valid or validation join those of
// train. Ids are paths within the folder. Classes are sorted by name, numbers in names by value.
//
// JPEG files are turned upright as their EXIF orientation says, transparent pixels are laid on white, and of 16 bits the upper 8
// count. The set is gray if all images are, else it has three channels. Images whose size differs are scaled (Catmull-Rom)
// and cropped; see FolderOptions. The same folder gives the same bits whatever the number of processors.
//
// Links that lead out of the folder are not followed: they can't be read. A class without images, fewer than two classes and a test class that
// there is none of in training are an [*InputError].
func OpenFolder(ctx context.Context, dir string, o FolderOptions) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fileError(dir, err)
	}
	defer root.Close()
	files, classes, err := listPictures(root, dir)
	if err != nil {
		return nil, err
	}
	var room atomic.Int64
	room.Store(keptBytes)
	inParallel(ctx, len(files), func(i int) { files[i].inspect(root, &room) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	size, gray, note := o.resolve(files)
	channels := 3
	if gray {
		channels = 1
	}
	bytes := size.height * size.width * channels
	if int64(bytes)*int64(len(files)) > largestFolder {
		return nil, inputErrorf(dir, "%d images of %dx%d take %d MiB, more than the %d MiB a folder may: ask for a smaller --image-size",
			len(files), size.height, size.width, int64(bytes)*int64(len(files))>>20, largestFolder>>20)
	}
	pixels := make([][]uint8, len(files))
	inParallel(ctx, len(files), func(i int) {
		if files[i].err == nil {
			pixels[i], files[i].err = files[i].decode(root, size, gray)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := &Folder{}
	empty := func() *Images {
		return &Images{Name: filepath.Base(filepath.Clean(dir)), Height: size.height, Width: size.width, Channels: channels, Classes: classes}
	}
	f.Train, f.Test = empty(), empty()
	for i, p := range files {
		if p.err != nil {
			f.Skipped = append(f.Skipped, Unreadable{p.path, p.err})
			continue
		}
		s := f.Train
		if p.test {
			s = f.Test
		}
		s.Pix, pixels[i] = append(s.Pix, pixels[i]...), nil
		s.Labels = append(s.Labels, slices.Index(classes, p.class))
		s.IDs = append(s.IDs, p.path)
	}
	if len(f.Skipped) > 0 {
		e := &UnreadableError{Dir: dir, Files: f.Skipped}
		if !o.SkipUnreadable {
			return nil, e
		}
		f.Train.Notes = append(f.Train.Notes, strings.Split(strings.Replace(e.Error(), "can't be read (--skip-unreadable leaves them out)", "left out that can't be read", 1), "\n")...)
	}
	if note != "" {
		f.Train.Notes = append(f.Train.Notes, dir+": "+note)
	}
	if f.Test.Len() == 0 {
		f.Test = nil
	} else if n, first := overlap(f.Train, f.Test); n > 0 {
		f.Train.Notes = append(f.Train.Notes, fmt.Sprintf("%s: %d of %d test images are among the training images too, such as %s: the test flatters", dir, n, f.Test.Len(), first))
	}
	return f, f.check(dir)
}

// check reports classes without a training image.
func (f *Folder) check(dir string) error {
	counts := make([]int, len(f.Train.Classes))
	for _, l := range f.Train.Labels {
		counts[l]++
	}
	for k, n := range counts {
		if n == 0 {
			return inputErrorf(dir, "class %q has no image to train on", f.Train.Classes[k])
		}
	}
	return nil
}

// overlap counts the images of b whose pixels an image of a has, and returns the id of the first one.
func overlap(a, b *Images) (n int, first string) {
	seen := make(map[[sha256.Size]byte]bool, a.Len())
	for i := range a.Len() {
		seen[sha256.Sum256(a.Pixels(i))] = true
	}
	for i := range b.Len() {
		if seen[sha256.Sum256(b.Pixels(i))] {
			if n == 0 {
				first = b.IDs[i]
			}
			n++
		}
	}
	return n, first
}

// parts are the folders that a set may be cut into, and whether they are tested on.
var parts = map[string]bool{"train": false, "val": false, "valid": false, "validation": false, "test": true}

// listPictures lists the files that may be images, sorted, and the classes.
func listPictures(root *os.Root, dir string) ([]pictureFile, []string, error) {
	top, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, nil, fileError(dir, err)
	}
	prefixes := map[string]bool{"": false}
	if slices.ContainsFunc(top, func(e fs.DirEntry) bool { return e.Name() == "train" && e.IsDir() }) {
		prefixes = map[string]bool{}
		for _, e := range top {
			if test, ok := parts[e.Name()]; ok && e.IsDir() {
				prefixes[e.Name()] = test
			}
		}
	}
	var files []pictureFile
	trained, tested := map[string]bool{}, map[string]bool{}
	for prefix, test := range prefixes {
		entries, err := fs.ReadDir(root.FS(), path.Join(".", prefix))
		if err != nil {
			return nil, nil, fileError(filepath.Join(dir, prefix), err)
		}
		for _, e := range entries {
			if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			class := e.Name()
			if test {
				tested[class] = true
			} else {
				trained[class] = true
			}
			err := fs.WalkDir(root.FS(), path.Join(prefix, class), func(name string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() && isPictureName(name) {
					files = append(files, pictureFile{path: name, linked: !d.Type().IsRegular(), class: class, test: test})
				}
				return err
			})
			if err != nil {
				return nil, nil, fileError(dir, err)
			}
		}
	}
	slices.SortFunc(files, func(a, b pictureFile) int { return strings.Compare(a.path, b.path) })
	var classes []string
	for c := range trained {
		classes = append(classes, c)
	}
	slices.SortFunc(classes, compareNatural)
	for c := range tested {
		if !trained[c] {
			return nil, nil, inputErrorf(dir, "class %q is tested on and not trained on", c)
		}
	}
	switch {
	case len(files) == 0:
		return nil, nil, inputErrorf(dir, "holds no images in folders, one for each class")
	case len(classes) < 2:
		return nil, nil, inputErrorf(dir, "holds one class, %q; there must be at least two folders of images", classes[0])
	}
	return files, classes, nil
}

// resolve settles the size of all images and whether they are gray, and says what of it a person should know.
func (o FolderOptions) resolve(files []pictureFile) (size imageSize, gray bool, note string) {
	gray = true
	var least, most imageSize
	differ := false
	for _, f := range files {
		if f.err != nil {
			continue
		}
		gray = gray && f.info.gray
		s := f.info.size
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

// inParallel calls work with 0 to n-1, on as many goroutines as there are processors, until ctx is cancelled.
func inParallel(ctx context.Context, n int, work func(i int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				work(i)
			}
		})
	}
	wait.Wait()
}

// isPictureName says whether a file's name is one that images go by. Hidden files are none.
func isPictureName(name string) bool {
	if strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp":
		return true
	}
	return false
}

// compareNatural compares names with the numbers in them by value: class2 comes before class10.
func compareNatural(a, b string) int {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	for x, y := a, b; x != "" && y != ""; {
		if !digit(x[0]) || !digit(y[0]) {
			if x[0] != y[0] {
				return int(x[0]) - int(y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		i, j := strings.IndexFunc(x+"x", func(r rune) bool { return r < '0' || r > '9' }), strings.IndexFunc(y+"x", func(r rune) bool { return r < '0' || r > '9' })
		m, n := strings.TrimLeft(x[:i], "0"), strings.TrimLeft(y[:j], "0")
		if len(m) != len(n) {
			return len(m) - len(n)
		}
		if c := strings.Compare(m, n); c != 0 {
			return c
		}
		x, y = x[i:], y[j:]
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// ParseSize reads a size as HEIGHTxWIDTH, or as one number for both.
func ParseSize(s string) (height, width int, err error) {
	wrong := fmt.Errorf("want a size as 64 or 48x64 (height x width), each from 1 to %d, got %q", maxSide, s)
	h, w, two := strings.Cut(s, "x")
	if !two {
		w = h
	}
	for _, v := range []struct {
		text string
		to   *int
	}{{h, &height}, {w, &width}} {
		n := 0
		for _, c := range []byte(v.text) {
			if c < '0' || c > '9' || n > maxSide {
				return 0, 0, wrong
			}
			n = 10*n + int(c-'0')
		}
		if n < 1 || n > maxSide {
			return 0, 0, wrong
		}
		*v.to = n
	}
	return height, width, nil
}

// errEscapes is what a link out of the folder is told by.
var errEscapes = errors.New("leads out of the folder")
