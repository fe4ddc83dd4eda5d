package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Glob returns the paths of what is in the folder under names that match the pattern of [filepath.Match]. The folder's own path is no
// pattern, as it is for [filepath.Glob]: it may hold a bracket. A folder that is not there holds nothing.
func Glob(dir, pattern string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		matches, err := filepath.Match(pattern, e.Name())
		if err != nil {
			return nil, err
		}
		if matches {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// IsTemporary says whether a file of this name was being written by [Write].
func IsTemporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.Contains(name, temporary)
}

// isTemporaryOf says whether it was to become the file of the other name.
func isTemporaryOf(name, of string) bool { return strings.HasPrefix(name, "."+of+temporary) }

// Sweep removes what writers that were killed have left in the folder. The caller holds its [Lock]; the others are names of files that
// are written under another one, and are left to [SweepOf]. A folder that is not there holds nothing.
func Sweep(dir string, others ...string) error {
	return sweep(dir, func(name string) bool {
		return IsTemporary(name) && !slices.ContainsFunc(others, func(of string) bool { return isTemporaryOf(name, of) })
	})
}

// SweepOf is [Sweep] for a file that is written under a lock of its own, which the caller holds.
func SweepOf(dir, of string) error {
	return sweep(dir, func(name string) bool { return isTemporaryOf(name, of) })
}

func sweep(dir string, left func(name string) bool) error {
	paths, err := Glob(dir, ".*")
	if err != nil {
		return err
	}
	for _, path := range paths {
		if left(filepath.Base(path)) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
