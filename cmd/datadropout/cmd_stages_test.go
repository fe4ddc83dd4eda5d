package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/report"
)

// times are the values of a result that no two runs share.
var times = regexp.MustCompile(`(?s)"seconds": (\{.*?\}|[-+.e0-9]+)|"peak_memory_bytes": [0-9]+`)

// sameRun compares two run directories: models, curves and scores in checkpoints, tables and result.json less times, bit for bit.
func sameRun(t *testing.T, what, got, want string) {
	t.Helper()
	a, b := filesOf(t, got), filesOf(t, want)
	for name, data := range b {
		switch filepath.Base(name) {
		case "state.json", report.PageFile, report.ConfigFile, "SHA256SUMS": // hold times, or what does not decide the result
			continue
		case report.ResultFile:
			data, a[name] = times.ReplaceAll(data, nil), times.ReplaceAll(a[name], nil)
		}
		if !bytes.Equal(a[name], data) {
			t.Errorf("%s: %s differs (%d bytes, want %d)", what, name, len(a[name]), len(data))
		}
	}
	for name := range a {
		if b[name] == nil {
			t.Errorf("%s: there is a file %s too many", what, name)
		}
	}
}

// The stages one after the other end where an unbroken run does, and train nothing twice. Settings of a later stage may change
// between: what was made by others is made anew, and results of others go.
func TestStagesMakeARun(t *testing.T) {
	whole := finished(t)
	out := filepath.Join(t.TempDir(), "a run")
	done := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		got, stdout, stderr := runCommand(t, args...)
		if got != code {
			t.Fatalf("%q: exit code %d, %q", args, got, stderr)
		}
		return stdout, stderr
	}
	args := with(out, "--evaluate-test")
	args[0] = "train"
	stdout, stderr := done(exitDone, args...)
	if !regexp.MustCompile(`(?m)^plan: 2 trainings in 1 stage, about `).MatchString(stderr) || !strings.Contains(stderr, "1/1 round 1") {
		t.Errorf("train does not plan its stage alone: %q", stderr)
	}
	if !regexp.MustCompile(`(?m)^1 +\d+\.\d\d % +\d\.\d{3} +\d+\.\d\d % +\d\.\d{3} +\d+\.\d s\nNext: datadropout score --run '.*/a run'\n\z`).MatchString(stdout) {
		t.Errorf("train prints\n%s", stdout)
	}
	full := filesOf(t, out)
	if _, err := os.Stat(filepath.Join(out, report.ResultFile)); !os.IsNotExist(err) {
		t.Error("train leaves a result")
	}
	stdout, stderr = done(exitDone, "score", "--run", out, "--estimator", "graddot")
	if !strings.Contains(stderr, "plan: nothing left to train, about ") || !strings.Contains(stderr, "/2 influence  1/1") {
		t.Errorf("score does not plan what is left up to its stage: %q", stderr)
	}
	if !strings.Contains(stderr, "--estimator was cg and is graddot; ") && !strings.Contains(stderr, "--estimator was cg and is graddot: scores and all that follows are made anew") {
		t.Errorf("score with another estimator says %q", stderr)
	}
	if !strings.Contains(stdout, "graddot: ") || !strings.Contains(stdout, "most harmful") || strings.Count(stderr, "done before") != 2 {
		t.Errorf("score prints %q, %q", stdout, stderr)
	}
	other := readFile(t, filepath.Join(out, report.ScoresFile))
	// ekfac has a damping of its own: the resolved one of another estimator must not stick.
	done(exitDone, "score", "--run", out, "--estimator", "ekfac", "--hessian-samples", "160")
	if config := readFile(t, filepath.Join(out, report.ConfigFile)); !strings.Contains(config, "damping: 0.01\n") {
		t.Errorf("ekfac scores with\n%s", config)
	}
	stdout, _ = done(exitDone, "score", "--run", out, "--estimator", "cg", "--hessian-samples", "160", "--json")
	var last struct {
		Type, Estimator string
		Unfavorable     int
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Type != "scored" || last.Estimator != "cg" || last.Unfavorable == 0 {
		t.Errorf("score --json ends with %s (%v)", lines[len(lines)-1], err)
	}
	if scores := readFile(t, filepath.Join(out, report.ScoresFile)); scores == other || scores != readFile(t, filepath.Join(whole, report.ScoresFile)) {
		t.Error("the scores are not those of the unbroken run")
	}
	stdout, stderr = done(exitDone, "select", "--run", out, "--rule", "count:20")
	if !strings.Contains(stdout, "Dropped: 20 of 160") || !strings.Contains(stderr, "--rule was count:16 and is count:20: the choice and all that follows") {
		t.Errorf("select prints %q, %q", stdout, stderr)
	}
	done(exitDone, "run", "--resume", "--out", out, "--quiet")
	if !strings.Contains(readFile(t, filepath.Join(out, report.ResultFile)), `"count": 20`) {
		t.Error("the run does not go on with what was selected")
	}
	done(exitDone, "select", "--run", out, "--rule", "count:16", "--quiet")
	if _, err := os.Stat(filepath.Join(out, report.ResultFile)); !os.IsNotExist(err) {
		t.Error("the result of another rule is still there")
	}
	_, stderr = done(exitDone, "run", "--resume", "--out", out)
	if strings.Count(stderr, "done before") != 3 || !strings.Contains(stderr, "round 2    1/6  dropped, 144 samples, seed 0: 0") {
		t.Errorf("the last stage of the run says\n%s", stderr)
	}
	sameRun(t, "by stages", out, whole)
	for name, data := range filesOf(t, out) {
		if strings.Contains(name, "full-") && !bytes.Equal(data, full[name]) {
			t.Errorf("%s was trained again", name)
		}
	}
	done(exitDone, "check", "--run", out)
}

// A kill while a stage takes over other settings leaves a run that goes on: by the former ones before the state has the others, and by these
// from then on.
func TestKilledWhileSettingsChange(t *testing.T) {
	out := finished(t)
	whole := filesOf(t, out)
	goesOn := func(what, rule string) {
		t.Helper()
		if code, _, stderr := runCommand(t, "run", "--resume", "--out", out, "--quiet"); code != exitDone {
			t.Fatalf("%s: exit code %d, %q", what, code, stderr)
		}
		if config := readFile(t, filepath.Join(out, report.ConfigFile)); !strings.Contains(config, "\nrule: "+rule+"\n") {
			t.Errorf("%s: it goes on with\n%s", what, config)
		}
		if code, _, stderr := runCommand(t, "check", "--run", out); code != exitDone {
			t.Errorf("%s: check says %q", what, stderr)
		}
	}
	if err := report.RemoveResults(out); err != nil {
		t.Fatal(err)
	}
	goesOn("before the state", "count:16")
	for _, name := range []string{report.ScoresFile, report.DropFile, report.KeepFile} {
		if readFile(t, filepath.Join(out, name)) != string(whole[name]) {
			t.Errorf("%s differs", name)
		}
	}
	is, err := datadropout.StoredIdentity(out)
	if err != nil {
		t.Fatal(err)
	}
	is.Settings["rule"] = "count:20"
	if _, _, err := amend(out, is); err != nil {
		t.Fatal(err)
	}
	goesOn("after the state", "count:20")
	if drop := readTable(t, filepath.Join(out, report.DropFile)); len(drop) != 20 {
		t.Errorf("%d are dropped", len(drop))
	}
}

func TestStagesRefuse(t *testing.T) {
	empty := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"score"}, exitUsage, "--run DIR"},
		{[]string{"select"}, exitUsage, "--run DIR"},
		{[]string{"score", "--run", empty}, exitInput, "no run is there"},
		{[]string{"select", "--run", filepath.Join(empty, "none")}, exitInput, "no run is there"},
		{[]string{"train", "--out", empty, "--net", "lenet6"}, exitUsage, "lenet5"},
		{[]string{"score", "--run", empty, "--epochs", "3"}, exitUsage, "--epochs"},
		{[]string{"check"}, exitUsage, "--run DIR"},
		{[]string{"check", "--run", empty}, exitInput, "no file with a checksum"},
	} {
		code, stdout, stderr := runCommand(t, tt.args...)
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q", tt.args, code, stdout, stderr)
		}
	}
	for _, command := range []string{"train", "score", "select"} {
		if code, stdout, _ := runCommand(t, command, "--help"); code != exitDone || !strings.Contains(stdout, stageExitCodes) || !strings.Contains(stdout, "--save-every") {
			t.Errorf("%s --help: exit code %d\n%s", command, code, stdout)
		}
	}
}

// Ctrl-C in the middle of a training keeps where it is: the command that is printed goes on from there.
func TestInterruptedTrainingGoesOn(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	args := with(out, "--json", "--seeds", "1")
	args[0] = "train"
	var stderr bytes.Buffer
	// The first line begins the run, the second plans it, and the third begins the training; the fourth tells of its first step.
	if code := execute(ctx, args, &cancelAfter{lines: 4, cancel: cancel}, &stderr); code != exitInterrupted || !strings.Contains(stderr.String(), "continue with: datadropout train --resume --out "+out) {
		t.Fatalf("exit code %d, %q", code, stderr.String())
	}
	partial := filepath.Join(out, "checkpoints", "full-0.training.partial")
	raw, err := os.ReadFile(partial)
	if err != nil {
		t.Fatal(err)
	}
	put(t, out, "checkpoints/full-0.training.partial", flipped("x", raw))
	if code, _, stderr := runCommand(t, "run", "--resume", "--out", out); code != exitInput || !strings.Contains(stderr, partial+": damaged") || !strings.Contains(stderr, "unfinished work is done again") {
		t.Errorf("a damaged one: exit code %d, %q", code, stderr)
	}
	put(t, out, "checkpoints/full-0.training.partial", raw)
	code, stdout, _ := runCommand(t, "train", "--resume", "--out", out, "--json")
	var e struct {
		Type     string
		Fraction float64
	}
	for line := range strings.Lines(stdout) {
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == "progress" {
			break
		}
	}
	if code != exitDone || e.Fraction < 1.5/15 {
		t.Errorf("exit code %d; it went on at %v", code, e.Fraction)
	}
	if exists(partial) {
		t.Error("what was kept of the training is still there")
	}
}

// The stages of a run that denoises keep the settings of its patches, and show no labels.
func TestStagesOfDenoising(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := runCommand(t, "train", "--out", out, "--data", "dead-leaves", "--net", "dncnn-7", "--sigma", "15", "--train", "4", "--score", "1", "--tune", "1",
		"--test", "1", "--epochs", "1", "--seeds", "1", "--patch-size", "8", "--stride", "40", "--score-folds", "1", "--rule", "count:2")
	if code != exitDone || !strings.Contains(stdout, "tune PSNR") || !strings.Contains(stdout, " dB") {
		t.Fatalf("train: exit code %d, %q, %q", code, stdout, stderr)
	}
	config := readFile(t, filepath.Join(out, report.ConfigFile))
	code, stdout, stderr = runCommand(t, "score", "--run", out, "--estimator", "random")
	if code != exitDone || strings.Contains(stdout, "label") || !strings.HasPrefix(stderr, "--estimator was cg and is random: scores") || !strings.Contains(stderr, "seed 0: done before") {
		t.Errorf("score: exit code %d, %q, %q", code, stdout, stderr)
	}
	if got := readFile(t, filepath.Join(out, report.ConfigFile)); strings.Replace(got, "estimator: random", "estimator: cg", 1) != config {
		t.Errorf("score changed the settings\n%s\nto\n%s", config, got)
	}
	if code, stdout, stderr = runCommand(t, "select", "--run", out); code != exitDone || !strings.Contains(stdout, "Dropped: 2 of") {
		t.Errorf("select: exit code %d, %q, %q", code, stdout, stderr)
	}
}

// Who goes on with a run need not stand where it began, though its data were named from there.
func TestStagesFromAnotherFolder(t *testing.T) {
	folder, _ := photos(t)
	out := filepath.Join(t.TempDir(), "run")
	t.Chdir(filepath.Dir(folder))
	code, _, stderr := runCommand(t, "train", "--out", out, "--data", filepath.Base(folder), "--net", "softmax", "--epochs", "1", "--seeds", "1", "--estimator", "random")
	if code != exitDone {
		t.Fatalf("train: exit code %d, %q", code, stderr)
	}
	t.Chdir(t.TempDir())
	if code, _, stderr = runCommand(t, "score", "--run", out); code != exitDone {
		t.Errorf("score: exit code %d, %q", code, stderr)
	}
}

// A setting is told by its flag, and by its key where it has none.
func TestSettingName(t *testing.T) {
	for key, want := range map[string]string{
		"net": "--net", "recipe.epochs": "--epochs", "recipe.learning_rate": "--lr", "influence.scale": "--lissa-scale", "denoise.patch_size": "--patch-size",
		"denoise.noisy_dir": "--noisy-data", "influence_seeds": "--influence-seeds", "influence.tolerance": "influence.tolerance of config.yaml",
	} {
		if got := settingName(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	for key, flag := range flagsOf {
		if got := settingName(key); got != "--"+flag {
			t.Errorf("%s: %s, but --%s is no flag of run", key, got, flag)
		}
	}
}
