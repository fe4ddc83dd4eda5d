package influence

import (
	"testing"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/floats"
)

// The products against gradients of the plain network by finite differences, a sample at a time.
func TestGradientProductsAgainstFiniteDifferences(t *testing.T) {
	src, n := newBlobs(40, 2, 3, 3, 1), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 1), 0)
	p.Train, p.Score = p.Train[:7], p.Score[:5] // seven: one pass of four directions and one of three
	got, err := GradientProducts(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	gradient := func(i int) []float64 {
		return fd.Gradient(nil, smoothLoss(src, []int{i}), wide(p.Model.Theta), central)
	}
	if len(got) != len(p.Train) {
		t.Fatalf("%d rows, want %d", len(got), len(p.Train))
	}
	for k, i := range p.Train {
		g, want := gradient(i), make([]float64, len(p.Score))
		for m, j := range p.Score {
			want[m] = floats.Dot(g, gradient(j))
		}
		if e := apart(got[k], want); e > 1e-5 {
			t.Errorf("sample %d: relative error %.2g", i, e)
		}
	}
}

func TestGradientProductsRefuseAPositionOutside(t *testing.T) {
	src, n := newBlobs(40, 2, 3, 3, 1), smooth()
	p := newProblem(backend(t, 1), n, src, initial(n, 1), 0)
	p.Train = []int{40}
	if _, err := GradientProducts(t.Context(), p); err == nil {
		t.Error("no error for a position outside the data set")
	}
}
