//go:build unix

package dataset

import (
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
	const want = "pipe.png: is no regular file"
	for name, open := range map[string]func() error{
		"folder":   func() error { _, err := OpenFolder(t.Context(), dir, PictureOptions{}); return err },
		"pictures": func() error { _, err := OpenPictureFolder(t.Context(), dir, PictureFolderOptions{}); return err },
		"picture":  func() error { _, err := OpenPicture(pipe); return err },
		"manifest": func() error {
			_, err := OpenPictures(t.Context(), ManifestName, filepath.Join(dir, "m.csv"), PictureOptions{})
			return err
		},
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
