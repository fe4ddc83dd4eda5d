package cpu

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// regroup rewrites sums so that more of their products can be contracted (contract.go): with P and Q products that
// nothing else reads, and k the same for many elements,
//
//	(A + k u) + k u  is  A + (k+k) u,
//	(P + Q) + c      is  (c + P) + Q.
//
// Reverse mode writes the former for squares, and batch normalization ends with the latter. The results differ from
// the original by rounding.
func regroup(f *Function) {
	uses := make(map[*value]int)
	ops := live(f)
	for _, op := range ops {
		for _, v := range op.in {
			uses[v]++
		}
	}
	for _, v := range f.outputs {
		uses[v]++
	}
	for _, op := range ops {
		if isSum(op.out) {
			joinTwice(f, op, uses)
			addProductsLast(f, op, uses)
		}
	}
	f.renumber()
}

func isSum(out []*value) bool {
	return len(out) == 1 && out[0].op.kind == compute.OpTypeAdd && out[0].shape.DType == dtypes.Float32
}

// joinTwice makes one of two equal terms.
func joinTwice(f *Function, op *operation, uses map[*value]int) {
	v := op.out[0]
	for k := range 2 {
		sum, term := op.in[k], op.in[1-k]
		if !isSum(sum.op.out) || uses[sum] != 1 || !isProduct(term, v) || uses[term] != 2 || !sum.shape.Equal(v.shape) {
			continue
		}
		for i := range 2 {
			if sum.op.in[i] != term {
				continue
			}
			for j := range 2 {
				if factor := term.op.in[j]; factor.op.kind == compute.OpTypeBroadcastInDim && 4*factor.op.in[0].shape.Size() <= v.shape.Size() {
					b := factor.op
					twice := f.insert(&operation{kind: compute.OpTypeAdd, in: []*value{b.in[0], b.in[0]}}, b.in[0])
					wide := f.insert(&operation{kind: b.kind, in: []*value{twice}, attrs: b.attrs, emit: b.emit}, factor)
					product := f.insert(&operation{kind: compute.OpTypeMul, in: []*value{term.op.in[1-j], wide}}, v)
					uses[product], uses[wide], uses[twice] = 1, 1, 1
					op.in = []*value{sum.op.in[1-i], product}
					return
				}
			}
		}
	}
}

// addProductsLast puts a term that is no product before the two products it is added to.
func addProductsLast(f *Function, op *operation, uses map[*value]int) {
	v := op.out[0]
	for k := range 2 {
		sum, term := op.in[k], op.in[1-k]
		if !isSum(sum.op.out) || uses[sum] != 1 || !sum.shape.Equal(v.shape) || sum == term || term.op.kind == compute.OpTypeMul {
			continue
		}
		p, q := sum.op.in[0], sum.op.in[1]
		if p == q || !isProduct(p, v) || !isProduct(q, v) || uses[p] != 1 || uses[q] != 1 {
			continue
		}
		first := f.insert(&operation{kind: compute.OpTypeAdd, in: []*value{term, p}}, v)
		uses[first] = 1
		op.in = []*value{first, q}
		return
	}
}

// isProduct says whether x is a product of v's shape.
func isProduct(x, v *value) bool { return x.op.kind == compute.OpTypeMul && x.shape.Equal(v.shape) }

// insert makes a value of the shape of another by a new operation, which gets its place by renumber.
func (f *Function) insert(op *operation, like *value) *value {
	v := &value{fn: f, op: op, shape: like.shape}
	op.out, op.id = []*value{v}, -1
	return v
}
