package backend

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/datadropout/datadropout/internal/precision"
)

// Options say how a backend computes. The zero value means all threads, [Options.Precision] auto, and the same bits every time.
type Options struct {
	// Threads bounds the processors used; 0 means all. XLA chooses its threads itself.
	Threads int
	// Precision is what products are computed in:
	//
	//   - float32: their operands are float32, all of their bits
	//   - tf32: on NVIDIA GPUs the operands of products and convolutions of float32 may be rounded to the 10 bits of TF32
	//   - bfloat16: the backend must know that type, which networks then compute in (see net.Network.BFloat16); what is float32 is
	//     computed as with auto
	//   - auto, or empty: tf32 on NVIDIA GPUs, float32 elsewhere
	Precision string
	// Nondeterministic lets XLA on NVIDIA GPUs use operations whose results vary from run to run. They are faster; the same seed does not give the
	// same bits.
	Nondeterministic bool
}

// OptionError says that a backend does not have what an option asks for, and what to do.
type OptionError struct {
	Option string // as a flag without its dashes, such as "precision tf32"
	Reason string
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Reason }

// Resolve returns the options with the precision that they stand for on the backend of the given name, which [Resolve] returned. What the
// backend does not have is an [*OptionError]. It loads nothing.
func (o Options) Resolve(backend string) (Options, error) {
	o.Precision = cmp.Or(o.Precision, precision.Auto)
	if err := precision.Check(o.Precision); err != nil {
		return o, &OptionError{"precision", err.Error()}
	}
	plugin, isXLA := strings.CutPrefix(backend, xlaPrefix)
	cuda := isXLA && isCUDA(plugin)
	if o.Nondeterministic && !cuda {
		return o, &OptionError{"deterministic=false", fmt.Sprintf("the backend %s gives the same bits every time, and has nothing faster: take --deterministic; only XLA on NVIDIA GPUs has (--backend %s)", backend, CUDA)}
	}
	switch {
	case o.Precision == precision.TF32 && !cuda:
		return o, &OptionError{"precision " + o.Precision, fmt.Sprintf("only XLA on NVIDIA GPUs computes in TF32 (--backend %s), and the backend is %s: take --precision %s", CUDA, backend, precision.Auto)}
	case o.Precision == precision.BFloat16 && !isXLA:
		return o, &OptionError{"precision " + o.Precision, fmt.Sprintf("networks compute in bfloat16 on XLA only (such as --backend %s), and the backend is %s: take --precision %s", CUDA, backend, precision.Auto)}
	case o.Precision == precision.Auto && cuda:
		o.Precision = precision.TF32
	case o.Precision == precision.Auto:
		o.Precision = precision.Float32
	}
	return o, nil
}

// float32Only says whether NVIDIA GPUs may not compute in TF32.
func (o Options) float32Only() bool { return o.Precision == precision.Float32 }
