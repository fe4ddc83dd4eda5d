package backend

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/datadropout/datadropout/internal/precision"
)

// noPlugins hides what is installed on the machine and returns a folder that plugins are looked for in.
func noPlugins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv(PluginPathEnv, dir)
	return dir
}

func TestResolve(t *testing.T) {
	noPlugins(t)
	for _, x := range []struct{ name, want string }{
		{Auto, CPU}, {CPU, CPU}, {Go, Go}, {CUDA, CUDA}, {"xla:cpu", "xla:cpu"}, {"xla:/a/b.so", "xla:/a/b.so"},
		{"", ""}, {"xla", ""}, {"xla:", ""}, {"cuda", ""}, {"CPU", ""},
	} {
		got, err := Resolve(x.name)
		if got != x.want || (err != nil) != (x.want == "") {
			t.Errorf("%q stands for %q (%v), want %q", x.name, got, err, x.want)
		}
		if err != nil && !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v, want an unknown backend", x.name, err)
		}
	}
}

// TestOpen adds two numbers on each backend that needs nothing.
func TestOpen(t *testing.T) {
	noPlugins(t)
	for _, name := range []string{Auto, CPU, Go} {
		for _, threads := range []int{0, 1} {
			b, err := Open(name, Options{Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			exec := graph.MustNewExec(b, func(x *graph.Node) *graph.Node { return graph.AddScalar(x, 2) })
			got := exec.MustExec(float32(40))[0]
			if got.DType() != dtypes.Float32 || got.Value() != float32(42) {
				t.Errorf("%s: 40+2 is %v", name, got)
			}
			exec.Finalize()
			b.Finalize()
		}
	}
}

// A plugin that is not there may be another one mistyped.
func TestMissingSuggestsTheNearest(t *testing.T) {
	noPlugins(t)
	for name, want := range map[string]string{"gpu": "did you mean xla:cuda?", "cudda": "did you mean xla:cuda?", "cpuu": "did you mean xla:cpu?", "rocm": "", "cpu": ""} {
		_, err := pluginPath(xlaPrefix+name, name)
		var missing *MissingError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), want) || (want == "") == strings.Contains(err.Error(), "did you mean") {
			t.Errorf("xla:%s: %v, want %q", name, err, want)
		}
	}
}

// TestMissing opens plugins that are not there or don't work: each error is one line that names the plugin or what to type.
func TestMissing(t *testing.T) {
	dir := noPlugins(t)
	_, err := Open(CUDA, Options{})
	expectMissing(t, err, CUDA, "datadropout backend install xla:cuda")
	_, err = Open("xla:cpu", Options{})
	expectMissing(t, err, "xla:cpu", "pjrt_c_api_cpu_plugin.so")
	gone := filepath.Join(dir, "gone.so")
	_, err = Open("xla:"+gone, Options{})
	expectMissing(t, err, gone)
	_, err = Open("xla:"+dir, Options{})
	expectMissing(t, err, dir)

	text := filepath.Join(dir, "pjrt_c_api_cuda_plugin.so")
	if err := os.WriteFile(text, []byte("not a library\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open(CUDA, Options{})
	expectMissing(t, err, text)
	if got, err := Resolve(Auto); got != CPU && !HasGPU() || err != nil {
		t.Errorf("a plugin without a GPU: auto stands for %s (%v)", got, err)
	}
	for name, source := range map[string]string{
		"no entry":   "int other(void) { return 1; }",
		"no answer":  "void *GetPjrtApi(void) { return 0; }",
		"wrong name": "",
	} {
		path := filepath.Join(dir, "stub-"+strings.ReplaceAll(name, " ", "-")+".so")
		if source != "" {
			buildStub(t, path, source)
		}
		_, err = Open("xla:"+path, Options{})
		expectMissing(t, err, path)
	}
}

func expectMissing(t *testing.T, err error, words ...string) {
	t.Helper()
	var missing *MissingError
	if !errors.As(err, &missing) {
		t.Fatalf("%v, want a missing backend", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has more than one line", err)
	}
	if !compiledIn {
		words = []string{"cgo"}
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// buildStub compiles a shared library; without a C compiler the file is no library, which must be found out as well.
func buildStub(t *testing.T, path, source string) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil || !compiledIn {
		if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	c := exec.Command(cc, "-shared", "-fPIC", "-x", "c", "-o", path, "-")
	c.Stdin = strings.NewReader(source)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestSetCUDA: same seed, same bits holds on a GPU unless the user has decided about it.
func TestSetCUDA(t *testing.T) {
	t.Setenv("NVIDIA_TF32_OVERRIDE", "")
	for _, x := range []struct{ flags, want string }{
		{"", deterministicFlags},
		{"--xla_dump_to=/tmp/x", "--xla_dump_to=/tmp/x " + deterministicFlags},
		{"--xla_gpu_deterministic_ops=false", "--xla_gpu_deterministic_ops=false"},
		{"--xla_gpu_exclude_nondeterministic_ops=true", "--xla_gpu_exclude_nondeterministic_ops=true"},
	} {
		t.Setenv(xlaFlagsEnv, x.flags)
		for _, name := range []string{precision.TF32, precision.BFloat16, precision.Float32} {
			if err := setCUDA(Options{Precision: name}); err != nil {
				t.Fatal(err)
			}
			if got := os.Getenv(xlaFlagsEnv); got != x.want {
				t.Errorf("%q becomes %q, want %q", x.flags, got, x.want)
			}
			if off := os.Getenv("NVIDIA_TF32_OVERRIDE") == "0"; off != (name == precision.Float32) {
				t.Errorf("in %s TF32 off is %v", name, off)
			}
		}
		t.Setenv("NVIDIA_TF32_OVERRIDE", "")
		t.Setenv(xlaFlagsEnv, x.flags)
		if err := setCUDA(Options{Precision: precision.TF32, Nondeterministic: true}); err != nil {
			t.Fatal(err)
		}
		if got := os.Getenv(xlaFlagsEnv); got != x.flags {
			t.Errorf("without the same bits, %q becomes %q", x.flags, got)
		}
	}
}

func TestFindPlugin(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	t.Setenv(PluginPathEnv, first+string(filepath.ListSeparator)+second)
	for _, path := range []string{
		filepath.Join(first, "pjrt_c_api_cpu_v0.98.0_plugin.so"), filepath.Join(first, "libother.so"),
		filepath.Join(second, "pjrt_c_api_cuda_plugin.so"), filepath.Join(second, "pjrt-plugin-tpu.so"), filepath.Join(second, "pjrt_c_api_tpu_plugin.so"),
	} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"cpu": filepath.Join(first, "pjrt_c_api_cpu_v0.98.0_plugin.so"), "cuda": filepath.Join(second, "pjrt_c_api_cuda_plugin.so"),
		"tpu": filepath.Join(second, "pjrt-plugin-tpu.so"), "other": "", "cp": "",
	} {
		if got := findPlugin(name); got != want {
			t.Errorf("%s is at %q, want %q", name, got, want)
		}
	}
}

// TestList describes everything, whatever is installed: what is not ready says why.
func TestList(t *testing.T) {
	dir := noPlugins(t)
	if err := os.WriteFile(filepath.Join(dir, "pjrt_c_api_mine_plugin.so"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, d := range List() {
		names[d.Name] = true
		if d.What == "" || d.Ready == (d.Reason != "") {
			t.Errorf("%+v", d)
		}
		if ready := d.Name == CPU || d.Name == Go; d.Ready != ready {
			t.Errorf("%s: ready %v", d.Name, d.Ready)
		}
	}
	for _, name := range []string{CPU, Go, CUDA, "xla:cpu", "xla:mine"} {
		if !names[name] {
			t.Errorf("%s is not listed", name)
		}
	}
}

func TestInstallRefuses(t *testing.T) {
	for _, x := range []struct {
		name string
		cuda int
	}{{"cpu", 0}, {"xla:cpu", 0}, {CUDA, 11}} {
		if _, err := Install(x.name, x.cuda); !errors.Is(err, ErrNotInstallable) {
			t.Errorf("%s %d: %v", x.name, x.cuda, err)
		}
	}
}
