package train

import (
	"math"
	"reflect"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/net"
)

// TestClassification follows ten predictions by hand.
func TestClassification(t *testing.T) {
	ev := &Evaluation{
		Predicted:  []int{0, 0, 1, 2, 2, 1, 0, 2, 2, 2},
		Rank:       []int{0, 0, 1, 0, 5, 0, 4, 0, 1, 0},
		Confidence: []float32{0.95, 0.95, 0.95, 0.95, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5},
	}
	labels := []int{0, 0, 0, 2, 1, 1, 2, 2, 1, 2}
	got := ev.Classification(labels, 4)
	want := Classification{
		Confusion:     [][]int{{2, 1, 0, 0}, {0, 1, 2, 0}, {1, 0, 3, 0}, {0, 0, 0, 0}},
		ClassAccuracy: []float64{2.0 / 3, 1.0 / 3, 3.0 / 4, math.NaN()},
		TopFive:       0.9, // one of rank 5
		// At 0.95 three of four are right, at 0.5 three of six: 0.4 |0.75 - 0.95| + 0.6 |0.5 - 0.5|.
		CalibrationError: 0.4 * 0.2,
	}
	if !math.IsNaN(got.ClassAccuracy[3]) {
		t.Errorf("the accuracy on no samples is %v", got.ClassAccuracy[3])
	}
	got.ClassAccuracy, want.ClassAccuracy = got.ClassAccuracy[:3], want.ClassAccuracy[:3]
	if math.Abs(got.CalibrationError-want.CalibrationError) > 1e-7 {
		t.Errorf("calibration error %v, want %v", got.CalibrationError, want.CalibrationError)
	}
	got.CalibrationError = want.CalibrationError
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestCalibrationError(t *testing.T) {
	for _, test := range []struct {
		name       string
		confidence []float32
		correct    []bool
		want       float64
	}{
		{"sure and right", []float32{1, 1}, []bool{true, true}, 0},
		{"sure and wrong", []float32{1, 1}, []bool{false, false}, 1},
		{"met within a bin", []float32{0.75, 0.75, 0.75, 0.75}, []bool{true, true, false, true}, 0},
		// 0.6 is the upper end of the 9th bin of 15, (8/15, 9/15]; 0.61 is in the 10th. Within one bin errors cancel, over two they add.
		{"one bin", []float32{0.55, 0.59}, []bool{true, false}, math.Abs(0.45-0.59) / 2},
		{"two bins", []float32{0.55, 0.61}, []bool{true, false}, (0.45 + 0.61) / 2},
		{"all in the lowest", []float32{0.01, 0.05}, []bool{false, false}, 0.03},
	} {
		if got := CalibrationError(test.confidence, test.correct); math.Abs(got-test.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if got := CalibrationError(nil, nil); !math.IsNaN(got) {
		t.Errorf("of no predictions: %v", got)
	}
}

// TestEvaluateConfidenceAndRank compares with the outputs of a network that is its input, over a batch's end.
func TestEvaluateConfidenceAndRank(t *testing.T) {
	n := &net.Network{Name: "identity", Input: [3]int{1, classes, 1}, Outputs: []int{classes},
		Params:  []net.Param{{Name: "unused", Dims: []int{1}, Init: net.AllZeros}},
		Forward: func(p *net.Pass, x *Node) *Node { return Reshape(x, x.Shape().Dimensions[0], -1) }}
	src := logits{newBlobs(140, 6)}
	e := NewEngine(backend(t, 2), n, CrossEntropy{})
	defer e.Close()
	m := &Model{Theta: []float32{0}}
	idx := positions(140)
	ev, err := e.Evaluate(t.Context(), m, src, idx)
	if err != nil {
		t.Fatal(err)
	}
	z, y := make([]float32, classes), make([]float32, classes)
	for k, i := range idx {
		src.Fill(i, z, y)
		sum, rank, label := 0.0, 0, largest(y)
		for c, v := range z {
			sum += math.Exp(float64(v))
			if v > z[label] || v == z[label] && c < label {
				rank++
			}
		}
		p := math.Exp(float64(z[largest(z)])) / sum
		if math.Abs(float64(ev.Confidence[k])-p) > 1e-6 || ev.Rank[k] != rank || (rank == 0) != (ev.SampleMetric[k] == 1) {
			t.Errorf("sample %d with logits %v of class %d: confidence %v, rank %d, want %v and %d", i, z, label, ev.Confidence[k], ev.Rank[k], p, rank)
		}
	}
}

// logits shows the first features of blobs as the outputs of a classifier, every third sample with a tie.
type logits struct{ *blobs }

func (l logits) InputDims() []int { return []int{1, classes, 1} }
func (l logits) Fill(i int, x, y []float32) {
	l.blobs.Fill(i, make([]float32, features), y)
	for c := range x {
		x[c] = l.x[i][c%features]
	}
	if i%3 == 0 {
		x[classes-1] = x[0]
	}
}
