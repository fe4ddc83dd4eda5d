package influence

import (
	"errors"
	"math"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// eigenvalues returns those of a symmetric matrix, ascending, and its eigenvectors as columns.
func eigenvalues(a mat.Symmetric) ([]float64, *mat.Dense) {
	var e mat.EigenSym
	if !e.Factorize(a, true) {
		panic("no eigenvalues")
	}
	var v mat.Dense
	e.VectorsTo(&v)
	return e.Values(nil), &v
}

func TestLanczosSpaceIsOrthonormalAndFindsTheSpectrum(t *testing.T) {
	values := make([]float64, 30)
	for i := range values {
		values[i] = math.Pow(1.5, float64(i-20)) // 3e-4 to 38: a basis without reorthogonalisation falls apart
	}
	values[3] = -7
	k, err := lanczos(product(spectrum(values)), randomVector(30, 4), 100, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range k.basis {
		for j, u := range k.basis[:i+1] {
			want := 0.0
			if i == j {
				want = 1
			}
			if got := floats.Dot(u, v); math.Abs(got-want) > 1e-12 {
				t.Errorf("v_%d . v_%d = %v, want %v", i, j, got, want)
			}
		}
	}
	pairs := k.pairs()
	byMagnitude(pairs)
	want := []float64{values[29], values[28], values[27], values[26], values[25], -7}
	for i, w := range want {
		if math.Abs(pairs[i].value-w) > 1e-9 || pairs[i].bound > 1e-4 {
			t.Errorf("eigenvalue %d by magnitude: %v within %.2g, want %v", i, pairs[i].value, pairs[i].bound, w)
		}
	}
}

// TestRitzBound checks that the bound of every pair is its residual, and that an eigenvalue lies within.
func TestRitzBound(t *testing.T) {
	values := []float64{-2, 0, 0.1, 0.2, 1, 2, 3, 5, 8, 13, 21, 34}
	a := spectrum(values)
	k, err := lanczos(product(a), randomVector(len(values), 4), 5, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range k.pairs() {
		u, au := make([]float64, len(values)), make([]float64, len(values))
		for j, v := range k.basis {
			floats.AddScaled(u, pair.y[j], v)
		}
		if err := product(a)(u, au); err != nil {
			t.Fatal(err)
		}
		floats.AddScaled(au, -pair.value, u)
		if got := floats.Norm(au, 2); math.Abs(got-pair.bound) > 1e-10 {
			t.Errorf("Ritz value %v has the residual %v, and the bound says %v", pair.value, got, pair.bound)
		}
		nearest := math.Inf(1)
		for _, v := range values {
			nearest = min(nearest, math.Abs(v-pair.value))
		}
		if nearest > pair.bound {
			t.Errorf("Ritz value %v is %v from the nearest eigenvalue, and the bound says %v", pair.value, nearest, pair.bound)
		}
	}
}

func TestLargestEigenvalue(t *testing.T) {
	many := make([]float64, 200)
	for i := range many {
		many[i] = math.Pow(float64(i+1)/200, 3) * 25
	}
	for _, test := range []struct {
		name     string
		values   []float64
		products int // at most
		smallest float64
	}{
		{"one eigenvalue", []float64{3, 3, 3, 3}, 1, 3},
		{"two eigenvalues", []float64{1, 1, 1, 4}, 2, 1},
		{"none above zero", []float64{-1, -1, -1, -4}, 2, -4},
		{"no curvature", []float64{0, 0, 0}, 1, 0},
		{"many", many, 30, many[0]},
		{"indefinite", []float64{-9, 1, 2, 3, 4, 5, 6, 7, 30}, 9, -9},
	} {
		a := spectrum(test.values)
		got, err := largestEigenvalue(product(a), randomVector(len(test.values), 3), 1e-2, 30, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := test.values[0]
		for _, v := range test.values {
			want = max(want, v)
		}
		if math.Abs(got.Largest-want) > got.Bound+1e-12 || math.Abs(got.Largest-want) > 1e-3*math.Abs(want)+1e-12 || got.Bound > 1e-2*math.Abs(want)+1e-12 {
			t.Errorf("%s: %+v, want %v", test.name, got, want)
		}
		if got.Products > test.products {
			t.Errorf("%s: %d products, want at most %d", test.name, got.Products, test.products)
		}
		// The iteration ends at what the largest needs; at the other end the sign must be right, and nothing be beyond it.
		if got.Smallest < test.smallest-1e-12 || (got.Smallest < -1e-12) != (test.smallest < 0) {
			t.Errorf("%s: smallest %v, want %v", test.name, got.Smallest, test.smallest)
		}
	}
	broken := errors.New("broken")
	if _, err := largestEigenvalue(func(_, _ []float64) error { return broken }, []float64{1, 2}, 1e-2, 5, nil, nil); !errors.Is(err, broken) {
		t.Errorf("error %v, want the product's", err)
	}
	nan := func(_, out []float64) error { out[0] = math.NaN(); return nil }
	if _, err := largestEigenvalue(nan, []float64{1, 2}, 1e-2, 5, nil, nil); err == nil {
		t.Error("a product of NaN: no error")
	}
}

// TestLargestEigenvalueOfANetwork compares with the eigenvalues of the full matrices in float64.
func TestLargestEigenvalueOfANetwork(t *testing.T) {
	src, n := newBlobs(80, 2, 3, 3, 5), smooth()
	p := newProblem(backend(t, 2), n, src, initial(n, 4), 0)
	theta := wide(p.Model.Theta)
	const lambda = 0.25
	for _, test := range []struct {
		curvature string
		matrix    mat.Symmetric
	}{{Hessian, smoothHessian(src, p.Train, theta)}, {GaussNewton, smoothGaussNewton(src, p.Train, theta)}} {
		values, _ := eigenvalues(test.matrix)
		want := values[len(values)-1] + lambda
		apply := open(t, p).damped(t.Context(), test.curvature, lambda)
		got, err := largestEigenvalue(alone(func(v, out [][]float64) error { return apply(p.Train, v, out) }),
			krylovStart(len(theta), 1), eigenvalueTolerance, mostEigenvalueProducts, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got.Largest-want) > 1e-3*want || got.Bound > eigenvalueTolerance*want {
			t.Errorf("%s: %+v, want %v", test.curvature, got, want)
		}
		if (got.Smallest < 0) != (test.curvature == Hessian && values[0]+lambda < 0) {
			t.Errorf("%s: the smallest is %v, and of the full matrix %v", test.curvature, got.Smallest, values[0]+lambda)
		}
	}
}
