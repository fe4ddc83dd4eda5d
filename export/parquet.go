package export

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// Column is a column of a table: of whole numbers, of numbers, or of texts, whichever is not nil. Absent marks the rows without a value;
// nil means that every row has one.
type Column struct {
	Name   string
	Ints   []int64
	Floats []float64
	Texts  []string
	Absent []bool
}

// Len returns the number of rows.
func (c *Column) Len() int { return max(len(c.Ints), len(c.Floats), len(c.Texts)) }

// value returns that of a row as Parquet has it.
func (c *Column) value(row, column int) parquet.Value {
	level := 0 // of definition: 1 where an optional value is there
	if c.Absent != nil {
		if c.Absent[row] {
			return parquet.NullValue().Level(0, 0, column)
		}
		level = 1
	}
	var v parquet.Value
	switch {
	case c.Ints != nil:
		v = parquet.Int64Value(c.Ints[row])
	case c.Floats != nil:
		v = parquet.DoubleValue(c.Floats[row])
	default:
		v = parquet.ByteArrayValue([]byte(c.Texts[row]))
	}
	return v.Level(0, level, column)
}

func (c *Column) kind() reflect.Type {
	switch {
	case c.Ints != nil:
		return reflect.TypeFor[int64]()
	case c.Floats != nil:
		return reflect.TypeFor[float64]()
	}
	return reflect.TypeFor[string]()
}

// rowsAtOnce is how many rows are handed to the Parquet writer in one call.
const rowsAtOnce = 1024

// WriteParquet writes columns of as many rows each, in their order, as a Parquet file, compressed by Snappy, which every reader knows. name
// is that of its schema, and metadata goes into the key-value metadata of the file.
func WriteParquet(out io.Writer, name string, columns []Column, metadata map[string]string) error {
	schema, err := parquetSchema(name, columns)
	if err != nil {
		return err
	}
	options := []parquet.WriterOption{schema, parquet.Compression(&parquet.Snappy), parquet.CreatedBy("datadropout", "", "")}
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		options = append(options, parquet.KeyValueMetadata(k, metadata[k]))
	}
	w := parquet.NewWriter(out, options...)
	total := columns[0].Len()
	for at := 0; at < total; at += rowsAtOnce {
		var rows []parquet.Row
		for i := at; i < min(total, at+rowsAtOnce); i++ {
			row := make(parquet.Row, len(columns))
			for k := range columns {
				row[k] = columns[k].value(i, k)
			}
			rows = append(rows, row)
		}
		if _, err := w.WriteRows(rows); err != nil {
			return fmt.Errorf("writing Parquet: %w", err)
		}
	}
	return w.Close()
}

// parquetSchema describes the columns in their order: a structure keeps it, where a group of nodes would sort them.
func parquetSchema(name string, columns []Column) (*parquet.Schema, error) {
	if len(columns) == 0 {
		return nil, fmt.Errorf("a table without columns")
	}
	fields := make([]reflect.StructField, len(columns))
	for k := range columns {
		c := &columns[k]
		if c.Len() != columns[0].Len() || c.Absent != nil && len(c.Absent) != c.Len() {
			return nil, fmt.Errorf("column %s has %d rows, and %s %d", c.Name, c.Len(), columns[0].Name, columns[0].Len())
		}
		tag := c.Name
		if c.Absent != nil {
			tag += ",optional"
		}
		fields[k] = reflect.StructField{Name: fmt.Sprintf("Column%d", k), Type: c.kind(), Tag: reflect.StructTag(fmt.Sprintf("parquet:%q", tag))}
	}
	return parquet.NewSchema(name, parquet.SchemaOf(reflect.New(reflect.StructOf(fields)).Interface())), nil
}
