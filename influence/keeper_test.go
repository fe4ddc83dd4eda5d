package influence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// snapshots is a scratch that remembers all it ever held, and how many samples were read by then.
type snapshots struct {
	blobScratch
	src *counted
	all []snapshot
}

type snapshot struct {
	held map[string][]byte
	read int
}

func (s *snapshots) Save(name string, blob []byte) error {
	if err := s.blobScratch.Save(name, blob); err != nil {
		return err
	}
	s.all = append(s.all, snapshot{maps.Clone(s.held), s.src.read})
	return nil
}

const (
	resumedSamples = 140 // of each split
	resumedBatch   = 16
)

var resumedEstimators = []struct {
	name    string
	options Options
	net     func() *net.Network
	folds   int
	// again is the most samples that whoever goes on from what is kept reads again.
	again int
}{
	{"cg", Options{HessianSamples: AllSamples, Tolerance: 1e-5, Damping: 0.01}, moving, 2, 2 * resumedBatch},
	{"cg", Options{HessianSamples: 65, Preconditioner: DiagonalPreconditioner, Curvature: Hessian, Damping: 0.3}, smooth, 1, 2 * resumedBatch},
	{"cg", Options{Preconditioner: KroneckerPreconditioner, MaxIterations: 3, Damping: 0.001}, smooth, 2, 2 * resumedBatch},
	{"lissa", Options{Damping: 0.3, Repeats: 3, Depth: 9}, smooth, 2, lissaBatch},
	{"lissa", Options{Scale: 1e-3, Damping: 0.3}, smooth, 1, lissaBatch}, // diverges
	{"arnoldi", Options{Rank: 3}, moving, 2, 2 * resumedBatch},
	{"ekfac", Options{}, smooth, 3, 2 * resumedBatch},
	{"self", Options{}, smooth, 1, 2 * resumedBatch},
	{"tracin", Options{Checkpoints: 3}, moving, 2, 2 * resumedBatch},
	{"graddot", Options{}, smooth, 1, 2 * resumedBatch},
	{"gradcos", Options{}, smooth, 2, 2 * resumedBatch},
	{"grand", Options{}, moving, 1, 2 * resumedBatch},
	{"aum", Options{}, smooth, 1, 2 * resumedBatch},
	// What was in memory of the training is computed again: once more the whole of it at most.
	{"metagradient", Options{}, moving, 2, 2 * resumedSamples},
	{"metagradient", Options{Memory: 13 * 4 * (83 + 16)}, moving, 1, 4 * resumedSamples},
}

func resumedProblem(t *testing.T, threads int, n *net.Network, folds int) (*Problem, *counted) {
	r := train.Recipe{Epochs: 2, BatchSize: 8, LearningRate: 0.15, Momentum: 0.9, WeightDecay: 0.02}
	p := replayable(t, threads, n, newBlobs(2*resumedSamples, 2, 3, 3, 7), r, 3)
	p.Folds, p.Batch, p.Seed = folds, resumedBatch, 5
	src := &counted{Source: p.Source, cancel: func() {}}
	p.Source = src
	return p, src
}

// TestEstimatorsResume kills every estimator at many moments, of all at which something is kept, goes on from there in another process and
// with another number of threads, and then cancels in the middle of batches: the same scores to the last bit, without doing again what was done.
func TestEstimatorsResume(t *testing.T) {
	for _, test := range resumedEstimators {
		t.Run(fmt.Sprintf("%s %+v", test.name, test.options), func(t *testing.T) {
			e := estimator(t, test.name, test.options)
			// run goes on from what is held, and cancels at a sample, if it is above 0.
			run := func(threads int, scratch Scratch, src *counted, p *Problem, last int) (*Scores, error) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				src.last, src.cancel, src.read = last, cancel, 0
				p.Scratch = scratch
				end, totals := 0, map[int]bool{}
				s, err := e.Score(ctx, p, func(done, total int) {
					if done < end || done > total {
						t.Errorf("progress %d of %d after %d", done, total, end)
					}
					end, totals[total] = done, true
				})
				if err == nil && (len(totals) != 1 || !totals[end]) {
					t.Errorf("progress ended at %d, totals %v", end, totals)
				}
				return s, err
			}
			p, src := resumedProblem(t, 2, test.net(), test.folds)
			want, err := run(2, nil, src, p, 0)
			if err != nil {
				t.Fatal(err)
			}
			all := src.read
			kept := &snapshots{src: src}
			p.KeepEvery = time.Nanosecond
			if s, err := run(2, kept, src, p, 0); err != nil || !reflect.DeepEqual(s, want) {
				t.Fatalf("with a scratch other scores (%v)", err)
			}
			one, read := resumedProblem(t, 1, test.net(), test.folds)
			one.KeepEvery = time.Hour
			for k := range 12 {
				at := kept.all[min(len(kept.all)-1, k*len(kept.all)/11)]
				s, err := run(1, &blobScratch{held: maps.Clone(at.held)}, read, one, 0)
				if err != nil || !reflect.DeepEqual(s, want) {
					t.Errorf("killed after %d samples: %+v (%v), want %+v", at.read, s, err, want)
				}
				if again := read.read + at.read - all; again > test.again {
					t.Errorf("killed after %d samples of %d: %d are read again", at.read, all, again)
				}
			}
			for k := range 5 {
				scratch := &blobScratch{}
				last := all * (2*k + 1) / 10
				if _, err := run(1, scratch, read, one, last); !errors.Is(err, context.Canceled) {
					t.Fatalf("cancelled after %d samples of %d: error %v", last, all, err)
				}
				s, err := run(2, scratch, src, p, 0)
				if err != nil || !reflect.DeepEqual(s, want) {
					t.Errorf("cancelled after %d samples: other scores (%v)", last, err)
				}
				if again := src.read + last - all; again > test.again {
					t.Errorf("cancelled after %d samples of %d: %d are read again", last, all, again)
				}
			}
		})
	}
}

// TestEstimatorsLeaveForeignPieces has pieces that are damaged, cut off or of other settings: none is used. What is damaged is told of, what is of
// other settings is not, for it was to be expected.
func TestEstimatorsLeaveForeignPieces(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		pieces  []string // that there are at some time
	}{
		{"cg", Options{HessianSamples: 65, Preconditioner: DiagonalPreconditioner}, []string{diagonalPiece, passPiece, systemsPiece, targetsPiece}},
		{"lissa", Options{Depth: 5, Damping: 0.3}, []string{krylovPiece + "1", passPiece, recursionPiece, residualPiece, targetsPiece}},
		{"gradcos", Options{}, []string{normsPiece, passPiece, targetsPiece}},
		{"tracin", Options{Checkpoints: 2}, []string{effectsPiece, passPiece, targetsPiece}},
		{"metagradient", Options{}, []string{passPiece, smoothnessPiece, sweepPiece, targetsPiece}},
	} {
		run := func(scratch Scratch, change func(*Problem), options Options) (*Scores, int) {
			p, src := resumedProblem(t, 2, smooth(), 2)
			p.Scratch = scratch
			change(p)
			return score(t, estimator(t, test.name, options), p), src.read
		}
		p, src := resumedProblem(t, 2, smooth(), 2)
		kept := &snapshots{src: src}
		p.Scratch, p.KeepEvery = kept, time.Nanosecond
		want := score(t, estimator(t, test.name, test.options), p)
		var held map[string][]byte // the last of every name
		for _, at := range kept.all {
			held = at.held
		}
		for _, name := range test.pieces {
			blob, ok := held[name]
			if !ok {
				t.Errorf("%s: nothing of the name %s among %v", test.name, name, slices.Sorted(maps.Keys(held)))
				continue
			}
			for what, damaged := range map[string][]byte{
				"a flipped bit": append(append(bytes.Clone(blob[:len(blob)/2]), blob[len(blob)/2]^4), blob[len(blob)/2+1:]...),
				"cut off":       blob[:len(blob)-9],
				"empty":         nil,
				"another size":  encodeKept([32]byte(blob[len(keptMagic)+4:][:32]), 0, 1<<20, make([]float64, 9999)),
			} {
				s, _ := run(&blobScratch{held: map[string][]byte{name: damaged}}, func(*Problem) {}, test.options)
				if !slices.Equal(s.Delta, want.Delta) || !reflect.DeepEqual(s.Folds, want.Folds) {
					t.Errorf("%s, %s, %s: other scores", test.name, name, what)
				}
				if !strings.Contains(s.Solver.Message, "what was kept of the "+name+" is not used") {
					t.Errorf("%s, %s, %s: %q says nothing of it", test.name, name, what, s.Solver.Message)
				}
			}
		}
		changed := test.options
		changed.Damping, changed.NoSmoothnessCheck, changed.Checkpoints, changed.MaxIterations = 0.5, true, 4, 7
		for what, c := range map[string]struct {
			change  func(*Problem)
			options Options
		}{
			"other options":       {func(*Problem) {}, changed},
			"another seed":        {func(p *Problem) { p.Seed++ }, test.options},
			"other folds":         {func(p *Problem) { p.Folds = 3 }, test.options},
			"other score samples": {func(p *Problem) { p.Score = p.Score[1:] }, test.options},
			"another batch":       {func(p *Problem) { p.Batch = 20 }, test.options},
		} {
			want, all := run(nil, c.change, c.options)
			got, read := run(&blobScratch{held: maps.Clone(held)}, c.change, c.options)
			// The training that these two repeat is the same for all of these.
			if !reflect.DeepEqual(got, want) || read != all && !slices.Contains([]string{"metagradient", "tracin"}, test.name) {
				t.Errorf("%s, %s: %d samples read of %d, and %+v, want %+v", test.name, what, read, all, got.Solver, want.Solver)
			}
		}
	}
	p, _ := resumedProblem(t, 2, smooth(), 2)
	full := errors.New("no space left on device")
	p.Scratch, p.KeepEvery = &blobScratch{err: full}, time.Nanosecond
	if _, err := estimator(t, "cg", Options{}).Score(t.Context(), p, nil); !errors.Is(err, full) {
		t.Errorf("error %v, want that nothing can be kept", err)
	}
}
