package cpu_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/compute/support/testutil"

	"github.com/datadropout/datadropout/cpu"
)

func TestConfig(t *testing.T) {
	for config, want := range map[string]string{
		"threads=0": "at least 1", "threads=x": "at least 1", "speed=9": "unknown option",
	} {
		if _, err := cpu.New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%q): error %v, want one with %q", config, err, want)
		}
	}
	if b, err := compute.NewWithConfig("cpu:threads=3"); err != nil {
		t.Error(err)
	} else if b.Name() != "cpu" || !strings.Contains(b.Description(), "threads=3") {
		t.Errorf("registered backend is %q, %q", b.Name(), b.Description())
	}
}

// TestEmpty wants of tensors without elements what the pure-Go backend makes of them.
func TestEmpty(t *testing.T) {
	b, reference := testBackends(t)
	for name, c := range map[string]struct {
		dims  [][]int
		build func(f compute.Function, x []compute.Value) (compute.Value, error)
	}{
		"add":            {[][]int{{0, 3}, {0, 3}}, func(f compute.Function, x []compute.Value) (compute.Value, error) { return f.Add(x[0], x[1]) }},
		"add scalar":     {[][]int{{0, 3}, {}}, func(f compute.Function, x []compute.Value) (compute.Value, error) { return f.Add(x[0], x[1]) }},
		"sum":            {[][]int{{0, 3}}, func(f compute.Function, x []compute.Value) (compute.Value, error) { return f.ReduceSum(x[0], 0) }},
		"sum of nothing": {[][]int{{2, 0}}, func(f compute.Function, x []compute.Value) (compute.Value, error) { return f.ReduceSum(x[0]) }},
		"max":            {[][]int{{0, 3}}, func(f compute.Function, x []compute.Value) (compute.Value, error) { return f.ReduceMax(x[0], 0) }},
		"transpose":      {[][]int{{0, 3}}, func(f compute.Function, x []compute.Value) (compute.Value, error) { return f.Transpose(x[0], 1, 0) }},
		"reverse":        {[][]int{{0, 3}}, func(f compute.Function, x []compute.Value) (compute.Value, error) { return f.Reverse(x[0], 0, 1) }},
		"slice": {[][]int{{4, 3}}, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			return f.Slice(x[0], []int{2, 0}, []int{2, 3}, nil)
		}},
		"concatenate": {[][]int{{0, 3}, {2, 3}}, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			return f.Concatenate(0, x[0], x[1])
		}},
		"pad nothing": {[][]int{{0, 2}, {}}, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			return f.Pad(x[0], x[1], compute.PadAxis{Start: 1, End: 1}, compute.PadAxis{})
		}},
		"broadcast": {[][]int{{0}}, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			return f.BroadcastInDim(x[0], shapes.Make(dtypes.Float32, 3, 0), []int{1})
		}},
		"reshape": {[][]int{{0, 4}}, func(f compute.Function, x []compute.Value) (compute.Value, error) { return f.Reshape(x[0], 2, 0) }},
	} {
		t.Run(name, func(t *testing.T) { compare(t, name, b, reference, 1, c.dims, 0, c.build) })
	}
}

// TestCrop pads by negative amounts, which the pure-Go backend can't.
func TestCrop(t *testing.T) {
	b := newBackend(t, "")
	for _, c := range []struct {
		axis compute.PadAxis
		want []float32
	}{
		{compute.PadAxis{Start: -1, End: 2}, []float32{2, 3, 4, 9, 9}},
		{compute.PadAxis{Start: 2, End: -3}, []float32{9, 9, 1}},
		{compute.PadAxis{Start: -3, End: 3}, []float32{4, 9, 9, 9}},
		{compute.PadAxis{Start: -5, End: 3}, []float32{9, 9}},
		{compute.PadAxis{Start: -1, End: -1, Interior: 1}, []float32{9, 2, 9, 3, 9}},
	} {
		got, err := testutil.Exec1(b, []any{[]float32{1, 2, 3, 4}, float32(9)}, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			return f.Pad(x[0], x[1], c.axis)
		})
		if err != nil {
			t.Fatal(err)
		}
		if ok, diff := testutil.IsEqual(c.want, got); !ok {
			t.Errorf("%+v: %s", c.axis, diff)
		}
	}
}

// TestNaN wants NaN to come through.
func TestNaN(t *testing.T) {
	b, reference := testBackends(t)
	nan := float32(math.NaN())
	for name, op := range map[string]func(f compute.Function, x, nan compute.Value) (compute.Value, error){
		"add": func(f compute.Function, x, nan compute.Value) (compute.Value, error) { return f.Add(x, nan) },
		"max": func(f compute.Function, x, nan compute.Value) (compute.Value, error) { return f.Max(x, nan) },
		"min": func(f compute.Function, x, nan compute.Value) (compute.Value, error) { return f.Min(nan, x) },
		"equal": func(f compute.Function, x, nan compute.Value) (compute.Value, error) {
			v, err := f.NotEqual(nan, nan)
			if err != nil {
				return nil, err
			}
			return f.ConvertDType(v, dtypes.Float32)
		},
	} {
		compare(t, name, b, reference, 1, [][]int{{7}}, 0, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			c, err := f.Constant([]float32{nan, 1, nan, -1, nan, 0, 2}, 7)
			if err != nil {
				return nil, err
			}
			return op(f, x[0], c)
		})
	}
}

// TestSign wants NaN of NaN, as the interface says; the pure-Go backend has 0.
func TestSign(t *testing.T) {
	b := newBackend(t, "")
	nan := float32(math.NaN())
	for _, indicator := range []bool{false, true} {
		got, err := testutil.Exec1(b, []any{[]float32{nan, -2, 0, 3}}, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			v, err := f.Sign(x[0])
			if !indicator || err != nil {
				return v, err
			}
			one, err := f.Constant([]float32{1})
			if err != nil {
				return nil, err
			}
			if v, err = f.Add(one, v); err != nil {
				return nil, err
			}
			return f.Sign(v)
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []float32{nan, -1, 0, 1}
		if indicator {
			want = []float32{nan, 0, 1, 1}
		}
		for i, x := range got.([]float32) {
			if x != want[i] && !(x != x && want[i] != want[i]) {
				t.Errorf("indicator %v: %v, want %v", indicator, got, want)
			}
		}
	}
}

// TestConcurrent executes one program from several goroutines.
func TestConcurrent(t *testing.T) {
	b := newBackend(t, "threads=2")
	shape := shapes.Make(dtypes.Float32, 64, 300)
	builder := b.Builder("concurrent")
	f := builder.Main()
	x, err := f.Parameter("x", shape, nil)
	if err != nil {
		t.Fatal(err)
	}
	y, _ := f.Mul(x, x)
	y, _ = f.ReduceSum(y, 1)
	z, _ := f.DotGeneral(x, []int{1}, nil, x, []int{1}, nil, compute.DotGeneralConfig{})
	if err := f.Return([]compute.Value{y, z}, nil); err != nil {
		t.Fatal(err)
	}
	exec, err := builder.Compile()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for g := range errs {
		wg.Go(func() {
			flat := make([]float32, shape.Size())
			for i := range flat {
				flat[i] = float32(g)
			}
			for range 20 {
				in, err := b.BufferFromFlatData(0, flat, shape)
				if err != nil {
					errs[g] = err
					return
				}
				out, err := exec.Execute([]compute.Buffer{in}, []bool{true}, 0)
				if err != nil {
					errs[g] = err
					return
				}
				want := float32(300 * g * g)
				for k := range out {
					data, err := out[k].Data()
					if err != nil {
						errs[g] = err
						return
					}
					for _, v := range data.([]float32) {
						if v != want {
							errs[g] = fmt.Errorf("output %d holds %g, want %g", k, v, want)
							return
						}
					}
					if err := out[k].Finalize(); err != nil {
						errs[g] = err
						return
					}
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// TestFinalized wants errors, not crashes, of what is gone.
func TestFinalized(t *testing.T) {
	b, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	shape := shapes.Make(dtypes.Float32, 2)
	buf, err := b.BufferFromFlatData(0, []float32{1, 2}, shape)
	if err != nil {
		t.Fatal(err)
	}
	builder := b.Builder("finalized")
	f := builder.Main()
	x, err := f.Parameter("x", shape, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Return([]compute.Value{x, x}, nil); err != nil {
		t.Fatal(err)
	}
	exec, err := builder.Compile()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Execute([]compute.Buffer{buf}, []bool{true}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out {
		got := make([]float32, 2)
		if err := o.ToFlatData(got); err != nil || got[0] != 1 || got[1] != 2 {
			t.Errorf("output %v, error %v", got, err)
		}
	}
	if _, err := exec.Execute([]compute.Buffer{buf}, nil, 0); err == nil {
		t.Error("a donated buffer was accepted")
	}
	if _, err := exec.Execute([]compute.Buffer{out[0], out[1]}, nil, 0); err == nil {
		t.Error("one input too many was accepted")
	}
	if _, err := f.Neg(x); err == nil {
		t.Error("a compiled builder took another operation")
	}
	exec.Finalize()
	if _, err := exec.Execute([]compute.Buffer{out[0]}, nil, 0); err == nil {
		t.Error("a finalized program ran")
	}
	b.Finalize()
	if _, err := b.BufferFromFlatData(0, []float32{1, 2}, shape); err == nil || !b.IsFinalized() {
		t.Error("a finalized backend made a buffer")
	}
}

// TestReduceLongRows reduces over an axis whose rows are about as long as a block of a reduction, or longer.
func TestReduceLongRows(t *testing.T) {
	b, reference := testBackends(t)
	for _, inner := range []int{16000, 17000, 33000, 70000} {
		dims := [][]int{{2, 33, inner}}
		compare(t, "sum", b, reference, 1, dims, 1e-5, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			return f.ReduceSum(x[0], 1)
		})
		compare(t, "maximum", b, reference, 1, dims, 0, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			return f.ReduceMax(x[0], 0)
		})
		compare(t, "sum of squares", b, reference, 1, dims, 1e-5, func(f compute.Function, x []compute.Value) (compute.Value, error) {
			y, err := f.Mul(x[0], x[0])
			if err != nil {
				return nil, err
			}
			return f.ReduceSum(y, 0, 1)
		})
	}
}
