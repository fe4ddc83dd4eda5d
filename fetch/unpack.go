package fetch

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// largestMember bounds the size of a file in an archive, in bytes.
const largestMember = 1 << 30

// unpack writes the members of a tar file compressed by gzip, which are found by their base names, into the folder under
// those names and nowhere else. They are renamed into it when all of them are on disk: a broken archive, or an end while they
// are unpacked, leaves none. Entries that are not asked for are passed over; a member that is
// missing, no regular file, or of an impossible size is an error.
func unpack(r io.Reader, dir string, members []string) (err error) {
	if err := clearUnpacking(dir); err != nil {
		return err
	}
	held, err := os.MkdirTemp(dir, unpackingName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(held)) }()
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("the archive: %w", err)
	}
	found := map[string]bool{}
	for archive := tar.NewReader(z); ; {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("the archive: %w", err)
		}
		name := path.Base(header.Name)
		if !slices.Contains(members, name) || found[name] {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return fmt.Errorf("the archive: %s is no regular file", header.Name)
		}
		if header.Size > largestMember {
			return fmt.Errorf("the archive: %s of %d bytes is larger than a data set's file can be", header.Name, header.Size)
		}
		if err := write(filepath.Join(held, name), archive); err != nil {
			return fmt.Errorf("unpacking %s: %w", header.Name, err)
		}
		found[name] = true
	}
	var missing []string
	for _, name := range members {
		if !found[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the archive does not hold %s", strings.Join(missing, ", "))
	}
	for _, name := range members {
		if err := os.Rename(filepath.Join(held, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// unpackingName is the folder for what is being unpacked. The lock on the folder above keeps a second one out.
const unpackingName = ".unpacking.*"

// clearUnpacking removes what an unpacking that was killed has left.
func clearUnpacking(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, unpackingName))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// write writes a file and syncs it.
func write(path string, r io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
