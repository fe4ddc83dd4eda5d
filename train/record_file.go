package train

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/datadropout/datadropout/durable"
)

// The file: magic, version, the digest of the final model, the number of samples (0 without dynamics) and of models, where
// the early one counts; presentations and forgetting events as uint32, whether learned as bytes 0 or 1, AUM and EL2N as
// float64; for every model its steps (all ones for the early model) and the sum of learning rates (float64), the lengths of
// both vectors and the vectors as float32; and the SHA-256 of all that. All numbers are little endian.
const (
	recordMagic   = "ddrecord"
	recordVersion = 1
	earlyStep     = math.MaxUint64
)

// Save writes the record to a file that [LoadRecord] reads, whole or not at all, as [Model.Save] does.
func (r *Record) Save(path string) error { return save(path, "record of a training", r.Encode) }

// LoadRecord reads a record that Save wrote. A file that is truncated, too long, of another kind or damaged is an error
// that names the file.
func LoadRecord(path string) (*Record, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("loading the record of a training: %w", err)
	}
	r, err := DecodeRecord(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Encode writes what the file of a record holds.
func (r *Record) Encode(out io.Writer) error {
	return durable.Seal(out, func(w io.Writer) error {
		b := append([]byte(recordMagic), 0, 0, 0, 0)
		binary.LittleEndian.PutUint32(b[len(recordMagic):], recordVersion)
		b = append(b, r.End[:]...)
		models := r.Checkpoints
		if r.Early != nil {
			models = append([]Checkpoint{{Step: -1, Model: *r.Early}}, models...)
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(len(r.Presentations)))
		b = binary.LittleEndian.AppendUint64(b, uint64(len(models)))
		for _, counts := range [][]int{r.Presentations, r.Forgotten} {
			for _, n := range counts {
				b = binary.LittleEndian.AppendUint32(b, uint32(n))
			}
		}
		for _, learned := range r.Learned {
			if learned {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		}
		for _, values := range [][]float64{r.AUM, r.EL2N} {
			for _, x := range values {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
			}
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		for _, m := range models {
			step := uint64(m.Step)
			if m.Step < 0 {
				step = earlyStep
			}
			if err := binary.Write(w, binary.LittleEndian, []uint64{step, math.Float64bits(m.Rates), uint64(len(m.Theta)), uint64(len(m.State))}); err != nil {
				return err
			}
			for _, v := range [][]float32{m.Theta, m.State} {
				if err := binary.Write(w, binary.LittleEndian, v); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// DecodeRecord reads what [Record.Encode] wrote. Anything else is an error.
func DecodeRecord(raw []byte) (*Record, error) {
	if len(raw) < len(recordMagic) || string(raw[:len(recordMagic)]) != recordMagic {
		return nil, fmt.Errorf("not a file of a training's record")
	}
	if len(raw) < len(recordMagic)+4+sha256.Size {
		return nil, fmt.Errorf("truncated record file: %d bytes are not even a header", len(raw))
	}
	if v := binary.LittleEndian.Uint32(raw[len(recordMagic):]); v != recordVersion {
		return nil, fmt.Errorf("record file of version %d; this program reads version %d", v, recordVersion)
	}
	body, ok := durable.Unseal(raw)
	if !ok {
		return nil, fmt.Errorf("damaged record file: the checksum does not match")
	}
	f := &fields{rest: body[len(recordMagic)+4:]}
	r := &Record{}
	copy(r.End[:], f.take(1, sha256.Size))
	samples, models := f.uint64(), f.uint64()
	if samples > 0 {
		r.Presentations, r.Forgotten = f.counts(samples), f.counts(samples)
		for _, b := range f.take(samples, 1) {
			f.bad = f.bad || b > 1
			r.Learned = append(r.Learned, b == 1)
		}
		r.AUM, r.EL2N = f.float64s(samples), f.float64s(samples)
	}
	for k := range models {
		step, rates, theta, state := f.uint64(), f.uint64(), f.uint64(), f.uint64()
		m := Model{Theta: f.float32s(theta), State: f.float32s(state)}
		switch {
		case f.bad:
		case k == 0 && step == earlyStep && rates == 0:
			r.Early = &m
		case step > math.MaxInt32:
			f.bad = true
		default:
			r.Checkpoints = append(r.Checkpoints, Checkpoint{Step: int(step), Rates: math.Float64frombits(rates), Model: m})
		}
		if f.bad {
			break
		}
	}
	if f.bad || len(f.rest) > 0 {
		return nil, fmt.Errorf("damaged record file: it speaks of %d samples and %d models, which its %d bytes are not", samples, models, len(raw))
	}
	return r, nil
}

// fields reads numbers one after the other. At one that is not there or out of range it turns bad and returns zeros.
type fields struct {
	rest []byte
	bad  bool
}

// take returns the next n values of the given size; nil where they are not there.
func (f *fields) take(n uint64, size int) []byte {
	if f.bad || n > uint64(len(f.rest)/size) {
		f.bad = true
		return nil
	}
	b := f.rest[:int(n)*size]
	f.rest = f.rest[len(b):]
	return b
}

func (f *fields) uint64() uint64 {
	b := f.take(1, 8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (f *fields) counts(n uint64) []int {
	b := f.take(n, 4)
	v := make([]int, len(b)/4)
	for i := range v {
		v[i] = int(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

func (f *fields) float64s(n uint64) []float64 {
	b := f.take(n, 8)
	v := make([]float64, len(b)/8)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return v
}

func (f *fields) float32s(n uint64) []float32 {
	b := f.take(n, 4)
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}
