package influence

import (
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// softened is a source whose first samples, which train, have smoothed targets by themselves.
type softened struct {
	*blobs
	first   int
	epsilon float32
}

func (s softened) Fill(i int, x, y []float32) {
	s.blobs.Fill(i, x, y)
	if i < s.first {
		for k := range y {
			y[k] = (1-s.epsilon)*y[k] + s.epsilon/float32(len(y))
		}
	}
}

// TestEstimatorsFollowSmoothing: for a recipe that smooths labels every estimator scores as it does for a plain recipe on training
// samples whose targets are smoothed already, and it matters. Curvature by the Hessian, which depends on the targets, is among them.
func TestEstimatorsFollowSmoothing(t *testing.T) {
	src := newBlobs(80, 2, 3, 3, 4)
	n, err := net.New("mlp-smooth", [3]int{2, 3, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	const epsilon = 0.3
	plain := metaRecipe
	r := plain
	r.LabelSmoothing = epsilon
	b := backend(t, 2)
	e := train.NewEngine(b, n, train.CrossEntropy{})
	defer e.Close()
	m, err := e.Train(t.Context(), src, span(0, 40), r, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := newProblem(b, n, src, m, 0)
	p.Recipe, p.TrainSeed, p.Folds = r, 3, 2
	oracle := *p
	oracle.Recipe, oracle.Source = plain, softened{src, 40, epsilon}
	unaware := *p
	unaware.Recipe = plain
	for _, test := range []struct {
		name string
		o    Options
		same bool // whether scores don't depend on the targets of training but by the model
	}{
		{"cg", Options{Damping: 0.5}, false},
		{"cg", Options{Damping: 2, Curvature: Hessian}, false},
		{"cg", Options{Damping: 0.5, Preconditioner: "kronecker"}, false},
		{"lissa", Options{Damping: 1}, false},
		{"arnoldi", Options{Rank: 3}, false},
		{"ekfac", Options{Damping: 0.1}, false},
		{"self", Options{Damping: 0.1}, false},
		{"graddot", Options{}, false},
		{"gradcos", Options{}, false},
		{"tracin", Options{Checkpoints: 2}, false},
		{"grand", Options{}, false},
		{"metagradient", Options{NoSmoothnessCheck: true}, false},
		{"aum", Options{}, true},
		{"el2n", Options{}, true},
		{"forgetting", Options{}, true},
	} {
		est := estimator(t, test.name, test.o.WithDefaults(test.name))
		got, want := score(t, est, p), score(t, est, &oracle)
		if !(apart(got.Delta, want.Delta) < 1e-5) || floats.Norm(want.Delta, 2) == 0 {
			t.Errorf("%s %+v: relative error %.2g", test.name, test.o, apart(got.Delta, want.Delta))
		}
		if test.same || test.name == "metagradient" || test.name == "tracin" || test.name == "grand" {
			continue // those repeat the training, which the plain recipe ends elsewhere
		}
		if without := score(t, est, &unaware); apart(without.Delta, want.Delta) < 1e-3 {
			t.Errorf("%s %+v: smoothing changes nothing", test.name, test.o)
		}
	}
	got, err := GradientProducts(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	want, err := GradientProducts(t.Context(), &oracle)
	if err != nil {
		t.Fatal(err)
	}
	if e := apart(slices.Concat(got...), slices.Concat(want...)); !(e < 1e-5) {
		t.Errorf("products of gradients: relative error %.2g", e)
	}
}

func TestSmoothingIsForClasses(t *testing.T) {
	src, n := newBlobs(20, 2, 3, 3, 4), smooth()
	p := newProblem(backend(t, 1), n, src, initial(n, 1), 0)
	p.Loss, p.Recipe.LabelSmoothing = train.SquaredError{}, 0.1
	if _, err := estimator(t, "graddot", Options{}).Score(t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), "label smoothing is for the cross-entropy of classes") {
		t.Errorf("error %v", err)
	}
}
