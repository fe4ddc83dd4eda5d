package bench

import (
	"context"
	"testing"

	"github.com/datadropout/datadropout/cpu"
)

// Every phase of every network runs, a step again and again on what it returned, and says how fast.
func TestRunEveryPhase(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	for _, name := range []string{"softmax", "cnn", "resnet9", "resnet20", "dncnn-s"} {
		for _, phase := range Phases {
			if testing.Short() && name != "cnn" && name != "resnet20" {
				continue
			}
			m, err := Run(context.Background(), backend, Setting{Net: name, Batch: 2, Phase: phase})
			if err != nil {
				t.Errorf("%s %s: %v", name, phase, err)
				continue
			}
			if m.Runs < 3 || !(m.ImagesPerSecond > 0) || !(m.GFLOPS > 0) {
				t.Errorf("%s %s: %+v", name, phase, m)
			}
		}
	}
}

func TestRunRefuses(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	for _, s := range []Setting{{Net: "cnn", Batch: 0, Phase: "step"}, {Net: "cnn", Batch: 1, Phase: "stop"}, {Net: "cmn", Batch: 1, Phase: "step"}} {
		if _, err := Run(context.Background(), backend, s); err == nil {
			t.Errorf("%+v ran", s)
		}
	}
}
