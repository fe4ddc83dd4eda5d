package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/evidence"
	"github.com/datadropout/datadropout/report"
)

// smallStudy is a study of a second or two.
func smallStudy(out string, more ...string) []string {
	return append([]string{"verify", "--train", "160", "--score", "80", "--tune", "20", "--test", "80", "--net", "softmax", "--epochs", "3",
		"--batch", "32", "--hessian-samples", "160", "--fractions", "0.1,0.3", "--subsets", "4", "--loo-samples", "4", "--out", out}, more...)
}

func verifyResult(t *testing.T, dir string) *evidence.Result {
	t.Helper()
	r := new(evidence.Result)
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, report.VerifyFile))), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerifyWritesItsFiles(t *testing.T) {
	out := filepath.Join(t.TempDir(), "study")
	code, stdout, stderr := runCommand(t, smallStudy(out, "--estimators", "cg,loss", "--tests", "loo,lds,group,mislabel", "--per-point", "3")...)
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"full trainings", "leaving out 1", "LDS", "10 %", "30 %", "per test point", "most harmful", "AUC", "ranking only", evidence.FixedBefore, report.VerifyPageFile} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the tables lack %q:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "32 wrong labels planted") || !strings.Contains(stderr, "retrain") {
		t.Errorf("progress: %s", stderr)
	}
	r := verifyResult(t, out)
	if r.Schema != 1 || r.Data.Train != 160 || r.HyperParameters != evidence.FixedBefore || len(r.Estimators) != 2 || len(r.Estimators[0].LDS) != 2 {
		t.Errorf("verify.json says %+v", r)
	}
	if rows := readTable(t, filepath.Join(out, report.VerifyTableFile)); len(rows) != 2*(1+2+2+1) {
		t.Errorf("verify.csv has %d rows, want one an estimator, test and fraction", len(rows))
	}
	if page := readFile(t, filepath.Join(out, report.VerifyPageFile)); strings.Count(page, "<svg") != 2*(1+2) {
		t.Errorf("the page shows %d plots", strings.Count(page, "<svg"))
	}

	// More estimators repeat no training but those of their own groups.
	code, stdout, stderr = runCommand(t, smallStudy(out, "--estimators", "cg,loss,random", "--tests", "loo,lds", "--json")...)
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var types []string
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		var v struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Type == "" {
			t.Fatalf("line %q: %v", line, err)
		}
		if !slices.Contains(types, v.Type) {
			types = append(types, v.Type)
		}
	}
	for _, want := range []string{"begin", "start", "progress", "done", "result"} {
		if !slices.Contains(types, want) {
			t.Errorf("no line of type %s among %v", want, types)
		}
	}
	if r := verifyResult(t, out); r.Resumed != r.Retrainings || r.Retrainings != 4+2*4 || len(r.Estimators) != 3 {
		t.Errorf("%d of %d trainings resumed with %d estimators", r.Resumed, r.Retrainings, len(r.Estimators))
	}
}

func TestVerifyContinues(t *testing.T) {
	whole, broken := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "broken")
	args := func(out string, more ...string) []string {
		return smallStudy(out, append(more, "--estimators", "graddot", "--tests", "lds")...)
	}
	if code, _, stderr := runCommand(t, args(whole, "--quiet")...); code != exitDone || stderr != "" {
		t.Fatalf("exit code %d, %q", code, stderr)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stderr bytes.Buffer
	code := execute(ctx, args(broken, "--json"), &cancelAfter{lines: 20, cancel: cancel}, &stderr)
	if code != exitInterrupted || !strings.Contains(stderr.String(), "--out "+broken) {
		t.Fatalf("exit code %d, %q", code, stderr.String())
	}
	if code, _, stderr := runCommand(t, args(broken, "--parallel", "2", "--threads", "1")...); code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	a, b := verifyResult(t, whole), verifyResult(t, broken)
	if b.Resumed == 0 || b.Resumed == b.Retrainings {
		t.Errorf("%d of %d trainings resumed", b.Resumed, b.Retrainings)
	}
	for k := range a.Estimators[0].LDS {
		if x, y := a.Estimators[0].LDS[k], b.Estimators[0].LDS[k]; !slices.Equal(x.Predicted, y.Predicted) || !slices.Equal(x.True, y.True) || x.SpearmanCI != y.SpearmanCI {
			t.Errorf("fraction %v: continued %+v, unbroken %+v", x.Fraction, y, x)
		}
	}
}

func TestVerifyWarns(t *testing.T) {
	out := filepath.Join(t.TempDir(), "study")
	code, stdout, stderr := runCommand(t, smallStudy(out, "--net", "lenet5", "--epochs", "1", "--estimators", "random", "--tests", "loo")...)
	if code != exitDone || !strings.Contains(stdout, "drowned in the noise") {
		t.Errorf("exit code %d, %s: single samples of a network that is not convex, and no warning:\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = runCommand(t, smallStudy(out, "--estimators", "cg", "--tests", "loo", "--max-iterations", "1", "--damping", "1e-6")...)
	if code != exitUntrusted || !strings.Contains(stdout, "not converged") || !strings.Contains(stderr, "did not converge") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
}

func TestVerifyReadsTheSettingsOfARun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := runCommand(t, with(dir)...); code != exitDone {
		t.Fatal(stderr)
	}
	out := filepath.Join(t.TempDir(), "study")
	code, _, stderr := runCommand(t, "verify", "--config", filepath.Join(dir, report.ConfigFile), "--estimators", "graddot,loss", "--tests", "lds",
		"--fractions", "0.2", "--subsets", "3", "--epochs", "2", "--out", out)
	if code != exitDone {
		t.Fatal(stderr)
	}
	r := verifyResult(t, out)
	if r.Net.Name != "softmax" || r.Recipe.BatchSize != 32 || r.Recipe.Epochs != 2 || r.Data.Train != 160 || len(r.Estimators) != 2 || r.Estimators[0].LDS[0].Count != 32 {
		t.Errorf("verify.json says %+v", r)
	}
}
