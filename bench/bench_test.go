package bench

import (
	"context"
	"errors"
	"testing"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
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

// A training on samples that are given is measured, and one that is stopped is not.
func TestRunTrainingOnSource(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	src, err := dataset.Augmented(&dataset.Images{Name: "test", Height: 4, Width: 4, Channels: 1, Classes: []string{"a", "b"}, Pix: make([]uint8, 16*6), Labels: make([]int, 6)},
		dataset.Augmentation{Crop: 1})
	if err != nil {
		t.Fatal(err)
	}
	n, err := net.New("softmax", [3]int{4, 4, 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Run(t.Context(), backend, Setting{Network: n, Batch: 2, Phase: PhaseTraining, Source: src})
	if err != nil || m.Runs < 3 || !(m.ImagesPerSecond > 0) {
		t.Errorf("%+v (%v)", m, err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if m, err := Run(stopped, backend, Setting{Network: n, Batch: 2, Phase: PhaseTraining, Source: src}); !errors.Is(err, context.Canceled) || m != nil {
		t.Errorf("stopped before it began: %+v (%v)", m, err)
	}
}
