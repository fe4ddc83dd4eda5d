package net

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// part returns the layers that describe adds, without adding them to those of b.
func (b *builder) part(describe func(b *builder)) []layer {
	outer := b.layers
	b.layers = nil
	describe(b)
	inner := b.layers
	b.layers = outer
	return inner
}

// residual adds shortcut(x) + branch(x). A nil shortcut is the identity.
func (b *builder) residual(shortcut, branch func(b *builder)) { b.stochastic(1, shortcut, branch) }

// stochastic is residual with stochastic depth (Huang et al. 2016, arXiv:1603.09382, eqs. 2 and 5): a training step skips the
// branch unless a gate is open, which it is with the given probability, and evaluation multiplies the branch by that
// probability. The running statistics within a branch that is skipped stay what they are. A skipped branch is computed all
// the same, for one compiled graph serves every step: it saves no time. A probability of 1 makes no gate.
func (b *builder) stochastic(survival float64, shortcut, branch func(b *builder)) {
	if b.err != nil {
		return
	}
	gate := -1
	if survival < 1 {
		gate = len(b.gates)
		b.gates = append(b.gates, survival)
	}
	dims, depth, reach, grid := b.dims, b.depth, b.reach, b.grid
	inner := b.part(branch)
	if b.err != nil {
		return
	}
	ends, deep, far := b.dims, b.depth, b.reach
	b.dims, b.depth, b.reach, b.grid = dims, depth, reach, grid
	var short []layer
	if shortcut != nil {
		if short = b.part(shortcut); b.err != nil {
			return
		}
	}
	if !slices.Equal(b.dims, ends) {
		b.err = fmt.Errorf("the branch of a residual block ends with %v values and its shortcut with %v", ends, b.dims)
		return
	}
	b.depth, b.reach = max(b.depth, deep), max(b.reach, far)
	b.add(func(f *flow, x *Node) *Node {
		state := f.state
		y := run(inner, f, x)
		if gate >= 0 {
			y = f.gate(gate, survival, state, y)
		}
		return Add(y, run(short, f, x))
	})
}

// gate lets y through or not, and the state that was updated from a position on.
func (f *flow) gate(k int, survival float64, from int, y *Node) *Node {
	if !f.pass.Training {
		return MulScalar(y, survival)
	}
	open := Reshape(Slice(f.pass.Gates, AxisElem(k)))
	for i := from; i < f.state; i++ {
		f.pass.NewState[i] = Add(Mul(open, f.pass.NewState[i]), Mul(OneMinus(open), f.pass.State[i]))
	}
	return Mul(open, y)
}

// concatenate adds the channels of branch(x) behind those of x.
func (b *builder) concatenate(branch func(b *builder)) {
	if b.err != nil {
		return
	}
	dims := b.dims
	inner := b.part(branch)
	if b.err != nil {
		return
	}
	if last := len(dims) - 1; len(b.dims) != len(dims) || !slices.Equal(b.dims[:last], dims[:last]) {
		b.err = fmt.Errorf("the branch that is put beside its input of %v values ends with %v", dims, b.dims)
		return
	}
	b.dims = slices.Clone(b.dims)
	b.dims[len(dims)-1] += dims[len(dims)-1]
	b.add(func(f *flow, x *Node) *Node { return Concatenate([]*Node{x, run(inner, f, x)}, -1) })
}
