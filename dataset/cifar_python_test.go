package dataset

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// The files below testdata are what cPickle of Python 2.7 writes at protocol 2, as the published files were written (with
// them batches.meta, which has the 158 bytes of the published one), and what numpy 2 writes at protocols 3 and 4, the last
// one in Fortran's order: testdata/generate.py. Their records are those of cifarRecords.
func TestCIFAR10Python(t *testing.T) {
	train, test, err := OpenDir("cifar10", filepath.Join("testdata", "cifar-10-batches-py"))
	if err != nil {
		t.Fatal(err)
	}
	binary := t.TempDir()
	writeFile(t, binary, "data_batch_1.bin", cifarRecords([]byte{0}, []byte{7}))
	writeFile(t, binary, "data_batch_2.bin", cifarRecords([]byte{3}, []byte{9}))
	writeFile(t, binary, "data_batch_3.bin", cifarRecords([]byte{5}, []byte{2}, []byte{8}))
	writeFile(t, binary, "test_batch.bin", cifarRecords([]byte{1}))
	wantTrain, wantTest, err := OpenDir("cifar10", binary)
	if err != nil {
		t.Fatal(err)
	}
	if train.Hash() != wantTrain.Hash() || test.Hash() != wantTest.Hash() || !slices.Equal(train.Classes, wantTrain.Classes) {
		t.Errorf("other images than those of the binary layout: labels %v and %v, ids %v", train.Labels, test.Labels, train.IDs)
	}
	if len(train.Notes) != 1 || !strings.HasSuffix(train.Notes[0], "7 training images, for data_batch_4 and data_batch_5 are not there") {
		t.Errorf("notes %q", train.Notes)
	}
	if err := train.Validate(); err != nil {
		t.Error(err)
	}
}

func TestCIFAR100Python(t *testing.T) {
	train, test, err := OpenDir("cifar100", filepath.Join("testdata", "cifar-100-python"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(train.Labels, []int{99, 0}) || !slices.Equal(test.Labels, []int{51}) || test.Classes[51] != "mushroom" {
		t.Errorf("labels %v and %v", train.Labels, test.Labels)
	}
	if !bytes.Equal(train.Pix, pixelsOf(2)) {
		t.Error("other pixels than were written")
	}
}

// pixelsOf returns the pixels of cifarRecords, by its formula.
func pixelsOf(n int) []byte {
	var b []byte
	for i := range n {
		for k := range cifarPlane {
			for c := range 3 {
				b = append(b, byte(i+7*k+50*c))
			}
		}
	}
	return b
}

// Names of classes are those of the file that has them.
func TestCIFARClassNames(t *testing.T) {
	const own = "ant\nbee\ncow\ndog\nelk\nfox\ngnu\nhen\nibis\njay\n\n"
	dir := t.TempDir()
	writeFile(t, dir, "data_batch_1.bin", cifarRecords([]byte{0}))
	writeFile(t, dir, "test_batch.bin", cifarRecords([]byte{1}))
	path := writeFile(t, dir, "batches.meta.txt", []byte(own))
	train, _, err := OpenDir("cifar10", dir)
	if err != nil || len(train.Classes) != 10 || train.Classes[8] != "ibis" {
		t.Errorf("classes of a file of one's own: %v", err)
	}
	writeFile(t, dir, "batches.meta.txt", []byte(own+"kiwi\n"))
	_, _, err = OpenDir("cifar10", dir)
	checkInputError(t, err, path, "11 names of classes, and cifar10 has 10")
	writeFile(t, dir, "batches.meta.txt", bytes.Repeat([]byte("x"), 1<<17))
	_, _, err = OpenDir("cifar10", dir)
	checkInputError(t, err, path, "is no list of names")
}

func testdata(t testing.TB, names ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, names...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// edited returns the bytes with the first occurrence of old replaced.
func edited(t testing.TB, b []byte, old, replacement string) []byte {
	t.Helper()
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("%q isn't in the file", old)
	}
	return bytes.Replace(b, []byte(old), []byte(replacement), 1)
}

func TestCIFARPythonRefuses(t *testing.T) {
	good := testdata(t, "cifar-10-batches-py", "data_batch_2")
	for _, test := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "at offset 0: truncated: ends without the mark of the end"},
		{"truncated in the pixels", good[:1000], "truncated: 6144 bytes are declared, "},
		{"truncated at the end", good[:len(good)-1], "truncated: ends without the mark of the end"},
		{"bytes after the end", append(slices.Clone(good), 1, 2), "2 bytes follow the end"},
		{"a picture", []byte("\x89PNG\r\n\x1a\n0123456789"), `at offset 1: operation 0x50 ('P') is none that a file of images needs`},
		{"protocol 5", []byte("\x80\x05."), "protocol 5; protocols 2 to 4 are read"},
		{"a command", []byte("\x80\x02cposix\nsystem\nq\x00U\x04trueq\x01\x85q\x02Rq\x03."), `it names "posix.system", which is refused`},
		{"a command, protocol 4", []byte("\x80\x04\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x94."), `it names "builtins.eval", which is refused`},
		{"a name of numpy", edited(t, good, "cnumpy\nndarray\n", "cnumpy\nmemmap\n"), `it names "numpy.memmap", which is refused`},
		{"an object", []byte("\x80\x02(iposix\nsystem\n."), `operation 0x69 ('i') is none that a file of images needs`},
		{"an extension", []byte("\x80\x02\x82\x01."), "operation 0x82"},
		{"a persistent id", []byte("\x80\x02Px\n."), "operation 0x50"},
		{"floats", edited(t, good, "U\x02u1", "U\x02f4"), `an array of elements of type "f4"; only bytes (u1) are read`},
		{"rows", edited(t, good, "M\x00\x0c\x86", "M\x00\x06\x86"), "an array of dimensions [2 1536] with 6144 bytes of data"},
		{"a list in place of the array", []byte("\x80\x02}(U\x04data]U\x06labels]u."), `has no array with rows of 3072 bytes under the key "data"`},
		{"no labels", edited(t, good, "U\x06labels", "U\x06labelz"), `has no list under the key "labels"`},
		{"label out of range", edited(t, good, "(K\x03K\x09e", "(K\x03K\x0ae"), "label 10 in record 1 of 2 is out of range: the labels of cifar10 are 0 to 9"},
		{"negative label", edited(t, good, "(K\x03K\x09e", "(J\xff\xff\xff\xffK\x09e"), "label -1 in record 0 of 2 is out of range"},
		{"label that is no number", edited(t, good, "(K\x03K\x09e", "(NK\x09e"), "the label in record 0 of 2 isn't an integer"},
		{"one label", edited(t, good, "(K\x03K\x09e", "(K\x03e"), "1 labels, but 2 images"},
		{"no dictionary", []byte("\x80\x02]."), "it holds no dictionary"},
		{"a value that wasn't remembered", []byte("\x80\x02h\x07."), "value 7 was not remembered"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := writeFile(t, dir, "data_batch_1", test.content)
			_, _, err := OpenDir("cifar10", dir)
			checkInputError(t, err, path, test.want)
		})
	}
}

// A file that lies costs no memory: 4 GB of pixels are declared in 40 bytes, 2^62 in as many.
func TestUnpickleAllocatesForDataOnly(t *testing.T) {
	for _, content := range []string{
		"\x80\x02}U\x04dataT\xff\xff\xff\xff0123456789",
		"\x80\x04}\x8c\x04data\x8e\x00\x00\x00\x00\x00\x00\x00\x400123456789",
		"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86cnumpy\ndtype\nU\x02u1\x85R\x89U\x04abcdtb.",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := unpickle([]byte(content))
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%q: no error", content)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<16 {
			t.Errorf("%q: allocated %d bytes", content, used)
		}
	}
	if _, err := unpickle(bytes.Repeat([]byte("]"), maxPickleOps+5)); err == nil || !strings.Contains(err.Error(), "more than 1048576 operations") {
		t.Errorf("endless lists: %v", err)
	}
}

// FuzzUnpickle: whatever a file holds, reading it as a batch of CIFAR-10 either gives a valid set or one line about the file.
func FuzzUnpickle(f *testing.F) {
	// Shorter than the files in testdata: a mutation of pixels finds nothing.
	f.Add([]byte("\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85q\x05U\x01b\x87Rq\x06(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x07U\x02u1q\x08K\x00K\x01\x87q\tRq\n(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0bb\x89U\x02abtbU\x06labelsq\x0c]q\rK\x01au."))
	f.Add(testdata(f, "cifar-10-batches-py", "batches.meta"))
	f.Add([]byte("\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x06labels\x94]\x94(K\x01\x8a\x01\xffes."))
	f.Add([]byte("\x80\x02cposix\nsystem\nU\x04true\x85R."))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := writeFile(t, t.TempDir(), "data_batch_1", content)
		s := newCIFAR("cifar10", strings.Fields(cifar10Classes))
		var input *InputError
		var err error
		checkAllocated(t, allocated(func() { err = s.appendPickledCIFAR(path, "labels") }), len(content))
		switch {
		case err == nil:
			s.IDs = sequentialIDs("train", s.Len())
			if err := s.Validate(); err != nil {
				t.Error(err)
			}
		case !errors.As(err, &input) || input.Path != path || strings.Contains(err.Error(), "\n"):
			t.Errorf("%q isn't one line about the file", err)
		}
	})
}
