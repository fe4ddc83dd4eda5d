package backend

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/datadropout/datadropout/internal/nearest"
)

// PluginPathEnv is the environment variable that lists the folders of XLA's plugins, separated by colons; go-xla reads it, too.
const PluginPathEnv = "PJRT_PLUGIN_LIBRARY_PATH"

// xlaFlagsEnv is the environment variable that XLA takes settings from.
const xlaFlagsEnv = "XLA_FLAGS"

// deterministicFlags make XLA leave out operations whose results vary from run to run. Without the second flag it does what the gradient of
// max-pooling comes down to, a scatter, one element after the other.
const deterministicFlags = "--xla_gpu_deterministic_ops=true --xla_gpu_enable_scatter_determinism_expander=true"

// plugin is the file of a PJRT plugin.
type plugin struct{ name, path string }

var pluginFile = regexp.MustCompile(`^(?:pjrt_c_api_(.+)_plugin|pjrt[-_]plugin[-_](.+))\.(?:so|dylib|dll)$`)

// pluginDirs returns the folders that plugins are looked for in. The plugin for CUDA lies among NVIDIA's libraries, which it finds
// beside itself.
func pluginDirs() []string {
	if path, ok := os.LookupEnv(PluginPathEnv); ok {
		return filepath.SplitList(path)
	}
	var dirs []string
	for _, lib := range []string{installDir(), "/usr/local/lib/go-xla"} {
		if lib != "" {
			dirs = append(dirs, lib, filepath.Join(lib, "nvidia"))
		}
	}
	return dirs
}

// installDir is the folder of the user that plugins are installed into; empty where there is no home.
func installDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	switch runtime.GOOS {
	case "darwin":
		return filepath.Join(home, "Library", "Application Support", "go-xla")
	case "windows":
		return filepath.Join(home, "AppData", "Local", "go-xla")
	}
	return filepath.Join(home, ".local", "lib", "go-xla")
}

// plugins returns the plugins that are installed, the first of each name. It looks at names only: a file may be no plugin.
func plugins() []plugin {
	var found []plugin
	seen := map[string]bool{}
	for _, dir := range pluginDirs() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			m := pluginFile.FindStringSubmatch(e.Name())
			if m == nil || seen[m[1]+m[2]] {
				continue
			}
			path, err := filepath.Abs(filepath.Join(dir, e.Name()))
			if err != nil {
				continue
			}
			seen[m[1]+m[2]] = true
			found = append(found, plugin{m[1] + m[2], path})
		}
	}
	return found
}

// findPlugin returns the path of the plugin with the given name, which may lack the version that follows it (cpu for cpu_v0.98.0);
// empty where there is none.
func findPlugin(name string) string {
	versioned := ""
	for _, p := range plugins() {
		if p.name == name {
			return p.path
		}
		if versioned == "" && strings.HasPrefix(p.name, name+"_v") {
			versioned = p.path
		}
	}
	return versioned
}

// pluginPath returns the path of a plugin that is given by name or by path.
func pluginPath(backend, plugin string) (string, error) {
	if strings.ContainsAny(plugin, `/\`) {
		path, err := filepath.Abs(plugin)
		if err != nil {
			return "", err
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			return "", &MissingError{backend, fmt.Sprintf("there is no plugin at %s", path)}
		}
		return path, nil
	}
	if path := findPlugin(plugin); path != "" {
		return path, nil
	}
	how := "put its plugin, pjrt_c_api_" + plugin + "_plugin.so, into " + installDir()
	if known := []string{"cuda", "cpu"}; !slices.Contains(known, plugin) {
		if near := nearest.Name(plugin, append(known, "gpu")); near != "" {
			how += fmt.Sprintf("; or did you mean %s%s?", xlaPrefix, strings.Replace(near, "gpu", "cuda", 1))
		}
	}
	if plugin == "cuda" {
		how = "type: datadropout backend install xla:cuda"
		if !HasGPU() {
			how += " (no NVIDIA GPU is in sight here)"
		}
	}
	return "", &MissingError{backend, "its plugin is not installed; " + how}
}

func isCUDA(path string) bool { return strings.Contains(strings.ToLower(filepath.Base(path)), "cuda") }

// setCUDA sets the environment that XLA and NVIDIA's libraries read when they are loaded. Convolutions compute without TF32 by it.
func setCUDA(o Options) error {
	if flags := os.Getenv(xlaFlagsEnv); !o.Nondeterministic && !strings.Contains(flags, "deterministic_ops") {
		if err := os.Setenv(xlaFlagsEnv, strings.TrimSpace(flags+" "+deterministicFlags)); err != nil {
			return err
		}
	}
	if o.float32Only() {
		return os.Setenv("NVIDIA_TF32_OVERRIDE", "0")
	}
	return nil
}

// HasGPU says whether the machine shows an NVIDIA GPU.
func HasGPU() bool {
	found, _ := filepath.Glob("/dev/nvidia[0-9]*")
	if len(found) > 0 {
		return true
	}
	_, err := os.Stat("/dev/dxg") // Windows' subsystem for Linux
	return err == nil
}
