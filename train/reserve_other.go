//go:build !linux

package train

import "os"

// reserve gives the file its size. Blocks come as they are written, so a full disk may show only then.
func reserve(f *os.File, size int64) error { return bare(f.Truncate(size)) }
