package train

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/dataset"
)

// DefaultDeviceMemory bounds, in bytes, what is kept on the device between steps where nobody says otherwise; see [Engine.BoundDeviceMemory].
const DefaultDeviceMemory = 8 << 30

// apart says whether what computes has a memory of its own, as a GPU has, so that a batch that the host makes has to be brought
// there, and whether it can loop over steps by itself.
func apart(b compute.Backend) bool { return !b.HasSharedBuffers() && b.Capabilities().Functions }

// BoundDeviceMemory sets the most bytes that the pixels of a training set may take on the device; 0 means DefaultDeviceMemory, which is what an
// engine begins with. It must not be called while the engine trains.
//
// Where the backend has a memory of its own, a training set of 8-bit images ([dataset.Stored]) within the bound is kept there. Batches
// are made on the device then, of the same bits as those that the host makes, and many steps are carried out in one call. Every other
// training set is fed batch by batch. Both ways carry out the same equations, but in two programs, whose results may differ by
// rounding: repeating a training to the same bits takes a bound on the same side of the size of the set.
func (e *Engine) BoundDeviceMemory(bytes int64) { e.deviceMemory = cmp.Or(bytes, DefaultDeviceMemory) }

// LeftOnDevice returns what the training set of a recipe leaves of a bound on the memory of the device, in bytes, for other things to be kept there.
func LeftOnDevice(bound int64, src dataset.Source, r Recipe) int64 {
	if src != nil && !r.Augmentation.IsZero() {
		augmented, err := dataset.Augmented(src, r.Augmentation)
		if err != nil {
			return bound // nor is it trained on
		}
		src = augmented
	}
	if stored, ok := src.(dataset.Stored); ok {
		if store, ok := stored.Store(); ok && int64(len(store.Pix)) <= bound {
			return bound - int64(len(store.Pix))
		}
	}
	return bound
}

// devicePixels are the pixels of a training set on the device, shared by the rounds that train on it at the same time.
type devicePixels struct {
	tensor *tensors.Tensor
	users  int
}

// resident is what one round has on the device of its training set.
type resident struct {
	store  dataset.Store
	pixels *tensors.Tensor
	// labels [N] are the classes, values [channels*256] what pixel values become, targets [2] what a target is at other classes
	// and at the sample's own, and weights [N] the weights of the samples; nil in a training without.
	labels, values, targets, weights *tensors.Tensor
}

// newResident puts the training set of a round on the device. It is nil where batches are to be made by the host.
func (e *Engine) newResident(src dataset.Source, smoothing float64) (*resident, error) {
	stored, ok := src.(dataset.Stored)
	if !ok || !e.apart {
		return nil, nil
	}
	store, ok := stored.Store()
	if !ok || int64(len(store.Pix)) > e.deviceMemory || !slices.Equal(src.TargetDims(), e.net.Outputs) {
		return nil, nil
	}
	n := src.Len()
	pixels, err := e.takePixels(store.Pix, append([]int{n}, src.InputDims()...))
	if err != nil {
		return nil, err
	}
	labels, values := make([]int32, n), make([]float32, 0, 256*len(store.Values))
	for i, label := range store.Labels {
		labels[i] = int32(label)
	}
	for _, v := range store.Values {
		values = append(values, v[:]...)
	}
	targets := []float32{0, 1}
	smooth(targets, float32(smoothing), src.TargetDims()[0])
	return &resident{
		store: store, pixels: pixels.tensor,
		labels:  tensors.FromFlatDataAndDimensions(labels, n),
		values:  tensors.FromFlatDataAndDimensions(values, len(values)),
		targets: tensors.FromFlatDataAndDimensions(targets, len(targets)),
	}, nil
}

// pixelsKey tells pixels on the host apart.
type pixelsKey struct {
	first  *uint8
	number int
}

func keyOf(pix []uint8) pixelsKey { return pixelsKey{&pix[0], len(pix)} }

// takePixels puts pixels on the device, unless they are there for another round.
func (e *Engine) takePixels(pix []uint8, dims []int) (*devicePixels, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := keyOf(pix)
	p := e.pixels[key]
	if p == nil {
		buffer, err := e.backend.BufferFromFlatData(0, pix, shapes.Make(dtypes.Uint8, dims...))
		if err != nil {
			return nil, fmt.Errorf("keeping the %d MiB of training images on the device, which a lower bound on its memory would not: %w", len(pix)>>20, err)
		}
		p = &devicePixels{}
		if p.tensor, err = tensors.FromBuffer(buffer); err != nil {
			return nil, err
		}
		e.pixels[key] = p
	}
	p.users++
	return p, nil
}

// leavePixels frees pixels that no other round uses.
func (e *Engine) leavePixels(pix []uint8) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := keyOf(pix)
	p := e.pixels[key]
	if p.users--; p.users == 0 {
		delete(e.pixels, key)
		_ = p.tensor.FinalizeAll() // frees memory early, that is all
	}
}

// close frees what the round has on the device for itself.
func (d *resident) close(e *Engine) {
	finalize(d.labels, d.values, d.targets, d.weights)
	e.leavePixels(d.store.Pix)
}

// viewNumbers is the number of int32 that a [dataset.View] is on the device: top, left, whether it is flipped, and the first row,
// the first column, the row after the last and the column after the last of what is cut out.
const viewNumbers = 7

func appendView(to []int32, v dataset.View) []int32 {
	flip := int32(0)
	if v.Flip {
		flip = 1
	}
	return append(to, int32(v.Top), int32(v.Left), flip, int32(v.Cut.Min.Y), int32(v.Cut.Min.X), int32(v.Cut.Max.Y), int32(v.Cut.Max.X))
}

// inputBatch builds the inputs of the samples at the positions [batch], [batch, height, width, channels], from pixels
// [N, height, width, channels] and values [channels*256]. views [batch, viewNumbers] may be nil.
func inputBatch(pixels, values, positions, views *Node, reflect bool) *Node {
	dims := pixels.Shape().Dimensions
	height, width, channels := dims[1], dims[2], dims[3]
	if views == nil {
		return valuesOfPixels(Gather(pixels, InsertAxes(positions, -1)), values)
	}
	g, batch := pixels.Graph(), positions.Shape().Dimensions[0]
	number := func(k int) *Node { return Slice(views, AxisRange(), AxisElem(k)) } // [batch, 1]
	rows, columns := Iota(g, shapes.Make(dtypes.Int32, batch, height), 1), Iota(g, shapes.Make(dtypes.Int32, batch, width), 1)
	cut := func(at, from, to *Node) *Node { return And(GreaterOrEqual(at, from), LessThan(at, to)) }
	covered := grid(cut(rows, number(3), number(5)), cut(columns, number(4), number(6)))

	mirrored := Sub(Const(g, int32(width-1)), columns)
	columns = Where(BroadcastToDims(Equal(number(2), Const(g, int32(1))), batch, width), mirrored, columns)
	rows, rowInside := place(Add(rows, number(0)), height, reflect)
	columns, columnInside := place(Add(columns, number(1)), width, reflect)
	inside := grid(rowInside, columnInside)

	index := func(x *Node, axes ...int) *Node {
		return BroadcastToDims(InsertAxes(x, axes...), batch, height, width, 1)
	}
	shown := Gather(pixels, Concatenate([]*Node{index(positions, -1, -1, -1), index(rows, -1, -1), index(columns, 1, -1)}, -1))
	whole := func(x *Node) *Node { return BroadcastToDims(InsertAxes(x, -1), batch, height, width, channels) }
	shown = Where(whole(inside), shown, ZerosLike(shown))
	input := valuesOfPixels(shown, values)
	return Where(whole(covered), ZerosLike(input), input)
}

// grid is, from what holds of the rows [batch, height] and of the columns [batch, width], what holds of both, [batch, height, width].
func grid(rows, columns *Node) *Node {
	batch, height, width := rows.Shape().Dimensions[0], rows.Shape().Dimensions[1], columns.Shape().Dimensions[1]
	return And(BroadcastToDims(InsertAxes(rows, -1), batch, height, width), BroadcastToDims(InsertAxes(columns, 1), batch, height, width))
}

// place returns the rows or columns, of n, that places in the padded image show, and whether that is not in the black.
func place(at *Node, n int, reflect bool) (from, inside *Node) {
	g := at.Graph()
	first, last := Const(g, int32(0)), Const(g, int32(n-1))
	if reflect {
		at = Abs(at)
		at = Min(at, Sub(Const(g, int32(2*(n-1))), at))
	}
	from = Min(Max(at, first), last)
	return from, Equal(at, from)
}

// valuesOfPixels looks up what pixels [batch, height, width, channels] become. A table gives the host's bits, whatever a compiler makes of a
// product and a sum.
func valuesOfPixels(pixels, values *Node) *Node {
	at := ConvertDType(pixels, dtypes.Int32)
	channel := Iota(pixels.Graph(), at.Shape(), -1)
	at = Add(at, Mul(channel, Const(pixels.Graph(), int32(256))))
	return Gather(values, InsertAxes(at, -1))
}

// targetBatch builds the targets of the samples at the positions [batch], [batch, classes], from the labels [N] and what a target
// is at other classes and at the sample's own, [2].
func targetBatch(labels, targets, positions *Node, classes int) *Node {
	g, batch := labels.Graph(), positions.Shape().Dimensions[0]
	own := BroadcastToDims(InsertAxes(Gather(labels, InsertAxes(positions, -1)), -1), batch, classes)
	value := func(k int) *Node { return BroadcastToDims(Slice(targets, AxisElem(k)), batch, classes) }
	return Where(Equal(own, Iota(g, own.Shape(), 1)), value(1), value(0))
}
