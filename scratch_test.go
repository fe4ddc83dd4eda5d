package datadropout

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/influence"
)

// A run that is interrupted while it scores keeps what ekfac has summed up, continues to the same scores, and leaves
// nothing of it behind.
func TestRunContinuesScoring(t *testing.T) {
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test = 300, 100, 100, 100
	c.Net, c.Recipe.Epochs, c.Seeds, c.Rule, c.Estimator = "softmax", 3, 1, "count:30", "ekfac"
	c.ScoreFolds = 1
	data, backend := prepare(t, &c)
	want, err := Run(t.Context(), c, data, backend, NewMemoryStore(), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run[1]") // no pattern, though it looks like one
	partial := func() []string {
		t.Helper()
		found, err := durable.Glob(filepath.Join(dir, checkpointDir), "*"+partialExtension)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	// 100 score samples, twice 300 for the factors, 300 scores.
	for _, stop := range []float64{0.3, 0.6, 0.8} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store, err := OpenDirStore(dir, Identity{Version: "one"})
		if err != nil {
			t.Fatal(err)
		}
		first := -1.0
		_, err = Run(ctx, c, data, backend, store, func(e Event) {
			if e.Stage == StageInfluence && e.Type == "progress" {
				if e.Fraction >= stop {
					cancel()
				}
				if e.Fraction > 0.11 && first < 0 { // beyond the score samples
					first = e.Fraction
				}
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at %v: error %v", stop, err)
		}
		if stop > 0.3 && first < stop-0.35 {
			t.Errorf("stopped at %v: it began again, at %v", stop, first)
		}
		if len(partial()) == 0 {
			t.Errorf("stopped at %v: nothing is kept", stop)
		}
	}
	store, err := OpenDirStore(dir, Identity{Version: "one"})
	if err != nil {
		t.Fatal(err)
	}
	// As if the interrupted runs had scored for long.
	r, err := newRunner(c, data, backend, store, nil, computing(backend, data.Loss(), c.DeviceMemory))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	watch := &stopwatch{Scratch: store.Scratch("scores/0"), of: r.scoresOf(0), before: 1000, began: time.Now().Add(-time.Second)}
	if err := watch.Save("another", nil); err != nil {
		t.Fatal(err)
	}
	got, err := Run(t.Context(), c, data, backend, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Result.Infl.Seconds; s < 1001 || got.Result.Seconds.Total < s {
		t.Errorf("scoring took %v s, and all %v: the interrupted runs do not count", s, got.Result.Seconds.Total)
	}
	if !slices.Equal(got.Estimates.Delta, want.Estimates.Delta) || got.Solver.Message != want.Solver.Message {
		t.Errorf("the continued run has other scores, or says %q and not %q", got.Solver.Message, want.Solver.Message)
	}
	if left := partial(); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
}

// mortalStore is a store whose process dies when scores are kept for the last time.
type mortalStore struct {
	*DirStore
	saves, last int
}

func (s *mortalStore) Scratch(key string) influence.Scratch {
	if !strings.HasPrefix(key, "scores/") {
		return s.DirStore.Scratch(key)
	}
	return mortalScratch{s.DirStore.Scratch(key), s}
}

type mortalScratch struct {
	influence.Scratch
	store *mortalStore
}

var errDied = errors.New("the process has died")

func (s mortalScratch) Save(name string, blob []byte) error {
	if name == stopwatchName { // how often depends on the machine
		return s.Scratch.Save(name, blob)
	}
	if s.store.saves++; s.store.saves == s.store.last {
		return errDied
	}
	return s.Scratch.Save(name, blob)
}

// A run that dies again and again while it scores, a little further each time, comes to the scores of an unbroken one, and leaves no files of it.
func TestRunOutlivesDeathsWhileScoring(t *testing.T) {
	for _, estimator := range []string{"cg", "lissa", "tracin", "metagradient"} {
		c := DefaultConfig()
		c.Train, c.Score, c.Tune, c.Test = 300, 150, 50, 50
		c.Net, c.Recipe.Epochs, c.Seeds, c.Rule, c.Estimator = "softmax", 3, 1, "count:30", estimator
		c.ScoreFolds, c.InfluenceSeeds, c.Influence.HessianSamples = 2, 1, 200
		data, backend := prepare(t, &c)
		want, err := Score(t.Context(), c, data, backend, NewMemoryStore(), nil)
		if err != nil {
			t.Fatal(err)
		}
		dir, deaths := t.TempDir(), 0
		for ; ; deaths++ {
			store, err := OpenDirStore(dir, Identity{Version: "one"})
			if err != nil {
				t.Fatal(err)
			}
			store.Every = time.Nanosecond
			got, err := Score(t.Context(), c, data, backend, &mortalStore{DirStore: store, last: 9}, nil)
			if errors.Is(err, errDied) && deaths < 200 {
				if err := CheckStore(dir, func(name string, err error) {
					if err != nil {
						t.Errorf("%s: %s: %v", estimator, name, err)
					}
				}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s, after %d deaths: %v", estimator, deaths, err)
			}
			if !reflect.DeepEqual(got.Estimates.Delta, want.Estimates.Delta) || !reflect.DeepEqual(got.Estimates.StandardError, want.Estimates.StandardError) ||
				!reflect.DeepEqual(got.Solver, want.Solver) {
				t.Errorf("%s, after %d deaths: other scores, or %+v and not %+v", estimator, deaths, got.Solver, want.Solver)
			}
			break
		}
		if deaths < 2 {
			t.Errorf("%s: %d deaths", estimator, deaths)
		}
		t.Logf("%s: %d deaths", estimator, deaths)
		if left, err := durable.Glob(filepath.Join(dir, checkpointDir), "*"+partialExtension); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left behind (%v)", estimator, left, err)
		}
	}
}

// mapScratch is a scratch in memory.
type mapScratch map[string][]byte

func (m mapScratch) Load(name string) ([]byte, bool, error) {
	blob, ok := m[name]
	return blob, ok, nil
}

func (m mapScratch) Save(name string, blob []byte) error {
	m[name] = slices.Clone(blob)
	return nil
}

// The stopwatch goes on from what was kept of the same scores, and from nothing else.
func TestStopwatch(t *testing.T) {
	scratch := mapScratch{}
	w, err := startStopwatch(scratch, "x")
	if err != nil {
		t.Fatal(err)
	}
	w.began = w.began.Add(-5 * time.Second)
	if err := w.scratch().Save("sums", []byte{1}); err != nil {
		t.Fatal(err)
	}
	before := func(of string) float64 {
		t.Helper()
		w, err := startStopwatch(scratch, of)
		if err != nil {
			t.Fatal(err)
		}
		return w.before
	}
	if got := before("x"); got < 5 || got > 60 || string(scratch["sums"]) != "\x01" {
		t.Errorf("%v s are kept, and %v", got, scratch)
	}
	if got := before("y"); got != 0 {
		t.Errorf("%v s of other scores", got)
	}
	scratch[stopwatchName][3] ^= 1
	if got := before("x"); got != 0 {
		t.Errorf("%v s of a damaged file", got)
	}
	if w, err = startStopwatch(nil, "x"); err != nil || w.scratch() != nil || w.seconds() < 0 {
		t.Errorf("without a scratch: %v, %v", w.scratch(), err)
	}
}

// A run that finds its scores takes as long in its result as it did, the training of another network for them included.
func TestTimesOfAResumedRun(t *testing.T) {
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test = 100, 50, 50, 50
	c.Net, c.Recipe.Epochs, c.Seeds, c.Rule, c.Estimator, c.InfluenceRecipe = "softmax", 2, 1, "count:10", "graddot", "fast"
	data, backend := prepare(t, &c)
	dir := t.TempDir()
	var first TimesResult
	for k := range 2 {
		store, err := OpenDirStore(dir, Identity{Version: "one"})
		if err != nil {
			t.Fatal(err)
		}
		before := 0
		o, err := Run(t.Context(), c, data, backend, store, func(e Event) {
			if e.Type == "done" && e.Resumed {
				before++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		got := o.Result.Seconds
		if k == 0 {
			_, trained, ok, err := store.Model("influence/0")
			if first = got; err != nil || !ok || !(trained > 0 && got.Influence > trained) || before != 0 {
				t.Fatalf("%+v, of which %v s for the other network (%v), and %d pieces were done before", got, trained, err, before)
			}
		} else if got.Round1 != first.Round1 || got.Influence != first.Influence || got.Round2 != first.Round2 || before != 6 {
			t.Errorf("resumed: %+v and %d pieces done before, want %+v and 6", got, before, first)
		}
	}
}
