package cpu

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// Buffer is a tensor in memory, row-major, without gaps. It implements compute.Buffer.
type Buffer struct {
	backend *Backend
	shape   shapes.Shape

	mu  sync.Mutex
	mem []byte // nil once finalized or donated
}

var _ compute.Buffer = (*Buffer)(nil)

// byteSize is the number of bytes of a tensor of the shape.
func byteSize(s shapes.Shape) int { return s.DType.SizeForDimensions(s.Size()) }

func (b *Backend) newBuffer(shape shapes.Shape) *Buffer {
	return &Buffer{backend: b, shape: shape, mem: b.memory.get(byteSize(shape))}
}

func (b *Backend) checkDevice(device compute.DeviceNum) error {
	if b.finalized.Load() {
		return errFinalized
	}
	if device != 0 {
		return fmt.Errorf("cpu: there is only device 0, not %d", device)
	}
	return nil
}

// BufferFromFlatData implements compute.DataInterface.
func (b *Backend) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	if err := b.checkDevice(device); err != nil {
		return nil, err
	}
	if err := checkFlat(flat, shape); err != nil {
		return nil, err
	}
	buf := b.newBuffer(shape.Clone())
	copy(buf.mem, dtypes.UnsafeByteSliceFromAny(flat))
	return buf, nil
}

// checkFlat says whether flat is a slice that holds a tensor of the shape.
func checkFlat(flat any, shape shapes.Shape) error {
	if !shape.Ok() || shape.IsDynamic() || shape.IsTuple() {
		return fmt.Errorf("cpu: a buffer can't have shape %s", shape)
	}
	want := dtypes.MakeAnySlice(shape.DType, 0)
	if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", flat) {
		return fmt.Errorf("cpu: flat data is a %T, but shape %s needs a %T", flat, shape, want)
	}
	if got := len(dtypes.UnsafeByteSliceFromAny(flat)); got != byteSize(shape) {
		return fmt.Errorf("cpu: flat data has %d bytes, but shape %s needs %d", got, shape, byteSize(shape))
	}
	return nil
}

// HasSharedBuffers implements compute.DataInterface: buffers are ordinary memory.
func (b *Backend) HasSharedBuffers() bool { return true }

// NewSharedBuffer implements compute.DataInterface. Its contents are zero.
func (b *Backend) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	if err := b.checkDevice(device); err != nil {
		return nil, nil, err
	}
	if !shape.Ok() || shape.IsDynamic() || shape.IsTuple() {
		return nil, nil, fmt.Errorf("cpu: a buffer can't have shape %s", shape)
	}
	buf := b.newBuffer(shape.Clone())
	clear(buf.mem)
	return buf, flatOf(buf.mem, buf.shape), nil
}

// flatOf views memory as a slice of the shape's type.
func flatOf(mem []byte, shape shapes.Shape) any {
	n := shape.Size()
	if n == 0 {
		return dtypes.MakeAnySlice(shape.DType, 0)
	}
	return dtypes.UnsafeAnySliceFromBytes(unsafe.Pointer(unsafe.SliceData(mem)), shape.DType, n)
}

// bytes is the buffer's memory, or an error when it is gone.
func (buf *Buffer) bytes() ([]byte, error) {
	if buf == nil {
		return nil, errFinalized
	}
	buf.mu.Lock()
	defer buf.mu.Unlock()
	if buf.mem == nil || buf.backend.finalized.Load() {
		return nil, errFinalized
	}
	return buf.mem, nil
}

// take moves the memory out of the buffer, as donation does.
func (buf *Buffer) take() []byte {
	buf.mu.Lock()
	defer buf.mu.Unlock()
	mem := buf.mem
	buf.mem = nil
	return mem
}

// Backend implements compute.Buffer.
func (buf *Buffer) Backend() compute.Backend { return buf.backend }

// Finalize implements compute.Buffer: the memory goes back to the backend. It may be called again.
func (buf *Buffer) Finalize() error {
	if buf == nil {
		return errFinalized
	}
	if mem := buf.take(); mem != nil && !buf.backend.finalized.Load() {
		buf.backend.memory.put(mem)
	}
	return nil
}

// Shape implements compute.Buffer.
func (buf *Buffer) Shape() (shapes.Shape, error) {
	if _, err := buf.bytes(); err != nil {
		return shapes.Invalid(), err
	}
	return buf.shape, nil
}

// DeviceNum implements compute.Buffer.
func (buf *Buffer) DeviceNum() (compute.DeviceNum, error) {
	_, err := buf.bytes()
	return 0, err
}

// ToFlatData implements compute.Buffer.
func (buf *Buffer) ToFlatData(flat any) error {
	mem, err := buf.bytes()
	if err != nil {
		return err
	}
	if err := checkFlat(flat, buf.shape); err != nil {
		return err
	}
	copy(dtypes.UnsafeByteSliceFromAny(flat), mem)
	return nil
}

// Data implements compute.Buffer: the memory itself.
func (buf *Buffer) Data() (any, error) {
	mem, err := buf.bytes()
	if err != nil {
		return nil, err
	}
	return flatOf(mem, buf.shape), nil
}

// CopyToDevice implements compute.Buffer; there is only one device.
func (buf *Buffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	mem, err := buf.bytes()
	if err != nil {
		return nil, err
	}
	if err := buf.backend.checkDevice(device); err != nil {
		return nil, err
	}
	other := buf.backend.newBuffer(buf.shape)
	copy(other.mem, mem)
	return other, nil
}
