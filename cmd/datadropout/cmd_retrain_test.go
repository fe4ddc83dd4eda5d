package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/report"
)

// decide writes decisions on samples of scores.csv of a run: action of row index, in order.
func decide(t *testing.T, path string, rows []map[string]string, action func(row map[string]string) (action, label string)) {
	t.Helper()
	var b strings.Builder
	b.WriteString("index,id,label,action,new_label\n")
	for _, row := range rows {
		if a, label := action(row); a != "" {
			fmt.Fprintf(&b, "%s,%s,%s,%s,%s\n", row["index"], row["id"], row["label"], a, label)
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func retrained(t *testing.T, dir string) datadropout.Retrained {
	t.Helper()
	var r datadropout.Retrained
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, report.RetrainFile))), &r); err != nil {
		t.Fatal(err)
	}
	r.Seconds = 0
	return r
}

// Without a decision, and with those that say what the run did, the reviewed arm is the dropped one, bit for bit; with every
// dropped sample kept it is the full one; and setting planted labels right is more than dropping them.
func TestRetrainFollowsTheDecisions(t *testing.T) {
	dir := finished(t)
	review := filepath.Join(dir, report.ReviewFile)
	scores, drop := readTable(t, filepath.Join(dir, report.ScoresFile)), readTable(t, filepath.Join(dir, report.DropFile))
	arms := func() (r datadropout.Retrained) {
		t.Helper()
		if code, stdout, stderr := runCommand(t, "retrain", "--run", dir); code != exitDone || !strings.Contains(stdout, "reviewed - full") {
			t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
		}
		return retrained(t, dir)
	}
	same := func(what string, r datadropout.Retrained, arm string) {
		t.Helper()
		a, b := fmt.Sprint(*r.Arms[datadropout.Reviewed]), fmt.Sprint(*r.Arms[arm])
		if a != b {
			t.Errorf("%s: the reviewed arm is %s, the %s arm %s", what, a, arm, b)
		}
	}
	decide(t, review, nil, nil)
	same("no decision", arms(), datadropout.Dropped)
	decide(t, review, drop, func(map[string]string) (string, string) { return report.Drop, "" })
	same("all drops confirmed", arms(), datadropout.Dropped)
	decide(t, review, drop, func(map[string]string) (string, string) { return report.Keep, "" })
	r := arms()
	same("all drops taken back", r, datadropout.Full)
	if r.Dropped != 0 || r.RunDropped != 16 || r.Train != 160 {
		t.Errorf("%+v", r)
	}
	decide(t, review, scores, func(row map[string]string) (string, string) {
		if row["label"] == row["original_label"] {
			return report.Keep, ""
		}
		return report.Relabel, row["original_label"]
	})
	r = arms()
	if r.Relabeled != 32 || r.Dropped != 0 {
		t.Errorf("%d relabeled and %d dropped, want the 32 planted and none", r.Relabeled, r.Dropped)
	}
	if right, planted := r.Arms[datadropout.Reviewed].TrainMetric[0], r.Arms[datadropout.Full].TrainMetric[0]; right <= planted {
		t.Errorf("with the right labels the training accuracy is %v, with a fifth of wrong ones %v", right, planted)
	}
}

func TestRetrainRefuses(t *testing.T) {
	dir := finished(t)
	scores := readTable(t, filepath.Join(dir, report.ScoresFile))
	first := scores[0]
	row := func(index, id, label, rest string) string {
		return "index,id,label,action,new_label\n" + index + "," + id + "," + label + "," + rest + "\n"
	}
	for _, tt := range []struct {
		name, text string
		code       int
		says       string
	}{
		{"another id", row(first["index"], "other", first["label"], "drop,"), exitInput, "another run"},
		{"another label", row(first["index"], first["id"], "99", "drop,"), exitInput, "another run"},
		{"outside", row("99999", "x", "0", "drop,"), exitInput, "no training sample"},
		{"a class that is none", row(first["index"], first["id"], first["label"], "relabel,99"), exitInput, "out of range"},
		{"damaged", "index\n", exitInput, "line 1"},
	} {
		path := filepath.Join(t.TempDir(), "decisions.csv")
		if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := runCommand(t, "retrain", "--run", dir, "--decisions", path); code != tt.code || !strings.Contains(stderr, tt.says) || !strings.Contains(stderr, path) {
			t.Errorf("%s: exit code %d, %q", tt.name, code, stderr)
		}
	}
	all := filepath.Join(t.TempDir(), "all.csv")
	decide(t, all, scores, func(map[string]string) (string, string) { return report.Drop, "" })
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"retrain", "--run", dir, "--decisions", all}, exitUsage, "all 160"},
		{[]string{"retrain", "--run", dir}, exitInput, report.ReviewFile + ": no such file: datadropout review --run " + dir + " makes it"},
		{[]string{"retrain"}, exitUsage, "--run DIR"},
		{[]string{"retrain", "--run", t.TempDir()}, exitInput, "no finished run"},
	} {
		if code, _, stderr := runCommand(t, tt.args...); code != tt.code || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit code %d, %q", tt.args, code, stderr)
		}
	}
	if exists(filepath.Join(dir, report.RetrainFile)) {
		t.Error("a refused retraining left a result")
	}
}

// An interrupted retraining says how to go on, and goes on to the same result.
func TestRetrainGoesOn(t *testing.T) {
	dir := finished(t)
	review := filepath.Join(dir, report.ReviewFile)
	drop := readTable(t, filepath.Join(dir, report.DropFile))
	decide(t, review, drop[:3], func(map[string]string) (string, string) { return report.Keep, "" })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stderr bytes.Buffer
	code := execute(ctx, []string{"retrain", "--run", dir}, &bytes.Buffer{}, writerFunc(func(p []byte) {
		stderr.Write(p)
		cancel() // after the first seed
	}))
	if code != exitInterrupted || !strings.Contains(stderr.String(), "retrain --run") {
		t.Fatalf("exit code %d, %q", code, stderr.String())
	}
	code, _, text := runCommand(t, "retrain", "--run", dir)
	if code != exitDone || !strings.Contains(text, "done before") {
		t.Fatalf("exit code %d, %q", code, text)
	}
	broken := retrained(t, dir)
	whole := filepath.Join(t.TempDir(), "whole")
	if code, _, stderr := runCommand(t, with(whole)...); code != exitDone {
		t.Fatal(stderr)
	}
	if code, _, stderr := runCommand(t, "retrain", "--run", whole, "--decisions", review); code != exitDone {
		t.Fatal(stderr)
	}
	unbroken := retrained(t, whole)
	a, _ := json.Marshal(broken)
	b, _ := json.Marshal(unbroken)
	if !bytes.Equal(a, b) {
		t.Errorf("broken and resumed:\n%s\nunbroken:\n%s", a, b)
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
