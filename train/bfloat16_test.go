package train

import (
	"context"
	"math"
	"testing"

	"github.com/gomlx/compute/gobackend"

	"github.com/datadropout/datadropout/net"
)

// A training with products in bfloat16 learns as one in float32 does, and its parameters are float32: steps that bfloat16 could not tell
// add up.
func TestTrainInBFloat16(t *testing.T) {
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	n, err := net.New("cnn", [3]int{8, 8, 1}, classes)
	if err != nil {
		t.Fatal(err)
	}
	src, r := pictures{newBlobs(60, 2)}, Recipe{Epochs: 4, BatchSize: 10, LearningRate: 0.01, Momentum: 0.9, Schedule: "constant"}
	losses := map[bool][]float64{}
	for _, mixed := range []bool{false, true} {
		if mixed {
			n = n.BFloat16()
		}
		e := NewEngine(b, n, CrossEntropy{})
		defer e.Close()
		m, err := e.Train(t.Context(), src, positions(60), r, 3, func(p Progress) { losses[mixed] = append(losses[mixed], p.Loss) })
		if err != nil {
			t.Fatal(err)
		}
		ev, err := e.Evaluate(t.Context(), m, src, positions(60))
		if err != nil {
			t.Fatal(err)
		}
		first, last := losses[mixed][0], losses[mixed][len(losses[mixed])-1]
		if !(last < 0.7*first && ev.Loss < 0.7*first) {
			t.Errorf("bfloat16 %v: the loss went from %v to %v, evaluated %v", mixed, first, last, ev.Loss)
		}
		finer := 0
		for _, x := range m.Theta {
			if math.Float32bits(x)&0xffff != 0 {
				finer++
			}
		}
		if finer < len(m.Theta)/2 {
			t.Errorf("bfloat16 %v: %d of %d parameters have more digits than bfloat16 holds", mixed, finer, len(m.Theta))
		}
	}
	apart, largest := 0.0, 0.0
	for k, want := range losses[false] {
		apart, largest = max(apart, math.Abs(losses[true][k]-want)), max(largest, want)
	}
	if !(apart > 0 && apart < 0.02*largest) {
		t.Errorf("the losses differ by up to %v of %v, want a little", apart, largest)
	}
}

// What is kept of a training is continued in its own precision only.
func TestTrainInBFloat16KeepsApart(t *testing.T) {
	src, n := newBlobs(20, 2), linear()
	kept := rungs{}
	first := func(n *net.Network, stop int) (step int) {
		e := NewEngine(backend(t, 1), n, CrossEntropy{})
		defer e.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, _ = e.TrainKept(ctx, src, positions(20), recipe, 1, Recording{}, Keep{Scratch: kept}, func(p Progress) {
			if step == 0 {
				step = p.Step
			}
			if p.Step == stop {
				cancel()
			}
		})
		return step
	}
	if step := first(n, 3); step != 1 {
		t.Fatalf("a training began with step %d", step)
	}
	if step := first(n, 4); step != 4 {
		t.Errorf("the training went on with step %d", step)
	}
	if step := first(n.BFloat16(), 2); step != 1 {
		t.Errorf("a training in bfloat16 went on with step %d of one in float32", step)
	}
}
