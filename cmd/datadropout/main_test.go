package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runCommand executes a command line and returns its exit code and what it printed.
func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// idxFiles writes an MNIST-like data set of n blank training and test images into a new directory. edit changes a
// file's bytes before they are compressed; it may be nil.
func idxFiles(t *testing.T, n int, edit func(name string, data []byte) []byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"train", "t10k"} {
		images := binary.BigEndian.AppendUint32(nil, 0x00000803)
		for _, d := range []int{n, 28, 28} {
			images = binary.BigEndian.AppendUint32(images, uint32(d))
		}
		for i := range n * 28 * 28 {
			images = append(images, byte(i*7%251))
		}
		labels := binary.BigEndian.AppendUint32(nil, 0x00000801)
		labels = binary.BigEndian.AppendUint32(labels, uint32(n))
		for i := range n {
			labels = append(labels, byte(i%10))
		}
		for name, data := range map[string][]byte{
			part + "-images-idx3-ubyte.gz": images,
			part + "-labels-idx1-ubyte.gz": labels,
		} {
			if edit != nil {
				data = edit(name, data)
			}
			if data == nil {
				continue
			}
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// Every bad input gets one line on stderr that names what is wrong, the exit code of its kind, and nothing written.
func TestBadInput(t *testing.T) {
	good := idxFiles(t, 200, nil)
	truncated := idxFiles(t, 200, func(name string, b []byte) []byte {
		if name == "train-images-idx3-ubyte.gz" {
			return b[:len(b)-100]
		}
		return b
	})
	wrongMagic := idxFiles(t, 200, func(name string, b []byte) []byte {
		if name == "train-labels-idx1-ubyte.gz" {
			b[3] = 9
		}
		return b
	})
	counts := idxFiles(t, 200, func(name string, b []byte) []byte {
		if name == "train-labels-idx1-ubyte.gz" {
			binary.BigEndian.PutUint32(b[4:], 199)
			return b[:len(b)-1]
		}
		return b
	})
	label := idxFiles(t, 200, func(name string, b []byte) []byte {
		if name == "train-labels-idx1-ubyte.gz" {
			b[8+57] = 200
		}
		return b
	})
	missingFile := idxFiles(t, 200, func(name string, b []byte) []byte {
		if name == "t10k-labels-idx1-ubyte.gz" {
			return nil
		}
		return b
	})
	damaged := idxFiles(t, 200, nil)
	if err := os.WriteFile(filepath.Join(damaged, "train-images-idx3-ubyte.gz"), []byte("\x1f\x8bnot gzip"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("net: cnn\nlearning: 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	labels := filepath.Join(t.TempDir(), "labels.csv")
	if err := os.WriteFile(labels, []byte("clean,worse\n3,4\n5,12\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	data := func(dir string, more ...string) []string {
		return append([]string{"run", "--data", "mnist", "--data-dir", dir, "--train", "100", "--score", "40", "--tune", "40"}, more...)
	}
	tests := []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"missing directory", data(filepath.Join(good, "absent")), exitInput, []string{"absent"}},
		{"missing file", data(missingFile), exitInput, []string{"t10k-labels"}},
		{"truncated", data(truncated), exitInput, []string{"train-images-idx3-ubyte.gz", "199"}},
		{"damaged gzip", data(damaged), exitInput, []string{"train-images-idx3-ubyte.gz"}},
		{"wrong magic", data(wrongMagic), exitInput, []string{"train-labels-idx1-ubyte.gz", "magic"}},
		{"counts differ", data(counts), exitInput, []string{"train-labels-idx1-ubyte.gz", "200", "199"}},
		{"label out of range", data(label), exitInput, []string{"train-labels-idx1-ubyte.gz", "57", "200"}},
		{"too few samples", data(good, "--train", "5000"), exitUsage, []string{"5000", "200"}},
		{"unknown network", data(good, "--net", "lenet6"), exitUsage, []string{"lenet6", "lenet5", "cnn"}},
		{"unknown rule", data(good, "--rule", "worst"), exitUsage, []string{"worst", "unfavorable"}},
		{"unknown estimator", data(good, "--estimator", "oracle"), exitUsage, []string{"oracle", "graddot"}},
		{"unknown data set", []string{"run", "--data", "imagenot"}, exitUsage, []string{"imagenot", "fashion-mnist"}},
		{"unknown backend", data(good, "--backend", "abacus"), exitUsage, []string{"abacus", "cpu"}},
		{"unknown flag", []string{"run", "--epoch", "3"}, exitUsage, []string{"--epoch"}},
		{"unknown command", []string{"rum"}, exitUsage, []string{"rum"}},
		{"stray argument", []string{"run", "here"}, exitUsage, []string{"here"}},
		{"no data directory", []string{"run", "--data", "mnist"}, exitInput, []string{"--data-dir", "data fetch mnist"}},
		{"bad noise", []string{"run", "--label-noise", "1.5"}, exitUsage, []string{"1.5"}},
		{"zero epochs", []string{"run", "--epochs", "0"}, exitUsage, []string{"epochs"}},
		{"negative learning rate", []string{"run", "--lr", "-1"}, exitUsage, []string{"-1"}},
		{"unknown setting in config", []string{"run", "--config", config}, exitUsage, []string{"config.yaml", "learning"}},
		{"missing config", []string{"run", "--config", config + ".gone"}, exitInput, []string{"config.yaml.gone"}},
		{"bad kind of noise", []string{"run", "--label-noise-kind", "cyclic"}, exitUsage, []string{"cyclic", "pair"}},
		{"noise twice", []string{"run", "--label-noise", "0.2", "--noisy-labels", labels}, exitUsage, []string{"exclude"}},
		{"missing noisy labels", data(good, "--noisy-labels", labels+".gone"), exitInput, []string{"labels.csv.gone", "no such file"}},
		{"noisy labels without their column", data(good, "--noisy-labels", labels), exitInput, []string{"labels.csv", "line 1", "FILE:COLUMN"}},
		{"noisy labels of another column", data(good, "--noisy-labels", labels+":best"), exitInput, []string{"labels.csv", "best", "worse"}},
		{"a noisy label out of range", data(good, "--noisy-labels", labels+":worse"), exitInput, []string{"labels.csv", "line 3", "12"}},
		{"too few noisy labels", data(good, "--noisy-labels", labels+":clean"), exitInput, []string{"labels.csv", "2 labels", "200"}},
		{"a matrix of other classes", data(good, "--label-noise-matrix", labels), exitInput, []string{"labels.csv", "line 1", "want 10"}},
		{"unknown recipe", []string{"run", "--recipe", "quick"}, exitUsage, []string{"quick", "fast"}},
		{"unknown augmentation", []string{"run", "--augment", "rotate:15"}, exitUsage, []string{"rotate:15", "crop:PIXELS"}},
		{"milestones out of order", []string{"run", "--milestones", "0.5,0.25"}, exitUsage, []string{"0.25", "ascend"}},
		{"milestones that are none", []string{"run", "--milestones", "half"}, exitUsage, []string{"half", "0.5,0.75"}},
		{"milestones beyond the epochs", []string{"run", "--recipe", "wrn", "--epochs", "50"}, exitUsage, []string{"60", "50"}},
		{"no color", data(good, "--augment", "saturation:0.5"), exitUsage, []string{"mnist", "saturation", "three channels"}},
		{"recipes: unknown name", []string{"recipes", "quick"}, exitUsage, []string{"quick", "fast"}},
		{"recipes: two names", []string{"recipes", "fast", "wrn"}, exitUsage, []string{"one name"}},
		{"resume and force", []string{"run", "--resume", "--force"}, exitUsage, []string{"--resume", "--force"}},
		{"verify: missing directory", []string{"verify", "--data", "mnist", "--data-dir", filepath.Join(good, "absent")}, exitInput, []string{"absent"}},
		{"verify: missing config", []string{"verify", "--config", config + ".gone"}, exitInput, []string{"config.yaml.gone"}},
		{"verify: unknown estimator", []string{"verify", "--estimators", "cg,oracle"}, exitUsage, []string{"oracle", "graddot"}},
		{"verify: unknown test", []string{"verify", "--tests", "shapley"}, exitUsage, []string{"shapley", "mislabel"}},
		{"verify: bad fraction", []string{"verify", "--fractions", "0.1,2"}, exitUsage, []string{"2"}},
		{"verify: bad network", []string{"verify", "--net", "lenet6"}, exitUsage, []string{"lenet6", "lenet5"}},
		{"verify: nothing planted", []string{"verify", "--train", "100", "--tests", "mislabel", "--label-noise", "0"}, exitUsage, []string{"mislabel", "noise"}},
		{"verify: too many points", []string{"verify", "--train", "100", "--test", "40", "--per-point", "50"}, exitUsage, []string{"50", "40"}},
		{"resume without a directory", []string{"run", "--resume"}, exitUsage, []string{"--out"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			args := tt.args
			if (args[0] == "run" || args[0] == "verify") && tt.name != "resume without a directory" {
				args = append(args[:len(args):len(args)], "--out", out)
			}
			code, stdout, stderr := runCommand(t, args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if stdout != "" {
				t.Errorf("wrote to stdout: %q", stdout)
			}
			if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
				t.Errorf("stderr is not one line: %q", stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr %q does not name %q", stderr, want)
				}
			}
			if _, err := os.Stat(out); !os.IsNotExist(err) {
				t.Errorf("something was written to the run directory (%v)", err)
			}
		})
	}
}

func TestHelpListsExitCodes(t *testing.T) {
	for command, want := range map[string]string{"run": exitCodesHelp, "recipes": exitCodesHelp, "bench": exitCodesHelp, "verify": verifyExitCodes} {
		code, stdout, _ := runCommand(t, command, "--help")
		if code != exitDone || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit code %d, help without the exit codes:\n%s", command, code, stdout)
		}
	}
	code, stdout, _ := runCommand(t, "--help")
	if code != exitDone || !strings.Contains(stdout, exitCodesHelp) || !strings.Contains(stdout, "verify") {
		t.Errorf("exit code %d, help without the exit codes or a command:\n%s", code, stdout)
	}
}
