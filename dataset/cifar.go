package dataset

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	cifarSide    = 32
	cifarPlane   = cifarSide * cifarSide
	cifarPixels  = 3 * cifarPlane
	cifarBatches = 5
	// cifarBatch is the number of records of each batch of CIFAR-10.
	cifarBatch = 10000
	// maxCIFAR bounds the records of one file, five times what the largest official one has.
	maxCIFAR = 250000
)

// cifarLayout is one of the two ways that CIFAR is published in.
type cifarLayout struct {
	suffix string // of the files of images
	names  string // the file with the names of the classes
	append func(s *Images, path string) error
	// classes reads that file.
	classes func(path string) ([]string, error)
}

// cifarLayoutOf tells the layout by the files that are present: the binary one where there is any of its files.
func cifarLayoutOf(present map[string]bool, stems []string, binary, python cifarLayout) cifarLayout {
	for _, stem := range stems {
		if present[stem+binary.suffix] {
			return binary
		}
	}
	for _, stem := range stems {
		if present[stem+python.suffix] {
			return python
		}
	}
	return binary
}

func cifar10Stems() []string {
	var stems []string
	for k := range cifarBatches {
		stems = append(stems, fmt.Sprintf("data_batch_%d", k+1))
	}
	return stems
}

// readCIFAR10 reads CIFAR-10, of whose five training batches some may be missing.
func readCIFAR10(name, dir string, present map[string]bool) (train, test *Images, err error) {
	stems := cifar10Stems()
	layout := cifarLayoutOf(present, stems,
		cifarLayout{".bin", "batches.meta.txt", func(s *Images, path string) error { return s.appendCIFAR(path, 1) }, namesInLines},
		cifarLayout{"", "batches.meta", func(s *Images, path string) error { return s.appendPickledCIFAR(path, "labels") },
			func(path string) ([]string, error) { return pickledNames(path, "label_names") }})
	classes, err := layout.readClasses(name, dir, present, strings.Fields(cifar10Classes))
	if err != nil {
		return nil, nil, err
	}
	train, test = newCIFAR(name, classes), newCIFAR(name, classes)
	var missing []string
	for k, stem := range stems {
		file := stem + layout.suffix
		if !present[file] {
			missing = append(missing, file)
			continue
		}
		before := train.Len()
		if err := layout.append(train, filepath.Join(dir, file)); err != nil {
			return nil, nil, err
		}
		read := train.Len() - before
		if read > cifarBatch {
			return nil, nil, inputErrorf(filepath.Join(dir, file), "%d records, and a batch of CIFAR-10 has at most %d", read, cifarBatch)
		}
		for i := range read {
			train.IDs = append(train.IDs, fmt.Sprintf("train/%05d", k*cifarBatch+i))
		}
	}
	if len(missing) == cifarBatches {
		return nil, nil, fileError(filepath.Join(dir, missing[0]), fmt.Errorf("%w, nor %s", os.ErrNotExist, stems[0]))
	}
	if len(missing) > 0 {
		train.Notes = append(train.Notes, fmt.Sprintf("%s: %d training images, for %s not there", dir, train.Len(), isOrAre(missing)))
	}
	if err := layout.append(test, filepath.Join(dir, "test_batch"+layout.suffix)); err != nil {
		return nil, nil, err
	}
	test.IDs = sequentialIDs("test", test.Len())
	return train, test, nil
}

func isOrAre(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " are"
}

// readCIFAR100 reads CIFAR-100: the coarse label, the fine label and the pixels of each record.
func readCIFAR100(name, dir string, present map[string]bool) (train, test *Images, err error) {
	layout := cifarLayoutOf(present, []string{"train", "test"},
		cifarLayout{".bin", "fine_label_names.txt", func(s *Images, path string) error { return s.appendCIFAR(path, 2) }, namesInLines},
		cifarLayout{"", "meta", func(s *Images, path string) error { return s.appendPickledCIFAR(path, "fine_labels") },
			func(path string) ([]string, error) { return pickledNames(path, "fine_label_names") }})
	classes, err := layout.readClasses(name, dir, present, strings.Fields(cifar100Classes))
	if err != nil {
		return nil, nil, err
	}
	parts := make([]*Images, 2)
	for k, part := range []string{"train", "test"} {
		s := newCIFAR(name, classes)
		if err := layout.append(s, filepath.Join(dir, part+layout.suffix)); err != nil {
			return nil, nil, err
		}
		s.IDs = sequentialIDs(part, s.Len())
		parts[k] = s
	}
	return parts[0], parts[1], nil
}

// readClasses returns the names of the classes in the file that has them, or where it is not there those of the official one.
func (l cifarLayout) readClasses(name, dir string, present map[string]bool, official []string) ([]string, error) {
	if !present[l.names] {
		return official, nil
	}
	path := filepath.Join(dir, l.names)
	names, err := l.classes(path)
	if err != nil {
		return nil, err
	}
	if len(names) != len(official) {
		return nil, inputErrorf(path, "%d names of classes, and %s has %d", len(names), name, len(official))
	}
	return names, nil
}

// namesInLines reads the names in a text file, one a line.
func namesInLines(path string) ([]string, error) {
	const most = 1 << 16 // bytes: a hundred names have 1,000
	f, _, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if len(b) > most || !utf8.Valid(b) {
		return nil, inputErrorf(path, "is no list of names: it is longer than %d bytes, or no text", most)
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			names = append(names, line)
		}
	}
	return names, nil
}

func newCIFAR(name string, classes []string) *Images {
	return &Images{Name: name, Height: cifarSide, Width: cifarSide, Channels: 3, Classes: classes}
}

// appendCIFAR appends the records of a file: label bytes, of which the last one counts, and the red, green and blue planes, row
// by row. Ids are the caller's to give.
func (s *Images) appendCIFAR(path string, labels int) error {
	f, size, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	record := int64(labels + cifarPixels)
	n := size / record
	switch {
	case size == 0:
		return inputErrorf(path, "is empty")
	case size%record != 0:
		return inputErrorf(path, "truncated: %d bytes are no multiple of the %d of a record; record %d is cut short", size, record, n)
	case n > maxCIFAR:
		return inputErrorf(path, "%d records; a file of CIFAR has at most %d", n, maxCIFAR)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(f, raw); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("became shorter while it was read")
		}
		return fileError(path, err)
	}
	start := len(s.Pix)
	s.Pix = append(s.Pix, make([]uint8, int(n)*cifarPixels)...)
	for i := range int(n) {
		label := int(raw[i*int(record)+labels-1])
		if label >= len(s.Classes) {
			return inputErrorf(path, "label %d in record %d of %d is out of range: the labels of %s are 0 to %d", label, i, n, s.Name, len(s.Classes)-1)
		}
		s.Labels = append(s.Labels, label)
		interleave(s.Pix[start+i*cifarPixels:][:cifarPixels], raw[i*int(record)+labels:][:cifarPixels])
	}
	return nil
}

// interleave turns three planes into pixels of three channels.
func interleave(pixels, planes []uint8) {
	n := len(planes) / 3
	red, green, blue := planes[:n], planes[n:2*n], planes[2*n:]
	for k := range n {
		p := pixels[3*k : 3*k+3]
		p[0], p[1], p[2] = red[k], green[k], blue[k]
	}
}

// cifar10Classes are the labels of CIFAR-10, 0 to 9.
const cifar10Classes = "airplane automobile bird cat deer dog frog horse ship truck"

// cifar100Classes are the fine labels of CIFAR-100, 0 to 99.
const cifar100Classes = `apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit
raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper
table tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm`
