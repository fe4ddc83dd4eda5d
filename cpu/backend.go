package cpu

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"

	"github.com/datadropout/datadropout/cpu/internal/kernel"
)

// BackendName is the name the backend is registered under, e.g. for $GOMLX_BACKEND.
const BackendName = "cpu"

//go:generate go run ./internal/opsgen ops_gen.go

func init() {
	compute.Register(BackendName, New)
}

// errFinalized is what every use of a finalized backend, buffer or executable says.
var errFinalized = errors.New("cpu: already finalized")

// Backend is the cpu backend; see the package comment. It implements compute.Backend and is safe for concurrent use.
type Backend struct {
	threads int
	pool    *kernel.Pool
	memory  freeList
	arenas  arenaPool
	// planned and used are the bytes of the largest arena among the programs that were compiled and that were run.
	planned, used atomic.Int64
	reference     compute.Backend // the pure-Go backend, sequential: shapes, checks, and the delegated operations
	finalized     atomic.Bool
	fuse          bool

	trace func(step string, d time.Duration) // for measurements: called after every step
}

var _ compute.Backend = (*Backend)(nil)

// New makes a cpu backend. The configuration is a list of options separated by commas:
//
//	threads=N   number of threads (default: GOMAXPROCS); results do not depend on it
//	nofuse      one step per elementwise operation, for tests and measurements
func New(config string) (compute.Backend, error) {
	b := &Backend{threads: runtime.GOMAXPROCS(0), fuse: true}
	for option := range strings.SplitSeq(config, ",") {
		key, text, _ := strings.Cut(strings.TrimSpace(option), "=")
		switch key {
		case "":
		case "threads":
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("cpu: option threads=%q: need a number of at least 1", text)
			}
			b.threads = n
		case "nofuse":
			b.fuse = false
		default:
			return nil, fmt.Errorf("cpu: unknown option %q; known options: threads=N, nofuse", key)
		}
	}
	reference, err := newReference()
	if err != nil {
		return nil, err
	}
	b.reference = reference
	b.pool = kernel.NewPool(b.threads)
	runtime.AddCleanup(b, func(p *kernel.Pool) { p.Close() }, b.pool)
	return b, nil
}

// newReference makes a pure-Go backend that runs everything in the calling goroutine: its own parallel
// loops split by the number of workers, so their sums would depend on it. Its configuration string could say
// the same, but prints to the standard output.
func newReference() (compute.Backend, error) {
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		return nil, fmt.Errorf("cpu: making the pure-Go backend: %w", err)
	}
	field := reflect.Indirect(reflect.ValueOf(b)).FieldByName("Workers")
	if !field.IsValid() || !field.CanInterface() {
		return nil, errors.New("cpu: this version of the pure-Go backend has no field Workers")
	}
	pool, ok := field.Interface().(interface{ SetMaxParallelism(int) })
	if !ok {
		return nil, errors.New("cpu: this version of the pure-Go backend can't be made sequential")
	}
	pool.SetMaxParallelism(0)
	return b, nil
}

// Name implements compute.Backend.
func (b *Backend) Name() string { return BackendName }

// String implements compute.Backend.
func (b *Backend) String() string { return BackendName }

// Description implements compute.Backend.
func (b *Backend) Description() string {
	return fmt.Sprintf("CPU backend in Go and assembly (threads=%d)", b.threads)
}

// NumDevices implements compute.Backend: there is one device.
func (b *Backend) NumDevices() int { return 1 }

// DeviceDescription implements compute.Backend.
func (b *Backend) DeviceDescription(compute.DeviceNum) string { return "cpu" }

// Capabilities implements compute.Backend: everything the pure-Go backend can do, but for its fused
// operations, which GoMLX decomposes.
func (b *Backend) Capabilities() compute.Capabilities {
	c := b.reference.Capabilities().Clone()
	for op := range c.Operations {
		if op >= compute.OpTypeFusedSoftmax {
			delete(c.Operations, op)
		}
	}
	return c
}

// Scratch returns how many bytes of memory beside inputs and outputs the largest program needs that was compiled so far, and the
// largest that was run.
func (b *Backend) Scratch() (compiled, run int64) { return b.planned.Load(), b.used.Load() }

// raise makes v at least x.
func raise(v *atomic.Int64, x int64) {
	for old := v.Load(); old < x && !v.CompareAndSwap(old, x); old = v.Load() {
	}
}

// Finalize implements compute.Backend. Buffers of the backend can't be used afterwards.
func (b *Backend) Finalize() {
	if b.finalized.Swap(true) {
		return
	}
	b.memory.clear()
	b.arenas.clear()
	b.pool.Close()
	b.reference.Finalize()
}

// IsFinalized implements compute.Backend.
func (b *Backend) IsFinalized() bool { return b.finalized.Load() }

// Level names the instructions that the kernels use on this machine: avx512, avx2 or portable.
func Level() string { return kernel.CurrentLevel().String() }
