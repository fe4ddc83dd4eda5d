package cpu

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/notimplemented"
	"github.com/gomlx/compute/shapes"
)

// Builder records a computation. It implements compute.Builder.
//
// Every operation is also issued on a builder of the pure-Go backend, the shadow: it infers the shapes, checks
// the arguments (so that the messages are those of GoMLX's own backend), merges common subexpressions, and is the
// program that runs when the graph has parts that this backend has no plan for: control flow and dynamic shapes.
type Builder struct {
	notimplemented.Builder
	backend  *Backend
	name     string
	shadow   compute.Builder
	main     *Function
	compiled bool
}

var _ compute.Builder = (*Builder)(nil)

// Builder implements compute.Backend.
func (b *Backend) Builder(name string) compute.Builder {
	builder := &Builder{
		Builder: notimplemented.Builder{ErrFn: notImplemented},
		backend: b,
		name:    name,
		shadow:  b.reference.Builder(name),
	}
	builder.main = &Function{
		Function: notimplemented.Function{ErrFn: notImplemented},
		builder:  builder,
		shadow:   builder.shadow.Main(),
		known:    make(map[compute.Value]*value),
	}
	return builder
}

func notImplemented(op compute.OpType) error {
	return fmt.Errorf("cpu: operation %s: %w", op, compute.ErrNotImplemented)
}

// Name implements compute.Builder.
func (b *Builder) Name() string { return b.name }

// Main implements compute.Builder.
func (b *Builder) Main() compute.Function { return b.main }

// NewFunction implements compute.Builder.
func (b *Builder) NewFunction(name string) (compute.Function, error) {
	if b.compiled {
		return nil, fmt.Errorf("cpu: new function %q in builder %q: already compiled", name, b.name)
	}
	shadow, err := b.shadow.NewFunction(name)
	if err != nil {
		return nil, err
	}
	return b.newFunction(shadow, nil), nil
}

func (b *Builder) newFunction(shadow compute.Function, parent *Function) *Function {
	return &Function{
		Function: notimplemented.Function{ErrFn: notImplemented},
		builder:  b,
		shadow:   shadow,
		parent:   parent,
		inner:    true,
		known:    make(map[compute.Value]*value),
	}
}

// OpShape implements compute.Builder.
func (b *Builder) OpShape(op compute.Value) (shapes.Shape, error) {
	v, err := b.cast("OpShape", op)
	if err != nil {
		return shapes.Invalid(), err
	}
	return v.shape, nil
}

// cast checks that a value was made by this builder.
func (b *Builder) cast(what string, op compute.Value) (*value, error) {
	if b.compiled {
		return nil, fmt.Errorf("cpu: %s: builder %q is already compiled", what, b.name)
	}
	v, ok := op.(*value)
	if !ok || v == nil {
		return nil, fmt.Errorf("cpu: %s: a value of type %T was not made by this backend", what, op)
	}
	if v.fn.builder != b {
		return nil, fmt.Errorf("cpu: %s: the value belongs to builder %q, not to %q", what, v.fn.builder.name, b.name)
	}
	return v, nil
}

// Compile implements compute.Builder.
func (b *Builder) Compile() (compute.Executable, error) {
	if b.backend.finalized.Load() {
		return nil, errFinalized
	}
	if b.compiled {
		return nil, fmt.Errorf("cpu: builder %q is already compiled", b.name)
	}
	if !b.main.returned {
		return nil, errors.New("cpu: Main function must have Return() called before Compile()")
	}
	x := &Executable{backend: b.backend, name: b.name}
	for _, p := range b.main.parameters {
		x.names = append(x.names, p.name)
		x.inputs = append(x.inputs, p.value.shape)
	}
	for _, v := range b.main.outputs {
		x.outputs = append(x.outputs, v.shape)
	}
	var err error
	if needsShadow(b.main) {
		x.whole, err = b.shadow.Compile()
	} else {
		x.plan, err = newPlan(b.backend, b.main)
	}
	if err != nil {
		return nil, fmt.Errorf("cpu: compiling %q: %w", b.name, err)
	}
	b.compiled = true
	b.shadow = nil
	b.main = nil
	return x, nil
}
