package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
)

const (
	// mostThrift bounds the elements of all lists of a structure, and deepestThrift how structures nest.
	mostThrift, deepestThrift = 1 << 18, 32
)

// decodeThrift decodes the structure at the start of b, in Thrift's compact protocol, into v and returns its length. The decoder
// takes memory for what a list claims to hold, so the claims are checked before it sees them. Where b ends within the structure
// the error is io.ErrUnexpectedEOF.
func decodeThrift(b []byte, v any) (n int, err error) {
	c := thriftCheck{b: b}
	if err := c.value(thriftStruct, 0); err != nil {
		return 0, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("its description can't be decoded: %v", r)
		}
	}()
	var compact thrift.CompactProtocol
	if err := thrift.NewDecoder(compact.NewReaderFromBytes(b[:c.at])).Decode(v); err != nil {
		return 0, fmt.Errorf("its description can't be decoded: %w", err)
	}
	return c.at, nil
}

// Types of values in Thrift's compact protocol.
const (
	thriftTrue = iota + 1
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
	thriftUUID
)

// thriftCheck walks over a value and checks that all of it is there, without keeping any.
type thriftCheck struct {
	b        []byte
	at       int
	elements int // of all lists so far
}

func (c *thriftCheck) value(kind byte, depth int) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte: // in a list; a field of one has its value in its header
		return c.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := c.varint()
		return err
	case thriftDouble:
		return c.skip(8)
	case thriftUUID:
		return c.skip(16)
	case thriftBinary:
		n, err := c.varint()
		if err != nil {
			return err
		}
		return c.skip(n)
	}
	if depth == deepestThrift {
		return errors.New("its description nests too deeply")
	}
	switch kind {
	case thriftList, thriftSet:
		return c.list(depth + 1)
	case thriftMap:
		return c.pairs(depth + 1)
	case thriftStruct:
		return c.fields(depth + 1)
	}
	return fmt.Errorf("its description holds a value of the unknown type %d", kind)
}

func (c *thriftCheck) byte() (byte, error) {
	if c.at == len(c.b) {
		return 0, io.ErrUnexpectedEOF
	}
	c.at++
	return c.b[c.at-1], nil
}

func (c *thriftCheck) varint() (uint64, error) {
	v, n := binary.Uvarint(c.b[c.at:])
	switch {
	case n == 0:
		return 0, io.ErrUnexpectedEOF
	case n < 0:
		return 0, errors.New("its description holds a number of more than 64 bits")
	}
	c.at += n
	return v, nil
}

func (c *thriftCheck) skip(n uint64) error {
	if n > uint64(len(c.b)-c.at) {
		return io.ErrUnexpectedEOF
	}
	c.at += int(n)
	return nil
}

func (c *thriftCheck) list(depth int) error {
	header, err := c.byte()
	if err != nil {
		return err
	}
	n := uint64(header >> 4)
	if n == 15 {
		if n, err = c.varint(); err != nil {
			return err
		}
	}
	if err := c.count(n); err != nil {
		return err
	}
	for range n {
		if err := c.value(header&15, depth); err != nil {
			return err
		}
	}
	return nil
}

// count takes the number of elements into account, each of which takes a byte at least.
func (c *thriftCheck) count(n uint64) error {
	if n > uint64(mostThrift-c.elements) {
		return fmt.Errorf("its description claims lists of more than %d elements", mostThrift)
	}
	c.elements += int(n)
	if n > uint64(len(c.b)-c.at) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (c *thriftCheck) pairs(depth int) error {
	n, err := c.varint()
	if err != nil || n == 0 {
		return err
	}
	if err := c.count(n); err != nil {
		return err
	}
	kinds, err := c.byte()
	if err != nil {
		return err
	}
	for range n {
		if err := c.value(kinds>>4, depth); err != nil {
			return err
		}
		if err := c.value(kinds&15, depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *thriftCheck) fields(depth int) error {
	for {
		header, err := c.byte()
		if err != nil || header == 0 {
			return err
		}
		if header>>4 == 0 { // the number of the field follows
			if _, err := c.varint(); err != nil {
				return err
			}
		}
		if kind := header & 15; kind != thriftTrue && kind != thriftFalse {
			if err := c.value(kind, depth); err != nil {
				return err
			}
		}
	}
}
