package dataset

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// The files below testdata are written by scipy 1.17 (testdata/generate.py): the training file compressed, with labels of bytes, as
// the published ones are; the test file plain, with labels of double precision. Their images are those of cifarRecords.
func TestSVHN(t *testing.T) {
	train, test, err := OpenDir("svhn", filepath.Join("testdata", "svhn"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		set    *Images
		labels []int
		id     string
	}{{train, []int{0, 1, 9}, "train/00000"}, {test, []int{4, 0}, "test/00000"}} {
		if err := part.set.Validate(); err != nil {
			t.Error(err)
		}
		if !slices.Equal(part.set.Labels, part.labels) || part.set.IDs[0] != part.id || !slices.Equal(part.set.InputDims(), []int{32, 32, 3}) {
			t.Errorf("labels %v, first id %s, images of %v", part.set.Labels, part.set.IDs[0], part.set.InputDims())
		}
		if !bytes.Equal(part.set.Pix, pixelsOf(part.set.Len())) {
			t.Errorf("%s: other pixels than were written", part.id)
		}
	}
	if train.Classes[train.Labels[0]] != "0" {
		t.Error("label 10 isn't the digit 0")
	}
}

// matElement returns an element with its padding, matSmall one of up to 4 bytes in its tag.
func matElement(order binary.AppendByteOrder, kind uint32, data []byte) []byte {
	b := order.AppendUint32(order.AppendUint32(nil, kind), uint32(len(data)))
	b = append(b, data...)
	if kind == matCompressed {
		return b
	}
	return append(b, make([]byte, -len(data)&7)...)
}

func matSmall(order binary.AppendByteOrder, kind uint32, data []byte) []byte {
	b := append(order.AppendUint32(nil, uint32(len(data))<<16|kind), data...)
	return append(b, make([]byte, 8-len(b))...)
}

func matWords(order binary.AppendByteOrder, words ...uint32) []byte {
	var b []byte
	for _, w := range words {
		b = order.AppendUint32(b, w)
	}
	return b
}

// matVariable returns an array whose values are the given element.
func matVariable(order binary.AppendByteOrder, name string, class uint32, dims []uint32, values []byte) []byte {
	named := matElement(order, matInt8, []byte(name))
	if len(name) <= 4 {
		named = matSmall(order, matInt8, []byte(name))
	}
	return matElement(order, matMatrix, slices.Concat(
		matElement(order, matUint32, matWords(order, class, 0)), matElement(order, matInt32, matWords(order, dims...)), named, values))
}

// matFileOf returns a file of the given elements.
func matFileOf(order binary.AppendByteOrder, elements ...[]byte) []byte {
	header := append(bytes.Repeat([]byte(" "), 124), order.AppendUint16(nil, 0x100)...)
	header = append(header, order.AppendUint16(nil, 'M'<<8|'I')...)
	return append(header, slices.Concat(elements...)...)
}

func zlibbed(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// svhnVariables are X and y of two images, whose labels are 3 and 10.
func svhnVariables(order binary.AppendByteOrder) (x, y []byte) {
	x = matVariable(order, "X", matClassUint8, []uint32{32, 32, 3, 2}, matElement(order, matUint8, counting(2*svhnPixels)))
	y = matVariable(order, "y", matClassDouble, []uint32{2, 1}, matSmall(order, matUint8, []byte{3, 10}))
	return x, y
}

// Values are found whatever the order of bytes, the type they are stored in, and what other arrays there are.
func TestReadMAT(t *testing.T) {
	for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
		x, y := svhnVariables(order)
		other := matVariable(order, "another", matClassDouble, []uint32{1, 3}, matElement(order, matDouble, make([]byte, 24)))
		doubles := order.AppendUint64(order.AppendUint64(nil, math.Float64bits(3)), math.Float64bits(10))
		for k, content := range [][]byte{
			matFileOf(order, x, y),
			matFileOf(order, y, other, x, other),
			matFileOf(order, matElement(order, matCompressed, zlibbed(other)), matElement(order, matCompressed, zlibbed(x)), y),
			matFileOf(order, x, matVariable(order, "y", matClassDouble, []uint32{1, 2}, matElement(order, matDouble, doubles))),
			matFileOf(order, x, matVariable(order, "y", matClassDouble, []uint32{1, 2}, matSmall(order, matInt16, order.AppendUint16(order.AppendUint16(nil, 3), 10)))),
			matFileOf(order, x, matVariable(order, "y", matClassUint32, []uint32{2, 1}, matElement(order, matInt32, matWords(order, 3, 10)))),
		} {
			dir := t.TempDir()
			writeFile(t, dir, "train_32x32.mat", content)
			s, err := readSVHNPart("svhn", dir, "train")
			if err != nil {
				t.Errorf("%s %d: %v", name, k, err)
				continue
			}
			if !slices.Equal(s.Labels, []int{3, 0}) {
				t.Errorf("%s %d: labels %v", name, k, s.Labels)
			}
			// Row 1, column 2, green is value 1 + 32*2 + 1024 = 1089, which is 65 modulo 256.
			if got := s.Pixels(0)[3*(32+2)+1]; got != 65 {
				t.Errorf("%s %d: a pixel is %d", name, k, got)
			}
		}
	}
}

// One image: MATLAB drops the last dimension.
func TestSVHNOneImage(t *testing.T) {
	order := binary.LittleEndian
	dir := t.TempDir()
	writeFile(t, dir, "test_32x32.mat", matFileOf(order,
		matVariable(order, "X", matClassUint8, []uint32{32, 32, 3}, matElement(order, matUint8, counting(svhnPixels))),
		matVariable(order, "y", matClassUint8, []uint32{1, 1}, matSmall(order, matUint8, []byte{7}))))
	s, err := readSVHNPart("svhn", dir, "test")
	if err != nil || s.Len() != 1 || s.Labels[0] != 7 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSVHNRefuses(t *testing.T) {
	order := binary.LittleEndian
	x, y := svhnVariables(order)
	good := matFileOf(order, x, y)
	packed := matElement(order, matCompressed, zlibbed(x))
	variable := func(name string, class uint32, dims []uint32, values []byte) []byte {
		return matFileOf(order, y, matVariable(order, name, class, dims, values))
	}
	flipped := slices.Clone(packed)
	flipped[len(flipped)-1] ^= 1
	labels := func(class uint32, dims []uint32, values []byte) []byte {
		return matFileOf(order, x, matVariable(order, "y", class, dims, values))
	}
	nan := order.AppendUint64(order.AppendUint64(nil, math.Float64bits(3)), math.Float64bits(math.NaN()))
	for _, test := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "truncated: the header ends after 0 of 128 bytes"},
		{"part of the header", good[:100], "truncated: the header ends after 100 of 128 bytes"},
		{"version 7.3", append([]byte("MATLAB 7.3 MAT-file"), make([]byte, 600)...), "version 7.3 (HDF5)"},
		{"another format", make([]byte, 200), "not a MAT file of version 5"},
		{"no array", good[:128], "holds no array with the name X"},
		{"no labels", matFileOf(order, x), "holds no array with the name y"},
		{"truncated", good[:3000], "truncated: an array of 6200 bytes is declared, 2864 are left"},
		{"a tag cut short", good[:132], "truncated: ends between two arrays"},
		{"4 billion images", matFileOf(order, matElement(order, matMatrix, slices.Concat(
			matElement(order, matUint32, matWords(order, matClassUint8, 0)), matElement(order, matInt32, matWords(order, 32, 32, 3, 1<<31-1)),
			matSmall(order, matInt8, []byte("X")), order.AppendUint32(order.AppendUint32(nil, matUint8), 1<<32-1)))), "4294967295 bytes are declared, 0 are left"},
		{"more than zlib's ratio", matFileOf(order, matElement(order, matCompressed, zlibbed(matWords(order, matMatrix, 1<<32-1)))), "an array of 4294967295 bytes is declared, more than "},
		{"checksum", matFileOf(order, flipped, y), "damaged after a compressed array: zlib: invalid checksum"},
		{"no zlib", matFileOf(order, matElement(order, matCompressed, []byte("01234567"))), "damaged in a compressed array: zlib: invalid header"},
		{"a structure", variable("X", 2, []uint32{1, 1}, nil), "the array X holds no real numbers"},
		{"complex", variable("X", matClassUint8|matComplex, []uint32{32, 32, 3, 1}, nil), "the array X holds no real numbers"},
		{"twice", matFileOf(order, y, y), "two arrays with the name y"},
		{"images of doubles", variable("X", matClassDouble, []uint32{32, 32, 3, 1}, matElement(order, matUint8, counting(svhnPixels))), "X is no array of bytes"},
		{"gray images", variable("X", matClassUint8, []uint32{32, 32, 2}, matElement(order, matUint8, counting(2*svhnPlane))), "but of [32 32 2]"},
		{"values and dimensions", variable("X", matClassUint8, []uint32{32, 32, 3, 3}, matElement(order, matUint8, counting(svhnPixels))), "the array X of dimensions [32 32 3 3] has 3072 bytes of values"},
		{"a negative dimension", variable("X", matClassUint8, []uint32{32, 1<<32 - 1}, nil), "the impossible dimension -1"},
		{"text as values", variable("X", matClassUint8, []uint32{32, 32, 3, 1}, matElement(order, 16, counting(svhnPixels))), "of type 16, which is none of numbers"},
		{"counts", labels(matClassUint8, []uint32{3, 1}, matSmall(order, matUint8, []byte{1, 2, 3})), "3 labels, but 2 images"},
		{"label out of range", labels(matClassUint8, []uint32{2, 1}, matSmall(order, matUint8, []byte{1, 11})), "label 11 in record 1 of 2 is out of range: the labels of svhn are 1 to 10"},
		{"a fraction", labels(matClassDouble, []uint32{2, 1}, matElement(order, matSingle, matWords(order, math.Float32bits(1.5), 0))), "label 1.5 in record 0 of 2"},
		{"not a number", labels(matClassDouble, []uint32{2, 1}, matElement(order, matDouble, nan)), "label NaN in record 1 of 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := writeFile(t, dir, "train_32x32.mat", test.content)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readSVHNPart("svhn", dir, "train")
			runtime.ReadMemStats(&after)
			checkInputError(t, err, path, test.want)
			if used := after.TotalAlloc - before.TotalAlloc; used > 3<<20 {
				t.Errorf("allocated %d bytes for a file of %d", used, len(test.content))
			}
		})
	}
	if _, _, err := OpenDir("svhn", t.TempDir()); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "train_32x32.mat") {
		t.Errorf("an empty directory: %v", err)
	}
}

// FuzzReadMAT: whatever a file holds, the reader either gives a valid set or one line that names the file.
func FuzzReadMAT(f *testing.F) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		x, y := svhnVariables(order)
		f.Add(matFileOf(order, y, matElement(order, matCompressed, zlibbed(x))))
		f.Add(matFileOf(order, y, x[:64]))
	}
	f.Add(testdata(f, "svhn", "train_32x32.mat"))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		path := writeFile(t, dir, "train_32x32.mat", content)
		var s *Images
		var err error
		checkAllocated(t, allocated(func() { s, err = readSVHNPart("svhn", dir, "train") }), len(content))
		var input *InputError
		switch {
		case err == nil:
			if err := s.Validate(); err != nil {
				t.Error(err)
			}
		case !errors.As(err, &input) || input.Path != path || strings.Contains(err.Error(), "\n"):
			t.Errorf("%q isn't one line about the file", err)
		}
	})
}
