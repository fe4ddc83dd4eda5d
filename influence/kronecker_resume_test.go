package influence

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/dataset"
)

// blobScratch keeps blobs in memory, and all that were ever saved in saved.
type blobScratch struct {
	held  map[string][]byte
	saved [][]byte
	err   error
}

func (s *blobScratch) Load(name string) ([]byte, bool, error) {
	b, ok := s.held[name]
	return b, ok, nil
}

func (s *blobScratch) Save(name string, blob []byte) error {
	if s.err != nil {
		return s.err
	}
	if s.held == nil {
		s.held = map[string][]byte{}
	}
	s.held[name] = bytes.Clone(blob)
	s.saved = append(s.saved, s.held[name])
	return nil
}

// counted counts the samples that are read, and cancels at one of them.
type counted struct {
	dataset.Source
	read, last int
	cancel     func()
}

func (c *counted) Fill(i int, x, y []float32) {
	if c.read++; c.read == c.last {
		c.cancel()
	}
	c.Source.Fill(i, x, y)
}

// keeping is a problem of more samples than are between two times that sums are kept.
func keeping(t *testing.T) *Problem {
	src, n := newBlobs(2*1500, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0.01)
	p.Score, p.Seed = p.Score[:100], 3
	return p
}

var keepingEstimators = map[string]Options{
	"ekfac": {HessianSamples: AllSamples}, "self": {HessianSamples: AllSamples},
	"cg": {HessianSamples: AllSamples, Preconditioner: KroneckerPreconditioner, Damping: 0.1},
}

// TestKroneckerResumes cancels in the factors, in the second moments and after both, and goes on from there and from everything
// that an unbroken computation keeps: the same bits, but for fewer samples.
func TestKroneckerResumes(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(keepingEstimators)) {
		e := estimator(t, name, keepingEstimators[name])
		run := func(scratch *blobScratch, last int) (*Scores, int, error) {
			p := keeping(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			src := &counted{Source: p.Source, last: last, cancel: cancel}
			p.Source = src
			if scratch != nil {
				p.Scratch = scratch
			}
			end, totals := 0, map[int]bool{}
			s, err := e.Score(ctx, p, func(done, total int) {
				if done < end || done > total {
					t.Errorf("%s: progress %d of %d after %d", name, done, total, end)
				}
				end, totals[total] = done, true
			})
			if err == nil && (len(totals) != 1 || !totals[end]) {
				t.Errorf("%s: progress ended at %d, totals %v", name, end, totals)
			}
			return s, src.read, err
		}
		want, all, err := run(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		unbroken := &blobScratch{}
		s, n, err := run(unbroken, 0)
		if err != nil || n != all || !reflect.DeepEqual(s, want) {
			t.Fatalf("%s: with a scratch other scores, or %d samples read, %d without (%v)", name, n, all, err)
		}
		// Both sums twice each, and the eigenvectors.
		if len(unbroken.saved) != 5 {
			t.Errorf("%s: kept %d times, want 5", name, len(unbroken.saved))
		}
		left := all
		for k, blob := range unbroken.saved {
			s, n, err := run(&blobScratch{held: map[string][]byte{kroneckerBlob: blob}}, 0)
			if err != nil || !reflect.DeepEqual(s, want) {
				t.Errorf("%s: other scores from what was kept at %d (%v)", name, k, err)
			}
			// The second and third hold the same samples, before and after the eigenvectors.
			if n > left || n == left && k != 2 {
				t.Errorf("%s: %d samples read from what was kept at %d, %d before", name, n, k, left)
			}
			left = n
		}
		before := 100 // of the scoring set
		if name == "self" {
			before = 0
		}
		for _, last := range []int{before + 1, before + 200, before + 1030, before + 1500, before + 1700, before + 2600, before + 3000} {
			scratch := &blobScratch{}
			if _, _, err := run(scratch, last); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s, cancelled at %d: error %v", name, last, err)
			}
			s, n, err := run(scratch, 0)
			if err != nil || !reflect.DeepEqual(s, want) {
				t.Errorf("%s, cancelled at %d: the continued run has other scores (%v)", name, last, err)
			}
			// What is lost is the batch that was cancelled, at most.
			if saved := all - n; saved < last-before-kroneckerBatch {
				t.Errorf("%s, cancelled at %d: %d samples read again of %d", name, last, n, all)
			}
		}
	}
}

// TestKroneckerLeavesForeignBlobs has blobs that are damaged, or of another computation: none is used, and the scores are
// those without, with a word on it.
func TestKroneckerLeavesForeignBlobs(t *testing.T) {
	e := estimator(t, "ekfac", keepingEstimators["ekfac"])
	want := score(t, e, keeping(t))
	kept := func(change func(*Problem)) []byte {
		p, s := keeping(t), &blobScratch{}
		change(p)
		p.Scratch = s
		score(t, e, p)
		return s.saved[len(s.saved)-1]
	}
	whole := kept(func(*Problem) {})
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	var key [32]byte
	copy(key[:], whole[len(keptMagic)+4:])
	for what, test := range map[string]struct {
		blob []byte
		says string
	}{
		"nothing":        {nil, "0 bytes"},
		"another file":   {bytes.Repeat([]byte("x"), 200), "200 bytes"},
		"truncated":      {whole[:len(whole)-1], "checksum"},
		"a flipped bit":  {flipped, "checksum"},
		"another seed":   {kept(func(p *Problem) { p.Seed++ }), "another computation"},
		"another model":  {kept(func(p *Problem) { p.Model = initial(p.Net, 5) }), "another computation"},
		"other samples":  {kept(func(p *Problem) { p.Train = p.Train[1:] }), "another computation"},
		"another batch":  {kept(func(p *Problem) { p.Batch = 16 }), "another computation"},
		"too few values": {blobOf(key, 1, 1500, 3), "3 values"},
		"a stage of 7":   {blobOf(key, 7, 0, 3), "stage 7"},
		"too far":        {blobOf(key, 0, 1501, 3), "sample 1501"},
		"half a batch":   {blobOf(key, 0, 33, 3), "sample 33"},
	} {
		p := keeping(t)
		p.Scratch = &blobScratch{held: map[string][]byte{kroneckerBlob: test.blob}}
		s := score(t, e, p)
		if !slices.Equal(s.Delta, want.Delta) {
			t.Errorf("%s: other scores", what)
		}
		if !strings.Contains(s.Solver.Message, "not used") || !strings.Contains(s.Solver.Message, test.says) {
			t.Errorf("%s: %q says nothing about %q", what, s.Solver.Message, test.says)
		}
	}
	p, full := keeping(t), errors.New("no space left on device")
	p.Scratch = &blobScratch{err: full}
	if _, err := e.Score(t.Context(), p, nil); !errors.Is(err, full) {
		t.Errorf("error %v, want that nothing can be kept", err)
	}
}

func blobOf(key [32]byte, stage, at uint64, values int) []byte {
	return encodeKept(key, stage, at, make([]float64, values))
}

// FuzzDecodeKept must not panic, and what it takes must be what it would write.
func FuzzDecodeKept(f *testing.F) {
	key := [32]byte{1, 2, 3}
	for _, values := range []int{0, 1, 5} {
		b := blobOf(key, 1, 32, values)
		f.Add(b)
		f.Add(b[:len(b)-7])
	}
	f.Add([]byte(keptMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeKept(b, key)
		if err == nil && !bytes.Equal(encodeKept(key, s.stage, s.at, s.values), b) {
			t.Errorf("%x is taken for %+v", b, s)
		}
	})
}
