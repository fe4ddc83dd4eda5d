//go:build !(cgo && linux && amd64)

package backend

import (
	"fmt"
	"runtime"
)

// installCUDA fails: the plugin exists for Linux on amd64 only.
func installCUDA(string, string) error {
	return fmt.Errorf("there is no CUDA plugin for %s on %s", runtime.GOOS, runtime.GOARCH)
}
