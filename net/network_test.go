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
// connections between its convolutions. Those of the larger networks are in zoo_test.go.
func TestParameterCounts(t *testing.T) {
	tests := []struct {
		name    string
		input   [3]int
		outputs int
		want    int
		state   int
		flops   int64 // of a forward pass, a multiply-add as two
	}{
		{"softmax", [3]int{28, 28, 1}, 10, 7850, 0, 2 * 7840},
		{"cnn", [3]int{28, 28, 1}, 10, 1199882, 0, 2 * (26*26*9*32 + 24*24*9*32*64 + 9216*128 + 1280)},
		{"lenet5", [3]int{28, 28, 1}, 10, 61706, 0, 2 * (28*28*25*6 + 10*10*25*6*16 + 400*120 + 120*84 + 840)},
		{"mlp", [3]int{28, 28, 1}, 10, 109386, 0, 2 * (784*128 + 128*64 + 640)},
		{"cnn-smooth", [3]int{28, 28, 1}, 10, 1199882, 0, 2 * (26*26*9*32 + 24*24*9*32*64 + 9216*128 + 1280)},
		{"cnn+tanh+avg", [3]int{28, 28, 1}, 10, 1199882, 0, 2 * (26*26*9*32 + 24*24*9*32*64 + 9216*128 + 1280)},
		{"lenet5-smooth", [3]int{28, 28, 1}, 10, 61706, 0, 2 * (28*28*25*6 + 10*10*25*6*16 + 400*120 + 120*84 + 840)},
		{"cnn", [3]int{8, 8, 3}, 4, 3*3*3*32 + 32 + 3*3*32*64 + 64 + 2*2*64*128 + 128 + 128*4 + 4, 0, 2 * (36*27*32 + 16*9*32*64 + 256*128 + 512)},
		{"resnet20", [3]int{32, 32, 3}, 10, 269722, 2 * (7*16 + 6*32 + 6*64), 2 * (1024*27*16 + 6*1024*144*16 + 256*144*32 + 5*256*288*32 + 64*288*64 + 5*64*576*64 + 640)},
		{"resnet9", [3]int{32, 32, 3}, 10, 2274880, 2 * (64 + 3*128 + 3*256 + 128), 2 * (1024*27*64 + 256*1600*128 + 2*256*1152*128 + 256*1152*256 + 2*64*2304*256 + 36*2304*128 + 1280)},
		{"dncnn-s", [3]int{40, 40, 1}, 1, 556032, 2 * 15 * 64, 2 * 1600 * (576 + 15*36864 + 576)},
	}
	for _, tt := range tests {
		n, err := New(tt.name, tt.input, tt.outputs)
		if err != nil {
			t.Fatal(err)
		}
		theta, state := n.Init(1)
		if n.Size() != tt.want || len(theta) != tt.want || len(state) != tt.state || n.StateSize() != tt.state {
			t.Errorf("%s on %v: %d parameters, %d initial values, state %d; want %d and %d", tt.name, tt.input, n.Size(), len(theta), len(state), tt.want, tt.state)
		}
		if n.ForwardFLOPs != tt.flops {
			t.Errorf("%s on %v: %d operations, want %d", tt.name, tt.input, n.ForwardFLOPs, tt.flops)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name  string
		input [3]int
		want  []string
	}{
		{"lenet6", [3]int{28, 28, 1}, []string{"lenet6", "did you mean lenet5?", "cnn, dense", "wrn-28-10"}},
		{"resnet109-smooth", [3]int{28, 28, 1}, []string{`"resnet109"`, "did you mean resnet110?"}},
		{"WRN28-10+gelu", [3]int{28, 28, 1}, []string{"did you mean wrn-28-10?"}},
		{"xyz", [3]int{28, 28, 1}, []string{`unknown network "xyz"; known: cnn`}},
		{"vgg16-bn", [3]int{28, 28, 3}, []string{"28x28x3", "max-pooling by 2 needs at least 2x2, there is 1x1"}},
		{"densenet-bc-100-12", [3]int{3, 3, 1}, []string{"3x3x1", "average pooling by 2 needs at least 2x2, there is 1x1"}},
		{"cnn+swish", [3]int{28, 28, 1}, []string{"swish", "gelu, relu, silu, softplus, tanh", "avg, max"}},
		{"cnn+avg", [3]int{5, 5, 1}, []string{"5x5", "average pooling"}},
		{"cnn", [3]int{5, 5, 1}, []string{"5x5", "max-pooling"}}, // 5 -> 3 -> 1
		{"lenet5", [3]int{8, 8, 1}, []string{"lenet5", "8x8", "conv2"}},
		{"cnn-smooth", [3]int{5, 5, 1}, []string{"5x5", "average pooling"}},
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
	for _, n := range evaluated(t) {
		theta, state := n.Init(3)
		out, err := CallOnce(backend, func(in []*Node) *Node {
			pass := &Pass{Params: Unflatten(in[0], n.Params)}
			if len(in) > 2 {
				pass.State = Unflatten(in[2], n.State)
			}
			return n.Forward(pass, in[1])
		}, inputs(theta, state)...)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := out.Shape().Dimensions, append([]int{2}, n.Outputs...); !slices.Equal(got, want) {
			t.Errorf("%s: outputs of shape %v, want %v", n.Name, got, want)
		}
	}
}

// inputs are parameters, two images of 16x12x2 and, where there is one, the state.
func inputs(theta, state []float32) []any {
	x := make([]float32, 2*16*12*2)
	for i := range x {
		x[i] = float32(i%17)/8 - 1
	}
	in := []any{theta, tensors.FromFlatDataAndDimensions(x, 2, 16, 12, 2)}
	if len(state) > 0 {
		in = append(in, state)
	}
	return in
}

// With batch statistics the outputs of batch norm have mean 0 and variance 1 in every channel, and the running statistics
// move a tenth of the way from 0 and 1 to the batch's, the variance unbiased.
func TestBatchNormInTraining(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{dims: []int{16, 12, 2}}
	b.batchNorm("norm")
	n := &Network{Params: b.params, State: b.state, Forward: b.forward()}
	theta, state := n.Init(1)
	in := inputs(theta, state)
	out, err := CallOnceN(backend, func(theta, x, state *Node) []*Node {
		pass := &Pass{Params: Unflatten(theta, n.Params), State: Unflatten(state, n.State), NewState: make([]*Node, 2), Training: true}
		y := n.Forward(pass, x)
		return []*Node{y, Flatten(pass.NewState)}
	}, in...)
	if err != nil {
		t.Fatal(err)
	}
	moments := func(values []float32, channel int) (mean, variance float64) {
		n := float64(len(values) / 2)
		for i := channel; i < len(values); i += 2 {
			mean += float64(values[i]) / n
		}
		for i := channel; i < len(values); i += 2 {
			variance += (float64(values[i]) - mean) * (float64(values[i]) - mean) / n
		}
		return mean, variance
	}
	x, y := tensors.MustCopyFlatData[float32](in[1].(*tensors.Tensor)), tensors.MustCopyFlatData[float32](out[0])
	moved := tensors.MustCopyFlatData[float32](out[1])
	for c := range 2 {
		if mean, variance := moments(y, c); math.Abs(mean) > 1e-6 || math.Abs(variance-1) > 1e-4 {
			t.Errorf("channel %d of the output has mean %v and variance %v", c, mean, variance)
		}
		mean, variance := moments(x, c)
		const samples = 2 * 16 * 12
		wantMean, wantVariance := 0.1*mean, 0.9+0.1*variance*samples/(samples-1)
		if math.Abs(float64(moved[c])-wantMean) > 1e-6 || math.Abs(float64(moved[2+c])-wantVariance) > 1e-6 {
			t.Errorf("channel %d: running statistics %v and %v, want %v and %v", c, moved[c], moved[2+c], wantMean, wantVariance)
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
