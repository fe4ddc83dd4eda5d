package dataset

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// The IDX format (LeCun, Cortes and Burges, "The MNIST database of handwritten digits"): a magic number of two zero bytes,
// the type of the values (8: unsigned byte) and the number of dimensions; each dimension as a big-endian 32-bit number; the
// values, last dimension fastest.
const (
	idxLabels = 0x00000801 // [records]
	idxImages = 0x00000803 // [records, height, width]
)

const (
	// maxSide bounds height and width of an image, so that a damaged header is seen for what it is.
	maxSide = 1 << 14
	// deflateRatio bounds how much larger than its compressed form data can be: deflate codes at most 258 bytes in two
	// bits (RFC 1951), one part in 1032.
	deflateRatio = 1032
	// firstPiece is what is allocated before the first values of a compressed file have been read.
	firstPiece = 1 << 20
)

// ReadIDX reads a file of gray images and the file of their labels, each plain or compressed by gzip, whatever the names
// say. The classes are named 0, 1, ... up to the largest label, the ids record/00000, record/00001, ...
//
// An error is an [*InputError] that names the file and the record: missing, truncated, wrong magic number, damaged gzip
// stream, different counts, impossible dimensions, bytes after the last record. Memory is allocated for data that is there,
// never on the word of a header.
func ReadIDX(images, labels string) (*Images, error) {
	s, err := readIDX(images, labels)
	if err != nil {
		return nil, err
	}
	largest := 0
	for _, label := range s.Labels {
		largest = max(largest, label)
	}
	for c := range largest + 1 {
		s.Classes = append(s.Classes, fmt.Sprint(c))
	}
	s.Name = "idx"
	s.IDs = sequentialIDs("record", s.Len())
	return s, nil
}

// readIDX reads pixels and labels; the labels are as in the file, and names, classes and ids are the caller's to give.
func readIDX(images, labels string) (*Images, error) {
	pixelFile, err := openIDX(images, idxImages)
	if err != nil {
		return nil, err
	}
	defer pixelFile.Close()
	labelFile, err := openIDX(labels, idxLabels)
	if err != nil {
		return nil, err
	}
	defer labelFile.Close()
	if n, m := pixelFile.dims[0], labelFile.dims[0]; n != m {
		return nil, inputErrorf(labels, "%d labels, but %d images in %s", m, n, images)
	}
	pix, err := pixelFile.readValues()
	if err != nil {
		return nil, err
	}
	bytes, err := labelFile.readValues()
	if err != nil {
		return nil, err
	}
	s := &Images{Height: pixelFile.dims[1], Width: pixelFile.dims[2], Channels: 1, Pix: pix, Labels: make([]int, len(bytes))}
	for i, b := range bytes {
		s.Labels[i] = int(b)
	}
	return s, nil
}

// idxFile is an open IDX file whose header has been read and found possible.
type idxFile struct {
	path       string
	file       *os.File
	r          io.Reader
	compressed bool
	whole      bool // the file is known to hold size bytes of values
	dims       []int
	size       int64 // of the values, in bytes: the product of dims
	header     int64 // size of the header, in bytes
}

// openIDX opens the file at path and reads its header, which must have the given magic number. It checks the size that the
// header declares against the size of the file before anything of that size is allocated.
func openIDX(path string, magic uint32) (_ *idxFile, err error) {
	file, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	f := &idxFile{path: path, file: file}
	buffered := bufio.NewReaderSize(file, 1<<16)
	f.r = buffered
	start, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fileError(path, err)
	}
	if len(start) == 2 && start[0] == 0x1f && start[1] == 0x8b {
		f.compressed = true
		if f.r, err = gzip.NewReader(buffered); err != nil {
			return nil, inputErrorf(path, "damaged gzip header: %w", err)
		}
	}
	if err := f.readHeader(magic); err != nil {
		return nil, err
	}
	if err := f.checkSize(size); err != nil {
		return nil, err
	}
	return f, nil
}

// Close closes the file.
func (f *idxFile) Close() error { return f.file.Close() }

// readHeader reads magic number and dimensions.
func (f *idxFile) readHeader(magic uint32) error {
	rank := int(magic & 0xff)
	f.header = int64(4 + 4*rank)
	header := make([]byte, f.header)
	n, err := io.ReadFull(f.r, header)
	if n >= 4 {
		if found := binary.BigEndian.Uint32(header); found != magic {
			return inputErrorf(f.path, "wrong magic number 0x%08x, want 0x%08x (%s)%s", found, magic, idxKind(magic), idxHint(found))
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return inputErrorf(f.path, "truncated: the header ends after %d of %d bytes", n, f.header)
	default:
		return f.damaged(int64(n), err)
	}
	f.size = 1
	for d := range rank {
		dim := int64(binary.BigEndian.Uint32(header[4+4*d:]))
		if d > 0 && (dim < 1 || dim > maxSide) {
			return inputErrorf(f.path, "impossible dimensions in the header: images of %d x %d pixels", binary.BigEndian.Uint32(header[8:]), binary.BigEndian.Uint32(header[12:]))
		}
		f.dims = append(f.dims, int(dim))
		f.size *= dim // below 2^32 * 2^14 * 2^14 = 2^60
	}
	if f.dims[0] == 0 {
		return inputErrorf(f.path, "holds no record: the header says 0")
	}
	if f.size > math.MaxInt {
		return inputErrorf(f.path, "the header declares %d bytes, more than this machine can address", f.size)
	}
	return nil
}

func idxKind(magic uint32) string {
	if magic == idxImages {
		return "IDX images: bytes in 3 dimensions"
	}
	return "IDX labels: bytes in 1 dimension"
}

// idxHint names what a file of another kind is.
func idxHint(magic uint32) string {
	switch {
	case magic == idxImages:
		return "; this is a file of images"
	case magic == idxLabels:
		return "; this is a file of labels"
	case magic>>16 == 0 && magic>>8&0xff >= 8 && magic>>8&0xff <= 0xe:
		return "; another kind of IDX file"
	}
	return "; not an IDX file"
}

// checkSize compares the declared size with the size of the file on disk.
func (f *idxFile) checkSize(onDisk int64) error {
	if f.compressed {
		if f.size/deflateRatio > onDisk {
			return inputErrorf(f.path, "the header declares %d bytes, more than a gzip file of %d bytes can hold", f.size, onDisk)
		}
		return nil
	}
	switch want := f.header + f.size; {
	case onDisk < want:
		return f.truncated(onDisk - f.header)
	case onDisk > want:
		return inputErrorf(f.path, "%d bytes follow the last of %d records, at offset %d", onDisk-want, f.dims[0], want)
	}
	f.whole = true
	return nil
}

// readValues reads all values and checks that nothing follows them, which for gzip verifies the checksum.
func (f *idxFile) readValues() ([]byte, error) {
	piece := int64(firstPiece)
	if f.whole {
		piece = f.size
	}
	values, err := readPieces(f.r, f.size, piece)
	if err != nil {
		return nil, f.damaged(int64(len(values)), err)
	}
	var more [1]byte
	n, err := io.ReadFull(f.r, more[:])
	switch {
	case n > 0:
		return nil, inputErrorf(f.path, "more bytes follow the last of %d records, at offset %d%s", f.dims[0], f.header+f.size, f.unpacked())
	case !errors.Is(err, io.EOF):
		return nil, inputErrorf(f.path, "%s after the last of %d records: %w", f.unreadable(), f.dims[0], err)
	}
	return values, nil
}

// readPieces reads size bytes, first pieces of the given size and then as many as there are already: what is allocated is at
// most double what was really read. On an error it returns what was read before it.
func readPieces(r io.Reader, size, piece int64) ([]byte, error) {
	var values []byte
	for ; int64(len(values)) < size; piece = int64(len(values)) {
		have := len(values)
		piece = min(piece, size-int64(have))
		grown := make([]byte, have+int(piece))
		copy(grown, values)
		n, err := io.ReadFull(r, grown[have:])
		if err != nil {
			return grown[:have+n], err
		}
		values = grown
	}
	return values, nil
}

// damaged reports the error met after n bytes of values.
func (f *idxFile) damaged(n int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return f.truncated(n)
	}
	if f.dims == nil {
		return inputErrorf(f.path, "%s in the header: %w", f.unreadable(), err)
	}
	return inputErrorf(f.path, "%s in record %d of %d, at offset %d%s: %w", f.unreadable(), f.record(n), f.dims[0], f.header+n, f.unpacked(), err)
}

func (f *idxFile) unreadable() string {
	if f.compressed {
		return "damaged gzip stream"
	}
	return "unreadable"
}

// truncated reports that the values end after n bytes.
func (f *idxFile) truncated(n int64) error {
	return inputErrorf(f.path, "truncated: ends in record %d of %d, at offset %d of %d%s: %w",
		f.record(n), f.dims[0], f.header+n, f.header+f.size, f.unpacked(), io.ErrUnexpectedEOF)
}

// record returns which record, counted from 0, the nth byte of the values is in.
func (f *idxFile) record(n int64) int64 { return n / (f.size / int64(f.dims[0])) }

// unpacked says of offsets that they count bytes after decompression.
func (f *idxFile) unpacked() string {
	if f.compressed {
		return " (unpacked)"
	}
	return ""
}
