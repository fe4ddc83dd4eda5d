package export

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Tensor is a named array of float32 values, the last axis running fastest.
type Tensor struct {
	Name string
	Dims []int
	Data []float32
}

// metadataKey is the one name that is no tensor's.
const metadataKey = "__metadata__"

// WriteSafetensors writes tensors, in their order, and metadata as a safetensors file: the length of the header as 8 bytes, the header in
// JSON, and the values as float32, all little endian. A name that occurs twice or is reserved, and a size that disagrees with the
// dimensions, is an error.
func WriteSafetensors(out io.Writer, tensors []Tensor, metadata map[string]string) error {
	type entry struct {
		Type    string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	entries := make(map[string]any, len(tensors)+1)
	if len(metadata) > 0 {
		entries[metadataKey] = metadata
	}
	var at int64
	for _, t := range tensors {
		size := 1
		for _, d := range t.Dims {
			size *= d
		}
		_, twice := entries[t.Name]
		switch {
		case t.Name == "" || t.Name == metadataKey || twice:
			return fmt.Errorf("safetensors: the name %q is empty, reserved or there already", t.Name)
		case size != len(t.Data):
			return fmt.Errorf("safetensors: the tensor %s of %v has %d values", t.Name, t.Dims, len(t.Data))
		}
		end := at + 4*int64(size)
		entries[t.Name] = entry{"F32", append([]int{}, t.Dims...), [2]int64{at, end}}
		at = end
	}
	header, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	// Values begin at a multiple of 8 bytes; the format fills with spaces.
	text := string(header) + strings.Repeat(" ", (8-len(header)%8)%8)
	w := bufio.NewWriterSize(out, 1<<16)
	if err := binary.Write(w, binary.LittleEndian, uint64(len(text))); err != nil {
		return err
	}
	w.WriteString(text)
	for _, t := range tensors {
		if err := binary.Write(w, binary.LittleEndian, t.Data); err != nil {
			return err
		}
	}
	return w.Flush()
}
