package cpu_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/datadropout/datadropout/cpu"
)

// execute builds a function of float32 parameters of the given dimensions and runs it on random inputs, the same ones
// on every backend.
func execute(t *testing.T, b compute.Backend, seed uint64, dims [][]int,
	build func(f compute.Function, x []compute.Value) (compute.Value, error),
) ([]float32, error) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 3))
	builder := b.Builder("test")
	f := builder.Main()
	var params []compute.Value
	var inputs []compute.Buffer
	for _, d := range dims {
		shape := shapes.Make(dtypes.Float32, d...)
		p, err := f.Parameter("x", shape, nil)
		if err != nil {
			t.Fatal(err)
		}
		params = append(params, p)
		flat := make([]float32, count(d))
		for i := range flat {
			flat[i] = float32(rng.NormFloat64())
		}
		buf, err := b.BufferFromFlatData(0, flat, shape)
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, buf)
	}
	v, err := build(f, params)
	if err != nil {
		return nil, err
	}
	if err := f.Return([]compute.Value{v}, nil); err != nil {
		return nil, err
	}
	exec, err := builder.Compile()
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	out, err := exec.Execute(inputs, nil, 0)
	if err != nil {
		return nil, err
	}
	shape, err := out[0].Shape()
	if err != nil {
		return nil, err
	}
	flat := make([]float32, shape.Size())
	return flat, out[0].ToFlatData(flat)
}

// compare runs a function here and on the pure-Go backend. What that refuses, the cpu backend must refuse too. It
// returns whether there was something to compare.
func compare(t *testing.T, name string, b, reference compute.Backend, seed uint64, dims [][]int, tolerance float64,
	build func(f compute.Function, x []compute.Value) (compute.Value, error),
) bool {
	t.Helper()
	want, wantErr := execute(t, reference, seed, dims, build)
	got, err := execute(t, b, seed, dims, build)
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("%s: error %v, want %v", name, err, wantErr)
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", name, len(got), len(want))
	}
	for i, x := range want {
		y := got[i]
		if x == y || x != x && y != y {
			continue
		}
		if d := math.Abs(float64(y - x)); !(d <= tolerance*(1+math.Abs(float64(x)))) {
			t.Fatalf("%s: element %d is %g, want %g", name, i, y, x)
		}
	}
	return wantErr == nil && len(want) > 0
}

func testBackends(t *testing.T) (b, reference compute.Backend) {
	t.Helper()
	reference, err := cpu.NewReference()
	if err != nil {
		t.Fatal(err)
	}
	return newBackend(t, "threads=2"), reference
}
