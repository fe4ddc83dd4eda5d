package fetch

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// largestMember bounds the size of a file in an archive, in bytes.
const largestMember = 1 << 30

// unpack writes the members of an archive, which are found by their base names, into the folder under
// those names and nowhere else. They are renamed into it when all of them are on disk: a broken archive, or an end while they
// are unpacked, leaves none. Entries that are not asked for are passed over; a member that is
// missing, no regular file, or of an impossible size is an error. The archive is a zip file if it is named so, else a tar file
// compressed by gzip; it is at path.
func unpack(path, name, dir string, members []string) (err error) {
	if err := clearUnpacking(dir); err != nil {
		return err
	}
	held, err := os.MkdirTemp(dir, unpackingName+"*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(held)) }()
	u := unpacking{dir: held, members: members, found: map[string]bool{}}
	if strings.HasSuffix(name, ".zip") {
		err = u.zip(path)
	} else {
		err = u.tar(path)
	}
	if err != nil {
		return err
	}
	var missing []string
	for _, name := range members {
		if !u.found[name] {
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

// unpacking writes members of an archive into a folder.
type unpacking struct {
	dir     string
	members []string
	found   map[string]bool
}

func (u *unpacking) tar(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("the archive: %w", err)
	}
	for archive := tar.NewReader(z); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the archive: %w", err)
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(archive), nil }
		if err := u.entry(header.Name, header.Typeflag == tar.TypeReg, header.Size, open); err != nil {
			return err
		}
	}
}

func (u *unpacking) zip(name string) error {
	archive, err := zip.OpenReader(name)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // base names only are used
		return fmt.Errorf("the archive: %w", err)
	}
	defer archive.Close()
	for _, f := range archive.File {
		size := int64(min(f.UncompressedSize64, math.MaxInt64))
		if err := u.entry(f.Name, f.Mode().IsRegular(), size, f.Open); err != nil {
			return err
		}
	}
	return nil
}

// entry writes an entry that is one of the members.
func (u *unpacking) entry(full string, regular bool, size int64, open func() (io.ReadCloser, error)) error {
	name := path.Base(full)
	if !slices.Contains(u.members, name) || u.found[name] {
		return nil
	}
	if !regular {
		return fmt.Errorf("the archive: %s is no regular file", full)
	}
	if size > largestMember {
		return fmt.Errorf("the archive: %s of %d bytes is larger than a data set's file can be", full, size)
	}
	r, err := open()
	if err == nil {
		defer r.Close()
		err = write(filepath.Join(u.dir, name), io.LimitReader(r, largestMember))
	}
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", full, err)
	}
	u.found[name] = true
	return nil
}

// unpackingName begins the name of the folder for what is being unpacked. The lock on the folder above keeps a second one out.
const unpackingName = ".unpacking."

// clearUnpacking removes what an unpacking that was killed has left.
func clearUnpacking(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unpackingName) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
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
