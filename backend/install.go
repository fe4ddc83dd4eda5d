package backend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNotInstallable is the error of [Install] for what it can't install.
var ErrNotInstallable = errors.New("can't be installed by this program")

// Install downloads the plugin of a backend, which must be [CUDA], with NVIDIA's libraries, for the given version of CUDA, 12 or
// 13; 0 means 13. All come from the Python package index, where JAX publishes them, each checked against its SHA-256 there;
// some gigabytes go into a folder of the user, whose path is returned. The installer is go-xla's; it shows its progress on stdout.
func Install(name string, cuda int) (dir string, err error) {
	if name != CUDA {
		return "", fmt.Errorf("%w: %s; only %s", ErrNotInstallable, name, CUDA)
	}
	if cuda != 0 && cuda != 12 && cuda != 13 {
		return "", fmt.Errorf("%w: CUDA %d; only 12 and 13", ErrNotInstallable, cuda)
	}
	if !compiledIn {
		return "", &MissingError{name, "this program was built without cgo, which XLA needs; build it with CGO_ENABLED=1 and a C compiler, then install the plugin"}
	}
	dir = installDir()
	if dir == "" {
		return "", errors.New("no home directory to install into: HOME is not set")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if cuda == 0 {
		cuda = 13
	}
	if err := installCUDA(dir, fmt.Sprintf("cuda%d", cuda)); err != nil {
		return "", fmt.Errorf("installing %s into %s: %s", name, dir, firstLine(err))
	}
	return filepath.Join(dir, "nvidia"), nil
}
