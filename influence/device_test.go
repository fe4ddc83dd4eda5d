package influence

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	backends "github.com/datadropout/datadropout/backend"
	"github.com/datadropout/datadropout/internal/distant"
	"github.com/datadropout/datadropout/internal/precision"
	"github.com/datadropout/datadropout/net"
)

// afar is the problem on a backend of the same bits whose buffers the host can't see.
func afar(p *Problem) (*Problem, *distant.Backend) {
	far := *p
	b := distant.New(p.Backend)
	far.Backend = b
	return &far, b
}

// TestMetagradientOnDevice has room on the device, in memory and on disk for all or some of the steps: the same bits, and the message
// tells. With room for all on the device no parameters go to and fro on the way.
func TestMetagradientOnDevice(t *testing.T) {
	src := newBlobs(80, 2, 3, 3, 7)
	for _, n := range []*net.Network{smooth(), moving(), gated()} {
		near := replayable(t, 2, n, src, metaRecipe, 3)
		near.ScratchDir = t.TempDir()
		e := func(memory, disk int64) Estimator {
			return estimator(t, "metagradient", Options{Memory: memory, Disk: disk, NoSmoothnessCheck: true})
		}
		want := score(t, e(0, 0), near)
		vector := int64(4 * (n.Size() + n.StateSize()))
		steps := int64(metaRecipe.Steps(len(near.Train)))
		copies := map[int64]distant.Counts{}
		for _, test := range []struct {
			device, memory, disk int64
			says                 []string
		}{
			{0, 1000, 0, []string{"takes 1.00 times", "holds"}},
			{steps, 1000, 0, []string{"takes 1.00 times", "MB on the device and"}},
			{steps, 2, 0, []string{"takes 1.00 times", "MB on the device and"}},
			{5, 1000, 0, []string{"takes 1.00 times", "MB on the device and"}},
			{5, 4, 1000, []string{"takes 1.00 times", "MB on the device, ", "MB in memory and"}},
			{9, 2, 0, []string{"MB on the device and"}},
			{4, 5, 4, []string{"MB on the device, ", "MB in memory and"}},
		} {
			p, b := afar(near)
			p.DeviceMemory = max(1, test.device*vector) // 0 is the default
			s := score(t, e(test.memory*vector, test.disk*vector), p)
			what := fmt.Sprintf("%s, %d vectors on the device, %d in memory, %d on disk", n.Name, test.device, test.memory, test.disk)
			if !slices.Equal(s.Delta, want.Delta) {
				t.Errorf("%s: other bits", what)
			}
			for _, says := range test.says {
				if !strings.Contains(s.Solver.Message, says) {
					t.Errorf("%s: %q does not say %q", what, s.Solver.Message, says)
				}
			}
			if again := !strings.Contains(s.Solver.Message, "takes 1.00 times"); again != (test.device+test.memory+test.disk < steps) {
				t.Errorf("%s: %q", what, s.Solver.Message)
			}
			if left := b.Live(); left > 0 {
				t.Errorf("%s: %d buffers are left on the device", what, left)
			}
			if test.memory == 1000 {
				copies[test.device] = b.Counts(n.Size())
			}
		}
		for device, spared := range map[int64]int{5: 5, steps: int(steps)} {
			if c, all := copies[device], copies[0]; all.Uploads-c.Uploads != spared || all.Downloads-c.Downloads != spared {
				t.Errorf("%s: %+v with %d vectors on the device, %+v without, want %d copies less each way", n.Name, c, device, all, spared)
			}
		}
		near.DeviceMemory = 1 << 30
		if s := score(t, e(0, 0), near); !reflect.DeepEqual(s, want) {
			t.Errorf("%s: a bound on the device changes what is told where there is none: %+v", n.Name, s.Solver)
		}
		near.DeviceMemory = -1
		if _, err := e(0, 0).Score(t.Context(), near, nil); err == nil || !strings.Contains(err.Error(), "device") {
			t.Errorf("a bound below zero: error %v", err)
		}
	}
}

// TestMetagradientOnDeviceXLA is the same on XLA, of which bench/xla has a plugin that needs no GPU: the same bits with no step, some and all on
// the device.
func TestMetagradientOnDeviceXLA(t *testing.T) {
	plugin := os.Getenv("DATADROPOUT_TESTING_XLA")
	if plugin == "" {
		t.Skip("DATADROPOUT_TESTING_XLA names no plugin of XLA; bench/xla/README.md says how to build one")
	}
	b, err := backends.Open("xla:"+plugin, backends.Options{Precision: precision.Float32})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	n := moving()
	p := replayableOn(t, b, n, newBlobs(80, 2, 3, 3, 7), metaRecipe, 3)
	p.ScratchDir = t.TempDir()
	vector := int64(4 * (n.Size() + n.StateSize()))
	var want *Scores
	for _, test := range []struct{ device, memory, disk int64 }{{0, 1000, 0}, {1000, 2, 0}, {5, 4, 1000}, {4, 5, 4}} {
		p.DeviceMemory = max(1, test.device*vector) // 0 is the default
		s := score(t, estimator(t, "metagradient", Options{Memory: test.memory * vector, Disk: test.disk * vector, NoSmoothnessCheck: true}), p)
		t.Logf("%+v: %s", test, s.Solver.Message)
		if want == nil {
			want = s
		}
		if !slices.Equal(s.Delta, want.Delta) {
			t.Errorf("%+v: scores %v, want %v", test, s.Delta, want.Delta)
		}
	}
}

// TestCheckMemoryCountsTheDevice: what fits in memory no more may fit with the device.
func TestCheckMemoryCountsTheDevice(t *testing.T) {
	n := smooth()
	vector := int64(4 * n.Size())
	o := Options{Memory: 3 * vector}
	check := func(device int64) error { return CheckMemory("metagradient", o, device, n, metaRecipe, 40) }
	if err := check(0); err == nil || strings.Contains(err.Error(), "of the device") {
		t.Errorf("too little memory: error %v", err)
	}
	if err := check(vector); err == nil || !strings.Contains(err.Error(), "of the device") {
		t.Errorf("too little of the device: error %v", err)
	}
	if err := check(int64(metaRecipe.Steps(40)) * vector); err != nil {
		t.Errorf("room for every step on the device: error %v", err)
	}
}
