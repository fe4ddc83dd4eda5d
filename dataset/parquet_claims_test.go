package dataset

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// writtenParquet is a file of one column, label, with the integers 3, 5 and 7 in a page; change makes it claim something else.
func writtenParquet(t testing.TB, codec format.CompressionCodec, change func(h *format.PageHeader, m *format.FileMetaData)) []byte {
	t.Helper()
	page := []byte{3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0}
	h := format.PageHeader{
		Type: format.DataPage, UncompressedPageSize: 12, CompressedPageSize: 12,
		DataPageHeader: thrift.New(format.DataPageHeader{NumValues: 3, Encoding: format.Plain, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE}),
	}
	m := format.FileMetaData{
		Version: 1, NumRows: 3,
		Schema: []format.SchemaElement{
			{Name: "root", NumChildren: thrift.New(int32(1))},
			{Name: "label", Type: thrift.New(format.Int32), RepetitionType: thrift.New(format.Required)},
		},
		RowGroups: []format.RowGroup{{NumRows: 3, Columns: []format.ColumnChunk{{MetaData: format.ColumnMetaData{
			Type: format.Int32, Codec: codec, NumValues: 3, DataPageOffset: 4, PathInSchema: []string{"label"}, Encoding: []format.Encoding{format.Plain},
		}}}}},
	}
	change(&h, &m)
	marshal := func(v any) []byte {
		b, err := thrift.Marshal(new(thrift.CompactProtocol), v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	pages := append(marshal(h), page...)
	if c := &m.RowGroups[0].Columns; len(*c) > 0 && (*c)[0].MetaData.TotalCompressedSize == 0 {
		(*c)[0].MetaData.TotalCompressedSize = int64(len(pages))
	}
	footer := marshal(m)
	b := slices.Concat([]byte("PAR1"), pages, footer)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(footer))), "PAR1"...)
}

// No claim of a file is believed that its bytes do not bear out, and none makes the reader take memory for it.
func TestParquetClaims(t *testing.T) {
	type header = format.PageHeader
	type meta = format.FileMetaData
	for _, test := range []struct {
		name, want string
		codec      format.CompressionCodec
		change     func(h *header, m *meta)
	}{
		{"nothing", "", format.Uncompressed, func(*header, *meta) {}},
		{"rows of the file", "claims 1099511627776 rows in", format.Uncompressed, func(_ *header, m *meta) { m.NumRows = 1 << 40 }},
		{"rows of a group", "row group 0: claims 4 rows of 3", format.Uncompressed, func(_ *header, m *meta) { m.RowGroups[0].NumRows = 4 }},
		{"fewer rows", "its row groups have 3 rows, the file 4", format.Uncompressed, func(_ *header, m *meta) { m.NumRows = 4 }},
		{"values of a chunk", "has 2 values for 3 rows", format.Uncompressed, func(_ *header, m *meta) { m.RowGroups[0].Columns[0].MetaData.NumValues = 2 }},
		{"no columns in a group", "row group 0: has 0 columns, the file 1", format.Uncompressed, func(_ *header, m *meta) { m.RowGroups[0].Columns = nil }},
		{"a chunk beyond the file", "claims 1048576 bytes at 4 of a file of", format.Uncompressed, func(_ *header, m *meta) { m.RowGroups[0].Columns[0].MetaData.TotalCompressedSize = 1 << 20 }},
		{"a chunk before the file", "claims", format.Uncompressed, func(_ *header, m *meta) { m.RowGroups[0].Columns[0].MetaData.DataPageOffset = -1 << 62 }},
		{"another type", "holds INT64, and is described as INT32", format.Uncompressed, func(_ *header, m *meta) { m.RowGroups[0].Columns[0].MetaData.Type = format.Int64 }},
		{"a column elsewhere", "is in another file", format.Uncompressed, func(_ *header, m *meta) { m.RowGroups[0].Columns[0].FilePath = "/etc/passwd" }},
		{"columns that are not there", "its columns don't fit", format.Uncompressed, func(_ *header, m *meta) { m.Schema[0].NumChildren = thrift.New(int32(1 << 30)) }},
		{"columns beyond", "its columns don't fit", format.Uncompressed, func(_ *header, m *meta) { m.Schema[0].NumChildren = thrift.New(int32(0)) }},
		{"the size of a page", "a page claims 1073741824 bytes, more than there are", format.Uncompressed, func(h *header, _ *meta) { h.CompressedPageSize = 1 << 30 }},
		{"a negative size", "a page claims -1 bytes", format.Uncompressed, func(h *header, _ *meta) { h.CompressedPageSize = -1 }},
		{"the size without compression", "a page of 12 bytes claims 13", format.Uncompressed, func(h *header, _ *meta) { h.UncompressedPageSize = 13 }},
		{"what a page expands to", "a page of 12 bytes claims to be 1073741824", format.Gzip, func(h *header, _ *meta) { h.UncompressedPageSize = 1 << 30 }},
		{"no compressed page", "can't be decompressed", format.Zstd, func(*header, *meta) {}},
		{"the values of a page", "a page claims 1073741824 values where 3 are left", format.Uncompressed, func(h *header, _ *meta) { h.DataPageHeader.V.NumValues = 1 << 30 }},
		{"too few values", "its pages hold 2 values of 3", format.Uncompressed, func(h *header, _ *meta) { h.DataPageHeader.V.NumValues = 2 }},
		{"a dictionary that is not there", "needs a dictionary", format.Uncompressed, func(h *header, _ *meta) { h.DataPageHeader.V.Encoding = format.RLEDictionary }},
		{"an encoding", "is encoded as BYTE_STREAM_SPLIT", format.Uncompressed, func(h *header, _ *meta) { h.DataPageHeader.V.Encoding = format.ByteStreamSplit }},
		{"levels that are not there", "a page is cut short", format.Uncompressed, func(_ *header, m *meta) { m.Schema[1].RepetitionType = thrift.New(format.Optional) }},
		{"a wrong checksum", "the checksum of a page is wrong", format.Uncompressed, func(h *header, _ *meta) { h.CRC = 1 }},
		{"a kind of page", "a page of an unknown kind", format.Uncompressed, func(h *header, _ *meta) { h.Type = 9 }},
		{"only dictionaries", "hold 0 values of 3", format.Uncompressed, func(h *header, _ *meta) {
			h.Type, h.DictionaryPageHeader = format.DictionaryPage, thrift.New(format.DictionaryPageHeader{NumValues: 3})
		}},
		{"the entries of a dictionary", "a page is cut short", format.Uncompressed, func(h *header, _ *meta) {
			h.Type, h.DictionaryPageHeader = format.DictionaryPage, thrift.New(format.DictionaryPageHeader{NumValues: 1 << 30})
		}},
	} {
		path := filepath.Join(t.TempDir(), "x.parquet")
		if err := os.WriteFile(path, writtenParquet(t, test.codec, test.change), 0o600); err != nil {
			t.Fatal(err)
		}
		var got []string
		var err error
		bytes := allocated(func() {
			var p *parquetFile
			if p, err = openParquet(path); err == nil {
				err = p.texts(t.Context(), 0, func(_ int64, text string) error { got = append(got, text); return nil })
			}
		})
		if bytes > 8<<20 {
			t.Errorf("%s: %d bytes are allocated", test.name, bytes)
		}
		if test.want == "" {
			if err != nil || !slices.Equal(got, []string{"3", "5", "7"}) {
				t.Errorf("%s: %v, %v", test.name, got, err)
			}
			continue
		}
		t.Run(test.name, func(t *testing.T) { checkInputError(t, err, path, test.want) })
	}
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// checkAllocated checks that what was allocated for a file of so many bytes is within what they can hold: DEFLATE expands up to
// 1,032-fold, and growing a slice takes a few times as much.
func checkAllocated(t *testing.T, bytes uint64, size int) {
	t.Helper()
	if most := uint64(32<<20 + 8*1100*size); bytes > most {
		t.Errorf("%d bytes of a file made it allocate %d", size, bytes)
	}
}

func FuzzParquet(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(parquetData, "*.parquet"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "x.parquet")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		// All columns, whatever they hold.
		var p *parquetFile
		var err error
		bytes := allocated(func() {
			if p, err = openParquet(path); err != nil {
				return
			}
			if _, err = p.pick(Columns{}); err != nil {
				return
			}
			for k := range p.columns {
				if !p.columns[k].repeated {
					_ = p.texts(t.Context(), k, func(int64, string) error { return nil })
				}
			}
		})
		checkAllocated(t, bytes, len(content))
		var input *InputError
		if err != nil && !errors.As(err, &input) && p == nil {
			t.Errorf("an error that names no file: %v", err)
		}
	})
}
