package train

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// store keeps vectors of a training, each in the first of three places that has room: on the device, in memory, in a file.
type store struct {
	backend         compute.Backend
	size, stateSize int // P and S
	room            room
	// device holds the vectors on the device, by their tensor.
	device       map[*tensors.Tensor]*vector
	memory       int // vectors in memory that are kept beside the start
	used         int // vectors in memory, all of them
	disk         *slots
	peak         int // the most of used
	peakOnDevice int
	spare        [][]float32
	// theta [P], and state [S] where there is one, are what view fills.
	theta, state *tensors.Tensor
}

// vector holds P parameters with the S values of the state beside them, or their momentum, in one place.
type vector struct {
	// On the device: the tensors, and how many times they are kept.
	tensor, stateTensor *tensors.Tensor
	uses                int
	// In memory.
	values, state []float32
	// On disk, where it is in neither.
	slot int
}

// newStore returns an empty store for vectors of so many values, with a file in the folder where there is room on disk.
func newStore(b compute.Backend, size, stateSize int, r room, dir string) (*store, error) {
	s := &store{backend: b, size: size, stateSize: stateSize, room: r, device: map[*tensors.Tensor]*vector{}}
	if r.disk == 0 {
		return s, nil
	}
	var err error
	if s.disk, err = newSlots(dir, r.disk, 4*int64(size+stateSize)); err != nil {
		return nil, err
	}
	s.hold(readingVectors)
	return s, nil
}

// hold counts vectors in memory.
func (s *store) hold(vectors int) {
	s.used += vectors
	s.peak = max(s.peak, s.used)
}

// keep keeps a vector, with the state beside it unless that is nil. On the device it keeps the tensors themselves, which are the
// store's from then on, and else a copy.
func (s *store) keep(values, state *tensors.Tensor) (*vector, error) {
	if v, ok := s.device[values]; ok {
		v.uses++
		return v, nil
	}
	switch {
	case len(s.device) < s.room.device:
		return s.toDevice(values, state)
	case s.memory == s.room.memory && s.disk != nil:
		return s.toDisk(values, state)
	}
	return s.toMemory(values, state)
}

// toDevice leaves the tensors where they are, without the copies in memory that they may have.
func (s *store) toDevice(values, state *tensors.Tensor) (*vector, error) {
	for _, t := range []*tensors.Tensor{values, state} {
		if t != nil {
			if err := t.ToDevice(s.backend, 0); err != nil {
				return nil, err
			}
		}
	}
	v := &vector{tensor: values, stateTensor: state, uses: 1}
	s.device[values] = v
	s.peakOnDevice = max(s.peakOnDevice, len(s.device))
	return v, nil
}

// advise adds to an error of the device, which may be that its memory is full, that the store has vectors there.
func (s *store) advise(err error) error {
	if len(s.device) == 0 {
		return err
	}
	return fmt.Errorf("%w (%d MiB of steps are kept on the device, of which a lower bound on its memory keeps fewer)", err, int64(len(s.device))*4*int64(s.size+s.stateSize)>>20)
}

func (s *store) toMemory(values, state *tensors.Tensor) (*vector, error) {
	s.hold(1)
	s.memory++
	v := &vector{}
	if k := len(s.spare); k > 0 {
		v.values, s.spare = s.spare[k-1], s.spare[:k-1]
	} else {
		v.values = make([]float32, s.size)
	}
	if state != nil {
		v.state = make([]float32, s.stateSize)
	}
	return v, s.copy(v, values, state)
}

// copy copies tensors into a vector in memory.
func (s *store) copy(v *vector, values, state *tensors.Tensor) error {
	if err := download(values, s.backend, v.values); err != nil || state == nil {
		return err
	}
	return download(state, s.backend, v.state)
}

// download copies a tensor from the device, and leaves it no copy in memory as reading its data does.
func download(t *tensors.Tensor, b compute.Backend, to []float32) error {
	buffer, err := t.Buffer(b, 0)
	if err != nil {
		return err
	}
	return buffer.ToFlatData(to)
}

func (s *store) toDisk(values, state *tensors.Tensor) (*vector, error) {
	v := &vector{slot: s.disk.take()}
	return v, flat(values, state, tensors.ConstFlatData[float32], func(values, state []float32) error {
		return s.disk.write(v.slot, values, state)
	})
}

// flat calls use with the values of a tensor and those of the state, if it is not nil, as access opens them.
func flat(values, state *tensors.Tensor, access func(*tensors.Tensor, func([]float32)) error, use func(values, state []float32) error) error {
	var used, opened error
	err := access(values, func(v []float32) {
		if state == nil {
			used = use(v, nil)
			return
		}
		opened = access(state, func(s []float32) { used = use(v, s) })
	})
	return errors.Join(err, opened, used)
}

// fill fills tensors with a vector that is not on the device.
func (s *store) fill(v *vector, values, state *tensors.Tensor) error {
	return flat(values, state, tensors.MutableFlatData[float32], func(values, state []float32) error {
		if v.values == nil {
			return s.disk.read(v.slot, values, state)
		}
		copy(values, v.values)
		copy(state, v.state)
		return nil
	})
}

// view returns parameters and state, which is nil for a network without, as tensors that stay the store's. They are valid until the vector is
// released, and until the next call.
func (s *store) view(v *vector) (theta, state *tensors.Tensor, err error) {
	if v.tensor != nil {
		return v.tensor, v.stateTensor, nil
	}
	if s.theta == nil {
		s.theta, s.state = s.empty(true)
	}
	return s.theta, s.state, s.fill(v, s.theta, s.state)
}

// empty returns new tensors for a vector, with a state beside it or without.
func (s *store) empty(withState bool) (values, state *tensors.Tensor) {
	zeros := func(n int) *tensors.Tensor { return tensors.FromShape(shapes.Make(dtypes.Float32, n)) }
	if withState && s.stateSize > 0 {
		state = zeros(s.stateSize)
	}
	return zeros(s.size), state
}

// load puts a training at a point: at the tensors of the store where they are on the device.
func (s *store) load(run *round, p stored) error {
	theta, state, err := s.open(p.theta, true)
	if err != nil {
		return err
	}
	momentum, _, err := s.open(p.momentum, false)
	if err != nil {
		return err
	}
	run.put(theta, momentum, state)
	for _, v := range []*vector{p.theta, p.momentum} {
		run.keep(v.tensor)
		run.keep(v.stateTensor)
	}
	return nil
}

// open returns a vector as tensors: those of the store where it is on the device, else new ones.
func (s *store) open(v *vector, withState bool) (values, state *tensors.Tensor, err error) {
	if v.tensor != nil {
		return v.tensor, v.stateTensor, nil
	}
	values, state = s.empty(withState)
	return values, state, s.fill(v, values, state)
}

// release takes the place of a vector back for the next keep; nil is none.
func (s *store) release(v *vector) {
	switch {
	case v == nil:
	case v.tensor != nil:
		if v.uses--; v.uses == 0 {
			delete(s.device, v.tensor)
			v.free()
		}
	case v.values != nil:
		s.used--
		s.memory--
		s.spare = append(s.spare, v.values)
	default:
		s.disk.release(v.slot)
	}
}

// free frees the tensors of a vector on the device.
func (v *vector) free() { finalize(v.tensor, v.stateTensor) }

// finalize frees tensors, of which any may be nil. Freeing memory early is all this does; there is nothing to be done about a failure.
func finalize(all ...*tensors.Tensor) {
	for _, t := range all {
		if t != nil {
			_ = t.FinalizeAll()
		}
	}
}

// close frees everything, and removes the file. It may be called again.
func (s *store) close() {
	for _, v := range s.device {
		v.free()
	}
	finalize(s.theta, s.state)
	clear(s.device)
	s.theta, s.state, s.spare = nil, nil, nil
	if s.disk != nil {
		_ = s.disk.close() // what was in it is not wanted any more
	}
}
