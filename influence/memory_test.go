package influence

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/datadropout/datadropout/net"
)

// The factors that are counted by the parameters are those that the taps tell of.
func TestKroneckerFactorsAreCountedWithoutAGraph(t *testing.T) {
	for _, tt := range []struct {
		net   string
		block int
	}{{"softmax", 512}, {"mlp", 512}, {"cnn", 512}, {"cnn", 100}, {"resnet20", 512}, {"vgg11-bn", 512}, {"densenet-bc-100-12", 64}} {
		n, err := net.New(tt.net, [3]int{32, 32, 1}, 10)
		if err != nil {
			t.Fatal(err)
		}
		p := newProblem(backend(t, 2), n, newBlobs(8, 32, 32, 10, 1), initial(n, 1), 0)
		f, err := newFisher(p, kroneckerBatch, nil)
		if err != nil {
			t.Fatal(err)
		}
		k := &kronecker{fisher: f, block: tt.block}
		if err := k.lookAtTaps(); err != nil {
			t.Fatal(err)
		}
		var want kroneckerFactors
		for _, b := range k.bases() {
			for _, factor := range b.factor {
				want.blocks += int64(len(factor))
			}
		}
		for _, l := range k.layers {
			want.moments += int64(len(l.moments))
			if l.in != nil {
				want.widest = max(want.widest, int64(l.rows*l.columns))
			}
		}
		if got := p.kroneckerFactors(tt.block); got != want {
			t.Errorf("%s in blocks of %d: counted %+v, there are %+v", tt.net, tt.block, got, want)
		}
		k.close()
	}
}

// weighing is a scratch that keeps nothing and looks at the memory in use while it is handed what to save.
type weighing struct{ look func() }

func (w weighing) Load(string) ([]byte, bool, error) { return nil, false, nil }

func (w weighing) Save(_ string, blob []byte) error {
	w.look()
	runtime.KeepAlive(blob)
	return nil
}

// What a solver says that it keeps is what is in use while it works, but for tensors of float32 and what else there is: those
// of a batch's evaluation.
func TestMemoryOfSolversIsWhatTheyKeep(t *testing.T) {
	const folds = 4
	n, err := net.New("mlp", [3]int{28, 28, 1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	src := newBlobs(300, 28, 28, 4, 3)
	for _, tt := range []struct {
		name    string
		options Options
	}{
		{"graddot", Options{}},
		{"cg", Options{MaxIterations: 3, Tolerance: 1e-6}},
		{"cg", Options{MaxIterations: 3, Tolerance: 1e-6, Preconditioner: DiagonalPreconditioner}},
		{"lissa", Options{Depth: 2, Repeats: 4}},
		{"arnoldi", Options{Rank: 4}},
		{"ekfac", Options{}},
	} {
		p := newProblem(backend(t, 2), n, src, initial(n, 2), 0.01)
		p.Folds, p.KeepEvery = folds, time.Nanosecond
		var before, most uint64
		inUse := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		look := func() { most = max(most, inUse()) }
		p.Scratch = weighing{look}
		e := estimator(t, tt.name, tt.options)
		planned := int64(0)
		for _, w := range e.Work(p) {
			planned = max(planned, w.Memory)
		}
		before = inUse()
		if _, err := e.Score(context.Background(), p, func(_, _ int) { look() }); err != nil {
			t.Fatal(err)
		}
		used := int64(most - before)
		vector := float64(p.vectorMemory(1))
		t.Logf("%s %s: planned %.1f vectors, used %.1f", tt.name, tt.options.Preconditioner, float64(planned)/vector, float64(used)/vector)
		if beside := 3 * p.vectorMemory(folds); used > planned+beside || float64(used) < 0.9*float64(planned) {
			t.Errorf("%s %s: planned %.1f vectors, used %.1f", tt.name, tt.options.Preconditioner, float64(planned)/vector, float64(used)/vector)
		}
	}
}
