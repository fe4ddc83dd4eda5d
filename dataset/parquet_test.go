package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files of testdata/parquet were written by pyarrow; make.py beside them says how.
var parquetData = filepath.Join("testdata", "parquet")

// parquetPixels are those of image k in these files, 5x4.
func parquetPixels(k int) []uint8 {
	var pix []uint8
	for y := range 5 {
		for x := range 4 {
			pix = append(pix, uint8(40*x+k), uint8(40*y+3*k), uint8(10*(x+y)+7*k))
		}
	}
	return pix
}

// checkParquet checks that the set has the images, with the label k%3 each.
func checkParquet(t *testing.T, s *Images, images []int) {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	if s.Len() != len(images) || !slices.Equal(s.InputDims(), []int{5, 4, 3}) {
		t.Fatalf("%d images of %v", s.Len(), s.InputDims())
	}
	for i, k := range images {
		if s.Labels[i] != k%3 || !slices.Equal(s.Pixels(i), parquetPixels(k)) {
			t.Errorf("%s is not image %d, or has the label %d", s.IDs[i], k, s.Labels[i])
		}
	}
}

func upTo(from, to int) []int {
	var out []int
	for k := from; k < to; k++ {
		out = append(out, k)
	}
	return out
}

func TestOpenParquetShards(t *testing.T) {
	p, err := OpenPictures(t.Context(), ParquetName, filepath.Join(parquetData, "shards"), PictureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	checkParquet(t, p.Train, upTo(0, 13))
	checkParquet(t, p.Test, upTo(20, 26))
	if !slices.Equal(p.Train.Classes, []string{"cat", "dog", "owl"}) || p.Train.IDs[7] != "train/00007" || p.Test.IDs[0] != "test/00000" || p.Train.Notes != nil {
		t.Errorf("classes %v, ids %v, notes %q", p.Train.Classes, p.Train.IDs, p.Train.Notes)
	}
	if all, err := Concat(p.Train, p.Test); err != nil || &all.Pix[0] != &p.Train.Pix[0] {
		t.Errorf("joined anew in memory: %v", err)
	}
}

// Every compression and page version gives the same images.
func TestOpenParquetFile(t *testing.T) {
	for _, codec := range []string{"none", "snappy", "gzip", "zstd"} {
		for version := 1; version <= 2; version++ {
			file := filepath.Join(parquetData, fmt.Sprintf("%s-v%d.parquet", codec, version))
			p, err := OpenPictures(t.Context(), ParquetName, file, PictureOptions{})
			if err != nil {
				t.Error(err)
				continue
			}
			checkParquet(t, p.Train, upTo(0, 9))
		}
	}
	p, err := OpenPictures(t.Context(), ParquetName, filepath.Join(parquetData, "flat.parquet"), PictureOptions{})
	if err != nil || !slices.Equal(p.Train.Classes, []string{"false", "true"}) || !slices.Equal(p.Train.Labels, []int{1, 0, 1, 0}) ||
		!slices.Equal(p.Train.Pixels(3), parquetPixels(3)) {
		t.Errorf("images without a struct: %v", err)
	}
	// Columns of other names are told by what the file declares of them.
	p, err = OpenPictures(t.Context(), ParquetName, filepath.Join(parquetData, "features.parquet"), PictureOptions{})
	if err != nil || !slices.Equal(p.Train.Classes, []string{"none", "some"}) || !slices.Equal(p.Train.Labels, []int{1, 0, 0, 1}) ||
		!slices.Equal(p.Train.Pixels(2), parquetPixels(2)) {
		t.Errorf("columns by what is declared: %v", err)
	}
}

// copied puts files of testdata/parquet into a new folder under other names.
func copied(t *testing.T, names map[string]string) string {
	files := map[string][]byte{}
	for to, from := range names {
		b, err := os.ReadFile(filepath.Join(parquetData, filepath.FromSlash(from)))
		if err != nil {
			t.Fatal(err)
		}
		files[to] = b
	}
	return tree(t, files)
}

func TestParquetNames(t *testing.T) {
	for _, test := range []struct {
		name        string
		files       []string
		train, test int
		err         string
	}{
		{"as the hub has them", []string{"data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"}, 9, 9, ""},
		{"as the hub converts them", []string{"train/0000.parquet", "train/0001.parquet", "test/0000.parquet"}, 18, 9, ""},
		{"with validation", []string{"validation.parquet", "train.parquet"}, 18, 0, ""},
		{"of any names", []string{"b.parquet", "a.parquet"}, 18, 0, ""},
		{"of a part and another", []string{"train.parquet", "rest.parquet"}, 0, 0, "rest.parquet has a name that says neither"},
		{"one missing", []string{"train-00000-of-00003.parquet", "train-00002-of-00003.parquet"}, 0, 0, "train-00001-of-00003.parquet: is not there"},
		{"none", []string{"train.csv"}, 0, 0, "holds no Parquet files"},
	} {
		names := map[string]string{}
		for _, f := range test.files {
			names[f] = "snappy-v1.parquet"
		}
		dir := copied(t, names)
		p, err := OpenPictures(t.Context(), ParquetName, dir, PictureOptions{})
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", test.name, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if (p.Test != nil) != (test.test > 0) || p.Train.Len() != test.train || p.Test != nil && p.Test.Len() != test.test {
			t.Errorf("%s: %d images to train on", test.name, p.Train.Len())
		}
		if p.Test != nil && (len(p.Train.Notes) != 1 || !strings.Contains(p.Train.Notes[0], "9 of 9 test images are among the training images")) {
			t.Errorf("%s: notes %q", test.name, p.Train.Notes)
		}
	}
	dir := copied(t, map[string]string{"train-2.parquet": "shards/train-00000-of-00002.parquet", "train-10.parquet": "shards/train-00001-of-00002.parquet"})
	p, err := OpenPictures(t.Context(), ParquetName, dir, PictureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	checkParquet(t, p.Train, upTo(0, 13)) // 2 before 10
}

func TestParquetManifest(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(parquetData, "manifest.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"list.parquet": raw}
	for k := range 6 {
		files[fmt.Sprintf("%d/%d.png", k%3, k)] = encoded(t, colorful(3, 2+k/4), "png")
	}
	p, err := OpenPictures(t.Context(), ParquetName, filepath.Join(tree(t, files), "list.parquet"), PictureOptions{Height: 3, Width: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Train.IDs, []string{"0/0.png", "1/1.png", "2/2.png", "0/3.png"}) || !slices.Equal(p.Test.IDs, []string{"1/4.png", "2/5.png"}) ||
		!slices.Equal(p.Train.Classes, []string{"x", "y"}) || !slices.Equal(p.Test.Labels, []int{0, 1}) {
		t.Errorf("%v %v %v %v", p.Train.IDs, p.Test.IDs, p.Train.Classes, p.Test.Labels)
	}
}

func TestOpenParquetRefuses(t *testing.T) {
	good, err := os.ReadFile(filepath.Join(parquetData, "zstd-v1.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(b []byte) []byte) []byte { return change(slices.Clone(good)) }
	footer := func(thrift ...byte) []byte {
		b := append([]byte("PAR1"), thrift...)
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(thrift))), "PAR1"...)
	}
	for _, test := range []struct {
		name, want string
		content    []byte
		columns    Columns
	}{
		{"empty", "is no Parquet file: it is too short", nil, Columns{}},
		{"text", "is no Parquet file", []byte("path,label and more"), Columns{}},
		{"cut short", "is cut short", good[:len(good)-5], Columns{}},
		{"encrypted", "is encrypted", changed(func(b []byte) []byte { return append(b[:len(b)-4], "PARE"...) }), Columns{}},
		{"a claim about the footer", "its description claims 4294967295 bytes", append([]byte("PAR1xxxx"), "\xff\xff\xff\xffPAR1"...), Columns{}},
		// field 4, the row groups, is a list of 2^31 structures
		{"a claim about a list", "claims lists of more than", footer(0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00), Columns{}},
		{"a claim about a text", "its description is damaged", footer(0x68, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00), Columns{}},
		{"no such column", `has no column "nowhere"; its columns are "image.bytes", "image.path", "label"`, good, Columns{Label: "nowhere"}},
	} {
		path := filepath.Join(t.TempDir(), "x.parquet")
		if err := os.WriteFile(path, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenPictures(t.Context(), ParquetName, path, PictureOptions{Columns: test.columns})
		checkInputError(t, err, path, test.want)
	}
	for file, want := range map[string]string{
		"null-label.parquet":     "record 2: its label is missing",
		"label-range.parquet":    "record 2: label 3 is out of range: 3 classes",
		"label-negative.parquet": "record 1: label -1 is out of range: 3 classes",
		"list-label.parquet":     "no column is named as one of labels is",
		"delta.parquet":          "row group 0: column label: is encoded as DELTA_BINARY_PACKED",
		"brotli.parquet":         "is compressed by BROTLI; read are SNAPPY, GZIP and ZSTD",
	} {
		path := filepath.Join(parquetData, file)
		_, err := OpenPictures(t.Context(), ParquetName, path, PictureOptions{})
		checkInputError(t, err, path, want)
	}
	path := filepath.Join(parquetData, "list-label.parquet")
	_, err = OpenPictures(t.Context(), ParquetName, path, PictureOptions{Columns: Columns{Label: "label.list.element"}})
	checkInputError(t, err, path, "column label.list.element holds lists")
}

// Images that can't be read are named by their record.
func TestParquetUnreadable(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(parquetData, "none-v1.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(raw), "\x89PNG")
	raw[at] = 'x'
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = OpenPictures(t.Context(), ParquetName, path, PictureOptions{})
	var unreadable *UnreadableError
	if !errors.As(err, &unreadable) || !strings.Contains(err.Error(), "\n  x.parquet, record 0: is no PNG") {
		t.Errorf("got %v", err)
	}
	p, err := OpenPictures(t.Context(), ParquetName, path, PictureOptions{SkipUnreadable: true})
	if err != nil || p.Train.Len() != 8 || p.Train.IDs[0] != "train/00001" || len(p.Skipped) != 1 {
		t.Errorf("left out: %v", err)
	}
}

// A file with checksums never gives other images, whichever bit of a page is wrong.
func TestParquetChecksum(t *testing.T) {
	good, err := os.ReadFile(filepath.Join(parquetData, "gzip-v1.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.parquet")
	pages := len(good) - 8 - int(binary.LittleEndian.Uint32(good[len(good)-8:]))
	refused := 0
	for at := 4; at < pages; at += 23 {
		wrong := slices.Clone(good)
		wrong[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, wrong, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := OpenPictures(t.Context(), ParquetName, path, PictureOptions{})
		if err != nil {
			refused++
			continue
		}
		checkParquet(t, p.Train, upTo(0, 9))
	}
	if refused < pages/23/2 {
		t.Errorf("%d of %d damaged files are refused", refused, pages/23)
	}
}

func TestDecodeHybrid(t *testing.T) {
	for _, test := range []struct {
		name  string
		width int
		bytes []byte
		want  []uint32
		err   bool
	}{
		// The example of the format's description: the numbers 0 to 7 in 3 bits.
		{"packed", 3, []byte{0x03, 0x88, 0xc6, 0xfa}, []uint32{0, 1, 2, 3, 4, 5, 6, 7}, false},
		{"packed and padded", 3, []byte{0x03, 0x88, 0xc6, 0xfa}, []uint32{0, 1, 2}, false},
		{"a run", 9, []byte{0x08, 0x2c, 0x01}, []uint32{300, 300, 300, 300}, false},
		{"a run and packed", 1, []byte{0x04, 0x01, 0x03, 0x05}, []uint32{1, 1, 1, 0, 1, 0}, false},
		{"a run too long is cut", 1, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 0x01}, []uint32{1, 1}, false},
		{"no width", 0, []byte{0x06}, []uint32{0, 0, 0}, false},
		{"cut short", 9, []byte{0x08, 0x2c}, []uint32{1, 2}, true},
		{"too few", 1, []byte{0x04, 0x01}, []uint32{1, 1, 1}, true},
		{"an empty run", 1, []byte{0x00, 0x01, 0x04, 0x01}, []uint32{1, 1}, true},
		{"33 bits", 33, []byte{0x03, 0, 0, 0, 0, 0}, []uint32{0}, true},
	} {
		got := make([]uint32, len(test.want))
		if err := decodeHybrid(got, test.bytes, test.width); (err != nil) != test.err || err == nil && !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
}
