package cpu

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// factors are the registers of the two factors of a product that is not computed by itself: the sum that it is part of
// computes it, as a multiply-add or as an inner product.
type factors [2]int

// contracts says whether a product may be left to the only operation that reads it. That depends on the graph and not
// on the unit, except for a product that passes through memory: where a value is computed in several units, all get
// the same bits, which comparisons rely on.
func (p *planner) contracts(u *unit, op *operation) bool {
	v := op.out[0]
	if op.kind != compute.OpTypeMul || v.shape.DType != dtypes.Float32 || u.isNeeded(v) {
		return false
	}
	readers := p.readers[v]
	if len(readers) != 1 || !readers[0].plain {
		return false
	}
	r := readers[0].op
	switch {
	case r.kind == compute.OpTypeAdd:
		// Of two products one is contracted, the right one.
		right := origin(r.in[1])
		return origin(r.in[0]) != right && (right == v || !p.isLone(right))
	case isSink(r):
		return true
	}
	return false
}

// isLone says whether a value is a product with one reader, element by element.
func (p *planner) isLone(v *value) bool {
	readers := p.readers[v]
	return v.op.kind == compute.OpTypeMul && len(readers) == 1 && readers[0].plain
}

// contracted returns the factors of a product instead of computing it, unless both are the same for all elements.
func (w *programBuilder) contracted(args []int) (factors, bool) {
	a, b := args[0], args[1]
	if w.isScalar(a) {
		a, b = b, a
	}
	return factors{a, b}, !w.isScalar(a)
}

// multiplyAdd is the sum of a contracted product and c.
func (w *programBuilder) multiplyAdd(f factors, c int) instruction {
	if w.isScalar(f[1]) {
		return instruction{do: doMulAddScalar, a: f[0], b: f[1], c: w.spread(c)}
	}
	return instruction{do: doMulAdd, a: f[0], b: f[1], c: w.spread(c)}
}

func doMulAdd(t *tileState, c *instruction) {
	kernel.MulAdd(t.f[c.dst], t.f[c.a], t.f[c.b], t.f[c.c])
}

func doMulAddScalar(t *tileState, c *instruction) {
	kernel.MulAddScalar(t.f[c.dst], t.f[c.a], t.s[c.b], t.f[c.c])
}
