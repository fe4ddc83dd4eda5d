package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/backend"
)

func TestBackendCheck(t *testing.T) {
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"backend", "check", "cpu", "--net", "softmax,mlp", "--batch", "2"}, &out, &errs); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	for _, want := range []string{"in float32 against cpu, batches of 2", "difference", "softmax", "mlp", "hvp", "metagradient"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	if code := execute(t.Context(), []string{"backend", "check", "cpu", "--net", "softmax", "--batch", "2", "--json"}, &out, &errs); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	lines := 0
	for line := range strings.Lines(out.String()) {
		var got agreementLine
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.Type != "agreement" || got.Backend != "cpu" || got.Precision != "float32" || got.Difference == nil || *got.Difference != 0 || !got.Agrees {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
		lines++
	}
	if lines != 10 {
		t.Errorf("%d lines, want 10", lines)
	}
}

func TestBackendCheckErrors(t *testing.T) {
	t.Setenv(backend.PluginPathEnv, t.TempDir())
	for _, x := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "name the backend to check"},
		{[]string{"tpu"}, exitUsage, `unknown backend "tpu"`},
		{[]string{"xla:none"}, exitFailed, "xla:none"},
		{[]string{"cpu", "--net", "resnet21"}, exitUsage, "resnet21"},
		{[]string{"cpu", "--batch", "1"}, exitUsage, "at least 2 samples"},
	} {
		var out, errs bytes.Buffer
		code := execute(t.Context(), append([]string{"backend", "check"}, x.args...), &out, &errs)
		if code != x.code || !strings.Contains(errs.String(), x.want) {
			t.Errorf("%v: exit code %d, %q; want %d and %q", x.args, code, errs.String(), x.code, x.want)
		}
	}
}
