package fetch

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ChangedError is a file in its place that is not the published one.
type ChangedError struct {
	// Path is the file, MD5 its checksum in hex, and Published the one that it should have.
	Path, MD5, Published string
}

// Error implements error. It says no more of the file than what is wrong.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("its MD5 is %s, published is %s: delete it, and it is fetched again", e.MD5, e.Published)
}

// Check compares the files of the set that are in the folder with their published checksums; the first that has another one is a
// *[ChangedError]. Of what archives are unpacked to there are none.
func (s Set) Check(ctx context.Context, dir string) error {
	for _, f := range s.Files {
		if f.Members != nil {
			continue
		}
		path := filepath.Join(dir, f.Name)
		sum, err := fileSum(ctx, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case sum != f.MD5:
			return &ChangedError{path, sum, f.MD5}
		}
	}
	return nil
}

// fileSum returns the MD5 of a regular file; what is none counts as missing, as for Missing.
func fileSum(ctx context.Context, path string) (string, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return "", fs.ErrNotExist
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := md5.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if _, err := io.CopyN(h, f, 1<<24); err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		} else if err != nil {
			return "", err
		}
	}
}
