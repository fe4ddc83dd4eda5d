package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/report"
)

// filesOf returns the contents of all files of a run directory but of its locks, by their path from there.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			all[name], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// flipped returns the data with one bit of one byte changed, which the name decides.
func flipped(name string, data []byte) []byte {
	h := fnv.New32a()
	h.Write([]byte(name))
	bad := bytes.Clone(data)
	bad[int(h.Sum32()%uint32(len(bad)))] ^= 1 << (h.Sum32() >> 8 % 8)
	return bad
}

// One flipped byte in any file of a run directory is noticed by check, by run --resume, by retrain and by report, in one line that
// names the file and says what to do; and nothing is changed. The long form is bench/robust.sh.
func TestEveryFlippedByteIsNoticed(t *testing.T) {
	dir := finished(t)
	put(t, dir, report.ReviewFile, []byte("index,id,label,action,new_label\n"))
	if code, stdout, stderr := runCommand(t, "check", "--run", dir); code != exitDone || !strings.Contains(stdout, "all as they were") || strings.Contains(stdout, "without") {
		t.Fatalf("an undamaged run: exit code %d, %q, %q", code, stdout, stderr)
	}
	files := filesOf(t, dir)
	if len(files) < 8*2+2+9 {
		t.Fatalf("only %d files", len(files))
	}
	for name, data := range files {
		if name == report.ReviewFile { // a person edits it
			continue
		}
		path := filepath.Join(dir, name)
		for k := range longForm(t, "DATADROPOUT_TESTING_FLIPS", 1) - 1 { // the long form: more of them for the command that checks
			put(t, dir, name, flipped(name+fmt.Sprint(k), data))
			if code, stdout, _ := runCommand(t, "check", "--run", dir); code != exitInput || !strings.Contains(stdout, path+": damaged") {
				t.Errorf("%s, flip %d: check: exit code %d, %q", name, k, code, stdout)
			}
		}
		put(t, dir, name, flipped(name, data))
		if code, stdout, _ := runCommand(t, "check", "--run", dir); code != exitInput || !strings.Contains(stdout, path+": damaged") || !strings.Contains(stdout, "delete it") {
			t.Errorf("%s: check: exit code %d, %q", name, code, stdout)
		}
		for _, args := range [][]string{{"run", "--resume", "--out", dir}, {"report", "--run", dir}, {"retrain", "--run", dir}} {
			code, stdout, stderr := runCommand(t, args...)
			if code != exitInput || stdout != "" || !strings.Contains(stderr, path+": damaged") || !strings.Contains(stderr, "delete it") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s: %s: exit code %d, %q, %q", name, args[0], code, stdout, stderr)
			}
		}
		put(t, dir, name, data)
	}
	for name, data := range filesOf(t, dir) {
		if !bytes.Equal(data, files[name]) {
			t.Errorf("%s was changed", name)
		}
	}
	// The review reads two files.
	for _, name := range []string{report.ContentFile, report.ResultFile} {
		put(t, dir, name, flipped(name, files[name]))
		if code, _, stderr := runCommand(t, "review", "--run", dir); code != exitInput || !strings.Contains(stderr, name+": damaged") {
			t.Errorf("%s: review: exit code %d, %q", name, code, stderr)
		}
		put(t, dir, name, files[name])
	}
}

// Files that were deleted are gone for check, and come back with --resume: only what is missing is trained again, to the same bits.
func TestDeletedFilesComeBack(t *testing.T) {
	dir := finished(t)
	files := filesOf(t, dir)
	deleted := []string{"state.json", report.ConfigFile, report.PageFile, filepath.Join("checkpoints", "full-1.model"), filepath.Join("checkpoints", "scores-0.json")}
	for _, name := range deleted {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	// What a writer leaves that is killed.
	put(t, dir, ".result.json.tmp-ABC", []byte("{"))
	code, stdout, stderr := runCommand(t, "check", "--run", dir)
	for _, name := range deleted {
		if code != exitInput || !strings.Contains(stdout, filepath.Join(dir, name)+": gone; datadropout run --resume --out "+dir+" makes it again") {
			t.Errorf("check: exit code %d, %q, %q", code, stdout, stderr)
		}
	}
	if code, _, stderr = runCommand(t, "run", "--resume", "--out", dir); code != exitDone {
		t.Fatalf("exit code %d, %q", code, stderr)
	}
	if strings.Contains(stderr, "seed 1: done before\nround 1") || !strings.Contains(stderr, "seed 0: done before") {
		t.Errorf("not what was missing was trained:\n%s", stderr)
	}
	again := filesOf(t, dir)
	for name, data := range files {
		switch filepath.Base(name) {
		case "state.json", report.ResultFile, report.PageFile, durable.SumsFile: // hold times
			if again[name] == nil {
				t.Errorf("%s is not there", name)
			}
			continue
		}
		if !bytes.Equal(again[name], data) {
			t.Errorf("%s is another one", name)
		}
	}
	if len(again) != len(files) {
		t.Errorf("%d files, want %d", len(again), len(files))
	}
	if code, stdout, _ := runCommand(t, "check", "--run", dir); code != exitDone {
		t.Errorf("check: exit code %d, %q", code, stdout)
	}
}

// A second process on a run directory is refused in one line, whatever it is about to do.
func TestSecondProcessIsRefused(t *testing.T) {
	dir := finished(t)
	lock, err := durable.NewLock(dir, durable.LockFile)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	review, err := durable.NewLock(dir, ".review.lock")
	if err != nil {
		t.Fatal(err)
	}
	defer review.Unlock()
	put(t, dir, report.ReviewFile, []byte("index,id,label,action,new_label\n"))
	before := filesOf(t, dir)
	for _, args := range [][]string{with(dir), with(dir, "--force"), {"run", "--resume", "--out", dir}, {"retrain", "--run", dir}, {"report", "--run", dir},
		{"review", "--run", dir}, {"verify", "--net", "softmax", "--train", "40", "--score", "20", "--tune", "20", "--test", "20", "--quiet", "--out", dir}} {
		code, _, stderr := runCommand(t, args...)
		if code != exitFailed || !strings.Contains(stderr, dir+": another process") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q", args, code, stderr)
		}
	}
	for name, data := range filesOf(t, dir) {
		if !bytes.Equal(data, before[name]) {
			t.Errorf("%s was changed", name)
		}
	}
}
