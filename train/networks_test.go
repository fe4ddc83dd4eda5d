package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/net"
)

// blobs is a source of 2x3x1 inputs around a mean for each of three classes.
type blobs struct {
	x      [][]float32
	labels []int
}

const (
	features = 6
	classes  = 3
)

func newBlobs(n int, seed uint64) *blobs {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := &blobs{}
	for range n {
		label := rng.IntN(classes)
		x := make([]float32, features)
		for j := range x {
			x[j] = float32(rng.NormFloat64())
			if j%classes == label {
				x[j]++
			}
		}
		b.x, b.labels = append(b.x, x), append(b.labels, label)
	}
	return b
}

func (b *blobs) Len() int          { return len(b.x) }
func (b *blobs) ID(i int) string   { return fmt.Sprint("blob/", i) }
func (b *blobs) InputDims() []int  { return []int{2, 3, 1} }
func (b *blobs) TargetDims() []int { return []int{classes} }
func (b *blobs) Fill(i int, x, y []float32) {
	copy(x, b.x[i])
	clear(y)
	y[b.labels[i]] = 1
}

func positions(n int) []int {
	idx := make([]int, n)
	for i := range idx {
		idx[i] = i
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

func constant(value float32) net.Initializer {
	return func(_ *rand.Rand, _ []int, dst []float32) {
		for i := range dst {
			dst[i] = value
		}
	}
}

func dense(x, kernel, bias *Node) *Node {
	return Add(Dot(x, kernel).Product(), ExpandAxes(bias, 0))
}

func rows(x *Node) *Node { return Reshape(x, x.Shape().Dimensions[0], -1) }

// linear is softmax regression: kernel [6, 3], then bias [3].
func linear() *net.Network {
	return &net.Network{
		Name: "linear", Input: [3]int{2, 3, 1}, Outputs: []int{classes},
		Params: []net.Param{
			{Name: "kernel", Dims: []int{features, classes}, Init: normal(0.1)},
			{Name: "bias", Dims: []int{classes}, Init: normal(0.1)},
		},
		Forward: func(p *net.Pass, x *Node) *Node { return dense(rows(x), p.Params[0], p.Params[1]) },
	}
}

// normalized is softmax regression over inputs that are normalized by the batch in training and by running statistics
// otherwise: state mean [6] from 0, variance [6] from 1, with momentum 0.9.
func normalized() *net.Network {
	n := linear()
	n.Name = "normalized"
	n.State = []net.Param{
		{Name: "mean", Dims: []int{features}, Init: constant(0)},
		{Name: "variance", Dims: []int{features}, Init: constant(1)},
	}
	n.Forward = func(p *net.Pass, x *Node) *Node {
		x = rows(x)
		mean, variance := p.State[0], p.State[1]
		if p.Training {
			mean = ReduceMean(x, 0)
			variance = ReduceMean(Square(Sub(x, ExpandAxes(mean, 0))), 0)
			p.NewState[0] = Add(MulScalar(p.State[0], 0.9), MulScalar(mean, 0.1))
			p.NewState[1] = Add(MulScalar(p.State[1], 0.9), MulScalar(variance, 0.1))
		}
		x = Div(Sub(x, ExpandAxes(mean, 0)), Sqrt(AddScalar(ExpandAxes(variance, 0), 1e-5)))
		return dense(x, p.Params[0], p.Params[1])
	}
	return n
}

// reference is softmax regression in plain Go and float64: the oracle of the graphs. theta is kernel, then bias.
type reference struct{ theta []float64 }

func newReference(theta []float32) *reference {
	r := &reference{theta: make([]float64, len(theta))}
	for i, v := range theta {
		r.theta[i] = float64(v)
	}
	return r
}

// logits returns the outputs for one input.
func (r *reference) logits(x []float32) []float64 {
	z := append([]float64(nil), r.theta[features*classes:]...)
	for j, v := range x {
		for k := range z {
			z[k] += float64(v) * r.theta[j*classes+k]
		}
	}
	return z
}

// loss returns the cross-entropy of one sample and the probabilities.
func (r *reference) loss(x []float32, label int) (float64, []float64) {
	p := r.logits(x)
	z, sum := p[label], 0.0
	for k, v := range p {
		p[k] = math.Exp(v)
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
	return math.Log(sum) - z, p
}

// gradient returns the mean loss and its gradient over the samples.
func (r *reference) gradient(b *blobs, idx []int) (float64, []float64) {
	mean, g := 0.0, make([]float64, len(r.theta))
	for _, i := range idx {
		l, p := r.loss(b.x[i], b.labels[i])
		mean += l / float64(len(idx))
		p[b.labels[i]]--
		for k, e := range p {
			e /= float64(len(idx))
			for j, v := range b.x[i] {
				g[j*classes+k] += float64(v) * e
			}
			g[features*classes+k] += e
		}
	}
	return mean, g
}
