package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/format"
)

// parquetValues are the values of one page: bytes or numbers, an entry a row.
type parquetValues struct {
	n       int
	null    []bool   // nil: none is missing
	bytes   [][]byte // of a column of bytes; nil for one that is missing
	numbers []int64  // of a column of integers or truth values
}

func (v *parquetValues) missing(k int) bool { return v.null != nil && v.null[k] }

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
