package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/report"
)

// finished is the directory of a small finished run.
func finished(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := runCommand(t, with(out)...); code != exitDone {
		t.Fatal(stderr)
	}
	return out
}

func TestReportMakesThePageAgain(t *testing.T) {
	dir := finished(t)
	page := filepath.Join(dir, report.PageFile)
	before := readFile(t, page)
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runCommand(t, "report", "--run", dir)
	if code != exitDone || strings.TrimSpace(stdout) != page {
		t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if readFile(t, page) != before {
		t.Error("the page made again differs from the run's")
	}
	if curves := readTable(t, filepath.Join(dir, report.CurvesFile)); len(curves) != 4*2*3 {
		t.Errorf("%d rows of curves, want 4 arms of 2 seeds and 3 epochs", len(curves))
	}
}

func TestReportAndReviewRefuse(t *testing.T) {
	empty := t.TempDir()
	dir := finished(t)
	if err := os.WriteFile(filepath.Join(dir, report.ReviewFile), []byte("index,id,label,action,new_label\n0,x,y,drop,\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"report"}, exitUsage, "--run DIR"},
		{[]string{"report", dir}, exitUsage, "no argument"},
		{[]string{"report", "--run", filepath.Join(empty, "none")}, exitInput, "no such run directory"},
		{[]string{"report", "--run", empty}, exitInput, "not finished"},
		{[]string{"review"}, exitUsage, "--run DIR"},
		{[]string{"review", "--run", empty}, exitInput, "not finished"},
		{[]string{"review", "--run", dir}, exitInput, "review.csv: line 2"},
		{[]string{"review", "--run", dir, "--listen", "0.0.0.0:0"}, exitUsage, "one interface"},
		{[]string{"review", "--run", dir, "--listen", ":8080"}, exitUsage, "one interface"},
		{[]string{"review", "--run", dir, "--listen", "localhost:8080"}, exitUsage, "IP address"},
		{[]string{"review", "--run", dir, "--listen", "127.0.0.1"}, exitUsage, "IP address"},
		{[]string{"review", "--run", dir, "--listen", "192.0.2.1:80"}, exitUsage, "--allow-remote"},
	} {
		code, _, stderr := runCommand(t, tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.says) || strings.Count(strings.TrimSpace(stderr), "\n") > 0 {
			t.Errorf("%q: exit code %d, %q; want %d and %q in one line", tt.args, code, stderr, tt.code, tt.says)
		}
	}
	// An unfinished run says how it goes on.
	if err := os.Remove(filepath.Join(dir, report.ResultFile)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"report", "--run", dir}, {"export", "--run", dir, "--torch"}, {"retrain", "--run", dir}, {"compare", dir, dir}} {
		if code, _, stderr := runCommand(t, args...); code != exitInput || !strings.Contains(stderr, "datadropout run --resume --out "+durable.ShellWord(dir)) {
			t.Errorf("%q of an unfinished run: exit code %d, %q", args, code, stderr)
		}
	}
}

// review prints an address on loopback that leads to the page, and ends with exit code 0 when it is interrupted.
func TestReviewServesUntilItIsInterrupted(t *testing.T) {
	dir := finished(t)
	killed, writing := filepath.Join(dir, ".review.csv.tmp-KILLED"), filepath.Join(dir, ".review.csv.tmp-WRITING")
	put(t, dir, filepath.Base(killed), nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	from, to := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- execute(ctx, []string{"review", "--run", dir}, to, &stderr) }()
	line := make([]byte, 200)
	n, err := from.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(string(line[:n]))
	if !strings.HasPrefix(address, "http://127.0.0.1:") {
		t.Fatalf("the address is %q", address)
	}
	plain, _, _ := strings.Cut(address, "?")
	for where, want := range map[string]int{address: http.StatusSeeOther, plain: http.StatusUnauthorized} {
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		response, err := client.Get(where)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %s, want %d", where, response.Status, want)
		}
	}
	if exists(killed) {
		t.Error("what a killed review has left half written is still there")
	}
	// Other commands clear the directory of what is half written, but for what the review writes.
	put(t, dir, filepath.Base(writing), nil)
	if code, _, stderr := runCommand(t, "report", "--run", dir); code != exitDone || !exists(writing) {
		t.Errorf("beside a review: exit code %d, %q; the decision that is being written is there: %v", code, stderr, exists(writing))
	}
	go func() { _, _ = io.Copy(io.Discard, from) }()
	cancel()
	if code := <-ended; code != exitDone || !strings.Contains(stderr.String(), report.ReviewFile) {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
}
