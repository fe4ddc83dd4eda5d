//go:build unix

package dataset

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNamedPipe: what is no regular file is told by that, and not opened: a named pipe would keep the reader waiting for a writer.
func TestNamedPipe(t *testing.T) {
	good := encoded(t, grayPicture(4, 4), "png")
	dir := tree(t, map[string][]byte{"a/1.png": good, "b/2.png": good, "m.csv": []byte("path,label\na/1.png,a\nb/pipe.png,b\n")})
	pipe := filepath.Join(dir, "b", "pipe.png")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	named := func(name string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const want = ": is no regular file"
	for name, open := range map[string]func() error{
		"folder":   func() error { _, err := OpenFolder(t.Context(), dir, PictureOptions{}); return err },
		"pictures": func() error { _, err := OpenPictureFolder(t.Context(), dir, PictureFolderOptions{}); return err },
		"picture":  func() error { _, err := OpenPicture(pipe); return err },
		"manifest": func() error {
			_, err := OpenPictures(t.Context(), ManifestName, filepath.Join(dir, "m.csv"), PictureOptions{})
			return err
		},
		"a manifest": func() error {
			_, err := OpenPictures(t.Context(), ManifestName, named("m.csv"), PictureOptions{})
			return err
		},
		"a Parquet file": func() error {
			_, err := OpenPictures(t.Context(), ParquetName, named("train.parquet"), PictureOptions{})
			return err
		},
		"a Parquet file in a folder": func() error {
			_, err := OpenPictures(t.Context(), ParquetName, filepath.Dir(named("train.parquet")), PictureOptions{})
			return err
		},
		"what it is": func() error {
			pipe := named("images")
			if name, ok := RecognizePictures(pipe); ok {
				return errors.New(name)
			}
			return inputErrorf(pipe, "is no regular file")
		},
		"IDX": func() error { _, err := openIDX(named("train-labels-idx1-ubyte"), idxLabels); return err },
		"which IDX": func() error {
			pipe := named("train-labels-idx1-ubyte.gz")
			idxSetIn(filepath.Dir(pipe), map[string]bool{filepath.Base(pipe): true})
			return inputErrorf(pipe, "is no regular file")
		},
		"CIFAR":  func() error { return new(Images).appendCIFAR(named("test_batch.bin"), 1) },
		"names":  func() error { _, err := namesInLines(named("batches.meta.txt")); return err },
		"pickle": func() error { _, err := readPickle(named("meta")); return err },
		"MAT":    func() error { _, err := readMAT(named("train_32x32.mat"), "X"); return err },
		"labels": func() error { _, err := readBounded(named("labels.txt"), 10); return err },
	} {
		done := make(chan error, 1)
		go func() { done <- open() }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: it waits for the pipe", name)
		}
	}
}
