package dataset

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"slices"
	"strings"
	"testing"
)

// encodedGIF is a GIF file of the frames, with a palette for all of them unless it is nil.
func encodedGIF(t testing.TB, screen image.Point, global color.Palette, frames ...*image.Paletted) []byte {
	t.Helper()
	g := &gif.GIF{Image: frames, Delay: make([]int, len(frames)), Config: image.Config{Width: screen.X, Height: screen.Y}}
	if global != nil {
		g.Config.ColorModel = global
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGrayGIF: whether a GIF file is gray is settled by the palette that its first frame has, wherever that stands.
func TestGrayGIF(t *testing.T) {
	grays := color.Palette{color.Gray{Y: 7}, color.Gray{Y: 250}}
	colors := color.Palette{color.RGBA{R: 200, A: 255}, color.RGBA{G: 100, B: 50, A: 255}}
	box := image.Rect(0, 0, 2, 1)
	frame := func(p color.Palette) *image.Paletted {
		m := image.NewPaletted(box, p)
		m.SetColorIndex(1, 0, 1)
		return m
	}
	gray, colored := []uint8{7, 250}, []uint8{200, 0, 0, 0, 100, 50}
	clear := encodedGIF(t, box.Max, color.Palette{color.Gray{Y: 7}, color.RGBA{}}, frame(color.Palette{color.Gray{Y: 7}, color.RGBA{}}))
	copy(clear[13+3:], []byte{200, 0, 0}) // the second color of the palette for all, which is transparent
	commented := encodedGIF(t, box.Max, nil, frame(colors))
	commented = slices.Concat(commented[:13], []byte("!\xfe\x03,;!\x02ab\x00"), commented[13:])
	for _, test := range []struct {
		name string
		file []byte
		want []uint8
	}{
		{"gray for all", encodedGIF(t, box.Max, grays, frame(grays)), gray},
		{"colored for all", encodedGIF(t, box.Max, colors, frame(colors)), colored},
		{"gray of its own", encodedGIF(t, box.Max, nil, frame(grays)), gray},
		{"colored of its own", encodedGIF(t, box.Max, nil, frame(colors)), colored},
		{"colored of its own, gray for all", encodedGIF(t, box.Max, grays, frame(colors)), colored},
		{"gray of its own, colored for all", encodedGIF(t, box.Max, colors, frame(grays)), gray},
		{"colored behind a comment", commented, colored},
		{"gray, a colored frame next", encodedGIF(t, box.Max, nil, frame(grays), frame(colors)), gray},
		{"a color that is transparent", clear, []uint8{7, 255}},
	} {
		f, err := OpenFolder(t.Context(), tree(t, map[string][]byte{"a/1.gif": test.file, "b/1.gif": test.file}), PictureOptions{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got := f.Train.Pixels(0); !slices.Equal(got, test.want) {
			t.Errorf("%s: pixels %v, want %v", test.name, got, test.want)
		}
	}
}

// TestGrayGIFCut: a file that ends before its first frame leaves the channels of the others alone.
func TestGrayGIFCut(t *testing.T) {
	whole := encodedGIF(t, image.Pt(2, 2), nil, image.NewPaletted(image.Rect(0, 0, 2, 2), color.Palette{color.RGBA{R: 9, A: 255}, color.Black}))
	gray := encoded(t, grayPicture(2, 2), "png")
	files := map[string][]byte{"a/1.png": gray, "b/1.png": gray, "b/no-frame.gif": append(whole[:13:13], ';')}
	for _, n := range []int{13, 14, 17, 25, 27} {
		files["a/"+strings.Repeat("x", n)+".gif"] = whole[:n]
	}
	f, err := OpenFolder(t.Context(), tree(t, files), PictureOptions{SkipUnreadable: true})
	if err != nil {
		t.Fatal(err)
	}
	if f.Train.Channels != 1 || len(f.Skipped) != 6 {
		t.Errorf("%d channels, skipped %v", f.Train.Channels, f.Skipped)
	}
	for _, s := range f.Skipped {
		want := "is cut short"
		if strings.HasPrefix(s.Path, "b/") {
			want = "is a GIF without an image"
		}
		if s.Err.Error() != want {
			t.Errorf("%s: %v, want %s", s.Path, s.Err, want)
		}
	}
}

// TestPlacedGIF: a first frame that is smaller than the screen stands where it belongs, on white, as in a PNG file of the whole screen that
// is transparent elsewhere.
func TestPlacedGIF(t *testing.T) {
	red := color.RGBA{R: 200, A: 255}
	small := image.NewPaletted(image.Rect(2, 1, 4, 3), color.Palette{red, color.RGBA{}})
	small.SetColorIndex(3, 2, 1) // transparent
	whole := image.NewNRGBA(image.Rect(0, 0, 6, 4))
	for _, at := range []image.Point{{2, 1}, {3, 1}, {2, 2}} {
		whole.Set(at.X, at.Y, red)
	}
	dir := tree(t, map[string][]byte{"a/small.gif": encodedGIF(t, image.Pt(6, 4), nil, small), "b/whole.png": encoded(t, whole, "png")})
	for _, o := range []PictureOptions{{}, {Height: 8, Width: 9}, {Height: 2, Width: 2}} {
		f, err := OpenFolder(t.Context(), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		got := f.Train.Pixels(0)
		if want := f.Train.Pixels(1); !slices.Equal(got, want) {
			t.Errorf("%dx%d: pixels %v, want %v", o.Height, o.Width, got, want)
		}
		if o.Height > 0 {
			continue
		}
		for k := range 6 * 4 {
			want := []uint8{255, 255, 255}
			if whole.Pix[4*k+3] > 0 {
				want = []uint8{200, 0, 0}
			}
			if !slices.Equal(got[3*k:3*k+3], want) {
				t.Errorf("pixel %d is %v, want %v", k, got[3*k:3*k+3], want)
			}
		}
	}
	p, err := OpenPictureFolder(t.Context(), dir, PictureFolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := p.All[0], p.All[1]; a.Height != 4 || a.Width != 6 || !slices.Equal(a.Pix, b.Pix) {
		t.Errorf("%dx%d, %v, want %v", a.Height, a.Width, a.Pix, b.Pix)
	}
	if notes := strings.Join(p.Notes, "\n"); !strings.Contains(notes, "2 images, such as a/small.gif, have transparent pixels") {
		t.Errorf("notes %q", notes)
	}
}
