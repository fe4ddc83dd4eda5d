package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/dataset"
)

// noisePNG writes an image of h x w pixels that its seed decides; seed 0 is blank.
func noisePNG(t *testing.T, path string, seed, h, w int) {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for k := range h * w {
		m.SetRGBA(k%w, k/w, color.RGBA{uint8(k * seed * 37), uint8(k * seed * seed * 11), uint8(seed), 255})
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
}

// TestDataInfoFolder: of a folder made with one of each fault, every fault is named, in words and as JSON.
func TestDataInfoFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my photos")
	for i := range 8 {
		noisePNG(t, filepath.Join(dir, "train", "cat", fmt.Sprintf("%d.png", i)), 1+i, 20, 24)
	}
	for i := range 4 {
		noisePNG(t, filepath.Join(dir, "train", "dog", fmt.Sprintf("%d.png", i)), 21+i, 30, 16)
	}
	noisePNG(t, filepath.Join(dir, "train", "cat", "copy.png"), 2, 20, 24)
	noisePNG(t, filepath.Join(dir, "train", "dog", "wrong.png"), 3, 20, 24)
	noisePNG(t, filepath.Join(dir, "train", "dog", "blank.png"), 0, 20, 24)
	noisePNG(t, filepath.Join(dir, "test", "cat", "leak.png"), 4, 20, 24)
	noisePNG(t, filepath.Join(dir, "test", "dog", "new.png"), 50, 20, 24)
	if err := os.WriteFile(filepath.Join(dir, "train", "cat", "broken.png"), []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	t.Chdir(work)
	code, out, errs := runCommand(t, "data", "info", dir, "--image-size", "12")
	if code != exitInput || errs != "datadropout: "+dir+": 1 image can't be read; run refuses the data set, or leaves them out with --skip-unreadable\n" {
		t.Errorf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{
		"my photos: color images of 12x12, 2 classes\n",
		"2 sizes: heights from 20 to 30, widths from 16 to 24\n",
		"training        15 ", "official test   2 ",
		"cat           9  60.0 %       1  ██████████████████████████████\n",
		"dog           6  40.0 %       1  ████████████████████\n",
		"balance: from 6 training images (dog) to 9 (cat); always guessing cat is right for 60.0 % of the training images\n",
		"copies in training   2 images like an earlier one: train/cat/1.png = train/cat/copy.png, train/cat/2.png = train/dog/wrong.png\n",
		"copies in test       none\n",
		"leakage              warning: 1 test image is in training too, and flatters: train/cat/3.png = test/cat/leak.png\n",
		"contradictions       warning: 1 picture with different labels: train/cat/2.png (cat) = train/dog/wrong.png (dog)\n",
		"near-blank           1 image: train/dog/blank.png\n",
		"unreadable           1 image\n  train/cat/broken.png: is no PNG",
		"A contact sheet is in my-photos-sheet.png\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	f, err := os.Open(filepath.Join(work, "my-photos-sheet.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if m, err := png.Decode(f); err != nil || m.Bounds().Dx() < 500 {
		t.Errorf("the sheet: %v", err)
	}

	sheet := filepath.Join(t.TempDir(), "s.PNG")
	code, out, errs = runCommand(t, "data", "info", "--data", dir, "--image-size", "12", "--skip-unreadable", "--json", "--sheet", sheet)
	if code != exitDone || errs != "" {
		t.Errorf("exit code %d: %s", code, errs)
	}
	var line infoLine
	if err := json.Unmarshal([]byte(out), &line); err != nil {
		t.Fatal(err)
	}
	if want := (dataset.Duplicates{Train: 2, Leaked: 1, Contradictions: 1, Contradicting: 2}); line.Duplicates != want {
		t.Errorf("duplicates %+v, want %+v", line.Duplicates, want)
	}
	if len(line.Copies) != 3 || len(line.Unreadable) != 1 || line.Unreadable[0].Path != "train/cat/broken.png" || line.Sheet != sheet ||
		line.Train.Images != 15 || line.Sizes.Distinct != 2 || line.Type != "data_info" {
		t.Errorf("%s", out)
	}
	if _, err := os.Stat(sheet); err != nil {
		t.Error(err)
	}
}

// TestDataInfoBuiltIn: the built-in set needs nothing, and an empty name leaves the sheet out.
func TestDataInfoBuiltIn(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	code, out, errs := runCommand(t, "data", "info", "shapes", "--sheet", "")
	if code != exitDone || errs != "" || !strings.Contains(out, "1250 training images of each class") || !strings.Contains(out, "no test set of its own") ||
		strings.Contains(out, "leakage") || strings.Contains(out, "sheet") {
		t.Errorf("exit code %d: %s\n%s", code, errs, out)
	}
	if entries, err := os.ReadDir(work); err != nil || len(entries) > 0 {
		t.Errorf("it wrote %v (%v)", entries, err)
	}
}

func TestDataInfoBadInput(t *testing.T) {
	t.Setenv(dataset.CacheVariable, t.TempDir())
	t.Chdir(t.TempDir())
	allBroken := t.TempDir()
	for _, class := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(allBroken, class), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(allBroken, class, "1.png"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"", exitUsage, "name a data set (shapes, mnist"},
		{"mnist --data kmnist", exitUsage, `name the data set once: "mnist" or --data kmnist`},
		{"mnist kmnist", exitUsage, "info takes one name at most"},
		{"imagenet", exitUsage, `unknown data set "imagenet"`},
		{"shapes --sheet a.jpg", exitUsage, "name that ends in .png"},
		{"shapes --image-size 16", exitUsage, "not for shapes"},
		{"cifar10", exitInput, "type: datadropout data fetch cifar10"},
		{"mnist --data-dir " + allBroken, exitInput, "file does not exist"},
		{allBroken, exitInput, "2 images can't be read (--skip-unreadable leaves them out):\n  a/1.png: is empty\n  b/1.png: is empty"},
		{idxFiles(t, 200, nil) + " --sheet " + filepath.Join(allBroken, "none", "s.png"), exitFailed, "s.png: no such file or directory"},
	} {
		code, _, errs := runCommand(t, append([]string{"data", "info"}, strings.Fields(tt.args)...)...)
		if code != tt.code || !strings.Contains(errs, tt.says) {
			t.Errorf("%s: exit code %d, want %d with %q: %s", tt.args, code, tt.code, tt.says, errs)
		}
	}
}

// TestDataInfoManyClasses: of many classes the largest and the smallest are shown.
func TestDataInfoManyClasses(t *testing.T) {
	r := &dataset.Inspection{Train: &dataset.PartInspection{}, Test: &dataset.PartInspection{}}
	for k := range 1000 {
		r.Classes = append(r.Classes, fmt.Sprintf("class %d", k))
		r.Train.PerClass = append(r.Train.PerClass, 10+k)
		r.Train.Images += 10 + k
		r.Test.PerClass = append(r.Test.PerClass, min(k, 5))
	}
	var b strings.Builder
	printClasses(&b, r)
	out := b.String()
	if strings.Count(out, "\n") > 30 || !strings.Contains(out, "class 999 ") || !strings.Contains(out, "class 0 ") || strings.Contains(out, "class 500") ||
		!strings.Contains(out, "... 980 more") || !strings.Contains(out, "warning: 1 class without a test image: class 0\n") {
		t.Error(out)
	}
	for k := range r.Train.PerClass {
		r.Train.PerClass[k], r.Test.PerClass[k] = 500, 50
	}
	b.Reset()
	printClasses(&b, r)
	if out := b.String(); out != "balance: 500 training images of each class, 50 of the test set\n" {
		t.Error(out)
	}
}
