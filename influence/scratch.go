package influence

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Scratch keeps what an estimator has in hand, so that one that was interrupted continues from there, to the same bits. It
// need not check what it holds: whatever is kept is sealed, and says what it belongs to.
type Scratch interface {
	// Load returns what was saved last under a name of lower-case letters and digits; ok is false where there is nothing.
	Load(name string) (blob []byte, ok bool, err error)
	// Save replaces what is saved under the name, wholly or not at all. The blob is the caller's again when it returns.
	Save(name string, blob []byte) error
}

// kept is where a computation over samples stands: how many of them the stage is through, and its sums.
type kept struct {
	stage, at uint64
	values    []float64
}

// The blob: magic, version, the key of the computation, stage, at and values, all little endian, and the SHA-256 of all that.
const (
	keptMagic   = "ddsums\x00\x00"
	keptVersion = 1
	keptHeader  = len(keptMagic) + 4 + sha256.Size + 16
)

// errForeign says that a blob was kept by another computation.
var errForeign = errors.New("it belongs to another computation")

// encodeKept encodes what is kept for the key, its values in parts.
func encodeKept(key [sha256.Size]byte, stage, at uint64, values ...[]float64) []byte {
	b := make([]byte, 0, keptHeader+8*total(values)+sha256.Size)
	b = append(b, keptMagic...)
	b = binary.LittleEndian.AppendUint32(b, keptVersion)
	b = append(b, key[:]...)
	b = binary.LittleEndian.AppendUint64(b, stage)
	b = binary.LittleEndian.AppendUint64(b, at)
	for _, part := range values {
		for _, x := range part {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeKept reads what encodeKept wrote for the key. A blob of another key is errForeign, any other mistake another error.
func decodeKept(b []byte, key [sha256.Size]byte) (kept, error) {
	if len(b) < keptHeader+sha256.Size || string(b[:len(keptMagic)]) != keptMagic {
		return kept{}, fmt.Errorf("its %d bytes are not what a computation keeps", len(b))
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(want[:], sum) {
		return kept{}, errors.New("its checksum does not match")
	}
	body = body[len(keptMagic):]
	if v := binary.LittleEndian.Uint32(body); v != keptVersion || !bytes.Equal(body[4:][:sha256.Size], key[:]) {
		return kept{}, errForeign
	}
	body = body[4+sha256.Size:]
	s := kept{stage: binary.LittleEndian.Uint64(body), at: binary.LittleEndian.Uint64(body[8:])}
	if body = body[16:]; len(body)%8 != 0 {
		return kept{}, fmt.Errorf("%d bytes of numbers are no whole number of them", len(body))
	}
	s.values = make([]float64, len(body)/8)
	for i := range s.values {
		s.values[i] = math.Float64frombits(binary.LittleEndian.Uint64(body[8*i:]))
	}
	return s, nil
}
