package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/datadropout/datadropout/internal/nearest"
)

// InputError reports a file or directory that is missing, unreadable or damaged. Its message begins with the path; Err
// says what is wrong and, within a file, in which record.
type InputError struct {
	Path string
	Err  error
}

func (e *InputError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause, so that errors.Is finds fs.ErrNotExist or gzip.ErrChecksum in it.
func (e *InputError) Unwrap() error { return e.Err }

// inputErrorf reports what is wrong with the file or directory at path.
func inputErrorf(path, format string, args ...any) error {
	return &InputError{Path: path, Err: fmt.Errorf(format, args...)}
}

// fileError wraps what the operating system said about path, which the message names once.
func fileError(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &InputError{Path: path, Err: err}
}

// openRegular opens a file that is read from its beginning to its end, and says how long it is. What it is is asked before it is opened: to
// open a named pipe is to wait for whoever writes to it.
func openRegular(path string) (f *os.File, size int64, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, 0, fileError(path, err)
	case info.IsDir():
		return nil, 0, inputErrorf(path, "is a directory, not a file")
	case !info.Mode().IsRegular():
		return nil, 0, inputErrorf(path, "is no regular file")
	}
	if f, err = os.Open(path); err != nil {
		return nil, 0, fileError(path, err)
	}
	return f, info.Size(), nil
}

// UnknownSetError reports a name that no data set has. Its message lists the names there are.
type UnknownSetError struct{ Name string }

func (e *UnknownSetError) Error() string {
	return fmt.Sprintf("unknown data set %q%s", e.Name, nearest.Among(e.Name, Known()))
}

// TooFewError reports a draw that asks for more samples than there are.
type TooFewError struct {
	What      string // what was to be drawn, such as "the test split"
	Asked     int
	Available int
}

func (e *TooFewError) Error() string {
	return fmt.Sprintf("%s asks for %s, only %d available", e.What, samples(e.Asked), e.Available)
}

func samples(n int) string {
	if n == 1 {
		return "1 sample"
	}
	return fmt.Sprintf("%d samples", n)
}
