package dataset

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestDegradationText(t *testing.T) {
	for _, tt := range []struct{ text, back string }{
		{"", "none"}, {"none", "none"}, {"gaussian:25", "gaussian:25"}, {"gaussian:0-55", "gaussian:0-55"},
		{"gaussian:2.5, poisson:30, resize:2,jpeg:10", "resize:2,jpeg:10,poisson:30,gaussian:2.5"},
	} {
		d, err := ParseDegradation(tt.text)
		if err != nil || d.String() != tt.back {
			t.Errorf("%q: %q, %v; want %q", tt.text, d, err, tt.back)
		}
		if again, err := ParseDegradation(d.String()); err != nil || again != d {
			t.Errorf("%q comes back as %q: %v", tt.text, again, err)
		}
	}
	for text, want := range map[string]string{
		"gaussian":                 "gaussian:25 or gaussian:0-55",
		"gaussian:0":               "needs a number above 0",
		"gaussian:300":             "gaussian:25",
		"gaussian:50-5":            "gaussian:25",
		"gaussian:NaN":             "gaussian:25",
		"jpeg:101":                 "quality of jpeg must lie in 1..100, got 101",
		"jpeg:-3":                  "quality of jpeg must lie in 1..100",
		"resize:0.5":               "factor of resize must lie in (1, 64]",
		"poisson:-1":               "peak of poisson",
		"salt:3":                   `unknown term "salt:3"`,
		"gaussian:25,gaussian:3":   "given twice",
		"poisson:NaN":              "peak of poisson",
		"resize:Inf":               "factor of resize",
		"gaussian:25,jpeg:ten":     "jpeg:10",
		"gaussian:-5":              "gaussian:25",
		"gaussian:25,resize:1e300": "factor of resize",
	} {
		if _, err := ParseDegradation(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"256", "-1", "30-20", "x", "", "NaN"} {
		if s, err := ParseSigma(text); err == nil {
			t.Errorf("sigma %q is %v", text, s)
		}
	}
}

// TestPoisson holds mean and variance against the distribution's, on both sides of the change of the method.
func TestPoisson(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, mean := range []float64{0, 0.3, 4, 9.99, 10, 37, 5000} {
		const n = 20000
		sum, squares := 0.0, 0.0
		for range n {
			v := poisson(rng, mean)
			if v < 0 || v != math.Floor(v) {
				t.Fatalf("mean %v: drew %v", mean, v)
			}
			sum += v
			squares += (v - mean) * (v - mean)
		}
		if got := sum / n; math.Abs(got-mean) > 4*math.Sqrt(mean/n) {
			t.Errorf("mean %v: %v", mean, got)
		}
		if got := squares / n; math.Abs(got-mean) > 4*math.Sqrt((mean+2*mean*mean)/n) {
			t.Errorf("mean %v: variance %v", mean, got)
		}
	}
}

// TestFixedDegradations: JPEG artifacts and lost resolution change a picture more the stronger they are, and are the same each time.
func TestFixedDegradations(t *testing.T) {
	for _, channels := range []int{1, 3} {
		p := DeadLeaves(t.Context(), 1, 48, channels, 5)[0]
		loss := func(d Degradation) float64 {
			q, sigma := d.Degraded(p, 1, 2)
			again, _ := d.Degraded(p, 1, 2)
			sum := 0.0
			for k, v := range q {
				if again[k] != v {
					t.Fatalf("%s differs from one time to the next", d)
				}
				e := float64(v) - float64(p.Pix[k])/65535
				sum += e * e
			}
			if sigma != 0 && !d.Drawn() {
				t.Errorf("%s has noise of sigma %v", d, sigma)
			}
			return sum
		}
		none, mild, strong := loss(Degradation{}), loss(Degradation{JPEG: 90}), loss(Degradation{JPEG: 10})
		if none > 1e-9 || !(1e-3 < mild && mild < strong/2) {
			t.Errorf("%d channels: errors of JPEG: %v, %v, %v", channels, none, mild, strong)
		}
		if half, fifth := loss(Degradation{Resize: 2}), loss(Degradation{Resize: 5}); !(0 < half && half < fifth) {
			t.Errorf("%d channels: errors of resizing: %v, %v", channels, half, fifth)
		}
		few, many := loss(Degradation{Peak: 10}), loss(Degradation{Peak: 1000})
		if ratio := few / many; math.Abs(math.Log(ratio/100)) > 0.3 { // the variance is value over peak
			t.Errorf("%d channels: errors of photons: %v, %v", channels, few, many)
		}
	}
}
