package durable

import (
	"fmt"
	"path/filepath"

	"github.com/gofrs/flock"
)

// LockFile is the file that keeps a second process out of a folder. It is empty and stays; the lock on it goes with the
// process, however that ends.
const LockFile = ".lock"

// BusyError says that another process is at work in the folder.
type BusyError struct{ Dir string }

// Error implements error.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%s: another process is at work in this directory; wait for it, or stop it", e.Dir)
}

// Lock is held by one process at a time.
type Lock struct{ held *flock.Flock }

// NewLock locks the folder, which is there, under a name such as [LockFile], so that no other process does until Unlock. Where
// another one has, it does not wait: that is a *[BusyError].
func NewLock(dir, name string) (*Lock, error) {
	l := flock.New(filepath.Join(dir, name), flock.SetPermissions(0o644))
	switch locked, err := l.TryLock(); {
	case err != nil:
		return nil, &WriteError{filepath.Join(dir, name), err}
	case !locked:
		return nil, &BusyError{dir}
	}
	return &Lock{l}, nil
}

// Unlock lets other processes in. A nil lock is none.
func (l *Lock) Unlock() {
	if l != nil {
		// The lock goes with the process at the latest; there is nothing to be done about a failure.
		_ = l.held.Unlock()
	}
}
