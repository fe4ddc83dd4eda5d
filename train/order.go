package train

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Order is the order in which a round of training visits its samples.
//
// For every epoch the seed draws one permutation of all n positions of the source, of which the order keeps those of
// the round. So rounds on different subsets share the source of their order: two samples that are in both come in the
// same sequence. The epochs follow each other without a gap in one stream that is cut into batches, so a batch may hold
// the end of one epoch and the beginning of the next.
//
// Any step can be asked for, in any sequence. An Order is not safe for concurrent use.
type Order struct {
	member []bool
	size   int
	seed   uint64
	epoch  int   // the epoch that stream holds; -1: none yet
	stream []int // the positions of that epoch
}

// NewOrder returns the order of the positions idx of a source with n samples. A position out of range or given twice is
// an error, and so are no positions at all.
func NewOrder(n int, idx []int, seed uint64) (*Order, error) {
	if len(idx) == 0 {
		return nil, fmt.Errorf("no samples to train on")
	}
	o := &Order{member: make([]bool, n), size: len(idx), seed: seed, epoch: -1, stream: make([]int, 0, len(idx))}
	for _, i := range idx {
		if i < 0 || i >= n {
			return nil, fmt.Errorf("sample position %d is outside the data set of %d samples", i, n)
		}
		if o.member[i] {
			return nil, fmt.Errorf("sample position %d is given twice", i)
		}
		o.member[i] = true
	}
	return o, nil
}

// Batch writes the positions of step t into dst, whose length is the batch size.
func (o *Order) Batch(t int, dst []int) {
	at := t * len(dst)
	for len(dst) > 0 {
		o.load(at / o.size)
		k := copy(dst, o.stream[at%o.size:])
		dst, at = dst[k:], at+k
	}
}

// Epoch returns the epoch, from 0, of the sample that comes at place k of the stream of all epochs.
func (o *Order) Epoch(k int) uint64 { return uint64(k / o.size) }

func (o *Order) load(epoch int) {
	if epoch == o.epoch {
		return
	}
	var key [32]byte
	copy(key[:], "order of samples")
	binary.LittleEndian.PutUint64(key[16:], o.seed)
	binary.LittleEndian.PutUint64(key[24:], uint64(epoch))
	o.stream = o.stream[:0]
	for _, i := range rand.New(rand.NewChaCha8(key)).Perm(len(o.member)) {
		if o.member[i] {
			o.stream = append(o.stream, i)
		}
	}
	o.epoch = epoch
}
