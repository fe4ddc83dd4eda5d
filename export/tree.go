package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
)

// Entry is a file of a tree: its path, with slashes, and what writes its content or, if Link is set, what it is a symbolic link to.
type Entry struct {
	Path  string
	Write func(w io.Writer) error
	Link  string
}

// UnsafePathError says that a path can't be written below a folder: it would lead out of it, or is no path on some system.
type UnsafePathError struct{ Path string }

// Error implements error.
func (e *UnsafePathError) Error() string {
	return fmt.Sprintf("the path %q is not safe to write: it leads out of the folder, or holds characters that no file name should", e.Path)
}

// checkPath refuses a path that is not one below a folder.
func checkPath(name string) error {
	bad := func(r rune) bool { return unicode.IsControl(r) || r == '\\' || r == unicode.ReplacementChar }
	if !fs.ValidPath(name) || name == "." || !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsFunc(name, bad) {
		return &UnsafePathError{name}
	}
	return nil
}

// Exists says whether there is a file or folder at the path, a symbolic link to nothing included.
func Exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// WriteTree writes a new folder dest with the entries in it. The folder appears whole or not at all: it is written beside dest under a
// temporary name, synced and renamed. It never overwrites: where dest is there already, or two entries have one path, that is an
// error. An unsafe path is an [*UnsafePathError], before anything is written. Cancelling ctx stops between two files and leaves
// nothing. progress, which may be nil, is told how many files are done.
func WriteTree(ctx context.Context, dest string, entries []Entry, progress func(done, total int)) (err error) {
	for _, e := range entries {
		if err := checkPath(e.Path); err != nil {
			return err
		}
	}
	dest = filepath.Clean(dest)
	if Exists(dest) {
		return fmt.Errorf("%s is there already, and nothing is overwritten", dest)
	}
	parent := filepath.Dir(dest)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, "."+filepath.Base(dest)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(temp)
	if err != nil {
		return err
	}
	defer root.Close()
	made := map[string]bool{".": true}
	for k, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if dir := path.Dir(e.Path); !made[dir] {
			if err := root.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			made[dir] = true
		}
		if err := writeEntry(root, e); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		if progress != nil {
			progress(k+1, len(entries))
		}
	}
	if err := syncTree(root, made); err != nil {
		return err
	}
	if Exists(dest) { // made in the meantime
		return fmt.Errorf("%s is there already, and nothing is overwritten", dest)
	}
	if err := os.Rename(temp, dest); err != nil {
		return err
	}
	return syncFolder(parent)
}

func writeEntry(root *os.Root, e Entry) error {
	if e.Link != "" {
		return root.Symlink(e.Link, e.Path)
	}
	f, err := root.OpenFile(e.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(e.Write(f), syncFile(f)); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// syncFolder makes what happened in a folder durable where the system can.
func syncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	// Some systems cannot sync a folder; its files are safe by then.
	_ = d.Sync()
	return d.Close()
}
