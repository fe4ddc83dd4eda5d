package cpu

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// distributor rewrites sums of linear expressions as expressions of sums that the graph has anyway: with a and b the
// same for all the elements of a sum,
//
//	sum(a u + b (x - m)) = a sum(u) + b (sum(x) - n m).
//
// Batch normalization, differentiated operation by operation, sums what it is going to add a multiple of that sum to.
// Rewritten, that sum needs no pass of its own: what remains of the backward pass is one that sums and one that
// writes. The results differ from the original by rounding.
type distributor struct {
	f    *Function
	sums map[string]*value // by axes and the number of what is summed
	axes []int             // of the current sum
	kept []int             // dimensions of its result
	dims []int             // of what it sums
}

// distribute rewrites the sums of a function.
func distribute(f *Function) {
	d := &distributor{f: f, sums: make(map[string]*value)}
	var all []*operation
	for _, op := range live(f) {
		if op.kind == compute.OpTypeReduceSum && op.out[0].shape.DType == dtypes.Float32 && op.in[0].shape.Size() > 0 {
			d.enter(op)
			all = append(all, op)
			d.sums[d.key(op.in[0])] = op.out[0]
		}
	}
	for _, op := range all {
		if d.enter(op); op.in[0].shape.Size() <= op.out[0].shape.Size() {
			continue
		}
		if v := d.parts(op.in[0], 4); v != nil {
			*op = operation{id: op.id, kind: compute.OpTypeReshape, in: []*value{v}, out: op.out, attrs: attrsReshape{op.out[0].shape.Dimensions}, emit: emitReshape}
		}
	}
	f.renumber()
}

// enter makes the operation's the current sum.
func (d *distributor) enter(op *operation) {
	d.dims = op.in[0].shape.Dimensions
	d.axes = normalAxes(op.attrs.(attrsReduceSum).axes, len(d.dims))
	d.kept = op.out[0].shape.Dimensions
}

func (d *distributor) key(v *value) string { return fmt.Sprint(v.op.id, v.index, d.axes) }

// sum is the sum of v over the current axes, made of sums that there are, or nil.
func (d *distributor) sum(v *value, depth int) *value {
	if s, ok := d.sums[d.key(v)]; ok {
		return s
	}
	return d.parts(v, depth)
}

// parts is sum, of an expression.
func (d *distributor) parts(v *value, depth int) *value {
	if depth == 0 || !slices.Equal(v.shape.Dimensions, d.dims) || len(v.op.out) != 1 {
		return nil
	}
	in := v.op.in
	switch v.op.kind {
	case compute.OpTypeNeg:
		if s := d.sum(in[0], depth-1); s != nil {
			return d.add(compute.OpTypeNeg, s)
		}
	case compute.OpTypeMul, compute.OpTypeDiv:
		for k := range 2 {
			if k == 1 && v.op.kind == compute.OpTypeDiv {
				break
			}
			if c := d.constant(in[1-k]); c != nil {
				if s := d.sum(in[k], depth-1); s != nil {
					return d.add(v.op.kind, s, c)
				}
			}
		}
	case compute.OpTypeAdd, compute.OpTypeSub:
		var terms [2]*value
		for k := range terms {
			if c := d.constant(in[k]); c != nil {
				terms[k] = d.add(compute.OpTypeMul, c, d.count())
			} else {
				terms[k] = d.sum(in[k], depth-1)
			}
			if terms[k] == nil {
				return nil
			}
		}
		return d.add(v.op.kind, terms[0], terms[1])
	}
	return nil
}

// constant is v in the shape of the sums, or one number, if it is the same for all the elements of a sum; else nil.
func (d *distributor) constant(v *value) *value {
	from := v
	var at []int // axis of each axis of from
	if v.op.kind == compute.OpTypeBroadcastInDim && slices.Equal(v.shape.Dimensions, d.dims) {
		from, at = v.op.in[0], v.op.attrs.(attrsBroadcastInDim).broadcastAxes
	} else {
		for axis := range v.shape.Dimensions {
			at = append(at, axis)
		}
		if len(at) > 0 && len(at) != len(d.dims) {
			return nil
		}
	}
	var dims []int
	last := -1
	for i, n := range from.shape.Dimensions {
		if n == 1 {
			continue
		}
		if at[i] <= last || slices.Contains(d.axes, at[i]) {
			return nil
		}
		last = at[i]
		dims = append(dims, n)
	}
	switch {
	case len(dims) == 0:
		return d.reshape(from, []int{})
	case slices.Equal(dims, slices.DeleteFunc(slices.Clone(d.kept), func(n int) bool { return n == 1 })):
		return d.reshape(from, d.kept)
	}
	return nil
}

// count is the number of elements of a sum.
func (d *distributor) count() *value {
	n := 1
	for _, axis := range d.axes {
		n *= d.dims[axis]
	}
	op := &operation{kind: compute.OpTypeConstant, data: asBytes([]float32{float32(n)})}
	return d.keep(op, []int{})
}

func (d *distributor) reshape(v *value, dims []int) *value {
	if slices.Equal(v.shape.Dimensions, dims) {
		return v
	}
	return d.keep(&operation{kind: compute.OpTypeReshape, in: []*value{v}, attrs: attrsReshape{dims}, emit: emitReshape}, dims)
}

// add makes an elementwise operation on values in the shape of the sums, or numbers.
func (d *distributor) add(kind compute.OpType, in ...*value) *value {
	var dims []int
	for _, v := range in {
		if len(v.shape.Dimensions) > len(dims) {
			dims = v.shape.Dimensions
		}
	}
	return d.keep(&operation{kind: kind, in: in}, dims)
}

func (d *distributor) keep(op *operation, dims []int) *value {
	return d.f.insert(op, &value{shape: shapes.Make(dtypes.Float32, dims...)})
}

// renumber puts new operations in their places: behind their inputs, and before who uses them.
func (f *Function) renumber() {
	old := f.operations
	f.operations = nil
	done := make(map[*operation]bool, len(old))
	var place func(op *operation)
	place = func(op *operation) {
		if done[op] {
			return
		}
		done[op] = true
		for _, v := range op.in {
			place(v.op)
		}
		op.id = len(f.operations)
		f.operations = append(f.operations, op)
	}
	for _, op := range old {
		place(op)
	}
}
