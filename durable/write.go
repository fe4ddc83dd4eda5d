package durable

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteError is a file that could not be written: the disk is full, the folder is read-only. What was at its path is as it was.
type WriteError struct {
	Path string
	Err  error
}

// Error implements error. It names the path and the bare cause, not the temporary file.
func (e *WriteError) Error() string { return fmt.Sprintf("writing %s: %v", e.Path, bare(e.Err)) }
func (e *WriteError) Unwrap() error { return e.Err }

// bare is the cause of an error about a file, for a message that names the file itself.
func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// temporary stands in the names of files that are being written.
const temporary = ".tmp-"

// file is what Write needs of an *os.File.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// Write makes or replaces the file with what encode writes, and returns its SHA-256. The file is there whole or not at all,
// also after a kill or a loss of power: it is written under a temporary name in the same folder, synced and renamed, and the
// folder is synced. A failure is a *[WriteError].
func Write(path string, encode func(io.Writer) error) (sum [sha256.Size]byte, err error) {
	return write(path, encode, func(name string) (file, error) {
		return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	})
}

func write(path string, encode func(io.Writer) error, create func(name string) (file, error)) (sum [sha256.Size]byte, err error) {
	dir, base := filepath.Split(path)
	name := filepath.Join(dir, "."+base+temporary+rand.Text()[:10])
	f, err := create(name)
	if err != nil {
		return sum, &WriteError{path, err}
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(name)
			err = &WriteError{path, err}
		}
	}()
	h := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, h), 1<<16)
	if err := encode(w); err != nil {
		return sum, err
	}
	if err := w.Flush(); err != nil {
		return sum, err
	}
	if err := f.Sync(); err != nil {
		return sum, err
	}
	if err := f.Close(); err != nil {
		return sum, err
	}
	if err := os.Rename(name, path); err != nil {
		return sum, err
	}
	syncDir(dir)
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// WriteFile is [Write] of bytes.
func WriteFile(path string, data []byte) (sum [sha256.Size]byte, err error) {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// syncDir makes a rename in the folder outlast a loss of power where the system can: some cannot sync a folder, and the file itself
// is safe by then.
func syncDir(dir string) {
	if dir == "" {
		dir = "."
	}
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
