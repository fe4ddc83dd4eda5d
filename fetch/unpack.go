package fetch

import (
	"archive/tar"
	"compress/gzip"
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
// those names and nowhere else. Each one appears whole. Entries that are not asked for are passed over; a member that is
// missing, no regular file, or of an impossible size is an error.
func unpack(r io.Reader, dir string, members []string) error {
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
		if err := write(filepath.Join(dir, name), archive); err != nil {
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
	return nil
}

// write writes a file through a temporary name: renameio has no such thing for a reader on Windows.
func write(path string, r io.Reader) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
