//go:build cgo && linux && amd64

package backend

import "github.com/gomlx/go-xla/installer"

// installCUDA installs JAX's CUDA plugin with the libraries it needs.
func installCUDA(dir, plugin string) error {
	return installer.CudaInstall(plugin, "latest", dir, true, installer.Normal)
}
