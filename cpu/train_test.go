package cpu_test

import (
	"math"
	"testing"
)

// TestTraining compares a few steps of training with the pure-Go backend.
func TestTraining(t *testing.T) {
	for name, n := range map[string]*testNetwork{"cnn": cnn(12, 11, 2, 5, 7, 9, 4), "residual": residual(9, 9, 2, 5, 4)} {
		t.Run(name, func(t *testing.T) {
			wantLoss, want := n.train(t, productReference(t), 6, 3)
			gotLoss, got := n.train(t, newBackend(t, ""), 6, 3)
			for i := range wantLoss {
				if d := math.Abs(float64(gotLoss[i] - wantLoss[i])); !(d < 1e-4) {
					t.Errorf("loss of step %d: %g, want %g", i, gotLoss[i], wantLoss[i])
				}
			}
			for i := range want {
				if d := math.Abs(float64(got[i] - want[i])); !(d < 2e-4) {
					t.Fatalf("parameter %d: %g, want %g", i, got[i], want[i])
				}
			}
		})
	}
}

// TestThreads trains with several numbers of threads, and wants the same bits.
func TestThreads(t *testing.T) {
	for name, n := range map[string]*testNetwork{"cnn": cnn(20, 22, 1, 16, 24, 40, 10), "residual": residual(15, 15, 3, 16, 10)} {
		_, want := n.train(t, newBackend(t, "threads=1"), 33, 3)
		for _, config := range []string{"threads=2", "threads=3", "threads=64"} {
			_, got := n.train(t, newBackend(t, config), 33, 3)
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%s, %s: parameter %d is %x, with one thread %x", name, config, i, got[i], want[i])
				}
			}
		}
	}
}
