package cpu

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// executeWhole runs the shadow program.
func (x *Executable) executeWhole(whole compute.Executable, bufs []*Buffer) (out []compute.Buffer, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("cpu: %q: %v", x.name, failure)
		}
	}()
	ref := x.backend.reference
	inputs := make([]compute.Buffer, len(bufs))
	for i, buf := range bufs {
		mem, err := buf.bytes()
		if err != nil {
			return nil, err
		}
		if inputs[i], err = ref.BufferFromFlatData(0, flatOf(mem, buf.shape), buf.shape); err != nil {
			return nil, err
		}
	}
	results, err := whole.Execute(inputs, nil, 0)
	if err != nil {
		return nil, err
	}
	for _, in := range inputs {
		_ = in.Finalize()
	}
	for _, res := range results {
		shape, err := res.Shape()
		if err != nil {
			return nil, err
		}
		buf := x.backend.newBuffer(shape.Clone())
		if err := res.ToFlatData(flatOf(buf.mem, buf.shape)); err != nil {
			return nil, err
		}
		_ = res.Finalize()
		out = append(out, buf)
	}
	return out, nil
}

// delegate is an operation as a program of its own on the pure-Go backend.
type delegate struct {
	reference compute.Backend
	program   compute.Executable
	inShapes  []shapes.Shape
	outShapes []shapes.Shape
	in, out   []ref
}

// newDelegate compiles the operation for the pure-Go backend.
func newDelegate(b *Backend, op *operation) (*delegate, error) {
	d := &delegate{reference: b.reference}
	builder := b.reference.Builder(op.kind.String())
	fn := builder.Main()
	args := make([]compute.Value, len(op.in))
	for i, v := range op.in {
		arg, err := fn.Parameter(fmt.Sprintf("x%d", i), v.shape, nil)
		if err != nil {
			return nil, fmt.Errorf("delegating %s: %w", op.kind, err)
		}
		args[i] = arg
		d.inShapes = append(d.inShapes, v.shape)
	}
	results, err := op.emit(fn, args, op.attrs)
	if err != nil {
		return nil, fmt.Errorf("delegating %s: %w", op.kind, err)
	}
	for _, v := range op.out {
		d.outShapes = append(d.outShapes, v.shape)
	}
	if err := fn.Return(results, nil); err != nil {
		return nil, fmt.Errorf("delegating %s: %w", op.kind, err)
	}
	if d.program, err = builder.Compile(); err != nil {
		return nil, fmt.Errorf("delegating %s: %w", op.kind, err)
	}
	return d, nil
}

func (d *delegate) run(r *run) error {
	inputs := make([]compute.Buffer, len(d.in))
	for i, x := range d.in {
		buf, err := d.reference.BufferFromFlatData(0, flatOf(r.bytes(x), d.inShapes[i]), d.inShapes[i])
		if err != nil {
			return err
		}
		inputs[i] = buf
	}
	results, err := d.program.Execute(inputs, nil, 0)
	if err != nil {
		return err
	}
	for i, res := range results {
		flat, err := res.Data()
		if err != nil {
			return err
		}
		copy(r.bytes(d.out[i]), dtypes.UnsafeByteSliceFromAny(flat))
		_ = res.Finalize()
	}
	for _, in := range inputs {
		_ = in.Finalize()
	}
	return nil
}
