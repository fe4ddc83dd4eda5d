package influence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// blobs is a source of small one-channel images around a mean picture for each class.
type blobs struct {
	height, width, classes int
	x                      [][]float32
	labels                 []int
}

// newBlobs draws n samples. The first features have a standard deviation above the distance of the means, so classes
// overlap.
func newBlobs(n, height, width, classes int, seed uint64) *blobs {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := &blobs{height: height, width: width, classes: classes}
	for range n {
		label := rng.IntN(classes)
		x := make([]float32, height*width)
		for j := range x {
			x[j] = float32(rng.NormFloat64())
			if j%classes == label {
				x[j] += 0.6
			}
		}
		b.x, b.labels = append(b.x, x), append(b.labels, label)
	}
	return b
}

func (b *blobs) Len() int          { return len(b.x) }
func (b *blobs) ID(i int) string   { return fmt.Sprint("blob/", i) }
func (b *blobs) InputDims() []int  { return []int{b.height, b.width, 1} }
func (b *blobs) TargetDims() []int { return []int{b.classes} }
func (b *blobs) Fill(i int, x, y []float32) {
	copy(x, b.x[i])
	clear(y)
	y[b.labels[i]] = 1
}

// span returns the positions from, ..., to-1.
func span(from, to int) []int {
	idx := make([]int, to-from)
	for i := range idx {
		idx[i] = from + i
	}
	return idx
}

func backend(t testing.TB, threads int) compute.Backend {
	t.Helper()
	b, err := cpu.New(fmt.Sprintf("threads=%d", threads))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

func normal(scale float64) net.Initializer {
	return func(rng *rand.Rand, _ []int, dst []float32) {
		for i := range dst {
			dst[i] = float32(scale * rng.NormFloat64())
		}
	}
}

const (
	smoothInputs, smoothHidden, smoothClasses = 6, 8, 3
)

// smooth is a network of 83 parameters without kinks: 2x3x1 inputs, 8 tanh units, 3 outputs.
func smooth() *net.Network {
	return &net.Network{
		Name: "smooth", Input: [3]int{2, 3, 1},
		Params: []net.Param{
			{Name: "hidden/kernel", Dims: []int{smoothInputs, smoothHidden}, Init: normal(0.5)},
			{Name: "hidden/bias", Dims: []int{smoothHidden}, Init: normal(0.5)},
			{Name: "out/kernel", Dims: []int{smoothHidden, smoothClasses}, Init: normal(0.5)},
			{Name: "out/bias", Dims: []int{smoothClasses}, Init: normal(0.5)},
		},
		Forward: func(p *net.Pass, x *Node) *Node {
			x = Reshape(x, x.Shape().Dimensions[0], -1)
			h := Tanh(dense(p, 0, x))
			return dense(p, 2, h)
		},
	}
}

// dense is a dense layer with the weights and the bias that begin at a parameter.
func dense(p *net.Pass, at int, x *Node) *Node {
	y := Add(Dot(x, p.Params[at]).Product(), ExpandAxes(p.Params[at+1], 0))
	if p.Tap != nil {
		p.Tap(net.Tap{Kind: net.TapDense, Weight: at, Bias: at + 1, Input: x, Output: y})
	}
	return y
}

// normalized is smooth behind batch norm: state mean [6] and variance [6].
func normalized() *net.Network {
	n := smooth()
	n.Name = "normalized"
	n.State = []net.Param{
		{Name: "mean", Dims: []int{smoothInputs}, Init: normal(0.5)},
		{Name: "variance", Dims: []int{smoothInputs}, Init: func(_ *rand.Rand, _ []int, dst []float32) {
			for i := range dst {
				dst[i] = 1 + float32(i)/4
			}
		}},
	}
	forward := n.Forward
	n.Forward = func(p *net.Pass, x *Node) *Node {
		x = Reshape(x, x.Shape().Dimensions[0], -1)
		mean, variance := p.State[0], p.State[1]
		if p.Training {
			mean = ReduceMean(x, 0)
			variance = ReduceMean(Square(Sub(x, ExpandAxes(mean, 0))), 0)
			copy(p.NewState, p.State)
		}
		return forward(p, Div(Sub(x, ExpandAxes(mean, 0)), Sqrt(ExpandAxes(variance, 0))))
	}
	return n
}

// smoothOutputs is the network smooth in plain Go and float64.
func smoothOutputs(theta []float64, x []float32) []float64 {
	h := append([]float64(nil), theta[smoothInputs*smoothHidden:][:smoothHidden]...)
	for j, v := range x {
		for k := range h {
			h[k] += float64(v) * theta[j*smoothHidden+k]
		}
	}
	out := theta[smoothInputs*smoothHidden+smoothHidden:]
	z := append([]float64(nil), out[smoothHidden*smoothClasses:]...)
	for k, v := range h {
		for c := range z {
			z[c] += math.Tanh(v) * out[k*smoothClasses+c]
		}
	}
	return z
}

// crossEntropy returns the loss and the probabilities for logits z.
func crossEntropy(z []float64, label int) (float64, []float64) {
	sum := 0.0
	p := make([]float64, len(z))
	for k, v := range z {
		p[k] = math.Exp(v)
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
	return math.Log(sum) - z[label], p
}

// newProblem is a problem on blobs: the first half trains, the second half scores.
func newProblem(b compute.Backend, n *net.Network, src *blobs, m *train.Model, weightDecay float64) *Problem {
	return &Problem{
		Backend: b, Net: n, Loss: train.CrossEntropy{}, Model: m, Source: src,
		Recipe: train.Recipe{WeightDecay: weightDecay},
		Train:  span(0, src.Len()/2), Score: span(src.Len()/2, src.Len()),
	}
}

func initial(n *net.Network, seed uint64) *train.Model {
	theta, state := n.Init(seed)
	return &train.Model{Theta: theta, State: state}
}

func wide(v []float32) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = float64(x)
	}
	return w
}

// apart returns |a - b| / |b|.
func apart(a, b []float64) float64 {
	diff, size := 0.0, 0.0
	for i := range b {
		diff += (a[i] - b[i]) * (a[i] - b[i])
		size += b[i] * b[i]
	}
	return math.Sqrt(diff / size)
}
