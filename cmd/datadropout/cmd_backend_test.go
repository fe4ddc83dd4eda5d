package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/backend"
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
