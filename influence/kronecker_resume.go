package influence

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"gonum.org/v1/gonum/mat"
)

const (
	// kroneckerBlob is the name that a problem's Scratch knows the factors by.
	kroneckerBlob = "kronecker"
	// keepEvery is the number of samples after which sums are kept, rounded up to whole batches: seconds apart for a network
	// that takes long, and rarely enough that writing them costs little.
	keepEvery = 1024
)

// Stages of the computation.
const (
	stageFactors = iota // the sums of the factors
	stageMoments        // the eigenvectors and the sums for Lambda
)

// stream evaluates a graph over those of the positions that the sums of the stage lack, and hands add the sums of every batch. It
// keeps them every so many samples, and where ctx ends it.
func (k *kronecker) stream(ctx context.Context, name string, graph func([]*Node) []*Node, positions []int, add func(sums []float32)) error {
	size := k.fisher.batch.Size()
	every := (k.every + size - 1) / size * size
	keeper := k.fisher.problem.keeper
	keeper.hold(&piece{name: kroneckerBlob, key: k.key, state: k.sums}) // where that many samples take long
	defer keeper.drop(kroneckerBlob)
	for k.at < len(positions) {
		from := k.at
		end := min(len(positions), (k.at/every+1)*every)
		err := k.fisher.each(ctx, name, graph, positions[from:end], func(_, n int, sums []float32) {
			add(sums)
			k.at += n
		})
		if err != nil && (ctx.Err() == nil || k.at == from) {
			return err
		}
		if err := errors.Join(err, k.keep()); err != nil {
			return err
		}
	}
	return nil
}

// keep saves where the computation stands, if there is a scratch for it.
func (k *kronecker) keep() error {
	scratch := k.fisher.problem.Scratch
	if scratch == nil {
		return nil
	}
	stage, at, values := k.sums()
	if err := scratch.Save(kroneckerBlob, encodeKept(k.key, uint64(stage), uint64(at), values...)); err != nil {
		return fmt.Errorf("influence: keeping the Kronecker factors: %w", err)
	}
	return nil
}

// sums is where the computation stands.
func (k *kronecker) sums() (stage, at int, values [][]float64) {
	for _, b := range k.bases() {
		for j := range b.spans {
			if k.stage == stageFactors {
				values = append(values, b.factor[j])
			} else {
				values = append(values, b.vectors[j].RawMatrix().Data) // a matrix that VectorsTo made has no gaps
			}
		}
	}
	if k.stage == stageMoments {
		for _, l := range k.layers {
			values = append(values, l.moments)
		}
	}
	return k.stage, k.at, values
}

// values is the number of values that the stage keeps.
func (k *kronecker) values() int {
	n := 0
	for _, b := range k.bases() {
		for _, s := range b.spans {
			n += (s[1] - s[0]) * (s[1] - s[0])
		}
	}
	if k.stage == stageMoments {
		for _, l := range k.layers {
			n += len(l.moments)
		}
	}
	return n
}

// resume continues from what the problem's scratch holds of this very computation. What it holds of another, or damaged, is left,
// and told of in note.
func (k *kronecker) resume(positions []int) error {
	scratch := k.fisher.problem.Scratch
	if scratch == nil {
		return nil
	}
	k.key = k.identity(positions)
	blob, ok, err := scratch.Load(kroneckerBlob)
	if err != nil {
		return fmt.Errorf("influence: reading the Kronecker factors that were kept: %w", err)
	}
	if !ok {
		return nil
	}
	s, err := decodeKept(blob, k.key)
	if err == nil {
		err = k.restore(s, len(positions))
	}
	if err != nil {
		k.note = fmt.Sprintf("Kronecker factors that were kept are not used: %v", err)
		return nil
	}
	done := k.at
	if k.stage == stageMoments {
		done += len(positions)
	}
	if k.fisher.tick != nil {
		k.fisher.tick(done)
	}
	return nil
}

// restore puts the computation where s stands.
func (k *kronecker) restore(s kept, samples int) error {
	if s.stage > stageMoments || s.at > uint64(samples) || int(s.at) < samples && int(s.at)%k.fisher.batch.Size() != 0 {
		return fmt.Errorf("they speak of stage %d at sample %d", s.stage, s.at)
	}
	k.stage = int(s.stage)
	if want := k.values(); len(s.values) != want {
		k.stage = stageFactors
		return fmt.Errorf("they hold %d values and not %d", len(s.values), want)
	}
	k.at = int(s.at)
	rest := s.values
	take := func(n int) []float64 {
		v := rest[:n:n]
		rest = rest[n:]
		return v
	}
	for _, b := range k.bases() {
		for j, span := range b.spans {
			n := span[1] - span[0]
			if k.stage == stageFactors {
				b.factor[j] = take(n * n)
			} else {
				b.factor[j], b.vectors[j] = nil, mat.NewDense(n, n, take(n*n))
			}
		}
	}
	if k.stage == stageMoments {
		for _, l := range k.layers {
			l.moments = take(len(l.moments))
		}
	}
	return nil
}

// identity is the hash of everything that the sums depend on to the last bit, but for the contents of the samples: the
// problem's source must give them as before.
func (k *kronecker) identity(positions []int) (key [sha256.Size]byte) {
	p := k.fisher.problem
	h := sha256.New()
	model := p.Model.Digest()
	fmt.Fprintf(h, "%s\n%s\n%s\n%x\n", p.Backend.Name(), p.Net.Name, p.Loss.Name(), model)
	for _, n := range []int{p.Source.Len(), k.fisher.batch.Size(), k.block, len(positions)} {
		_ = binary.Write(h, binary.LittleEndian, uint64(n)) // a hash takes everything
	}
	_ = binary.Write(h, binary.LittleEndian, p.Seed)
	for _, i := range positions {
		fmt.Fprintf(h, "%d %q\n", i, p.Source.ID(i))
	}
	h.Sum(key[:0])
	return key
}
