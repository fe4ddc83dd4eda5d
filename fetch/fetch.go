package fetch

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Options say where to download from and to. Dir is needed; the zero value of the rest means the defaults.
type Options struct {
	// Dir is the folder that the files come into; it is made where it is missing.
	Dir string
	// Source is the address of a folder that holds the files, a mirror, in place of the set's own.
	Source string
	// Client makes the requests; nil means one that gives up when a server does not answer. Proxies are those of the
	// environment.
	Client *http.Client
	// Progress, unless nil, is told from time to time how much of a file is there, of how much; 0 where that is not known.
	Progress func(file string, done, total int64)
	// Attempts is how often a source is asked for a file; 0 means 4. Wait is the pause before the second attempt, doubled before
	// each one more; 0 means a second.
	Attempts int
	Wait     time.Duration
	// Stall is how long a source may send nothing; 0 means 30 seconds.
	Stall time.Duration

	// create opens what is written to; tests fill the disk with it.
	create func(path string) (file, error)
}

// file is what a download is written to.
type file interface {
	io.ReadWriteSeeker
	Truncate(size int64) error
	Sync() error
	Close() error
}

// lockName is the file that keeps a second download out of a folder.
const lockName = ".fetch.lock"

// ErrBusy says that another download into the folder is under way.
var ErrBusy = errors.New("another download into this folder is under way")

// Fetch downloads what is missing of the set. Cancelling ctx stops it and returns its error; what has been got stays for
// the next time. Every source is tried in turn, and the error tells what each one answered.
func Fetch(ctx context.Context, s Set, o Options) error {
	o.defaults()
	if len(s.Missing(o.Dir)) == 0 {
		return nil
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return fmt.Errorf("fetching %s: %w", s.Name, err)
	}
	lock := flock.New(filepath.Join(o.Dir, lockName))
	switch locked, err := lock.TryLock(); {
	case err != nil:
		return fmt.Errorf("fetching %s: locking %s: %w", s.Name, o.Dir, err)
	case !locked:
		return fmt.Errorf("fetching %s: %s: %w", s.Name, o.Dir, ErrBusy)
	}
	defer lock.Unlock()
	for _, f := range s.Files {
		missing := s.Missing(o.Dir)
		if !slices.ContainsFunc(f.yields(), func(name string) bool { return slices.Contains(missing, name) }) {
			continue
		}
		if err := o.fetch(ctx, s, f); err != nil {
			return fmt.Errorf("fetching %s: %s: %w", s.Name, f.Name, err)
		}
	}
	return nil
}

func (o *Options) defaults() {
	if o.Client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = 30 * time.Second
		o.Client = &http.Client{Transport: transport}
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	if o.Attempts == 0 {
		o.Attempts = 4
	}
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	if o.create == nil {
		o.create = func(path string) (file, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644) }
	}
}

// fetch downloads a file to its temporary name, checks it and puts what it yields in place.
func (o *Options) fetch(ctx context.Context, s Set, f File) error {
	sources := s.Sources
	if o.Source != "" {
		sources = []string{o.Source}
	}
	part := filepath.Join(o.Dir, "."+f.Name+".part")
	out, err := o.create(part)
	if err != nil {
		return err
	}
	defer out.Close()
	var failures []error
	for _, source := range sources {
		address := strings.TrimSuffix(source, "/") + "/" + f.Name
		err := o.download(ctx, address, f, out)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var local *localError
		if errors.As(err, &local) {
			return err // no other source mends that
		}
		if err == nil {
			return o.place(out, part, f)
		}
		failures = append(failures, fmt.Errorf("%s: %w", address, err))
	}
	if n, err := out.Seek(0, io.SeekEnd); err == nil && n == 0 {
		_ = os.Remove(part) // nothing to go on from
	}
	return errors.Join(failures...)
}

// place puts a file that has been checked under its name, or its members under theirs.
func (o *Options) place(out file, part string, f File) error {
	if err := out.Sync(); err != nil {
		return err
	}
	if f.Members == nil {
		if err := out.Close(); err != nil {
			return err
		}
		return os.Rename(part, filepath.Join(o.Dir, f.Name))
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := unpack(part, f.Name, o.Dir, f.Members); err != nil {
		return err
	}
	return os.Remove(part)
}

// localError is a failure on this side: of the disk, not of a source.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// permanentError is an answer that another attempt will not change.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// download gets the file from one address, with several attempts, into out, which holds it whole and checked afterwards.
func (o *Options) download(ctx context.Context, address string, f File, out file) error {
	wait := o.Wait
	var err error
	for attempt := range o.Attempts {
		if attempt > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return ctx.Err()
			}
			wait *= 2
		}
		var resumed bool
		if resumed, err = o.get(ctx, address, f, out); err == nil {
			var sum string
			if sum, err = checksum(out); err != nil {
				return &localError{err}
			}
			if sum == f.MD5 {
				return nil
			}
			if err := out.Truncate(0); err != nil {
				return &localError{err}
			}
			err = fmt.Errorf("wrong checksum: its MD5 is %s, published is %s", sum, f.MD5)
			if !resumed {
				return &permanentError{err} // what was there before is not to blame
			}
		}
		var permanent *permanentError
		var local *localError
		if ctx.Err() != nil || errors.As(err, &permanent) || errors.As(err, &local) {
			return err
		}
	}
	return fmt.Errorf("%w (after %d attempts)", err, o.Attempts)
}

// checksum returns the MD5 of all that the file holds.
func checksum(f file) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := md5.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
