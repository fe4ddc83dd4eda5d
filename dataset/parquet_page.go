package dataset

import (
	"bytes"
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
