package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/backend"
	"github.com/datadropout/datadropout/internal/precision"
)

const backendUsage = "what computes: " + backend.Usage

// precisionUsage is that of --precision.
var precisionUsage = "what products are computed in: " + strings.Join(precision.Names, ", ") + "; auto is tf32 on NVIDIA GPUs, else float32; bfloat16 needs XLA"

// openBackend opens the backend of the given name by the options. It sets both to what they stand for, so that a run's settings name what
// computed it.
func openBackend(name *string, o *backend.Options) (compute.Backend, error) {
	resolved, err := backend.Resolve(*name)
	if errors.Is(err, backend.ErrUnknown) {
		return nil, &datadropout.UsageError{Err: fmt.Errorf("--backend: %w", err)}
	}
	if err != nil {
		return nil, err
	}
	*name = resolved
	if *o, err = o.Resolve(resolved); err != nil { // an option that the backend does not have
		return nil, &datadropout.UsageError{Err: fmt.Errorf("--%w", err)}
	}
	return backend.Open(resolved, *o)
}

// openConfigured is openBackend for settings.
func openConfigured(c *datadropout.Config) (compute.Backend, error) {
	o := backend.Options{Threads: c.Threads, Precision: c.Precision, Nondeterministic: !c.Deterministic}
	b, err := openBackend(&c.Backend, &o)
	c.Precision = o.Precision
	return b, err
}
