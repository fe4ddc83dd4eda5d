package influence

import (
	"slices"
	"testing"

	"github.com/gomlx/compute/gobackend"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// trainedInBFloat16 is the problem of a model that was trained with products in bfloat16, on a backend that knows them.
func trainedInBFloat16(t *testing.T) *Problem {
	t.Helper()
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	n, src := zoo(t, "lenet5-smooth", 12).BFloat16(), newBlobs(24, 12, 12, 3, 7)
	p := newProblem(b, n, src, nil, 0)
	p.Recipe = train.Recipe{Epochs: 2, BatchSize: 4, LearningRate: 0.02, Momentum: 0.9, WeightDecay: 1e-3, Schedule: train.Cosine}
	p.TrainSeed, p.Batch = 3, 12
	e := train.NewEngine(b, n, p.Loss)
	defer e.Close()
	if p.Model, err = e.Train(t.Context(), src, p.Train, p.Recipe, p.TrainSeed, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

// Estimators that differentiate at the model give the scores of the network in float32, to the bit.
func TestBFloat16EstimatorsDifferentiateInFloat32(t *testing.T) {
	mixed := trainedInBFloat16(t)
	plain := *mixed
	plain.Net = mixed.Net.Float32()
	for _, name := range []string{"cg", "ekfac", "graddot", "self"} {
		e := estimator(t, name, Options{MaxIterations: 3, HessianSamples: 8})
		got, want := score(t, e, mixed), score(t, e, &plain)
		if !slices.Equal(got.Delta, want.Delta) {
			t.Errorf("%s gives %v, in float32 %v", name, got.Delta, want.Delta)
		}
	}
}

// What repeats the training, and goes back through it, computes as the training did: it ends at its model, and its scores are near those of
// a training in float32, which are not the same.
func TestBFloat16ReplaysInBFloat16(t *testing.T) {
	mixed := trainedInBFloat16(t)
	plain := *mixed
	plain.Net = mixed.Net.Float32()
	e := train.NewEngine(plain.Backend, plain.Net, plain.Loss)
	defer e.Close()
	var err error
	if plain.Model, err = e.Train(t.Context(), plain.Source, plain.Train, plain.Recipe, plain.TrainSeed, nil); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{"metagradient": {NoSmoothnessCheck: true}, "tracin": {Checkpoints: 2}} {
		e := estimator(t, name, o)
		got, want := score(t, e, mixed), score(t, e, &plain)
		if d := apart(got.Delta, want.Delta); !(d > 1e-5 && d < 0.05) {
			t.Errorf("%s: scores differ from those of a training in float32 by %.2g of their size, want about 1e-2", name, d)
		}
		swapped := *mixed
		swapped.Net = mixed.Net.Float32()
		if _, err := e.Score(t.Context(), &swapped, nil); err == nil {
			t.Errorf("%s repeated a training in bfloat16 in float32", name)
		}
	}
}

// What is kept of an estimation is of one precision.
func TestBFloat16HasAKeyOfItsOwn(t *testing.T) {
	src, n := newBlobs(8, 12, 12, 3, 7), zoo(t, "lenet5", 12)
	keyOf := func(n *net.Network) [32]byte {
		return newKeeper(newProblem(backend(t, 1), n, src, initial(n, 1), 0), "loss", Options{}).key
	}
	if keyOf(n) == keyOf(n.BFloat16()) || keyOf(n) != keyOf(n.BFloat16().Float32()) {
		t.Error("the key of an estimation does not follow the precision of the network")
	}
}
