package cpu

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// needsShadow says whether the outputs of the function depend on something that only the complete shadow program
// can run: control flow, functions as arguments, dynamic shapes.
func needsShadow(f *Function) bool {
	for _, p := range f.parameters {
		if p.value.shape.IsDynamic() {
			return true
		}
	}
	for _, op := range live(f) {
		switch op.kind {
		case compute.OpTypeCall, compute.OpTypeSort, compute.OpTypeWhile, compute.OpTypeIf,
			compute.OpTypeDynamicReshape, compute.OpTypeDynamicBroadcastInDim, compute.OpTypeDynamicIota,
			compute.OpTypeDynamicPad:
			return true
		}
		for _, v := range op.out {
			if v.shape.IsDynamic() {
				return true
			}
		}
	}
	return false
}

// live lists the operations that the outputs need, in the order they were recorded, and all parameters.
func live(f *Function) []*operation {
	needed := make([]bool, len(f.operations))
	var visit func(op *operation)
	visit = func(op *operation) {
		if needed[op.id] {
			return
		}
		needed[op.id] = true
		for _, v := range op.in {
			visit(v.op)
		}
	}
	for _, v := range f.outputs {
		visit(v.op)
	}
	for _, p := range f.parameters {
		needed[p.value.op.id] = true
	}
	var ops []*operation
	for i, op := range f.operations {
		if needed[i] {
			ops = append(ops, op)
		}
	}
	return ops
}

// inner checks that a function given to an operation belongs to this builder.
func (b *Builder) innerFunction(what string, fn compute.Function) (*Function, error) {
	f, ok := fn.(*Function)
	if !ok || f == nil || f.builder != b {
		return nil, fmt.Errorf("cpu: %s: the function was not made by this builder", what)
	}
	return f, nil
}

// Call implements compute.Function.
func (f *Function) Call(target compute.Function, inputs ...compute.Value) ([]compute.Value, error) {
	t, err := f.builder.innerFunction("Call", target)
	if err != nil {
		return nil, err
	}
	return f.record(compute.OpTypeCall, inputs, nil,
		func(fn compute.Function, in []compute.Value, _ any) ([]compute.Value, error) {
			return fn.Call(t.shadow, in...)
		})
}

// Sort implements compute.Function.
func (f *Function) Sort(comparator compute.Function, axis int, isStable bool, inputs ...compute.Value) ([]compute.Value, error) {
	c, err := f.builder.innerFunction("Sort", comparator)
	if err != nil {
		return nil, err
	}
	return f.record(compute.OpTypeSort, inputs, nil,
		func(fn compute.Function, in []compute.Value, _ any) ([]compute.Value, error) {
			return fn.Sort(c.shadow, axis, isStable, in...)
		})
}

// While implements compute.Function.
func (f *Function) While(cond, body compute.Function, initialState ...compute.Value) ([]compute.Value, error) {
	c, err := f.builder.innerFunction("While", cond)
	if err != nil {
		return nil, err
	}
	b, err := f.builder.innerFunction("While", body)
	if err != nil {
		return nil, err
	}
	return f.record(compute.OpTypeWhile, initialState, nil,
		func(fn compute.Function, in []compute.Value, _ any) ([]compute.Value, error) {
			return fn.While(c.shadow, b.shadow, in...)
		})
}

// If implements compute.Function.
func (f *Function) If(pred compute.Value, trueBranch, falseBranch compute.Function) ([]compute.Value, error) {
	t, err := f.builder.innerFunction("If", trueBranch)
	if err != nil {
		return nil, err
	}
	e, err := f.builder.innerFunction("If", falseBranch)
	if err != nil {
		return nil, err
	}
	return f.record(compute.OpTypeIf, []compute.Value{pred}, nil,
		func(fn compute.Function, in []compute.Value, _ any) ([]compute.Value, error) {
			return fn.If(in[0], t.shadow, e.shadow)
		})
}

// recordDimensions records an operation whose dimensions may hold values; they follow the operand in its inputs.
func (f *Function) recordDimensions(kind compute.OpType, in []compute.Value, dimensions []compute.DynamicDimensionSpec,
	emit func(fn compute.Function, in []compute.Value, dimensions []compute.DynamicDimensionSpec) (compute.Value, error),
) (compute.Value, error) {
	dimensions = slices.Clone(dimensions)
	inputs := slices.Clone(in)
	for _, d := range dimensions {
		if d.Value != nil {
			inputs = append(inputs, d.Value)
		}
	}
	out, err := f.record(kind, inputs, nil,
		func(fn compute.Function, shadows []compute.Value, _ any) ([]compute.Value, error) {
			issued := slices.Clone(dimensions)
			next := len(in)
			for i := range issued {
				if issued[i].Value != nil {
					issued[i].Value = shadows[next]
					next++
				}
			}
			v, err := emit(fn, shadows[:len(in)], issued)
			return []compute.Value{v}, err
		})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// DynamicReshape implements compute.Function.
func (f *Function) DynamicReshape(operand compute.Value, dimensions ...compute.DynamicDimensionSpec) (compute.Value, error) {
	return f.recordDimensions(compute.OpTypeDynamicReshape, []compute.Value{operand}, dimensions,
		func(fn compute.Function, in []compute.Value, d []compute.DynamicDimensionSpec) (compute.Value, error) {
			return fn.DynamicReshape(in[0], d...)
		})
}

// DynamicBroadcastInDim implements compute.Function.
func (f *Function) DynamicBroadcastInDim(operand compute.Value, broadcastAxes []int, dimensions ...compute.DynamicDimensionSpec) (compute.Value, error) {
	axes := slices.Clone(broadcastAxes)
	return f.recordDimensions(compute.OpTypeDynamicBroadcastInDim, []compute.Value{operand}, dimensions,
		func(fn compute.Function, in []compute.Value, d []compute.DynamicDimensionSpec) (compute.Value, error) {
			return fn.DynamicBroadcastInDim(in[0], axes, d...)
		})
}

// DynamicIota implements compute.Function.
func (f *Function) DynamicIota(dtype dtypes.DType, iotaAxis int, dimensions ...compute.DynamicDimensionSpec) (compute.Value, error) {
	return f.recordDimensions(compute.OpTypeDynamicIota, nil, dimensions,
		func(fn compute.Function, _ []compute.Value, d []compute.DynamicDimensionSpec) (compute.Value, error) {
			return fn.DynamicIota(dtype, iotaAxis, d...)
		})
}

// DynamicPad implements compute.Function.
func (f *Function) DynamicPad(x, fillValue compute.Value, axesConfig ...compute.DynamicPadAxis) (compute.Value, error) {
	config := slices.Clone(axesConfig)
	inputs := []compute.Value{x, fillValue}
	for _, c := range config {
		for _, v := range []compute.Value{c.StartValue, c.EndValue, c.InteriorValue} {
			if v != nil {
				inputs = append(inputs, v)
			}
		}
	}
	out, err := f.record(compute.OpTypeDynamicPad, inputs, nil,
		func(fn compute.Function, shadows []compute.Value, _ any) ([]compute.Value, error) {
			issued := slices.Clone(config)
			next := 2
			for i := range issued {
				for _, v := range []*compute.Value{&issued[i].StartValue, &issued[i].EndValue, &issued[i].InteriorValue} {
					if *v != nil {
						*v = shadows[next]
						next++
					}
				}
			}
			v, err := fn.DynamicPad(shadows[0], shadows[1], issued...)
			return []compute.Value{v}, err
		})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}
