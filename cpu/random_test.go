package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// graphWriter writes a random graph; the same seed writes the same graph on any backend.
type graphWriter struct {
	t      *testing.T
	rng    *rand.Rand
	fn     compute.Function
	values []written
}

// written is a float32 value of the graph. Comparisons and maxima are made of exact values only, for a
// difference in the last bit must not change which way they go.
type written struct {
	v     compute.Value
	dims  []int
	exact bool
}

func (w *graphWriter) add(v compute.Value, err error, exact bool) {
	if err != nil {
		w.t.Fatalf("writing a graph: %v", err)
	}
	shape, err := w.fn.Shape(v)
	if err != nil {
		w.t.Fatal(err)
	}

	if shape.Size() > 4000 {
		return
	}
	w.values = append(w.values, written{v, shape.Dimensions, exact})
}

func (w *graphWriter) pick(ok func(written) bool) (written, bool) {
	var list []written
	for _, x := range w.values {
		if ok == nil || ok(x) {
			list = append(list, x)
		}
	}
	if len(list) == 0 {
		return written{}, false
	}
	if w.rng.IntN(3) == 0 { // chains are more interesting
		return list[len(list)-1], true
	}
	return list[w.rng.IntN(len(list))], true
}

// fitting picks a value that x can be combined with: of the same shape, a scalar, or with axes of size 1.
func (w *graphWriter) fitting(x written, exact bool) (written, bool) {
	return w.pick(func(y written) bool {
		if exact && !y.exact {
			return false
		}
		if len(y.dims) == 0 {
			return true
		}
		if len(y.dims) != len(x.dims) {
			return false
		}
		for i := range y.dims {
			if y.dims[i] != x.dims[i] && y.dims[i] != 1 {
				return false
			}
		}
		return true
	})
}

func (w *graphWriter) step() {
	f, rng := w.fn, w.rng
	x, _ := w.pick(nil)
	rank := len(x.dims)
	switch rng.IntN(20) {
	case 0:
		v, err := f.Tanh(x.v)
		w.add(v, err, false)
	case 1:
		v, err := f.Neg(x.v)
		w.add(v, err, x.exact)
	case 2:
		v, err := f.Abs(x.v)
		w.add(v, err, x.exact)
	case 3, 4, 5:
		y, ok := w.fitting(x, false)
		if !ok {
			return
		}
		a, b := x.v, y.v
		if rng.IntN(2) == 0 {
			a, b = b, a
		}
		ops := []func(a, b compute.Value) (compute.Value, error){f.Add, f.Sub, f.Mul}
		v, err := ops[rng.IntN(len(ops))](a, b)
		w.add(v, err, false)
	case 6:
		y, ok := w.fitting(x, true)
		if !ok || !x.exact {
			return
		}
		ops := []func(a, b compute.Value) (compute.Value, error){f.Max, f.Min}
		v, err := ops[rng.IntN(2)](x.v, y.v)
		w.add(v, err, true)
	case 7:
		y, ok := w.fitting(x, true)
		if !ok || !x.exact {
			return
		}
		ops := []func(a, b compute.Value) (compute.Value, error){f.LessThan, f.GreaterOrEqual, f.Equal, f.NotEqual}
		a, b := x.v, y.v
		if rng.IntN(2) == 0 {
			a, b = b, a
		}
		mask, err := ops[rng.IntN(len(ops))](a, b)
		if err != nil {
			w.t.Fatal(err)
		}
		if rng.IntN(2) == 0 {
			if mask, err = f.LogicalNot(mask); err != nil {
				w.t.Fatal(err)
			}
		}
		if rng.IntN(2) == 0 {
			v, err := f.ConvertDType(mask, dtypes.Float32)
			w.add(v, err, true)
			return
		}
		z, ok := w.pick(func(z written) bool { return slices.Equal(z.dims, x.dims) })
		if !ok {
			return
		}
		v, err := f.Where(mask, z.v, x.v)
		w.add(v, err, false)
	case 8: // the gradient of ReLU
		if !x.exact {
			return
		}
		one, err := f.Constant([]float32{1})
		if err != nil {
			w.t.Fatal(err)
		}
		s, _ := f.Sign(x.v)
		s, _ = f.Add(s, one)
		v, err := f.Sign(s)
		w.add(v, err, true)
	case 9:
		if rank > 3 {
			return
		}
		at := rng.IntN(rank + 1)
		dims := slices.Insert(slices.Clone(x.dims), at, 1+rng.IntN(4))
		axes := make([]int, rank)
		for i := range axes {
			axes[i] = i
			if i >= at {
				axes[i]++
			}
		}
		v, err := f.BroadcastInDim(x.v, shapes.Make(dtypes.Float32, dims...), axes)
		w.add(v, err, x.exact)
	case 10:
		v, err := f.Reshape(x.v, regroup(rng, x.dims)...)
		w.add(v, err, x.exact)
	case 11:
		v, err := f.Transpose(x.v, rng.Perm(rank)...)
		w.add(v, err, x.exact)
	case 12:
		var starts, limits, strides []int
		for _, n := range x.dims {
			a := rng.IntN(n)
			b := a + 1 + rng.IntN(n-a)
			starts, limits, strides = append(starts, a), append(limits, b), append(strides, 1+rng.IntN(2))
		}
		v, err := f.Slice(x.v, starts, limits, strides)
		w.add(v, err, x.exact)
	case 13:
		if rank == 0 {
			return
		}
		v, err := f.Reverse(x.v, rng.IntN(rank))
		w.add(v, err, x.exact)
	case 14:
		fill, err := f.Constant([]float32{0.5})
		if err != nil {
			w.t.Fatal(err)
		}
		var config []compute.PadAxis
		for range x.dims {
			config = append(config, compute.PadAxis{Start: rng.IntN(2), End: rng.IntN(2), Interior: rng.IntN(2)})
		}
		v, err := f.Pad(x.v, fill, config...)
		w.add(v, err, x.exact)
	case 15:
		if rank == 0 {
			return
		}
		y, ok := w.pick(func(y written) bool { return slices.Equal(y.dims, x.dims) })
		if !ok {
			return
		}
		v, err := f.Concatenate(rng.IntN(rank), x.v, y.v, x.v)
		w.add(v, err, x.exact && y.exact)
	case 16, 17:
		if rank == 0 {
			return
		}
		axes := rng.Perm(rank)[:1+rng.IntN(rank)]
		if x.exact && rng.IntN(2) == 0 {
			ops := []func(x compute.Value, axes ...int) (compute.Value, error){f.ReduceMax, f.ReduceMin}
			v, err := ops[rng.IntN(2)](x.v, axes...)
			w.add(v, err, true)
			return
		}
		v, err := f.ReduceSum(x.v, axes...)
		w.add(v, err, false)
	case 18:
		y, ok := w.pick(func(y written) bool { return len(y.dims) > 0 && rank > 0 && y.dims[0] == x.dims[rank-1] })
		if !ok {
			return
		}
		v, err := f.DotGeneral(x.v, []int{rank - 1}, nil, y.v, []int{0}, nil, compute.DotGeneralConfig{})
		w.add(v, err, false)
	case 19:
		if rank == 0 || !x.exact {
			return
		}
		v, err := f.ArgMinMax(x.v, rng.IntN(rank), dtypes.Int32, rng.IntN(2) == 0)
		if err != nil {
			w.t.Fatal(err)
		}
		v, err = f.ConvertDType(v, dtypes.Float32)
		w.add(v, err, true)
	}
}

// regroup splits the same number of elements into other dimensions.
func regroup(rng *rand.Rand, dims []int) []int {
	n := count(dims)
	var out []int
	for n > 1 && len(out) < 3 {
		d := 1 + rng.IntN(n)
		for n%d != 0 {
			d--
		}
		out = append(out, d)
		n /= d
	}
	return append(out, n)
}

// randomGraph compiles a random graph and executes it twice, with different inputs.
func randomGraph(t *testing.T, b compute.Backend, seed uint64) [][]float32 {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	builder := b.Builder("random")
	w := &graphWriter{t: t, rng: rng, fn: builder.Main()}
	dims := [][]int{{}, {6}, {4, 6}, {3, 4, 6}, {1, 6}, {4, 1}, {2, 3, 4, 5}}
	for i, d := range dims {
		v, err := w.fn.Parameter(fmt.Sprintf("x%d", i), shapes.Make(dtypes.Float32, d...), nil)
		w.add(v, err, true)
	}
	for range 6 + rng.IntN(30) {
		w.step()
	}
	var outputs []compute.Value
	for range 1 + rng.IntN(4) {
		outputs = append(outputs, w.values[len(w.values)-1-rng.IntN(min(len(w.values), 6))].v)
	}
	// The pure-Go backend can't run a program whose outputs all come before a parameter.
	last, err := w.fn.Neg(w.values[len(w.values)-1].v)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.fn.Return(append(outputs, last), nil); err != nil {
		t.Fatal(err)
	}
	exec, err := builder.Compile()
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	var results [][]float32
	for round := range 2 {
		var inputs []compute.Buffer
		donate := make([]bool, len(dims))
		for i, d := range dims {
			flat := make([]float32, count(d))
			for k := range flat {
				flat[k] = float32(rng.IntN(9)-4) / 4
			}
			buf, err := b.BufferFromFlatData(0, flat, shapes.Make(dtypes.Float32, d...))
			if err != nil {
				t.Fatal(err)
			}
			inputs = append(inputs, buf)
			donate[i] = round == 1 && i%2 == 0
		}
		out, err := exec.Execute(inputs, donate, 0)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, buf := range out {
			shape, err := buf.Shape()
			if err != nil {
				t.Fatal(err)
			}
			flat := make([]float32, shape.Size())
			if err := buf.ToFlatData(flat); err != nil {
				t.Fatal(err)
			}
			results = append(results, flat)
			if err := buf.Finalize(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return results
}

// TestRandomGraphs compares random graphs with the pure-Go backend, and their bits for several configurations.
func TestRandomGraphs(t *testing.T) {
	reference := productReference(t)
	one, two, plain := newBackend(t, "threads=1"), newBackend(t, "threads=2"), newBackend(t, "nofuse")
	graphs := uint64(400)
	if testing.Short() {
		graphs = 60
	}
	for seed := range graphs {
		want := randomGraph(t, reference, seed)
		got := randomGraph(t, two, seed)
		single := randomGraph(t, one, seed)
		unfused := randomGraph(t, plain, seed)
		for i := range want {
			for k, x := range want[i] {
				y := got[i][k]
				if math.Float32bits(y) != math.Float32bits(single[i][k]) {
					t.Fatalf("seed %d: output %d[%d]: %g with two threads, %g with one", seed, i, k, y, single[i][k])
				}
				if math.IsNaN(float64(x)) && math.IsNaN(float64(y)) || x == y {
					continue
				}
				if d := math.Abs(float64(y - x)); !(d <= 2e-4*(1+math.Abs(float64(x)))) {
					t.Fatalf("seed %d: output %d[%d] = %g, want %g (unfused %g)", seed, i, k, y, x, unfused[i][k])
				}
			}
		}
	}
}
