package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout/backend"
	"github.com/datadropout/datadropout/report"
)

func TestBackendList(t *testing.T) {
	t.Setenv(backend.PluginPathEnv, t.TempDir())
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"backend", "list"}, &out, &errs); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	for _, want := range []string{"cpu ", "ready, the default", "xla:cuda", "not ready"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the list lacks %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	if code := execute(t.Context(), []string{"backend", "list", "--json"}, &out, &errs); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	for line := range strings.Lines(out.String()) {
		var got backendLine
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.Type != "backend" || got.Name == "" {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
}

// TestBackendErrors: wrong names are wrong usage, missing plugins fail with a line that says what to do, before any data is read.
func TestBackendErrors(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(backend.PluginPathEnv, dir)
	text := filepath.Join(dir, "pjrt_c_api_mine_plugin.so")
	if err := os.WriteFile(text, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"run", "--backend", "tpu", "--out", filepath.Join(dir, "run")}, exitUsage, `unknown backend "tpu"`},
		{[]string{"run", "--backend", "xla:none", "--out", filepath.Join(dir, "run")}, exitFailed, "xla:none"},
		{[]string{"run", "--backend", "xla:mine", "--out", filepath.Join(dir, "run")}, exitFailed, "xla:mine"},
		{[]string{"bench", "--backend", "xla:cuda", "--net", "softmax"}, exitFailed, "xla:cuda"},
		{[]string{"run", "--precision", "bfloat", "--out", filepath.Join(dir, "run")}, exitUsage, `--precision: unknown precision "bfloat", did you mean bfloat16?`},
		{[]string{"run", "--backend", "cpu", "--precision", "tf32", "--out", filepath.Join(dir, "run")}, exitUsage, "--precision tf32: only XLA on NVIDIA GPUs computes in TF32"},
		{[]string{"train", "--backend", "go", "--precision", "bfloat16", "--out", filepath.Join(dir, "run")}, exitUsage, "--precision bfloat16: networks compute in bfloat16 on XLA only"},
		{[]string{"bench", "--backend", "cpu", "--precision", "bfloat16"}, exitUsage, "--precision bfloat16: networks compute in bfloat16 on XLA only"},
		{[]string{"backend", "check", "cpu", "--precision", "tf32"}, exitUsage, "--precision tf32: only XLA on NVIDIA GPUs computes in TF32"},
		{[]string{"run", "--backend", "cpu", "--deterministic=false", "--out", filepath.Join(dir, "run")}, exitUsage, "--deterministic=false: the backend cpu gives the same bits every time"},
		{[]string{"bench", "--backend", "xla:mine", "--deterministic=false"}, exitUsage, "--deterministic=false: the backend xla:mine gives the same bits every time"},
		{[]string{"run", "--backend", "xla:cuda", "--deterministic=false", "--estimator", "metagradient", "--out", filepath.Join(dir, "run")}, exitUsage, "the estimator metagradient repeats the training and has to come to the same bits, which it does not with --deterministic=false"},
		{[]string{"run", "--backend", "xla:cuda", "--deterministic=false", "--precision", "bfloat16", "--out", filepath.Join(dir, "run")}, exitFailed, "xla:cuda"},
		{[]string{"backend", "install"}, exitUsage, "name what to install"},
		{[]string{"backend", "install", "xla:cpu"}, exitUsage, "only xla:cuda"},
		{[]string{"backend", "install", "xla:cuda", "--cuda", "9"}, exitUsage, "only 12 and 13"},
		{[]string{"backend", "remove"}, exitUsage, "unknown command"},
	} {
		var out, errs bytes.Buffer
		code := execute(t.Context(), x.args, &out, &errs)
		lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
		if code != x.code || !strings.Contains(lines[len(lines)-1], x.want) {
			t.Errorf("%v: exit code %d, %q; want %d and %q", x.args, code, errs.String(), x.code, x.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "run")); err == nil {
		t.Error("a run directory was made")
	}
}

// A run keeps what it computes by, as resolved, and goes on by it; its flags say so where it would be another.
func TestRunKeepsItsPrecision(t *testing.T) {
	t.Setenv(backend.PluginPathEnv, t.TempDir())
	out := filepath.Join(t.TempDir(), "run")
	args := []string{"train", "--quiet", "--out", out, "--train", "24", "--score", "12", "--tune", "12", "--test", "12", "--net", "softmax", "--epochs", "1", "--seeds", "1", "--threads", "1"}
	if code, _, stderr := runCommand(t, args...); code != exitDone {
		t.Fatal(stderr)
	}
	raw, err := os.ReadFile(filepath.Join(out, report.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"backend: cpu\n", "precision: float32\n", "deterministic: true\n"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("config.yaml lacks %q", want)
		}
	}
	if code, _, stderr := runCommand(t, "train", "--quiet", "--resume", "--out", out); code != exitDone {
		t.Errorf("resumed: %s", stderr)
	}
	wrongUsage(t, []string{"train", "--resume", "--out", out, "--precision", "tf32"}, "--precision tf32")
	const unlike = "with --deterministic=false what goes on does not come to the bits of an unbroken run"
	if code, _, stderr := runCommand(t, "train", "--resume", "--out", out, "--backend", "xla:cuda", "--deterministic=false"); code != exitFailed || !strings.HasPrefix(stderr, unlike+"\n") {
		t.Errorf("a resumed run without the same bits: exit code %d, %s", code, stderr)
	}
	// A run on a GPU whose settings are taken to a processor: the line says what to change.
	other := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(other, []byte(strings.Replace(string(raw), "precision: float32", "precision: tf32", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "run")
	wrongUsage(t, []string{"train", "--config", other, "--out", moved}, "take --precision auto")
	if code, _, stderr := runCommand(t, "train", "--quiet", "--config", other, "--precision", "auto", "--out", moved); code != exitDone {
		t.Errorf("with --precision auto: %s", stderr)
	}
	if err := os.WriteFile(other, []byte(strings.Replace(string(raw), "deterministic: true", "deterministic: false", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	moved = filepath.Join(t.TempDir(), "run")
	wrongUsage(t, []string{"train", "--config", other, "--out", moved}, "take --deterministic;")
	if code, _, stderr := runCommand(t, "train", "--quiet", "--config", other, "--deterministic", "--out", moved); code != exitDone {
		t.Errorf("with --deterministic: %s", stderr)
	}
}

// A recipe, or a file that does not say what computes, leaves that to be found out, as no flag at all does.
func TestWhatComputesIsFoundOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(file, []byte("seeds: 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"--recipe", "fast"}, {"--config", file}} {
		o := &runOptions{settings: defaultSettings()}
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.addFlags(f)
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		if err := o.readConfig(f); err != nil {
			t.Fatal(err)
		}
		if c := o.config; c.Backend != backend.Auto || c.Precision != "auto" || !c.Deterministic {
			t.Errorf("%v: backend %s, precision %s, deterministic %v", args, c.Backend, c.Precision, c.Deterministic)
		}
	}
}
