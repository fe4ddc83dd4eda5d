package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout/backend"
	"github.com/datadropout/datadropout/internal/precision"
	"github.com/datadropout/datadropout/net"
)

// testingXLA names a plugin of XLA that tests may use, by name or path: bench/xla builds one that needs no GPU.
const testingXLA = "DATADROPOUT_TESTING_XLA"

func agreements(t *testing.T, b compute.Backend, s AgreeSetting) []Agreement {
	t.Helper()
	reference, err := backend.Open(backend.CPU, backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer reference.Finalize()
	var all []Agreement
	if err := Agree(t.Context(), b, reference, s, func(a Agreement) { all = append(all, a) }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAgreeXLA compares XLA with the backend of this program, network by network.
func TestAgreeXLA(t *testing.T) {
	plugin := os.Getenv(testingXLA)
	if plugin == "" {
		t.Skipf("%s names no plugin of XLA; bench/xla/README.md says how to build one", testingXLA)
	}
	b, err := backend.Open("xla:"+plugin, backend.Options{Precision: precision.Float32})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	for _, name := range []string{"cnn", "cnn-smooth", "resnet20", "resnet20-smooth", "dncnn-7"} {
		for _, a := range agreements(t, b, AgreeSetting{Net: name, Batch: 4}) {
			t.Logf("%-16s %-12s differs by %.1e, rounding by %.1e, in %.1f s", name, a.What, a.Difference, a.Rounding, a.Seconds)
			if !a.Agrees(precision.Float32) {
				t.Errorf("%s %s differs by %.1e, more than %.1e", name, a.What, a.Difference, a.Allowed(precision.Float32))
			}
		}
	}
}

// TestAgreeThreads: the backend of this program gives the same bits on two threads as on one, in everything that is compared.
func TestAgreeThreads(t *testing.T) {
	b, err := backend.Open(backend.CPU, backend.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	all := agreements(t, b, AgreeSetting{Net: "lenet5-smooth", Batch: 4})
	if want := len(graphPhases) + 4; len(all) != want {
		t.Errorf("%d things are compared, want %d", len(all), want)
	}
	for _, a := range all {
		if a.Difference != 0 || a.Rounding <= 0 || a.Rounding > 1e-3 || a.Kinks {
			t.Errorf("%+v, want no difference and a small rounding", a)
		}
	}
}

// TestAgreeBFloat16XLA compares XLA in bfloat16 with the backend of this program in float32: what trains and evaluates is within bfloat16's
// roundings and no better, and derivatives at a model are float32's.
func TestAgreeBFloat16XLA(t *testing.T) {
	plugin := os.Getenv(testingXLA)
	if plugin == "" {
		t.Skipf("%s names no plugin of XLA; bench/xla/README.md says how to build one", testingXLA)
	}
	b, err := backend.Open("xla:"+plugin, backend.Options{Precision: precision.BFloat16})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	for _, name := range []string{"lenet5-smooth", "resnet20-smooth", "dncnn-7"} {
		for _, a := range agreements(t, b, AgreeSetting{Net: name, Batch: 2, BFloat16: true}) {
			t.Logf("%-16s %-12s differs by %.1e, rounding by %.1e, in %.1f s", name, a.What, a.Difference, a.Rounding, a.Seconds)
			if !a.Agrees(precision.BFloat16) {
				t.Errorf("%s %s differs by %.1e, more than %.1e", name, a.What, a.Difference, a.Allowed(precision.BFloat16))
			}
			if a.Kinks || a.What == AgreeTraining || a.What == AgreeImages {
				continue // a short training moves parameters by too little to tell
			}
			if mixed := slices.Contains(inBFloat16, a.What); mixed == a.Agrees(precision.Float32) {
				t.Errorf("%s %s differs by %.1e: in bfloat16 %v", name, a.What, a.Difference, mixed)
			}
		}
	}
}

// TestAgreeTellsPrecisionsApart: numbers rounded to the 10 bits of TF32 are no rounding of float32, and agree where TF32 is allowed; those
// of the 7 bits of bfloat16 agree where that is, and not within float32.
func TestAgreeTellsPrecisionsApart(t *testing.T) {
	b, err := backend.Open(backend.CPU, backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	s := AgreeSetting{Net: "lenet5-smooth", Batch: 4}
	size, outputs := net.Usual(s.Net)
	n, err := net.New(s.Net, size, outputs)
	if err != nil {
		t.Fatal(err)
	}
	rounded := func(bits int) func(float32, *rand.Rand) float32 {
		dropped := uint32(1)<<(23-bits) - 1
		return func(x float32, _ *rand.Rand) float32 {
			return math.Float32frombits((math.Float32bits(x) + (dropped+1)/2) &^ dropped)
		}
	}
	for in, bits := range map[string]int{precision.TF32: 10, precision.BFloat16: 7} {
		var results [3][][]float32
		for _, what := range []string{"forward", "gradient", "step", "score", "hvp"} {
			if in == precision.BFloat16 && !slices.Contains(inBFloat16, what) {
				continue
			}
			for k, disturb := range []func(float32, *rand.Rand) float32{nil, neighbor, rounded(bits)} {
				trial := newTrial(b, n, s, disturb)
				if trial.point, err = newTrial(b, n, s, nil).own(t.Context()); err != nil {
					t.Fatal(err)
				}
				point := *trial.point
				point.Theta = slices.Clone(point.Theta)
				trial.apply(0, point.Theta)
				trial.point = &point
				if results[k], err = trial.results(t.Context(), what); err != nil {
					t.Fatal(err)
				}
			}
			a := Agreement{What: what, Difference: apart(results[2], results[0]), Rounding: apart(results[1], results[0])}
			if a.Agrees(precision.Float32) || !a.Agrees(in) {
				t.Errorf("%+v: with float32 %v, want false, with %s %v, want true", a, a.Agrees(precision.Float32), in, a.Agrees(in))
			}
		}
	}
}

func TestApart(t *testing.T) {
	nan := float32(math.NaN())
	for _, x := range []struct {
		got, want []float32
		apart     float64
	}{
		{[]float32{1, 2}, []float32{1, 2}, 0},
		{[]float32{0, 0}, []float32{0, 0}, 0},
		{[]float32{1, -5}, []float32{1, -4}, 0.25},
		{[]float32{1.5, -4}, []float32{1, -4}, 0.125},
		{[]float32{1}, []float32{0}, math.Inf(1)},
		{[]float32{nan}, []float32{1}, math.Inf(1)},
		{[]float32{1}, []float32{nan}, math.Inf(1)},
		{[]float32{1}, []float32{1, 2}, math.Inf(1)},
	} {
		got := apart([][]float32{{3}, x.got}, [][]float32{{3}, x.want})
		if got != x.apart {
			t.Errorf("%v and %v are %v apart, want %v", x.got, x.want, got, x.apart)
		}
		for _, kinks := range []bool{false, true} {
			a := Agreement{What: "step", Difference: got, Rounding: 1e-7, Kinks: kinks}
			if agrees := a.Agrees(precision.Float32); agrees != (x.apart == 0) {
				t.Errorf("%+v agrees: %v", a, agrees)
			}
		}
	}
}

func TestAgreeRefuses(t *testing.T) {
	b, err := backend.Open(backend.CPU, backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	for _, s := range []AgreeSetting{{Net: "cnn", Batch: 1}, {Net: "cnm", Batch: 2}} {
		if err := Agree(context.Background(), b, b, s, func(Agreement) { t.Error("compared") }); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}
