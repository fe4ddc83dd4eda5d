package cpu_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/cpu"
)

var profile = flag.Bool("profile", false, "list the time of every step of the plan")

// BenchmarkStep measures the training step of the network cnn: 28x28x1, 3x3x32, 3x3x64, max-pooling, 128, 10.
// The pure-Go backend takes a minute or more for one step: choose it with -bench Step/go -benchtime 1x.
func BenchmarkStep(b *testing.B) {
	b.Run("cpu", func(b *testing.B) { benchmarkStep(b, newBackend(b, ""), 128) })
	b.Run("cpu1", func(b *testing.B) { benchmarkStep(b, newBackend(b, "threads=1"), 128) })
	b.Run("nofuse", func(b *testing.B) { benchmarkStep(b, newBackend(b, "nofuse"), 128) })
	b.Run("go", func(b *testing.B) {
		reference, err := cpu.NewReference()
		if err != nil {
			b.Fatal(err)
		}
		benchmarkStep(b, reference, 128)
	})
}

// BenchmarkResidual measures the training step of a small residual network with batch normalization.
func BenchmarkResidual(b *testing.B) {
	benchmarkNetwork(b, newBackend(b, ""), residual(32, 32, 3, 16, 10), 128)
}

func benchmarkStep(b *testing.B, backend compute.Backend, batch int) {
	benchmarkNetwork(b, backend, cnn(28, 28, 1, 32, 64, 128, 10), batch)
}

func benchmarkNetwork(b *testing.B, backend compute.Backend, n *testNetwork, batch int) {
	exec := MustNewExec(backend, n.step)
	defer exec.Finalize()
	s := n.start(batch)
	if backend.Name() == cpu.BackendName {
		s.run(b, backend, exec) // compile
	}
	var total map[string]time.Duration
	if *profile && backend.Name() == cpu.BackendName {
		total = make(map[string]time.Duration)
		cpu.Trace(backend, func(step string, d time.Duration) { total[step] += d })
	}
	b.ReportAllocs()
	for b.Loop() {
		s.run(b, backend, exec)
	}
	b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
	if backend.Name() == cpu.BackendName {
		b.ReportMetric(float64(cpu.ArenaBytes(backend))/(1<<20), "arena-MiB")
	}
	var text strings.Builder
	for _, name := range slices.SortedFunc(maps.Keys(total), func(x, y string) int { return cmp.Compare(total[y], total[x]) }) {
		fmt.Fprintf(&text, "%8.3f ms  %s\n", total[name].Seconds()*1e3/float64(b.N), name)
	}
	if len(total) > 0 {
		b.Logf("steps:\n%s", text.String())
	}
}
