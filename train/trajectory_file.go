package train

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// slots is a file of vectors, each in a slot of its own, for what does not fit in memory. The file has its full size from
// the start, and where the system lets go of an open file's name it has none: nothing is left of a process that was killed.
type slots struct {
	file interface {
		io.ReaderAt
		io.WriterAt
		io.Closer
	}
	path       string // for messages
	unlink     string // what is to be removed at the end; empty where that is done
	bytes      int64  // of one slot
	free       []int
	next, size int // the first slot that was never used, and how many there are
	most       int // slots in use at once
	buffer     []byte
}

// ReplayFiles matches the names of files with the steps of trainings that are repeated. One that is there when nobody is at work
// was left by a process that was killed where the system does not let go of an open file's name.
const ReplayFiles = "trajectory-*.tmp"

// newSlots makes a file of n slots in the folder; empty is the system's for temporary files.
func newSlots(dir string, n int, bytes int64) (*slots, error) {
	f, err := os.CreateTemp(dir, ReplayFiles)
	if err != nil {
		return nil, fmt.Errorf("a file for the steps of a training: %w", err)
	}
	s := &slots{file: f, path: f.Name(), unlink: f.Name(), bytes: bytes, size: n, buffer: make([]byte, 1<<18)}
	if os.Remove(f.Name()) == nil {
		s.unlink = ""
	}
	if err := reserve(f, int64(n)*bytes); err != nil {
		_ = s.close()
		return nil, fmt.Errorf("reserving %.1f MB on disk for the steps of a training: %w", 1e-6*float64(n)*float64(bytes), &os.PathError{Op: "allocate", Path: s.path, Err: err})
	}
	return s, nil
}

// close removes the file. It may be called again.
func (s *slots) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	if s.unlink != "" {
		if removed := os.Remove(s.unlink); err == nil {
			err = removed
		}
	}
	return err
}

// take returns a slot that is not in use.
func (s *slots) take() int {
	slot := s.next
	if k := len(s.free); k > 0 {
		slot, s.free = s.free[k-1], s.free[:k-1]
	} else if s.next++; s.next > s.size {
		panic("train: more steps on disk than were planned")
	}
	s.most = max(s.most, s.next-len(s.free))
	return slot
}

// release takes a slot back for the next take.
func (s *slots) release(slot int) { s.free = append(s.free, slot) }

// write puts vectors into a slot, one after the other.
func (s *slots) write(slot int, vectors ...[]float32) error {
	at := int64(slot) * s.bytes
	for _, v := range vectors {
		for len(v) > 0 {
			n := min(len(v), len(s.buffer)/4)
			for j, x := range v[:n] {
				binary.LittleEndian.PutUint32(s.buffer[4*j:], math.Float32bits(x))
			}
			if _, err := s.file.WriteAt(s.buffer[:4*n], at); err != nil {
				return fmt.Errorf("writing a step of a training to disk: %w", err)
			}
			v, at = v[n:], at+int64(4*n)
		}
	}
	return nil
}

// read fills vectors from a slot, one after the other.
func (s *slots) read(slot int, vectors ...[]float32) error {
	at := int64(slot) * s.bytes
	for _, v := range vectors {
		for len(v) > 0 {
			n := min(len(v), len(s.buffer)/4)
			if _, err := s.file.ReadAt(s.buffer[:4*n], at); err != nil {
				return fmt.Errorf("reading a step of a training from disk: %w", err)
			}
			for j := range v[:n] {
				v[j] = math.Float32frombits(binary.LittleEndian.Uint32(s.buffer[4*j:]))
			}
			v, at = v[n:], at+int64(4*n)
		}
	}
	return nil
}

// bare is the cause of an error about a file, for a message that names the file itself.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
