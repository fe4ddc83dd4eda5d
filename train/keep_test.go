package train

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/datadropout/datadropout/net"
)

// scratchpad keeps everything that was saved, and gives out the last.
type scratchpad struct {
	saved [][]byte
	fails error
}

func (s *scratchpad) Load(string) ([]byte, bool, error) {
	if len(s.saved) == 0 {
		return nil, false, s.fails
	}
	return s.saved[len(s.saved)-1], true, s.fails
}

func (s *scratchpad) Save(_ string, blob []byte) error {
	s.saved = append(s.saved, bytes.Clone(blob))
	return s.fails
}

func sameTrained(t *testing.T, what string, got, want *Trained) {
	t.Helper()
	if got.Model.Digest() != want.Model.Digest() {
		t.Errorf("%s: another model", what)
	}
	if !slices.Equal(got.Curve, want.Curve) {
		t.Errorf("%s: the curve is %v, want %v", what, got.Curve, want.Curve)
	}
	if (got.Record == nil) != (want.Record == nil) || got.Record != nil && !bytes.Equal(encodedRecord(t, got.Record), encodedRecord(t, want.Record)) {
		t.Errorf("%s: another record", what)
	}
	if got.Seconds <= 0 {
		t.Errorf("%s: %v seconds", what, got.Seconds)
	}
}

// A training that is killed after any step, and one that is interrupted again and again, end with the bits of an unbroken one:
// model, running statistics, momentum, record and curve.
func TestKeptTrainingContinues(t *testing.T) {
	src := newBlobs(40, 1)
	idx := positions(40)
	r := recipe
	r.BatchSize = 9 // batches hold the end of one epoch and the beginning of the next
	for _, n := range []*net.Network{linear(), normalized()} {
		e := NewEngine(backend(t, 2), n, CrossEntropy{})
		defer e.Close()
		for _, rec := range []Recording{{}, everything} {
			pad := &scratchpad{}
			want, err := e.TrainKept(t.Context(), src, idx, r, 5, rec, Keep{Scratch: pad, Every: time.Nanosecond}, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, _, err := e.TrainRecorded(t.Context(), src, idx, r, 5, rec, nil)
			if err != nil || m.Digest() != want.Model.Digest() {
				t.Fatalf("%s: keeping changes the model (%v)", n.Name, err)
			}
			if steps := r.Steps(40); len(pad.saved) != steps-1 {
				t.Fatalf("%s: kept %d times in %d steps", n.Name, len(pad.saved), steps)
			}
			for k, blob := range pad.saved {
				first := 0
				got, err := e.TrainKept(t.Context(), src, idx, r, 5, rec, Keep{Scratch: &scratchpad{saved: [][]byte{blob}}}, func(p Progress) {
					if first == 0 {
						first = p.Step
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				if first != k+2 {
					t.Errorf("%s: killed after step %d, it went on with step %d", n.Name, k+1, first)
				}
				sameTrained(t, n.Name, got, want)
			}
			broken := &scratchpad{}
			for stop := 3; ; stop += 3 {
				ctx, cancel := context.WithCancel(t.Context())
				got, err := e.TrainKept(ctx, src, idx, r, 5, rec, Keep{Scratch: broken}, func(p Progress) {
					if p.Step == stop {
						cancel()
					}
				})
				cancel()
				if errors.Is(err, context.Canceled) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if len(broken.saved) < 3 {
					t.Errorf("%s: kept %d times", n.Name, len(broken.saved))
				}
				sameTrained(t, n.Name+" interrupted", got, want)
				break
			}
		}
	}
}

// What is kept of another training, and what is damaged, is not continued; a scratch that fails is an error.
func TestKeptTrainingRefuses(t *testing.T) {
	src := newBlobs(40, 1)
	e := NewEngine(backend(t, 2), linear(), CrossEntropy{})
	defer e.Close()
	pad := &scratchpad{}
	run := func(seed uint64, n int, r Recipe, rec Recording, keep Keep) (first int, err error) {
		_, err = e.TrainKept(t.Context(), src, positions(n), r, seed, rec, keep, func(p Progress) {
			if first == 0 {
				first = p.Step
			}
		})
		return first, err
	}
	if _, err := run(1, 40, recipe, Recording{}, Keep{Scratch: pad, Every: time.Nanosecond}); err != nil {
		t.Fatal(err)
	}
	good := pad.saved[4]
	shorter := recipe
	shorter.LearningRate /= 2
	for _, tt := range []struct {
		name string
		seed uint64
		n    int
		r    Recipe
		rec  Recording
		blob []byte
		want int
	}{
		{"the same", 1, 40, recipe, Recording{}, good, 6},
		{"another seed", 2, 40, recipe, Recording{}, good, 1},
		{"other samples", 1, 39, recipe, Recording{}, good, 1},
		{"another recipe", 1, 40, shorter, Recording{}, good, 1},
		{"another recording", 1, 40, recipe, Recording{Early: true}, good, 1},
		{"empty", 1, 40, recipe, Recording{}, nil, 1},
		{"cut off", 1, 40, recipe, Recording{}, good[:len(good)-5], 1},
		{"a byte flipped", 1, 40, recipe, Recording{}, append(bytes.Clone(good[:80]), append([]byte{good[80] ^ 1}, good[81:]...)...), 1},
		{"cut off and sealed", 1, 40, recipe, Recording{}, resealed(good[:len(good)-40]), 1},
		{"something else", 1, 40, recipe, Recording{}, resealed([]byte("ddtrain\n")), 1},
	} {
		first, err := run(tt.seed, tt.n, tt.r, tt.rec, Keep{Scratch: &scratchpad{saved: [][]byte{tt.blob}}})
		if err != nil || first != tt.want {
			t.Errorf("%s: began with step %d (%v), want %d", tt.name, first, err, tt.want)
		}
	}
	failure := errors.New("the disk is full")
	if _, err := run(1, 40, recipe, Recording{}, Keep{Scratch: &scratchpad{fails: failure}}); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
}

// A training with weights is continued with these weights only, and one that is kept at its end takes no step more.
func TestKeptWeightedTraining(t *testing.T) {
	src, idx := newBlobs(40, 1), positions(40)
	e := NewEngine(backend(t, 2), linear(), CrossEntropy{})
	defer e.Close()
	weights, others := make([]float32, 40), make([]float32, 40)
	for i := range weights {
		weights[i], others[i] = float32(i%3), 1
	}
	steps := recipe.Steps(40)
	run := func(pad *scratchpad, weights []float32, every time.Duration) (*Model, int) {
		t.Helper()
		taken := 0
		m, err := e.TrainWeightedKept(t.Context(), src, idx, weights, recipe, 5, Keep{Scratch: pad, Every: every, End: true}, func(Progress) { taken++ })
		if err != nil {
			t.Fatal(err)
		}
		return m, taken
	}
	want, err := e.TrainWeighted(t.Context(), src, idx, weights, recipe, 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	pad := &scratchpad{}
	run(pad, weights, time.Nanosecond)
	for k, blob := range pad.saved { // after step k+1
		m, taken := run(&scratchpad{saved: [][]byte{blob}}, weights, 0)
		if !slices.Equal(m.Theta, want.Theta) || taken != steps-k-1 {
			t.Errorf("kept after %d steps of %d: %d are taken, or it ends elsewhere", k+1, steps, taken)
		}
		if _, taken := run(&scratchpad{saved: [][]byte{blob}}, others, 0); taken != steps {
			t.Errorf("with other weights: %d steps of %d are taken", taken, steps)
		}
	}
	if len(pad.saved) != steps {
		t.Errorf("kept %d times in %d steps", len(pad.saved), steps)
	}
}
