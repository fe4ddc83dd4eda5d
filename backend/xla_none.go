//go:build !cgo

package backend

import (
	"errors"

	"github.com/gomlx/compute"
)

// compiledIn says whether XLA is part of this program.
const compiledIn = false

func openXLA(string, Options) (compute.Backend, error) { return nil, errors.ErrUnsupported }

func inspect(compute.Backend) (version string, devices []string) { return "", nil }
