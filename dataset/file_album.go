package dataset

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
)

// Small files are kept in memory between the first look at their headers and their decoding, so that they are opened once: those of up
// to keptFile bytes, and keptBytes in all, or an eighth of what pixels may take.
const (
	keptFile  = 1 << 16
	keptBytes = 1 << 28
)

// fileAlbum is an album of files below a folder.
type fileAlbum struct {
	root  *os.Root
	paths []string // of each picture, relative to the folder, with slashes
	// plain says of a path that the way to it was walked without following a link. It takes no second look.
	plain []bool
	room  atomic.Int64 // what may still be kept, in bytes
	kept  [][]byte
}

func newFileAlbum(root *os.Root, memory int64) *fileAlbum {
	a := &fileAlbum{root: root}
	a.room.Store(min(keptBytes, memory/8))
	return a
}

// add adds a picture's file.
func (a *fileAlbum) add(path string, plain bool) {
	a.paths, a.plain = append(a.paths, path), append(a.plain, plain)
}

func (a *fileAlbum) close() error { return a.root.Close() }

// each implements album.
func (a *fileAlbum) each(ctx context.Context, pictures []picture, look func(i int, content io.Reader) error) error {
	if a.kept == nil {
		a.kept = make([][]byte, len(a.paths))
	}
	inParallel(ctx, len(pictures), func(i int) {
		if pictures[i].err == nil {
			pictures[i].err = a.visit(i, look)
		}
	})
	return nil
}

func (a *fileAlbum) visit(i int, look func(i int, content io.Reader) error) error {
	if kept := a.kept[i]; kept != nil {
		a.kept[i] = nil
		return look(i, bytes.NewReader(kept))
	}
	f, size, err := a.open(i)
	if err != nil {
		return err
	}
	defer f.Close()
	if size > keptFile || a.room.Add(-size) < 0 {
		return look(i, f)
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(f, content); err != nil {
		return imageError(err)
	}
	a.kept[i] = content
	return look(i, bytes.NewReader(content))
}

// open opens the file, which must be a regular one, and returns its size. Links are followed within the root only. What it is is asked
// before it is opened: to open a named pipe is to wait for whoever writes to it.
func (a *fileAlbum) open(i int) (f *os.File, size int64, err error) {
	name := filepath.FromSlash(a.paths[i])
	stat, open := a.root.Stat, a.root.Open
	if a.plain[i] {
		name = filepath.Join(a.root.Name(), name)
		stat, open = os.Stat, os.Open
	}
	info, err := stat(name)
	switch {
	case err != nil:
		return nil, 0, albumError(err)
	case !info.Mode().IsRegular():
		return nil, 0, errors.New("is no regular file")
	case info.Size() == 0:
		return nil, 0, errors.New("is empty")
	}
	if f, err = open(name); err != nil {
		return nil, 0, albumError(err)
	}
	return f, info.Size(), nil
}

// albumError is what the operating system said about a file, without its path.
func albumError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	if err.Error() == "path escapes from parent" {
		return errEscapes
	}
	return err
}

// errEscapes is what a path or a link out of the folder is told by.
var errEscapes = errors.New("leads out of the folder")
