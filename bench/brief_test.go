package bench

import (
	"context"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

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
	if err := w.compile(s.Batch); err != nil {
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

// Directions that share a pass of a large network are measured by one of them, and the program of all is compiled for its memory.
func TestBriefMeasuresOneDirectionOfALargeNetwork(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	n, err := net.New("resnet9", [3]int{32, 32, 3}, 10)
	if err != nil {
		t.Fatal(err)
	}
	directions := int(2*probeOperations/operations(n, "score", 1)) + 1
	s := Setting{Network: n, Phase: "score", Batch: 2, Directions: directions, Seconds: 0.01, Brief: true}
	w := newWorkload(backend, n, s)
	defer w.close()
	got, err := w.brief(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	compiled, run := backend.(*cpu.Backend).Scratch()
	if dims := w.args[w.direction].(*tensors.Tensor).Shape().Dimensions; dims[0] != 1 || run*2 > compiled {
		t.Errorf("%d directions were run in %d bytes, all of them take %d", dims[0], run, compiled)
	}
	one := timing{batch: 2, first: 5, spent: 3, sample: 0.5, runs: []float64{1, 2}}
	one.scale(10)
	if got.batch != 2 || got.mean() <= 0 || one.first != 5+9*1.5 || one.spent != 30 || one.sample != 5 || one.runs[1] != 20 {
		t.Errorf("measured %+v, scaled %+v", got, one)
	}
}
