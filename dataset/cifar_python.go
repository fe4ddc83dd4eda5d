package dataset

import (
	"io"
)

// maxPickle bounds the size of a pickle file that is read, in bytes; the largest, the training part of CIFAR-100, has 155 MB.
const maxPickle = 1 << 30

// appendPickledCIFAR appends the records of a file in the Python layout of CIFAR: a pickled dictionary with the pixels under the
// key data, an array with a row of three planes for every record, and the labels under the given key in a list. Ids are the
// caller's to give.
func (s *Images) appendPickledCIFAR(path, key string) error {
	dict, err := readPickle(path)
	if err != nil {
		return err
	}
	a, ok := dict.entries["data"].(*pickleArray)
	if !ok || len(a.dims) != 2 || a.dims[1] != cifarPixels {
		return inputErrorf(path, "has no array with rows of %d bytes under the key \"data\"", cifarPixels)
	}
	labels, ok := dict.entries[key].(*pickleList)
	n := a.dims[0]
	switch {
	case !ok:
		return inputErrorf(path, "has no list under the key %q", key)
	case len(labels.items) != n:
		return inputErrorf(path, "%d labels, but %d images", len(labels.items), n)
	case n == 0:
		return inputErrorf(path, "holds no record")
	case n > maxCIFAR:
		return inputErrorf(path, "%d records; a file of CIFAR has at most %d", n, maxCIFAR)
	}
	start := len(s.Pix)
	s.Pix = append(s.Pix, make([]uint8, n*cifarPixels)...)
	for i, item := range labels.items {
		label, ok := item.(int64)
		if !ok {
			return inputErrorf(path, "the label in record %d of %d isn't an integer", i, n)
		}
		if label < 0 || label >= int64(len(s.Classes)) {
			return inputErrorf(path, "label %d in record %d of %d is out of range: the labels of %s are 0 to %d", label, i, n, s.Name, len(s.Classes)-1)
		}
		s.Labels = append(s.Labels, int(label))
		interleave(s.Pix[start+i*cifarPixels:][:cifarPixels], a.row(i))
	}
	return nil
}

// row returns row i of an array of two dimensions.
func (a *pickleArray) row(i int) []byte {
	rows, columns := a.dims[0], a.dims[1]
	if !a.fortran {
		return a.data[i*columns : (i+1)*columns]
	}
	row := make([]byte, columns)
	for k := range row {
		row[k] = a.data[k*rows+i]
	}
	return row
}

// pickledNames returns the list of strings under the key.
func pickledNames(path, key string) ([]string, error) {
	dict, err := readPickle(path)
	if err != nil {
		return nil, err
	}
	list, ok := dict.entries[key].(*pickleList)
	if !ok {
		return nil, inputErrorf(path, "has no list under the key %q", key)
	}
	var names []string
	for i, item := range list.items {
		name, ok := item.(pickleBytes)
		if !ok {
			return nil, inputErrorf(path, "the name of class %d isn't a string", i)
		}
		names = append(names, string(name))
	}
	return names, nil
}

// readPickle reads a pickle file that holds a dictionary.
func readPickle(path string) (*pickleDict, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch {
	case size > maxPickle:
		return nil, inputErrorf(path, "%d bytes are more than a file of CIFAR has", size)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fileError(path, err)
	}
	v, err := unpickle(b)
	if err != nil {
		return nil, inputErrorf(path, "not a pickle file of CIFAR: %w", err)
	}
	dict, ok := v.(*pickleDict)
	if !ok {
		return nil, inputErrorf(path, "not a pickle file of CIFAR: it holds no dictionary")
	}
	return dict, nil
}
