package influence

import (
	"context"
	"fmt"
	"hash"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/net"
)

// patches returns what a convolution's window sees at every position, [batch, positions, window*window*in], in the order of
// the kernel's rows.
func patches(t net.Tap) *Node {
	x, out := t.Input, t.Output.Shape().Dimensions
	if t.Padding > 0 {
		pad := PadAxis{Start: t.Padding, End: t.Padding}
		x = Pad(x, ScalarZero(x.Graph(), x.DType()), PadAxis{}, pad, pad, PadAxis{})
	}
	axis := func(from, n int) SliceAxisSpec {
		return AxisRange(from, from+(n-1)*t.Stride+1).Stride(t.Stride)
	}
	var parts []*Node
	for i := range t.Window {
		for j := range t.Window {
			parts = append(parts, Slice(x, AxisRange(), axis(i, out[1]), axis(j, out[2]), AxisRange()))
		}
	}
	all := parts[0]
	if len(parts) > 1 {
		all = Concatenate(parts, -1)
	}
	return Reshape(all, out[0], out[1]*out[2], -1)
}

// operands returns a and d of a convolution or dense layer: its inputs, with a 1 appended where there is a bias, and the
// gradient with respect to its outputs, [batch, positions, ...]. d is zero for padding samples; a is not.
func operands(t tapped) (a, d *Node) {
	batch := t.Output.Shape().Dimensions[0]
	if t.Kind == net.TapConvolution {
		a = patches(t.Tap)
	} else {
		a = Reshape(t.Input, batch, 1, -1)
	}
	positions := a.Shape().Dimensions[1]
	if t.Bias >= 0 {
		a = Concatenate([]*Node{a, Ones(a.Graph(), shapes.Make(a.DType(), batch, positions, 1))}, -1)
	}
	return a, Reshape(t.gradient, batch, positions, -1)
}

// factorGraph returns the sums over a batch of a a^T and d d^T, for the diagonal blocks of every layer, one after the other.
func (k *kronecker) factorGraph(in []*Node) []*Node {
	taps := k.fisher.taps(in, true)
	var sums []*Node
	for n, l := range k.layers {
		if l.in == nil {
			continue
		}
		a, d := operands(taps[n])
		a = Mul(a, samples(in[3], a.Rank()))
		for _, side := range []struct {
			vectors *Node
			basis   *eigenbasis
		}{{a, l.in}, {d, l.out}} {
			flat := Reshape(side.vectors, -1, side.vectors.Shape().Dimensions[2])
			for _, s := range side.basis.spans {
				part := Slice(flat, AxisRange(), AxisRange(s[0], s[1]))
				sums = append(sums, DotGeneral(part, []int{0}, nil, part, []int{0}, nil))
			}
		}
	}
	return []*Node{net.Flatten(sums)}
}

// inBasis returns v Q for the rows of v, [..., size], and the blocks of Q that come next in q.
func inBasis(v *Node, b *eigenbasis, q []*Node) (rotated *Node, rest []*Node) {
	dims := v.Shape().Dimensions
	flat := Reshape(v, -1, dims[len(dims)-1])
	parts := make([]*Node, len(b.spans))
	for k, s := range b.spans {
		parts[k] = Dot(Slice(flat, AxisRange(), AxisRange(s[0], s[1])), q[k]).Product()
	}
	rotated = parts[0]
	if len(parts) > 1 {
		rotated = Concatenate(parts, 1)
	}
	return Reshape(rotated, dims...), q[len(b.spans):]
}

// squares are the squared elements of the per-sample gradients in the eigenbasis, (Q_A^T G_i Q_S)^2. Those of a dense layer
// are products, never written out: of left [batch, rows] and right [batch, columns]. Else full holds them, [batch, rows,
// columns].
type squares struct{ left, right, full *Node }

// squares returns the squares of every layer for drawn targets, or for those of the data, and the inputs of the graph that
// follow the eigenvectors.
func (k *kronecker) squares(in []*Node, drawn bool) ([]squares, []*Node) {
	q := in[k.fisher.at+1:]
	var all []squares
	for n, t := range k.fisher.taps(in, drawn) {
		var (
			l    = k.layers[n]
			s    squares
			a, d *Node
		)
		switch t.Kind {
		case net.TapNorm:
			dims := t.gradient.Shape().Dimensions
			flat := func(x *Node) *Node { return Reshape(x, dims[0], -1, l.columns) }
			scale := ReduceSum(flat(Mul(t.gradient, t.Input)), 1)
			offset := ReduceSum(flat(t.gradient), 1)
			s.full = Square(Stack([]*Node{scale, offset}, 1))
		case net.TapDense:
			a, d = operands(t)
			a, q = inBasis(Squeeze(a, 1), l.in, q)
			d, q = inBasis(Squeeze(d, 1), l.out, q)
			s.left, s.right = Square(a), Square(d)
		case net.TapConvolution:
			a, d = operands(t)
			// The sum over positions comes first, and leaves one matrix a sample to rotate: [batch, columns, rows].
			g := DotGeneral(d, []int{1}, []int{0}, a, []int{1}, []int{0})
			g, q = inBasis(g, l.in, q)
			// The rows are rotated, now the columns: [batch, rows, columns].
			g, q = inBasis(Transpose(g, 1, 2), l.out, q)
			s.full = Square(g)
		}
		all = append(all, s)
	}
	return all, q
}

// momentGraph returns the sums over a batch of the squares, layer by layer.
func (k *kronecker) momentGraph(in []*Node) []*Node {
	all, _ := k.squares(in, true)
	sums := make([]*Node, len(all))
	for n, s := range all {
		if s.full != nil {
			sums[n] = ReduceSum(s.full, 0)
		} else {
			sums[n] = DotGeneral(s.left, []int{0}, nil, s.right, []int{0}, nil)
		}
	}
	return []*Node{net.Flatten(sums)}
}

// selfGraph returns the self-influence grad l_i^T (C + lambda I)^-1 grad l_i of every sample, [batch], for the targets of the
// data. The inverse eigenvalues of every layer, [rows, columns], are the last inputs.
func (k *kronecker) selfGraph(in []*Node) []*Node {
	all, inverses := k.squares(in, false)
	var sum *Node
	for n, s := range all {
		var part *Node
		if s.full != nil {
			part = ReduceSum(Mul(s.full, ExpandAxes(inverses[n], 0)), 1, 2)
		} else {
			part = ReduceSum(Mul(Dot(s.left, inverses[n]).Product(), s.right), 1)
		}
		if sum == nil {
			sum = part
		} else {
			sum = Add(sum, part)
		}
	}
	return []*Node{sum}
}

// selfInfluence returns the self-influence of the samples at the positions, for the inverses by layer that inverse made.
func (k *kronecker) selfInfluence(ctx context.Context, positions []int, inverses [][]float64) ([]float64, error) {
	for n, l := range k.layers {
		flat := make([]float32, len(inverses[n]))
		for j, x := range inverses[n] {
			flat[j] = float32(x)
		}
		k.fisher.fixed = append(k.fisher.fixed, tensors.FromFlatDataAndDimensions(flat, l.rows, l.columns))
	}
	out := make([]float64, len(positions))
	p := &pass{
		keeper: k.fisher.problem.keeper, positions: positions, size: k.fisher.batch.Size(), values: [][]float64{out}, tick: k.fisher.tick,
		each: func(rest []int, use func(at, n int, result []float32)) error {
			return k.fisher.each(ctx, "self-influence", k.selfGraph, rest, use)
		},
		made: func(h hash.Hash) { fmt.Fprintln(h, "self-influence") },
	}
	err := p.run(func(at, n int, values []float32) {
		for j, x := range values[:n] {
			out[at+j] = float64(x)
		}
	})
	return out, err
}
