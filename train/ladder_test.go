package train

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/datadropout/datadropout/net"
)

// rungs is a scratch with blobs by name.
type rungs map[string][]byte

func (s rungs) Load(name string) ([]byte, bool, error) { b, ok := s[name]; return b, ok, nil }

func (s rungs) Save(name string, blob []byte) error {
	s[name] = slices.Clone(blob)
	return nil
}

// TestKeptTrajectoryContinues goes on from trainings that were interrupted on the way up, and back from every place: each step comes
// once, at the very bits, and for as many steps as were planned.
func TestKeptTrajectoryContinues(t *testing.T) {
	for _, n := range []*net.Network{linear(), normalized()} {
		src := newBlobs(40, 4)
		idx := positions(40)
		e := NewEngine(backend(t, 2), n, CrossEntropy{})
		defer e.Close()
		r := recipe
		steps := r.Steps(len(idx))
		bounds := Bounds{Memory: int64(leastVectors(steps)+startVectors+1) * vectorBytes(n)}
		var want []seen
		back := func(tr *Trajectory, until int) {
			t.Helper()
			defer tr.Close()
			at := until - 1
			if err := tr.Backward(t.Context(), func(m Moment) error {
				if m.Step != at || want != nil && !see(t, m).equal(want[at]) {
					t.Errorf("%s: step %d in the place of %d, or elsewhere", n.Name, m.Step, at)
				}
				at--
				return nil
			}); err != nil || at != -1 {
				t.Errorf("%s: back to step %d (%v)", n.Name, at+1, err)
			}
			if tr.Done() != tr.Planned() {
				t.Errorf("%s: %d steps carried out, %d planned", n.Name, tr.Done(), tr.Planned())
			}
		}
		whole, err := e.SpilledTrajectory(t.Context(), src, idx, r, 9, bounds, nil)
		if err != nil {
			t.Fatal(err)
		}
		final := whole.Final()
		var all []seen
		if err := whole.Backward(t.Context(), func(m Moment) error {
			all = append(all, see(t, m))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		whole.Close()
		slices.Reverse(all)
		want = all

		// A rung at every other stop of a training that is interrupted again and again.
		kept := rungs{}
		for stop := 3; stop < steps; stop += 4 {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := e.KeptTrajectory(ctx, src, idx, r, 9, bounds, Keep{Scratch: kept}, steps, func(done, _ int) {
				if done == 3 {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
		}
		if len(kept) < 3 {
			t.Fatalf("%s: %d rungs", n.Name, len(kept))
		}
		dense := rungs{}
		tr, err := e.KeptTrajectory(t.Context(), src, idx, r, 9, bounds, Keep{Scratch: dense, Every: time.Nanosecond}, steps, nil)
		if err != nil || len(dense) != steps-1 {
			t.Fatalf("%s: %d rungs (%v)", n.Name, len(dense), err)
		}
		back(tr, steps)
		damaged := maps.Clone(kept)
		damaged["rung1"] = append(slices.Clone(kept["rung1"][:90]), 1)
		for what, scratch := range map[string]rungs{"none": {}, "some": kept, "a damaged one": damaged, "all": dense} {
			for _, until := range []int{steps, steps - 1, steps / 2, 3, 2, 1} {
				tr, err := e.KeptTrajectory(t.Context(), src, idx, r, 9, bounds, Keep{Scratch: maps.Clone(scratch)}, until, nil)
				if err != nil {
					t.Fatal(err)
				}
				if end := tr.Final(); (end != nil) != (until == steps) || end != nil && !slices.Equal(end.Theta, final.Theta) {
					t.Errorf("%s, %s: the training ends elsewhere", n.Name, what)
				}
				back(tr, until)
			}
		}
		// Another seed has nothing to do with them.
		tr, err = e.KeptTrajectory(t.Context(), src, idx, r, 10, bounds, Keep{Scratch: maps.Clone(kept)}, steps, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(tr.ladder.steps) > 0 {
			t.Errorf("%s: rungs of another training", n.Name)
		}
		tr.Close()
	}
}
