package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// mixedFolder is a folder of pictures of several sizes with a test set and one that can't be read.
func mixedFolder(t *testing.T) string {
	files := map[string][]byte{"train/0/broken.png": []byte("broken")}
	for k := range 12 {
		files[fmt.Sprintf("train/%d/%d.png", k%3, k)] = encoded(t, colorful(8+k, 20-k), "png")
	}
	for k := range 4 {
		files[fmt.Sprintf("test/%d/%d.png", k%3, k)] = encoded(t, colorful(9+k, 9), "png")
	}
	return tree(t, files)
}

// Pixels on disk are the same bits as pixels in memory, whatever is done with the set.
func TestPixelsOnDisk(t *testing.T) {
	dir := mixedFolder(t)
	o := PictureOptions{Height: 10, Width: 12, SkipUnreadable: true}
	open := func(o PictureOptions) *Images {
		t.Helper()
		p, err := OpenPictures(t.Context(), FolderName, dir, o)
		if err != nil {
			t.Fatal(err)
		}
		all, err := Concat(p.Train, p.Test)
		if err != nil {
			t.Fatal(err)
		}
		if err := all.Validate(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	memory := open(o)
	o.Memory, o.Scratch = 16*360-1, t.TempDir() // 17 images with the one that can't be read
	disk := open(o)
	defer disk.Close()
	if disk.Pix != nil || disk.disk == nil || memory.Pix == nil {
		t.Fatalf("%d bytes in memory", len(disk.Pix))
	}
	order := []int{15, 3, 3, 0, 12}
	for name, sets := range map[string][2]*Images{"all": {memory, disk}, "some": {memory.Subset(order), disk.Subset(order)}} {
		a, b := sets[0], sets[1]
		if a.Hash() != b.Hash() {
			t.Errorf("%s: other bits on disk", name)
		}
		am, as := a.ChannelStats(upTo(0, a.Len()))
		bm, bs := b.ChannelStats(upTo(0, b.Len()))
		if !slices.Equal(am, bm) || !slices.Equal(as, bs) {
			t.Errorf("%s: other means on disk", name)
		}
		var sources [2]Varying
		for k, s := range sets {
			var err error
			if sources[k], err = Augmented(s, Augmentation{Crop: 2, Flip: true}); err != nil {
				t.Fatal(err)
			}
		}
		var x, y [2][]float32
		for i := range a.Len() {
			for k := range sets {
				x[k], y[k] = make([]float32, 360), make([]float32, 3)
				sets[k].Fill(i, x[k], y[k])
			}
			same := slices.Equal(x[0], x[1]) && slices.Equal(y[0], y[1])
			for k := range sets {
				sources[k].FillEpoch(i, 7, 2, x[k], y[k])
			}
			if !same || !slices.Equal(x[0], x[1]) || a.Sharpness(i) != b.Sharpness(i) || a.PixelDistance(i, 0) != b.PixelDistance(i, 0) {
				t.Errorf("%s: image %d differs", name, i)
			}
		}
	}
	// Sets of which one is on disk are joined in memory.
	other := memory.Subset([]int{0})
	other.IDs = []string{"other"}
	if both, err := Concat(disk, other); err != nil || both.Validate() != nil || both.Pix == nil || !slices.Equal(both.Pixels(16), memory.Pixels(0)) || !slices.Equal(both.Pixels(15), memory.Pixels(15)) {
		t.Errorf("joined: %v", err)
	}
	if err := disk.Err(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(disk.Close(), disk.Close()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(o.Scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// brokenFile fails to be read or written.
type brokenFile struct{ err error }

func (f brokenFile) ReadAt([]byte, int64) (int, error)  { return 0, f.err }
func (f brokenFile) WriteAt([]byte, int64) (int, error) { return 0, f.err }
func (f brokenFile) Close() error                       { return nil }

func TestPixelFileFails(t *testing.T) {
	p, err := newPixelFile(t.TempDir(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	s := &Images{Height: 1, Width: 2, Channels: 1, Classes: []string{"a"}, Labels: []int{0}, IDs: []string{"x"}, disk: p, at: []int{0}}
	if err := p.write([]uint8{3, 4}, 0); err != nil || !slices.Equal(s.Pixels(0), []uint8{3, 4}) || s.Err() != nil {
		t.Fatal(err, s.Err())
	}
	broken := &pixelFile{file: brokenFile{errors.New("out of order")}, size: 2}
	broken.loans.New = p.loans.New
	s.disk = broken
	x := []float32{5, 5}
	if s.Fill(0, x, make([]float32, 1)); s.Err() == nil || !strings.Contains(s.Err().Error(), "reading pixels from disk: out of order") || x[0] != 0 {
		t.Errorf("%v, %v", s.Err(), x)
	}
	if err := broken.write([]uint8{1, 2}, 0); err == nil {
		t.Error("a failure to write is not told")
	}
	_, err = OpenPictures(t.Context(), FolderName, mixedFolder(t), PictureOptions{SkipUnreadable: true, Memory: 1, Scratch: filepath.Join(t.TempDir(), "nowhere")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is missing: %v", err)
	}
}

// afterSome is a context that is cancelled when it has been asked some times.
type afterSome struct {
	context.Context
	left atomic.Int64
}

func (c *afterSome) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// Reading stops when it is cancelled, wherever it is, and leaves no file behind.
func TestOpenPicturesCancelled(t *testing.T) {
	dir := mixedFolder(t)
	manifest := "path,label\n"
	for k := range 12 {
		manifest += fmt.Sprintf("train/%d/%d.png,%d\n", k%3, k, k%3)
	}
	file := writeFile(t, dir, "m.csv", []byte(manifest))
	for name, path := range map[string]string{FolderName: dir, ManifestName: file, ParquetName: filepath.Join(parquetData, "shards")} {
		scratch := t.TempDir()
		o := PictureOptions{SkipUnreadable: true, Memory: 1, Scratch: scratch}
		done := false
		for left := int64(0); !done && left < 1000; left += 3 {
			ctx := &afterSome{Context: t.Context()}
			ctx.left.Store(left)
			p, err := OpenPictures(ctx, name, path, o)
			switch {
			case err == nil:
				done = true
				if err := errors.Join(p.Train.Validate(), p.Train.Close()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			case !errors.Is(err, context.Canceled):
				t.Fatalf("%s: cancelled after %d: %v", name, left, err)
			}
		}
		if !done {
			t.Errorf("%s: never read", name)
		}
		if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v %v", name, left, err)
		}
	}
}
