package train

import (
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// shifted is a source whose inputs are shifted by a number that tells seed, epoch and position.
type shifted struct{ *blobs }

func (s shifted) FillEpoch(i int, seed, epoch uint64, input, target []float32) {
	s.Fill(i, input, target)
	for k := range input {
		input[k] += float32(seed)/100 + float32(epoch)/10 + float32(i)/1000
	}
}

// TestVaryingSource trains on samples that differ from epoch to epoch: every step sees those of its epoch, over the ends of
// epochs within a batch too, again in the same way when a trajectory goes back, and evaluation sees none of it.
func TestVaryingSource(t *testing.T) {
	plain := newBlobs(40, 4)
	src := shifted{plain}
	e := NewEngine(backend(t, 2), normalized(), CrossEntropy{})
	defer e.Close()
	idx := positions(37)
	const seed = 9
	r := Recipe{Epochs: 3, BatchSize: 8, LearningRate: 0.1, Momentum: 0.9}
	want, err := e.Train(t.Context(), src, idx, r, seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := e.Train(t.Context(), plain, idx, r, seed, nil); err != nil || slices.Equal(same.Theta, want.Theta) {
		t.Errorf("training on shifted samples ends where training on plain ones does (%v)", err)
	}
	tr, err := e.Trajectory(t.Context(), src, idx, r, seed, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if !slices.Equal(tr.Final().Theta, want.Theta) {
		t.Error("the trajectory ends elsewhere than Train")
	}
	size := len(newInput(src))
	seen := map[uint64]bool{}
	if err := tr.Backward(t.Context(), func(m Moment) error {
		var got []float32
		if err := tensors.ConstFlatData(m.Batch.X, func(x []float32) { got = slices.Clone(x) }); err != nil {
			return err
		}
		input, target := newInput(src), make([]float32, src.TargetDims()[0])
		for k, i := range m.Positions {
			epoch := uint64((m.Step*r.BatchSize + k) / len(idx))
			seen[epoch] = true
			src.FillEpoch(i, seed, epoch, input, target)
			if !slices.Equal(got[k*size:(k+1)*size], input) {
				t.Errorf("step %d shows sample %d other than epoch %d does", m.Step, i, epoch)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != r.Epochs {
		t.Errorf("%d epochs seen, want %d", len(seen), r.Epochs)
	}
	a, err := e.Evaluate(t.Context(), want, src, idx)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Evaluate(t.Context(), want, plain, idx)
	if err != nil || a.Loss != b.Loss {
		t.Errorf("evaluation sees shifted samples: loss %v, plain %v (%v)", a.Loss, b.Loss, err)
	}
}

// newInput returns room for one input of the source.
func newInput(src shifted) []float32 {
	n := 1
	for _, d := range src.InputDims() {
		n *= d
	}
	return make([]float32, n)
}
