package tangent

import (
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// geometry is how a pooling window moves, one value an axis.
type geometry struct {
	reduction compute.ReduceOpType
	size      []int
	strides   []int
	paddings  [][2]int
}

// window is the rule of pooling: a sum over windows is linear, and a maximum or minimum moves with the element selected.
func window(t tangents, node *Node) *Node {
	x := node.Inputs()[0]
	g := windowGeometry(node)
	switch g.reduction {
	case compute.ReduceOpSum:
		return first(t, node)
	case compute.ReduceOpMax, compute.ReduceOpMin:
		if g.tiles() {
			// The mask is 1 at the element that each window selects: the transpose of the derivative, which is what reverse
			// mode applies, at ones.
			mask := StopGradient(VJPRegistration[NodeTypeReduceWindow](node, []*Node{OnesLike(node)}, shapes.Make(node.DType()))[0])
			return tileSum(Mul(t.of(x), mask), node, g)
		}
		return overlapping(t.of(x), node, g)
	}
	panic(&UnsupportedOpError{Op: fmt.Sprintf("ReduceWindow by %s", g.reduction)})
}

// tiles says that the windows lie side by side: no element is in two, and none between them is left out.
func (g geometry) tiles() bool { return slices.Equal(g.size, g.strides) }

// tileSum sums x over windows that tile it: one axis after the other is split in two, and summed over the places in a
// window. Unlike a ReduceWindow this has a cheap gradient, broadcasts.
func tileSum(x, node *Node, g geometry) *Node {
	pads := make([]PadAxis, len(g.size))
	crop := make([]SliceAxisSpec, len(g.size))
	padded, cropped := false, false
	for k, size := range g.size {
		used := node.Shape().Dimensions[k] * size
		length := x.Shape().Dimensions[k] + g.paddings[k][0] // padding at the end only as much as the last tile lacks
		pads[k] = PadAxis{Start: g.paddings[k][0], End: max(0, used-length)}
		crop[k] = AxisRange(0, used)
		padded = padded || pads[k] != PadAxis{}
		cropped = cropped || length > used
	}
	if padded {
		x = Pad(x, ScalarZero(x.Graph(), x.DType()), pads...)
	}
	if cropped {
		x = Slice(x, crop...)
	}
	for k, size := range g.size {
		if size == 1 {
			continue
		}
		dims := x.Shape().Dimensions
		split := slices.Concat(dims[:k], []int{dims[k] / size, size}, dims[k+1:])
		x = ReduceSum(Reshape(x, split...), k+1)
	}
	return x
}

// overlapping gathers the tangent of every window's first extreme element, going backwards through the places in a window:
// the elements of one place, over all windows, are a strided slice of the padded input, and an earlier hit overwrites a
// later one.
func overlapping(tangent, node *Node, g geometry) *Node {
	pads := make([]PadAxis, len(g.size))
	for k, p := range g.paddings {
		pads[k] = PadAxis{Start: p[0], End: p[1]}
	}
	graph, dtype := node.Graph(), node.DType()
	never := math.Inf(-1)
	if g.reduction == compute.ReduceOpMin {
		never = math.Inf(1)
	}
	x := Pad(node.Inputs()[0], Scalar(graph, dtype, never), pads...)
	dx := Pad(tangent, ScalarZero(graph, dtype), pads...)
	var selected *Node
	place := make([]int, len(g.size))
	for k, size := range g.size {
		place[k] = size - 1
	}
	for {
		axes := make([]SliceAxisSpec, len(place))
		for k, at := range place {
			end := at + (node.Shape().Dimensions[k]-1)*g.strides[k] + 1
			axes[k] = AxisRange(at, end).Stride(g.strides[k])
		}
		here := Slice(dx, axes...)
		if selected == nil {
			selected = here
		} else {
			selected = Where(Equal(Slice(x, axes...), node), here, selected)
		}
		if !previous(place, g.size) {
			return selected
		}
	}
}

// previous counts place down, the last axis fastest, and says whether there was one before.
func previous(place, size []int) bool {
	for k := len(place) - 1; k >= 0; k-- {
		if place[k]--; place[k] >= 0 {
			return true
		}
		place[k] = size[k] - 1
	}
	return false
}

// windowGeometry reads the parameters of a ReduceWindow node. Dilated windows have no rule.
func windowGeometry(node *Node) geometry {
	g := geometry{
		reduction: compute.ReduceOpType(parameter(node, "reductionType").Int()),
		size:      ints(parameter(node, "windowDimensions")),
		strides:   ints(parameter(node, "strides")),
	}
	for _, name := range []string{"inputDilations", "windowDilations"} {
		for _, d := range ints(parameter(node, name)) {
			if d != 1 {
				panic(&UnsupportedOpError{Op: "ReduceWindow with dilation"})
			}
		}
	}
	if len(g.strides) == 0 {
		g.strides = g.size
	}
	g.paddings = make([][2]int, len(g.size))
	paddings := parameter(node, "paddings")
	for k := range paddings.Len() {
		pair := paddings.Index(k)
		g.paddings[k] = [2]int{int(pair.Index(0).Int()), int(pair.Index(1).Int())}
	}
	return g
}

// parameter reads a static parameter of a node. GoMLX keeps these to itself, so this reads unexported fields by
// reflection; see docs/decisions/0003-tangent-reads-node-parameters.md. It panics, naming the field, if GoMLX no longer
// has it.
func parameter(node *Node, name string) reflect.Value {
	inputs := reflect.ValueOf(node).Elem().FieldByName("inputs")
	if inputs.IsValid() && inputs.Kind() == reflect.Interface && inputs.Elem().Kind() == reflect.Pointer {
		if field := inputs.Elem().Elem().FieldByName(name); field.IsValid() {
			return field
		}
	}
	panic(fmt.Errorf("tangent: this version of GoMLX keeps no parameter %q on a %s node", name, node.Type()))
}

// ints copies a slice of integers.
func ints(v reflect.Value) []int {
	out := make([]int, v.Len())
	for k := range out {
		out[k] = int(v.Index(k).Int())
	}
	return out
}
