package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/datadropout/datadropout/report"
)

// asCommand makes this test's binary the command itself.
const asCommand = "DATADROPOUT_TESTING_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// child is a process of the command.
func child(args ...string) (*exec.Cmd, *bytes.Buffer) {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asCommand+"=1")
	var said bytes.Buffer
	c.Stderr = &said
	return c, &said
}

// longForm is the number of repetitions that an environment variable asks for, and the short form's where it does not.
func longForm(t *testing.T, variable string, short int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return short
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number from 1", variable, text)
	}
	return n
}

// killed is the run that is killed: with trials, so that every stage takes a part of it, kept after every step.
func killed(out, estimator string) []string {
	return append(slices.Clone(small), "--rule", "auto", "--estimator", estimator, "--quiet", "--save-every", "1ns", "--out", out)
}

// A run that is killed at a random moment and continued ends with the files of an unbroken one, bit for bit but for times: models, curves,
// scores, result. The long form, with more moments than these, is bench/robust.sh.
func TestKilledRunsContinue(t *testing.T) {
	estimators := []string{"ekfac", "cg", "metagradient"}
	kills := longForm(t, "DATADROPOUT_TESTING_KILLS", 3)
	for k, estimator := range estimators {
		killRuns(t, estimator, (kills+k)/len(estimators))
	}
}

func killRuns(t *testing.T, estimator string, kills int) {
	if kills == 0 {
		return
	}
	whole := filepath.Join(t.TempDir(), "whole")
	unbroken, said := child(killed(whole, estimator)...)
	began := time.Now()
	if err := unbroken.Run(); err != nil {
		t.Fatal(err, said)
	}
	took := time.Since(began)
	rng := rand.New(rand.NewPCG(7, uint64(kills)))
	hit, partial := 0, 0
	for k := range kills {
		dir := filepath.Join(t.TempDir(), fmt.Sprint("run", k))
		// A moment of each of as many equal stretches of the time that the whole takes.
		moment := time.Duration((float64(k) + rng.Float64()) / float64(kills) * float64(took))
		c, said := child(killed(dir, estimator)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(moment)
		_ = c.Process.Kill() // it may have ended
		if err := c.Wait(); err != nil && c.ProcessState.Exited() {
			t.Fatal(err, said)
		} else if err != nil {
			hit++
		}
		if left, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*.partial")); err == nil && len(left) > 0 {
			partial++
		}
		// A kill damages nothing.
		if code, stdout, stderr := runCommand(t, "check", "--run", dir); code != exitDone && !strings.Contains(stderr, "no such directory") && !strings.Contains(stderr, "no file with") {
			t.Errorf("%s killed after %v: check: exit code %d, %q, %q", estimator, moment, code, stdout, stderr)
		}
		if code, _, stderr := runCommand(t, append(killed(dir, estimator), "--resume")...); code != exitDone {
			t.Errorf("%s killed after %v: exit code %d, %q", estimator, moment, code, stderr)
			continue
		}
		sameRun(t, fmt.Sprint(estimator, " killed after ", moment), dir, whole)
		if code, stdout, _ := runCommand(t, "check", "--run", dir); code != exitDone || strings.Contains(stdout, "without") {
			t.Errorf("%s killed after %v and continued: check: exit code %d, %q", estimator, moment, code, stdout)
		}
	}
	t.Logf("%s: %d of %d kills hit the run, of %v, while it was at work, %d of them in the middle of a training or of scoring", estimator, hit, kills, took.Round(time.Millisecond), partial)
}

// A killed run leaves no lock, and one that is at work has it.
func TestRunningProcessHasTheLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	args := append(killed(dir, "ekfac"), "--epochs", "100000")
	c, said := child(args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}()
	for began := time.Now(); !exists(filepath.Join(dir, report.ConfigFile)); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("nothing was written; ", said)
		}
	}
	if code, _, stderr := runCommand(t, "run", "--resume", "--out", dir); code != exitFailed || !strings.Contains(stderr, "another process") {
		t.Errorf("beside it: exit code %d, %q", code, stderr)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stderr bytes.Buffer
	if code := execute(ctx, []string{"run", "--resume", "--out", dir}, &bytes.Buffer{}, &stderr); code != exitInterrupted {
		t.Errorf("after it was killed: exit code %d, %q", code, stderr.String())
	}
}
