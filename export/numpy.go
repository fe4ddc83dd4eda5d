package export

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// WriteNumPy writes the values as an .npy file of the shape [len(values)], little endian, in version 1.0 of the format
// (NumPy enhancement proposal 1). numpy.load reads it.
func WriteNumPy[T float32 | float64](out io.Writer, values []T) error {
	header := fmt.Sprintf("{'descr': '<f%d', 'fortran_order': False, 'shape': (%d,), }", binary.Size(T(0)), len(values))
	// Magic, version, length and header end, with a line feed, at a multiple of 64 bytes.
	const before = 6 + 2 + 2
	header += strings.Repeat(" ", (64-(before+len(header)+1)%64)%64) + "\n"
	w := bufio.NewWriterSize(out, 1<<16)
	w.WriteString("\x93NUMPY\x01\x00")
	if err := binary.Write(w, binary.LittleEndian, uint16(len(header))); err != nil {
		return err
	}
	w.WriteString(header)
	if err := binary.Write(w, binary.LittleEndian, values); err != nil {
		return err
	}
	return w.Flush()
}
