package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// maxPickleOps bounds the operations of a pickle file, and with them the objects it makes: the largest file that is read,
// the training part of CIFAR-100, has about 250,000.
const maxPickleOps = 1 << 20

// pickleArray is a numpy array of bytes.
type pickleArray struct {
	dims    []int
	fortran bool // stored with the first dimension fastest
	data    []byte
}

// The values that an unpickled file is made of are int64, pickleBytes (Python's str, bytes and unicode alike), bool, nil,
// *pickleList, pickleTuple, *pickleDict and *pickleArray; while it is read also pickleMark, pickleGlobal and *pickleDtype.
type (
	pickleList   struct{ items []any }
	pickleTuple  []any
	pickleDict   struct{ entries map[string]any }
	pickleMark   struct{}
	pickleGlobal string // module and name, with a point between
	pickleDtype  struct{ code string }
)

// unpickle reads a file in Python's pickle format, protocols 2 to 4 (Python library reference, "pickle", and the comments
// of pickletools), as far as the Python layout of CIFAR needs it: dictionaries with strings as keys, lists, tuples,
// strings, integers and numpy arrays of bytes. A pickle is a program that names functions for its reader to call; here
// nothing is called. The three names that make up an array are taken as data, any other name, and any other operation, is
// an error that names it.
//
// Strings and arrays are pieces of data. Nothing else is allocated on the word of the file.
func unpickle(data []byte) (any, error) {
	u := unpickler{data: data, memo: map[uint32]any{}}
	for ops := 0; ; ops++ {
		if ops == maxPickleOps {
			return nil, fmt.Errorf("at offset %d: more than %d operations", u.at, maxPickleOps)
		}
		start := u.at
		done, err := u.step()
		if err != nil {
			return nil, fmt.Errorf("at offset %d: %w", start, err)
		}
		if done {
			break
		}
	}
	if u.at != len(data) {
		return nil, fmt.Errorf("%d bytes follow the end, at offset %d", len(data)-u.at, u.at)
	}
	if len(u.stack) != 1 {
		return nil, fmt.Errorf("%d values at the end, want 1", len(u.stack))
	}
	return u.stack[0], nil
}

type unpickler struct {
	data  []byte
	at    int
	stack []any
	memo  map[uint32]any
}

// Operations of the format, by their names in pickletools.
const (
	opMark           = '('
	opStop           = '.'
	opPop            = '0'
	opPopMark        = '1'
	opBinInt         = 'J'
	opBinInt1        = 'K'
	opBinInt2        = 'M'
	opNone           = 'N'
	opReduce         = 'R'
	opBinString      = 'T'
	opShortBinString = 'U'
	opBinUnicode     = 'X'
	opAppend         = 'a'
	opBuild          = 'b'
	opGlobal         = 'c'
	opAppends        = 'e'
	opBinGet         = 'h'
	opLongBinGet     = 'j'
	opBinPut         = 'q'
	opLongBinPut     = 'r'
	opSetItem        = 's'
	opTuple          = 't'
	opSetItems       = 'u'
	opEmptyDict      = '}'
	opEmptyList      = ']'
	opEmptyTuple     = ')'
	opBinBytes       = 'B'
	opShortBinBytes  = 'C'
	opProto          = 0x80
	opTuple1         = 0x85
	opTuple2         = 0x86
	opTuple3         = 0x87
	opNewTrue        = 0x88
	opNewFalse       = 0x89
	opLong1          = 0x8a
	opShortBinUni    = 0x8c
	opBinUnicode8    = 0x8d
	opBinBytes8      = 0x8e
	opStackGlobal    = 0x93
	opMemoize        = 0x94
	opFrame          = 0x95
)

// step carries out one operation. done says that it was the last.
func (u *unpickler) step() (done bool, err error) {
	code, err := u.take(1)
	if err != nil {
		return false, err
	}
	switch op := code[0]; op {
	case opStop:
		return true, nil
	case opProto:
		var version uint64
		if version, err = u.number(1); err == nil && version > 4 {
			err = fmt.Errorf("protocol %d; protocols 2 to 4 are read", version)
		}
	case opFrame:
		_, err = u.number(8) // how much a reader should fetch at a time
	case opMark:
		u.push(pickleMark{})
	case opPop:
		_, err = u.pop()
	case opPopMark:
		_, err = u.popMark()
	case opNone:
		u.push(nil)
	case opNewTrue, opNewFalse:
		u.push(op == opNewTrue)
	case opBinInt:
		var v uint64
		v, err = u.number(4)
		u.push(int64(int32(v)))
	case opBinInt1:
		err = u.integer(1)
	case opBinInt2:
		err = u.integer(2)
	case opLong1:
		err = u.long()
	case opShortBinString, opShortBinBytes, opShortBinUni:
		err = u.text(1)
	case opBinString, opBinBytes, opBinUnicode:
		err = u.text(4)
	case opBinBytes8, opBinUnicode8:
		err = u.text(8)
	case opEmptyDict:
		u.push(&pickleDict{entries: map[string]any{}})
	case opEmptyList:
		u.push(&pickleList{})
	case opEmptyTuple:
		u.push(pickleTuple{})
	case opTuple1, opTuple2, opTuple3:
		err = u.tuple(int(op-opTuple1) + 1)
	case opTuple:
		var items []any
		items, err = u.popMark()
		u.push(pickleTuple(items))
	case opAppend:
		var item any
		if item, err = u.pop(); err == nil {
			err = u.extend([]any{item})
		}
	case opAppends:
		var items []any
		if items, err = u.popMark(); err == nil {
			err = u.extend(items)
		}
	case opSetItem:
		var value, key any
		if value, err = u.pop(); err == nil {
			if key, err = u.pop(); err == nil {
				err = u.set([]any{key, value})
			}
		}
	case opSetItems:
		var items []any
		if items, err = u.popMark(); err == nil {
			err = u.set(items)
		}
	case opBinPut:
		err = u.put(1)
	case opLongBinPut:
		err = u.put(4)
	case opMemoize:
		err = u.keep(uint32(len(u.memo)))
	case opBinGet:
		err = u.get(1)
	case opLongBinGet:
		err = u.get(4)
	case opGlobal:
		err = u.global()
	case opStackGlobal:
		err = u.stackGlobal()
	case opReduce:
		err = u.reduce()
	case opBuild:
		err = u.build()
	default:
		err = fmt.Errorf("operation 0x%02x (%q) is none that a file of images needs", op, op)
	}
	return false, err
}

// take returns the next n bytes.
func (u *unpickler) take(n uint64) ([]byte, error) {
	if left := uint64(len(u.data) - u.at); n > left {
		if left == 0 {
			return nil, fmt.Errorf("truncated: ends without the mark of the end")
		}
		return nil, fmt.Errorf("truncated: %d bytes are declared, %d are left", n, left)
	}
	b := u.data[u.at : u.at+int(n)]
	u.at += int(n)
	return b, nil
}

// number reads an unsigned little-endian number of the given size.
func (u *unpickler) number(size int) (uint64, error) {
	b, err := u.take(uint64(size))
	if err != nil {
		return 0, err
	}
	var word [8]byte
	copy(word[:], b)
	return binary.LittleEndian.Uint64(word[:]), nil
}

func (u *unpickler) integer(size int) error {
	v, err := u.number(size)
	u.push(int64(v))
	return err
}

// long reads an integer of up to 8 bytes in two's complement.
func (u *unpickler) long() error {
	n, err := u.number(1)
	if err != nil {
		return err
	}
	if n > 8 {
		return fmt.Errorf("an integer of %d bytes", n)
	}
	b, err := u.take(n)
	if err != nil {
		return err
	}
	var v int64
	for k, part := range b {
		v |= int64(part) << (8 * k)
	}
	if n > 0 && n < 8 && b[n-1]&0x80 != 0 {
		v -= 1 << (8 * n)
	}
	u.push(v)
	return nil
}

// text reads a string whose length is a number of the given size.
func (u *unpickler) text(size int) error {
	n, err := u.number(size)
	if err != nil {
		return err
	}
	b, err := u.take(n)
	if err != nil {
		return err
	}
	u.push(pickleBytes(b))
	return nil
}

// pickleBytes is a string of the file, not copied: most of a file is one, the pixels.
type pickleBytes []byte

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

func (u *unpickler) pop() (any, error) {
	if len(u.stack) == 0 {
		return nil, fmt.Errorf("a value is missing")
	}
	v := u.stack[len(u.stack)-1]
	u.stack = u.stack[:len(u.stack)-1]
	return v, nil
}

// popMark takes what was pushed since the last mark.
func (u *unpickler) popMark() ([]any, error) {
	for k := len(u.stack) - 1; k >= 0; k-- {
		if _, mark := u.stack[k].(pickleMark); mark {
			items := append([]any(nil), u.stack[k+1:]...)
			u.stack = u.stack[:k]
			return items, nil
		}
	}
	return nil, fmt.Errorf("a mark is missing")
}

func (u *unpickler) tuple(n int) error {
	if len(u.stack) < n {
		return fmt.Errorf("a tuple of %d, but %d values", n, len(u.stack))
	}
	k := len(u.stack) - n
	items := append(pickleTuple(nil), u.stack[k:]...)
	u.stack = append(u.stack[:k], items)
	return nil
}

// extend appends to the list on top of the stack.
func (u *unpickler) extend(items []any) error {
	if len(u.stack) > 0 {
		if list, ok := u.stack[len(u.stack)-1].(*pickleList); ok {
			list.items = append(list.items, items...)
			return nil
		}
	}
	return fmt.Errorf("values for a list, and no list")
}

// set puts keys and values into the dictionary on top of the stack.
func (u *unpickler) set(items []any) error {
	if len(u.stack) == 0 || len(items)%2 != 0 {
		return fmt.Errorf("keys and values for a dictionary don't pair up")
	}
	dict, ok := u.stack[len(u.stack)-1].(*pickleDict)
	if !ok {
		return fmt.Errorf("values for a dictionary, and no dictionary")
	}
	for k := 0; k < len(items); k += 2 {
		key, ok := items[k].(pickleBytes)
		if !ok || len(key) > 64 {
			return fmt.Errorf("a key of a dictionary that isn't a short string")
		}
		dict.entries[string(key)] = items[k+1]
	}
	return nil
}

// put remembers the value on top of the stack under a number that follows.
func (u *unpickler) put(size int) error {
	n, err := u.number(size)
	if err != nil {
		return err
	}
	return u.keep(uint32(n))
}

func (u *unpickler) keep(n uint32) error {
	if len(u.stack) == 0 {
		return fmt.Errorf("a value is missing")
	}
	u.memo[n] = u.stack[len(u.stack)-1]
	return nil
}

func (u *unpickler) get(size int) error {
	n, err := u.number(size)
	if err != nil {
		return err
	}
	v, ok := u.memo[uint32(n)]
	if !ok {
		return fmt.Errorf("value %d was not remembered", n)
	}
	u.push(v)
	return nil
}

// The names that make up an array of bytes; numpy 2 spells the module of the first anew.
const (
	pickleReconstruct  = pickleGlobal("numpy.core.multiarray._reconstruct")
	pickleReconstruct2 = pickleGlobal("numpy._core.multiarray._reconstruct")
	pickleNDArray      = pickleGlobal("numpy.ndarray")
	pickleDtypeName    = pickleGlobal("numpy.dtype")
)

// global reads the name of a function or class: two lines, module and name.
func (u *unpickler) global() error {
	var lines [2][]byte
	for k := range lines {
		n := bytes.IndexByte(u.data[u.at:min(len(u.data), u.at+256)], '\n')
		if n < 0 {
			return fmt.Errorf("a name that doesn't end")
		}
		lines[k] = u.data[u.at : u.at+n]
		u.at += n + 1
	}
	return u.name(lines[0], lines[1])
}

func (u *unpickler) stackGlobal() error {
	name, err := u.pop()
	if err != nil {
		return err
	}
	module, err := u.pop()
	if err != nil {
		return err
	}
	m, ok := module.(pickleBytes)
	n, ok2 := name.(pickleBytes)
	if !ok || !ok2 || len(m) > 256 || len(n) > 256 {
		return fmt.Errorf("a name that isn't a string")
	}
	return u.name(m, n)
}

func (u *unpickler) name(module, name []byte) error {
	switch g := pickleGlobal(string(module) + "." + string(name)); g {
	case pickleReconstruct2:
		u.push(pickleReconstruct)
	case pickleReconstruct, pickleNDArray, pickleDtypeName:
		u.push(g)
	default:
		return fmt.Errorf("it names %q, which is refused: only arrays of bytes, lists, dictionaries, strings and integers are read", string(g))
	}
	return nil
}

// reduce makes an empty array or an element type out of a name and its arguments.
func (u *unpickler) reduce() error {
	args, err := u.pop()
	if err != nil {
		return err
	}
	function, err := u.pop()
	if err != nil {
		return err
	}
	tuple, ok := args.(pickleTuple)
	if !ok || len(tuple) == 0 {
		return fmt.Errorf("a call without arguments")
	}
	switch function {
	case pickleReconstruct:
		if tuple[0] != any(pickleNDArray) {
			return fmt.Errorf("an array that isn't a numpy.ndarray")
		}
		u.push(&pickleArray{})
		return nil
	case pickleDtypeName:
		if code, ok := tuple[0].(pickleBytes); ok && len(code) <= 16 {
			u.push(&pickleDtype{code: string(code)})
			return nil
		}
		return fmt.Errorf("an element type that isn't a short string")
	}
	return fmt.Errorf("a call of something that isn't a name")
}

// build gives an array its contents: version, dimensions, element type, whether the first dimension is fastest, data. The
// state of an element type says nothing about bytes.
func (u *unpickler) build() error {
	state, err := u.pop()
	if err != nil {
		return err
	}
	if len(u.stack) == 0 {
		return fmt.Errorf("a value is missing")
	}
	switch v := u.stack[len(u.stack)-1].(type) {
	case *pickleDtype:
		return nil
	case *pickleArray:
		parts, ok := state.(pickleTuple)
		if !ok || len(parts) != 5 {
			return fmt.Errorf("an array whose state isn't version, dimensions, type, order and data")
		}
		return v.fill(parts)
	}
	return fmt.Errorf("a state for something that is no array")
}

func (a *pickleArray) fill(state pickleTuple) error {
	dims, ok := state[1].(pickleTuple)
	dtype, ok2 := state[2].(*pickleDtype)
	fortran, ok3 := state[3].(bool)
	if !ok || !ok2 || !ok3 || len(dims) > 8 {
		return fmt.Errorf("an array whose state isn't version, dimensions, type, order and data")
	}
	if dtype.code != "u1" && dtype.code != "|u1" && dtype.code != "uint8" {
		return fmt.Errorf("an array of elements of type %q; only bytes (u1) are read", dtype.code)
	}
	data, ok := state[4].(pickleBytes)
	if !ok {
		return fmt.Errorf("an array whose data isn't a string")
	}
	size := int64(1)
	a.dims = nil
	for _, d := range dims {
		n, ok := d.(int64)
		if !ok || n < 0 || n > math.MaxInt32 {
			return fmt.Errorf("an array with the impossible dimension %v", d)
		}
		a.dims = append(a.dims, int(n))
		size = min(size*n, int64(len(data))+1) // more than there is stays more
	}
	if size != int64(len(data)) {
		return fmt.Errorf("an array of dimensions %v with %d bytes of data", a.dims, len(data))
	}
	a.fortran, a.data = fortran, data
	return nil
}
