package train

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func encoded(t testing.TB, m *Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestModelSaveLoad(t *testing.T) {
	for name, m := range map[string]*Model{
		"parameters": {Theta: []float32{1, -2.5, float32(math.Inf(1)), math.SmallestNonzeroFloat32}},
		"with state": {Theta: []float32{1}, State: []float32{3, 4}},
		"empty":      {},
	} {
		path := filepath.Join(t.TempDir(), "a.model")
		for range 2 { // the second time over the first
			if err := m.Save(path); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		got, err := LoadModel(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Equal(got.Theta, m.Theta) || !slices.Equal(got.State, m.State) {
			t.Errorf("%s: saved %v, loaded %v", name, m, got)
		}
		if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
			t.Errorf("%s: the folder holds %v (%v), want the model alone", name, files, err)
		}
	}
}

func TestModelSaveIntoNowhere(t *testing.T) {
	if err := (&Model{}).Save(filepath.Join(t.TempDir(), "missing", "a.model")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want that the folder does not exist", err)
	}
}

func TestLoadModelRefuses(t *testing.T) {
	good := encoded(t, &Model{Theta: []float32{1, 2, 3}, State: []float32{4}})
	changed := func(at int) []byte {
		b := slices.Clone(good)
		b[at] ^= 0x10
		return b
	}
	for _, test := range []struct {
		name string
		raw  []byte
		says string
	}{
		{"an empty file", nil, "not a model file"},
		{"another kind", []byte("\x89PNG\r\n\x1a\n and more, enough for a header and a checksum, and then some"), "not a model file"},
		{"a header cut off", good[:headerSize-1], "truncated"},
		{"values cut off", good[:len(good)-4], "damaged"},
		{"too long", append(slices.Clone(good), 0), "damaged"},
		{"another version", changed(len(modelMagic)), "version"},
		{"an absurd length", changed(len(modelMagic) + 4 + 7), "damaged"},
		{"a bit flipped in a value", changed(headerSize + 2), "checksum"},
		{"a bit flipped in the checksum", changed(len(good) - 1), "checksum"},
	} {
		path := filepath.Join(t.TempDir(), "bad.model")
		if err := os.WriteFile(path, test.raw, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := LoadModel(path)
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one about %q that names the file", test.name, err, test.says)
		}
	}
	if _, err := LoadModel(filepath.Join(t.TempDir(), "missing.model")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: error %v", err)
	}
}

// FuzzDecodeModel checks that nothing but what encode writes is taken for a model.
func FuzzDecodeModel(f *testing.F) {
	good := encoded(f, &Model{Theta: []float32{1, 2, 3}, State: []float32{4}})
	for _, n := range []int{0, len(modelMagic), headerSize, len(good) - 1, len(good)} {
		f.Add(good[:n])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := DecodeModel(raw)
		if err == nil && !bytes.Equal(encoded(t, m), raw) {
			t.Errorf("%d bytes decode to a model that encodes otherwise", len(raw))
		}
	})
}
