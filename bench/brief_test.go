package bench

import (
	"context"
	"testing"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/net"
)

// A batch that takes too long is measured by parts of it, and no more is run.
func TestBriefMeasuresALargeBatchByAPartOfIt(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	s := Setting{Net: "resnet9", Phase: "forward", Batch: 4096, Seconds: 0.02, Brief: true}
	m, err := Run(context.Background(), backend, s)
	if err != nil {
		t.Fatal(err)
	}
	if compiled, run := backend.(*cpu.Backend).Scratch(); run*4 > compiled {
		t.Errorf("a batch of %d took %d bytes, compiled it takes %d: it was not measured by a part", s.Batch, run, compiled)
	}
	part := float64(s.Batch) / m.ImagesPerSecond
	if m.Runs != 1 || m.MeanSeconds > 1.01*part || m.MeanSeconds < part/50 {
		t.Errorf("a batch at the rate of its part takes %.3g s: %+v", part, m)
	}
}

// The memory that a program is said to need when it was compiled is what it takes when it runs.
func TestCompiledMemoryIsThatOfARun(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	n, err := net.New("cnn", [3]int{28, 28, 1}, 10)
	if err != nil {
		t.Fatal(err)
	}
	s := Setting{Phase: "step", Batch: 8}
	w := newWorkload(backend, n, s)
	defer w.close()
	w.load(1)
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	if err := w.compile(s); err != nil {
		t.Fatal(err)
	}
	foretold, before := backend.(*cpu.Backend).Scratch()
	w.load(s.Batch)
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	if compiled, run := backend.(*cpu.Backend).Scratch(); before >= foretold || compiled != foretold || run != foretold {
		t.Errorf("%d bytes were foretold, beside %d for one sample; a run takes %d, and %d were compiled", foretold, before, run, compiled)
	}
}

// A batch that fits is run whole, for as long as was asked.
func TestBriefMeasuresASmallBatchWhole(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	m, err := Run(context.Background(), backend, Setting{Net: "cnn", Phase: "step", Batch: 2, Seconds: 0.3, Brief: true})
	if err != nil {
		t.Fatal(err)
	}
	if compiled, run := backend.(*cpu.Backend).Scratch(); run != compiled {
		t.Errorf("%d bytes were run of %d compiled", run, compiled)
	}
	if m.Runs < 2 || m.FirstSeconds < m.MeanSeconds {
		t.Errorf("%+v", m)
	}
}
