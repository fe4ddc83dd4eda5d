package train

import (
	"slices"
	"testing"

	"github.com/datadropout/datadropout/net"
)

// The features, through the last layer in plain Go, give the predictions; and a row has the same bits in any company.
func TestFeaturesAreWhatTheLastLayerReads(t *testing.T) {
	src := pictures{newBlobs(60, 1)}
	n, err := net.New("mlp", [3]int{8, 8, 1}, src.TargetDims()[0])
	if err != nil {
		t.Fatal(err)
	}
	e := NewEngine(backend(t, 2), n, CrossEntropy{})
	defer e.Close()
	m := &Model{}
	m.Theta, m.State = n.Init(3)
	idx := positions(src.Len())
	rows, width, err := e.Features(t.Context(), m, src, idx)
	if err != nil {
		t.Fatal(err)
	}
	if width != 64 || len(rows) != 64*len(idx) {
		t.Fatalf("%d values in rows of %d, want rows of 64 for %d samples", len(rows), width, len(idx))
	}
	evaluation, err := e.Evaluate(t.Context(), m, src, idx)
	if err != nil {
		t.Fatal(err)
	}
	outputs := n.Outputs[0]
	last := m.Theta[len(m.Theta)-(64+1)*outputs:]
	kernel, bias := last[:64*outputs], last[64*outputs:]
	for i := range idx {
		logits := slices.Clone(bias)
		for j, x := range rows[i*64:][:64] {
			for c := range logits {
				logits[c] += x * kernel[j*outputs+c]
			}
		}
		best := slices.Index(logits, slices.Max(logits))
		if best != evaluation.Predicted[i] {
			t.Errorf("sample %d: the features lead to class %d, the network predicts %d", i, best, evaluation.Predicted[i])
		}
	}
	alone, _, err := e.Features(t.Context(), m, src, idx[5:6])
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(alone, rows[5*64:6*64]) {
		t.Error("the features of a sample depend on what is asked for with it")
	}
}

func TestFeaturesOfANetworkWithoutDenseLayer(t *testing.T) {
	n, err := net.New("dncnn-s", [3]int{8, 8, 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	e := NewEngine(backend(t, 1), n, SquaredError{})
	defer e.Close()
	m := &Model{}
	m.Theta, m.State = n.Init(3)
	rows, width, err := e.Features(t.Context(), m, pictures{newBlobs(60, 1)}, positions(3))
	if err != nil || width != 0 || len(rows) != 0 {
		t.Errorf("%d values in rows of %d, error %v; want none", len(rows), width, err)
	}
}
