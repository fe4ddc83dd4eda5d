package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// mostPage bounds a page, decompressed, in bytes.
	mostPage = 1 << 30
	// A page that claims to be larger than smallPage is held to what its compressed bytes can expand to: DEFLATE at most 1,032-fold.
	smallPage, mostExpansion = 1 << 20, 1100
)

// parquetValues are the values of one page: bytes or numbers, an entry a row.
type parquetValues struct {
	n       int
	null    []bool   // nil: none is missing
	bytes   [][]byte // of a column of bytes; nil for one that is missing
	numbers []int64  // of a column of integers or truth values
}

func (v *parquetValues) missing(k int) bool { return v.null != nil && v.null[k] }

// pageScan reads the pages of a column. Parquet is described at https://parquet.apache.org/docs/file-format. Read are columns that
// don't repeat, of bytes, integers and truth values, encoded plainly or by a dictionary, as most programs write them.
type pageScan struct {
	file   io.ReaderAt
	column *parquetColumn
	visit  func(row int64, v *parquetValues) error
	row    int64 // the first of the chunk

	dictionary *parquetValues
	header     []byte
	raw, plain []byte // a page, and the same decompressed
}

// chunk reads the pages of a chunk.
func (s *pageScan) chunk(c parquetChunk) error {
	s.dictionary = nil
	done := int64(0)
	for at, end := c.offset, c.offset+c.size; done < c.rows; {
		if at >= end {
			return fmt.Errorf("its pages hold %d values of %d", done, c.rows)
		}
		var h format.PageHeader
		n, err := s.readHeader(at, end, &h)
		if err != nil {
			return err
		}
		at += int64(n)
		if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || int64(h.CompressedPageSize) > end-at {
			return fmt.Errorf("a page claims %d bytes, more than there are", h.CompressedPageSize)
		}
		size := int(h.CompressedPageSize)
		if cap(s.raw) < size {
			s.raw = make([]byte, size)
		}
		s.raw = s.raw[:size]
		if _, err := s.file.ReadAt(s.raw, at); err != nil {
			return err
		}
		at += int64(size)
		if h.CRC != 0 && crc32.ChecksumIEEE(s.raw) != uint32(h.CRC) {
			return errors.New("the checksum of a page is wrong")
		}
		v, err := s.page(&h, c.codec, c.rows-done)
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		if err := s.visit(s.row+done, v); err != nil {
			return err
		}
		done += int64(v.n)
	}
	return nil
}

// readHeader decodes the header of the page at the offset and returns its length.
func (s *pageScan) readHeader(at, end int64, h *format.PageHeader) (int, error) {
	for window := int64(1 << 10); ; window *= 32 {
		window = min(window, mostPageHeader, end-at)
		if int64(cap(s.header)) < window {
			s.header = make([]byte, window)
		}
		s.header = s.header[:window]
		if _, err := s.file.ReadAt(s.header, at); err != nil {
			return 0, err
		}
		n, err := decodeThrift(s.header, h)
		switch {
		case err == nil:
			return n, nil
		case !errors.Is(err, io.ErrUnexpectedEOF):
			return 0, err
		case window == end-at || window == mostPageHeader:
			return 0, errors.New("the header of a page is damaged")
		}
	}
}

// page decodes a page of at most so many values. What is no data gives nothing.
func (s *pageScan) page(h *format.PageHeader, codec format.CompressionCodec, most int64) (*parquetValues, error) {
	switch {
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid:
		plain, err := s.decompress(codec, s.raw, int(h.UncompressedPageSize))
		if err != nil {
			return nil, err
		}
		d := h.DictionaryPageHeader.V
		if d.Encoding != format.Plain && d.Encoding != format.PlainDictionary {
			return nil, errEncoding(d.Encoding)
		}
		s.dictionary, err = decodePlain(s.column.kind, bytes.Clone(plain), int(d.NumValues))
		return nil, err
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		d := h.DataPageHeader.V
		if int64(d.NumValues) > most || d.NumValues < 0 {
			return nil, fmt.Errorf("a page claims %d values where %d are left", d.NumValues, most)
		}
		plain, err := s.decompress(codec, s.raw, int(h.UncompressedPageSize))
		if err != nil {
			return nil, err
		}
		var levels []byte
		if s.column.levels > 0 {
			if d.DefinitionLevelEncoding != format.RLE {
				return nil, errEncoding(d.DefinitionLevelEncoding)
			}
			if levels, plain, err = prefixed(plain); err != nil {
				return nil, err
			}
		}
		return s.values(int(d.NumValues), levels, plain, d.Encoding)
	case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
		d := h.DataPageHeaderV2.V
		n := int64(d.DefinitionLevelsByteLength)
		switch {
		case int64(d.NumValues) > most || d.NumValues < 0:
			return nil, fmt.Errorf("a page claims %d values where %d are left", d.NumValues, most)
		case d.RepetitionLevelsByteLength != 0, n < 0, n > int64(len(s.raw)), n > int64(h.UncompressedPageSize):
			return nil, errors.New("the levels of a page don't fit it")
		}
		levels, plain := s.raw[:n], s.raw[n:]
		if !d.IsCompressed.Valid || d.IsCompressed.V {
			var err error
			if plain, err = s.decompress(codec, plain, int(int64(h.UncompressedPageSize)-n)); err != nil {
				return nil, err
			}
		}
		return s.values(int(d.NumValues), levels, plain, d.Encoding)
	case h.Type == format.IndexPage:
		return nil, nil
	}
	return nil, fmt.Errorf("a page of an unknown kind, %v", h.Type)
}

// decompress returns a page of exactly size bytes.
func (s *pageScan) decompress(codec format.CompressionCodec, raw []byte, size int) ([]byte, error) {
	if codec == format.Uncompressed {
		if len(raw) != size {
			return nil, fmt.Errorf("a page of %d bytes claims %d", len(raw), size)
		}
		return raw, nil
	}
	if size > mostPage || size > smallPage && size/mostExpansion > len(raw) {
		return nil, fmt.Errorf("a page of %d bytes claims to be %d when it is decompressed", len(raw), size)
	}
	if size == 0 {
		return nil, nil
	}
	if cap(s.plain) < size {
		s.plain = make([]byte, size)
	}
	s.plain = s.plain[:size]
	var in io.Reader
	switch codec {
	case format.Snappy:
		if n, err := snappy.DecodedLen(raw); err != nil || n != size {
			return nil, fmt.Errorf("a page can't be decompressed: it does not have the %d bytes it claims", size)
		}
		if _, err := snappy.Decode(s.plain, raw); err != nil {
			return nil, fmt.Errorf("a page can't be decompressed: %w", err)
		}
		return s.plain, nil
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("a page can't be decompressed: %w", err)
		}
		in = z
	case format.Zstd:
		z, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostPage), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("a page can't be decompressed: %w", err)
		}
		defer z.Close()
		in = z
	default:
		return nil, fmt.Errorf("is compressed by %v; read are SNAPPY, GZIP and ZSTD", codec)
	}
	if _, err := io.ReadFull(in, s.plain); err != nil {
		return nil, fmt.Errorf("a page can't be decompressed: %w", err)
	}
	if n, err := in.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("a page can't be decompressed: it has more than the %d bytes it claims", size)
	}
	return s.plain, nil
}

// prefixed cuts off a part that begins with its length.
func prefixed(b []byte) (part, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errPageShort
	}
	n := binary.LittleEndian.Uint32(b)
	if int64(n) > int64(len(b)-4) {
		return nil, nil, errPageShort
	}
	return b[4 : 4+n], b[4+n:], nil
}

var errPageShort = errors.New("a page is cut short")

func errEncoding(e format.Encoding) error {
	return fmt.Errorf("is encoded as %v, which is not read; PLAIN and RLE_DICTIONARY are", e)
}

// values decodes n values, of which those are there whose definition level is the column's.
func (s *pageScan) values(n int, levels, plain []byte, encoding format.Encoding) (*parquetValues, error) {
	v := &parquetValues{n: n}
	present := n
	if s.column.levels > 0 {
		defined := make([]uint32, n)
		if err := decodeHybrid(defined, levels, bitWidth(s.column.levels)); err != nil {
			return nil, err
		}
		v.null = make([]bool, n)
		for k, level := range defined {
			if level != uint32(s.column.levels) {
				v.null[k] = true
				present--
			}
		}
	}
	var there *parquetValues
	var err error
	switch {
	case encoding == format.Plain:
		there, err = decodePlain(s.column.kind, plain, present)
	case encoding == format.RLEDictionary, encoding == format.PlainDictionary:
		there, err = s.dictionary.look(plain, present)
	case encoding == format.RLE && s.column.kind == format.Boolean:
		there, err = decodeTruths(plain, present)
	default:
		err = errEncoding(encoding)
	}
	if err != nil || present == n {
		if there != nil {
			there.null = v.null
		}
		return there, err
	}
	if s.column.kind == format.ByteArray {
		v.bytes = spreadOver(v.null, there.bytes)
	} else {
		v.numbers = spreadOver(v.null, there.numbers)
	}
	return v, nil
}

// spreadOver gives each row that is not missing its value.
func spreadOver[T any](null []bool, values []T) []T {
	out := make([]T, len(null))
	for k := range out {
		if !null[k] {
			out[k], values = values[0], values[1:]
		}
	}
	return out
}

// decodePlain decodes n values that stand one after the other. Those of bytes share b.
func decodePlain(kind format.Type, b []byte, n int) (*parquetValues, error) {
	v := &parquetValues{n: n}
	width := map[format.Type]int{format.ByteArray: 4, format.Int64: 8, format.Int32: 4, format.Boolean: 0}[kind]
	if n < 0 || width > 0 && n > len(b)/width || n > 8*len(b) {
		return nil, errPageShort
	}
	switch kind {
	case format.ByteArray:
		v.bytes = make([][]byte, n)
		for k := range v.bytes {
			var err error
			if v.bytes[k], b, err = prefixed(b); err != nil {
				return nil, err
			}
		}
		return v, nil
	case format.Int32, format.Int64, format.Boolean:
	default:
		return nil, fmt.Errorf("holds %v; read are bytes, integers and truth values", kind)
	}
	v.numbers = make([]int64, n)
	for k := range v.numbers {
		switch kind {
		case format.Int32:
			v.numbers[k] = int64(int32(binary.LittleEndian.Uint32(b[4*k:])))
		case format.Int64:
			v.numbers[k] = int64(binary.LittleEndian.Uint64(b[8*k:]))
		default:
			v.numbers[k] = int64(b[k/8] >> (k % 8) & 1)
		}
	}
	return v, nil
}

// decodeTruths decodes truth values that are written as runs.
func decodeTruths(b []byte, n int) (*parquetValues, error) {
	runs, _, err := prefixed(b)
	if err != nil {
		return nil, err
	}
	bits := make([]uint32, n)
	if err := decodeHybrid(bits, runs, 1); err != nil {
		return nil, err
	}
	v := &parquetValues{n: n, numbers: make([]int64, n)}
	for k, bit := range bits {
		v.numbers[k] = int64(bit)
	}
	return v, nil
}

// look decodes n values that are written as their places in the dictionary v.
func (v *parquetValues) look(b []byte, n int) (*parquetValues, error) {
	switch {
	case v == nil:
		return nil, errors.New("a page needs a dictionary, and there is none before it")
	case len(b) == 0 && n > 0:
		return nil, errPageShort
	case n == 0:
		return new(parquetValues), nil
	}
	places := make([]uint32, n)
	if err := decodeHybrid(places, b[1:], int(b[0])); err != nil {
		return nil, err
	}
	out := &parquetValues{n: n}
	for _, p := range places {
		if int64(p) >= int64(v.n) {
			return nil, fmt.Errorf("a page names entry %d of a dictionary of %d", p, v.n)
		}
		if v.bytes != nil {
			out.bytes = append(out.bytes, v.bytes[p])
		} else {
			out.numbers = append(out.numbers, v.numbers[p])
		}
	}
	return out, nil
}

// bitWidth is the number of bits of numbers up to most.
func bitWidth(most int) int {
	n := 0
	for ; most > 0; most >>= 1 {
		n++
	}
	return n
}

// decodeHybrid fills dst from runs of one value and groups of eight that are packed by bits: RLE, and the indices of
// RLE_DICTIONARY. No run goes further than dst.
func decodeHybrid(dst []uint32, b []byte, width int) error {
	if width < 0 || width > 32 {
		return fmt.Errorf("a page claims numbers of %d bits", width)
	}
	for len(dst) > 0 {
		header, n := binary.Uvarint(b)
		if n <= 0 {
			return errPageShort
		}
		b = b[n:]
		if header&1 == 0 { // a run
			bytes := (width + 7) / 8
			if len(b) < bytes {
				return errPageShort
			}
			var value uint32
			for k := range bytes {
				value |= uint32(b[k]) << (8 * k)
			}
			b = b[bytes:]
			run := min(header>>1, uint64(len(dst)))
			if run == 0 {
				return errors.New("a page holds an empty run")
			}
			for k := range dst[:run] {
				dst[k] = value
			}
			dst = dst[run:]
			continue
		}
		groups := header >> 1
		if groups == 0 || groups > uint64(len(dst)+7)/8 || groups*uint64(width) > uint64(len(b)) {
			return errPageShort // it would go beyond the values, or the bytes
		}
		var bits uint64
		have, at := 0, 0
		count := min(int(groups)*8, len(dst))
		for k := range dst[:count] {
			for have < width {
				bits |= uint64(b[at]) << have
				at, have = at+1, have+8
			}
			dst[k] = uint32(bits & (1<<width - 1))
			bits, have = bits>>width, have-width
		}
		dst, b = dst[count:], b[groups*uint64(width):]
	}
	return nil
}
