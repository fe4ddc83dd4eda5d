//go:build cgo

package backend

import (
	"fmt"
	"io"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	"k8s.io/klog/v2"
)

// compiledIn says whether XLA is part of this program.
const compiledIn = true

// A plugin is some gigabytes with its libraries: it is never downloaded by the way.
func init() { xla.EnableAutoInstall(false) }

// openXLA opens XLA with the plugin at path. The options are resolved. What the libraries log of a failure is in the error, too.
func openXLA(path string, o Options) (b compute.Backend, err error) {
	defer func() { // of a plugin that loads and has nothing to offer
		if r := recover(); r != nil {
			b, err = nil, fmt.Errorf("not a working plugin: %v", r)
		}
	}()
	if isCUDA(path) {
		if err := setCUDA(o); err != nil {
			return nil, err
		}
	}
	config := path
	if o.float32Only() {
		config += ",tf32=false" // for products
	}
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	defer klog.LogToStderr(true)
	x, err := xla.NewWithOptions(config, nil)
	if err != nil {
		return nil, err
	}
	return x, nil
}

// inspect returns the version of the interface and the devices of an XLA backend.
func inspect(b compute.Backend) (version string, devices []string) {
	x, ok := b.(*xla.Backend)
	if !ok {
		return "", nil
	}
	if plugin, err := pjrt.GetPlugin(x.PluginName()); err == nil {
		major, minor := plugin.Version()
		version = fmt.Sprintf("PJRT %d.%d", major, minor)
	}
	for d := range x.NumDevices() {
		devices = append(devices, x.DeviceDescription(compute.DeviceNum(d)))
	}
	return version, devices
}
