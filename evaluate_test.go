package datadropout

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/train"
)

// A model of which the losses are not finite ends a run by one line that says which it is, on what, and what to do.
func TestEvaluationsThatAreNotFiniteAreToldByNetworkSeedAndSplit(t *testing.T) {
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test, c.Net, c.Seed = 60, 40, 40, 40, "softmax", 7
	data, backend := prepare(t, &c)
	r, err := newRunner(c, data, backend, NewMemoryStore(), nil, computing(backend, data.Loss(), c.DeviceMemory))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	theta, _ := r.network.Init(1)
	for j := range theta {
		theta[j] = math.MaxFloat32 * float32(1-2*(j%2))
	}
	_, err = r.evaluate(t.Context(), &train.Model{Theta: theta}, Full, 2, splitTune, data.Split.Tune)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"full, seed 9, tune split: ", "training of softmax diverged", "not finite", "lower learning rate"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// What the metagradient has no room for is refused when the data are loaded, before any training, and other estimators do not ask for it.
func TestTooLittleMemoryForTheMetagradientIsRefusedBeforeTraining(t *testing.T) {
	for _, tt := range []struct {
		estimator string
		memory    int64
		refused   bool
	}{{"metagradient", 1 << 20, true}, {"metagradient", 1 << 30, false}, {"metagradient", 0, false}, {"cg", 1 << 20, false}} {
		c := DefaultConfig()
		c.Train, c.Score, c.Tune, c.Test, c.Net, c.Recipe.Epochs = 600, 40, 40, 40, "mlp", 3
		c.Estimator, c.Influence.Memory = tt.estimator, tt.memory
		_, err := LoadData(t.Context(), &c)
		if (err != nil) != tt.refused {
			t.Errorf("%s within %d bytes: error %v", tt.estimator, tt.memory, err)
		}
		if tt.refused && (!strings.Contains(err.Error(), "takes at least") || !strings.Contains(err.Error(), "--replay-memory")) {
			t.Errorf("%v does not say how much there must be", err)
		}
	}
}

// XLA on a processor has no memory of its own either: what it is allowed of a device makes no room for the metagradient.
func TestTooLittleMemoryWithoutADeviceIsRefusedBeforeTraining(t *testing.T) {
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test, c.Net, c.Recipe.Epochs = 600, 40, 40, 40, "mlp", 3
	c.Estimator, c.Influence.Memory, c.Backend = "metagradient", 1<<20, "xla:cpu"
	data, backend := prepare(t, &c)
	_, err := Run(t.Context(), c, data, backend, NewMemoryStore(), func(e Event) { t.Errorf("the run goes as far as %+v", e) })
	var usage *UsageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "takes at least") {
		t.Errorf("error %v", err)
	}
}
