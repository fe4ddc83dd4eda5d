package dataset

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// The MAT format of level 5 (MathWorks, "MAT-File Format"): a header of 128 bytes, then elements, each a type, a size and as many
// bytes. An element is an array (miMATRIX), or one that zlib compressed (miCOMPRESSED); an array is made of elements itself:
// flags, dimensions, name and values.
const (
	matHeader     = 128
	matInt8       = 1
	matUint8      = 2
	matInt16      = 3
	matUint16     = 4
	matInt32      = 5
	matUint32     = 6
	matSingle     = 7
	matDouble     = 9
	matMatrix     = 14
	matCompressed = 15

	// Classes of arrays. Cells, structures, objects, text and sparse arrays are below the first, integers of 8 bytes above the last.
	matClassDouble = 6
	matClassUint8  = 9
	matClassUint32 = 13

	matComplex = 0x800
	// maxMATDims and maxMATName bound what is read of an array before it is known to be wanted.
	maxMATDims = 32
	maxMATName = 63
)

// matArray is an array of numbers, first dimension fastest.
type matArray struct {
	dims   []int
	class  uint32
	kind   uint32 // how values are stored: in the smallest type that holds them
	values []byte
	order  binary.ByteOrder
}

// readMAT reads the arrays with the given names from the MAT file at path. Arrays of other names are passed over. An error is an
// [*InputError]. Memory is allocated for data that is there, never on the word of the file.
func readMAT(path string, names ...string) (map[string]*matArray, error) {
	file, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	m := matFile{r: bufio.NewReaderSize(file, 1<<16), left: size, names: names, arrays: map[string]*matArray{}}
	if err := m.read(); err != nil {
		return nil, &InputError{Path: path, Err: err}
	}
	for _, name := range names {
		if m.arrays[name] == nil {
			return nil, inputErrorf(path, "holds no array with the name %s", name)
		}
	}
	return m.arrays, nil
}

// matFile is a MAT file that is being read.
type matFile struct {
	r      io.Reader
	left   int64 // bytes of the file that have not been read
	order  binary.ByteOrder
	names  []string
	arrays map[string]*matArray
}

func (m *matFile) read() error {
	header := make([]byte, min(matHeader, max(0, m.left)))
	if _, err := io.ReadFull(m.r, header); err != nil {
		return matError(err, "in the header")
	}
	switch {
	case bytes.HasPrefix(header, []byte("MATLAB 7.3")) || bytes.HasPrefix(header, []byte("\x89HDF\r\n")):
		return errors.New("a MAT file of version 7.3 (HDF5); files of version 5, up to -v7, are read")
	case len(header) < matHeader:
		return fmt.Errorf("truncated: the header ends after %d of %d bytes", len(header), matHeader)
	case header[126] == 'I' && header[127] == 'M':
		m.order = binary.LittleEndian
	case header[126] == 'M' && header[127] == 'I':
		m.order = binary.BigEndian
	default:
		return errors.New("not a MAT file of version 5")
	}
	if version := m.order.Uint16(header[124:]); version != 0x100 {
		return fmt.Errorf("a MAT file of version 0x%04x; files of version 5 (0x0100) are read", version)
	}
	m.left -= matHeader
	for m.left > 0 && len(m.arrays) < len(m.names) {
		if err := m.element(); err != nil {
			return err
		}
	}
	return nil
}

// element reads one array of the file.
func (m *matFile) element() error {
	var tag [8]byte
	if _, err := io.ReadFull(m.r, tag[:]); err != nil {
		return matError(err, "between two arrays")
	}
	m.left -= 8
	kind, size := m.order.Uint32(tag[:]), int64(m.order.Uint32(tag[4:]))
	if size > m.left {
		return fmt.Errorf("truncated: an array of %d bytes is declared, %d are left: %w", size, m.left, io.ErrUnexpectedEOF)
	}
	m.left -= size
	element := io.LimitReader(m.r, size)
	switch kind {
	case matMatrix:
		if err := m.array(element, size, size); err != nil {
			return err
		}
	case matCompressed:
		if err := m.compressed(element, size); err != nil {
			return err
		}
	default:
		return fmt.Errorf("an element of type %d, where arrays are expected", kind)
	}
	// What an array that isn't wanted has left; what follows an array is aligned, unless it is compressed.
	if kind == matMatrix {
		padding := min(-size&7, m.left)
		m.left -= padding
		element = io.MultiReader(element, io.LimitReader(m.r, padding))
	}
	_, err := io.Copy(io.Discard, element)
	return err
}

// compressed reads an array of which n bytes are left in compressed form.
func (m *matFile) compressed(r io.Reader, n int64) error {
	z, err := zlib.NewReader(r)
	if err != nil {
		return matError(err, "in a compressed array")
	}
	defer z.Close()
	var tag [8]byte
	if _, err := io.ReadFull(z, tag[:]); err != nil {
		return matError(err, "in a compressed array")
	}
	kind, size := m.order.Uint32(tag[:]), int64(m.order.Uint32(tag[4:]))
	if kind != matMatrix {
		return fmt.Errorf("a compressed element of type %d, where an array is expected", kind)
	}
	if size/deflateRatio > n {
		return fmt.Errorf("an array of %d bytes is declared, more than %d compressed bytes can hold", size, n)
	}
	have := len(m.arrays)
	if err := m.array(io.LimitReader(z, size), size, firstPiece); err != nil {
		return err
	}
	if len(m.arrays) > have { // the checksum follows the last byte of a wanted array
		if rest, err := io.Copy(io.Discard, io.LimitReader(z, 16)); err != nil || rest > 8 {
			return matError(cmpError(err, rest), "after a compressed array")
		}
	}
	return nil
}

// cmpError returns err, or that there is more than padding.
func cmpError(err error, rest int64) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%d bytes that belong to no array", rest)
}

// array reads an array of the given size, and keeps it if it is wanted: its values piece by piece.
func (m *matFile) array(r io.Reader, size, piece int64) error {
	a := &matArray{order: m.order}
	s := &matStream{r: r, left: size, order: m.order}
	kind, flags, err := s.element(8)
	if err != nil || kind != matUint32 || len(flags) != 8 {
		return matError(err, "in the flags of an array")
	}
	word := m.order.Uint32(flags)
	a.class = word & 0xff
	kind, dims, err := s.element(4 * maxMATDims)
	if err != nil || kind != matInt32 || len(dims) < 8 || len(dims)%4 != 0 {
		return matError(err, "in the dimensions of an array")
	}
	for k := 0; k < len(dims); k += 4 {
		d := int32(m.order.Uint32(dims[k:]))
		if d < 0 {
			return fmt.Errorf("an array with the impossible dimension %d", d)
		}
		a.dims = append(a.dims, int(d))
	}
	kind, name, err := s.element(maxMATName)
	if err != nil || kind != matInt8 {
		return matError(err, "in the name of an array")
	}
	if !slices.Contains(m.names, string(name)) {
		return nil
	}
	switch {
	case m.arrays[string(name)] != nil:
		return fmt.Errorf("two arrays with the name %s", name)
	case a.class < matClassDouble || a.class > matClassUint32 || word&matComplex != 0:
		return fmt.Errorf("the array %s holds no real numbers of up to 32 bits or double precision", name)
	}
	if a.kind, a.values, err = s.values(piece); err != nil {
		return matError(err, fmt.Sprintf("in the array %s", name))
	}
	width := matWidth(a.kind)
	if width == 0 {
		return fmt.Errorf("the values of the array %s are of type %d, which is none of numbers", name, a.kind)
	}
	want := int64(width)
	for _, d := range a.dims {
		want = min(want*int64(d), int64(len(a.values))+1) // more than there is stays more
	}
	if want != int64(len(a.values)) {
		return fmt.Errorf("the array %s of dimensions %v has %d bytes of values", name, a.dims, len(a.values))
	}
	m.arrays[string(name)] = a
	return nil
}

// matStream reads the elements of an array of which left bytes have not been read.
type matStream struct {
	r     io.Reader
	left  int64
	order binary.ByteOrder
}

var errMATSize = errors.New("impossible size")

// tag reads type and size of an element; up to 4 bytes of data may be in the tag itself.
func (s *matStream) tag() (kind uint32, size int64, small []byte, err error) {
	tag := make([]byte, 8)
	if err := s.fill(tag); err != nil {
		return 0, 0, nil, err
	}
	word := s.order.Uint32(tag)
	if n := word >> 16; n != 0 {
		if n > 4 {
			return 0, 0, nil, errMATSize
		}
		return word & 0xffff, int64(n), tag[4 : 4+n], nil
	}
	size = int64(s.order.Uint32(tag[4:]))
	if size > s.left {
		return 0, 0, nil, fmt.Errorf("%d bytes are declared, %d are left: %w", size, s.left, io.ErrUnexpectedEOF)
	}
	return word, size, nil, nil
}

func (s *matStream) fill(b []byte) error {
	if int64(len(b)) > s.left {
		return io.ErrUnexpectedEOF
	}
	s.left -= int64(len(b))
	_, err := io.ReadFull(s.r, b)
	return err
}

// element reads an element of at most the given size, and the padding to 8 bytes after it.
func (s *matStream) element(most int64) (kind uint32, data []byte, err error) {
	kind, size, small, err := s.tag()
	if err != nil || small != nil {
		return kind, small, err
	}
	if size > most {
		return 0, nil, errMATSize
	}
	data = make([]byte, (size+7)&^7)
	if err := s.fill(data); err != nil {
		return 0, nil, err
	}
	return kind, data[:size], nil
}

// values reads the element with the values of an array, piece by piece.
func (s *matStream) values(piece int64) (kind uint32, data []byte, err error) {
	kind, size, small, err := s.tag()
	if err != nil || small != nil {
		return kind, small, err
	}
	if data, err = readPieces(s.r, size, piece); err != nil {
		return 0, nil, fmt.Errorf("after %d of %d bytes: %w", len(data), size, err)
	}
	s.left -= size
	return kind, data, nil
}

// matError reports where a file is damaged.
func matError(err error, where string) error {
	switch {
	case err == nil:
		return fmt.Errorf("damaged %s", where)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("truncated: ends %s: %w", where, err)
	}
	return fmt.Errorf("damaged %s: %w", where, err)
}

// matWidth returns how many bytes a value has, 0 for what is no number.
func matWidth(kind uint32) int {
	switch kind {
	case matInt8, matUint8:
		return 1
	case matInt16, matUint16:
		return 2
	case matInt32, matUint32, matSingle:
		return 4
	case matDouble:
		return 8
	}
	return 0
}

// len returns the number of values.
func (a *matArray) len() int { return len(a.values) / matWidth(a.kind) }

// at returns value i.
func (a *matArray) at(i int) float64 {
	switch v := a.values[i*matWidth(a.kind):]; a.kind {
	case matInt8:
		return float64(int8(v[0]))
	case matUint8:
		return float64(v[0])
	case matInt16:
		return float64(int16(a.order.Uint16(v)))
	case matUint16:
		return float64(a.order.Uint16(v))
	case matInt32:
		return float64(int32(a.order.Uint32(v)))
	case matUint32:
		return float64(a.order.Uint32(v))
	case matSingle:
		return float64(math.Float32frombits(a.order.Uint32(v)))
	default:
		return math.Float64frombits(a.order.Uint64(v))
	}
}
