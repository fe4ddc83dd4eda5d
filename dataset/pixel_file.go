package dataset

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// pixelFile holds decoded images on disk, each in a place of its own, all of one size. Reading and writing are safe for concurrent
// use. Where the system lets go of an open file's name the file has none: nothing is left of a process that was killed.
type pixelFile struct {
	file interface {
		io.ReaderAt
		io.WriterAt
		io.Closer
	}
	unlink string // what is to be removed at the end; empty where that is done
	size   int    // bytes of an image
	loans  sync.Pool
	failed atomic.Pointer[error]
	once   sync.Once
}

// newPixelFile makes a file for images of the given number of bytes in the folder; empty means one in the user's cache folder, or
// where that can't be, the system's for temporary files, which is often one in memory.
func newPixelFile(dir string, size int) (*pixelFile, error) {
	if dir == "" {
		dir = scratchDir()
	}
	f, err := os.CreateTemp(dir, "pixels-*.tmp")
	if err != nil {
		return nil, fmt.Errorf("a file for the pixels that don't fit in memory: %w", err)
	}
	p := &pixelFile{file: f, unlink: f.Name(), size: size}
	if os.Remove(f.Name()) == nil {
		p.unlink = ""
	}
	p.loans.New = func() any { b := make([]uint8, size); return &b }
	return p, nil
}

// scratchDir returns the folder for files that live as long as the process, or nothing for the system's.
func scratchDir() string {
	dir, err := CacheDir("scratch")
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return ""
	}
	return dir
}

// write puts an image into its place.
func (p *pixelFile) write(pix []uint8, at int) error {
	if _, err := p.file.WriteAt(pix, int64(at)*int64(p.size)); err != nil {
		return fmt.Errorf("writing pixels to disk: %w", err)
	}
	return nil
}

// read fills pix with the image in a place. Where that fails pix is black, and the first failure is kept.
func (p *pixelFile) read(pix []uint8, at int) {
	if n, err := p.file.ReadAt(pix, int64(at)*int64(p.size)); n < len(pix) {
		clear(pix)
		err = fmt.Errorf("reading pixels from disk: %w", err)
		p.failed.CompareAndSwap(nil, &err)
	}
}

// err returns the first failure to read.
func (p *pixelFile) err() error {
	if e := p.failed.Load(); e != nil {
		return *e
	}
	return nil
}

// close removes the file. It may be called again.
func (p *pixelFile) close() (err error) {
	p.once.Do(func() {
		err = p.file.Close()
		if p.unlink != "" {
			err = errors.Join(err, os.Remove(filepath.Clean(p.unlink)))
		}
	})
	return err
}
