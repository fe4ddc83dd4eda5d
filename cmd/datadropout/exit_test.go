package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Every exit code that the help lists, from the process itself, with one line on stderr that says why.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	quick := func(name string, more ...string) []string {
		return append(with(filepath.Join(dir, name), "--seeds", "1", "--quiet"), more...)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"done", quick("done"), exitDone, ""},
		{"a directory that can't be made", quick("file/run"), exitFailed, "file"},
		{"wrong usage", []string{"run", "--epochs", "0"}, exitUsage, "--epochs"},
		{"a solver that does not converge", quick("loose", "--max-iterations", "1", "--damping", "1e-6"), exitUntrusted, "did not converge"},
		{"data that are not there", []string{"run", "--data", "mnist", "--data-dir", filepath.Join(dir, "absent")}, exitInput, "absent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd, stderr := child(tt.args...)
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("exit code %d, want %d: %s", got, tt.code, stderr.String())
			}
			lines := 1
			if tt.code == exitDone {
				lines = 0
			}
			if strings.Count(stderr.String(), "\n") != lines || !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("stderr %q does not say why in %d lines", stderr.String(), lines)
			}
		})
	}
}

// Ctrl-C ends the process with 130 and the command that goes on.
func TestInterruptExitsWith130(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	cmd, stderr := child(with(out, "--json", "--epochs", "100000")...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"type":"progress"`) {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	for lines.Scan() { // until the process closes it
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the process goes on after Ctrl-C")
	}
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(stderr.String(), "datadropout run --resume --out "+out) {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
}
