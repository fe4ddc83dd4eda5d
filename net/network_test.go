package net

import (
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
)

// The counts of cnn and lenet5 are those of PyTorch's MNIST example without dropout and of LeNet-5 with full
// connections between its convolutions.
func TestParameterCounts(t *testing.T) {
	tests := []struct {
		name    string
		input   [3]int
		outputs int
		want    int
	}{
		{"softmax", [3]int{28, 28, 1}, 10, 7850},
		{"cnn", [3]int{28, 28, 1}, 10, 1199882},
		{"lenet5", [3]int{28, 28, 1}, 10, 61706},
		{"cnn", [3]int{8, 8, 3}, 4, 3*3*3*32 + 32 + 3*3*32*64 + 64 + 2*2*64*128 + 128 + 128*4 + 4},
	}
	for _, tt := range tests {
		n, err := New(tt.name, tt.input, tt.outputs)
		if err != nil {
			t.Fatal(err)
		}
		theta, state := n.Init(1)
		if n.Size() != tt.want || len(theta) != tt.want || len(state) != 0 || n.StateSize() != 0 {
			t.Errorf("%s on %v: %d parameters, %d initial values, state %d; want %d", tt.name, tt.input, n.Size(), len(theta), len(state), tt.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name  string
		input [3]int
		want  []string
	}{
		{"lenet6", [3]int{28, 28, 1}, []string{"lenet6", "cnn, lenet5, softmax"}},
		{"cnn", [3]int{5, 5, 1}, []string{"5x5", "max-pooling"}}, // 5 -> 3 -> 1
		{"lenet5", [3]int{8, 8, 1}, []string{"lenet5", "8x8", "conv2"}},
		{"softmax", [3]int{0, 28, 1}, []string{"0x28x1"}},
	}
	for _, tt := range tests {
		_, err := New(tt.name, tt.input, 10)
		if err == nil {
			t.Errorf("%s on %v: no error", tt.name, tt.input)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s on %v: %v does not name %q", tt.name, tt.input, err, want)
			}
		}
	}
}

func TestForwardShapes(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		n, err := New(name, [3]int{16, 12, 2}, 5)
		if err != nil {
			t.Fatal(err)
		}
		theta, _ := n.Init(3)
		out, err := CallOnce(backend, func(theta, x *Node) *Node {
			return n.Forward(&Pass{Params: Unflatten(theta, n.Params)}, x)
		}, theta, tensors.FromFlatDataAndDimensions(make([]float32, 2*16*12*2), 2, 16, 12, 2))
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Shape().Dimensions; !slices.Equal(got, []int{2, 5}) {
			t.Errorf("%s: outputs of shape %v, want [2 5]", name, got)
		}
	}
}

func TestFlattenUndoesUnflatten(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	n, err := New("lenet5", [3]int{20, 20, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	theta, _ := n.Init(7)
	out, err := CallOnce(backend, func(theta *Node) *Node { return Flatten(Unflatten(theta, n.Params)) }, theta)
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](out); !slices.Equal(got, theta) {
		t.Error("the vector changed on its way through the tensors")
	}
	if _, err := CallOnce(backend, func(theta *Node) *Node { return Unflatten(theta, n.Params)[0] }, theta[1:]); err == nil {
		t.Error("a vector of the wrong length was cut up")
	}
}

// The spread of He's and Glorot's draws is known; each tensor of n values has a relative error of about 1/sqrt(2n).
func TestInitialValues(t *testing.T) {
	n, err := New("cnn", [3]int{28, 28, 1}, 10)
	if err != nil {
		t.Fatal(err)
	}
	theta, _ := n.Init(5)
	again, _ := n.Init(5)
	other, _ := n.Init(6)
	if !slices.Equal(theta, again) {
		t.Error("the same seed gave other values")
	}
	if slices.Equal(theta, other) {
		t.Error("another seed gave the same values")
	}
	variance := map[string]float64{
		"conv2/kernel":   2.0 / (9 * 32),
		"dense1/weights": 2.0 / 9216,
		"dense2/weights": 2.0 / (128 + 10),
	}
	at := 0
	for _, p := range n.Params {
		values := theta[at : at+product(p.Dims)]
		at += len(values)
		sum := 0.0
		for _, v := range values {
			sum += float64(v) * float64(v)
		}
		want, ok := variance[p.Name]
		if strings.HasSuffix(p.Name, "/bias") {
			want, ok = 0, true
		}
		if got := sum / float64(len(values)); ok && math.Abs(got-want) > 0.1*want {
			t.Errorf("%s: variance %v, want %v", p.Name, got, want)
		}
	}
}
