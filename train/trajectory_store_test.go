package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/internal/distant"
	"github.com/datadropout/datadropout/net"
)

// TestTrajectoryOnDevice goes backwards with bounds on the device, memory and disk of which one, two or all have a part: the bits that a
// trajectory in memory has, no more kept anywhere than allowed, as planned, and no buffer left. On cpu the device is memory, and yet
// what is kept there are tensors.
func TestTrajectoryOnDevice(t *testing.T) {
	src, idx := newBlobs(60, 4), positions(37)
	for _, n := range []*net.Network{linear(), normalized()} {
		steps := spilled.Steps(len(idx))
		vector := vectorBytes(n)
		var first []seen
		far := distant.New(backend(t, 2))
		for _, b := range []compute.Backend{backend(t, 2), far} {
			e := NewEngine(b, n, CrossEntropy{})
			defer e.Close()
			for _, test := range []struct {
				device, memory, disk int   // in vectors
				steps                int   // to be carried out; 0: not told
				used                 []int // in vectors; nil: not told
			}{
				{0, 1000, 0, steps, []int{0, steps + 2, 0}},
				{1000, 1000, 1000, steps, []int{steps, 2, 0}}, // all on the device
				{steps, 2, 0, steps, []int{steps, 2, 0}},      // nothing else to be had
				{steps - 1, 3, 0, steps, []int{steps - 1, 3, 0}},
				{10, 1000, 1000, steps, []int{10, steps - 10 + 2, 0}},
				{10, 9, 1000, steps, []int{10, 9, steps - 10 - 5}},
				{1, 4, 1000, steps, []int{1, 4, steps - 1}},
				{12, 2, 0, 0, nil}, // checkpoints on the device
				{9, 2, 0, 0, nil},  // the least there is
				{4, 7, 0, 0, nil},
				{1, 10, 0, 0, nil},
				{5, 4, 7, 0, nil},
				{3, 5, 5, 0, nil},
				{1, 4, 8, 0, nil},
			} {
				what := fmt.Sprintf("%s on %T, %d vectors on the device, %d in memory, %d on disk", n.Name, b, test.device, test.memory, test.disk)
				bounds := Bounds{Device: int64(test.device) * vector, Memory: int64(test.memory) * vector, Disk: int64(test.disk) * vector, Dir: t.TempDir()}
				before := far.Live()
				tr, err := e.SpilledTrajectory(t.Context(), src, idx, spilled, 9, bounds, nil)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				moments := visits(t, tr)
				if len(tr.store.device) > 0 {
					t.Errorf("%s: %d vectors on the device are kept after the way back", what, len(tr.store.device))
				}
				if first == nil {
					first = moments
				}
				if !slices.EqualFunc(moments, first, seen.equal) {
					t.Errorf("%s: the steps stand elsewhere than in memory", what)
				}
				used := []int64{tr.PeakOnDevice(), tr.Peak(), tr.PeakOnDisk()}
				for k, bound := range []int64{bounds.Device, bounds.Memory, bounds.Disk} {
					if used[k] > bound || test.used != nil && used[k] != int64(test.used[k])*vector {
						t.Errorf("%s: %d bytes used of %+v, in this order, want %v vectors of %d", what, used, bounds, test.used, vector)
						break
					}
				}
				plan := PlanReplay(n, spilled, len(idx), bounds)
				if plan.Steps != tr.Done() || plan.Device < used[0] || plan.Memory < used[1] || plan.Disk < used[2] {
					t.Errorf("%s: planned %+v, %d steps carried out and %d bytes used", what, plan, tr.Done(), used)
				}
				if tr.Done() != tr.Planned() || test.steps > 0 && tr.Done() != test.steps || test.steps == 0 && tr.Done() <= steps {
					t.Errorf("%s: %d steps carried out of %d planned, want %d", what, tr.Done(), tr.Planned(), test.steps)
				}
				tr.Close()
				tr.Close()
				if left := far.Live() - before; left > 0 {
					t.Errorf("%s: %d buffers are left on the device", what, left)
				}
			}
		}
	}
}

// TestTrajectoryStaysOnDevice counts copies: with room on the device the parameters go there at the start and come back at the end, and
// nothing in between. With room for some no more are there at once than that, beside those of the training.
func TestTrajectoryStaysOnDevice(t *testing.T) {
	src, idx, n := newBlobs(60, 4), positions(37), normalized()
	steps, vector := spilled.Steps(len(idx)), vectorBytes(n)
	for _, test := range []struct{ device, uploads, downloads int }{
		{steps, 2, 1},
		{steps - 5, 2 + 5, 1 + 5},
		{0, 2 + steps, 1 + steps},
	} {
		b := distant.New(backend(t, 2))
		e := NewEngine(b, n, CrossEntropy{})
		defer e.Close()
		tr, err := e.SpilledTrajectory(t.Context(), src, idx, spilled, 9, Bounds{Device: int64(test.device) * vector, Memory: 1 << 20}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Backward(t.Context(), func(m Moment) error {
			_, err := m.Theta.Buffer(b, 0) // as a computation on the device does
			return err
		}); err != nil {
			t.Fatal(err)
		}
		tr.Close()
		// A step holds parameters and momentum before and after it; a visit to what is not on the device holds one vector there.
		const training = 4
		if c := b.Counts(n.Size()); c.Uploads != test.uploads || c.Downloads != test.downloads || c.Live != 0 || c.Most > test.device+training {
			t.Errorf("room for %d of %d vectors on the device: %+v, want %d copies there, %d back, none left and at most %d at once", test.device,
				steps, c, test.uploads, test.downloads, test.device+training)
		}
	}
}

// TestTrajectoryOnDeviceKeepsRungs interrupts and continues a training whose steps are kept on the device, and one that ends early.
func TestTrajectoryOnDeviceKeepsRungs(t *testing.T) {
	src, idx, n := newBlobs(60, 4), positions(37), normalized()
	b := distant.New(backend(t, 2))
	e := NewEngine(b, n, CrossEntropy{})
	defer e.Close()
	vector := vectorBytes(n)
	bounds := Bounds{Device: 9 * vector, Memory: 2 * vector}
	steps := spilled.Steps(len(idx))
	back := func(tr *Trajectory) []seen {
		t.Helper()
		defer tr.Close()
		return visits(t, tr)
	}
	whole, err := e.SpilledTrajectory(t.Context(), src, idx, spilled, 9, bounds, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := back(whole)
	kept := rungs{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	live := b.Live()
	if _, err := e.KeptTrajectory(ctx, src, idx, spilled, 9, bounds, Keep{Scratch: kept}, steps, func(done, _ int) {
		if done == 14 {
			cancel()
		}
	}); !errors.Is(err, context.Canceled) || len(kept) != 1 {
		t.Fatalf("error %v and %d rungs", err, len(kept))
	}
	if left := b.Live() - live; left != 0 {
		t.Errorf("%d buffers are left of a training that was interrupted", left)
	}
	for _, until := range []int{steps, 16, 15, 3} {
		for _, keep := range []Keep{{Scratch: rungs{"rung0": kept["rung0"]}}, {Scratch: rungs{}, Every: time.Nanosecond}} {
			tr, err := e.KeptTrajectory(t.Context(), src, idx, spilled, 9, bounds, keep, until, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range tr.store.device {
				if v.tensor.HasLocal() || v.stateTensor != nil && v.stateTensor.HasLocal() {
					t.Errorf("until step %d: a vector on the device has a copy in memory", until)
				}
			}
			if got := back(tr); !slices.EqualFunc(got, want[steps-until:], seen.equal) {
				t.Errorf("until step %d: the steps stand elsewhere than in an unbroken training", until)
			}
		}
	}
}

// TestStoreKeepsATensorTwice: a tensor that is kept twice takes one place on the device, and is freed when both let go of it.
func TestStoreKeepsATensorTwice(t *testing.T) {
	s, err := newStore(backend(t, 1), 3, 0, room{device: 1, memory: 1}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	one := tensors.FromFlatDataAndDimensions([]float32{1, 2, 3}, 3)
	var kept []*vector
	for range 2 {
		v, err := s.keep(one, nil)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, v)
	}
	other, err := s.keep(tensors.FromFlatDataAndDimensions([]float32{4, 5, 6}, 3), nil)
	if err != nil {
		t.Fatal(err)
	}
	if kept[0].tensor != one || kept[1].tensor != one || !slices.Equal(other.values, []float32{4, 5, 6}) || s.peakOnDevice != 1 || s.peak != 1 {
		t.Errorf("kept %+v twice and %+v, at most %d on the device and %d in memory", kept, other, s.peakOnDevice, s.peak)
	}
	s.release(kept[0])
	if !one.Ok() {
		t.Error("a tensor that is kept is gone")
	}
	s.release(kept[1])
	if one.Ok() || len(s.device) > 0 {
		t.Error("a tensor that is not kept any more is still there")
	}
}
