package durable

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SumsFile lists the SHA-256 of the other files of a folder as `sha256sum -c` reads it; its last line, a comment there, is the
// SHA-256 of the lines before.
const SumsFile = "SHA256SUMS"

// Sums are the checksums of files in a folder, by name. Whoever writes one holds the folder's [Lock].
type Sums struct {
	dir  string
	sums map[string]string
}

// File is a file to write.
type File struct {
	Name string
	Data []byte
}

// OpenSums reads the folder's [SumsFile]; where there is none, no checksum is known. A damaged one is a *[DamagedError].
func OpenSums(dir string) (*Sums, error) {
	s := &Sums{dir: dir, sums: map[string]string{}}
	path := filepath.Join(dir, SumsFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	damaged := &DamagedError{path, reasonChanged, "delete it: it is written anew when the run is continued"}
	at := bytes.LastIndexByte(bytes.TrimSuffix(raw, []byte("\n")), '\n') + 1
	if !bytes.Equal(raw[at:], lastLine(raw[:at])) {
		return nil, damaged
	}
	for line := range strings.Lines(string(raw[:at])) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			return nil, damaged
		}
		s.sums[name] = sum
	}
	return s, nil
}

func lastLine(lines []byte) []byte { return fmt.Appendf(nil, "# %x\n", sha256.Sum256(lines)) }

// Names lists the files whose checksum is known, sorted.
func (s *Sums) Names() []string { return slices.Sorted(maps.Keys(s.sums)) }

// Verify compares a file with its checksum, if that is known. A file that is not there is an error of [fs.ErrNotExist].
func (s *Sums) Verify(name, remedy string) error {
	path := filepath.Join(s.dir, name)
	if sum, known := s.sums[name]; known {
		return Verify(path, sum, remedy)
	}
	_, err := os.Stat(path)
	return err
}

// Read reads a file and compares it with its checksum, if that is known.
func (s *Sums) Read(name, remedy string) ([]byte, error) {
	path := filepath.Join(s.dir, name)
	if sum, known := s.sums[name]; known {
		return ReadVerified(path, sum, remedy)
	}
	return os.ReadFile(path)
}

// Write makes or replaces the files, one after the other, and then their checksums. A kill on the way leaves files that are
// whole, with no checksum. Files that hold these very bytes already are left alone.
func (s *Sums) Write(files ...File) error {
	var changed []File
	for _, f := range files {
		sum := sha256.Sum256(f.Data)
		if s.sums[f.Name] != hex.EncodeToString(sum[:]) || s.Verify(f.Name, "") != nil {
			changed = append(changed, f)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := s.forget(changed); err != nil {
		return err
	}
	for _, f := range changed {
		sum, err := WriteFile(filepath.Join(s.dir, f.Name), f.Data)
		if err != nil {
			return err
		}
		s.sums[f.Name] = hex.EncodeToString(sum[:])
	}
	return s.save()
}

// Remove deletes files, those that are there.
func (s *Sums) Remove(names ...string) error {
	var files []File
	for _, name := range names {
		files = append(files, File{Name: name})
	}
	if err := s.forget(files); err != nil {
		return err
	}
	for _, name := range names {
		path := filepath.Join(s.dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &WriteError{path, err}
		}
	}
	return nil
}

// forget takes the checksums of files away that are about to change.
func (s *Sums) forget(files []File) error {
	known := len(s.sums)
	for _, f := range files {
		delete(s.sums, f.Name)
	}
	if len(s.sums) == known {
		return nil
	}
	return s.save()
}

func (s *Sums) save() error {
	var b []byte
	for _, name := range s.Names() {
		b = fmt.Appendf(b, "%s  %s\n", s.sums[name], name)
	}
	_, err := WriteFile(filepath.Join(s.dir, SumsFile), append(b, lastLine(b)...))
	return err
}
