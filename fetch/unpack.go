package fetch

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
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

func write(path string, r io.Reader) error {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
