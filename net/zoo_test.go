package net

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/cpu"
)

// Parameters and multiply-adds by the tables of the papers. Batch norm has 2 parameters a channel, c below is a convolution's
// kernel. Published: torchvision's exact counts of resnet18, 34 and 50, and 1.81, 3.66 and 4.09 G multiply-adds; 0.46, 0.66, 0.85
// and 1.7 M of resnet32 to 110 (He et al. 2016, table 6); 1.7 M of resnet164; 2.7 and 36.5 M of WRN-16-4 and WRN-28-10 (Zagoruyko
// and Komodakis 2016, tables 1 and 4); 0.8 M of DenseNet-BC-100-12 (Huang et al. 2017, table 2); 14.7 M of VGG-16's
// convolutions.
func TestPublishedCounts(t *testing.T) {
	c := func(size, in, out int) int { return size * size * in * out }
	resnet := func(n int) int { // 6n+2 layers
		return c(3, 3, 16) + 32 + 2*n*(c(3, 16, 16)+32) + c(3, 16, 32) + (2*n-1)*c(3, 32, 32) + 2*n*64 +
			c(3, 32, 64) + (2*n-1)*c(3, 64, 64) + 2*n*128 + 650
	}
	resnet164 := func() int {
		total, in := c(3, 3, 16), 16
		for _, width := range []int{16, 32, 64} {
			for block := range 18 {
				total += 2*in + c(1, in, width) + 2*width + c(3, width, width) + 2*width + c(1, width, 4*width)
				if block == 0 {
					total += c(1, in, 4*width)
				}
				in = 4 * width
			}
		}
		return total + 2*256 + 2570
	}()
	wide := func(n, k int) int {
		total, in := c(3, 3, 16), 16
		for _, width := range []int{16 * k, 32 * k, 64 * k} {
			total += 2*in + c(3, in, width) + 2*width + c(3, width, width) + c(1, in, width)
			total += (n - 1) * 2 * (2*width + c(3, width, width))
			in = width
		}
		return total + 2*in + 10*in + 10
	}
	dense := func() int {
		total, in := c(3, 3, 24), 24
		for block := range 3 {
			for range 16 {
				total += 2*in + c(1, in, 48) + 2*48 + c(3, 48, 12)
				in += 12
			}
			if block < 2 {
				total += 2*in + c(1, in, in/2)
				in /= 2
			}
		}
		return total + 2*in + 10*in + 10
	}()
	vgg := func(counts ...int) int {
		total, in := 0, 3
		for k, width := range []int{64, 128, 256, 512, 512} {
			for range counts[k] {
				total += c(3, in, width) + 2*width
				in = width
			}
		}
		return total + 5130
	}
	cifar, large := [3]int{32, 32, 3}, [3]int{224, 224, 3}
	for _, tt := range []struct {
		name        string
		input       [3]int
		outputs     int
		parameters  int
		millions    [2]float64 // published, from and to
		multiplyAdd [2]float64 // in millions
		depth       int
	}{
		{"resnet20", cifar, 10, resnet(3), [2]float64{0.27, 0.27}, [2]float64{40.5, 41.5}, 20},
		{"resnet32", cifar, 10, resnet(5), [2]float64{0.46, 0.47}, [2]float64{69, 69}, 32},
		{"resnet44", cifar, 10, resnet(7), [2]float64{0.66, 0.66}, [2]float64{97, 98}, 44},
		{"resnet56", cifar, 10, resnet(9), [2]float64{0.85, 0.86}, [2]float64{125, 127}, 56},
		{"resnet110", cifar, 10, resnet(18), [2]float64{1.7, 1.75}, [2]float64{252.5, 253.5}, 110},
		{"resnet110-sd", cifar, 10, resnet(18), [2]float64{1.7, 1.75}, [2]float64{252.5, 253.5}, 110},
		{"resnet152-sd", cifar, 10, resnet(25), [2]float64{2.4, 2.5}, [2]float64{351, 353}, 152},
		{"resnet164", cifar, 10, resnet164, [2]float64{1.7, 1.71}, [2]float64{244, 258}, 164},
		{"wrn-16-4", cifar, 10, wide(2, 4), [2]float64{2.7, 2.75}, [2]float64{390, 395}, 14},
		{"wrn-28-10", cifar, 10, wide(4, 10), [2]float64{36.45, 36.55}, [2]float64{5200, 5300}, 26},
		{"densenet-bc-100-12", cifar, 10, dense, [2]float64{0.765, 0.8}, [2]float64{285, 300}, 100},
		{"vgg11-bn", cifar, 10, vgg(1, 1, 2, 2, 2), [2]float64{9.2, 9.3}, [2]float64{152, 154}, 9},
		{"vgg13-bn", cifar, 10, vgg(2, 2, 2, 2, 2), [2]float64{9.4, 9.5}, [2]float64{227, 230}, 11},
		{"vgg16-bn", cifar, 10, vgg(2, 2, 3, 3, 3), [2]float64{14.7, 14.75}, [2]float64{313, 315}, 14},
		{"vgg19-bn", cifar, 10, vgg(2, 2, 4, 4, 4), [2]float64{20, 20.1}, [2]float64{398, 400}, 17},
		{"resnet18", large, 1000, 11689512, [2]float64{11.7, 11.7}, [2]float64{1810, 1820}, 18},
		{"resnet34", large, 1000, 21797672, [2]float64{21.8, 21.8}, [2]float64{3660, 3670}, 34},
		{"resnet50", large, 1000, 25557032, [2]float64{25.6, 25.6}, [2]float64{4080, 4100}, 50},
		{"resnet50-smooth", large, 1000, 25557032, [2]float64{25.6, 25.6}, [2]float64{4080, 4100}, 50},
	} {
		n, err := New(tt.name, tt.input, tt.outputs)
		if err != nil {
			t.Error(err)
			continue
		}
		if n.Size() != tt.parameters || n.Depth != tt.depth {
			t.Errorf("%s: %d parameters and depth %d, want %d and %d", tt.name, n.Size(), n.Depth, tt.parameters, tt.depth)
		}
		within := func(what string, got int64, published [2]float64, digits float64) {
			if m := float64(got) / 1e6; m < published[0]-digits || m > published[1]+digits {
				t.Errorf("%s: %.3f million %s, published %v", tt.name, m, what, published)
			}
		}
		within("parameters", int64(n.Size()), tt.millions, 0.005+tt.millions[0]/400)
		within("multiply-adds", n.ForwardFLOPs/2, tt.multiplyAdd, 0.5)
	}
}

// channeled is an input with the channels that the network takes of images of three.
func channeled(name string, input [3]int) [3]int {
	if TakesNoiseMap(name) {
		input[2]++
	}
	return input
}

// outputs is the number of classes, or of the three channels that a denoiser makes.
func outputs(name string, classes int) int {
	if IsDenoiser(name) {
		return 3
	}
	return classes
}

// TestLayers holds the list of layers against the totals, and a few entries against the papers' tables of sizes.
func TestLayers(t *testing.T) {
	for _, name := range Names() {
		n, err := New(name, channeled(name, [3]int{64, 64, 3}), outputs(name, 7))
		if err != nil {
			t.Fatal(err)
		}
		parameters, multiplyAdds := 0, int64(0)
		for _, l := range n.Layers {
			parameters += l.Parameters
			multiplyAdds += l.MultiplyAdds
			if l.Kind == "" || len(l.Output) == 0 {
				t.Errorf("%s: %+v", name, l)
			}
		}
		if parameters != n.Size() || 2*multiplyAdds != n.ForwardFLOPs {
			t.Errorf("%s: layers of %d parameters and %d multiply-adds, want %d and %d", name, parameters, multiplyAdds, n.Size(), n.ForwardFLOPs/2)
		}
		if last := n.Layers[len(n.Layers)-1]; !slices.Equal(last.Output, n.Outputs) {
			t.Errorf("%s ends with %v, its layers with %v", name, n.Outputs, last.Output)
		}
	}
	n, err := New("resnet50", [3]int{224, 224, 3}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int{
		"stem": {112, 112, 64}, "stage1/block3/conv3": {56, 56, 256}, "stage2/block1/conv1": {56, 56, 128}, "stage2/block1/conv2": {28, 28, 128},
		"stage3/block1/shortcut": {14, 14, 1024}, "stage4/block3/conv3": {7, 7, 2048}, "dense": {1000},
	} {
		k := slices.IndexFunc(n.Layers, func(l Layer) bool { return l.Name == name })
		if k < 0 || !slices.Equal(n.Layers[k].Output, want) {
			t.Errorf("resnet50 has no layer %s with %v values: %+v", name, want, n.Layers[max(k, 0)])
		}
	}
	if l := n.Layers[2]; l.Kind != "max-pooling 3x3, stride 2" || !slices.Equal(l.Output, []int{56, 56, 64}) {
		t.Errorf("the pooling behind the stem is %+v", l)
	}
}

// TestGraphs builds every network and its smooth variant as a graph, without running it: outputs have the shape they
// should have, every parameter is told of once, and a pass in training mode makes a new state of the old one's shape.
func TestGraphs(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	for _, base := range Names() {
		for _, name := range []string{base, base + smoothSuffix} {
			for _, training := range []bool{false, true} {
				input := channeled(name, [3]int{34, 32, 3})
				n, err := New(name, input, outputs(name, 7))
				if err != nil {
					t.Fatal(err)
				}
				g := NewGraph(backend, name)
				tensor := func(name string, dims ...int) *Node { return Parameter(g, name, shapes.Make(dtypes.Float32, dims...)) }
				told := make([]int, len(n.Params))
				pass := &Pass{Training: training, NewState: make([]*Node, len(n.State)), Tap: func(t Tap) {
					told[t.Weight]++
					if t.Bias >= 0 {
						told[t.Bias]++
					}
				}}
				for _, p := range n.Params {
					pass.Params = append(pass.Params, tensor(p.Name, p.Dims...))
				}
				for _, p := range n.State {
					pass.State = append(pass.State, tensor(p.Name, p.Dims...))
				}
				if training && len(n.Gates) > 0 {
					pass.Gates = tensor("gates", len(n.Gates))
				}
				y := n.Forward(pass, tensor("images", 2, 34, 32, input[2]))
				if got, want := y.Shape().Dimensions, append([]int{2}, n.Outputs...); !slices.Equal(got, want) {
					t.Errorf("%s: outputs of shape %v, want %v", name, got, want)
				}
				if slices.ContainsFunc(told, func(n int) bool { return n != 1 }) {
					t.Errorf("%s: its parameters are told of %v times, want once each", name, told)
				}
				for k, s := range pass.NewState {
					if training && (s == nil || !slices.Equal(s.Shape().Dimensions, n.State[k].Dims)) {
						t.Errorf("%s: the new %s is %v", name, n.State[k].Name, s)
					}
				}
				g.Finalize()
			}
		}
	}
}

// Linear decay from 1 at the input to 0.5 at the last block.
func TestSurvivalProbabilities(t *testing.T) {
	for name, blocks := range map[string]int{"resnet110-sd": 54, "resnet152-sd": 75, "resnet110": 0, "resnet164": 0} {
		n, err := New(name, [3]int{32, 32, 3}, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(n.Gates) != blocks {
			t.Fatalf("%s has %d gates, want %d", name, len(n.Gates), blocks)
		}
		for l, p := range n.Gates {
			if want := 1 - 0.5*float64(l+1)/float64(blocks); p != want {
				t.Errorf("%s: block %d survives with %v, want %v", name, l+1, p, want)
			}
		}
	}
}

func TestAboutEveryNetwork(t *testing.T) {
	for _, name := range Names() {
		if about := About(name + "+gelu"); about == "" || len(about) > 48 || strings.HasSuffix(about, ".") {
			t.Errorf("%s is about %q", name, about)
		}
		if IsDenoiser(name) == slices.Contains(Classifiers(), name) {
			t.Errorf("%s: denoiser %v, and among the classifiers or not alike", name, IsDenoiser(name))
		}
	}
	if About("resnet21") != "" || IsDenoiser("resnet21") {
		t.Error("a network that is not there is about something")
	}
}
