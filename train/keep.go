package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
)

// Scratch keeps blobs by name while work goes on, and gives them to whoever continues it.
type Scratch interface {
	// Load returns what was saved last under a name of lower-case letters; ok is false where there is nothing.
	Load(name string) (blob []byte, ok bool, err error)
	// Save replaces what is saved under the name, wholly or not at all. The blob is the caller's again when it returns.
	Save(name string, blob []byte) error
}

// Keep says where a training keeps how far it is, so that one that was interrupted continues from there, to the same bits.
type Keep struct {
	// Scratch is the place; nil means nowhere. It must be that of this training: of the source only the positions are compared.
	Scratch Scratch
	// Every is the time after which the training is kept again: what a kill may cost. 0 means only where ctx ends it.
	Every time.Duration
	// End keeps the training at its end as well, where nobody else keeps the model before work goes on.
	End bool
}

// Trained is a finished training.
type Trained struct {
	Model *Model
	// Record is what was recorded; nil if nothing was asked for.
	Record *Record
	// Curve holds the mean loss over the steps of every epoch, each taken before its update.
	Curve []float64
	// Seconds is the time that the steps took, those of interrupted runs included.
	Seconds float64
}

// TrainKept is [Engine.TrainRecorded] that keeps on the way how far it is, parameters, momentum, running statistics and record,
// and continues from there. Cancelling ctx stops between two steps, keeps where that is and returns ctx's error.
func (e *Engine) TrainKept(ctx context.Context, src dataset.Source, idx []int, r Recipe, seed uint64, rec Recording, keep Keep,
	progress func(Progress)) (*Trained, error) {
	return e.train(ctx, src, idx, nil, r, seed, rec, keep, progress)
}

// keptTraining is the name that a Scratch knows a training by.
const keptTraining = "training"

// keeper keeps a round between two steps. Its methods do nothing without a scratch.
type keeper struct {
	keep     Keep
	key      [sha256.Size]byte
	round    *round
	recorder *recorder
	began    time.Time // of this run of it
	before   float64   // seconds of earlier ones
	last     time.Time
	step     int // where it was kept last
}

func newKeeper(keep Keep, run *round, recorder *recorder, rec Recording, idx []int, weights []float32) *keeper {
	k := &keeper{keep: keep, round: run, recorder: recorder, began: time.Now(), last: time.Now()}
	if keep.Scratch == nil {
		return k
	}
	k.key = run.identity(rec, idx, weights)
	return k
}

// seconds is the time taken so far.
func (k *keeper) seconds() float64 { return k.before + time.Since(k.began).Seconds() }

// due says whether the time has come to keep where the training stands after t steps.
func (k *keeper) due(t int) bool {
	return k.keep.Scratch != nil && k.keep.Every > 0 && t > k.step && time.Since(k.last) >= k.keep.Every
}

// The blob: magic, version, the key, the steps done, the seconds taken, the sum and the number of the losses of the epoch, the curve of
// the epochs before, parameters, momentum and state, each with their length; the record, as its file has it, or none;
// the early presentations and whether each sample was correct at its last one; and the SHA-256 of all that. All numbers
// are little endian.
const (
	keptMagic   = "ddtrain\n"
	keptVersion = 1
)

// save keeps where the training stands after t steps.
func (k *keeper) save(t int, losses *epochLoss) error {
	if k.keep.Scratch == nil || t == k.step {
		return nil
	}
	b := append([]byte(keptMagic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[len(keptMagic):], keptVersion)
	b = append(b, k.key[:]...)
	number := func(v uint64) { b = binary.LittleEndian.AppendUint64(b, v) }
	number(uint64(t))
	number(math.Float64bits(k.seconds()))
	number(math.Float64bits(losses.sum))
	number(uint64(losses.count))
	number(uint64(len(losses.curve)))
	for _, x := range losses.curve {
		number(math.Float64bits(x))
	}
	b, err := k.round.appendPoint(b)
	if err != nil {
		return err
	}
	var record bytes.Buffer
	if c := k.recorder; c.record != nil {
		if err := c.record.Encode(&record); err != nil {
			return err
		}
	}
	number(uint64(record.Len()))
	b = append(b, record.Bytes()...)
	number(uint64(len(k.recorder.earlySeen)))
	for _, n := range k.recorder.earlySeen {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	for _, correct := range k.recorder.correct {
		b = append(b, map[bool]byte{true: 1}[correct])
	}
	sum := sha256.Sum256(b)
	if err := k.keep.Scratch.Save(keptTraining, append(b, sum[:]...)); err != nil {
		return fmt.Errorf("keeping how far the training is: %w", err)
	}
	k.step, k.last = t, time.Now()
	return nil
}

// resume puts the training where it was kept, and returns the steps done; 0 where nothing is kept of this training.
func (k *keeper) resume(losses *epochLoss) (int, error) {
	if k.keep.Scratch == nil {
		return 0, nil
	}
	blob, ok, err := k.keep.Scratch.Load(keptTraining)
	if err != nil {
		return 0, fmt.Errorf("reading how far the training was: %w", err)
	}
	if !ok {
		return 0, nil
	}
	body, ok := durable.Unseal(blob)
	f := &fields{rest: body}
	if head := f.take(uint64(len(keptMagic)+4+sha256.Size), 1); !ok || head == nil || string(head[:len(keptMagic)]) != keptMagic ||
		binary.LittleEndian.Uint32(head[len(keptMagic):]) != keptVersion || !bytes.Equal(head[len(keptMagic)+4:], k.key[:]) {
		return 0, nil // of another training, or damaged: this one begins again
	}
	step, seconds := f.uint64(), math.Float64frombits(f.uint64())
	l := epochLoss{sum: math.Float64frombits(f.uint64()), count: int(f.uint64())}
	l.curve = f.float64s(f.uint64())
	p := k.round.takePoint(f)
	raw := f.take(f.uint64(), 1)
	seen := f.uint64()
	earlySeen, correct := f.counts(seen), f.take(seen, 1)
	c := k.recorder
	if f.bad || len(f.rest) > 0 || p == nil || step > uint64(k.round.steps) ||
		(len(raw) > 0) != (c.record != nil) || len(earlySeen) != len(c.earlySeen) {
		return 0, nil
	}
	if c.record != nil {
		record, err := DecodeRecord(raw)
		if err != nil || len(record.Presentations) != len(c.record.Presentations) {
			return 0, nil //nolint:nilerr // as above
		}
		c.record = record
		copy(c.earlySeen, earlySeen)
		for i, b := range correct {
			c.correct[i] = b == 1
		}
	}
	k.round.load(*p)
	*losses, k.before, k.step = l, seconds, int(step)
	return int(step), nil
}

// epochLoss is the mean loss of the current epoch, sum/count, and those of all epochs so far, the current one included.
type epochLoss struct {
	sum   float64
	count int
	curve []float64
}

// add takes in the loss of a step in an epoch that counts from 1, and returns the mean of the epoch so far.
func (l *epochLoss) add(epoch int, loss float64) float64 {
	if len(l.curve) < epoch { // by one: a batch holds no more samples than an epoch
		l.sum, l.count, l.curve = 0, 0, append(l.curve, 0)
	}
	l.sum, l.count = l.sum+loss, l.count+1
	l.curve[epoch-1] = l.sum / float64(l.count)
	return l.curve[epoch-1]
}
