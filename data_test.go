package datadropout

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/dataset"
)

// manifestOf writes n images of two shades, and a manifest of them, and returns its path.
func manifestOf(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	text := "file;kind;part\n"
	for k := range n {
		m := image.NewGray(image.Rect(0, 0, 8, 8))
		for p := range m.Pix {
			m.Pix[p] = uint8(100*(k%2) + 3*p%97 + k%100)
		}
		m.SetGray(0, 0, color.Gray{uint8(k)})
		m.SetGray(1, 0, color.Gray{uint8(k >> 8)})
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", k)), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%d.png;%s;%s\n", k, []string{"dark", "light"}[k%2], []string{"train", "train", "val", "test"}[k/2%4])
	}
	path := filepath.Join(dir, "list.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Images of one's own give the same data, and the same fingerprint of a run, wherever their pixels are kept.
func TestLoadDataOfPictures(t *testing.T) {
	t.Setenv(dataset.CacheVariable, t.TempDir())
	c := DefaultConfig()
	c.Data, c.DataDir, c.DataColumns = dataset.ManifestName, manifestOf(t, 80), "label=kind,split=part"
	c.Score, c.Tune = 10, 10
	load := func(memory int64) (*Data, string) {
		t.Helper()
		c := c
		c.DataMemory = memory
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		d, err := LoadData(t.Context(), &c)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Fingerprint(c, d)
		if err != nil {
			t.Fatal(err)
		}
		return d, f
	}
	memory, want := load(0)
	disk, got := load(1)
	if want != got || memory.Hash != disk.Hash || !slices.Equal(memory.Images.Mean, disk.Images.Mean) {
		t.Error("other data on disk")
	}
	if memory.Images.Pix == nil || disk.Images.Pix != nil || len(disk.Split.Train) != 40 || len(disk.Split.Test) != 20 {
		t.Errorf("%d bytes in memory, %d to train on", len(disk.Images.Pix), len(disk.Split.Train))
	}
	if err := errors.Join(disk.Close(), memory.Close()); err != nil {
		t.Error(err)
	}
}

func TestCheckClasses(t *testing.T) {
	images := &dataset.Images{Classes: []string{"a", "b", "c"}, Labels: []int{0, 1, 0, 2}, Notes: []string{"before"}}
	for _, test := range []struct {
		train      []int
		err, notes string
	}{
		{[]int{0, 1, 3}, "", "before"},
		{[]int{0, 1}, "", "before|set: 1 of 3 classes have no training sample, such as c"},
		{[]int{0, 2}, `set: all 2 training samples are of one class, "a"`, "before"},
	} {
		copied := *images
		d := &Data{Images: &copied, Split: dataset.Split{Train: test.train}}
		err := d.checkClasses("set")
		var input *dataset.InputError
		if (err == nil) != (test.err == "") || err != nil && (err.Error() != test.err || !errors.As(err, &input)) || strings.Join(d.Images.Notes, "|") != test.notes {
			t.Errorf("%v: %v, notes %q", test.train, err, d.Images.Notes)
		}
	}
}

func TestValidatePictures(t *testing.T) {
	for _, test := range []struct {
		change func(c *Config)
		want   string
	}{
		{func(c *Config) { c.Data = "folder" }, "say where the images are"},
		{func(c *Config) { c.Data, c.DataDir, c.DataColumns = "folder", "x", "label=a" }, "columns are for manifests and Parquet files"},
		{func(c *Config) { c.Data, c.DataDir, c.DataColumns = "manifest", "x", "labels=a" }, "want columns as path=COLUMN"},
		{func(c *Config) { c.Data, c.DataDir, c.DataMemory = "parquet", "x", -1 }, "must not be negative"},
		{func(c *Config) { c.DataMemory = 1 << 20 }, "are for images of your own, not for shapes"},
		{func(c *Config) { c.Data = "nowhere.csv" }, "a CSV file of paths and labels"},
	} {
		c := DefaultConfig()
		test.change(&c)
		var usage *UsageError
		if err := c.Validate(); !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}
