package dataset

import (
	"errors"
	"fmt"
	"os"
)

// shapesName is the name of the procedural set, which needs no directory.
const shapesName = "shapes"

// A setReader reads the training and the test set with the name from the directory, in which the files that are present have the
// given names.
type setReader func(name, dir string, present map[string]bool) (train, test *Images, err error)

// namedSets are the data sets that OpenDir reads, in the order in which they are listed.
var namedSets = []struct {
	name string
	read setReader
}{
	{"mnist", readIDXSet}, {"fashion-mnist", readIDXSet}, {"kmnist", readIDXSet}, {"emnist", readIDXSet},
	{"cifar10", readCIFAR10}, {"cifar100", readCIFAR100}, {"svhn", readSVHN},
}

// Known returns the names of the data sets: "shapes", which [Shapes] draws, and those that [OpenDir] reads.
func Known() []string {
	names := []string{shapesName}
	for _, s := range namedSets {
		names = append(names, s.name)
	}
	return names
}

// OpenDir reads the training and the test set with the given name from the directory dir. Ids are train/00000 ... and test/00000 ...,
// the number of the record in the official sequence.
//
// MNIST, Fashion-MNIST and KMNIST are four IDX files
// under their official names, plain or compressed: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte
// and t10k-labels-idx1-ubyte, also spelled .idx3-ubyte, also with .gz.
//
// EMNIST (Cohen, Afshar, Tapson and van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017) names its
// files emnist-SPLIT-train-images-idx3-ubyte and so on; the split is the one in dir, and "balanced" where there are several.
// Its images are stored column by column; they are turned upright. The set's name then tells the split: emnist-balanced.
//
// CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009) are read in their binary
// layout: data_batch_1.bin to data_batch_5.bin and test_batch.bin, or train.bin and test.bin, of which the fine labels count;
// or in their Python layout, pickled files of the same names without .bin, of which nothing is executed. The names of the classes
// are those of the file that comes with them, if it is there. Of the five training batches of CIFAR-10 some may be missing, and
// Images.Notes tells which.
//
// SVHN (Netzer, Wang, Coates, Bissacco, Wu and Ng, "Reading digits in natural images with unsupervised feature learning", 2011) is
// read from the MAT files of its cropped digits, train_32x32.mat and test_32x32.mat.
//
// An unknown name is an [*UnknownSetError]; a missing directory or file, and anything wrong in a file, an [*InputError].
func OpenDir(name, dir string) (train, test *Images, err error) {
	if name == shapesName {
		return nil, nil, fmt.Errorf("data set %s is drawn by code, not read from a directory", name)
	}
	var read setReader
	for _, s := range namedSets {
		if s.name == name {
			read = s.read
		}
	}
	switch {
	case read == nil:
		return nil, nil, &UnknownSetError{Name: name}
	case dir == "":
		return nil, nil, &InputError{Path: name, Err: errors.New("this data set is read from a directory, and none was given")}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fileError(dir, err)
	}
	present := make(map[string]bool, len(entries))
	for _, e := range entries {
		present[e.Name()] = true
	}
	if train, test, err = read(name, dir, present); err != nil {
		return nil, nil, err
	}
	if train.Height != test.Height || train.Width != test.Width {
		return nil, nil, inputErrorf(dir, "training images of %dx%d pixels, but test images of %dx%d", train.Height, train.Width, test.Height, test.Width)
	}
	return train, test, nil
}
