package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// cifarRecords makes records with the label bytes: of record i, pixel k of plane c is i + 7k + 50c, modulo 256.
func cifarRecords(labels ...[]byte) []byte {
	var b bytes.Buffer
	for i, l := range labels {
		b.Write(l)
		for c := range 3 {
			for k := range cifarPlane {
				b.WriteByte(byte(i + 7*k + 50*c))
			}
		}
	}
	return b.Bytes()
}

func TestCIFAR10(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "data_batch_2.bin", cifarRecords([]byte{3}, []byte{9}))
	writeFile(t, dir, "data_batch_4.bin", cifarRecords([]byte{0}))
	writeFile(t, dir, "test_batch.bin", cifarRecords([]byte{1}))
	train, test, err := OpenDir("cifar10", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Images{train, test} {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(train.Labels, []int{3, 9, 0}) || !slices.Equal(train.IDs, []string{"train/10000", "train/10001", "train/30000"}) ||
		!slices.Equal(test.IDs, []string{"test/00000"}) || train.Classes[9] != "truck" {
		t.Errorf("labels %v, ids %v and %v", train.Labels, train.IDs, test.IDs)
	}
	// Row 1, column 2 of the second record is pixel 34: channels 1 + 238, + 50, + 100, modulo 256.
	if got := train.Pixels(1)[3*34:][:3]; !slices.Equal(got, []uint8{239, 33, 83}) {
		t.Errorf("a pixel is %v", got)
	}
	if want := dir + ": 3 training images, for data_batch_1.bin, data_batch_3.bin and data_batch_5.bin are not there"; !slices.Equal(train.Notes, []string{want}) {
		t.Errorf("notes %q, want %q", train.Notes, want)
	}
	all, err := Concat(train, test)
	if err != nil || !slices.Equal(all.Notes, train.Notes) {
		t.Errorf("joined with the notes %q (%v)", all.Notes, err)
	}
}

func TestCIFAR100(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "train.bin", cifarRecords([]byte{4, 99}, []byte{11, 0}))
	writeFile(t, dir, "test.bin", cifarRecords([]byte{19, 51}))
	train, test, err := OpenDir("cifar100", dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(train.Labels, []int{99, 0}) || train.Classes[99] != "worm" || test.Classes[test.Labels[0]] != "mushroom" ||
		len(train.Classes) != 100 || train.IDs[1] != "train/00001" || train.Notes != nil {
		t.Errorf("labels %v of %d classes, ids %v, notes %q", train.Labels, len(train.Classes), train.IDs, train.Notes)
	}
}

func TestCIFARRefuses(t *testing.T) {
	good := cifarRecords([]byte{3}, []byte{2})
	for _, test := range []struct {
		name, set, file string
		content         []byte
		want            string
	}{
		{"truncated", "cifar10", "data_batch_1.bin", good[:len(good)-1], "data_batch_1.bin: truncated: 6145 bytes are no multiple of the 3073 of a record; record 1 is cut short"},
		{"empty", "cifar10", "test_batch.bin", nil, "test_batch.bin: is empty"},
		{"label", "cifar10", "data_batch_1.bin", cifarRecords([]byte{3}, []byte{10}), "data_batch_1.bin: label 10 in record 1 of 2 is out of range: the labels of cifar10 are 0 to 9"},
		{"one file as the other", "cifar100", "train.bin", good, "train.bin: truncated"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range []string{"data_batch_1.bin", "test_batch.bin"} {
				writeFile(t, dir, file, good)
			}
			writeFile(t, dir, test.file, test.content)
			_, _, err := OpenDir(test.set, dir)
			var input *InputError
			if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), filepath.Join(dir, test.want)) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	_, _, err := OpenDir("cifar10", t.TempDir())
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "data_batch_1.bin") {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestCIFAR10Real reads the real files, which are in an order of their own.
func TestCIFAR10Real(t *testing.T) {
	dir := realData(t, "cifar-10-batches-bin")
	began := time.Now()
	train, test, err := OpenDir("cifar10", dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d and %d images in %s", train.Len(), test.Len(), time.Since(began))
	counts := make([]int, 10)
	for _, l := range test.Labels {
		counts[l]++
	}
	if test.Len() != 10000 || slices.Min(counts) != 1000 || train.Len()%10000 != 0 {
		t.Errorf("%d training images, test classes of %v", train.Len(), counts)
	}
	if got := fmt.Sprint(test.Labels[:6]); got != "[3 8 8 0 6 6]" { // a cat, two ships, a plane, two frogs
		t.Errorf("the first test labels are %s", got)
	}
}

func FuzzCIFAR(f *testing.F) {
	good := cifarRecords([]byte{3}, []byte{2})
	f.Add(good)
	f.Add(good[:100])
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		writeFile(t, dir, "train.bin", content)
		writeFile(t, dir, "test.bin", cifarRecords([]byte{3, 2}))
		var train *Images
		var err error
		checkAllocated(t, allocated(func() { train, _, err = OpenDir("cifar100", dir) }), len(content))
		var input *InputError
		if err != nil && !errors.As(err, &input) {
			t.Errorf("error of another kind: %v", err)
		}
		if err == nil && train.Validate() != nil {
			t.Error(train.Validate())
		}
	})
}
