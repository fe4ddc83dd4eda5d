package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// inFolder lists what a folder holds.
func inFolder(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

var spilled = Recipe{Epochs: 5, BatchSize: 8, LearningRate: 0.2, Momentum: 0.9, WeightDecay: 0.01, WarmupFraction: 0.2} // 23 steps of 37 samples

// TestTrajectorySpills goes backwards with bounds on memory and disk in which everything fits, checkpoints fit, and only halving
// helps, with everything in one of the two or parts in both: the same bits, no more held than allowed, and no file left.
func TestTrajectorySpills(t *testing.T) {
	src, idx := newBlobs(60, 4), positions(37)
	n := normalized()
	e := NewEngine(backend(t, 2), n, CrossEntropy{})
	defer e.Close()
	steps := spilled.Steps(len(idx))
	vector := int64(4 * (n.Size() + n.StateSize()))
	var first []seen
	for _, test := range []struct {
		memory, disk int // in vectors
		steps        int // to be carried out; 0: not told
		onDisk       bool
	}{
		{1000, 0, steps, false},
		{1000, 1000, steps, false},
		{steps + 2, 1000, steps, false}, // all fits in memory
		{steps + 1, 1000, steps, true},  // all but one step
		{4, 1000, steps, true},
		{4, steps, steps, true},
		{9, steps - 5, steps, true},
		{9, steps - 6, 0, true},
		{4, 15, 0, true},
		{6, 8, 0, true},
		{4, 9, 0, true},
		{11, 2, 0, false}, // no more than reading takes
		{13, 3, 0, true},
	} {
		what := fmt.Sprintf("%d vectors in memory, %d on disk", test.memory, test.disk)
		dir := t.TempDir()
		bounds := Bounds{Memory: int64(test.memory) * vector, Disk: int64(test.disk) * vector, Dir: dir}
		tr, err := e.SpilledTrajectory(t.Context(), src, idx, spilled, 9, bounds, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		moments := visits(t, tr)
		if first == nil {
			first = moments
		}
		if len(moments) != steps {
			t.Fatalf("%s: %d steps visited", what, len(moments))
		}
		for k, m := range moments {
			if m.step != steps-1-k || !m.equal(first[k]) {
				t.Errorf("%s: visit %d is of step %d, or stands elsewhere than without a bound", what, k, m.step)
			}
		}
		if tr.Peak() > bounds.Memory || tr.PeakOnDisk() > bounds.Disk || (tr.PeakOnDisk() > 0) != test.onDisk {
			t.Errorf("%s: %d bytes in memory and %d on disk, of %d and %d", what, tr.Peak(), tr.PeakOnDisk(), bounds.Memory, bounds.Disk)
		}
		if tr.Done() != tr.Planned() || test.steps > 0 && tr.Done() != test.steps || test.steps == 0 && tr.Done() == steps {
			t.Errorf("%s: %d steps carried out of %d planned, want %d", what, tr.Done(), tr.Planned(), test.steps)
		}
		tr.Close()
		tr.Close() // as often as one likes
		if left := inFolder(t, dir); len(left) > 0 {
			t.Errorf("%s: %v is left", what, left)
		}
	}
}

// full is a disk with room for so many writes, and after that with damage or without space.
type full struct {
	*os.File
	writes, reads int
}

func (f *full) WriteAt(b []byte, at int64) (int, error) {
	if f.writes--; f.writes < 0 {
		return 0, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	return f.File.WriteAt(b, at)
}

func (f *full) ReadAt(b []byte, at int64) (int, error) {
	if f.reads--; f.reads < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return f.File.ReadAt(b, at)
}

// TestTrajectoryDiskErrors has folders that cannot be written to, and a disk that fills up or breaks on the way.
func TestTrajectoryDiskErrors(t *testing.T) {
	src, idx, n := newBlobs(60, 4), positions(37), linear()
	e := NewEngine(backend(t, 1), n, CrossEntropy{})
	defer e.Close()
	vector := int64(4 * n.Size())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bounds := Bounds{Memory: 6 * vector, Disk: 100 * vector}
	for _, dir := range []string{file, filepath.Join(t.TempDir(), "missing")} {
		bounds.Dir = dir
		if _, err := e.SpilledTrajectory(t.Context(), src, idx, spilled, 9, bounds, nil); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v", dir, err)
		}
	}
	if _, err := e.SpilledTrajectory(t.Context(), src, idx, spilled, 9, Bounds{Memory: 3 * vector, Disk: 100 * vector, Dir: file}, nil); err == nil || !strings.Contains(err.Error(), "of memory and") {
		t.Errorf("too little memory to read from disk: error %v", err)
	}
	for _, test := range []struct {
		writes, reads int
		want          error
	}{{5, 1000, syscall.ENOSPC}, {1000, 5, io.ErrUnexpectedEOF}} {
		dir := t.TempDir()
		bounds.Dir = dir
		tr := &Trajectory{ticked: func(int, int) {}}
		var err error
		if tr.round, err = e.newRound(src, idx, spilled, 9); err != nil {
			t.Fatal(err)
		}
		if err := tr.provide(bounds); err != nil {
			t.Fatal(err)
		}
		tr.store.disk.file = &full{tr.store.disk.file.(*os.File), test.writes, test.reads}
		if err = tr.begin(t.Context(), 9); err == nil {
			err = tr.Backward(t.Context(), func(Moment) error { return nil })
		}
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), "disk") {
			t.Errorf("error %v, want %v", err, test.want)
		}
		tr.Close()
		if left := inFolder(t, dir); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	}
	// Errors that close the trajectory themselves.
	ctx, cancel := context.WithCancel(t.Context())
	bounds.Dir = t.TempDir()
	if _, err := e.SpilledTrajectory(ctx, src, idx, spilled, 9, bounds, func(done, _ int) {
		if done == 15 {
			cancel()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: error %v", err)
	}
	if left := inFolder(t, bounds.Dir); len(left) > 0 {
		t.Errorf("canceled: %v is left", left)
	}
}

// TestSlots reserves more than any disk has, and writes more at once than the buffer holds.
func TestSlots(t *testing.T) {
	dir := t.TempDir()
	if runtime.GOOS == "linux" { // others give the size without the blocks
		if _, err := newSlots(dir, 1<<20, 1<<40); err == nil || !strings.Contains(err.Error(), "reserving") || !strings.Contains(err.Error(), dir) {
			t.Errorf("an exabyte: error %v", err)
		}
	}
	const size = 1<<16 + 7
	s, err := newSlots(dir, 3, 4*(size+2))
	if err != nil {
		t.Fatal(err)
	}
	value := func(slot, j int) float32 { return float32(slot) + float32(j)/size }
	for range 2 {
		var taken []int
		for slot := range 3 {
			taken = append(taken, s.take())
			v := make([]float32, size+2)
			for j := range v {
				v[j] = value(taken[slot], j)
			}
			if err := s.write(taken[slot], v[:size], v[size:]); err != nil {
				t.Fatal(err)
			}
		}
		for _, slot := range taken {
			a, b := make([]float32, size), make([]float32, 2)
			if err := s.read(slot, a, b); err != nil {
				t.Fatal(err)
			}
			for j, x := range append(a, b...) {
				if x != value(slot, j) {
					t.Fatalf("slot %d holds %v at %d, want %v", slot, x, j, value(slot, j))
				}
			}
			s.release(slot)
		}
		slices.Sort(taken)
		if !slices.Equal(taken, []int{0, 1, 2}) || s.most != 3 {
			t.Errorf("the slots %v were taken, at most %d at once", taken, s.most)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if left := inFolder(t, dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
