package cpu_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/cpu"
)

// results runs a graph on random inputs of the given dimensions, the same ones on every backend, and returns its outputs
// and the names of the steps that this package's backend took.
func results(t *testing.T, b compute.Backend, dims [][]int, build func(x []*Node) []*Node) (out [][]float32, steps []string) {
	t.Helper()
	if b.Name() == cpu.BackendName {
		cpu.Trace(b, func(step string, _ time.Duration) { steps = append(steps, step) })
	}
	rng := rand.New(rand.NewPCG(7, 11))
	var args []any
	for _, d := range dims {
		flat := make([]float32, count(d))
		for i := range flat {
			flat[i] = float32(rng.NormFloat64())
		}
		args = append(args, tensors.FromFlatDataAndDimensions(flat, d...))
	}
	exec := MustNewExec(b, build)
	defer exec.Finalize()
	for _, x := range exec.MustCall(args...) {
		out = append(out, tensors.MustCopyFlatData[float32](x))
	}
	return out, steps
}

// agree compares outputs, relative to the largest element of each.
func agree(t *testing.T, name string, got, want [][]float32, tolerance float64) {
	t.Helper()
	for k := range want {
		scale := 1e-6
		for _, x := range want[k] {
			scale = max(scale, math.Abs(float64(x)))
		}
		for i, x := range want[k] {
			if d := math.Abs(float64(got[k][i] - x)); !(d <= tolerance*scale) {
				t.Fatalf("%s: output %d, element %d is %g, want %g", name, k, i, got[k][i], x)
			}
		}
	}
}

// TestBatchNormGradient differentiates batch normalization, ReLU and a shortcut. The backward pass must be two
// passes over memory, one with both sums and one without any; what comes out is what it is without fusion, and on the
// pure-Go backend.
func TestBatchNormGradient(t *testing.T) {
	dims := [][]int{{6, 9, 7, 16}, {16}, {16}, {6, 9, 7, 16}}
	build := func(in []*Node) []*Node {
		x, scale, offset := in[0], ExpandLeftToRank(in[1], 4), ExpandLeftToRank(in[2], 4)
		// A large mean: the rewritten sums must not lose the small differences.
		x = AddScalar(x, 30)
		mean := ReduceAndKeep(x, ReduceMean, 0, 1, 2)
		centered := Sub(x, mean)
		variance := ReduceAndKeep(Mul(centered, centered), ReduceMean, 0, 1, 2)
		y := Add(Mul(centered, Div(scale, Sqrt(AddScalar(variance, 1e-5)))), offset)
		y = Max(y, ScalarZero(x.Graph(), x.DType()))
		return append(Gradient(ReduceAllSum(Mul(y, in[3])), in[0], in[1], in[2]), y)
	}
	reference, err := cpu.NewReference()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := results(t, reference, dims, build)
	got, steps := results(t, newBackend(t, "threads=2"), dims, build)
	agree(t, "fused", got, want, 2e-5)
	plain, _ := results(t, newBackend(t, "nofuse"), dims, build)
	agree(t, "not fused", plain, want, 2e-5)
	one, _ := results(t, newBackend(t, "threads=1"), dims, build)
	for k := range got {
		if !slices.Equal(got[k], one[k]) {
			t.Errorf("output %d depends on the number of threads", k)
		}
	}
	both := func(s string) bool { return strings.Count(s, "ReduceSum") == 2 && strings.Contains(s, "ReLUGrad") }
	if !slices.ContainsFunc(steps, both) {
		t.Errorf("no step of the backward pass has two sums: %s", steps)
	}
	sums := 0
	for _, s := range steps {
		if strings.HasPrefix(s, "fused") && strings.Contains(s, "ReduceSum") {
			sums++
		}
	}
	if sums > 3 { // the mean, the variance, and the two of the backward pass
		t.Errorf("%d passes add up, want at most 3: %s", sums, steps)
	}
}

// TestManySums has one pass add up more products of the same arrays than a program may have sums.
func TestManySums(t *testing.T) {
	dims := [][]int{{40, 5, 24}, {40, 5, 24}}
	build := func(in []*Node) []*Node {
		x, y := in[0], in[1]
		z := Add(Mul(x, y), x)
		out := []*Node{z}
		for k := range 12 {
			out = append(out, ReduceSum(Mul(z, AddScalar(x, float64(k))), 0, 1), ReduceAllSum(Mul(z, AddScalar(y, float64(k)))))
		}
		return append(out, ReduceSum(z, 1), ReduceSum(Mul(x, y), 0), ReduceSum(Mul(x, x), 0, 1, 2))
	}
	reference, err := cpu.NewReference()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := results(t, reference, dims, build)
	for _, options := range []string{"threads=1", "threads=2", "nofuse"} {
		got, _ := results(t, newBackend(t, options), dims, build)
		agree(t, options, got, want, 2e-5)
	}
}

// TestContractedProducts computes the same product and sum in several groups: a comparison of the results must find them
// equal.
func TestContractedProducts(t *testing.T) {
	dims := [][]int{{300, 33}, {1, 33}, {300, 33}}
	build := func(in []*Node) []*Node {
		z := Add(in[2], Mul(in[0], BroadcastToDims(in[1], 300, 33)))
		w := Add(Mul(in[0], in[2]), Mul(in[2], in[2]))
		var out []*Node
		for _, v := range []*Node{z, w} {
			largest := ReduceAndKeep(v, ReduceMax, -1)
			hit := Where(Equal(v, BroadcastToDims(largest, 300, 33)), OnesLike(v), ZerosLike(v))
			out = append(out, ReduceSum(hit, 1), v, largest)
		}
		// The product passes through memory: one reads what the other has written.
		u := OnePlus(Mul(in[0], Neg(in[2])))
		return append(out, Mul(u, ReduceAllSum(Mul(u, u))))
	}
	reference, err := cpu.NewReference()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := results(t, reference, dims, build)
	got, _ := results(t, newBackend(t, "threads=2"), dims, build)
	agree(t, "fused", got, want, 1e-5)
}

// TestPickWindow sums a tensor times the mask of max-pooling over windows that tile the input, as forward mode does: with
// ties, with NaN, and in a form that must be left alone.
func TestPickWindow(t *testing.T) {
	for _, c := range []struct {
		name          string
		height, width int // of a window
		offset        float64
		picks         bool
		prepare       func(x *Node) *Node
	}{
		{"ties", 2, 2, 0, true, Floor},
		{"distinct", 3, 2, 0, true, Tanh},
		{"NaN", 2, 3, 0, true, Sqrt},
		{"not a mask", 2, 2, 1, false, Floor},
	} {
		dims := [][]int{{3, 4 * c.height, 5 * c.width, 7}, {3, 4 * c.height, 5 * c.width, 7}}
		build := func(in []*Node) []*Node {
			x := c.prepare(in[0])
			pooled := MaxPool(x).WindowPerAxis(c.height, c.width).NoPadding().Done()
			mask := Gradient(ReduceAllSum(MulScalar(pooled, 1+c.offset)), x)[0]
			v := Reshape(Mul(mask, in[1]), 3, 4, c.height, 5*c.width, 7)
			v = Reshape(ReduceSum(v, 2), 3, 4, 5, c.width, 7)
			return []*Node{ReduceSum(v, 3)}
		}
		reference, err := cpu.NewReference()
		if err != nil {
			t.Fatal(err)
		}
		want, _ := results(t, reference, dims, build)
		got, steps := results(t, newBackend(t, "threads=2"), dims, build)
		agree(t, c.name, got, want, 1e-6)
		if slices.Contains(steps, "PickWindow") != c.picks {
			t.Errorf("%s: steps %s", c.name, steps)
		}
	}
}

// TestPoolingChains has programs next to poolings: they become one step that goes image by image, where the program reads
// nothing of the pooling in another order, and where there are images enough.
func TestPoolingChains(t *testing.T) {
	pool := func(x *Node) *Node { return MaxPool(x).Window(2).NoPadding().Done() }
	for _, c := range []struct {
		name   string
		images int
		steps  []string // parts of the names that must occur; with a "!" must not
		build  func(x, bias *Node) []*Node
	}{
		{"forward", 16, []string{")+ReduceWindow"}, func(x, bias *Node) []*Node {
			return []*Node{pool(Max(Add(x, bias), ScalarZero(x.Graph(), x.DType())))}
		}},
		{"few images", 5, []string{"!)+ReduceWindow", "ReduceWindow"}, func(x, bias *Node) []*Node {
			return []*Node{pool(Max(Add(x, bias), ScalarZero(x.Graph(), x.DType())))}
		}},
		{"gradient", 17, []string{"SelectAndScatterMax+fused"}, func(x, bias *Node) []*Node {
			y := Max(Add(x, bias), ScalarZero(x.Graph(), x.DType()))
			return append(Gradient(ReduceAllSum(Square(pool(y))), x, bias), y)
		}},
		{"gradient of a pooling that leaves rows out", 18, []string{"SelectAndScatterMax+"}, func(x, bias *Node) []*Node {
			y := MaxPool(Tanh(Add(x, bias))).WindowPerAxis(4, 3).NoPadding().Done()
			return append(Gradient(ReduceAllSum(Square(y)), x, bias), y)
		}},
		{"overlapping windows", 16, []string{"+SelectAndScatterMax", "+ReduceWindow"}, func(x, bias *Node) []*Node {
			y := MaxPool(Tanh(Add(x, bias))).Window(3).Strides(1).PadSame().Done()
			return append(Gradient(ReduceAllSum(Square(y)), x, bias), y)
		}},
		{"an average of images", 16, []string{"!ReduceWindow+"}, func(x, bias *Node) []*Node {
			y := pool(Tanh(x))
			return []*Node{Mul(y, BroadcastToShape(ReduceAndKeep(y, ReduceMean, 0), y.Shape()))}
		}},
		{"input read after it could be overwritten", 16, nil, func(x, bias *Node) []*Node {
			u := Tanh(x)
			y := pool(Exp(u))
			return []*Node{Add(y, pool(u))}
		}},
		{"program behind a pooling, over what that read", 16, nil, func(x, bias *Node) []*Node {
			u := Tanh(Add(x, bias))
			y := MaxPool(u).Window(3).Strides(1).PadSame().Done()
			return []*Node{Mul(y, Exp(u)), ReduceAllSum(y)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dims := [][]int{{c.images, 10, 6, 16}, {1, 1, 1, 16}}
			build := func(in []*Node) []*Node { return c.build(in[0], in[1]) }
			reference, err := cpu.NewReference()
			if err != nil {
				t.Fatal(err)
			}
			want, _ := results(t, reference, dims, build)
			got, steps := results(t, newBackend(t, "threads=2"), dims, build)
			agree(t, "threads=2", got, want, 1e-5)
			one, _ := results(t, newBackend(t, "threads=1"), dims, build)
			for k := range got {
				if !slices.Equal(got[k], one[k]) {
					t.Errorf("output %d depends on the number of threads", k)
				}
			}
			for _, s := range c.steps {
				name, without := strings.CutPrefix(s, "!")
				if slices.ContainsFunc(steps, func(step string) bool { return strings.Contains(step, name) }) == without {
					t.Errorf("want %s, steps %s", s, steps)
				}
			}
		})
	}
}

// TestRegroupedSums has sums in the forms that are rewritten for multiply-adds, and one that must stay because others
// read a product.
func TestRegroupedSums(t *testing.T) {
	dims := [][]int{{30, 70}, {70}, {30, 70}, {30, 70}}
	build := func(in []*Node) []*Node {
		x, y, z := in[0], in[2], in[3]
		k := BroadcastPrefix(in[1], 30)
		term := Mul(x, k)
		kept := Mul(y, k)
		return []*Node{
			Add(Add(z, term), term),
			Add(Add(Mul(x, y), Mul(y, z)), x),
			Add(z, Add(Mul(x, x), Mul(z, Neg(y)))),
			Add(Add(z, kept), kept), kept,
		}
	}
	reference, err := cpu.NewReference()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := results(t, reference, dims, build)
	got, _ := results(t, newBackend(t, "threads=2"), dims, build)
	agree(t, "fused", got, want, 1e-6)
}

// TestMaskOfReLU has the gradient of ReLU multiply by NaN where the input is NaN, by one at zero, and by zero below.
func TestMaskOfReLU(t *testing.T) {
	for _, prepare := range []func(x *Node) *Node{Sqrt, Floor} {
		build := func(in []*Node) []*Node {
			x := prepare(in[0])
			g := Gradient(ReduceAllSum(Mul(Max(x, ScalarZero(x.Graph(), x.DType())), in[1])), x)[0]
			return []*Node{g, x, in[1]}
		}
		out, _ := results(t, newBackend(t, "threads=2"), [][]int{{3000}, {3000}}, build)
		for i, x := range out[1] {
			want := out[2][i]
			switch {
			case x != x:
				want = x
			case x < 0:
				want = 0
			}
			if got := out[0][i]; got != want && (got == got || want == want) {
				t.Fatalf("element %d, at %g, is %g, want %g", i, x, got, want)
			}
		}
	}
}
