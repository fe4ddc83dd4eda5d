package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/datadropout/datadropout/report"
)

// smallDisk is a file system of its own, of 2 MiB, where this machine lets a test mount one.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// A full disk, and then a read-only one, stop what writes in one line that says how to go on; what was there stays usable, and the
// run continues when there is room again.
func TestFullAndReadOnlyDisk(t *testing.T) {
	disk := smallDisk(t)
	dir := filepath.Join(disk, "run")
	if code, _, stderr := runCommand(t, with(dir)...); code != exitDone {
		t.Fatal(stderr)
	}
	files := filesOf(t, dir)
	model := filepath.Join("checkpoints", "full-1.model")
	if err := os.Remove(filepath.Join(dir, model)); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	code, _, stderr := runCommand(t, "run", "--resume", "--quiet", "--out", dir)
	if code != exitFailed || !strings.Contains(stderr, "no space left") || !strings.Contains(stderr, "--resume --out "+dir) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("a full disk: exit code %d, %q", code, stderr)
	}
	for name, data := range filesOf(t, dir) {
		if !bytes.Equal(data, files[name]) {
			t.Errorf("a full disk: %s is another one", name)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runCommand(t, "run", "--resume", "--quiet", "--out", dir); code != exitDone {
		t.Fatalf("with room again: exit code %d, %q", code, stderr)
	}
	if !bytes.Equal(filesOf(t, dir)[model], files[model]) {
		t.Error("the model trained again is another one")
	}

	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run", "--resume", "--quiet", "--out", dir}, with(filepath.Join(disk, "new"), "--quiet")} {
		if code, _, stderr := runCommand(t, args...); code != exitFailed || !strings.Contains(stderr, "read-only file system") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("read-only, %s: exit code %d, %q", args[0], code, stderr)
		}
	}
	// The page is as it would be made: there is nothing to write.
	if code, _, stderr := runCommand(t, "report", "--run", dir); code != exitDone {
		t.Errorf("read-only, report: exit code %d, %q", code, stderr)
	}
	if code, stdout, _ := runCommand(t, "check", "--run", dir); code != exitDone || !strings.Contains(stdout, "all as they were") {
		t.Errorf("read-only, check: exit code %d, %q", code, stdout)
	}
	if _, err := report.ReadContent(dir); err != nil {
		t.Error(err)
	}
}
