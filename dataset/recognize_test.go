package dataset

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRecognize(t *testing.T) {
	idx := func(suffix string) []string { names := mnistNames("-", suffix); return names[:] }
	emnist := emnistNames("letters")
	for _, test := range []struct {
		name, dir string
		files     []string
		want      string
	}{
		{"CIFAR-10", "a", []string{"data_batch_2.bin", "test_batch.bin", "batches.meta.txt"}, "cifar10"},
		{"CIFAR-10, Python", "a", []string{"data_batch_5", "test_batch"}, "cifar10"},
		{"CIFAR-10 without its test images", "a", []string{"data_batch_1.bin"}, ""},
		{"CIFAR-10 of two layouts", "a", []string{"data_batch_1.bin", "test_batch"}, ""},
		{"CIFAR-100", "a", []string{"train.bin", "test.bin"}, "cifar100"},
		{"CIFAR-100, Python", "a", []string{"train", "test", "meta"}, "cifar100"},
		{"a folder of splits", "a", []string{"train/", "test/", "meta/"}, ""},
		{"train and test", "a", []string{"train", "test"}, ""},
		{"SVHN", "a", []string{"train_32x32.mat", "test_32x32.mat", "extra_32x32.mat"}, "svhn"},
		{"IDX", "digits", idx(""), "mnist"},
		{"IDX by its folder", "Fashion_MNIST", idx(".gz"), "fashion-mnist"},
		{"IDX by its folder's folder", "KMNIST/raw", idx(""), "kmnist"},
		{"a folder far above", "fashion/mine", idx(""), "mnist"},
		{"three IDX files", "mnist", idx("")[:3], ""},
		{"EMNIST", "a", emnist[:], "emnist"},
		{"nothing", "mnist", nil, ""},
		{"pictures", "a", []string{"cat.png", "dog.png"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), filepath.FromSlash(test.dir))
			for _, file := range append(test.files, "") {
				path := filepath.Join(dir, filepath.FromSlash(file))
				if file == "" || file[len(file)-1] == '/' {
					if err := os.MkdirAll(path, 0o700); err != nil {
						t.Fatal(err)
					}
					continue
				}
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				writeFile(t, dir, file, []byte("x"))
			}
			if name, ok := Recognize(dir); name != test.want || ok != (test.want != "") {
				t.Errorf("got %q %v, want %q", name, ok, test.want)
			}
		})
	}
	if name, ok := Recognize(filepath.Join(t.TempDir(), "nowhere")); ok {
		t.Errorf("a directory that isn't there is %s", name)
	}
}

// What Recognize names, OpenDir reads.
func TestRecognizeOpens(t *testing.T) {
	dir := t.TempDir()
	writeSet(t, dir, mnistNames("-", ".gz"), []byte{2, 0, 9})
	for _, dir := range []string{dir, filepath.Join("testdata", "cifar-10-batches-py"), filepath.Join("testdata", "svhn")} {
		name, ok := Recognize(dir)
		if !ok {
			t.Errorf("%s isn't recognized", dir)
		}
		if _, _, err := OpenDir(name, dir); err != nil {
			t.Error(err)
		}
	}
}

// The published labels tell, whatever the folder is called.
func TestRecognizeByChecksum(t *testing.T) {
	from, dir := realData(t, "fashion-mnist"), t.TempDir()
	for _, file := range mnistNames("-", ".gz") {
		from, err := filepath.Abs(filepath.Join(from, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(from, filepath.Join(dir, file)); err != nil {
			t.Skip(err)
		}
	}
	if name, ok := Recognize(dir); name != "fashion-mnist" || !ok {
		t.Errorf("got %q %v", name, ok)
	}
}
