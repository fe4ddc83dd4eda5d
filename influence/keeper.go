package influence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"
	"strings"
	"time"
)

// resumable is an estimator that keeps in the problem's Scratch how far it is.
type resumable struct {
	Estimator
	options Options
}

// Score implements Estimator.
func (e resumable) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	if p.Scratch == nil || p.validate() != nil { // what is wrong with it is for the estimator to say
		return e.Estimator.Score(ctx, p, progress)
	}
	k := newKeeper(p, e.Name(), e.options)
	kept := *p
	kept.keeper = k
	scores, err := e.Estimator.Score(ctx, &kept, progress)
	if err != nil {
		if ctx.Err() != nil { // somewhere else than between two batches
			err = cmp.Or(k.interrupt(), err)
		}
		return nil, err
	}
	if len(k.notes) > 0 {
		scores.Solver.Message = strings.TrimPrefix(scores.Solver.Message+"; "+strings.Join(k.notes, "; "), "; ")
	}
	return scores, nil
}

// keeper keeps how far an estimation is, in pieces. Its methods do nothing where it is nil.
//
// Every piece is a function of the key, of its own and of how far it is, and of nothing else: so pieces that were saved at different moments
// go together, whatever a kill has left of them.
type keeper struct {
	scratch Scratch
	every   time.Duration
	key     [sha256.Size]byte
	last    time.Time
	pieces  []*piece // that have changed since they were saved, or go on changing
	notes   []string // on what was found and is not used
	// interrupted says that all was saved because the estimation ends.
	interrupted bool
}

// piece is a part of an estimation that is kept under a name.
type piece struct {
	name string
	key  [sha256.Size]byte
	// state returns how far the piece is. The values are read before anything else happens.
	state func() (stage, at int, values [][]float64)
	// final says that the piece does not change any more: it is saved once, and what state returns must stay as it is until then.
	final bool
}

// newKeeper returns the keeper of a valid problem with a scratch. The key is the hash of everything that the scores depend on to the last bit,
// but for the contents of the samples: the problem's source must give them as before.
func newKeeper(p *Problem, estimator string, o Options) *keeper {
	h := sha256.New()
	o.Memory, o.Disk = 0, 0
	options, _ := json.Marshal(o) // options and a recipe that were validated have no number that JSON lacks
	recipe, _ := json.Marshal(p.Recipe)
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n%s\n%s\n%x\n", estimator, options, p.Backend.Name(), p.Net.Name, p.Loss.Name(), recipe, p.Model.Digest())
	fmt.Fprintf(h, "%d %d %d %d %d\n", p.TrainSeed, p.Seed, p.Folds, p.batchSize(), p.Source.Len())
	if p.scoreGroups() != nil {
		fmt.Fprintln(h, "folds of groups")
	}
	if p.Net.IsBFloat16() {
		fmt.Fprintln(h, "bfloat16")
	}
	for _, split := range [][]int{p.Train, p.Score} {
		fmt.Fprintln(h, len(split))
		for _, i := range split {
			fmt.Fprintf(h, "%d %q\n", i, p.Source.ID(i))
		}
	}
	return &keeper{scratch: p.Scratch, every: p.KeepEvery, key: [sha256.Size]byte(h.Sum(nil)), last: time.Now()}
}

// of is the key of a piece that is made of what write writes, and of the problem.
func (k *keeper) of(write func(h hash.Hash)) (key [sha256.Size]byte) {
	if k == nil {
		return key
	}
	h := sha256.New()
	h.Write(k.key[:])
	write(h)
	return [sha256.Size]byte(h.Sum(nil))
}

// hashVectors writes vectors into a hash, to the last bit.
func hashVectors(h hash.Hash, vectors [][]float64) {
	buffer := make([]byte, 0, 1<<13)
	for _, v := range vectors {
		for part := range slices.Chunk(v, 1<<10) {
			buffer = buffer[:0]
			for _, x := range part {
				buffer = binary.LittleEndian.AppendUint64(buffer, math.Float64bits(x))
			}
			h.Write(buffer)
		}
	}
}

// resume is find, and keeps the piece from now on.
func (k *keeper) resume(p *piece, take func(stage, at int, values []float64) error) error {
	k.hold(p)
	return k.find(p, take)
}

// find looks for what was saved of the piece and hands it to take. What take returns an error for is not used, nor what is damaged, and a note
// says so; what is of another computation is left without a word.
func (k *keeper) find(p *piece, take func(stage, at int, values []float64) error) error {
	if k == nil {
		return nil
	}
	blob, ok, err := k.scratch.Load(p.name)
	if err != nil {
		return fmt.Errorf("influence: reading how far the scores were: %w", err)
	}
	if !ok {
		return nil
	}
	s, err := decodeKept(blob, p.key)
	if errors.Is(err, errForeign) {
		return nil
	}
	if err == nil && (s.stage > math.MaxInt32 || s.at > math.MaxInt32) {
		err = fmt.Errorf("it speaks of stage %d at %d", s.stage, s.at)
	}
	if err == nil {
		err = take(int(s.stage), int(s.at), s.values)
	}
	if err != nil {
		k.notes = append(k.notes, fmt.Sprintf("what was kept of the %s is not used: %v", p.name, err))
	}
	return nil
}

// result returns n values that are computed once, and found says that they were kept. They must stay as they are.
func (k *keeper) result(name string, key [sha256.Size]byte, n int, compute func() ([]float64, error)) (values []float64, found bool, err error) {
	p := &piece{name: name, key: key, final: true, state: func() (int, int, [][]float64) { return 0, n, [][]float64{values} }}
	err = k.find(p, func(_, _ int, kept []float64) error {
		if found = len(kept) == n; !found {
			return fmt.Errorf("it holds %d values", len(kept))
		}
		values = kept
		return nil
	})
	if err != nil || found {
		return values, found, err
	}
	if values, err = compute(); err == nil {
		k.hold(p)
	}
	return values, false, err
}

// hold keeps the piece from now on, in the place of another of its name.
func (k *keeper) hold(p *piece) {
	if k == nil {
		return
	}
	k.drop(p.name)
	k.pieces = append(k.pieces, p)
}

// drop keeps the piece no longer. What was saved of it stays.
func (k *keeper) drop(name string) {
	if k != nil {
		k.pieces = slices.DeleteFunc(k.pieces, func(p *piece) bool { return p.name == name })
	}
}

// due says whether the time has come to save.
func (k *keeper) due() bool {
	return k != nil && k.every > 0 && time.Since(k.last) >= k.every
}

// save saves all that has changed.
func (k *keeper) save() error {
	if k == nil {
		return nil
	}
	for _, p := range k.pieces {
		stage, at, values := p.state()
		if err := k.scratch.Save(p.name, encodeKept(p.key, uint64(stage), uint64(at), values...)); err != nil {
			return fmt.Errorf("influence: keeping how far the scores are: %w", err)
		}
	}
	k.pieces = slices.DeleteFunc(k.pieces, func(p *piece) bool { return p.final })
	k.last = time.Now()
	return nil
}

// interrupt saves all that has changed, once, where an estimation ends before its time.
func (k *keeper) interrupt() error {
	if k == nil || k.interrupted {
		return nil
	}
	k.interrupted = true
	return k.save()
}

// Names of pieces.
const (
	passPiece       = "pass"       // the pass over samples that goes on
	targetsPiece    = "targets"    // the gradients of the target
	diagonalPiece   = "diagonal"   // that of the curvature
	systemsPiece    = "systems"    // of conjugate gradients
	krylovPiece     = "krylov"     // a vector of a Krylov space, with its number
	recursionPiece  = "recursion"  // of lissa
	effectsPiece    = "effects"    // the removal effects so far
	normsPiece      = "norms"      // of the gradients
	residualPiece   = "residual"   // of what was solved
	sweepPiece      = "sweep"      // the way back through a training
	smoothnessPiece = "smoothness" // the changes that the check of smoothness found
)

// pass is a pass over samples that fills values, by adding to them or in places that it has not filled before, and is kept between two batches.
type pass struct {
	keeper *keeper
	// made writes what the pass is made of, beside the problem, into a hash; it is asked only where the pass is kept.
	made func(h hash.Hash)
	// positions go through each in batches of size, from the first that is not done: each calls use for every batch with the number of
	// samples that lie before it in what it was given.
	positions []int
	size      int
	each      func(positions []int, use func(at, n int, result []float32)) error
	values    [][]float64
	tick      func(samples int)
}

// run goes through what is left, and hands use every batch with the number of the samples before it in all positions.
func (p *pass) run(use func(at, n int, result []float32)) error {
	done := 0
	if p.keeper != nil && len(p.positions) > p.size { // a single batch has no middle
		err := p.keeper.resume(&piece{name: passPiece, key: p.keeper.of(p.made), state: func() (int, int, [][]float64) { return 0, done, p.values }},
			func(_, at int, values []float64) error {
				if at > len(p.positions) || at < len(p.positions) && at%p.size != 0 || len(values) != total(p.values) {
					return fmt.Errorf("it holds %d values at sample %d", len(values), at)
				}
				unflatten(p.values, values)
				done = at
				if p.tick != nil {
					p.tick(at)
				}
				return nil
			})
		if err != nil {
			return err
		}
		defer p.keeper.drop(passPiece)
	}
	from := done
	return p.each(p.positions[from:], func(at, n int, result []float32) {
		use(from+at, n, result)
		done = from + at + n
	})
}

// total is the number of values of the vectors.
func total(vectors [][]float64) int {
	n := 0
	for _, v := range vectors {
		n += len(v)
	}
	return n
}

// unflatten fills the vectors, one after the other.
func unflatten(vectors [][]float64, values []float64) {
	for _, v := range vectors {
		values = values[copy(v, values):]
	}
}

// cut makes vectors of n values each of the values.
func cut(values []float64, n int) [][]float64 {
	return slices.Collect(slices.Chunk(values, n))
}
