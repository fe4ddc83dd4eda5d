package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// colorful is an image of h x w pixels, no two neighbors alike.
func colorful(h, w int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{uint8(40 * x), uint8(40 * y), uint8(10 * (x + y)), 255})
		}
	}
	return m
}

func grayPicture(h, w int) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, w, h))
	for k := range m.Pix {
		m.Pix[k] = uint8(13 * k)
	}
	return m
}

func encoded(t testing.TB, m image.Image, kind string) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch kind {
	case "png":
		err = png.Encode(&b, m)
	case "jpg":
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 100})
	case "gif":
		err = gif.Encode(&b, m, nil)
	case "bmp":
		err = bmp.Encode(&b, m)
	case "tiff":
		err = tiff.Encode(&b, m, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree writes files by path below a new folder.
func tree(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenFolder(t *testing.T) {
	m := colorful(5, 6)
	files := map[string][]byte{"readme.txt": []byte("no image"), "class 10/.hidden.png": []byte("hidden"), "class 2/notes.txt": nil}
	for k, kind := range []string{"png", "gif", "bmp", "tiff"} {
		files[fmt.Sprintf("class 2/deep/%d.%s", k, kind)] = encoded(t, m, kind)
	}
	files["class 10/named-wrongly.jpg"] = encoded(t, m, "png")
	f, err := OpenFolder(t.Context(), tree(t, files), PictureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := f.Train
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	if f.Test != nil || f.Skipped != nil || s.Notes != nil || !slices.Equal(s.Classes, []string{"class 2", "class 10"}) ||
		!slices.Equal(s.InputDims(), []int{5, 6, 3}) || s.Len() != 5 {
		t.Errorf("%d images of %v, classes %v, notes %q", s.Len(), s.InputDims(), s.Classes, s.Notes)
	}
	for i, id := range s.IDs {
		if want := strings.HasPrefix(id, "class 10/"); (s.Labels[i] == 1) != want {
			t.Errorf("%s has label %d", id, s.Labels[i])
		}
		if strings.HasSuffix(id, ".gif") {
			continue // of 256 colors
		}
		for y := range 5 {
			for x := range 6 {
				c := m.NRGBAAt(x, y)
				if got := s.Pixels(i)[3*(6*y+x):][:3]; !slices.Equal(got, []uint8{c.R, c.G, c.B}) {
					t.Fatalf("%s: pixel %d, %d is %v, want %v", id, x, y, got, c)
				}
			}
		}
	}
}

func TestOpenFolderParts(t *testing.T) {
	a, b := encoded(t, grayPicture(4, 4), "png"), encoded(t, grayPicture(4, 4).SubImage(image.Rect(0, 0, 4, 4)), "bmp")
	other := encoded(t, colorful(4, 4), "png")
	dir := tree(t, map[string][]byte{
		"train/cat/1.png": a, "train/dog/1.bmp": b, "val/cat/2.png": a, "test/dog/3.png": other, "test/cat/4.png": a, "else/owl/1.png": a,
	})
	f, err := OpenFolder(t.Context(), dir, PictureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.Train.IDs, []string{"train/cat/1.png", "train/dog/1.bmp", "val/cat/2.png"}) ||
		!slices.Equal(f.Test.IDs, []string{"test/cat/4.png", "test/dog/3.png"}) || f.Test.Labels[1] != 1 || f.Train.Channels != 3 {
		t.Errorf("train %v, test %v", f.Train.IDs, f.Test.IDs)
	}
	want := dir + ": 1 of 2 test images are among the training images too, such as test/cat/4.png: the test flatters"
	if !slices.Equal(f.Train.Notes, []string{want}) {
		t.Errorf("notes %q, want %q", f.Train.Notes, want)
	}
	if _, err := Concat(f.Train, f.Test); err != nil {
		t.Error(err)
	}
}

// TestOpenFolderSizes: images of different sizes are covered and cropped around their center; gray ones stay gray.
func TestOpenFolderSizes(t *testing.T) {
	half := image.NewGray(image.Rect(0, 0, 300, 100)) // the middle 100 columns white, the rest black
	for y := range 100 {
		for x := range 300 {
			if x >= 100 && x < 200 {
				half.SetGray(x, y, color.Gray{255})
			}
		}
	}
	dir := tree(t, map[string][]byte{"a/wide.png": encoded(t, half, "png"), "b/small.png": encoded(t, grayPicture(4, 4), "png")})
	f, err := OpenFolder(t.Context(), dir, PictureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := f.Train
	if !slices.Equal(s.InputDims(), []int{64, 64, 1}) || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "from 4x4 to 100x300: images are scaled and cropped to 64x64") {
		t.Errorf("%v, notes %q", s.InputDims(), s.Notes)
	}
	if slices.Min(s.Pixels(0)[64*8:64*56]) < 250 { // all of the middle third
		t.Errorf("the center is not what is kept: %v", s.Pixels(0)[64*32:64*33])
	}
	if f, err = OpenFolder(t.Context(), dir, PictureOptions{Height: 20, Width: 60}); err != nil || !slices.Equal(f.Train.InputDims(), []int{20, 60, 1}) || f.Train.Notes != nil {
		t.Fatalf("%v", err)
	}
	row := f.Train.Pixels(0)[10*60 : 11*60]
	if row[5] > 5 || row[30] < 250 || row[55] > 5 {
		t.Errorf("a third of the size is %v", row)
	}
}

// TestOpenFolderSameBits decodes with several numbers of processors.
func TestOpenFolderSameBits(t *testing.T) {
	files := map[string][]byte{}
	for k := range 30 {
		files[fmt.Sprintf("%d/%d.png", k%3, k)] = encoded(t, colorful(10+k, 40-k), "png")
	}
	dir := tree(t, files)
	var first string
	for _, n := range []int{1, 2, 7} {
		before := runtime.GOMAXPROCS(n)
		f, err := OpenFolder(t.Context(), dir, PictureOptions{})
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		if h := f.Train.Hash(); first == "" {
			first = h
		} else if h != first {
			t.Errorf("other bits with %d processors", n)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenFolder(ctx, dir, PictureOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestOpenFolderLaysOnWhite(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	m.SetNRGBA(0, 0, color.NRGBA{200, 0, 0, 0})     // not to be seen
	m.SetNRGBA(1, 0, color.NRGBA{0, 0, 0, 51})      // a fifth of black
	deep := image.NewGray16(image.Rect(0, 0, 2, 1)) // 16 bits: the upper 8 count
	deep.SetGray16(0, 0, color.Gray16{0x12ff})
	deep.SetGray16(1, 0, color.Gray16{0xff00})
	f, err := OpenFolder(t.Context(), tree(t, map[string][]byte{"a/1.png": encoded(t, m, "png"), "b/1.png": encoded(t, deep, "png")}), PictureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.Train.Pixels(0), []uint8{255, 255, 255, 204, 204, 204}) || !slices.Equal(f.Train.Pixels(1), []uint8{0x12, 0x12, 0x12, 255, 255, 255}) {
		t.Errorf("%v and %v", f.Train.Pixels(0), f.Train.Pixels(1))
	}
}

// withOrientation puts an EXIF segment behind the start of a JPEG file.
func withOrientation(file []byte, order binary.AppendByteOrder, value uint16) []byte {
	tiff := []byte("II*\x00")
	if order == binary.BigEndian {
		tiff = []byte("MM\x00*")
	}
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 2)
	tiff = append(order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x0100), 4), 1), 0, 0, 0, 0) // another tag first
	tiff = order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x0112), 3), 1)
	tiff = append(order.AppendUint16(tiff, value), 0, 0)
	body := append([]byte("Exif\x00\x00"), tiff...)
	segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2))
	return slices.Concat(file[:2], segment, body, file[2:])
}

// TestOrientation: stored with every orientation, an image with one bright corner shows it at the upper left.
func TestOrientation(t *testing.T) {
	const h, w = 16, 32 // upright
	for value := uint16(1); value <= 8; value++ {
		sh, sw := h, w
		if turn(value).swaps() {
			sh, sw = w, h
		}
		// Where the upper left corner is stored: EXIF 2.3, the sides that row 0 and column 0 stand for.
		y, x := map[uint16][2]int{1: {0, 0}, 2: {0, 1}, 3: {1, 1}, 4: {1, 0}, 5: {0, 0}, 6: {1, 0}, 7: {1, 1}, 8: {0, 1}}[value][0],
			map[uint16][2]int{1: {0, 0}, 2: {0, 1}, 3: {1, 1}, 4: {1, 0}, 5: {0, 0}, 6: {1, 0}, 7: {1, 1}, 8: {0, 1}}[value][1]
		m := image.NewGray(image.Rect(0, 0, sw, sh))
		for dy := range 8 {
			for dx := range 8 {
				m.SetGray(x*(sw-8)+dx, y*(sh-8)+dy, color.Gray{255})
			}
		}
		var order binary.AppendByteOrder = binary.LittleEndian
		if value%2 == 0 {
			order = binary.BigEndian
		}
		file := withOrientation(encoded(t, m, "jpg"), order, value)
		f, err := OpenFolder(t.Context(), tree(t, map[string][]byte{"a/1.jpg": file, "b/1.jpg": file}), PictureOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s := f.Train
		if !slices.Equal(s.InputDims(), []int{h, w, 1}) {
			t.Errorf("orientation %d: %v", value, s.InputDims())
			continue
		}
		p := s.Pixels(0)
		if p[3*w+3] < 200 || p[3*w+w-4] > 50 || p[(h-4)*w+3] > 50 || p[(h-4)*w+w-4] > 50 {
			t.Errorf("orientation %d: corners %d %d %d %d", value, p[3*w+3], p[3*w+w-4], p[(h-4)*w+3], p[(h-4)*w+w-4])
		}
	}
}

// hugePNG is a PNG file of a few bytes that claims to be large.
func hugePNG(t testing.TB) []byte {
	b := encoded(t, grayPicture(2, 2), "png")
	// The header's checksum covers width and height; a decoder that reads the header alone checks it.
	binary.BigEndian.PutUint32(b[16:], 1<<16)
	binary.BigEndian.PutUint32(b[20:], 1<<16)
	return withCRC(b)
}

// TestDecodedBytesAreBounded: of pixels of 16 bits half as many are read as of those of 8, for they take twice the memory. Headers alone are
// read here.
func TestDecodedBytesAreBounded(t *testing.T) {
	const gray, color, colorAlpha = 0, 2, 6 // color types of PNG
	for _, test := range []struct {
		height, width uint32
		depth, kind   byte
		want          string
	}{
		{1 << 14, 1 << 14, 8, color, ""},
		{1 << 14, 1<<14 + 1, 8, color, "claims to be 16384x16385 pixels, more than the 268435456 that are read"},
		{1 << 14, 1 << 13, 16, color, ""},
		{1 << 14, 1<<13 + 1, 16, color, "claims to be 16384x8193 pixels, more than the 134217728 that are read"},
		{1 << 14, 1<<13 + 1, 16, colorAlpha, "134217728"},
		{1 << 14, 1<<13 + 1, 16, gray, "134217728"},
		{1, 1<<17 + 1, 8, gray, "claims to be 1x131073 pixels"},
	} {
		b := encoded(t, grayPicture(2, 2), "png")
		binary.BigEndian.PutUint32(b[16:], test.width)
		binary.BigEndian.PutUint32(b[20:], test.height)
		b[24], b[25] = test.depth, test.kind
		b = withCRC(b)
		var err error
		checkAllocated(t, allocated(func() { _, err = inspect(bytes.NewReader(b)) }), len(b))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%dx%d, %d bits, type %d: %v, want %q", test.height, test.width, test.depth, test.kind, err, test.want)
		}
	}
}

func TestOpenFolderUnreadable(t *testing.T) {
	good := encoded(t, grayPicture(4, 4), "png")
	outside := tree(t, map[string][]byte{"secret.png": good})
	dir := tree(t, map[string][]byte{"a/good.png": good, "b/good.png": good, "a/empty.png": nil, "a/text.jpg": []byte("no image at all"), "b/cut.png": good[:len(good)-20], "b/huge.png": hugePNG(t)})
	if err := os.Symlink(filepath.Join(outside, "secret.png"), filepath.Join(dir, "a", "link.png")); err != nil {
		t.Skip(err)
	}
	_, err := OpenFolder(t.Context(), dir, PictureOptions{})
	var unreadable *UnreadableError
	if !errors.As(err, &unreadable) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{": 5 images can't be read (--skip-unreadable", "\n  a/empty.png: is empty", "\n  a/text.jpg: is no PNG, JPEG",
		"\n  b/cut.png: is cut short", "\n  b/huge.png: claims to be 65536x65536 pixels", "\n  a/link.png: leads out of the folder"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said:\n%v", want, err)
		}
	}
	f, err := OpenFolder(t.Context(), dir, PictureOptions{SkipUnreadable: true})
	if err != nil || f.Train.Len() != 2 || len(f.Skipped) != 5 || len(f.Train.Notes) != 6 || !strings.Contains(f.Train.Notes[0], "5 images left out that can't be read") {
		t.Errorf("%v, %+v", err, f)
	}
}

func TestOpenFolderRefuses(t *testing.T) {
	good := encoded(t, grayPicture(4, 4), "png")
	for _, test := range []struct {
		name, want string
		files      map[string][]byte
	}{
		{"nothing", "holds no images in folders", map[string][]byte{"a.png": good, "b/readme.txt": good}},
		{"one class", `holds one class, "a"`, map[string][]byte{"a/1.png": good}},
		{"an empty class", `class "b" has no image to train on`, map[string][]byte{"a/1.png": good, "b/readme.txt": good}},
		{"a class of test only", `class "c" is tested on and not trained on`, map[string][]byte{"train/a/1.png": good, "train/b/1.png": good, "test/c/1.png": good}},
	} {
		dir := tree(t, test.files)
		_, err := OpenFolder(t.Context(), dir, PictureOptions{})
		checkInputError(t, err, dir, test.want)
	}
	_, err := OpenFolder(t.Context(), filepath.Join(t.TempDir(), "missing"), PictureOptions{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is missing: %v", err)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string][2]int{"64": {64, 64}, "48x96": {48, 96}, "": {}, "0": {}, "12x": {}, "x9": {}, "-3": {}, "7x7x7": {}, "99999999999999999999": {}} {
		h, w, err := ParseSize(text)
		if h != want[0] || w != want[1] || (err != nil) != (want[0] == 0) {
			t.Errorf("%q: %d, %d, %v", text, h, w, err)
		}
	}
}

func TestCompareNatural(t *testing.T) {
	names := []string{"b", "10", "a2", "a10", "2", "a", "a02", "Z"}
	slices.SortFunc(names, compareNatural)
	if got := strings.Join(names, " "); got != "2 10 Z a a2 a02 a10 b" {
		t.Error(got)
	}
}

func FuzzPictureFile(f *testing.F) {
	for _, kind := range []string{"png", "jpg", "gif", "bmp", "tiff"} {
		f.Add(encoded(f, colorful(5, 7), kind))
	}
	f.Add(withOrientation(encoded(f, grayPicture(8, 8), "jpg"), binary.BigEndian, 6))
	f.Add(hugePNG(f))
	f.Fuzz(func(t *testing.T, content []byte) {
		var info pictureInfo
		var err error
		checkAllocated(t, allocated(func() { info, err = inspect(bytes.NewReader(content)) }), len(content))
		if err != nil || info.size.height*info.size.width > 1<<20 {
			return // large images are slow, not wrong
		}
		for _, size := range []imageSize{{3, 5}, info.size} {
			pix := make([]uint8, 3*size.height*size.width)
			if info.gray {
				pix = pix[:len(pix)/3]
			}
			_ = decodePicture(bytes.NewReader(content), size, info.gray, pix)
		}
	})
}

// FuzzOrientation: whatever a JPEG file begins with, it has one of the eight orientations, and a turned image keeps within its bounds.
func FuzzOrientation(f *testing.F) {
	m := encoded(f, grayPicture(8, 8), "jpg")
	f.Add(withOrientation(m, binary.BigEndian, 6)[:64])
	f.Add(withOrientation(m, binary.LittleEndian, 9)[:64])
	f.Fuzz(func(t *testing.T, head []byte) {
		r := bufio.NewReader(bytes.NewReader(head))
		got := orientation(r)
		if got < 1 || got > 8 {
			t.Fatalf("orientation %d", got)
		}
		if rest, err := io.ReadAll(r); err != nil || !bytes.Equal(rest, head) {
			t.Error("the file is not as it was")
		}
		m := turned{colorful(2, 3), got}
		b := m.Bounds()
		if got.swaps() != (b.Dx() == 2) {
			t.Errorf("orientation %d gives %v", got, b)
		}
		for y := range b.Dy() {
			for x := range b.Dx() {
				if _, _, _, a := m.At(x, y).RGBA(); a != 0xffff { // what lies outside is transparent
					t.Errorf("orientation %d: pixel %d, %d comes from outside", got, x, y)
				}
			}
		}
	})
}

// withCRC makes the checksum of a PNG file's header right again.
func withCRC(b []byte) []byte {
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

// BenchmarkOpenFolder reads the folder that DATADROPOUT_TESTING_FOLDER names, or one of 1,000 small PNG files; bench/peers has what
// Pillow does with it.
func BenchmarkOpenFolder(b *testing.B) {
	dir := os.Getenv("DATADROPOUT_TESTING_FOLDER")
	if dir == "" {
		files := map[string][]byte{}
		for k := range 1000 {
			m := image.NewGray(image.Rect(0, 0, 28, 28))
			for i := range m.Pix {
				m.Pix[i] = uint8(i * (k + 1) >> 4)
			}
			files[fmt.Sprintf("%d/%d.png", k%10, k)] = encoded(b, m, "png")
		}
		dir = tree(b, files)
	}
	for b.Loop() {
		if _, err := OpenFolder(b.Context(), dir, PictureOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
