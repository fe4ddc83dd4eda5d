package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/durable"
)

// ladder keeps points of a training that is carried out to be gone through backwards, its rungs, in the order of their steps: whoever
// continues begins at the last one that lies before what is left, and goes back from each to the one below. Its methods do nothing
// without a scratch.
type ladder struct {
	keep  Keep
	key   [sha256.Size]byte
	last  time.Time
	steps []int // of the rungs, ascending
}

// newLadder finds the rungs that were kept of this training below the given step. What is of another training, or damaged, ends the ladder.
func newLadder(keep Keep, run *round, idx []int, below int) (*ladder, error) {
	l := &ladder{keep: keep, last: time.Now()}
	if keep.Scratch == nil {
		return l, nil
	}
	l.key = run.identity(Recording{}, idx, nil)
	for {
		p, err := l.load(len(l.steps), run)
		if err != nil {
			return nil, err
		}
		if p == nil || p.step >= below || p.step <= l.top() {
			return l, nil
		}
		l.steps = append(l.steps, p.step)
	}
}

// top is the step of the last rung; 0 without any.
func (l *ladder) top() int {
	if len(l.steps) == 0 {
		return 0
	}
	return l.steps[len(l.steps)-1]
}

// due says whether the time has come for a rung at step t.
func (l *ladder) due(t int) bool {
	return l.keep.Scratch != nil && l.keep.Every > 0 && t > l.top() && time.Since(l.last) >= l.keep.Every
}

func rungName(k int) string { return fmt.Sprintf("rung%d", k) }

// The blob: magic, version, the key, the step, parameters, momentum and state, each with their length, and the SHA-256 of all that.
// All numbers are little endian.
const (
	rungMagic   = "ddrung\n\x00"
	rungVersion = 1
)

// save makes a rung of where the training stands after t steps, unless there is one.
func (l *ladder) save(t int, run *round) error {
	if l.keep.Scratch == nil || t <= l.top() {
		return nil
	}
	b := append([]byte(rungMagic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[len(rungMagic):], rungVersion)
	b = append(b, l.key[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(t))
	b, err := run.appendPoint(b)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	if err := l.keep.Scratch.Save(rungName(len(l.steps)), append(b, sum[:]...)); err != nil {
		return fmt.Errorf("keeping how far the training is: %w", err)
	}
	l.steps, l.last = append(l.steps, t), time.Now()
	return nil
}

// load reads the rung of number k; nil where there is none of this training.
func (l *ladder) load(k int, run *round) (*point, error) {
	blob, ok, err := l.keep.Scratch.Load(rungName(k))
	if err != nil {
		return nil, fmt.Errorf("reading how far the training was: %w", err)
	}
	if !ok {
		return nil, nil
	}
	body, ok := durable.Unseal(blob)
	f := &fields{rest: body}
	if head := f.take(uint64(len(rungMagic)+4+sha256.Size), 1); !ok || head == nil || string(head[:len(rungMagic)]) != rungMagic ||
		binary.LittleEndian.Uint32(head[len(rungMagic):]) != rungVersion || !bytes.Equal(head[len(rungMagic)+4:], l.key[:]) {
		return nil, nil
	}
	step := f.uint64()
	p := run.takePoint(f)
	if f.bad || len(f.rest) > 0 || p == nil || step > uint64(run.steps) {
		return nil, nil
	}
	p.step = int(step)
	return p, nil
}

// identity is the hash of everything that a training depends on to the last bit, and of what is recorded of it, but for the contents of the
// samples.
func (r *round) identity(rec Recording, idx []int, weights []float32) (key [sha256.Size]byte) {
	h := sha256.New()
	n := r.engine.net
	recipe, _ := json.Marshal(r.recipe) // a recipe that was validated has no number that JSON lacks
	fmt.Fprintf(h, "%s\n%s\n%d\n%d\n%s\n%s\n%+v\n%d\n%d\n%v\n%v\n", r.engine.backend.Name(), n.Name, n.Size(), n.StateSize(), r.engine.loss.Name(),
		recipe, rec, r.seed, r.steps, idx, weights)
	if r.resident != nil { // by another program, that rounds in another way
		fmt.Fprintln(h, "resident")
	}
	if n.IsBFloat16() {
		fmt.Fprintln(h, "bfloat16")
	}
	h.Sum(key[:0])
	return key
}

// appendPoint appends parameters, momentum and state as they stand, each with their length.
func (r *round) appendPoint(b []byte) ([]byte, error) {
	for _, v := range []*tensors.Tensor{r.theta, r.momentum, r.state} {
		if v == nil {
			b = binary.LittleEndian.AppendUint64(b, 0)
			continue
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(v.Size()))
		if err := tensors.ConstFlatData(v, func(flat []float32) {
			for _, x := range flat {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
			}
		}); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// takePoint reads what appendPoint appended; nil where it is of another network.
func (r *round) takePoint(f *fields) *point {
	p := &point{theta: f.float32s(f.uint64()), momentum: f.float32s(f.uint64()), state: f.float32s(f.uint64())}
	if n := r.engine.net; len(p.theta) != n.Size() || len(p.momentum) != n.Size() || len(p.state) != n.StateSize() {
		return nil
	}
	return p
}
