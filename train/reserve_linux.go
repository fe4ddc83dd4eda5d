package train

import (
	"errors"
	"os"
	"syscall"
)

// reserve gives the file its size and the blocks for it, so that a full disk shows before the training and not within it. A
// file system that cannot do that gives the size alone.
func reserve(f *os.File, size int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return bare(f.Truncate(size))
		default:
			return err
		}
	}
}
