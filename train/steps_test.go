package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout/net"
)

// residentNets are networks with running statistics, with gates, and with convolutions and pooling.
func residentNets(t *testing.T) []*net.Network {
	t.Helper()
	nets := []*net.Network{linear(), normalized(), gated()}
	cnn, err := net.New("lenet5-smooth", [3]int{12, 12, 1}, classes)
	if err != nil {
		t.Fatal(err)
	}
	return append(nets, cnn)
}

// residentRecipe is a training of 15 to 18 steps of 40 samples with everything in it that a plan holds, by Nesterov's momentum or the classical one.
func residentRecipe(t *testing.T, nesterov bool) Recipe {
	t.Helper()
	r := recipe
	r.BatchSize, r.LearningRate, r.Nesterov, r.LabelSmoothing = 7, 0.05, nesterov, 0.1
	if err := r.Augmentation.UnmarshalText([]byte("crop:1,flip,cutout:1")); err != nil {
		t.Fatal(err)
	}
	return r
}

func near(t *testing.T, what string, got, want *Model) {
	t.Helper()
	for k, pair := range [][2][]float32{{got.Theta, want.Theta}, {got.State, want.State}} {
		if len(pair[0]) != len(pair[1]) {
			t.Fatalf("%s: %d numbers, want %d (parameters, state: %d)", what, len(pair[0]), len(pair[1]), k)
		}
		for i, x := range pair[0] {
			if d := math.Abs(float64(x - pair[1][i])); !(d < 2e-5) {
				t.Fatalf("%s: number %d is %v, want %v (parameters, state: %d)", what, i, x, pair[1][i], k)
			}
		}
	}
}

// TestResidentTraining: training with the set on the device is that with batches from the host up to rounding, and has the same bits however it
// is cut into calls, recorded, kept and continued, gone through backwards and repeated.
func TestResidentTraining(t *testing.T) {
	eachResident(t, func(t *testing.T, b compute.Backend, engine func(n *net.Network) *Engine) {
		for _, n := range residentNets(t) {
			src := patterns(50, n.Input[0], n.Input[1], n.Input[2])
			idx := positions(40)
			r := residentRecipe(t, n.Name == "linear")
			e, host := engine(n), fromHost(t, b, n)
			var losses []float64
			want, err := e.Train(t.Context(), src, idx, r, 5, func(p Progress) { losses = append(losses, p.Loss) })
			if err != nil {
				t.Fatal(err)
			}
			var hostLosses []float64
			fed, err := host.Train(t.Context(), src, idx, r, 5, func(p Progress) { hostLosses = append(hostLosses, p.Loss) })
			if err != nil {
				t.Fatal(err)
			}
			near(t, n.Name+" resident", want, fed)
			if len(losses) != r.Steps(40) || len(losses) != len(hostLosses) {
				t.Fatalf("%s: progress was told of %d steps, and of %d from the host", n.Name, len(losses), len(hostLosses))
			}
			for k, l := range losses {
				if math.Abs(l-hostLosses[k]) > 1e-5 {
					t.Errorf("%s: the loss after step %d is %v, from the host %v", n.Name, k+1, l, hostLosses[k])
				}
			}
			for _, calls := range [][]int{{1}, {mostSteps}, {3, 1, 5, 2}} {
				if got := inCalls(t, e, src, idx, r, calls); got.Digest() != want.Digest() {
					t.Errorf("%s: calls of %d steps give other bits", n.Name, calls)
				}
			}

			pad := &scratchpad{}
			kept, err := e.TrainKept(t.Context(), src, idx, r, 5, everything, Keep{Scratch: pad, Every: time.Nanosecond}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if kept.Model.Digest() != want.Digest() {
				t.Errorf("%s: recording and keeping change the model", n.Name)
			}
			_, fedRecord, err := host.TrainRecorded(t.Context(), src, idx, r, 5, everything, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(kept.Record.Presentations, fedRecord.Presentations) || len(kept.Record.Checkpoints) != len(fedRecord.Checkpoints) {
				t.Errorf("%s: the record is %+v, from the host %+v", n.Name, kept.Record, fedRecord)
			}
			for k, c := range kept.Record.Checkpoints {
				if c.Step != fedRecord.Checkpoints[k].Step {
					t.Errorf("%s: checkpoint %d is of step %d, want %d", n.Name, k, c.Step, fedRecord.Checkpoints[k].Step)
				}
				near(t, n.Name+" checkpoint", &c.Model, &fedRecord.Checkpoints[k].Model)
			}
			near(t, n.Name+" early", kept.Record.Early, fedRecord.Early)
			for k, v := range kept.Record.AUM {
				if math.Abs(v-fedRecord.AUM[k]) > 1e-4 {
					t.Errorf("%s: the margin of sample %d is %v, from the host %v", n.Name, k, v, fedRecord.AUM[k])
				}
			}
			if len(pad.saved) < 3 {
				t.Errorf("%s: kept %d times", n.Name, len(pad.saved))
			}
			for _, blob := range pad.saved {
				again, err := e.TrainKept(t.Context(), src, idx, r, 5, everything, Keep{Scratch: &scratchpad{saved: [][]byte{blob}}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				sameTrained(t, n.Name+" continued", again, kept)
			}
			// What was kept of the one way is not continued in the other.
			first := 0
			if _, err := host.TrainKept(t.Context(), src, idx, r, 5, everything, Keep{Scratch: pad}, func(p Progress) {
				if first == 0 {
					first = p.Step
				}
			}); err != nil || first != 1 {
				t.Errorf("%s: from the host it goes on with step %d (%v)", n.Name, first, err)
			}

			vector := int64(4 * (n.Size() + n.StateSize()))
			var back []seen
			for _, bounds := range []Bounds{{Memory: 12 * vector}, {Memory: 5 * vector, Device: 6 * vector}, {Memory: 2 * vector, Device: 100 * vector}} {
				tr, err := e.SpilledTrajectory(t.Context(), src, idx, r, 5, bounds, nil)
				if err != nil {
					t.Fatal(err)
				}
				if tr.Final().Digest() != want.Digest() {
					t.Errorf("%s: the trajectory with bounds %+v ends elsewhere", n.Name, bounds)
				}
				moments := visits(t, tr)
				tr.Close()
				if back == nil {
					back = moments
				}
				if !slices.EqualFunc(moments, back, seen.equal) {
					t.Errorf("%s: with bounds %+v the way back leads elsewhere", n.Name, bounds)
				}
			}
			if len(e.pixels) > 0 {
				t.Errorf("%s: %d sets are left on the device", n.Name, len(e.pixels))
			}
		}
	})
}

// inCalls trains in calls of the given numbers of steps, in turn.
func inCalls(t *testing.T, e *Engine, src interface {
	Len() int
	ID(int) string
	InputDims() []int
	TargetDims() []int
	Fill(int, []float32, []float32)
}, idx []int, r Recipe, calls []int) *Model {
	t.Helper()
	run, err := e.newRound(src, idx, r, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer run.close()
	theta, state := e.net.Init(5)
	run.load(point{theta: theta, momentum: make([]float32, len(theta)), state: state})
	for at, k := 0, 0; at < run.steps; k++ {
		n := min(calls[k%len(calls)], run.steps-at)
		losses, err := run.advance(at, n)
		if err != nil {
			t.Fatal(err)
		}
		if len(losses) != n {
			t.Fatalf("%d losses of %d steps", len(losses), n)
		}
		at += n
	}
	m, err := run.copied()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestResidentWeights: a training by weights is that from the host up to rounding.
func TestResidentWeights(t *testing.T) {
	eachResident(t, func(t *testing.T, b compute.Backend, engine func(n *net.Network) *Engine) {
		for _, n := range []*net.Network{linear(), gated()} {
			src := patterns(50, n.Input[0], n.Input[1], n.Input[2])
			idx, weights := positions(40), make([]float32, 40)
			for k := range weights {
				weights[k] = float32(k%4) / 2
			}
			e, host := engine(n), fromHost(t, b, n)
			r := residentRecipe(t, false)
			want, err := host.TrainWeighted(t.Context(), src, idx, weights, r, 5, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.TrainWeighted(t.Context(), src, idx, weights, r, 5, nil)
			if err != nil {
				t.Fatal(err)
			}
			near(t, n.Name, got, want)
			plain, err := e.Train(t.Context(), src, idx, r, 5, nil)
			if err != nil || plain.Digest() == got.Digest() {
				t.Errorf("%s: weights change nothing (%v)", n.Name, err)
			}
		}
	})
}

// TestResidentStops: a training that diverges names the step that it does in, among many of one call; one that is cancelled stops where
// a call ends, and goes on from there.
func TestResidentStops(t *testing.T) {
	eachResident(t, func(t *testing.T, b compute.Backend, engine func(n *net.Network) *Engine) {
		src, idx, r := patterns(50, 2, 3, 1), positions(40), residentRecipe(t, false)
		e, host := engine(linear()), fromHost(t, b, linear())
		wild := r
		wild.LearningRate, wild.WeightDecay, wild.WarmupFraction, wild.Epochs = 3e3, 1e3, 0, 12
		var want, got *DivergedError
		if _, err := host.Train(t.Context(), src, idx, wild, 5, nil); !errors.As(err, &want) {
			t.Fatalf("from the host: error %v", err)
		}
		told := 0
		if _, err := e.Train(t.Context(), src, idx, wild, 5, func(p Progress) { told = p.Step }); !errors.As(err, &got) {
			t.Fatalf("error %v", err)
		}
		if got.Step != want.Step || got.Epoch != want.Epoch || got.Step < 3 || told != got.Step-1 {
			t.Errorf("diverged at %+v after progress at step %d, from the host at %+v", *got, told, *want)
		}

		want2, err := e.TrainKept(t.Context(), src, idx, r, 5, Recording{}, Keep{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		pad := &scratchpad{}
		for stop := 2; ; stop += 4 {
			ctx, cancel := context.WithCancel(t.Context())
			got, err := e.TrainKept(ctx, src, idx, r, 5, Recording{}, Keep{Scratch: pad}, func(p Progress) {
				if p.Step == stop {
					cancel()
				}
			})
			cancel()
			if errors.Is(err, context.Canceled) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			sameTrained(t, "interrupted", got, want2)
			break
		}
	})
}

// TestPace: calls take about as long as they may, and a step at least.
func TestPace(t *testing.T) {
	r := &round{}
	for _, x := range []struct {
		steps int
		took  time.Duration
		want  int
	}{{1, time.Minute, 1}, {1, callTime, 1}, {1, callTime / 4, 4}, {4, 2 * callTime, 2}, {3, callTime / 5, 15}, {1, 0, mostSteps}, {mostSteps, 1, mostSteps}} {
		if r.pace(x.steps, x.took); r.ahead != x.want {
			t.Errorf("after %d steps in %v a call takes %d, want %d", x.steps, x.took, r.ahead, x.want)
		}
	}
}

// TestResidentOrNot: sets that are too large for the bound, and those that are no images in memory, are fed by the host; so is every set on a
// backend that shares the host's memory.
func TestResidentOrNot(t *testing.T) {
	b, images := backend(t, 1), patterns(20, 2, 3, 1)
	for _, test := range []struct {
		name   string
		apart  bool
		memory int64
		by     string
		want   bool
	}{
		{"resident", true, DefaultDeviceMemory, "crop:1,flip,cutout:1", true},
		{"as large as the bound", true, 120, "none", true},
		{"larger", true, 119, "none", false},
		{"recolored", true, DefaultDeviceMemory, "crop:1,brightness:0.5", false},
		{"shared memory", false, DefaultDeviceMemory, "none", false},
	} {
		e := NewEngine(b, linear(), CrossEntropy{})
		defer e.Close()
		if e.apart {
			t.Errorf("the backend %s has no memory of its own", b.Name())
		}
		e.apart = test.apart
		e.BoundDeviceMemory(test.memory)
		r := recipe
		if err := r.Augmentation.UnmarshalText([]byte(test.by)); err != nil {
			t.Fatal(err)
		}
		run, err := e.newRound(images, positions(20), r, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := run.resident != nil; got != test.want {
			t.Errorf("%s: resident is %v", test.name, got)
		}
		run.close()
	}
	e := NewEngine(b, linear(), CrossEntropy{})
	defer e.Close()
	e.apart = true
	run, err := e.newRound(newBlobs(20, 1), positions(20), recipe, 1)
	if err != nil || run.resident != nil {
		t.Errorf("blobs are on the device (%v)", err)
	}
	run.close()
}
