package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout/report"
)

// Flag before environment before config file before recipe before default.
func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("net: mlp\nrecipe:\n  epochs: 30\n  batch_size: 16\nflags:\n  seeds: 4\n  recipe: smooth\n  out: there\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	resolve := func(args ...string) *runOptions {
		t.Helper()
		o := &runOptions{settings: defaultSettings()}
		f := pflag.NewFlagSet("run", pflag.ContinueOnError)
		o.addFlags(f)
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		if err := setFromEnvironment(f); err != nil {
			t.Fatal(err)
		}
		if err := o.readConfig(f); err != nil {
			t.Fatal(err)
		}
		return o
	}
	smooth := resolve("--recipe", "smooth").config.Recipe
	t.Setenv("DATADROPOUT_EPOCHS", "20")
	t.Setenv("DATADROPOUT_MOMENTUM", "")
	o := resolve("--config", file)
	switch c := o.config; {
	case c.Recipe.Epochs != 20:
		t.Errorf("the environment gives way to the config file: %d epochs", c.Recipe.Epochs)
	case c.Recipe.BatchSize != 16 || c.Net != "mlp":
		t.Errorf("the config file gives way to the recipe: %+v", c.Recipe)
	case c.Recipe.LearningRate != smooth.LearningRate || c.Recipe.Momentum != smooth.Momentum:
		t.Errorf("the recipe of the file is not used: %+v, want %+v", c.Recipe, smooth)
	case c.Seeds != 4 || o.out != "there":
		t.Errorf("the flags of the file are not used: %d seeds, out %q", c.Seeds, o.out)
	}
	if o := resolve("--config", file, "--epochs", "10", "--seeds", "2", "--out", "here", "--recipe", "default"); o.config.Recipe.Epochs != 10 || o.config.Seeds != 2 || o.out != "here" {
		t.Errorf("a flag gives way: %d epochs, %d seeds, out %q", o.config.Recipe.Epochs, o.config.Seeds, o.out)
	}
	if o := resolve(); o.config.Recipe.Epochs != 20 || o.config.Seeds != 5 {
		t.Errorf("without a file: %d epochs, %d seeds", o.config.Recipe.Epochs, o.config.Seeds)
	}
}

func TestEnvironmentAndFilesThatAreWrong(t *testing.T) {
	t.Setenv("DATADROPOUT_BATCH", "many")
	if code, _, stderr := runCommand(t, "run"); code != exitUsage || !strings.Contains(stderr, "environment variable DATADROPOUT_BATCH") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	t.Setenv("DATADROPOUT_BATCH", "")
	t.Setenv("DATADROPOUT_JSON", "true")
	t.Setenv("DATADROPOUT_EPOHCS", "3")
	t.Setenv("DATADROPOUT_TESTING_WHATEVER", "3")
	code, stdout, stderr := runCommand(t, "recipes")
	if code != exitDone || !strings.HasPrefix(stdout, "{") || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "DATADROPOUT_EPOHCS stands for no flag; did you mean DATADROPOUT_EPOCHS?") {
		t.Errorf("exit code %d: %.80s, %s", code, stdout, stderr)
	}
	// The arguments of data fetch are checked against its flags.
	t.Setenv("DATADROPOUT_DATA_DIR", t.TempDir())
	if code, _, stderr := runCommand(t, "data", "fetch", "mnist", "kmnist"); code != exitUsage || !strings.Contains(stderr, "one data set at a time") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for text, says := range map[string]string{
		"flags:\n  epoch: 3\n":      `unknown flag "epoch", did you mean epochs?`,
		"flags:\n  epochs: three\n": "epochs",
		"flags:\n  resume: true\n":  `unknown flag "resume"`,
		"flags:\n  recipe: fst\n":   "did you mean fast?",
		"flag:\n  epochs: 3\n":      "flag",
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := runCommand(t, "run", "--config", file); code != exitUsage || !strings.Contains(stderr, says) {
			t.Errorf("%q: exit code %d: %s", text, code, stderr)
		}
	}
}

// Lists of a file are those of verify, and give way to flags whole.
func TestListsOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("flags:\n  estimators: [cg, random]\n  fractions: [0.1, 0.3]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want []string }{{nil, []string{"cg", "random"}}, {[]string{"--estimators", "loss"}, []string{"loss"}}} {
		o := &verifyOptions{settings: defaultSettings()}
		f := pflag.NewFlagSet("verify", pflag.ContinueOnError)
		o.addFlags(f)
		if err := f.Parse(append(tt.args, "--config", file)); err != nil {
			t.Fatal(err)
		}
		if err := o.read(f); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(o.study.Estimators, tt.want) || !slices.Equal(o.study.Fractions, []float64{0.1, 0.3}) {
			t.Errorf("%q: %v, %v", tt.args, o.study.Estimators, o.study.Fractions)
		}
	}
}

// A run's own config.yaml names no flags.
func TestNoFlagsInAConfigOfARun(t *testing.T) {
	if text := readFile(t, filepath.Join(finished(t), report.ConfigFile)); strings.Contains(text, "flags:") {
		t.Error(text)
	}
}

func TestNearestNames(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"rnu"}, "did you mean run?"},
		{[]string{"data", "fetsh"}, "did you mean fetch?"},
		{[]string{"run", "--epoch", "3"}, "did you mean --epochs?"},
		{[]string{"run", "--estimator", "lisa"}, "did you mean lissa?"},
		{[]string{"run", "--recipe", "smoth"}, "did you mean smooth?"},
		{[]string{"run", "--data", "mnst"}, "did you mean mnist?"},
		{[]string{"run", "--rule", "unfavourable"}, "did you mean unfavorable?"},
		{[]string{"run", "--schedule", "cosin"}, "did you mean cosine?"},
		{[]string{"run", "--net", "resnet2"}, "did you mean resnet20?"},
		{[]string{"verify", "--tests", "lsd"}, "did you mean"},
		{[]string{"bench", "--phase", "steps"}, "did you mean step?"},
	} {
		code, _, stderr := runCommand(t, tt.args...)
		if code != exitUsage || !strings.Contains(stderr, tt.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d: %s", tt.args, code, stderr)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--net", "resnet2"}, "resnet20\n"}, {[]string{"run", "--recipe", "fa"}, "fast\n"}, {[]string{"run", "--estimator", "meta"}, "metagradient\n"},
		{[]string{"run", "--data", "cifar1"}, "cifar100\n"}, {[]string{"verify", "--estimators", "gradd"}, "graddot\n"}, {[]string{"nets", "vgg1"}, "vgg16-bn\n"},
		{[]string{"recipes", "mn"}, "mnist\n"}, {[]string{"data", "fetch", "km"}, "kmnist\n"}, {[]string{"export", "--arm", "high"}, "highest_loss\n"}, {[]string{"comp"}, "compare\t"},
	} {
		var out bytes.Buffer
		if code := execute(t.Context(), append([]string{"__complete"}, tt.args...), &out, &bytes.Buffer{}); code != exitDone || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%q: exit code %d:\n%s", tt.args, code, out.String())
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := runCommand(t, "completion", shell); code != exitDone || !strings.Contains(out, "datadropout") {
			t.Errorf("%s: exit code %d", shell, code)
		}
	}
}

func TestVersionAndTopics(t *testing.T) {
	code, out, _ := runCommand(t, "version", "--json")
	var b buildInfo
	if err := json.Unmarshal([]byte(out), &b); err != nil || code != exitDone || b.Type != "version" || b.Version == "" || !strings.HasPrefix(b.Go, "go1.") || b.Kernels == "" {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
	if code, out, _ := runCommand(t, "version"); code != exitDone || !strings.Contains(out, b.Kernels) || !strings.Contains(out, b.OS+"/"+b.Arch) {
		t.Errorf("exit code %d: %s", code, out)
	}
	for topic, want := range map[string]string{
		"method": "Two-round training", "files": "safetensors", "rules": "significant:Q", "exit-codes": "130", "environment": "DATADROPOUT_WEIGHT_DECAY\n",
	} {
		if code, out, _ := runCommand(t, "help", topic); code != exitDone || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d:\n%.300s", topic, code, out)
		}
	}
}
