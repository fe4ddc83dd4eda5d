package train

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/net"
)

// Model is what training ends with: the parameters and, for a network with batch norm, its running statistics, as flat
// vectors in the order of the network's Params and State.
type Model struct {
	Theta, State []float32
}

// Fits says whether the model's vectors have the sizes of the network's.
func (m *Model) Fits(n *net.Network) error {
	if len(m.Theta) != n.Size() || len(m.State) != n.StateSize() {
		return fmt.Errorf("a model of %d parameters and %d state values is not one of %s, which has %d and %d",
			len(m.Theta), len(m.State), n.Name, n.Size(), n.StateSize())
	}
	return nil
}

// Digest identifies the model by its bits: the SHA-256 of its parameters and state as its file holds them.
func (m *Model) Digest() [sha256.Size]byte {
	h := sha256.New()
	// Writing into a hash does not fail.
	_ = m.encodeValues(h)
	return [sha256.Size]byte(h.Sum(nil))
}

func (m *Model) finite() bool {
	for _, v := range [][]float32{m.Theta, m.State} {
		for _, x := range v {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return false
			}
		}
	}
	return true
}

// The file: magic, version, the lengths of both vectors, the vectors as float32, and the SHA-256 of all that; all
// numbers little endian.
const (
	modelMagic   = "ddmodel\n"
	modelVersion = 1
	headerSize   = len(modelMagic) + 4 + 8 + 8
)

// Save writes the model to a file that [LoadModel] reads, whole or not at all; see [durable.Write].
func (m *Model) Save(path string) error { return save(path, "model", m.Encode) }

func save(path, kind string, encode func(io.Writer) error) error {
	if _, err := durable.Write(path, encode); err != nil {
		return fmt.Errorf("saving a %s: %w", kind, err)
	}
	return nil
}

// LoadModel reads a model that Save wrote. A file that is truncated, too long, of another kind or damaged is an error
// that names the file.
func LoadModel(path string) (*Model, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("loading a model: %w", err)
	}
	m, err := DecodeModel(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Encode writes what the file of a model holds.
func (m *Model) Encode(out io.Writer) error { return durable.Seal(out, m.encodeValues) }

func (m *Model) encodeValues(w io.Writer) error {
	header := []byte(modelMagic)
	header = binary.LittleEndian.AppendUint32(header, modelVersion)
	header = binary.LittleEndian.AppendUint64(header, uint64(len(m.Theta)))
	header = binary.LittleEndian.AppendUint64(header, uint64(len(m.State)))
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, v := range [][]float32{m.Theta, m.State} {
		if err := binary.Write(w, binary.LittleEndian, v); err != nil {
			return err
		}
	}
	return nil
}

// DecodeModel reads what [Model.Encode] wrote. Anything else is an error.
func DecodeModel(raw []byte) (*Model, error) {
	if len(raw) < len(modelMagic) || string(raw[:len(modelMagic)]) != modelMagic {
		return nil, fmt.Errorf("not a model file")
	}
	if len(raw) < headerSize+sha256.Size {
		return nil, fmt.Errorf("truncated model file: %d bytes are not even a header", len(raw))
	}
	header := raw[len(modelMagic):]
	if v := binary.LittleEndian.Uint32(header); v != modelVersion {
		return nil, fmt.Errorf("model file of version %d; this program reads version %d", v, modelVersion)
	}
	theta, state := binary.LittleEndian.Uint64(header[4:]), binary.LittleEndian.Uint64(header[12:])
	body := raw[headerSize : len(raw)-sha256.Size]
	if values := uint64(len(body)) / 4; theta > values || state > values || 4*(theta+state) != uint64(len(body)) {
		return nil, fmt.Errorf("damaged model file: the header speaks of %d parameters and %d state values, but %d bytes of values are there",
			theta, state, len(body))
	}
	if _, ok := durable.Unseal(raw); !ok {
		return nil, fmt.Errorf("damaged model file: the checksum does not match")
	}
	m := &Model{Theta: make([]float32, theta), State: make([]float32, state)}
	for i := range m.Theta {
		m.Theta[i] = math.Float32frombits(binary.LittleEndian.Uint32(body[4*i:]))
	}
	for i := range m.State {
		m.State[i] = math.Float32frombits(binary.LittleEndian.Uint32(body[4*(len(m.Theta)+i):]))
	}
	return m, nil
}
