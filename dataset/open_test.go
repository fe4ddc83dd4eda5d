package dataset

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeSet writes the four files of a data set under the given names.
func writeSet(t *testing.T, dir string, names [4]string, labels []byte) {
	t.Helper()
	for i, name := range names {
		content := idxBytes(idxImages, []uint32{3, 2, 4}, counting(24))
		if i%2 == 1 {
			content = idxBytes(idxLabels, []uint32{3}, labels)
		}
		if strings.HasSuffix(name, ".gz") {
			content = compress(content)
		}
		writeFile(t, dir, name, content)
	}
}

// mnistNames are the official names, each followed by suffix; between joins stem and type.
func mnistNames(between, suffix string) [4]string {
	return [4]string{
		"train-images" + between + "idx3-ubyte" + suffix, "train-labels" + between + "idx1-ubyte" + suffix,
		"t10k-images" + between + "idx3-ubyte" + suffix, "t10k-labels" + between + "idx1-ubyte" + suffix,
	}
}

func emnistNames(split string) [4]string {
	return [4]string{
		"emnist-" + split + "-train-images-idx3-ubyte.gz", "emnist-" + split + "-train-labels-idx1-ubyte.gz",
		"emnist-" + split + "-test-images-idx3-ubyte.gz", "emnist-" + split + "-test-labels-idx1-ubyte.gz",
	}
}

func TestOpenDir(t *testing.T) {
	for _, test := range []struct {
		set   string
		names [4]string
		class string // of label 2
	}{
		{"mnist", mnistNames("-", ""), "2"},
		{"fashion-mnist", mnistNames("-", ".gz"), "Pullover"},
		{"kmnist", mnistNames(".", ""), "su"},
		{"mnist", mnistNames(".", ".gz"), "2"},
		{"mnist", [4]string{mnistNames(".", "")[0], mnistNames("-", ".gz")[1], mnistNames("-", "")[2], mnistNames(".", ".gz")[3]}, "2"},
	} {
		t.Run(test.set+"/"+test.names[0], func(t *testing.T) {
			dir := t.TempDir()
			writeSet(t, dir, test.names, []byte{2, 0, 9})
			train, held, err := OpenDir(test.set, dir)
			if err != nil {
				t.Fatal(err)
			}
			all, err := Concat(train, held)
			if err != nil {
				t.Fatal(err)
			}
			if err := all.Validate(); err != nil {
				t.Fatal(err)
			}
			if all.Name != test.set || len(all.Classes) != 10 || all.Classes[2] != test.class {
				t.Errorf("set %s with classes %v", all.Name, all.Classes)
			}
			if all.ID(2) != "train/00002" || all.ID(3) != "test/00000" || !slices.Equal(all.Labels, []int{2, 0, 9, 2, 0, 9}) {
				t.Errorf("ids %v, labels %v", all.IDs, all.Labels)
			}
		})
	}
}

func TestOpenDirEMNIST(t *testing.T) {
	for _, test := range []struct {
		splits  []string
		want    string
		labels  []byte
		classes int
		names   []string // of the three images
	}{
		{[]string{"balanced"}, "balanced", []byte{0, 10, 46}, 47, []string{"0", "A", "t"}},
		{[]string{"letters", "digits", "balanced"}, "balanced", []byte{0, 36, 46}, 47, []string{"0", "a", "t"}},
		{[]string{"letters"}, "letters", []byte{1, 2, 26}, 26, []string{"A", "B", "Z"}},
		{[]string{"byclass"}, "byclass", []byte{9, 35, 61}, 62, []string{"9", "Z", "z"}},
		{[]string{"bymerge"}, "bymerge", []byte{9, 35, 46}, 47, []string{"9", "Z", "t"}},
		{[]string{"digits"}, "digits", []byte{9, 0, 1}, 10, []string{"9", "0", "1"}},
	} {
		t.Run(strings.Join(test.splits, "+"), func(t *testing.T) {
			dir := t.TempDir()
			for _, split := range test.splits {
				writeSet(t, dir, emnistNames(split), test.labels)
			}
			train, held, err := OpenDir("emnist", dir)
			if err != nil {
				t.Fatal(err)
			}
			if train.Name != "emnist-"+test.want || held.Name != train.Name || len(train.Classes) != test.classes {
				t.Errorf("%s with %d classes, want %s with %d", train.Name, len(train.Classes), test.want, test.classes)
			}
			for i, name := range test.names {
				if got := train.Classes[train.Labels[i]]; got != name {
					t.Errorf("image %d is of class %q, want %q", i, got, name)
				}
			}
			// Stored as 2 columns of 4 pixels: upright, 4 rows of 2.
			if train.Height != 4 || train.Width != 2 || !slices.Equal(train.Pixels(0), []byte{0, 4, 1, 5, 2, 6, 3, 7}) {
				t.Errorf("%dx%d image %v isn't upright", train.Height, train.Width, train.Pixels(0))
			}
		})
	}
}

func TestOpenDirErrors(t *testing.T) {
	full := func(labels ...byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { writeSet(t, dir, mnistNames("-", ""), labels) }
	}
	for _, test := range []struct {
		name, set string
		prepare   func(t *testing.T, dir string)
		file      string // below the directory
		want      string
	}{
		{"empty directory", "mnist", func(*testing.T, string) {}, "train-images-idx3-ubyte", "file does not exist, nor one that ends in .gz"},
		{"label out of range", "mnist", full(1, 10, 2), "train-labels-idx1-ubyte", "label 10 in record 1 of 3 is out of range: the labels of mnist are 0 to 9"},
		{"no test labels", "mnist", func(t *testing.T, dir string) {
			full(0, 1, 2)(t, dir)
			if err := os.Remove(filepath.Join(dir, "t10k-labels-idx1-ubyte")); err != nil {
				t.Fatal(err)
			}
		}, "t10k-labels-idx1-ubyte", "file does not exist"},
		{"sizes of train and test", "mnist", func(t *testing.T, dir string) {
			full(0, 1, 2)(t, dir)
			writeFile(t, dir, "t10k-images-idx3-ubyte", idxBytes(idxImages, []uint32{3, 4, 4}, counting(48)))
		}, "", "training images of 2x4 pixels, but test images of 4x4"},
		{"a directory in a file's place", "mnist", func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, "train-images-idx3-ubyte"), 0o700); err != nil {
				t.Fatal(err)
			}
			writeFile(t, dir, "train-labels-idx1-ubyte", goodLabels())
		}, "train-images-idx3-ubyte", "is a directory"},
		{"not EMNIST", "emnist", full(0, 1, 2), "", "holds no EMNIST file, such as emnist-balanced-train-images-idx3-ubyte.gz; known splits: balanced, byclass"},
		{"several splits of EMNIST", "emnist", func(t *testing.T, dir string) {
			writeSet(t, dir, emnistNames("letters"), []byte{1, 2, 3})
			writeSet(t, dir, emnistNames("digits"), []byte{1, 2, 3})
		}, "", "several splits of EMNIST (digits, letters), and balanced is not among them"},
		{"letters count from 1", "emnist", func(t *testing.T, dir string) { writeSet(t, dir, emnistNames("letters"), []byte{1, 0, 3}) },
			"emnist-letters-train-labels-idx1-ubyte.gz", "label 0 in record 1 of 3 is out of range: the labels of emnist-letters are 1 to 26"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			test.prepare(t, dir)
			_, _, err := OpenDir(test.set, dir)
			checkInputError(t, err, filepath.Join(dir, test.file), test.want)
		})
	}
}

func TestOpenDirMissing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nowhere")
	_, _, err := OpenDir("mnist", missing)
	checkInputError(t, err, missing, "no such file")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v isn't fs.ErrNotExist", err)
	}
	file := writeFile(t, t.TempDir(), "file", nil)
	_, _, err = OpenDir("mnist", file)
	checkInputError(t, err, file, "not a directory")

	_, _, err = OpenDir("mnist", "")
	checkInputError(t, err, "mnist", "none was given")
}

func TestOpenDirUnknown(t *testing.T) {
	_, _, err := OpenDir("imagenet", t.TempDir())
	var unknown *UnknownSetError
	if !errors.As(err, &unknown) || err.Error() != `unknown data set "imagenet"; known: shapes, mnist, fashion-mnist, kmnist, emnist, cifar10, cifar100, svhn` {
		t.Errorf("got %v", err)
	}
	if _, _, err = OpenDir("shapes", t.TempDir()); err == nil || !strings.Contains(err.Error(), "drawn by code") {
		t.Errorf("shapes: got %v", err)
	}
}
