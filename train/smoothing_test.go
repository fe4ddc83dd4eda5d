package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// softened is a source whose targets are smoothed by themselves.
type softened struct {
	*blobs
	epsilon float32
}

func (s softened) Fill(i int, x, y []float32) {
	s.blobs.Fill(i, x, y)
	for k := range y {
		y[k] = (1-s.epsilon)*y[k] + s.epsilon/float32(len(y))
	}
}

// TestTrainSmoothsLabels: training by a recipe that smooths labels is training on smoothed targets, with weights and in a trajectory,
// too; evaluation and what is recorded of samples know the plain labels only.
func TestTrainSmoothsLabels(t *testing.T) {
	src, n := newBlobs(40, 1), linear()
	idx := positions(40)
	r := recipe
	r.LabelSmoothing = 0.3
	soft := softened{src, 0.3}
	e := NewEngine(backend(t, 2), n, CrossEntropy{})
	defer e.Close()
	want, recorded, err := e.TrainRecorded(t.Context(), soft, idx, recipe, 5, Recording{Dynamics: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, record, err := e.TrainRecorded(t.Context(), src, idx, r, 5, Recording{Dynamics: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b []float32) bool {
		return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Abs(float64(x-y)) < 1e-6 })
	}
	if !near(got.Theta, want.Theta) {
		t.Error("the recipe's smoothing gives another model than smoothed targets")
	}
	if !slices.EqualFunc(record.EL2N, recorded.EL2N, func(a, b float64) bool { return math.Abs(a-b) < 1e-6 }) {
		t.Error("EL2N depends on the smoothing of targets")
	}
	tr, err := e.Trajectory(t.Context(), src, idx, r, 5, 1<<24, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if !slices.Equal(tr.Final().Theta, got.Theta) {
		t.Error("the trajectory ends elsewhere")
	}
	ones := slices.Repeat([]float32{1}, len(idx))
	if w, err := e.TrainWeighted(t.Context(), src, idx, ones, r, 5, nil); err != nil || !near(w.Theta, got.Theta) {
		t.Errorf("with weights of one another model (%v)", err)
	}
	plain, err := e.Train(t.Context(), src, idx, recipe, 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	if near(plain.Theta, got.Theta) {
		t.Error("smoothing changes nothing")
	}
	a, err := e.Evaluate(t.Context(), got, src, idx)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := e.Evaluate(t.Context(), got, soft, idx); err != nil || math.Abs(a.Loss-b.Loss) < 1e-3 {
		t.Errorf("evaluation is not of the plain labels (%v)", err)
	}

	e2 := NewEngine(backend(t, 1), n, SquaredError{})
	defer e2.Close()
	if _, err := e2.Train(t.Context(), src, idx, r, 5, nil); err == nil || !strings.Contains(err.Error(), "label smoothing is for the cross-entropy of classes") {
		t.Errorf("of the squared error: %v", err)
	}
}

// TestBatchSmooths holds the targets of a batch to the equation.
func TestBatchSmooths(t *testing.T) {
	src := newBlobs(3, 1)
	b := NewBatch(src, 4)
	defer b.Close()
	if before := b.Smooth(0.25); before != 0 {
		t.Errorf("it was smoothed by %v", before)
	}
	if err := b.Fill([]int{2, 0}); err != nil {
		t.Fatal(err)
	}
	classes := src.TargetDims()[0]
	y := tensors.MustCopyFlatData[float32](b.Y)
	for k, i := range []int{2, 0} {
		for c := range classes {
			want := 0.25 / float64(classes)
			if c == src.labels[i] {
				want += 0.75
			}
			if math.Abs(float64(y[k*classes+c])-want) > 1e-7 {
				t.Errorf("sample %d, class %d: %v, want %v", i, c, y[k*classes+c], want)
			}
		}
	}
	if rest := y[2*classes:]; slices.Max(rest) != 0 { // padding
		t.Errorf("padding has the targets %v", rest)
	}
	if before := b.Smooth(0); before != 0.25 {
		t.Errorf("it was smoothed by %v", before)
	}
}
