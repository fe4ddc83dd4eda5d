package main

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/cpu"
)

// backends are the values of --backend.
var backends = []string{"cpu", "go"}

// openBackend returns the backend of the given name, using at most the given number of threads; 0 means all.
// "go" is GoMLX's portable pure-Go backend, run sequentially: slow, and good for comparison.
func openBackend(name string, threads int) (compute.Backend, error) {
	switch name {
	case "cpu":
		if threads > 0 {
			return cpu.New(fmt.Sprintf("threads=%d", threads))
		}
		return cpu.New("")
	case "go":
		return gobackend.New("ops_sequential,parallelism=1")
	}
	return nil, &datadropout.UsageError{Err: fmt.Errorf("unknown backend %q; known: %s", name, strings.Join(backends, ", "))}
}
