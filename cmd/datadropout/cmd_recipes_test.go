package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/report"
	"github.com/datadropout/datadropout/train"
)

func TestRecipesCommand(t *testing.T) {
	code, table, stderr := runCommand(t, "recipes")
	if code != exitDone {
		t.Fatal(stderr)
	}
	_, lines, _ := runCommand(t, "recipes", "--json")
	decoder := json.NewDecoder(strings.NewReader(lines))
	for _, want := range train.Catalogue {
		if !strings.Contains(table, "\n"+want.Name+" ") {
			t.Errorf("the table lacks %s:\n%s", want.Name, table)
		}
		var got train.NamedRecipe
		if err := decoder.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.YAML = want.YAML; !reflect.DeepEqual(got, want) {
			t.Errorf("as JSON %+v, want %+v", got, want)
		}
	}
	if code, yaml, stderr := runCommand(t, "recipes", "wrn"); code != exitDone || !strings.Contains(yaml, "Zagoruyko") || !strings.Contains(yaml, "augmentation: crop:4:reflect,flip\n") {
		t.Errorf("exit code %d, %q, %s", code, yaml, stderr)
	}
}

// readFlags resolves the settings of a command line of run.
func readFlags(t *testing.T, args ...string) (*runOptions, error) {
	t.Helper()
	o := &runOptions{settings: defaultSettings()}
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	o.addFlags(f)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return o, o.readConfig(f)
}

// TestRecipePrecedence: a recipe gives way to the config file, and both to flags.
func TestRecipePrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte("net: cnn\nrule: shrunk\nrecipe:\n  epochs: 7\n  augmentation: crop:2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wrn := train.Recipes["wrn"]
	for _, test := range []struct {
		args []string
		want func(*train.Recipe)
		rule string
	}{
		{[]string{"--recipe", "wrn"}, func(*train.Recipe) {}, "auto"},
		{[]string{"--recipe", "wrn", "--config", file}, func(r *train.Recipe) { r.Epochs, r.Augmentation = 7, dataset.Augmentation{Crop: 2} }, "shrunk"},
		{[]string{"--augment", "none", "--recipe", "wrn", "--config", file, "--epochs", "9", "--milestones", "0.5,8", "--nesterov=false", "--step-factor", "0.3"},
			func(r *train.Recipe) {
				r.Epochs, r.Augmentation, r.Milestones, r.Nesterov, r.StepFactor = 9, dataset.Augmentation{}, []float64{0.5, 8}, false, 0.3
			}, "shrunk"},
		{[]string{"--recipe", "wrn", "--schedule", "cosine", "--warmup", "0.1"}, func(r *train.Recipe) { r.Schedule, r.WarmupFraction = train.Cosine, 0.1 }, "auto"},
		{[]string{"--milestones", "0.5"}, func(r *train.Recipe) {
			*r = train.Recipes["default"]
			r.Schedule, r.Milestones = train.Milestones, []float64{0.5}
		}, "auto"},
		{[]string{"--recipe", "vgg", "--step-every", "10"}, func(r *train.Recipe) { *r = train.Recipes["vgg"]; r.StepEvery = 10 }, "auto"},
		{[]string{"--recipe", "paper-cifar10"}, func(r *train.Recipe) { *r = train.Recipes["paper-cifar10"] }, "count:1200"},
		{[]string{"--recipe", "paper-cifar10", "--config", file, "--rule", "unfavorable"}, func(r *train.Recipe) {
			*r = train.Recipes["paper-cifar10"]
			r.Epochs, r.Augmentation = 7, dataset.Augmentation{Crop: 2}
		}, "unfavorable"},
	} {
		o, err := readFlags(t, test.args...)
		if err != nil {
			t.Errorf("%v: %v", test.args, err)
			continue
		}
		want := wrn
		test.want(&want)
		if !reflect.DeepEqual(o.config.Recipe, want) || o.config.Rule != test.rule {
			t.Errorf("%v: rule %s, recipe\n%+v, want\n%+v", test.args, o.config.Rule, o.config.Recipe, want)
		}
	}
	if !reflect.DeepEqual(wrn, train.Recipes["wrn"]) {
		t.Error("the catalogue changed")
	}
}

// TestNoisyLabelsOfARun: a run with labels from a file is repeated by its config.yaml, and refused once the file holds others.
func TestNoisyLabelsOfARun(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	file := filepath.Join(t.TempDir(), "labels")
	if err := os.WriteFile(file, []byte(strings.Repeat("0\n1\n2\n3\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runCommand(t, with(first, "--noisy-labels", file)...); code != exitDone {
		t.Fatal(stderr)
	}
	config := filepath.Join(first, report.ConfigFile)
	if code, _, stderr := runCommand(t, "run", "--config", config, "--out", second); code != exitDone {
		t.Fatal(stderr)
	}
	if arms(t, first) != arms(t, second) {
		t.Error("the repeated run has other figures")
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("0\n1\n2\n4\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runCommand(t, "run", "--config", config, "--out", second+"2"); code != exitInput || !strings.Contains(stderr, file) {
		t.Errorf("other labels in the file: exit code %d, %q", code, stderr)
	}
}

// TestRecipeOfARun: the recipe of a run, with what only newer recipes have, is repeated from its config.yaml, and continued by the
// same command; a further recipe over it is refused.
func TestRecipeOfARun(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	args := with(first, "--recipe", "fast", "--data", "shapes", "--augment", "crop:2,flip,contrast:0.5")
	if code, _, stderr := runCommand(t, args...); code != exitDone {
		t.Fatal(stderr)
	}
	config := filepath.Join(first, report.ConfigFile)
	if text := readFile(t, config); !strings.Contains(text, "augmentation: crop:2,flip,contrast:0.5\n") || !strings.Contains(text, "nesterov: true\n") {
		t.Errorf("config.yaml:\n%s", text)
	}
	if code, _, stderr := runCommand(t, "run", "--config", config, "--out", second); code != exitDone {
		t.Fatal(stderr)
	}
	if arms(t, first) != arms(t, second) {
		t.Error("the repeated run has other figures")
	}
	if code, _, stderr := runCommand(t, append(args, "--resume")...); code != exitDone {
		t.Errorf("the same command with --resume: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := runCommand(t, "run", "--config", config, "--recipe", "wrn", "--out", second+"2"); code != exitUsage || !strings.Contains(stderr, "wrn") {
		t.Errorf("a recipe over the config of a run: exit code %d, %q", code, stderr)
	}
}
