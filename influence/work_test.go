package influence

import (
	"context"
	"testing"
)

// What an estimator says that it evaluates is what it does: progress reaches the most that there may be with the last batch,
// or goes there at once where a solver stopped by itself.
func TestWorkIsWhatIsEvaluated(t *testing.T) {
	p, _ := planted(t)
	p.Folds = 3
	for _, tt := range []struct {
		name     string
		options  Options
		adaptive bool
	}{
		{"cg", Options{}, true},
		{"cg", Options{HessianSamples: 50, Preconditioner: DiagonalPreconditioner}, true},
		{"cg", Options{HessianSamples: 50, Preconditioner: KroneckerPreconditioner}, true},
		{"arnoldi", Options{Rank: 4}, true},
		{"ekfac", Options{HessianSamples: 40}, false},
		{"self", Options{}, false},
		{"graddot", Options{}, false},
		{"gradcos", Options{}, false},
		{"loss", Options{}, false},
	} {
		e := estimator(t, tt.name, tt.options)
		want := most(e.Work(p))
		last, told, early := 0, 0, 0
		_, err := e.Score(context.Background(), p, func(done, total int) {
			if last == total {
				early++
			}
			last, told = done, total
		})
		if err != nil {
			t.Fatal(err)
		}
		if told != want || last != want {
			t.Errorf("%s: %d of %d samples evaluated, planned %d", tt.name, last, told, want)
		}
		if !tt.adaptive && early > 0 {
			t.Errorf("%s: %d batches more than planned", tt.name, early)
		}
	}
}

// The usual number of iterations is near what the solver takes for a curvature of about the usual size, and never above the most.
func TestUsualIterations(t *testing.T) {
	for _, tt := range []struct {
		damping   float64
		most      int
		low, high int
	}{
		{1, 100, 10, 20}, // the range that the defaults were chosen in
		{100, 100, 2, 5},
		{0.01, 100, 100, 100},
		{1, 5, 5, 5},
		{0, 70, 70, 70},
	} {
		o := Options{Tolerance: 1e-2, MaxIterations: tt.most}
		if n := o.usualIterations(tt.damping); n < tt.low || n > tt.high {
			t.Errorf("damping %g, at most %d: %d iterations, want %d to %d", tt.damping, tt.most, n, tt.low, tt.high)
		}
	}
}
