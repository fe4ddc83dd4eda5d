package export

import (
	"fmt"
	"strings"

	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// torchNames are the last parts of names here and in PyTorch.
var torchNames = map[string]string{
	"kernel": "weight", "weights": "weight", "bias": "bias", "scale": "weight", "offset": "bias", "mean": "running_mean", "variance": "running_var",
}

// Torch returns the parameters and running statistics of a model as the state of a PyTorch module: the names with dots, such as
// "stage1.block1.conv1.weight", and the layout of PyTorch, in which images are [channels, height, width].
//
//	kernel of a convolution   [height, width, in, out]   weight        [out, in, height, width]
//	weights of a dense layer  [in, out]                  weight        [out, in]
//	bias                      [out]                      bias          [out]
//	norm: scale, offset       [channels]                 weight, bias  [channels]
//	norm: mean, variance      [channels]                 running_mean, running_var
//
// The inputs of the first dense layer behind a Flatten, and of the norms between, go over an image in the order of PyTorch's flatten:
// channels, height, width.
func Torch(n *net.Network, m *train.Model) ([]Tensor, error) {
	if err := m.Fits(n); err != nil {
		return nil, err
	}
	var all []Tensor
	for _, list := range []struct {
		params []net.Param
		flat   []float32
	}{{n.Params, m.Theta}, {n.State, m.State}} {
		at := 0
		for _, p := range list.params {
			size := 1
			for _, d := range p.Dims {
				size *= d
			}
			t, err := torchTensor(p, list.flat[at:at+size])
			if err != nil {
				return nil, err
			}
			all = append(all, t)
			at += size
		}
	}
	return all, nil
}

func torchTensor(p net.Param, data []float32) (Tensor, error) {
	cut := strings.LastIndexByte(p.Name, '/')
	last, known := torchNames[p.Name[cut+1:]]
	if cut < 1 || !known {
		return Tensor{}, fmt.Errorf("the parameter %q has no counterpart in PyTorch", p.Name)
	}
	t := Tensor{Name: strings.ReplaceAll(p.Name[:cut], "/", ".") + "." + last, Dims: p.Dims, Data: data}
	if p.Image != nil {
		t = channelsFirst(t, p.Image)
	}
	switch len(t.Dims) {
	case 1:
		return t, nil
	case 2:
		return permute(t, 1, 0), nil
	case 4:
		return permute(t, 3, 2, 0, 1), nil
	}
	return t, fmt.Errorf("the parameter %q of %v has no counterpart in PyTorch", p.Name, p.Dims)
}

// channelsFirst reorders a first axis that goes over an image of [height, width, channels] to [channels, height, width].
func channelsFirst(t Tensor, image []int) Tensor {
	dims := t.Dims
	split := append(append([]int{}, image...), dims[1:]...)
	axes := []int{2, 0, 1}
	for k := range dims[1:] {
		axes = append(axes, 3+k)
	}
	t.Dims = split
	t = permute(t, axes...)
	t.Dims = dims
	return t
}

// permute returns the tensor with its axes in another order: axis k of the answer is axes[k] of t.
func permute(t Tensor, axes ...int) Tensor {
	strides := make([]int, len(t.Dims))
	step := 1
	for k := len(t.Dims) - 1; k >= 0; k-- {
		strides[k] = step
		step *= t.Dims[k]
	}
	out := Tensor{Name: t.Name, Dims: make([]int, len(axes)), Data: make([]float32, len(t.Data))}
	for k, a := range axes {
		out.Dims[k] = t.Dims[a]
	}
	place := make([]int, len(axes))
	from := 0
	for i := range out.Data {
		out.Data[i] = t.Data[from]
		for k := len(axes) - 1; k >= 0; k-- { // count up, and move along with it
			place[k]++
			from += strides[axes[k]]
			if place[k] < out.Dims[k] {
				break
			}
			from -= place[k] * strides[axes[k]]
			place[k] = 0
		}
	}
	return out
}
