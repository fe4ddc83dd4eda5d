// Package backend opens what computes, by name: the CPU backend of this program, GoMLX's pure-Go backend, and XLA by its
// plugins, for GPUs. XLA needs a program built with cgo; everything else does without.
package backend

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"

	"github.com/datadropout/datadropout/cpu"

	"github.com/datadropout/datadropout/internal/nearest"
)

// Names of backends.
const (
	Auto = "auto" // XLA on an NVIDIA GPU where its plugin is installed and a GPU answers, else CPU
	CPU  = "cpu"  // the backend of this program
	Go   = "go"   // GoMLX's portable pure-Go backend, run sequentially: slow, and good for comparison
	CUDA = "xla:cuda"
)

// xlaPrefix begins the names of XLA's backends: the name or the path of a plugin follows.
const xlaPrefix = "xla:"

// Usage lists the values that [Open] takes, for a person.
const Usage = "auto, cpu, go, xla:cuda, xla:cpu, xla:/PATH/TO/PLUGIN.so"

// ErrUnknown is the error of a name that no backend has.
var ErrUnknown = errors.New("unknown backend")

// MissingError says that a backend is not to be had here, and what to do.
type MissingError struct {
	Name   string // of the backend
	Reason string
}

func (e *MissingError) Error() string { return fmt.Sprintf("backend %s: %s", e.Name, e.Reason) }

// Resolve returns the name of the backend that name stands for: [Auto] is looked up, other names are checked for their form. It
// loads nothing.
func Resolve(name string) (string, error) {
	plugin, isXLA := strings.CutPrefix(name, xlaPrefix)
	switch {
	case name == Auto:
		if HasGPU() && compiledIn && findPlugin("cuda") != "" {
			return CUDA, nil
		}
		return CPU, nil
	case name == CPU, name == Go, isXLA && plugin != "":
		return name, nil
	}
	return "", fmt.Errorf("%w %q%s", ErrUnknown, name, nearest.Among(name, strings.Split(Usage, ", ")))
}

// Open returns the backend of the given name. The caller finalizes it. A plugin that is not there, does not load or finds no device
// is a [*MissingError], and what it can't do of the options an [*OptionError].
//
// XLA on NVIDIA GPUs is told to leave out operations whose results vary from run to run, unless the options allow them or XLA_FLAGS says
// something about that already. Its libraries are told once: a process should not open a plugin by different options.
func Open(name string, o Options) (compute.Backend, error) {
	resolved, err := Resolve(name)
	if err != nil {
		return nil, err
	}
	if o, err = o.Resolve(resolved); err != nil {
		return nil, err
	}
	switch resolved {
	case CPU:
		if o.Threads > 0 {
			return cpu.New(fmt.Sprintf("threads=%d", o.Threads))
		}
		return cpu.New("")
	case Go:
		return gobackend.New("ops_sequential,parallelism=1")
	}
	return openPlugin(resolved, o)
}

// openPlugin opens XLA with the plugin that follows the prefix of name. The options are resolved.
func openPlugin(name string, o Options) (compute.Backend, error) {
	plugin := strings.TrimPrefix(name, xlaPrefix)
	if !compiledIn {
		return nil, &MissingError{name, "this program was built without cgo, which XLA needs; build it with CGO_ENABLED=1 and a C compiler"}
	}
	path, err := pluginPath(name, plugin)
	if err != nil {
		return nil, err
	}
	b, err := openXLA(path, o)
	if err != nil {
		reason := fmt.Sprintf("the plugin %s does not start: %s", path, firstLine(err))
		if isCUDA(path) && !HasGPU() {
			reason += "; no NVIDIA GPU is in sight here"
		}
		return nil, &MissingError{name, reason}
	}
	return b, nil
}

// Description is what [List] says of a backend.
type Description struct {
	Name    string   `json:"name"`
	What    string   `json:"what"`
	Ready   bool     `json:"ready"`             // it can be opened
	Version string   `json:"version,omitempty"` // of the plugin's interface
	Path    string   `json:"path,omitempty"`    // of the plugin
	Devices []string `json:"devices,omitempty"`
	// Reason says why it is not ready, and what to do.
	Reason string `json:"reason,omitempty"`
}

// List describes the backends, opening each plugin that is installed.
func List() []Description {
	list := []Description{
		{Name: CPU, What: "this program's own: Go and assembly (" + cpu.Level() + ")", Ready: true},
		{Name: Go, What: "GoMLX's pure-Go backend, sequential and slow, for comparison", Ready: true},
	}
	names := []string{"cuda", "cpu"}
	for _, p := range plugins() {
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	for _, plugin := range names {
		list = append(list, describe(xlaPrefix+plugin))
	}
	return list
}

func describe(name string) Description {
	d := Description{Name: name, What: "XLA, " + cmp.Or(map[string]string{"cuda": "NVIDIA GPUs", "cpu": "on CPUs"}[strings.TrimPrefix(name, xlaPrefix)], "a plugin")}
	d.Path = findPlugin(strings.TrimPrefix(name, xlaPrefix))
	b, err := Open(name, Options{})
	var missing *MissingError
	if errors.As(err, &missing) {
		d.Reason = missing.Reason
		return d
	}
	if err != nil {
		d.Reason = firstLine(err)
		return d
	}
	d.Ready = true
	d.Version, d.Devices = inspect(b)
	b.Finalize()
	return d
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
