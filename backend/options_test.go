package backend

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolveOptions(t *testing.T) {
	noPlugins(t)
	const byPath, other = "xla:/a/pjrt_c_api_cuda_plugin.so", "xla:/a/cuda/pjrt_c_api_tpu_plugin.so"
	for _, x := range []struct {
		backend, precision, want string
		says                     string // of the error
	}{
		{CPU, "", "float32", ""}, {Go, "auto", "float32", ""}, {"xla:cpu", "auto", "float32", ""}, {other, "", "float32", ""},
		{CUDA, "", "tf32", ""}, {CUDA, "auto", "tf32", ""}, {byPath, "auto", "tf32", ""},
		{CPU, "float32", "float32", ""}, {CUDA, "float32", "float32", ""}, {"xla:cpu", "float32", "float32", ""},
		{CUDA, "tf32", "tf32", ""}, {byPath, "tf32", "tf32", ""},
		{CUDA, "bfloat16", "bfloat16", ""}, {"xla:cpu", "bfloat16", "bfloat16", ""}, {other, "bfloat16", "bfloat16", ""},
		{CPU, "tf32", "", "precision tf32: only XLA on NVIDIA GPUs computes in TF32 (--backend xla:cuda), and the backend is cpu: take --precision auto"},
		{"xla:cpu", "tf32", "", "the backend is xla:cpu"}, {other, "tf32", "", "the backend is " + other},
		{CPU, "bfloat16", "", "precision bfloat16: networks compute in bfloat16 on XLA only (such as --backend xla:cuda), and the backend is cpu: take --precision auto"},
		{Go, "bfloat16", "", "the backend is go"},
		{CUDA, "bfloat", "", `precision: unknown precision "bfloat", did you mean bfloat16?`}, {CPU, "FLOAT32", "", "unknown precision"},
	} {
		got, err := Options{Precision: x.precision}.Resolve(x.backend)
		if x.want != "" {
			if err != nil || got.Precision != x.want {
				t.Errorf("%s on %s stands for %q (%v), want %s", x.precision, x.backend, got.Precision, err, x.want)
			}
			continue
		}
		var wrong *OptionError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), x.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s on %s: %v, want %q", x.precision, x.backend, err, x.says)
		}
		if _, opened := Open(x.backend, Options{Precision: x.precision}); opened == nil || opened.Error() != err.Error() {
			t.Errorf("opened with %s, %s gives %v", x.precision, x.backend, opened)
		}
	}
	for _, name := range []string{CPU, Go, "xla:cpu", CUDA} {
		o, err := Options{Nondeterministic: true}.Resolve(name)
		var wrong *OptionError
		switch {
		case name == CUDA:
			if err != nil || !o.Nondeterministic {
				t.Errorf("%s: %+v (%v)", name, o, err)
			}
		case !errors.As(err, &wrong) || !strings.Contains(err.Error(), "deterministic=false: the backend "+name+" gives the same bits every time"):
			t.Errorf("%s without the same bits: %v", name, err)
		}
	}
}

// Options are in the environment when a CUDA plugin is loaded, which this one is not fit for.
func TestOptionsReachThePlugin(t *testing.T) {
	if !compiledIn {
		t.Skip("XLA is not in this program")
	}
	dir := noPlugins(t)
	buildStub(t, filepath.Join(dir, "pjrt_c_api_cuda_plugin.so"), "int other(void) { return 1; }")
	for _, x := range []struct {
		o           Options
		flags, tf32 string
	}{
		{Options{}, deterministicFlags, ""},
		{Options{Precision: "tf32"}, deterministicFlags, ""},
		{Options{Precision: "bfloat16"}, deterministicFlags, ""},
		{Options{Precision: "float32"}, deterministicFlags, "0"},
		{Options{Nondeterministic: true}, "", ""},
		{Options{Precision: "float32", Nondeterministic: true}, "", "0"},
	} {
		t.Setenv(xlaFlagsEnv, "")
		t.Setenv("NVIDIA_TF32_OVERRIDE", "")
		_, err := Open(CUDA, x.o)
		expectMissing(t, err, CUDA)
		if flags, tf32 := os.Getenv(xlaFlagsEnv), os.Getenv("NVIDIA_TF32_OVERRIDE"); flags != x.flags || tf32 != x.tf32 {
			t.Errorf("%+v: the plugin sees the flags %q and TF32 %q, want %q and %q", x.o, flags, tf32, x.flags, x.tf32)
		}
	}
}
