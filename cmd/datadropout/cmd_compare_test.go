package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/report"
)

func TestCompareRuns(t *testing.T) {
	a, b := finished(t), filepath.Join(t.TempDir(), "other")
	if code, _, stderr := runCommand(t, with(b, "--estimator", "graddot", "--net", "mlp")...); code != exitDone {
		t.Fatal(stderr)
	}
	page := filepath.Join(t.TempDir(), "compare.html")
	code, stdout, stderr := runCommand(t, "compare", a, b, "--html", page)
	if code != exitDone || !strings.Contains(stderr, "arms differ by the network") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"graddot", "rank correlation", "Jaccard", "estimator", "16 of 160", "mlp"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the tables lack %q:\n%s", want, stdout)
		}
		if text := readFile(t, page); want != "estimator" && !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	code, stdout, _ = runCommand(t, "compare", a, a, b, "--json")
	var c struct {
		Type string
		report.Comparison
	}
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != exitDone || c.Type != "comparison" || len(c.Pairs) != 3 || c.Pairs[0].Jaccard != 1 || c.Pairs[0].Common != 160 {
		t.Errorf("exit code %d, %v: %+v", code, err, c.Pairs)
	}
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"compare"}, exitUsage, "two finished runs"},
		{[]string{"compare", a}, exitUsage, "two finished runs"},
		{[]string{"compare", a, t.TempDir()}, exitInput, "no finished run"},
	} {
		if code, _, stderr := runCommand(t, tt.args...); code != tt.code || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit code %d, %q", tt.args, code, stderr)
		}
	}
}
