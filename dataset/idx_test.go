package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// idxBytes returns an IDX file with the given header and values.
func idxBytes(magic uint32, dims []uint32, values []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, values...)
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// counting returns n bytes that count up.
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// goodImages and goodLabels hold three images of 2x4 pixels.
func goodImages() []byte { return idxBytes(idxImages, []uint32{3, 2, 4}, counting(24)) }
func goodLabels() []byte { return idxBytes(idxLabels, []uint32{3}, []byte{2, 0, 1}) }

// write writes the files of a pair and returns their paths.
func write(t testing.TB, images, labels []byte) (string, string) {
	t.Helper()
	dir := t.TempDir()
	return writeFile(t, dir, "images", images), writeFile(t, dir, "labels", labels)
}

func writeFile(t testing.TB, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadIDX(t *testing.T) {
	for _, test := range []struct {
		name           string
		images, labels []byte
	}{
		{"plain", goodImages(), goodLabels()},
		{"gzip", compress(goodImages()), compress(goodLabels())},
		{"one of each", compress(goodImages()), goodLabels()},
		{"gzip in two members", slices.Concat(compress(goodImages()[:20]), compress(goodImages()[20:])), goodLabels()},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := ReadIDX(write(t, test.images, test.labels))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(); err != nil {
				t.Fatal(err)
			}
			if s.Height != 2 || s.Width != 4 || s.Channels != 1 || !slices.Equal(s.Labels, []int{2, 0, 1}) {
				t.Errorf("%dx%dx%d, labels %v", s.Height, s.Width, s.Channels, s.Labels)
			}
			if !bytes.Equal(s.Pixels(1), []byte{8, 9, 10, 11, 12, 13, 14, 15}) {
				t.Errorf("pixels of image 1: %v", s.Pixels(1))
			}
			if !slices.Equal(s.Classes, []string{"0", "1", "2"}) || s.ID(2) != "record/00002" {
				t.Errorf("classes %v, ids %v", s.Classes, s.IDs)
			}
		})
	}
}

// Larger than the first piece, so that reading in pieces is covered.
func TestReadIDXInPieces(t *testing.T) {
	const n = 5000
	pix := make([]byte, n*28*28)
	rng := stream(1, 0, 0)
	for i := range pix {
		pix[i] = byte(rng.Uint32())
	}
	images, labels := idxBytes(idxImages, []uint32{n, 28, 28}, pix), idxBytes(idxLabels, []uint32{n}, make([]byte, n))
	for _, file := range [][]byte{images, compress(images)} {
		s, err := ReadIDX(write(t, file, labels))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.Pix, pix) {
			t.Error("other pixels than were written")
		}
	}
}

func TestReadIDXErrors(t *testing.T) {
	images, labels := goodImages(), goodLabels()
	packed := compress(images)
	halved := compress(idxBytes(idxImages, []uint32{200, 28, 28}, noise(200*28*28)))
	halved = halved[:len(halved)/2]
	halvedLabels := idxBytes(idxLabels, []uint32{200}, make([]byte, 200))
	flipped := slices.Clone(packed)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	torn := slices.Clone(packed)
	torn[10] = 0x07 // a block type that doesn't exist
	for _, test := range []struct {
		name           string
		images, labels []byte
		file           string // that the message names
		want           string
		cause          error
	}{
		{"empty", nil, labels, "images", "truncated: the header ends after 0 of 16 bytes", nil},
		{"part of the magic number", images[:3], labels, "images", "header ends after 3 of 16 bytes", nil},
		{"part of the header", images[:14], labels, "images", "header ends after 14 of 16 bytes", nil},
		{"part of the header, gzip", compress(images[:14]), labels, "images", "header ends after 14 of 16 bytes", nil},
		{"labels as images", labels, labels, "images", "wrong magic number 0x00000801, want 0x00000803 (IDX images: bytes in 3 dimensions); this is a file of labels", nil},
		{"images as labels", images, images, "labels", "wrong magic number 0x00000803, want 0x00000801 (IDX labels: bytes in 1 dimension); this is a file of images", nil},
		{"floats", idxBytes(0x0d03, []uint32{3, 2, 4}, counting(96)), labels, "images", "wrong magic number 0x00000d03, want 0x00000803 (IDX images: bytes in 3 dimensions); another kind", nil},
		{"a picture", []byte("\x89PNG\r\n\x1a\n0123456789"), labels, "images", "wrong magic number 0x89504e47, want 0x00000803 (IDX images: bytes in 3 dimensions); not an IDX file", nil},
		{"truncated", images[:len(images)-1], labels, "images", "truncated: ends in record 2 of 3, at offset 39 of 40", io.ErrUnexpectedEOF},
		{"truncated in the second record", images[:16+8+3], labels, "images", "truncated: ends in record 1 of 3, at offset 27 of 40", io.ErrUnexpectedEOF},
		{"truncated before gzip", compress(images[:16+8+3]), labels, "images", "ends in record 1 of 3, at offset 27 of 40 (unpacked)", io.ErrUnexpectedEOF},
		{"truncated gzip stream", halved, halvedLabels, "images", "truncated: ends in record ", io.ErrUnexpectedEOF},
		{"truncated gzip checksum", packed[:len(packed)-3], labels, "images", "damaged gzip stream after the last of 3 records", io.ErrUnexpectedEOF},
		{"truncated labels", images, labels[:10], "labels", "ends in record 2 of 3, at offset 10 of 11", io.ErrUnexpectedEOF},
		{"truncated gzip header", packed[:5], labels, "images", "damaged gzip header", nil},
		{"gzip checksum", flipped, labels, "images", "damaged gzip stream", gzip.ErrChecksum},
		{"gzip block", torn, labels, "images", "damaged gzip stream in the header: flate: corrupt input", nil},
		{"bytes after gzip", append(slices.Clone(packed), "tail"...), labels, "images", "damaged gzip stream after the last of 3 records", nil},
		{"trailing bytes", append(slices.Clone(images), 1, 2), labels, "images", "2 bytes follow the last of 3 records, at offset 40", nil},
		{"trailing bytes, gzip", compress(append(slices.Clone(images), 1, 2)), labels, "images", "more bytes follow the last of 3 records, at offset 40 (unpacked)", nil},
		{"trailing labels", images, append(slices.Clone(labels), 1), "labels", "1 bytes follow the last of 3 records", nil},
		{"counts", images, idxBytes(idxLabels, []uint32{2}, []byte{0, 1}), "labels", "2 labels, but 3 images in ", nil},
		{"no record", idxBytes(idxImages, []uint32{0, 2, 4}, nil), labels, "images", "holds no record", nil},
		{"no height", idxBytes(idxImages, []uint32{3, 0, 4}, nil), labels, "images", "impossible dimensions in the header: images of 0 x 4 pixels", nil},
		{"absurd width", idxBytes(idxImages, []uint32{3, 2, 4_000_000_000}, nil), labels, "images", "images of 2 x 4000000000 pixels", nil},
		{"absurd count", idxBytes(idxImages, []uint32{4_000_000_000, 28, 28}, nil), labels, "images", "truncated: ends in record 0 of 4000000000, at offset 16 of 3136000000016", io.ErrUnexpectedEOF},
		{"absurd count, gzip", compress(idxBytes(idxImages, []uint32{4_000_000_000, 28, 28}, counting(900))), labels, "images", "the header declares 3136000000000 bytes, more than a gzip file of", nil},
		{"all bits set", idxBytes(idxImages, []uint32{1<<32 - 1, 1<<32 - 1, 1<<32 - 1}, nil), labels, "images", "impossible dimensions", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			imagePath, labelPath := write(t, test.images, test.labels)
			_, err := ReadIDX(imagePath, labelPath)
			path := map[string]string{"images": imagePath, "labels": labelPath}[test.file]
			checkInputError(t, err, path, test.want)
			if test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("the cause of %q isn't %v", err, test.cause)
			}
		})
	}
}

// checkInputError checks that err is one line that begins with the path and says what is wanted.
func checkInputError(t *testing.T, err error, path, want string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	var input *InputError
	if !errors.As(err, &input) || input.Path != path {
		t.Errorf("%#v isn't an InputError about %s", err, path)
	}
	if got := err.Error(); !strings.HasPrefix(got, path+": ") || !strings.Contains(got, want) || strings.Contains(got, "\n") {
		t.Errorf("got %q, want one line that begins with %s and says %q", got, path, want)
	}
}

func TestReadIDXMissing(t *testing.T) {
	images, labels := write(t, goodImages(), goodLabels())
	missing := filepath.Join(t.TempDir(), "nowhere", "images")
	_, err := ReadIDX(missing, labels)
	checkInputError(t, err, missing, "no such file")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v isn't fs.ErrNotExist", err)
	}
	if strings.Count(err.Error(), missing) != 1 {
		t.Errorf("%q names the file more than once", err)
	}
	dir := t.TempDir()
	_, err = ReadIDX(images, dir)
	checkInputError(t, err, dir, "is a directory")
}

// A header that lies costs no memory: what is declared here runs from 96 MB to terabytes.
func TestReadIDXAllocatesForDataOnly(t *testing.T) {
	for _, test := range []struct {
		name   string
		images []byte
	}{
		{"plain", idxBytes(idxImages, []uint32{4_000_000_000, 28, 28}, counting(5000))},
		{"plain, one image", idxBytes(idxImages, []uint32{1, 1 << 14, 1 << 14}, counting(5000))},
		{"gzip", compress(idxBytes(idxImages, []uint32{4_000_000_000, 28, 28}, counting(5000)))},
		// What the ratio of deflate allows for 120 kB of noise, and isn't there.
		{"gzip, within deflate's ratio", compress(idxBytes(idxImages, []uint32{120_000, 28, 28}, noise(120_000)))},
	} {
		images, labels := write(t, test.images, goodLabels())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		file, err := openIDX(images, idxImages)
		if err == nil {
			_, err = file.readValues()
			file.Close()
		}
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", test.name)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("%s: allocated %d bytes for a file of %d", test.name, used, len(test.images))
		}
		if _, err := ReadIDX(images, labels); err == nil {
			t.Errorf("%s: ReadIDX gave no error", test.name)
		}
	}
}

// noise returns n bytes that don't compress.
func noise(n int) []byte {
	b := make([]byte, n)
	rng := stream(2, 0, 0)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// FuzzReadIDX: whatever two files hold, the reader either gives a valid set that encodes to what was read, or one line that
// names a file. testdata/fuzz/FuzzReadIDX holds good and broken pairs.
func FuzzReadIDX(f *testing.F) {
	f.Add(goodImages(), goodLabels())
	f.Add(compress(goodImages()), compress(goodLabels()))
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		imagePath, labelPath := write(t, images, labels)
		var s *Images
		var err error
		checkAllocated(t, allocated(func() { s, err = ReadIDX(imagePath, labelPath) }), len(images)+len(labels))
		if err != nil {
			var input *InputError
			if !errors.As(err, &input) || input.Path != imagePath && input.Path != labelPath || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q isn't one line about a file", err)
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		if want := unpacked(t, images); !bytes.Equal(want, idxBytes(idxImages, []uint32{uint32(s.Len()), uint32(s.Height), uint32(s.Width)}, s.Pix)) {
			t.Error("the images encode to another file")
		}
		values := make([]byte, s.Len())
		for i, label := range s.Labels {
			values[i] = byte(label)
		}
		if want := unpacked(t, labels); !bytes.Equal(want, idxBytes(idxLabels, []uint32{uint32(s.Len())}, values)) {
			t.Error("the labels encode to another file")
		}
	})
}

// unpacked returns what a file holds, decompressed where it is compressed.
func unpacked(t *testing.T, b []byte) []byte {
	t.Helper()
	if !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		return b
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
