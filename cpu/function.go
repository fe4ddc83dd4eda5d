package cpu

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/notimplemented"
	"github.com/gomlx/compute/shapes"
)

// Function records the operations of one function. It implements compute.Function; the methods for the
// operations are in ops_gen.go. Functions other than main live in the shadow program only.
type Function struct {
	notimplemented.Function
	builder *Builder
	shadow  compute.Function
	parent  *Function
	inner   bool // a closure or a named function

	operations []*operation
	known      map[compute.Value]*value // by shadow value: the shadow merges common subexpressions
	parameters []parameter
	outputs    []*value
	returned   bool
}

var _ compute.Function = (*Function)(nil)

type parameter struct {
	name  string
	value *value
}

// operation is a node of the graph.
type operation struct {
	id    int // position in Function.operations: inputs come before their users
	kind  compute.OpType
	in    []*value
	out   []*value
	attrs any
	emit  emitter
	data  []byte // contents of a Constant
}

// emitter issues the operation on another function: the shadow, or the program of a delegated operation.
type emitter func(fn compute.Function, in []compute.Value, attrs any) ([]compute.Value, error)

// value is one output of an operation. It is the compute.Value that users of the backend hold.
type value struct {
	fn     *Function
	op     *operation
	index  int // among the outputs of op
	shape  shapes.Shape
	shadow compute.Value
}

// record issues the operation on the shadow, and keeps what comes out.
func (f *Function) record(kind compute.OpType, in []compute.Value, attrs any, emit emitter) ([]compute.Value, error) {
	if err := f.check(kind.String()); err != nil {
		return nil, err
	}
	inputs := make([]*value, len(in))
	shadows := make([]compute.Value, len(in))
	for i, op := range in {
		v, err := f.builder.cast(kind.String(), op)
		if err != nil {
			return nil, err
		}
		inputs[i], shadows[i] = v, v.shadow
	}
	results, err := emit(f.shadow, shadows, attrs)
	if err != nil {
		return nil, err
	}
	return f.keep(&operation{kind: kind, in: inputs, attrs: attrs, emit: emit}, results)
}

// keep makes values of what the shadow returned. If it returned what it had returned before, because it
// merged common subexpressions or saw that the operation does nothing, so does keep.
func (f *Function) keep(op *operation, results []compute.Value) ([]compute.Value, error) {
	out := make([]compute.Value, len(results))
	merged := len(results) > 0
	for i, r := range results {
		v, ok := f.known[r]
		if !ok {
			merged = false
			break
		}
		out[i] = v
	}
	if merged {
		return out, nil
	}
	op.id = len(f.operations)
	for i, r := range results {
		shape, err := f.shadow.Shape(r)
		if err != nil {
			return nil, fmt.Errorf("cpu: %s: %w", op.kind, err)
		}
		v := &value{fn: f, op: op, index: i, shape: shape, shadow: r}
		op.out = append(op.out, v)
		out[i] = v
		if _, ok := f.known[r]; !ok {
			f.known[r] = v
		}
	}
	f.operations = append(f.operations, op)
	return out, nil
}

func (f *Function) check(what string) error {
	if f.builder.compiled {
		return fmt.Errorf("cpu: %s: builder %q is already compiled", what, f.builder.name)
	}
	if f.returned {
		return fmt.Errorf("cpu: %s: the function has returned", what)
	}
	return nil
}

// Name implements compute.Function.
func (f *Function) Name() string { return f.shadow.Name() }

// Builder implements compute.Function.
func (f *Function) Builder() compute.Builder { return f.builder }

// Parent implements compute.Function.
func (f *Function) Parent() compute.Function {
	if f.parent == nil {
		return nil
	}
	return f.parent
}

// Closure implements compute.Function.
func (f *Function) Closure() (compute.Function, error) {
	if err := f.check("Closure"); err != nil {
		return nil, err
	}
	shadow, err := f.shadow.Closure()
	if err != nil {
		return nil, err
	}
	return f.builder.newFunction(shadow, f), nil
}

// Shape implements compute.Function.
func (f *Function) Shape(v compute.Value) (shapes.Shape, error) { return f.builder.OpShape(v) }

// Parameter implements compute.Function.
func (f *Function) Parameter(name string, shape shapes.Shape, sharding *compute.ShardingSpec) (compute.Value, error) {
	if err := f.check("Parameter"); err != nil {
		return nil, err
	}
	shape = shape.Clone()
	shadow, err := f.shadow.Parameter(name, shape, sharding)
	if err != nil {
		return nil, err
	}
	out, err := f.keep(&operation{kind: compute.OpTypeParameter}, []compute.Value{shadow})
	if err != nil {
		return nil, err
	}
	f.parameters = append(f.parameters, parameter{name: name, value: out[0].(*value)})
	return out[0], nil
}

// Constant implements compute.Function.
func (f *Function) Constant(flat any, dims ...int) (compute.Value, error) {
	if err := f.check("Constant"); err != nil {
		return nil, err
	}
	shadow, err := f.shadow.Constant(flat, slices.Clone(dims)...)
	if err != nil {
		return nil, err
	}
	op := &operation{kind: compute.OpTypeConstant}
	out, err := f.keep(op, []compute.Value{shadow})
	if err == nil && len(op.out) > 0 && !f.inner {
		data := dtypes.UnsafeByteSliceFromAny(flat)
		op.data = alignedBytes(len(data))
		copy(op.data, data)
	}
	return out[0], err
}

// Return implements compute.Function.
func (f *Function) Return(outputs []compute.Value, shardings []*compute.ShardingSpec) error {
	if err := f.check("Return"); err != nil {
		return err
	}
	shadows := make([]compute.Value, len(outputs))
	values := make([]*value, len(outputs))
	for i, op := range outputs {
		v, err := f.builder.cast("Return", op)
		if err != nil {
			return err
		}
		if v.fn != f && !f.inner {
			return fmt.Errorf("cpu: Return: output %d belongs to another function", i)
		}
		values[i], shadows[i] = v, v.shadow
	}
	if err := f.shadow.Return(shadows, shardings); err != nil {
		return err
	}
	f.outputs = values
	f.returned = true
	return nil
}
