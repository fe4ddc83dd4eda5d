package fetch

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

func sum(content []byte) string {
	h := md5.Sum(content)
	return hex.EncodeToString(h[:])
}

// content is n bytes that are not all alike.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return b
}

func plainSet(data []byte, sources ...string) Set {
	return Set{Name: "set", Sources: sources, Files: []File{{Name: "data.bin", MD5: sum(data)}}}
}

// server answers the k-th request, from 0, by the k-th handler, the last one for all that follow, and keeps the Range headers.
type server struct {
	*httptest.Server
	ranges []string
}

func serve(t *testing.T, handlers ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := min(len(s.ranges), len(handlers)-1)
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		handlers[k](w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// whole serves data as a server that knows ranges does.
func whole(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "data.bin", time.Time{}, bytes.NewReader(data))
	}
}

// cut announces all of data and breaks off after n bytes.
func cut(data []byte, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data[:n])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func fast(dir string) Options { return Options{Dir: dir, Wait: time.Millisecond} }

// holds checks that the folder holds the file with the content, and nothing else but the lock.
func holds(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s holds %d bytes (%v), want %d", name, len(got), err, len(want))
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := files[e.Name()]; !ok && e.Name() != lockName {
			t.Errorf("%s is left in the folder", e.Name())
		}
	}
}

func TestFetch(t *testing.T) {
	data := content(300_000)
	for _, test := range []struct {
		name     string
		before   []byte // a part that is there from an earlier time
		handlers []http.HandlerFunc
		ranges   []string
	}{
		{"at once", nil, []http.HandlerFunc{whole(data)}, []string{""}},
		{"interrupted and resumed", nil, []http.HandlerFunc{cut(data, 200_000), whole(data)}, []string{"", "bytes=200000-"}},
		{"resumed from an earlier time", data[:1000], []http.HandlerFunc{whole(data)}, []string{"bytes=1000-"}},
		{"all there but the name", data, []http.HandlerFunc{whole(data)}, []string{"bytes=300000-"}},
		{"a part of something else", []byte("something else"), []http.HandlerFunc{whole(data)}, []string{"bytes=14-", ""}},
		{"a server without ranges", data[:1000], []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { w.Write(data) }}, []string{"bytes=1000-"}},
		{"a server in trouble", nil, []http.HandlerFunc{status(500), status(503), whole(data)}, []string{"", "", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, dir := serve(t, test.handlers...), t.TempDir()
			if test.before != nil {
				if err := os.WriteFile(filepath.Join(dir, ".data.bin.part"), test.before, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			o := fast(dir)
			var done, total int64
			o.Progress = func(_ string, d, n int64) { done, total = d, n }
			if err := Fetch(t.Context(), plainSet(data, s.URL), o); err != nil {
				t.Fatal(err)
			}
			holds(t, dir, map[string][]byte{"data.bin": data})
			if !slices.Equal(s.ranges, test.ranges) {
				t.Errorf("asked for %q, want %q", s.ranges, test.ranges)
			}
			if len(test.before) < len(data) && (done != int64(len(data)) || total != done && total != 0) {
				t.Errorf("told of %d of %d bytes at the end", done, total)
			}
			asked := len(s.ranges)
			if err := Fetch(t.Context(), plainSet(data, s.URL), o); err != nil || len(s.ranges) != asked {
				t.Errorf("a set that is there is asked for again (%v)", err)
			}
		})
	}
}

func TestFetchFails(t *testing.T) {
	data := content(10_000)
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		asked   int
		want    string
	}{
		{"not there", status(404), 1, "data.bin: the server answered 404 Not Found"},
		{"wrong checksum", whole(data[1:]), 1, "wrong checksum: its MD5 is " + sum(data[1:]) + ", published is " + sum(data)},
		{"trouble that stays", status(502), 4, "the server answered 502 Bad Gateway (after 4 attempts)"},
		{"too large", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "9000000000000") }, 1, "more than any data set has"},
		{"silent", func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, 4, "the server stopped sending (after 4 attempts)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, dir := serve(t, test.handler), t.TempDir()
			o := fast(dir)
			o.Stall = 50 * time.Millisecond
			err := Fetch(t.Context(), plainSet(data, s.URL), o)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "fetching set: data.bin: "+s.URL) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if len(s.ranges) != test.asked {
				t.Errorf("asked %d times, want %d", len(s.ranges), test.asked)
			}
			holds(t, dir, nil)
		})
	}
}

func TestFetchTriesEverySource(t *testing.T) {
	data := content(10_000)
	first, second, dir := serve(t, status(404)), serve(t, whole(data)), t.TempDir()
	if err := Fetch(t.Context(), plainSet(data, first.URL, second.URL+"/"), fast(dir)); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string][]byte{"data.bin": data})
	o := fast(t.TempDir())
	o.Source = second.URL
	if err := Fetch(t.Context(), plainSet(data, first.URL), o); err != nil || len(first.ranges) != 1 {
		t.Errorf("with a mirror: %v, and the set's own source was asked %d times", err, len(first.ranges))
	}
}

func TestFetchCancelled(t *testing.T) {
	data := content(10_000)
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10000")
		w.Write(data[:4000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, whole(data))
	dir := t.TempDir()
	o := fast(dir)
	o.Progress = func(_ string, done, _ int64) {
		if done == 4000 {
			cancel()
		}
	}
	if err := Fetch(ctx, plainSet(data, s.URL), o); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	if err := Fetch(t.Context(), plainSet(data, s.URL), o); err != nil || !slices.Equal(s.ranges, []string{"", "bytes=4000-"}) {
		t.Errorf("again: %v, asked for %q", err, s.ranges)
	}
	holds(t, dir, map[string][]byte{"data.bin": data})
}

// full is a file on a disk with room for some bytes.
type full struct {
	*os.File
	room int
}

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	f.room -= n
	if _, err := f.File.Write(p[:n]); err != nil || n == len(p) {
		return n, err
	}
	return n, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
}

func TestFetchOnAFullDisk(t *testing.T) {
	data := content(300_000)
	s, dir := serve(t, whole(data)), t.TempDir()
	o := fast(dir)
	o.create = func(path string) (file, error) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		return &full{f, 150_000}, err
	}
	err := Fetch(t.Context(), plainSet(data, s.URL, "http://nowhere.invalid/"), o)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the same command goes on from it") || len(s.ranges) != 1 {
		t.Fatalf("got %v after %d requests", err, len(s.ranges))
	}
	if err := Fetch(t.Context(), plainSet(data, s.URL), fast(dir)); err != nil || s.ranges[1] != "bytes=150000-" {
		t.Errorf("with room: %v, asked for %q", err, s.ranges)
	}
	holds(t, dir, map[string][]byte{"data.bin": data})
}

func TestFetchIntoABusyFolder(t *testing.T) {
	dir := t.TempDir()
	lock := flock.New(filepath.Join(dir, lockName))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	if err := Fetch(t.Context(), plainSet(content(9), "http://nowhere.invalid/"), fast(dir)); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
}

type entry struct {
	name     string
	kind     byte
	content  []byte
	declared int64
}

// zipped is a zip file of the entries.
func zipped(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		switch e.kind {
		case tar.TypeSymlink:
			h.SetMode(os.ModeSymlink | 0o777)
		case tar.TypeDir:
			h.SetMode(os.ModeDir | 0o755)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	out := b.Bytes()
	for _, e := range entries { // what the directory at the end declares
		if at := bytes.LastIndex(out, []byte(e.name)); e.declared > 0 {
			binary.LittleEndian.PutUint32(out[at-22:], uint32(min(e.declared, math.MaxUint32-1)))
		}
	}
	return out
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.content)), Mode: 0o644}
		if e.kind == tar.TypeSymlink {
			h.Linkname = "/etc/passwd"
		}
		if e.declared > 0 {
			h.Size = e.declared
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close() // complains of an entry that is shorter than declared, which is what it is for
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFetchArchive(t *testing.T) {
	a, b := content(1000), content(77)
	for _, test := range []struct {
		name    string
		entries []entry
		want    string // of the error; empty: none
	}{
		{"as published", []entry{{"set/", tar.TypeDir, nil, 0}, {"set/a.bin", tar.TypeReg, a, 0}, {"set/readme.html", tar.TypeReg, b, 0}, {"set/b.bin", tar.TypeReg, b, 0}}, ""},
		{"names that lead out", []entry{{"../../a.bin", tar.TypeReg, a, 0}, {"/b.bin", tar.TypeReg, b, 0}, {"../evil", tar.TypeReg, b, 0}}, ""},
		{"a link", []entry{{"set/a.bin", tar.TypeSymlink, nil, 0}}, "set/a.bin is no regular file"},
		{"a member too few", []entry{{"set/a.bin", tar.TypeReg, a, 0}}, "the archive does not hold b.bin"},
		{"a member of impossible size", []entry{{"set/a.bin", tar.TypeReg, a, 1 << 40}}, "larger than a data set's file can be"},
		{"cut short", []entry{{"set/a.bin", tar.TypeReg, a, 5000}}, "unpacking set/a.bin: unexpected EOF"},
	} {
		for kind, data := range map[string][]byte{"set.tar.gz": archive(t, test.entries...), "set.zip": zipped(t, test.entries...)} {
			t.Run(test.name+"/"+kind, func(t *testing.T) { fetchArchive(t, kind, data, a, b, test.want) })
		}
	}
}

// fetchArchive fetches a set of an archive that holds a.bin and b.bin, or fails as it should.
func fetchArchive(t *testing.T, kind string, data, a, b []byte, want string) {
	root := t.TempDir()
	dir := filepath.Join(root, "in", "it [1]")                                          // which filepath.Glob would take for a pattern
	if err := os.MkdirAll(filepath.Join(dir, ".unpacking.killed"), 0o755); err != nil { // by an unpacking that was killed
		t.Fatal(err)
	}
	set := Set{Name: "set", Sources: []string{serve(t, whole(data)).URL},
		Files: []File{{Name: kind, MD5: sum(data), Members: []string{"a.bin", "b.bin"}}}}
	err := Fetch(t.Context(), set, fast(dir))
	if want != "" {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if found, err := fs.Glob(os.DirFS(dir), "*.bin"); err != nil || len(found) > 0 {
			t.Errorf("a part of the set is there: %v (%v)", found, err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	if left, err := fs.Glob(os.DirFS(dir), ".unpacking*"); err != nil || len(left) > 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
	if want != "" {
		return
	}
	holds(t, dir, map[string][]byte{"a.bin": a, "b.bin": b})
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
		t.Errorf("%v beside the folder (%v)", entries, err)
	}
}

// Files that are there are compared with their published checksums, but for what an archive held.
func TestCheck(t *testing.T) {
	dir, data := t.TempDir(), content(40_000)
	set := Set{Files: []File{{Name: "a.bin", MD5: sum(data)}, {Name: "b.bin", MD5: sum(data)}, {Name: "set.zip", MD5: sum(data), Members: []string{"c.bin"}}}}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.bin", data)
	write("c.bin", data[1:])
	if err := errors.Join(set.Check(t.Context(), dir), set.Check(t.Context(), filepath.Join(dir, "none"))); err != nil {
		t.Error(err)
	}
	write("b.bin", data[:len(data)-1])
	var changed *ChangedError
	if err := set.Check(t.Context(), dir); !errors.As(err, &changed) || changed.Path != filepath.Join(dir, "b.bin") || changed.MD5 != sum(data[:len(data)-1]) || changed.Published != sum(data) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := set.Check(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// FuzzUnpack: whatever an archive holds, nothing is written but its members into the folder, all of them or none.
func FuzzUnpack(f *testing.F) {
	good := []entry{{"set/", tar.TypeDir, nil, 0}, {"../set/a.bin", tar.TypeReg, []byte("one"), 0}, {"b.bin", tar.TypeReg, []byte("another"), 0}}
	for _, entries := range [][]entry{good, good[:2], {{"a.bin", tar.TypeSymlink, nil, 0}}, {{"a.bin", tar.TypeReg, []byte("short"), 1 << 20}}} {
		f.Add(archive(f, entries...), false)
		f.Add(zipped(f, entries...), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, zip bool) {
		root := t.TempDir()
		dir := filepath.Join(root, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		name := map[bool]string{true: "set.zip", false: "set.tar.gz"}[zip]
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		members := []string{"a.bin", "b.bin"}
		err := unpack(path, name, dir, members)
		entries, readErr := os.ReadDir(dir)
		if readErr != nil {
			t.Fatal(readErr)
		}
		var found []string
		for _, e := range entries {
			found = append(found, e.Name())
			if !e.Type().IsRegular() {
				t.Errorf("%s is no regular file", e.Name())
			}
		}
		if err != nil && len(found) > 0 || err == nil && !slices.Equal(found, members) {
			t.Errorf("%v, and %v is there", err, found)
		}
		if beside, err := os.ReadDir(root); err != nil || len(beside) != 2 {
			t.Errorf("%v beside the folder (%v)", beside, err)
		}
	})
}

func TestSets(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Sets() {
		if got, ok := Find(s.Name); !ok || got.Home != s.Home {
			t.Errorf("%s is not found", s.Name)
		}
		for _, f := range s.Files {
			if raw, err := hex.DecodeString(f.MD5); err != nil || len(raw) != md5.Size || seen[f.MD5] {
				t.Errorf("%s: the checksum of %s is %q", s.Name, f.Name, f.MD5)
			}
			seen[f.MD5] = true
		}
		if len(s.Missing(t.TempDir())) < 2 || len(s.Sources) == 0 || s.Megabytes == 0 {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
	if _, ok := Find("imagenet"); ok {
		t.Error("a set that is not there is found")
	}
}
