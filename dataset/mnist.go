package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readIDXSet reads MNIST or one of its successors, in four IDX files: see [OpenDir].
func readIDXSet(name, dir string, present map[string]bool) (train, test *Images, err error) {
	k := kind{name: name, test: "t10k", classes: classesOf(name)}
	if name == "emnist" {
		if k, err = emnistKind(dir, present); err != nil {
			return nil, nil, err
		}
	}
	if train, err = k.read(dir, present, "train", "train"); err != nil {
		return nil, nil, err
	}
	if test, err = k.read(dir, present, k.test, "test"); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}

// kind is how one data set is stored.
type kind struct {
	name       string
	prefix     string // of file names
	test       string // word for the test part in file names
	classes    []string
	firstLabel int  // the label of class 0
	transposed bool // pixels are stored column by column
}

// read reads the part of the set whose file names have the given word; its ids begin with part.
func (k kind) read(dir string, present map[string]bool, word, part string) (*Images, error) {
	images, err := findIDX(dir, present, k.prefix+word+"-images", 3)
	if err != nil {
		return nil, err
	}
	labels, err := findIDX(dir, present, k.prefix+word+"-labels", 1)
	if err != nil {
		return nil, err
	}
	s, err := readIDX(images, labels)
	if err != nil {
		return nil, err
	}
	last := k.firstLabel + len(k.classes) - 1
	for i, label := range s.Labels {
		if label < k.firstLabel || label > last {
			return nil, inputErrorf(labels, "label %d in record %d of %d is out of range: the labels of %s are %d to %d", label, i, s.Len(), k.name, k.firstLabel, last)
		}
		s.Labels[i] -= k.firstLabel
	}
	if k.transposed {
		s.transpose()
	}
	s.Name, s.Classes, s.IDs = k.name, k.classes, sequentialIDs(part, s.Len())
	return s, nil
}

// spellings returns the names that an IDX file of the given rank goes by.
func spellings(stem string, rank int) []string {
	a, b := fmt.Sprintf("%s-idx%d-ubyte", stem, rank), fmt.Sprintf("%s.idx%d-ubyte", stem, rank)
	return []string{a, a + ".gz", b, b + ".gz"}
}

// findIDX returns the path of the file with one of the spellings of stem.
func findIDX(dir string, present map[string]bool, stem string, rank int) (string, error) {
	names := spellings(stem, rank)
	for _, name := range names {
		if present[name] {
			return filepath.Join(dir, name), nil
		}
	}
	return "", fileError(filepath.Join(dir, names[0]), fmt.Errorf("%w, nor one that ends in .gz", os.ErrNotExist))
}

// transpose turns images that are stored column by column: their header's height is the true width.
func (s *Images) transpose() {
	upright := make([]uint8, len(s.Pix))
	n := s.Height * s.Width
	for i := range s.Labels {
		from, to := s.Pix[i*n:(i+1)*n], upright[i*n:(i+1)*n]
		for y := range s.Height {
			for x := range s.Width {
				to[x*s.Height+y] = from[y*s.Width+x]
			}
		}
	}
	s.Pix, s.Height, s.Width = upright, s.Width, s.Height
}

// emnistSplits are the splits of EMNIST, the one to prefer first.
func emnistSplits() []string {
	return []string{"balanced", "byclass", "bymerge", "digits", "letters", "mnist"}
}

// emnistKind finds out which split of EMNIST the directory holds.
func emnistKind(dir string, present map[string]bool) (kind, error) {
	var found []string
	for _, split := range emnistSplits() {
		if hasSplit(present, split) {
			found = append(found, split)
		}
	}
	switch {
	case len(found) == 0:
		return kind{}, inputErrorf(dir, "holds no EMNIST file, such as emnist-balanced-train-images-idx3-ubyte.gz; known splits: %s", strings.Join(emnistSplits(), ", "))
	case len(found) > 1 && found[0] != "balanced":
		return kind{}, inputErrorf(dir, "holds several splits of EMNIST (%s), and balanced is not among them: leave one", strings.Join(found, ", "))
	}
	k := kind{name: "emnist-" + found[0], prefix: "emnist-" + found[0] + "-", test: "test", classes: emnistClasses(found[0]), transposed: true}
	if found[0] == "letters" {
		k.firstLabel = 1 // a is 1 there
	}
	return k, nil
}

// hasSplit reports whether any of the four files of a split of EMNIST is there.
func hasSplit(present map[string]bool, split string) bool {
	for _, part := range []string{"train", "test"} {
		stem := "emnist-" + split + "-" + part
		if slices.ContainsFunc(append(spellings(stem+"-images", 3), spellings(stem+"-labels", 1)...), func(name string) bool { return present[name] }) {
			return true
		}
	}
	return false
}

// classesOf returns the class names of the sets with fixed file names.
func classesOf(name string) []string {
	switch name {
	case "fashion-mnist":
		return []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}
	case "kmnist":
		return []string{"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"}
	}
	return letters("0123456789")
}

// emnistClasses returns the class names of a split of EMNIST. balanced and bymerge merge the small letters that look like
// their capitals.
func emnistClasses(split string) []string {
	const digits, capitals = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	switch split {
	case "byclass":
		return letters(digits + capitals + "abcdefghijklmnopqrstuvwxyz")
	case "balanced", "bymerge":
		return letters(digits + capitals + "abdefghnqrt")
	case "letters":
		return letters(capitals)
	}
	return letters(digits)
}

// letters returns one string a letter.
func letters(s string) []string { return strings.Split(s, "") }
