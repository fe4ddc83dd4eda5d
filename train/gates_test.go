package train

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/net"
)

// gated adds two branches, each with a gate: the network normalized, running statistics included, and half of the network
// linear.
func gated() *net.Network {
	n := normalized()
	n.Name, n.Gates = "gated", []float64{0.7, 0.4}
	forward := n.Forward
	n.Forward = func(p *net.Pass, x *Node) *Node {
		y := forward(p, x)
		half := MulScalar(dense(rows(x), p.Params[0], p.Params[1]), 0.5)
		if !p.Training {
			return Add(MulScalar(y, 0.7), MulScalar(half, 0.4))
		}
		first, second := Reshape(Slice(p.Gates, AxisElem(0))), Reshape(Slice(p.Gates, AxisElem(1)))
		for k, s := range p.NewState {
			p.NewState[k] = Add(Mul(first, s), Mul(OneMinus(first), p.State[k]))
		}
		return Add(Mul(first, y), Mul(second, half))
	}
	return n
}

// The gates of a step depend on seed and step alone, and are open as often as they should be.
func TestDrawGates(t *testing.T) {
	survival := []float64{0.99, 0.75, 0.5, 0.02}
	const steps = 4000
	open := make([]float64, len(survival))
	var all [][]float32
	for step := range steps {
		gates := []float32{9, 9, 9, 9}
		DrawGates(survival, 3, step, gates)
		for k, g := range gates {
			if g != 0 && g != 1 {
				t.Fatalf("step %d: gate %v", step, g)
			}
			open[k] += float64(g)
		}
		all = append(all, gates)
	}
	for k, p := range survival {
		if sd := math.Sqrt(steps * p * (1 - p)); math.Abs(open[k]-steps*p) > 4*sd {
			t.Errorf("the gate of probability %v is open in %v of %d steps", p, open[k], steps)
		}
	}
	again := make([]float32, len(survival))
	other := 0
	for step := steps - 1; step >= 0; step-- {
		DrawGates(survival, 3, step, again)
		if !slices.Equal(again, all[step]) {
			t.Fatalf("step %d has other gates when it is drawn again", step)
		}
		DrawGates(survival, 4, step, again)
		if !slices.Equal(again, all[step]) {
			other++
		}
	}
	if other < steps/4 { // two fair draws of the middle gates alone differ in 69 % of the steps
		t.Errorf("another seed changes the gates of %d steps of %d", other, steps)
	}
}

// TestGates trains a network with gates: the same bits again, on any number of threads, recorded, and in a trajectory,
// which goes back over the gates of every step; and other ones than without gates.
func TestGates(t *testing.T) {
	src := newBlobs(40, 4)
	idx := positions(37)
	const seed = 9
	r := Recipe{Epochs: 3, BatchSize: 8, LearningRate: 0.1, Momentum: 0.9}
	var want *Model
	for _, threads := range []int{1, 2} {
		n := gated()
		e := NewEngine(backend(t, threads), n, CrossEntropy{})
		defer e.Close()
		m, err := e.Train(t.Context(), src, idx, r, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = m
		}
		recorded, _, err := e.TrainRecorded(t.Context(), src, idx, r, seed, Recording{Dynamics: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		same := func(what string, got *Model) {
			if !slices.Equal(got.Theta, want.Theta) || !slices.Equal(got.State, want.State) {
				t.Errorf("on %d threads %s gives other bits", threads, what)
			}
		}
		same("training", m)
		same("recorded training", recorded)
		ones := make([]float32, len(idx))
		for k := range ones {
			ones[k] = 1
		}
		weighted, err := e.TrainWeighted(t.Context(), src, idx, ones, r, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, x := range weighted.Theta {
			if math.Abs(float64(x-want.Theta[k])) > 1e-5 {
				t.Fatalf("weights of one give parameter %d the value %v, want %v", k, x, want.Theta[k])
			}
		}
		for _, memory := range []int64{1 << 20, int64(4 * (n.Size() + n.StateSize()) * 11)} {
			tr, err := e.Trajectory(t.Context(), src, idx, r, seed, memory, nil)
			if err != nil {
				t.Fatal(err)
			}
			same("a trajectory", tr.Final())
			skipped, gates := 0, make([]float32, len(n.Gates))
			if err := tr.Backward(t.Context(), func(m Moment) error {
				DrawGates(n.Gates, seed, m.Step, gates)
				return tensors.ConstFlatData(m.Gates, func(got []float32) {
					if !slices.Equal(got, gates) {
						t.Errorf("step %d goes back over the gates %v, want %v", m.Step, got, gates)
					}
					if slices.Contains(got, 0) {
						skipped++
					}
				})
			}); err != nil {
				t.Fatal(err)
			}
			if skipped == 0 || skipped == tr.Steps() {
				t.Errorf("%d of %d steps skip a block", skipped, tr.Steps())
			}
			tr.Close()
		}
	}
	open := gated()
	open.Gates = []float64{1, 1}
	e := NewEngine(backend(t, 2), open, CrossEntropy{})
	defer e.Close()
	if m, err := e.Train(t.Context(), src, idx, r, seed, nil); err != nil || slices.Equal(m.Theta, want.Theta) {
		t.Errorf("gates that are always open change nothing (%v)", err)
	}
}
