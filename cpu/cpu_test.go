package cpu_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/support/backendtest"

	"github.com/datadropout/datadropout/cpu"
)

func newBackend(t testing.TB, config string) compute.Backend {
	t.Helper()
	b, err := cpu.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// raceEnabled says that the race detector is on, and with it the checks of unsafe pointers.
var raceEnabled bool

// productReference is the backend to compare graphs with that hold matrix products: the pure-Go backend, but
// under the race detector the unfused cpu backend, for the pure-Go backend's packing of matrices forms pointers past
// the end of its buffers, which checkptr refuses.
func productReference(t testing.TB) compute.Backend {
	if raceEnabled {
		return newBackend(t, "nofuse,threads=1")
	}
	reference, err := cpu.NewReference()
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

// TestBackend runs the tests that GoMLX has for every backend.
func TestBackend(t *testing.T) {
	b := newBackend(t, "")
	if !raceEnabled {
		backendtest.RunAll(t, b, nil)
		return
	}
	// Products of half-precision numbers are delegated; see productReference. Run everything else.
	for name, test := range map[string]func(t *testing.T, b compute.Backend){
		"BinaryOps": backendtest.TestBinaryOps, "UnaryOps": backendtest.TestUnaryOps,
		"ConvertDType": backendtest.TestConvertDType, "Bitcast": backendtest.TestBitcast,
		"Exec": backendtest.TestExec, "Functions": backendtest.TestFunctions,
		"SpecialOps": backendtest.TestSpecialOps, "Barriers": backendtest.TestBarriers,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
	t.Run("ConvGeneral", func(t *testing.T) { backendtest.TestConvGeneral(t, b, nil) })
}
