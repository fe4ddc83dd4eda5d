package dataset

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

const parquetMagic = "PAR1"

const (
	// mostFooter bounds the description of a Parquet file, in bytes.
	mostFooter = 64 << 20
	// mostPageHeader bounds the header of a page, with its statistics.
	mostPageHeader = 1 << 20
)

// parquetFile is what the description of a Parquet file says that is needed to read single columns of it.
type parquetFile struct {
	path    string
	size    int64
	rows    int64
	columns []parquetColumn
	// metadata are the key-value pairs that the writer added.
	metadata map[string]string
}

// parquetColumn is a column of values: a leaf of the schema.
type parquetColumn struct {
	name     string // with dots, such as image.bytes
	kind     format.Type
	text     bool // bytes that are said to be text
	levels   int  // the definition level of a value that is there: how many of the column and the structs around it may be missing
	repeated bool
	chunks   []parquetChunk
}

// parquetChunk is where the values of some rows of a column are.
type parquetChunk struct {
	offset, size int64
	rows         int64
	codec        format.CompressionCodec
}

// openParquet reads the description at the end of a Parquet file. No claim in it is believed that the size of the file does not
// bear out.
func openParquet(path string) (*parquetFile, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &parquetFile{path: path, size: size}
	meta, err := p.footer(f)
	if err == nil {
		err = p.describe(meta)
	}
	if err != nil {
		return nil, &InputError{Path: path, Err: err}
	}
	return p, nil
}

// footer reads and decodes the description.
func (p *parquetFile) footer(f io.ReaderAt) (*format.FileMetaData, error) {
	const frame = 2*len(parquetMagic) + 4
	if p.size < int64(frame) {
		return nil, errors.New("is no Parquet file: it is too short")
	}
	var head, tail [8]byte
	if _, err := f.ReadAt(head[:4], 0); err != nil {
		return nil, err
	}
	if _, err := f.ReadAt(tail[:], p.size-8); err != nil {
		return nil, err
	}
	switch {
	case string(head[:4]) == "PARE", string(tail[4:]) == "PARE":
		return nil, errors.New("is encrypted")
	case string(head[:4]) != parquetMagic:
		return nil, errors.New("is no Parquet file")
	case string(tail[4:]) != parquetMagic:
		return nil, errors.New("is cut short: a Parquet file ends with PAR1")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > p.size-int64(frame) || n > mostFooter {
		return nil, fmt.Errorf("its description claims %d bytes, more than there are", n)
	}
	raw := make([]byte, n)
	if _, err := f.ReadAt(raw, p.size-8-n); err != nil {
		return nil, err
	}
	meta := new(format.FileMetaData)
	if _, err := decodeThrift(raw, meta); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("its description is damaged")
		}
		return nil, err
	}
	return meta, nil
}

// describe takes the columns and where they are from the description.
func (p *parquetFile) describe(meta *format.FileMetaData) error {
	schema := meta.Schema
	if len(schema) == 0 {
		return errors.New("describes no columns")
	}
	rest, err := p.leaves(schema[1:], int(schema[0].NumChildren.V), parquetColumn{}, 0)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return errors.New("its columns don't fit their description")
	case meta.NumRows < 0, meta.NumRows > p.size: // an image or a path takes more than a byte
		return fmt.Errorf("claims %d rows in %d bytes", meta.NumRows, p.size)
	}
	p.rows = meta.NumRows
	sum := int64(0)
	for g, group := range meta.RowGroups {
		if group.NumRows < 0 || group.NumRows > p.rows-sum {
			return fmt.Errorf("row group %d: claims %d rows of %d", g, group.NumRows, p.rows)
		}
		sum += group.NumRows
		if len(group.Columns) != len(p.columns) {
			return fmt.Errorf("row group %d: has %d columns, the file %d", g, len(group.Columns), len(p.columns))
		}
		for k := range p.columns {
			if err := p.columns[k].addChunk(&group.Columns[k], group.NumRows, p.size); err != nil {
				return fmt.Errorf("row group %d: column %s: %w", g, p.columns[k].name, err)
			}
		}
	}
	if sum != p.rows {
		return fmt.Errorf("its row groups have %d rows, the file %d", sum, p.rows)
	}
	p.metadata = map[string]string{}
	for _, kv := range meta.KeyValueMetadata {
		p.metadata[strings.Clone(kv.Key)] = strings.Clone(kv.Value)
	}
	return nil
}

// leaves adds the columns below the first n elements of the schema and returns the elements behind them.
func (p *parquetFile) leaves(schema []format.SchemaElement, n int, around parquetColumn, depth int) ([]format.SchemaElement, error) {
	if depth == deepestThrift {
		return nil, errors.New("its columns nest too deeply")
	}
	for range n {
		if len(schema) == 0 {
			return nil, errors.New("its columns don't fit their description")
		}
		e := schema[0]
		schema = schema[1:]
		c := around
		if !printable(e.Name) {
			return nil, fmt.Errorf("the name %.60q of a column is no text", e.Name)
		}
		if c.name != "" {
			c.name += "."
		}
		c.name += strings.Clone(e.Name)
		if e.RepetitionType.Valid && e.RepetitionType.V != format.Required {
			c.levels++
			c.repeated = c.repeated || e.RepetitionType.V == format.Repeated
		}
		if e.Type.Valid {
			c.kind = e.Type.V
			_, text := e.LogicalType.Value.(*format.StringType)
			c.text = text || e.ConvertedType.Valid && e.ConvertedType.V == deprecated.UTF8
			p.columns = append(p.columns, c)
			continue
		}
		var err error
		if schema, err = p.leaves(schema, int(e.NumChildren.V), c, depth+1); err != nil {
			return nil, err
		}
	}
	return schema, nil
}

// addChunk adds the values of the next rows.
func (c *parquetColumn) addChunk(chunk *format.ColumnChunk, rows, size int64) error {
	m := &chunk.MetaData
	offset := m.DataPageOffset
	if m.DictionaryPageOffset > 0 && m.DictionaryPageOffset < offset {
		offset = m.DictionaryPageOffset
	}
	switch {
	case chunk.FilePath != "":
		return errors.New("is in another file, which is not read")
	case m.Type != c.kind:
		return fmt.Errorf("holds %v, and is described as %v", m.Type, c.kind)
	case offset < 0, m.TotalCompressedSize < 0, m.TotalCompressedSize > size-offset:
		return fmt.Errorf("claims %d bytes at %d of a file of %d", m.TotalCompressedSize, offset, size)
	case !c.repeated && m.NumValues != rows:
		return fmt.Errorf("has %d values for %d rows", m.NumValues, rows)
	}
	c.chunks = append(c.chunks, parquetChunk{offset, m.TotalCompressedSize, rows, m.Codec})
	return nil
}

// scan calls visit with the values of a column, page by page, and the row of the first of them. They are visit's only while it
// runs. An error of visit ends the scan and is returned as it is.
func (p *parquetFile) scan(ctx context.Context, column int, visit func(row int64, v *parquetValues) error) error {
	f, _, err := openRegular(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	c := &p.columns[column]
	s := pageScan{file: f, column: c, visit: func(row int64, v *parquetValues) error {
		if err := visit(row, v); err != nil {
			return &visitError{err}
		}
		return ctx.Err()
	}}
	for g, chunk := range c.chunks {
		if err := s.chunk(chunk); err != nil {
			var visited *visitError
			if errors.As(err, &visited) {
				return visited.error
			}
			return inputError(p.path, fmt.Errorf("row group %d: column %s: %w", g, c.name, err))
		}
		s.row += chunk.rows
	}
	return nil
}

// visitError marks an error that is not the file's.
type visitError struct{ error }

// huggingFace is what the library datasets writes into a file about its columns.
type huggingFace struct {
	Info struct {
		Features map[string]struct {
			Type  string          `json:"_type"`
			Names json.RawMessage `json:"names"`
		} `json:"features"`
	} `json:"info"`
}

func (p *parquetFile) declared() (h huggingFace) {
	_ = json.Unmarshal([]byte(p.metadata["huggingface"]), &h) // what can't be read declares nothing
	return h
}

// features returns the names of the columns that are declared to be of a type, sorted.
func (p *parquetFile) features(kind string) []string {
	var names []string
	for name, f := range p.declared().Info.Features {
		if f.Type == kind {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// classNames returns the names of the classes that the metadata declare for a column, or nothing.
func (p *parquetFile) classNames(column string) []string {
	var names []string
	if json.Unmarshal(p.declared().Info.Features[column].Names, &names) != nil {
		return nil
	}
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] || !printable(name) || name == "" || len(name) > longestLabel {
			return nil
		}
		seen[name] = true
	}
	return names
}
