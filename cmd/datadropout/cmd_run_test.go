package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/report"
)

// small is a run of a second or two: few procedural samples, softmax regression, a fixed amount.
var small = []string{"run", "--train", "160", "--score", "80", "--tune", "80", "--test", "80", "--net", "softmax",
	"--epochs", "3", "--batch", "32", "--seeds", "2", "--rule", "count:16", "--hessian-samples", "160"}

func with(out string, more ...string) []string {
	return append(append(slices.Clone(small), "--out", out), more...)
}

func TestRunWritesTheRunDirectory(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := runCommand(t, with(out)...)
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"full", "dropped", "random", "highest_loss", "95 % interval", "Verdict:", "planted"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	var r datadropout.Result
	raw, err := os.ReadFile(filepath.Join(out, report.ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	if r.Schema != 1 || r.Data.Train != 160 || r.Data.Val != 80 || r.Data.Planted != 32 || r.Drop.Count != 16 {
		t.Errorf("result.json says %+v and %+v", r.Data, r.Drop)
	}
	for _, arm := range datadropout.Arms {
		if got := len(r.Arms[arm].TestMetric); got != 2 {
			t.Errorf("arm %s has %d test metrics, want one a seed", arm, got)
		}
	}
	scores, drop := readTable(t, filepath.Join(out, report.ScoresFile)), readTable(t, filepath.Join(out, report.DropFile))
	if len(scores) != 160 || len(drop) != 16 {
		t.Fatalf("%d rows of scores and %d dropped", len(scores), len(drop))
	}
	keep := strings.Fields(readFile(t, filepath.Join(out, report.KeepFile)))
	if len(keep) != 144 {
		t.Fatalf("%d kept", len(keep))
	}
	last := -1e300
	for _, rec := range drop {
		if slices.Contains(keep, rec["index"]) {
			t.Errorf("sample %s is dropped and kept", rec["index"])
		}
		delta, err := strconv.ParseFloat(rec["delta"], 64)
		if err != nil || delta < last {
			t.Errorf("drop.csv is not ordered from the most harmful: %v after %v", delta, last)
		}
		last = delta
	}
	page := readFile(t, filepath.Join(out, report.PageFile))
	if got := strings.Count(page, `<article class="sample`); got != 40 {
		t.Errorf("the page shows %d samples, want 20 harmful and 20 helpful", got)
	}
	if strings.Contains(page, "http://") || strings.Contains(page, "https://") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the page refers to something outside itself or holds a refused value")
	}
}

func TestRunRefusesADirectoryThatHoldsARun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := runCommand(t, with(out)...); code != exitDone {
		t.Fatal(stderr)
	}
	before := readFile(t, filepath.Join(out, report.ResultFile))
	code, _, stderr := runCommand(t, with(out)...)
	if code != exitUsage || !strings.Contains(stderr, out) {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	if readFile(t, filepath.Join(out, report.ResultFile)) != before {
		t.Error("the refused run changed result.json")
	}
	if code, _, stderr := runCommand(t, with(out, "--force")...); code != exitDone {
		t.Errorf("--force: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := runCommand(t, with(out, "--resume", "--epochs", "4")...); code != exitUsage || !strings.Contains(stderr, ": --epochs was 3 and is 4; continue") {
		t.Errorf("--resume with other settings: exit code %d, %q", code, stderr)
	}
}

// A run interrupted at any training continues to the same numbers, bit for bit.
func TestResumedRunEqualsAnUnbrokenOne(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	if code, _, stderr := runCommand(t, with(whole)...); code != exitDone {
		t.Fatal(stderr)
	}
	for _, events := range []int{1, 4, 7, 10} {
		broken := filepath.Join(t.TempDir(), "broken")
		ctx, cancel := context.WithCancel(context.Background())
		var stderr bytes.Buffer
		code := execute(ctx, with(broken, "--json"), &cancelAfter{lines: events, cancel: cancel}, &stderr)
		cancel()
		if code != exitInterrupted || !strings.Contains(stderr.String(), "--resume") {
			t.Fatalf("after %d events: exit code %d, %q", events, code, stderr.String())
		}
		if code, _, stderr := runCommand(t, "run", "--out", broken, "--resume"); code != exitDone {
			t.Fatalf("resume: exit code %d, %s", code, stderr)
		}
		for _, name := range []string{report.ScoresFile, report.DropFile, report.KeepFile} {
			if readFile(t, filepath.Join(broken, name)) != readFile(t, filepath.Join(whole, name)) {
				t.Errorf("after %d events: %s differs", events, name)
			}
		}
		if a, b := arms(t, broken), arms(t, whole); a != b {
			t.Errorf("after %d events: the arms are\n%s\nwant\n%s", events, a, b)
		}
	}
}

// cancelAfter cancels a run after so many lines of its JSON events.
type cancelAfter struct {
	lines  int
	cancel func()
}

func (c *cancelAfter) Write(p []byte) (int, error) {
	if c.lines -= bytes.Count(p, []byte("\n")); c.lines <= 0 {
		c.cancel()
	}
	return len(p), nil
}

func TestConfigRepeatsTheRunOnAnyNumberOfThreads(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	if code, _, stderr := runCommand(t, with(first, "--threads", "1")...); code != exitDone {
		t.Fatal(stderr)
	}
	code, _, stderr := runCommand(t, "run", "--config", filepath.Join(first, report.ConfigFile), "--out", second, "--threads", "2")
	if code != exitDone {
		t.Fatal(stderr)
	}
	if readFile(t, filepath.Join(first, report.ScoresFile)) != readFile(t, filepath.Join(second, report.ScoresFile)) {
		t.Error("scores.csv differs between one and two threads")
	}
	if a, b := arms(t, first), arms(t, second); a != b {
		t.Errorf("the arms differ:\n%s\n%s", a, b)
	}
}

// A training of 120 steps goes to disk where 1 MiB of memory is not enough, and can be continued with other bounds.
func TestRunKeepsTheReplayOnDisk(t *testing.T) {
	dir := t.TempDir()
	scores := map[string]string{}
	for _, bounds := range [][]string{{"--replay-memory", "100"}, {"--replay-memory", "1", "--replay-disk", "20"}, {"--replay-memory", "1", "--replay-disk", "0"}} {
		out := filepath.Join(dir, strings.Join(bounds, ""))
		args := append(with(out, "--estimator", "metagradient", "--no-smoothness-check", "--batch", "4", "--seeds", "1"), bounds...)
		if code, _, stderr := runCommand(t, args...); code != exitDone {
			t.Fatalf("%v: exit code %d: %s", bounds, code, stderr)
		}
		scores[readFile(t, filepath.Join(out, report.ScoresFile))] = out
		result := readFile(t, filepath.Join(out, report.ResultFile))
		if strings.Contains(result, "MB on disk") != (len(bounds) == 4 && bounds[3] != "0") {
			t.Errorf("%v: the result says\n%s", bounds, result)
		}
		if left, err := filepath.Glob(filepath.Join(out, "checkpoints", "*.tmp")); err != nil || len(left) > 0 {
			t.Errorf("%v: %v is left (%v)", bounds, left, err)
		}
		// The file's bounds give way to those of a flag, none included, and the run is the same one.
		if code, _, stderr := runCommand(t, "run", "--resume", "--out", out, "--replay-disk", "0"); code != exitDone {
			t.Errorf("%v, resumed: exit code %d: %s", bounds, code, stderr)
		}
	}
	if len(scores) != 1 {
		t.Errorf("the bounds give %d different scores", len(scores))
	}
	if code, _, stderr := runCommand(t, "run", "--replay-disk", "-1"); code != exitUsage || !strings.Contains(stderr, "MiB") {
		t.Errorf("-1 MiB: exit code %d: %s", code, stderr)
	}
}

func TestRunThatDoesNotConvergeExitsWithThree(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := runCommand(t, with(out, "--max-iterations", "1", "--damping", "1e-6")...)
	if code != exitUntrusted || !strings.Contains(stderr, "did not converge") || !strings.Contains(stdout, "did not converge") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
}

func TestJSONLinesHaveTypes(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := runCommand(t, with(out, "--json")...)
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
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
	code, stdout, _ = runCommand(t, "bench", "--json", "--net", "softmax", "--phase", "forward", "--batch", "8", "--seconds", "0.01")
	if code != exitDone || !strings.HasPrefix(stdout, `{"type":"bench","net":"softmax",`) || strings.Count(stdout, "\n") != 1 {
		t.Errorf("bench: exit code %d, %q", code, stdout)
	}
}

// A plan writes nothing: no lock, and nothing of what a run would clear away or make again.
func TestPlanWritesNothing(t *testing.T) {
	out, empty := finished(t), t.TempDir()
	put(t, out, "checkpoints/full-0.training.partial", []byte("of a process that was killed"))
	if err := os.Remove(filepath.Join(out, ".lock")); err != nil {
		t.Fatal(err)
	}
	state := func(dir string) string {
		t.Helper()
		var b strings.Builder
		if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			fmt.Fprintln(&b, path, info.Size(), info.ModTime())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	plan := with(empty)
	plan[0] = "plan"
	for dir, args := range map[string][]string{empty: plan, out: {"plan", "--resume", "--out", out}} {
		before := state(dir)
		if code, stdout, stderr := runCommand(t, args...); code != exitDone || !strings.Contains(stdout, "stage") {
			t.Errorf("%v: exit code %d, %q, %q", args, code, stdout, stderr)
		}
		if after := state(dir); after != before {
			t.Errorf("%v: from\n%sto\n%s", args, before, after)
		}
	}
	config := filepath.Join(out, report.ConfigFile)
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runCommand(t, "plan", "--resume", "--out", out); code != exitInput || !strings.Contains(stderr, config+": gone; datadropout run --resume --out "+out) {
		t.Errorf("without config.yaml: exit code %d, %q", code, stderr)
	}
}

func arms(t *testing.T, dir string) string {
	t.Helper()
	var r struct {
		Arms, Effect json.RawMessage
	}
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, report.ResultFile))), &r); err != nil {
		t.Fatal(err)
	}
	return string(r.Arms) + string(r.Effect)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func readTable(t *testing.T, path string) []map[string]string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(readFile(t, path))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, rec := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = rec[i]
		}
		rows = append(rows, row)
	}
	return rows
}
