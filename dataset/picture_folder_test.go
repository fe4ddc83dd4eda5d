package dataset

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"path/filepath"
	"strings"
	"testing"
)

// oddPictures are files of every kind that is not plain 8-bit gray: palette, alpha, 16 bits, animation, JPEG.
func oddPictures(t *testing.T) map[string][]byte {
	box := image.Rect(0, 0, 12, 10)
	gray := image.NewGray(box)
	for k := range gray.Pix {
		gray.Pix[k] = uint8(2 * k)
	}
	deep := image.NewGray16(box)
	deep.SetGray16(3, 2, color.Gray16{Y: 12345})
	clear := image.NewNRGBA(box)
	clear.SetNRGBA(0, 0, color.NRGBA{R: 100, G: 100, B: 100, A: 255})
	clear.SetNRGBA(1, 0, color.NRGBA{A: 51})
	palette := image.NewPaletted(box, color.Palette{color.Gray{Y: 7}, color.RGBA{R: 200, A: 255}})
	palette.SetColorIndex(0, 0, 1)
	var moving, still, photo bytes.Buffer
	frame := func(index uint8) *image.Paletted {
		m := image.NewPaletted(box, color.Palette{color.Gray{Y: 9}, color.Gray{Y: 250}})
		m.SetColorIndex(0, 0, index)
		return m
	}
	if err := gif.EncodeAll(&moving, &gif.GIF{Image: []*image.Paletted{frame(1), frame(0)}, Delay: []int{1, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := gif.Encode(&still, frame(1), nil); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&photo, gray, nil); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"gray.png": encoded(t, gray, "png"), "deep.png": encoded(t, deep, "png"), "clear.png": encoded(t, clear, "png"), "palette.png": encoded(t, palette, "png"),
		"moving.gif": moving.Bytes(), "still.gif": still.Bytes(), "sub/photo.jpg": photo.Bytes(), "note.txt": []byte("no image"), ".hidden.png": {1}}
}

func TestPictureFolder(t *testing.T) {
	p, err := OpenPictureFolder(t.Context(), tree(t, oddPictures(t)), PictureFolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*Picture{}
	var names []string
	for _, m := range p.All {
		byName[m.ID] = m
		names = append(names, m.ID)
		if m.Channels != 3 || m.Height != 10 || m.Width != 12 || len(m.Pix) != 360 {
			t.Errorf("%s: %dx%dx%d", m.ID, m.Height, m.Width, m.Channels)
		}
	}
	if got := strings.Join(names, " "); got != "clear.png deep.png gray.png moving.gif palette.png still.gif sub/photo.jpg" {
		t.Errorf("read %s", got)
	}
	for _, tt := range []struct {
		name  string
		at    int
		want  [3]uint16
		depth int
	}{
		{"gray.png", 5, [3]uint16{10 * 257, 10 * 257, 10 * 257}, 8},
		{"deep.png", 2*12 + 3, [3]uint16{12345, 12345, 12345}, 16},
		{"clear.png", 0, [3]uint16{100 * 257, 100 * 257, 100 * 257}, 8},
		{"clear.png", 1, [3]uint16{204 * 257, 204 * 257, 204 * 257}, 8}, // black with an alpha of a fifth on white
		{"clear.png", 2, [3]uint16{65535, 65535, 65535}, 8},
		{"palette.png", 0, [3]uint16{200 * 257, 0, 0}, 8},
		{"palette.png", 1, [3]uint16{7 * 257, 7 * 257, 7 * 257}, 8},
		{"moving.gif", 0, [3]uint16{250 * 257, 250 * 257, 250 * 257}, 8}, // the first frame
	} {
		m := byName[tt.name]
		if got := [3]uint16(m.Pix[3*tt.at:]); got != tt.want || m.Depth != tt.depth {
			t.Errorf("%s: pixel %d is %v with %d bits, want %v with %d", tt.name, tt.at, got, m.Depth, tt.want, tt.depth)
		}
	}
	notes := strings.Join(p.Notes, "\n")
	if !strings.Contains(notes, "moving.gif is animated: its first frame counts") || !strings.Contains(notes, "clear.png has transparent pixels") || len(p.Notes) != 2 {
		t.Errorf("notes: %s", notes)
	}
	gray, err := OpenPictureFolder(t.Context(), p.Dir, PictureFolderOptions{Color: "gray"})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range gray.All {
		if m.Channels != 1 || len(m.Pix) != 120 || m.ID == "palette.png" && m.Pix[0] != 257*60 { // 0.299*200
			t.Errorf("%s in gray: %d channels, %v", m.ID, m.Channels, m.Pix[0])
		}
	}
	one, err := OpenPicture(filepath.Join(p.Dir, "deep.png"))
	if err != nil || one.Channels != 1 || one.Depth != 16 || one.Pix[27] != 12345 {
		t.Errorf("%+v, %v", one, err)
	}
}

func TestBadPictureFolder(t *testing.T) {
	contents := oddPictures(t)
	contents["cut.jpg"] = contents["sub/photo.jpg"][:200]
	contents["broken.png"] = append([]byte(nil), contents["gray.png"][:60]...)
	contents["text.png"] = []byte("no image at all")
	contents["dot.png"] = encoded(t, image.NewGray(image.Rect(0, 0, 1, 1)), "png")
	dir := tree(t, contents)
	_, err := OpenPictureFolder(t.Context(), dir, PictureFolderOptions{Least: 8})
	var unreadable *UnreadableError
	if !errors.As(err, &unreadable) || len(unreadable.Files) != 4 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"cut.jpg: is cut short", "dot.png: is of 1x1 pixels, smaller than a patch of 8x8", "text.png: is no PNG", "broken.png: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %q", err, want)
		}
	}
	p, err := OpenPictureFolder(t.Context(), dir, PictureFolderOptions{Least: 8, SkipUnreadable: true})
	if err != nil || len(p.All) != 7 || len(p.Skipped) != 4 || !strings.Contains(strings.Join(p.Notes, "\n"), "4 images left out that can't be read") {
		t.Errorf("%v, %+v", err, p)
	}
	for dir, want := range map[string]string{
		filepath.Join(dir, "none"):                                     "no such file or directory",
		tree(t, map[string][]byte{"a.txt": {1}}):                       "holds no images",
		tree(t, map[string][]byte{"a.png": contents["gray.png"][:40]}): "a.png: ",
	} {
		if _, err := OpenPictureFolder(t.Context(), dir, PictureFolderOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := OpenPicture(filepath.Join(dir, "none.png")); err == nil || !strings.Contains(err.Error(), "none.png: ") {
		t.Errorf("%v", err)
	}
}

// TestScaled: a scaled constant is constant, a picture keeps its mean, and depth its levels.
func TestScaled(t *testing.T) {
	for _, tt := range []struct{ channels, depth int }{{1, 8}, {3, 8}, {1, 16}, {3, 16}} {
		p := DeadLeaves(t.Context(), 1, 40, tt.channels, 2)[0]
		p.Depth = tt.depth
		mean := func(p *Picture) (m float64) {
			for _, v := range p.Pix {
				m += float64(v) / float64(len(p.Pix))
			}
			return m
		}
		q := p.Scaled(28, 36)
		if q.Height != 28 || q.Width != 36 || len(q.Pix) != 28*36*tt.channels || q.ID != p.ID {
			t.Fatalf("%+v: %dx%d", tt, q.Height, q.Width)
		}
		if a, b := mean(p), mean(q); a/b > 1.03 || b/a > 1.03 {
			t.Errorf("%+v: the mean goes from %v to %v", tt, a, b)
		}
		levels := 0
		for _, v := range q.Pix {
			if v%257 != 0 {
				levels++
			}
		}
		if (levels > 0) != (tt.depth == 16) {
			t.Errorf("%+v: %d values are no levels of 8 bits", tt, levels)
		}
		for k := range p.Pix {
			p.Pix[k] = 100 * 257
		}
		for _, v := range p.Scaled(13, 51).Pix {
			if v != 100*257 {
				t.Fatalf("%+v: a constant becomes %v", tt, v)
			}
		}
	}
}

func TestLeakage(t *testing.T) {
	all := gradients(5, 4, 4, 1)
	same := *all[1]
	same.ID = "copy"
	if got := Leakage(all[:3], []*Picture{all[3], &same, all[4]}); len(got) != 1 || got[0] != &same {
		t.Errorf("%v", got)
	}
}
