package net

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
)

// Published counts: 0.56 M of DnCNN-S with batch norm; 485,316 and 852,108 of FFDNet, and 668,227 of the color DnCNN with 20 layers,
// where batch norm is merged into convolutions with biases (the networks published with the authors' code): a merged network has one
// bias a channel in place of scale and offset.
func TestDenoiserCounts(t *testing.T) {
	for _, tt := range []struct {
		name        string
		channels    int
		parameters  int
		merged      int
		depth       int
		reach, grid int
	}{
		{"dncnn-s", 1, 556032, 556032 - 15*64 + 64 + 1, 17, 17, 1},
		{"dncnn-b", 1, 576 + 18*(36864+128) + 576, 576 + 64 + 18*(36864+64) + 576 + 1, 20, 20, 1},
		{"dncnn-c", 3, 1728 + 18*(36864+128) + 1728, 668227, 20, 20, 1},
		{"dncnn-7", 1, 288 + 5*(9216+64) + 288, 288 + 32 + 5*(9216+32) + 288 + 1, 7, 7, 1},
		{"ffdnet", 1, 485316 + 13*64, 485316, 15, 31, 2},
		{"ffdnet", 3, 852108 + 10*96, 852108, 12, 25, 2},
	} {
		input := [3]int{40, 40, tt.channels}
		if TakesNoiseMap(tt.name) {
			input[2]++
		}
		n, err := New(tt.name, input, tt.channels)
		if err != nil {
			t.Error(err)
			continue
		}
		if n.Size() != tt.parameters || n.Depth != tt.depth || n.Reach != tt.reach || n.Grid != tt.grid {
			t.Errorf("%s: %d parameters, depth %d, reach %d, grid %d; want %d, %d, %d, %d", tt.name, n.Size(), n.Depth, n.Reach, n.Grid, tt.parameters, tt.depth, tt.reach, tt.grid)
		}
		merged, norms, biased := n.Size(), 0, 0
		for _, p := range n.Params {
			switch {
			case strings.HasSuffix(p.Name, "/scale"):
				merged -= p.Dims[0]
				norms++
			case strings.HasSuffix(p.Name, "/bias"):
				biased++
			}
		}
		if biased == 0 { // the merged network has them in the first and the last layer too
			merged += n.Params[0].Dims[3] + tt.channels
		}
		if merged != tt.merged || norms != tt.depth-2 {
			t.Errorf("%s of %d channels: %d parameters with %d norms merged, want %d with %d", tt.name, tt.channels, merged, norms, tt.merged, tt.depth-2)
		}
	}
}

func TestDenoisersRefuse(t *testing.T) {
	for _, tt := range []struct {
		name    string
		input   [3]int
		outputs int
		want    string
	}{
		{"dncnn-s", [3]int{40, 40, 1}, 3, "input of 1 channels can't hold images of 3"},
		{"ffdnet", [3]int{40, 40, 1}, 1, "for images of 1 channels an input of 2, not of 1"},
		{"ffdnet", [3]int{41, 40, 2}, 1, "multiples of 2, not 41x40"},
	} {
		if _, err := New(tt.name, tt.input, tt.outputs); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// restored runs a denoiser with its initial weights, or with zeros, on an input [height, width, channels].
func restored(t *testing.T, n *Network, zero bool, height, width int, x []float32) []float32 {
	t.Helper()
	backend, err := cpu.New("threads=2")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	theta, state := n.Init(3)
	if zero {
		clear(theta)
	}
	out, err := CallOnce(backend, func(in []*Node) *Node {
		return n.Forward(&Pass{Params: Unflatten(in[0], n.Params), State: Unflatten(in[1], n.State)}, in[2])
	}, theta, state, tensors.FromFlatDataAndDimensions(x, 1, height, width, n.Input[2]))
	if err != nil {
		t.Fatal(err)
	}
	y := make([]float32, out.Size())
	if err := tensors.ConstFlatData(out, func(flat []float32) { copy(y, flat) }); err != nil {
		t.Fatal(err)
	}
	return y
}

// ramp is an input of distinct values.
func ramp(height, width, channels int) []float32 {
	x := make([]float32, height*width*channels)
	for k := range x {
		x[k] = float32(math.Mod(float64(k)*0.618034, 1))
	}
	return x
}

// TestNoNoiseLeavesTheImage: a network without weights finds no noise, so the image comes through, at another size than that which
// the network was made for, and without the map of the noise.
func TestNoNoiseLeavesTheImage(t *testing.T) {
	for _, name := range []string{"dncnn-7", "ffdnet"} {
		const height, width, image = 12, 18, 3
		n, err := New(name, channeled(name, [3]int{8, 8, image}), image)
		if err != nil {
			t.Fatal(err)
		}
		x := ramp(height, width, n.Input[2])
		y := restored(t, n, true, height, width, x)
		if len(y) != height*width*image {
			t.Fatalf("%s: %d values", name, len(y))
		}
		for k, v := range y {
			if want := x[k/image*n.Input[2]+k%image]; v != want {
				t.Fatalf("%s: value %d is %v, want %v", name, k, v, want)
			}
		}
	}
}

// TestReach changes one pixel of the input and looks how far its effect comes: not beyond Reach, and for convolutions to it. It does so
// in a process without Winograd convolutions, whose rounding errors spread over blocks of pixels.
func TestReach(t *testing.T) {
	const direct = "DATADROPOUT_CPU_WINOGRAD"
	if os.Getenv(direct) != "off" {
		c := exec.Command(os.Args[0], "-test.run=^TestReach$", "-test.v")
		c.Env = append(os.Environ(), direct+"=off")
		if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestReach")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for _, name := range []string{"dncnn-7", "ffdnet"} {
		const side = 80
		n, err := New(name, channeled(name, [3]int{side, side, 1}), 1)
		if err != nil {
			t.Fatal(err)
		}
		x := ramp(side, side, n.Input[2])
		before := restored(t, n, false, side, side, x)
		for _, at := range []int{side / 2, side/2 + 1} {
			changed := append([]float32(nil), x...)
			changed[(at*side+at)*n.Input[2]] += 100
			far := 0
			for k, v := range restored(t, n, false, side, side, changed) {
				if v != before[k] {
					dy, dx := k/side-at, k%side-at
					far = max(far, max(dy, -dy), max(dx, -dx))
				}
			}
			if far > n.Reach || far < n.Reach-n.Grid {
				t.Errorf("%s: a pixel changes others up to %d away, its reach is %d", name, far, n.Reach)
			}
		}
	}
}

// TestShuffle: shuffling brings back what unshuffling took apart, and unshuffling puts pixel (2i+a, 2j+b) into channel 2a+b of (i, j).
func TestShuffle(t *testing.T) {
	const height, width, image = 4, 6, 2
	b := &builder{dims: []int{height, width, image + 1}, grid: 1}
	b.unshuffle(2)
	apart := b.layers[0]
	b.dims[2]-- // the map of the noise goes its own way
	b.shuffle(2)
	together := b.layers[1]
	if b.err != nil || b.grid != 1 || b.reach != 1 {
		t.Fatalf("error %v, grid %d, reach %d", b.err, b.grid, b.reach)
	}
	backend, err := cpu.New("threads=1")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	x := ramp(height, width, image+1)
	out, err := CallOnceN(backend, func(x *Node) []*Node {
		y := apart(nil, x)
		cut := Slice(y, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, 4*image))
		return []*Node{y, together(nil, cut)}
	}, tensors.FromFlatDataAndDimensions(x, 1, height, width, image+1))
	if err != nil {
		t.Fatal(err)
	}
	want := shapes.Make(dtypes.Float32, 1, height/2, width/2, 4*image+1)
	if !out[0].Shape().Equal(want) {
		t.Fatalf("%v, want %v", out[0].Shape(), want)
	}
	at := func(flat []float32, channels, y, x, c, across int) float32 { return flat[(y*across+x)*channels+c] }
	_ = tensors.ConstFlatData(out[0], func(flat []float32) {
		for y := range height {
			for col := range width {
				for c := range image {
					if got, want := at(flat, 4*image+1, y/2, col/2, (y%2*2+col%2)*image+c, width/2), at(x, image+1, y, col, c, width); got != want {
						t.Errorf("pixel %d, %d, channel %d: %v, want %v", y, col, c, got, want)
					}
				}
			}
		}
		if got, want := at(flat, 4*image+1, 1, 2, 4*image, width/2), at(x, image+1, 2, 4, image, width); got != want {
			t.Errorf("the map of the noise is %v, want %v", got, want)
		}
	})
	_ = tensors.ConstFlatData(out[1], func(flat []float32) {
		for k, v := range flat {
			if want := x[k/image*(image+1)+k%image]; v != want {
				t.Errorf("value %d is %v, want %v", k, v, want)
			}
		}
	})
}
