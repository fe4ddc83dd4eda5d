package dataset

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPairNoise(t *testing.T) {
	s := Shapes(400, 1)
	idx := s.positions()[100:300]
	noisy, err := s.WithPairNoise(0.3, idx, 5)
	if err != nil {
		t.Fatal(err)
	}
	planted := 0
	for i := range noisy.Len() {
		if noisy.Labels[i] == s.Labels[i] {
			continue
		}
		planted++
		if want := (s.Labels[i] + 1) % len(s.Classes); noisy.Labels[i] != want || !noisy.Planted(i) || i < 100 || i >= 300 {
			t.Errorf("record %d: class %d became %d", i, s.Labels[i], noisy.Labels[i])
		}
	}
	if planted != 60 {
		t.Errorf("%d planted, want exactly 60", planted)
	}
	symmetric, err := s.WithLabelNoise(0.3, idx, 5)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for _, i := range idx {
		if symmetric.Planted(i) && noisy.Planted(i) {
			same++
		}
	}
	if same > 35 { // 18 expected of independent draws, with a standard deviation of 3
		t.Errorf("%d of 60 samples are those of the symmetric noise: the streams are one", same)
	}
}

// TestTransitions counts where each class goes: within 5 standard deviations of a binomial count.
func TestTransitions(t *testing.T) {
	const n, classes = 30_000, 3
	s := &Images{Name: "flat", Height: 1, Width: 1, Channels: 1, Classes: make([]string, classes), Pix: make([]uint8, n), IDs: sequentialIDs("x", n)}
	for i := range n {
		s.Labels = append(s.Labels, i%classes)
	}
	// Counts, probabilities, and a class that always goes elsewhere.
	transitions := [][]float64{{80, 15, 5}, {0, 0.25, 0.75}, {1, 0, 0}}
	noisy, err := s.WithTransitions(transitions, s.positions(), 9)
	if err != nil {
		t.Fatal(err)
	}
	var counts [classes][classes]float64
	for i := range n {
		counts[s.Labels[i]][noisy.Labels[i]]++
		if noisy.Planted(i) != (s.Labels[i] != noisy.Labels[i]) {
			t.Fatalf("record %d: Planted is %v", i, noisy.Planted(i))
		}
	}
	for c, row := range transitions {
		sum := row[0] + row[1] + row[2]
		for k, weight := range row {
			p := weight / sum
			want, sd := 10_000*p, math.Sqrt(10_000*p*(1-p))
			if math.Abs(counts[c][k]-want) > 5*sd {
				t.Errorf("class %d became %d %v times, want %v", c, k, counts[c][k], want)
			}
		}
	}
	again, _ := s.WithTransitions(transitions, s.positions(), 9)
	other, _ := s.WithTransitions(transitions, s.positions(), 10)
	if !slices.Equal(again.Labels, noisy.Labels) || slices.Equal(other.Labels, noisy.Labels) {
		t.Error("the seed does not decide the draws")
	}
	for says, bad := range map[string][][]float64{
		"2 classes":    transitions[:2],
		"to 2 classes": {{1, 0, 0}, {0, 1}, {0, 0, 1}},
		"adds up to 0": {{1, 0, 0}, {0, 0, 0}, {0, 0, 1}},
		"-1":           {{2, -1, 0}, {0, 1, 0}, {0, 0, 1}},
		"NaN":          {{math.NaN(), 1, 0}, {0, 1, 0}, {0, 0, 1}},
	} {
		if _, err := s.WithTransitions(bad, s.positions(), 1); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: error %v, want %q in it", bad, err, says)
		}
	}
}

func TestWithLabels(t *testing.T) {
	s := Shapes(40, 1)
	labels := slices.Clone(s.Labels[:30]) // of the training records only
	labels[3], labels[7], labels[20] = (labels[3]+1)%8, (labels[7]+2)%8, (labels[20]+1)%8
	noisy, err := s.WithLabels(labels, s.positions()[:10])
	if err != nil {
		t.Fatal(err)
	}
	for i := range noisy.Len() {
		if want := i == 3 || i == 7; noisy.Planted(i) != want {
			t.Errorf("record %d: Planted is %v", i, !want)
		}
	}
	if noisy.Labels[7] != labels[7] || !slices.Equal(noisy.Original, s.Labels) {
		t.Errorf("labels %v, original %v", noisy.Labels, noisy.Original)
	}
	if _, err := s.WithLabels(labels, []int{35}); err == nil || !strings.Contains(err.Error(), "35") {
		t.Errorf("a position without a label: error %v", err)
	}
	labels[2] = 8
	if _, err := s.WithLabels(labels, []int{2}); err == nil || !strings.Contains(err.Error(), "label 8") {
		t.Errorf("a label out of range: error %v", err)
	}
}

func TestReadTransitions(t *testing.T) {
	for name, text := range map[string]string{
		"counts":   "90,10\n5,95\n",
		"spaces":   "# true class in rows\r\n90, 10\r\n 5, 95",
		"floating": "\ufeff9e1,1e1\n\n5.0,95\n",
	} {
		got, err := ReadTransitions(writeFile(t, t.TempDir(), "matrix.csv", []byte(text)), 2)
		if err != nil || !slices.Equal(got[0], []float64{90, 10}) || !slices.Equal(got[1], []float64{5, 95}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, test := range []struct{ text, says string }{
		{"", "empty"},
		{" \n", "empty"},
		{"1,0\n", "1 rows, want 2"},
		{"1,0\n0,1\n1,0\n", "line 3: more than 2 rows"},
		{"1,0\n0,1,0\n", "line 2: 3 numbers, want 2"},
		{"1,0\n0,one\n", `line 2: "one" is not a number`},
		{"1,0\n-1,2\n", "line 2: -1 is not"},
		{"1,0\n\nNaN,1\n", "line 3: NaN is not"},
		{"0,0\n0,1\n", "line 1: the row adds up to 0"},
		{"1,Inf\n0,1\n", "line 1: +Inf"},
		{"1,0\n\"0,1\n", "line 2"},
		{strings.Repeat("1", 70_000), "larger than"},
	} {
		checkFileError(t, test.says, func(path string) error { _, err := ReadTransitions(path, 2); return err }, test.text)
	}
}

func TestReadLabels(t *testing.T) {
	for _, test := range []struct{ name, text, column string }{
		{"one a line", "2\n0\n1\n", ""},
		{"no end of line", " 2\r\n0\r\n1", ""},
		{"a name", "id,clean,worse\na,0,2\nb,0,0\nc,1,1\n", "worse"},
		{"a number under a header", "id,clean,worse\na,0,2\nb,0,0\nc,1,1\n", "3"},
		{"a number without a header", "a,2\nb,0\nc,1\n", "2"},
		{"a single named column", "worse\n2\n0\n1\n", "worse"},
		{"a number that is a label too", "1,2\n1,0\n1,1\n", "2"},
	} {
		got, err := ReadLabels(writeFile(t, t.TempDir(), "labels", []byte(test.text)), test.column, 3, 3)
		if err != nil || !slices.Equal(got, []int{2, 0, 1}) {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
	for _, test := range []struct{ text, column, says string }{
		{"", "", "empty"},
		{"2\n0\n", "", "2 labels, want 3"},
		{"2\n0\n1\n1\n", "", "line 4: more than 3 labels"},
		{"2\n0\n3\n", "", "line 3: label 3 is out of range: 3 classes"},
		{"2\n-1\n1\n", "", "line 2: label -1 is out of range"},
		{"2\nzero\n1\n", "", `line 2: "zero" is not a label`},
		{"label\n2\n0\n1\n", "", `line 1: "label" is not a label`},
		{"a,2\nb,0\nc,1\n", "", "line 1: 2 columns: name the one"},
		{"id,clean\na,2\n", "worse", `no column "worse"; there are: id, clean`},
		{"id,clean\na,2\n", "3", "no column 3: there are 2"},
		{"id,clean\na,2\n", "0", "no column 0"},
		{"id,clean\na,2\nb\nc,1\n", "clean", "line 3: 1 columns, and the labels are in column 2"},
		{"2.0\n0\n1\n", "", `line 1: "2.0" is not a label`},
		{"99999999999999999999\n0\n1\n", "", "line 1"},
		{strings.Repeat("1", 80_000), "", "larger than"},
	} {
		checkFileError(t, test.says, func(path string) error { _, err := ReadLabels(path, test.column, 3, 3); return err }, test.text)
	}
	missing := filepath.Join(t.TempDir(), "gone")
	if _, err := ReadLabels(missing, "", 3, 3); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), missing) {
		t.Errorf("a missing file: error %v", err)
	}
}

// checkFileError reads a file with the text and wants an *InputError of one line that names the file and what is wrong.
func checkFileError(t *testing.T, says string, read func(path string) error, text string) {
	t.Helper()
	path := writeFile(t, t.TempDir(), "file", []byte(text))
	err := read(path)
	var input *InputError
	if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%.40q: error %v, want one about %q", text, err, says)
	}
}

func FuzzParseLabels(f *testing.F) {
	f.Add([]byte("2\n0\n1\n"), "")
	f.Add([]byte("id,worse\na,2\nb,0\nc,1\n"), "worse")
	f.Add([]byte("2\n-1\n"), "2")
	f.Fuzz(func(t *testing.T, raw []byte, column string) {
		var labels []int
		var err error
		checkAllocated(t, allocated(func() { labels, err = parseLabels(raw, column, 3, 3) }), len(raw))
		if err != nil {
			return
		}
		if len(labels) != 3 || slices.Min(labels) < 0 || slices.Max(labels) > 2 {
			t.Errorf("labels %v", labels)
		}
	})
}

func FuzzParseTransitions(f *testing.F) {
	f.Add([]byte("90,10\n5,95\n"))
	f.Add([]byte("# comment\n1e308,1e308\n0,1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var rows [][]float64
		var err error
		checkAllocated(t, allocated(func() { rows, err = parseTransitions(raw, 2) }), len(raw))
		if err != nil {
			return
		}
		if err := checkTransitions(rows, 2); err != nil {
			t.Errorf("%v: %v", rows, err)
		}
		s := colors()
		s.Classes = s.Classes[:2]
		s.Labels = []int{0, 1, 0, 1}
		if _, err := s.WithTransitions(rows, s.positions(), 1); err != nil {
			t.Errorf("%v: %v", rows, err)
		}
	})
}
