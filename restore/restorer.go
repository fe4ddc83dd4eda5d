package restore

import (
	"context"
	"fmt"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// DefaultTileMemory is the bound of memory of a tile where none is given, in bytes.
const DefaultTileMemory = 256 << 20

// Restorer applies a trained network that maps images to images to images of any size. It is not safe for concurrent use.
type Restorer struct {
	net  *net.Network
	args []any // theta, then the state where there is one
	exec *Exec
	// bytesPerPixel is about what the activations of a pixel of a tile take.
	bytesPerPixel int64
}

// NewRestorer returns a restorer. Close it when it is no longer needed. A model of another network is an error.
func NewRestorer(backend compute.Backend, n *net.Network, m *train.Model) (*Restorer, error) {
	if err := m.Fits(n); err != nil {
		return nil, err
	}
	r := &Restorer{net: n, args: []any{tensors.FromFlatDataAndDimensions(m.Theta, len(m.Theta))}, bytesPerPixel: bytesPerPixel(n)}
	if len(m.State) > 0 {
		r.args = append(r.args, tensors.FromFlatDataAndDimensions(m.State, len(m.State)))
	}
	exec, err := NewExec(backend, func(in []*Node) *Node {
		pass := &net.Pass{Params: net.Unflatten(in[0], n.Params)}
		if n.StateSize() > 0 {
			pass.State = net.Unflatten(in[1], n.State)
		}
		return n.Forward(pass, in[len(in)-1])
	})
	if err != nil {
		r.Close()
		return nil, err
	}
	r.exec = exec.WithName("restoration").SetMaxCache(-1)
	return r, nil
}

// layersAtOnce is how many times the largest layer a tile takes: what a layer reads and what it writes, and what a convolution needs
// in between.
const layersAtOnce = 3

// bytesPerPixel estimates the memory that a network needs for a pixel of its input.
func bytesPerPixel(n *net.Network) int64 {
	most := 0
	for _, l := range n.Layers {
		values := 1
		for _, d := range l.Output {
			values *= d
		}
		most = max(most, values)
	}
	pixels := n.Input[0] * n.Input[1]
	return int64(4 * (layersAtOnce*((most+pixels-1)/pixels) + 2*n.Input[2]))
}

// Close frees the compiled graphs and the model.
func (r *Restorer) Close() {
	if r.exec != nil {
		r.exec.Finalize()
	}
	for _, t := range r.args {
		// Freeing memory early is all this does; there is nothing to be done about a failure.
		_ = t.(*tensors.Tensor).FinalizeAll()
	}
}

// Channels returns the channels of the images that the network restores.
func (r *Restorer) Channels() int { return r.net.Outputs[2] }

// TakesNoiseMap says whether the network must be told the noise.
func (r *Restorer) TakesNoiseMap() bool { return r.net.Input[2] > r.net.Outputs[2] }

// Restore returns the restored image, of the size of the noisy one, and does not clamp it. sigma, in units of the range, is told to a
// network that takes a map of the noise. memory bounds, roughly, the bytes that the computation takes beside the two images; 0 means
// DefaultTileMemory. An image that needs more is restored tile by tile: tiles overlap by what a pixel depends on, so that where one
// ends and the next begins makes no difference but for rounding. An image of other channels is an error, and a bound that is too small
// for one tile a [*MemoryError]. Cancelling ctx stops between two tiles.
func (r *Restorer) Restore(ctx context.Context, noisy *Image, sigma float32, memory int64) (*Image, error) {
	if noisy.Channels != r.Channels() {
		return nil, fmt.Errorf("%s restores images of %d channels, not of %d", r.net.Name, r.Channels(), noisy.Channels)
	}
	if memory <= 0 {
		memory = DefaultTileMemory
	}
	whole := func(n int) int { return (n + r.net.Grid - 1) / r.net.Grid * r.net.Grid }
	height, width := whole(noisy.Height), whole(noisy.Width)
	h, w, err := r.tileSize(height, width, memory)
	if err != nil {
		return nil, err
	}
	out := NewImage(noisy.Height, noisy.Width, noisy.Channels)
	for _, y := range spans(height, h, r.net.Reach, r.net.Grid) {
		for _, x := range spans(width, w, r.net.Reach, r.net.Grid) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := r.tile(noisy, out, y, x, sigma); err != nil {
				return nil, fmt.Errorf("restoring with %s: %w", r.net.Name, err)
			}
		}
	}
	return out, nil
}

// tile restores one tile. Beyond the image, where its size is no multiple of the grid, its last row and column are repeated.
func (r *Restorer) tile(noisy, out *Image, ys, xs span, sigma float32) error {
	c, in := noisy.Channels, r.net.Input[2]
	h, w := ys.to-ys.from, xs.to-xs.from
	x := make([]float32, 0, h*w*in)
	for row := ys.from; row < ys.to; row++ {
		line := noisy.Pix[min(row, noisy.Height-1)*noisy.Width*c:][:noisy.Width*c]
		for column := xs.from; column < xs.to; column++ {
			at := min(column, noisy.Width-1) * c
			x = append(x, line[at:at+c]...)
			if in > c {
				x = append(x, sigma)
			}
		}
	}
	input := tensors.FromFlatDataAndDimensions(x, 1, h, w, in)
	defer input.FinalizeAll()
	results, err := r.exec.Call(append(r.args[:len(r.args):len(r.args)], input)...)
	if err != nil {
		return err
	}
	defer results[0].FinalizeAll()
	return tensors.ConstFlatData(results[0], func(flat []float32) {
		end := min(xs.coreTo, noisy.Width)
		for row := ys.core; row < min(ys.coreTo, noisy.Height); row++ {
			from := ((row-ys.from)*w + xs.core - xs.from) * c
			copy(out.Pix[(row*noisy.Width+xs.core)*c:(row*noisy.Width+end)*c], flat[from:])
		}
	})
}
