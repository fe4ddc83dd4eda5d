package export

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// randomModel draws a model whose running statistics and norms are no identity.
func randomModel(n *net.Network, seed uint64) *train.Model {
	theta, state := n.Init(seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	at := 0
	for _, p := range n.Params {
		size := 1
		for _, d := range p.Dims {
			size *= d
		}
		if len(p.Dims) == 1 {
			for k := range size {
				theta[at+k] += float32(0.2 * rng.NormFloat64())
			}
		}
		at += size
	}
	for k := range state {
		state[k] += float32(0.5 * rng.Float64()) // variances stay above zero
	}
	return &train.Model{Theta: theta, State: state}
}

// Every tensor of every network has the value that the layout promises at every place, in names that occur once.
func TestTorchLayout(t *testing.T) {
	for _, name := range []string{"softmax", "mlp", "cnn", "lenet5", "resnet20", "densenet-bc-100-12", "dncnn-s"} {
		input, outputs := net.Usual(name)
		n, err := net.New(name, input, outputs)
		if err != nil {
			t.Fatal(err)
		}
		m := &train.Model{Theta: make([]float32, n.Size()), State: make([]float32, n.StateSize())}
		for k := range m.Theta {
			m.Theta[k] = float32(k % (1 << 20))
		}
		all, err := Torch(n, m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := WriteSafetensors(&bytes.Buffer{}, all, nil); err != nil { // refuses names that occur twice
			t.Errorf("%s: %v", name, err)
		}
		at := 0
		for k, p := range n.Params {
			got := all[k]
			size := len(got.Data)
			ours := m.Theta[at : at+size]
			at += size
			for probe := range min(size, 500) {
				i := probe * 7919 % size
				var place int
				switch d := p.Dims; {
				case len(d) == 4: // [h, w, in, out] from [out, in, h, w]
					h, w, in := d[0], d[1], d[2]
					x, y, c, o := i%w, i/w%h, i/(w*h)%in, i/(w*h*in)
					place = ((y*w+x)*in+c)*d[3] + o
				case len(d) == 2:
					in, o := i%d[0], i/d[0]
					if p.Image != nil { // the input of PyTorch is [c, h, w], ours [h, w, c]
						h, w, ch := p.Image[0], p.Image[1], p.Image[2]
						x, y, c := in%w, in/w%h, in/(w*h)
						in = (y*w+x)*ch + c
					}
					place = in*d[1] + o
				default:
					place = i
				}
				if got.Data[i] != ours[place] {
					t.Fatalf("%s: %s at %d is %v, want %v", name, got.Name, i, got.Data[i], ours[place])
				}
			}
		}
	}
}

func TestTorchRefuses(t *testing.T) {
	n, err := net.New("softmax", [3]int{4, 4, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Torch(n, &train.Model{Theta: make([]float32, 3)}); err == nil {
		t.Error("a model of another network was taken")
	}
	n.Params[0].Name = "dense/gain"
	if _, err := Torch(n, &train.Model{Theta: make([]float32, n.Size())}); err == nil || !strings.Contains(err.Error(), "dense/gain") {
		t.Errorf("a parameter of no known kind: %v", err)
	}
}

// python is one with the modules; the test is skipped where there is none.
func python(t *testing.T, modules string) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(name, "-c", "import "+modules).Run() == nil {
			return name
		}
	}
	t.Skipf("no python3 with %s", modules)
	return ""
}

// PyTorch, with modules built by hand in bench/peers, answers what our networks answer.
func TestTorchLogits(t *testing.T) {
	if testing.Short() {
		t.Skip("imports PyTorch")
	}
	interpreter := python(t, "torch, numpy")
	backend, err := cpu.New("threads=1")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	var args []string
	for _, c := range []struct {
		net     string
		input   [3]int
		classes int
	}{{"cnn", [3]int{28, 26, 3}, 10}, {"mlp", [3]int{6, 5, 3}, 4}, {"resnet20", [3]int{32, 28, 3}, 7}} {
		n, err := net.New(c.net, c.input, c.classes)
		if err != nil {
			t.Fatal(err)
		}
		m := randomModel(n, 3)
		const samples = 3
		x := make([]float32, samples*c.input[0]*c.input[1]*c.input[2])
		rng := rand.New(rand.NewPCG(1, 2))
		for k := range x {
			x[k] = float32(rng.NormFloat64())
		}
		exec := MustNewExec(backend, func(in []*Node) *Node {
			pass := &net.Pass{Params: net.Unflatten(in[1], n.Params)}
			if n.StateSize() > 0 {
				pass.State = net.Unflatten(in[2], n.State)
			}
			return n.Forward(pass, in[0])
		})
		feed := []any{tensors.FromFlatDataAndDimensions(x, samples, c.input[0], c.input[1], c.input[2]), tensors.FromFlatDataAndDimensions(m.Theta, len(m.Theta))}
		if n.StateSize() > 0 {
			feed = append(feed, tensors.FromFlatDataAndDimensions(m.State, len(m.State)))
		}
		out, err := exec.Call(feed...)
		if err != nil {
			t.Fatal(err)
		}
		var logits []float32
		if err := tensors.ConstFlatData(out[0], func(v []float32) { logits = append(logits, v...) }); err != nil {
			t.Fatal(err)
		}
		exec.Finalize()
		all, err := Torch(n, m)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), c.net)
		image, _ := json.Marshal(c.input)
		classes, _ := json.Marshal(make([]string, c.classes))
		if err := WriteTree(t.Context(), dir, []Entry{
			{Path: "weights.safetensors", Write: func(w io.Writer) error {
				return WriteSafetensors(w, all, map[string]string{"net": c.net, "image": string(image), "classes": string(classes)})
			}},
			{Path: "input.npy", Write: func(w io.Writer) error { return WriteNumPy(w, x) }},
			{Path: "logits.npy", Write: func(w io.Writer) error { return WriteNumPy(w, logits) }},
		}, nil); err != nil {
			t.Fatal(err)
		}
		args = append(args, dir)
	}
	command := exec.Command(interpreter, append([]string{filepath.Join("..", "bench", "peers", "torch_logits.py")}, args...)...)
	command.Env = append(os.Environ(), "OMP_NUM_THREADS=1")
	answer, err := command.CombinedOutput()
	t.Logf("%s", answer)
	if err != nil || strings.Count(string(answer), `"difference"`) != len(args) {
		t.Errorf("PyTorch differs: %v", err)
	}
}
