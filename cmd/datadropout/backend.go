package main

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/backend"
)

const backendUsage = "what computes: " + backend.Usage

// openBackend opens the backend of the given name, using at most the given number of threads; 0 means all. It sets name to
// what it stands for, so that a run's settings name what computed it.
func openBackend(name *string, threads int) (compute.Backend, error) {
	return openBackendBy(backend.Open, name, threads)
}

func openBackendBy(open func(name string, threads int) (compute.Backend, error), name *string, threads int) (compute.Backend, error) {
	resolved, err := backend.Resolve(*name)
	if errors.Is(err, backend.ErrUnknown) {
		return nil, &datadropout.UsageError{Err: fmt.Errorf("--backend: %w", err)}
	}
	if err != nil {
		return nil, err
	}
	*name = resolved
	return open(resolved, threads)
}
