package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func encodedRecord(t testing.TB, r *Record) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sampleRecord() *Record {
	return &Record{
		End:           [sha256.Size]byte{1, 2, 3},
		Presentations: []int{3, 2, 0}, Forgotten: []int{1, 0, 0}, Learned: []bool{true, true, false},
		AUM: []float64{-1.5, math.Pi, 0}, EL2N: []float64{0.5, math.SmallestNonzeroFloat64, 0},
		Early: &Model{Theta: []float32{1, 2}, State: []float32{3}},
		Checkpoints: []Checkpoint{
			{Step: 0, Rates: 0.1, Model: Model{Theta: []float32{4, 5}, State: []float32{6}}},
			{Step: 17, Rates: 0.7, Model: Model{Theta: []float32{7, 8}, State: []float32{9}}},
		},
	}
}

func TestRecordSaveLoad(t *testing.T) {
	whole := sampleRecord()
	for name, r := range map[string]*Record{
		"everything":  whole,
		"dynamics":    {Presentations: whole.Presentations, Forgotten: whole.Forgotten, Learned: whole.Learned, AUM: whole.AUM, EL2N: whole.EL2N},
		"early":       {Early: whole.Early},
		"checkpoints": {Checkpoints: whole.Checkpoints},
		"nothing":     {},
	} {
		path := filepath.Join(t.TempDir(), "a.record")
		for range 2 { // the second time over the first
			if err := r.Save(path); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		got, err := LoadRecord(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("%s: saved %+v, loaded %+v", name, r, got)
		}
		if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
			t.Errorf("%s: the folder holds %v (%v), want the record alone", name, files, err)
		}
	}
	if err := whole.Save(filepath.Join(t.TempDir(), "missing", "a.record")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want that the folder does not exist", err)
	}
}

// resealed puts the right checksum behind a body.
func resealed(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(slices.Clone(body), sum[:]...)
}

func TestLoadRecordRefuses(t *testing.T) {
	good := encodedRecord(t, sampleRecord())
	body := good[:len(good)-sha256.Size]
	counts := len(recordMagic) + 4 + sha256.Size
	changed := func(from []byte, at int) []byte {
		b := slices.Clone(from)
		b[at] ^= 0x10
		return b
	}
	for _, test := range []struct {
		name string
		raw  []byte
		says string
	}{
		{"an empty file", nil, "not a file"},
		{"a model", encoded(t, &Model{Theta: make([]float32, 40)}), "not a file"},
		{"a header cut off", []byte(recordMagic + "\x01\x00\x00\x00"), "truncated"},
		{"another version", changed(good, len(recordMagic)), "version"},
		{"values cut off", good[:len(good)-4], "checksum"},
		{"too long", append(slices.Clone(good), 0), "checksum"},
		{"a bit flipped in a value", changed(good, len(body)-2), "checksum"},
		{"a bit flipped in the checksum", changed(good, len(good)-1), "checksum"},
		{"values cut off and sealed", resealed(body[:len(body)-4]), "damaged"},
		{"too long and sealed", resealed(append(body[:len(body):len(body)], 0)), "damaged"},
		{"an absurd number of samples", resealed(changed(body, counts+7)), "damaged"},
		{"an absurd number of models", resealed(changed(body, counts+15)), "damaged"},
		{"learned neither yes nor no", resealed(changed(body, counts+16+2*4*3)), "damaged"},
	} {
		path := filepath.Join(t.TempDir(), "bad.record")
		if err := os.WriteFile(path, test.raw, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := LoadRecord(path)
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one about %q that names the file", test.name, err, test.says)
		}
	}
	if _, err := LoadRecord(filepath.Join(t.TempDir(), "missing.record")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: error %v", err)
	}
}

// FuzzDecodeRecord checks that nothing but what encode writes is taken for a record, behind a checksum that is right.
func FuzzDecodeRecord(f *testing.F) {
	good := encodedRecord(f, sampleRecord())
	body := good[:len(good)-sha256.Size]
	for _, n := range []int{0, len(recordMagic), len(recordMagic) + 4 + sha256.Size + 16, len(body) - 1, len(body)} {
		f.Add(slices.Clone(body[:n]))
	}
	absurd := slices.Clone(body)
	binary.LittleEndian.PutUint64(absurd[len(recordMagic)+4+sha256.Size:], math.MaxUint64)
	f.Add(absurd)
	f.Fuzz(func(t *testing.T, body []byte) {
		raw := resealed(body)
		r, err := DecodeRecord(raw)
		if err == nil && !bytes.Equal(encodedRecord(t, r), raw) {
			t.Errorf("%d bytes decode to a record that encodes otherwise", len(raw))
		}
	})
}
