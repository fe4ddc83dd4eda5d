package export

import (
	"context"
	"errors"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/dataset"
)

func text(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

// files lists the files below a folder with their content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(dir, name))
		all[name] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWriteTree(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "new", "tree")
	var told []int
	err := WriteTree(t.Context(), dest, []Entry{{Path: "a/b/c.txt", Write: text("1")}, {Path: "d.txt", Write: text("2")}}, func(done, _ int) { told = append(told, done) })
	if err != nil || !slices.Equal(told, []int{1, 2}) {
		t.Fatalf("%v, %v", err, told)
	}
	if got := files(t, dest); len(got) != 2 || got["a/b/c.txt"] != "1" || got["d.txt"] != "2" {
		t.Errorf("%v", got)
	}
	if info, err := os.Stat(dest); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// What goes wrong leaves the folder that it is written in as it was.
func TestWriteTreeLeavesNothing(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("broken")
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		entries []Entry
		want    func(err error) bool
	}{
		{"cancelled", cancelled, []Entry{{Path: "a", Write: text("")}}, func(err error) bool { return errors.Is(err, context.Canceled) }},
		{"a file that fails", t.Context(), []Entry{{Path: "a", Write: text("")}, {Path: "b", Write: func(io.Writer) error { return broken }}}, func(err error) bool { return errors.Is(err, broken) }},
		{"one path twice", t.Context(), []Entry{{Path: "a", Write: text("1")}, {Path: "a", Write: text("2")}}, func(err error) bool { return errors.Is(err, fs.ErrExist) }},
		{"out of the folder", t.Context(), []Entry{{Path: "../x", Write: text("")}}, isUnsafe},
		{"from the root", t.Context(), []Entry{{Path: "/etc/x", Write: text("")}}, isUnsafe},
		{"up and down", t.Context(), []Entry{{Path: "a/../../x", Write: text("")}}, isUnsafe},
		{"a backslash", t.Context(), []Entry{{Path: `a\..\x`, Write: text("")}}, isUnsafe},
		{"a line feed", t.Context(), []Entry{{Path: "a\nb", Write: text("")}}, isUnsafe},
		{"no text", t.Context(), []Entry{{Path: "a\xff", Write: text("")}}, isUnsafe},
		{"empty", t.Context(), []Entry{{Path: "", Write: text("")}}, isUnsafe},
	} {
		parent := t.TempDir()
		if err := WriteTree(tt.ctx, filepath.Join(parent, "dest"), tt.entries, nil); err == nil || !tt.want(err) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if left := files(t, parent); len(left) > 0 || Exists(filepath.Join(parent, "dest")) {
			t.Errorf("%s left %v", tt.name, left)
		}
		if entries, _ := os.ReadDir(parent); len(entries) > 0 {
			t.Errorf("%s left %v", tt.name, entries)
		}
	}
}

func isUnsafe(err error) bool {
	var unsafe *UnsafePathError
	return errors.As(err, &unsafe)
}

func TestWriteTreeOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Skip(err)
	}
	for _, dest := range []string{file, link, dir} {
		if err := WriteTree(t.Context(), dest, []Entry{{Path: "a", Write: text("")}}, nil); err == nil || !strings.Contains(err.Error(), "there already") {
			t.Errorf("%s: %v", dest, err)
		}
	}
	// One that appears while the tree is written.
	late := filepath.Join(dir, "late")
	err := WriteTree(t.Context(), late, []Entry{{Path: "a", Write: func(io.Writer) error { return os.WriteFile(late, []byte("first"), 0o600) }}}, nil)
	if raw, _ := os.ReadFile(late); err == nil || string(raw) != "first" {
		t.Errorf("%v, %q", err, raw)
	}
}

// folderSet is a folder of images with what its set would be.
func folderSet(t *testing.T, ids []string, classes []string, label func(id string) int) *Set {
	t.Helper()
	dir := t.TempDir()
	s := &dataset.Images{Name: "x", Height: 1, Width: 1, Channels: 1, Classes: classes, IDs: ids}
	for _, id := range ids {
		s.Labels = append(s.Labels, label(id))
		s.Pix = append(s.Pix, byte(len(s.Pix)))
		path := filepath.Join(dir, id)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("bytes of "+id), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &Set{Images: s, Folder: dir}
}

func written(t *testing.T, s *Set) map[string]string {
	t.Helper()
	entries, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(t.TempDir(), "dest")
	if err := WriteTree(t.Context(), dest, entries, nil); err != nil {
		t.Fatal(err)
	}
	return files(t, dest)
}

func TestEntriesOfAFolder(t *testing.T) {
	cats := func(id string) int {
		if strings.Contains(id, "cats/") {
			return 0
		}
		return 1
	}
	flat := folderSet(t, []string{"cats/a.jpg", "cats/deep/b.jpg", "dogs/a.jpg", "dogs/c"}, []string{"cats", "dogs"}, cats)
	nested := folderSet(t, []string{"train/cats/a.jpg", "train/dogs/a.jpg", "val/cats/a.jpg", "test/dogs/z.jpg"}, []string{"cats", "dogs"}, cats)
	for _, tt := range []struct {
		name   string
		set    *Set
		groups []Group
		labels map[int]int
		want   map[string]string // path, and the id whose bytes are there
	}{
		{"kept ones", flat, []Group{{"", []int{0, 1, 3}}}, nil, map[string]string{"cats/a.jpg": "cats/a.jpg", "cats/deep/b.jpg": "cats/deep/b.jpg", "dogs/c": "dogs/c"}},
		{"relabeled", flat, []Group{{"", []int{0, 1, 2, 3}}}, map[int]int{0: 1, 3: 0},
			map[string]string{"dogs/a-2.jpg": "cats/a.jpg", "cats/deep/b.jpg": "cats/deep/b.jpg", "dogs/a.jpg": "dogs/a.jpg", "cats/c": "dogs/c"}},
		{"in its parts", nested, []Group{{"", []int{0, 2, 3}}}, map[int]int{0: 1},
			map[string]string{"train/dogs/a.jpg": "train/cats/a.jpg", "val/cats/a.jpg": "val/cats/a.jpg", "test/dogs/z.jpg": "test/dogs/z.jpg"}},
		{"in parts of its own", nested, []Group{{"train", []int{0, 2}}, {"test", []int{1, 3}}}, nil,
			map[string]string{"train/cats/a.jpg": "train/cats/a.jpg", "train/cats/a-2.jpg": "val/cats/a.jpg", "test/dogs/a.jpg": "train/dogs/a.jpg", "test/dogs/z.jpg": "test/dogs/z.jpg"}},
	} {
		s := *tt.set
		s.Groups, s.Labels = tt.groups, tt.labels
		got := written(t, &s)
		index := got[IndexFile]
		delete(got, IndexFile)
		if len(got) != len(tt.want) || strings.Count(index, "\n") != len(tt.want)+1 {
			t.Errorf("%s: %v, want %v; index:\n%s", tt.name, got, tt.want, index)
		}
		for path, id := range tt.want {
			if got[path] != "bytes of "+id {
				t.Errorf("%s: %s holds %q, want those of %s", tt.name, path, got[path], id)
			}
			if !strings.Contains(index, path+",") {
				t.Errorf("%s: %s is not in the index", tt.name, path)
			}
		}
	}
	loose := *flat
	loose.Classless, loose.Groups = true, []Group{{"", []int{0, 1, 2}}}
	if got := written(t, &loose); len(got) != 4 || got["cats/b.jpg"] != "bytes of cats/deep/b.jpg" || got["dogs/a.jpg"] != "bytes of dogs/a.jpg" {
		t.Errorf("where folders are no classes: %v", got)
	}
	flat.Groups, flat.Link = []Group{{"", []int{2}}}, true
	if got := written(t, flat); got["dogs/a.jpg"] != "bytes of dogs/a.jpg" {
		t.Errorf("linked: %v", got)
	}
	flat.Images.IDs[2] = "../dogs/a.jpg"
	if _, err := flat.Entries(); !isUnsafe(err) {
		t.Errorf("an id that leads out of the folder: %v", err)
	}
}

func TestEntriesOfPixels(t *testing.T) {
	s := &dataset.Images{Name: "f", Height: 2, Width: 2, Channels: 3, Classes: []string{"T-shirt/top", "..", "con", "T-shirt:top"},
		IDs: []string{"train/0", "train/1", "test/0", "test/1"}, Labels: []int{0, 1, 2, 3}, Pix: make([]byte, 48)}
	for k := range s.Pix {
		s.Pix[k] = byte(k * 5)
	}
	got := written(t, &Set{Images: s, Groups: []Group{{"", []int{0, 1, 2, 3}}}})
	for k, path := range []string{"train/T-shirt-top/0.png", "train/class-/1.png", "test/class-con/0.png", "test/T-shirt-top-2/1.png"} {
		raw, ok := got[path]
		if !ok {
			t.Errorf("%s is not there: %q", path, got[IndexFile])
			continue
		}
		m, err := png.Decode(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			r, g, b, _ := m.At(i%2, i/2).RGBA()
			p := s.Pixels(k)[3*i:]
			if byte(r>>8) != p[0] || byte(g>>8) != p[1] || byte(b>>8) != p[2] {
				t.Errorf("%s: pixel %d is %d %d %d, want %v", path, i, r>>8, g>>8, b>>8, p[:3])
			}
		}
	}
}
