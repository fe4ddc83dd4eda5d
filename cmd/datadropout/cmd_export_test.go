package main

import (
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/datadropout/datadropout/report"
	"github.com/datadropout/datadropout/train"
)

// exported runs export on a run, which must succeed.
func exported(t *testing.T, dir string, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := runCommand(t, append([]string{"export", "--run", dir}, args...)...)
	if code != exitDone {
		t.Fatalf("%q: exit code %d: %s", args, code, stderr)
	}
	return stdout, stderr
}

// One run serves all that only reads it.
func TestExportOfARun(t *testing.T) {
	dir := finished(t)
	for name, test := range map[string]func(*testing.T, string){
		"scores": exportScores, "weights and events": exportWeightsAndEvents, "refused": exportRefuses, "pixels": exportPixels,
	} {
		t.Run(name, func(t *testing.T) { test(t, dir) })
	}
}

func exportScores(t *testing.T, dir string) {
	out := t.TempDir()
	rows := readTable(t, filepath.Join(dir, report.ScoresFile))
	for _, name := range []string{"s.csv", "s.parquet", "s.npy"} {
		exported(t, dir, "--scores", filepath.Join(out, name))
	}
	if readFile(t, filepath.Join(out, "s.csv")) != readFile(t, filepath.Join(dir, report.ScoresFile)) {
		t.Error("the CSV differs")
	}
	type row struct {
		Index int64   `parquet:"index"`
		ID    string  `parquet:"id"`
		Label int64   `parquet:"label"`
		Delta float64 `parquet:"delta"`
		Error float64 `parquet:"standard_error"`
	}
	table, err := parquet.ReadFile[row](filepath.Join(out, "s.parquet"))
	if err != nil || len(table) != len(rows) {
		t.Fatalf("%d rows, %v", len(table), err)
	}
	raw := readFile(t, filepath.Join(out, "s.npy"))
	numbers := raw[len(raw)-8*len(rows):]
	for k, want := range rows {
		r := table[k]
		got := []string{fmt.Sprint(r.Index), r.ID, fmt.Sprint(r.Label), strconv.FormatFloat(r.Delta, 'g', -1, 64), strconv.FormatFloat(r.Error, 'g', -1, 64),
			strconv.FormatFloat(math.Float64frombits(binary.LittleEndian.Uint64([]byte(numbers[8*k:]))), 'g', -1, 64)}
		if !slices.Equal(got, []string{want["index"], want["id"], want["label"], want["delta"], want["standard_error"], want["delta"]}) {
			t.Fatalf("row %d: %v, want %v", k, got, want)
		}
	}
	exported(t, dir, "--scores", filepath.Join(out, "s.npy"), "--float32", "--force")
	if short := readFile(t, filepath.Join(out, "s.npy")); len(short) != len(raw)-4*len(rows) {
		t.Errorf("%d bytes as float32, %d as float64", len(short), len(raw))
	}
}

func exportWeightsAndEvents(t *testing.T, dir string) {
	out := t.TempDir()
	read := func(args ...string) (header map[string]json.RawMessage, meta map[string]string, body string) {
		t.Helper()
		path := filepath.Join(out, "w.safetensors")
		exported(t, dir, append(args, "--weights", path, "--force")...)
		raw := readFile(t, path)
		n := binary.LittleEndian.Uint64([]byte(raw))
		if err := json.Unmarshal([]byte(raw[8:8+n]), &header); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(header["__metadata__"], &meta); err != nil {
			t.Fatal(err)
		}
		return header, meta, raw[8+n:]
	}
	header, meta, dropped := read()
	m, err := train.LoadModel(filepath.Join(dir, "checkpoints", "dropped-0.model"))
	if err != nil {
		t.Fatal(err)
	}
	if meta["arm"] != "dropped" || meta["seed"] != "0" || meta["image"] != "[28,28,1]" || len(dropped) != 4*len(m.Theta) || header["dense.weight"] == nil {
		t.Errorf("%v, %d bytes for %d parameters", meta, len(dropped), len(m.Theta))
	}
	if _, full, other := read("--arm", "full", "--seed", "1"); full["arm"] != "full" || full["seed"] != "1" || other == dropped {
		t.Errorf("%v", full)
	}
	exported(t, dir, "--tensorboard", filepath.Join(out, "events"))
	found, err := filepath.Glob(filepath.Join(out, "events", "*", "*tfevents*"))
	if err != nil || len(found) != 9 { // four arms at two seeds, and the samples
		t.Errorf("%v, %v", found, err)
	}
}

func exportRefuses(t *testing.T, dir string) {
	out := t.TempDir()
	there := filepath.Join(out, "there.npy")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitUsage, "say which run"},
		{[]string{"--run", dir}, exitUsage, "say what to write"},
		{[]string{"--run", out, "--torch"}, exitInput, "no finished run"},
		{[]string{"--run", dir, "--scores", "x.txt"}, exitUsage, ".parquet"},
		{[]string{"--run", dir, "--scores", there}, exitUsage, "there already"},
		{[]string{"--run", dir, "--copy", out}, exitUsage, "nothing is overwritten"},
		{[]string{"--run", dir, "--tensorboard", out}, exitUsage, "nothing is overwritten"},
		{[]string{"--run", dir, "--symlink", filepath.Join(out, "new")}, exitUsage, "use --copy"},
		{[]string{"--run", dir, "--copy", "a", "--symlink", "b"}, exitUsage, "choose one"},
		{[]string{"--run", dir, "--torch", "--dropped", "b"}, exitUsage, "are for --copy"},
		{[]string{"--run", dir, "--copy", filepath.Join(out, "new"), "--splits", "half"}, exitUsage, "separate"},
		{[]string{"--run", dir, "--torch", "--arm", "full"}, exitUsage, "is for --weights"},
		{[]string{"--run", dir, "--weights", filepath.Join(out, "w"), "--arm", "best"}, exitUsage, "unknown arm"},
		{[]string{"--run", dir, "--weights", filepath.Join(out, "w"), "--seed", "7"}, exitUsage, "its seeds are 0 to 1"},
		{[]string{"--run", dir, "--weights", filepath.Join(out, "w"), "--arm", "reviewed"}, exitInput, "nothing was retrained"},
		{[]string{"--run", dir, "--copy", filepath.Join(out, "new"), "--decisions", filepath.Join(out, "none.csv")}, exitInput, "none.csv"},
	} {
		if code, _, stderr := runCommand(t, append([]string{"export"}, tt.args...)...); code != tt.code || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit code %d, %q", tt.args, code, stderr)
		}
	}
	if entries, _ := os.ReadDir(out); len(entries) != 1 || readFile(t, there) != "mine" {
		t.Errorf("refused exports left %v", entries)
	}
}

// photos writes a folder of images in two classes and runs on it.
func photos(t *testing.T) (folder, run string) {
	t.Helper()
	folder, run = filepath.Join(t.TempDir(), "photos"), filepath.Join(t.TempDir(), "run")
	for k := range 60 {
		m := image.NewGray(image.Rect(0, 0, 12, 12))
		for i := range m.Pix {
			m.Pix[i] = uint8(i*(1+k%2) + k)
		}
		m.SetGray(0, 0, color.Gray{uint8(k)})
		path := filepath.Join(folder, []string{"even", "odd"}[k%2], fmt.Sprintf("sub %d", k%3), fmt.Sprintf("%02d.png", k))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, m); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	code, _, stderr := runCommand(t, "run", "--data", folder, "--net", "softmax", "--epochs", "1", "--batch", "10", "--train", "30", "--score", "10", "--tune", "10", "--test", "10",
		"--seeds", "1", "--rule", "count:5", "--estimator", "graddot", "--score-folds", "1", "--out", run)
	if code != exitDone {
		t.Fatal(stderr)
	}
	return folder, run
}

// tree lists the images below a folder, by path, with the path that links lead to.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "datadropout.csv" {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		link, _ := os.Readlink(path)
		all[filepath.ToSlash(relative)] = link
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestExportImagesOfAFolder(t *testing.T) {
	folder, run := photos(t)
	out := t.TempDir()
	at := func(name string) string { return filepath.Join(out, name) }
	everything, drop := tree(t, folder), readTable(t, filepath.Join(run, report.DropFile))
	want := func(name string, n int, without []map[string]string) {
		t.Helper()
		got := tree(t, at(name))
		if len(got) != n {
			t.Errorf("%s holds %d images, want %d", name, len(got), n)
		}
		for _, row := range without {
			if _, there := got[row["id"]]; there {
				t.Errorf("%s holds %s, which was dropped", name, row["id"])
			}
		}
		for path := range got {
			if _, ok := everything[path]; !ok {
				t.Errorf("%s holds %s", name, path)
			} else if readFile(t, filepath.Join(at(name), path)) != readFile(t, filepath.Join(folder, path)) {
				t.Errorf("%s: %s has other bytes", name, path)
			}
		}
	}
	exported(t, run, "--copy", at("clean"), "--dropped", at("gone"))
	want("clean", 55, drop)
	want("gone", 5, nil)
	exported(t, run, "--symlink", at("linked"), "--splits", "train")
	want("linked", 25, drop)
	for path, link := range tree(t, at("linked")) {
		if link != filepath.Join(folder, filepath.FromSlash(path)) {
			t.Errorf("%s links to %q", path, link)
		}
	}
	exported(t, run, "--copy", at("parts"), "--splits", "separate")
	counts := map[string]int{}
	for path := range tree(t, at("parts")) {
		counts[strings.Split(path, "/")[0]]++
	}
	if counts["train"] != 25 || counts["val"] != 20 || counts["test"] != 10 || len(counts) != 3 {
		t.Errorf("%v", counts)
	}
	// A review that keeps one of the dropped, drops one of the kept, and relabels another.
	kept := strings.Fields(readFile(t, filepath.Join(run, report.KeepFile)))
	review, moved := at("review.csv"), ""
	decide(t, review, readTable(t, filepath.Join(run, report.ScoresFile)), func(row map[string]string) (string, string) {
		switch row["index"] {
		case drop[0]["index"]:
			return report.Keep, ""
		case kept[0]:
			return report.Drop, ""
		case kept[1]:
			other := "odd"
			if row["label"] == "1" {
				other = "even"
			}
			moved = other + row["id"][strings.Index(row["id"], "/"):]
			return report.Relabel, strconv.Itoa(slices.Index([]string{"even", "odd"}, other))
		}
		return "", ""
	})
	exported(t, run, "--copy", at("reviewed"), "--decisions", review)
	got := tree(t, at("reviewed"))
	if _, back := got[drop[0]["id"]]; !back || len(got) != 55 {
		t.Errorf("%d images, the one kept by decision is there: %v", len(got), back)
	}
	if _, there := got[moved]; !there {
		t.Errorf("%s is not there: %v", moved, got)
	}
	// Within the data it would become data, and other data than the run's are refused.
	if code, _, stderr := runCommand(t, "export", "--run", run, "--copy", filepath.Join(folder, "clean")); code != exitUsage || !strings.Contains(stderr, "own folder") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if err := os.Remove(filepath.Join(folder, drop[0]["id"])); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := runCommand(t, "export", "--run", run, "--copy", at("late"))
	if code != exitInput && code != exitUsage || exists(at("late")) {
		t.Errorf("changed data: exit code %d: %s", code, stderr)
	}
}

// What --copy writes of a data set that is no folder is one, with the classes and sizes of the run.
func exportPixels(t *testing.T, dir string) {
	out := filepath.Join(t.TempDir(), "clean")
	exported(t, dir, "--copy", out)
	index, err := csv.NewReader(strings.NewReader(readFile(t, filepath.Join(out, "datadropout.csv")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if images := tree(t, out); len(images) != len(index)-1 || len(images) < 144 {
		t.Errorf("%d images, %d in the index", len(images), len(index)-1)
	}
	code, _, stderr := runCommand(t, "run", "--data", out, "--net", "softmax", "--epochs", "1", "--seeds", "1", "--rule", "count:1", "--estimator", "random", "--score-folds", "1",
		"--out", filepath.Join(t.TempDir(), "again"))
	if code != exitDone || !strings.Contains(stderr, "1 seed") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// The folder of --torch is the one that is there, from wherever the lines are used.
func TestExportTorchFolder(t *testing.T) {
	folder, run := photos(t)
	t.Chdir(filepath.Dir(folder))
	lines, _ := exported(t, run, "--torch", "--data-dir", filepath.Base(folder))
	if want := fmt.Sprintf("os.path.relpath(p, %q)", folder); !strings.Contains(lines, want) {
		t.Errorf("the lines lack %s:\n%s", want, lines)
	}
	code, stdout, stderr := runCommand(t, "export", "--run", run, "--torch", "--data-dir", "elsewhere")
	if code != exitInput || stdout != "" || !strings.Contains(stderr, "elsewhere: the folder of the run's images is not there: say where it is, --data-dir DIR") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// The lines of --torch make the Subset that they promise, of a data set of tensors and of a folder whose order is ImageFolder's.
func TestExportTorchRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("imports PyTorch")
	}
	const interpreter = "/usr/bin/python3"
	if exec.Command(interpreter, "-c", "import torch").Run() != nil {
		t.Skip("no PyTorch")
	}
	shapes := finished(t)
	_, folder := photos(t)
	for _, tt := range []struct{ run, before, after string }{
		{shapes, "import torch\ndataset = torch.utils.data.TensorDataset(torch.arange(1000))\n",
			"kept = sorted(int(s[0]) for s in train_set)\nprint(kept == sorted(int(l) for l in open(KEEP)))"},
		{folder, `
import os
class Folder:
    def __init__(self, root): # the order of torchvision.datasets.ImageFolder
        self.root, self.samples = root, []
        for k, c in enumerate(sorted(d.name for d in os.scandir(root) if d.is_dir())):
            for at, _, names in sorted(os.walk(os.path.join(root, c), followlinks=True)):
                self.samples += [(os.path.join(at, n), k) for n in sorted(names)]
    def __getitem__(self, i): return self.samples[i]
    def __len__(self): return len(self.samples)
dataset = Folder(ROOT)
`, `
import csv
dropped = {os.path.join(ROOT, r["id"]) for r in csv.DictReader(open(DROP))}
paths = {train_set[i][0] for i in range(len(train_set))}
print(len(paths) == 25 and not paths & dropped)
`},
	} {
		lines, _ := exported(t, tt.run, "--torch")
		settings, err := report.ReadSettings(filepath.Join(tt.run, report.ConfigFile))
		if err != nil {
			t.Fatal(err)
		}
		program := fmt.Sprintf("KEEP, DROP, ROOT = %q, %q, %q\n", filepath.Join(tt.run, report.KeepFile), filepath.Join(tt.run, report.DropFile), settings.DataDir) + tt.before + lines + tt.after
		answer, err := exec.Command(interpreter, "-c", program).CombinedOutput()
		if err != nil || strings.TrimSpace(string(answer)) != "True" {
			t.Errorf("%v: %s\n%s", err, answer, program)
		}
	}
}
