package net

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// Size returns the number of parameters: the length of the flat vector theta.
func (n *Network) Size() int { return size(n.Params) }

// StateSize returns the length of the flat state vector; 0 for a network without batch norm.
func (n *Network) StateSize() int { return size(n.State) }

func size(params []Param) int {
	total := 0
	for _, p := range params {
		total += product(p.Dims)
	}
	return total
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// Unflatten cuts a flat vector, whose length is the total size of params, into tensors of their dimensions.
func Unflatten(flat *Node, params []Param) []*Node {
	if flat.Rank() != 1 || flat.Shape().Dimensions[0] != size(params) {
		panic(fmt.Errorf("net: a vector of shape %s does not hold %d parameters", flat.Shape(), size(params)))
	}
	nodes := make([]*Node, len(params))
	at := 0
	for i, p := range params {
		next := at + product(p.Dims)
		nodes[i] = Reshape(Slice(flat, AxisRange(at, next)), p.Dims...)
		at = next
	}
	return nodes
}

// Flatten joins tensors into one flat vector: the inverse of Unflatten.
func Flatten(nodes []*Node) *Node {
	flat := make([]*Node, len(nodes))
	for i, n := range nodes {
		flat[i] = Reshape(n, n.Shape().Size())
	}
	if len(flat) == 1 {
		return flat[0]
	}
	return Concatenate(flat, 0)
}
