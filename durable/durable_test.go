package durable

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func content(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// broken is a file whose disk is full after so many bytes, or that fails at Sync or Close.
type broken struct {
	*os.File
	room        int
	sync, close error
}

func (b *broken) Write(p []byte) (int, error) {
	if len(p) > b.room {
		return 0, &fs.PathError{Op: "write", Path: b.Name(), Err: syscall.ENOSPC}
	}
	b.room -= len(p)
	return b.File.Write(p)
}

func (b *broken) Sync() error { return errors.Join(b.sync, b.File.Sync()) }
func (b *broken) Close() error {
	return errors.Join(b.close, b.File.Close())
}

// Whatever fails, the file is as before, nothing else is left, and the error names the file and the cause.
func TestWriteLeavesWhatWasThere(t *testing.T) {
	failure := errors.New("the encoder fails")
	for name, b := range map[string]broken{
		"full at once": {}, "full later": {room: 1 << 16}, "sync": {room: 1 << 20, sync: syscall.EIO}, "close": {room: 1 << 20, close: syscall.EDQUOT}, "encoder": {room: 1 << 20},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.model")
		if _, err := WriteFile(path, []byte("before")); err != nil {
			t.Fatal(err)
		}
		_, err := write(path, func(w io.Writer) error {
			if _, err := w.Write(make([]byte, 1<<17)); err != nil || name != "encoder" {
				return err
			}
			return failure
		}, func(name string) (file, error) {
			f, err := os.Create(name)
			b.File = f
			return &b, err
		})
		var unwritable *WriteError
		if !errors.As(err, &unwritable) || unwritable.Path != path || !strings.HasPrefix(err.Error(), "writing "+path+": ") || strings.Contains(err.Error(), temporary) {
			t.Errorf("%s: error %v", name, err)
		}
		if content(t, path) != "before" || names(t, dir) != "a.model" {
			t.Errorf("%s: %s holds %q", name, names(t, dir), content(t, path))
		}
	}
}

func TestWriteReplacesAndTellsTheChecksum(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"one", "another"} {
		sum, err := WriteFile(path, []byte(text))
		if err != nil || sum != sha256.Sum256([]byte(text)) || content(t, path) != text {
			t.Errorf("%q: %x, %v, %q", text, sum, err, content(t, path))
		}
	}
	if _, err := WriteFile(filepath.Join(t.TempDir(), "none", "f"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestSweepRemovesOnlyWhatWasHalfWritten(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".a.model" + temporary + "XYZ", ".edited.csv" + temporary + "XYZ", "a.model", "notes.tmp-1", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(Sweep(dir, "edited.csv"), Sweep(filepath.Join(dir, "none"))); err != nil || names(t, dir) != ".edited.csv.tmp-XYZ .hidden a.model notes.tmp-1" {
		t.Errorf("%v, %s", err, names(t, dir))
	}
	if err := errors.Join(SweepOf(dir, "edited"), SweepOf(dir, "a.model")); err != nil || names(t, dir) != ".edited.csv.tmp-XYZ .hidden a.model notes.tmp-1" {
		t.Errorf("%v, %s", err, names(t, dir))
	}
	if err := SweepOf(dir, "edited.csv"); err != nil || names(t, dir) != ".hidden a.model notes.tmp-1" {
		t.Errorf("%v, %s", err, names(t, dir))
	}
}

// The name of a folder is no pattern.
func TestGlob(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run[1]*")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b.partial", "a.partial", "a.model"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Glob(dir, "*.partial")
	if want := []string{filepath.Join(dir, "a.partial"), filepath.Join(dir, "b.partial")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := Glob(filepath.Join(dir, "none"), "*"); err != nil || len(got) > 0 {
		t.Errorf("a folder that is not there: %v, %v", got, err)
	}
	if _, err := Glob(dir, "["); !errors.Is(err, filepath.ErrBadPattern) {
		t.Errorf("error %v", err)
	}
}

// Any byte of any file flipped, the list of checksums included, is noticed.
func TestSumsNoticeEveryByte(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSums(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(File{"b.csv", []byte("1,2\n")}, File{"a file.txt", []byte("x")}); err != nil {
		t.Fatal(err)
	}
	noticed := func() bool {
		s, err := OpenSums(dir)
		if err != nil {
			return errors.As(err, new(*DamagedError))
		}
		for _, name := range s.Names() {
			if err := s.Verify(name, "do this"); err != nil {
				_, readErr := s.Read(name, "do this")
				return errors.As(err, new(*DamagedError)) && strings.Contains(err.Error(), "do this") && readErr != nil
			}
		}
		return false
	}
	if noticed() {
		t.Error("undamaged files are taken for damaged ones")
	}
	for _, name := range []string{SumsFile, "b.csv", "a file.txt"} {
		path := filepath.Join(dir, name)
		good := []byte(content(t, path))
		for k := range good {
			bad := append([]byte(nil), good...)
			bad[k] ^= 1
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if !noticed() {
				t.Errorf("%s, byte %d: not noticed", name, k)
			}
		}
		for _, n := range []int{0, len(good) - 1} {
			if err := os.WriteFile(path, good[:n], 0o644); err != nil {
				t.Fatal(err)
			}
			if !noticed() {
				t.Errorf("%s, cut to %d bytes: not noticed", name, n)
			}
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if tool, err := exec.LookPath("sha256sum"); err == nil {
		c := exec.Command(tool, "-c", SumsFile)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("sha256sum -c: %v\n%s", err, out)
		}
	}
}

func TestSumsWriteAndRemove(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSums(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(File{"a", []byte("1")}, File{"b", []byte("2")}); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	// The same bytes again leave the file alone; b, which is gone, and c are written.
	if err := os.Remove(filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(File{"a", []byte("1")}, File{"b", []byte("2")}, File{"c", []byte("3")}); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(filepath.Join(dir, "a")); err != nil || !os.SameFile(before, after) || names(t, dir) != SumsFile+" a b c" {
		t.Errorf("%v, %s", err, names(t, dir))
	}
	if err := s.Remove("a", "c", "none"); err != nil || names(t, dir) != SumsFile+" b" {
		t.Errorf("%v, %s", err, names(t, dir))
	}
	if s, err = OpenSums(dir); err != nil || strings.Join(s.Names(), " ") != "b" {
		t.Errorf("%v, %v", err, s.Names())
	}
	if _, err := s.Read("a", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestSeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sealed")
	if _, err := Write(path, func(w io.Writer) error {
		return Seal(w, func(w io.Writer) error {
			_, err := io.WriteString(w, "body")
			return err
		})
	}); err != nil {
		t.Fatal(err)
	}
	good := []byte(content(t, path))
	if body, ok := Unseal(good); !ok || string(body) != "body" || VerifySeal(path, "") != nil {
		t.Errorf("%q, %v, %v", body, ok, VerifySeal(path, ""))
	}
	for k := range good {
		bad := append([]byte(nil), good...)
		bad[k] ^= 0x80
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, ok := Unseal(bad); ok || !errors.As(VerifySeal(path, "r"), new(*DamagedError)) {
			t.Errorf("byte %d: not noticed", k)
		}
	}
	for _, n := range []int{0, 31, len(good) - 1} {
		if err := os.WriteFile(path, good[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, ok := Unseal(good[:n]); ok || !errors.As(VerifySeal(path, "r"), new(*DamagedError)) {
			t.Errorf("%d bytes: not noticed", n)
		}
	}
}

// The lock of a process that is killed is gone.
func TestLockGoesWithTheProcess(t *testing.T) {
	if dir := os.Getenv("DURABLE_TEST_LOCK"); dir != "" {
		if _, err := NewLock(dir, LockFile); err != nil {
			panic(err)
		}
		os.Stdout.WriteString("locked")
		select {}
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run", "^TestLockGoesWithTheProcess$")
	child.Env = append(os.Environ(), "DURABLE_TEST_LOCK="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("locked"))); err != nil {
		t.Fatal(err)
	}
	var busy *BusyError
	if _, err := NewLock(dir, LockFile); !errors.As(err, &busy) || !strings.Contains(err.Error(), dir) {
		t.Errorf("beside the other process: error %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	l, err := NewLock(dir, LockFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewLock(dir, LockFile); !errors.As(err, &busy) {
		t.Errorf("a second lock in one process: error %v", err)
	}
	l.Unlock()
	if l, err = NewLock(dir, LockFile); err != nil {
		t.Fatal(err)
	}
	l.Unlock()
	(*Lock)(nil).Unlock()
}

func TestShellWord(t *testing.T) {
	for path, want := range map[string]string{"runs/a-1": "runs/a-1", "my run": "'my run'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'", "größe": "größe"} {
		if got := ShellWord(path); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}
