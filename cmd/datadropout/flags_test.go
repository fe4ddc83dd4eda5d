package main

import (
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// badNames are values that a flag of names refuses, and the name that is nearest; empty for a flag of words in another form.
var badNames = map[string][2]string{
	"activation":         {"gelo", "gelu"},
	"arm":                {"droped", "dropped"},
	"backend":            {"cpuu", "cpu"},
	"curvature":          {"hesian", "hessian"},
	"data":               {"mnits", "mnist"},
	"drop-unit":          {"imag", "image"},
	"estimator":          {"metagradent", "metagradient"},
	"estimators":         {"metagradent", "metagradient"},
	"influence-net":      {"resnet21", "resnet20"},
	"influence-recipe":   {"fsat", "fast"},
	"label-noise-kind":   {"pear", "pair"},
	"net":                {"resnet21", "resnet20"},
	"phase":              {"stepp", "step"},
	"pool":               {"maxx", "max"},
	"precision":          {"bfloat", "bfloat16"},
	"preconditioner":     {"diagonl", "diagonal"},
	"recipe":             {"fsat", "fast"},
	"removal":            {"wieght", "weight"},
	"rule":               {"unfavourable", "unfavorable"},
	"schedule":           {"cosin", "cosine"},
	"splits":             {"trian", "train"},
	"tests":              {"groop", "group"},
	"fractions":          {"2", ""},
	"label-noise-matrix": {"gone.csv", ""},
	"noisy-labels":       {"gone.txt", ""},
}

// outOfRange are numbers that parse and are refused.
var outOfRange = map[string]string{
	"batch": "0", "budget": "-1s", "checkpoints": "-1", "epochs": "0", "influence-seeds": "0", "label-noise": "1.5", "lissa-depth": "-1", "lissa-repeats": "-1",
	"lissa-scale": "-1", "lr": "0", "max-iterations": "-1", "min-class-share": "1", "min-sign-agreement": "2", "momentum": "1", "rank": "-1", "score": "-1",
	"score-folds": "0", "seeds": "0", "step-factor": "2", "test": "-1", "threads": "-1", "train": "-1", "tune": "-1", "warmup": "1", "weight-decay": "-1",
}

// Every flag of every command refuses what is no value of its type with one line that names the flag, before anything is done.
func TestEveryFlagRefusesABadValue(t *testing.T) {
	var visit func(cmd *cobra.Command, path []string)
	visit = func(cmd *cobra.Command, path []string) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if slices.Contains([]string{"string", "stringSlice"}, f.Value.Type()) || f.Name == "help" || f.Name == "version" {
				return
			}
			wrongUsage(t, append(slices.Clone(path), "--"+f.Name+"=x?"), "--"+f.Name)
		})
		for _, sub := range cmd.Commands() {
			visit(sub, append(slices.Clone(path), sub.Name()))
		}
		if len(path) > 0 && !cmd.Hidden && path[0] != "completion" && path[0] != "help" && cmd.Runnable() && cmd.HasFlags() {
			wrongUsage(t, append(slices.Clone(path), "--threds", "1"), "--threds")
		}
	}
	visit(newRootCommand(), nil)
}

// A name that is not known is answered with the nearest one, and the flag; so is a number out of its range.
func TestSettingsOutOfRangeNameTheirFlag(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for _, command := range []*cobra.Command{newRunCommand(), newPlanCommand(), newTrainCommand(), newVerifyCommand()} {
		if testing.Short() && command.Name() != "run" {
			continue
		}
		command.Flags().VisitAll(func(f *pflag.Flag) {
			args := []string{command.Name(), "--out", out}
			if bad, ok := badNames[f.Name]; ok && bad[1] != "" {
				if f.Name == "drop-unit" {
					args = append(args, "--net", "dncnn-7")
				}
				if f.Name == "label-noise-kind" {
					args = append(args, "--label-noise", "0.2")
				}
				line := wrongUsage(t, append(args, "--"+f.Name, bad[0]), bad[0])
				if !strings.Contains(line, "did you mean") || !strings.Contains(line, bad[1]) {
					t.Errorf("%s --%s %s: no hint of %s: %s", command.Name(), f.Name, bad[0], bad[1], line)
				}
			}
			if bad, ok := outOfRange[f.Name]; ok && (command.Name() != "verify" || f.Name != "influence-seeds") { // 0 is the default there
				wrongUsage(t, append(args, "--"+f.Name, bad), "--"+f.Name)
			}
		})
	}
}

// A command or a flag that is not known is answered with the nearest one.
func TestUnknownNamesAreAnsweredWithTheNearest(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"rnu"}, "run"},
		{[]string{"plann"}, "plan"},
		{[]string{"run", "--epoch", "3"}, "--epochs"},
		{[]string{"plan", "--buget", "3m"}, "--budget"},
		{[]string{"verify", "--subset", "3"}, "--subsets"},
		{[]string{"bench", "--phase", "stepp"}, "step"},
		{[]string{"nets", "resnet21"}, "resnet20"},
		{[]string{"recipes", "fsat"}, "fast"},
		{[]string{"run", "--augment", "crop:4,flipp"}, "flip?"},
		{[]string{"run", "--augment", "brigthness:0.2"}, "brightness:V?"},
		{[]string{"run", "--net", "dncnn-7", "--degrade", "poison:3"}, "poisson:PEAK?"},
		{[]string{"data", "fetch", "fasion-mnist"}, "fashion-mnist?"},
		{[]string{"help", "exitcodes"}, "exit-codes?"},
		{[]string{"help", "data", "inf"}, "info?"},
		{[]string{"completion", "bsh"}, "bash?"},
	} {
		if line := wrongUsage(t, tt.args, tt.want); !strings.Contains(line, "did you mean") {
			t.Errorf("%v: %s", tt.args, line)
		}
	}
}

// wrongUsage wants a command line to be refused: exit code 2, nothing on stdout, and one line on stderr that holds want. It returns
// the line.
func wrongUsage(t *testing.T, args []string, want string) string {
	t.Helper()
	code, stdout, stderr := runCommand(t, args...)
	if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, want) {
		t.Errorf("%v: exit code %d, stdout %q, and on stderr %q", args, code, stdout, stderr)
	}
	return stderr
}

// The flag that is blamed for a value is the one that has it, also where reading the settings has changed what another flag says, and where
// the message happens to repeat the value of a third.
func TestTheRightFlagIsBlamed(t *testing.T) {
	photos := t.TempDir()
	savePNG(t, filepath.Join(photos, "a.png"), image.NewGray(image.Rect(0, 0, 48, 48)))
	wrongUsage(t, []string{"run", "--threads", "1", "--seeds", "1", "--data", photos, "--net", "dncnn-7", "--rule", "count:0"}, "datadropout: --rule: rule \"count:0\"")
}

// A flag that would change nothing is refused, and named.
func TestIdleFlagsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--dose-controls", "--rule", "count:5"}, "--dose-controls: controls beside every amount are for the rule auto"},
		{[]string{"--net", "dncnn-7", "--bad-pairs", "0", "--bad-kinds", "blur"}, "kinds and inputs of bad pairs say how images are spoiled, and their share is 0: none are"},
		{[]string{"--net", "dncnn-7", "--data", ".", "--bad-inputs"}, "kinds and inputs of bad pairs say"},
		{[]string{"--net", "dncnn-7", "--data-memory", "100"}, "--data-memory: a bound on the memory of pixels is for data sets of classification"},
		{[]string{"--net", "dncnn-7", "--data-columns", "path=a,label=b"}, "--data-columns: columns are for data sets of classification"},
	} {
		for _, command := range []string{"run", "plan"} {
			wrongUsage(t, append([]string{command, "--out", filepath.Join(t.TempDir(), "out")}, tt.args...), tt.want)
		}
	}
}

// A fixed rule takes the place of auto with its controls, which go with it; asked for again they are refused.
func TestFixedRuleDropsTheControls(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	args := with(out, "--rule", "auto:0.1", "--dose-controls", "--seeds", "1", "--estimator", "random", "--quiet")
	args[0] = "train"
	if code, _, stderr := runCommand(t, args...); code != exitDone {
		t.Fatal(stderr)
	}
	wrongUsage(t, []string{"select", "--run", out, "--rule", "count:5", "--dose-controls"}, "controls beside every amount")
	if code, stdout, stderr := runCommand(t, "select", "--run", out, "--rule", "count:5"); code != exitDone || !strings.Contains(stdout, "Dropped: 5 of") || !strings.Contains(stderr, "--dose-controls was true and is not set; --rule was auto:0.1 and is count:5") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// What a flag's value has to be is said in plain words.
func TestValuesOfFlagsInPlainWords(t *testing.T) {
	for value, want := range map[string]string{
		"--epochs=abc": `--epochs: "abc" is not a whole number`, "--lr=x": `--lr: "x" is not a number`, "--quiet=maybe": `--quiet: "maybe" is not true or false`,
		"--budget=3": `--budget: "3" is not a length of time such as 90s, 30m or 2h`, "--epochs=99999999999999999999": "--epochs: 99999999999999999999 is beyond",
		"--augment=crop": `--augment: augmentation "crop": "crop" needs a number`,
	} {
		wrongUsage(t, []string{"run", value}, want)
	}
	t.Setenv("DATADROPOUT_EPOCHS", "many")
	wrongUsage(t, []string{"run"}, `environment variable DATADROPOUT_EPOCHS: --epochs: "many" is not a whole number`)
}

// --resume with a directory that holds no run is a slip, and trains nothing; with settings it begins the run that was killed before it
// had written anything.
func TestResumeWithoutARun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "none")
	for _, command := range []string{"run", "plan", "train"} {
		code, _, stderr := runCommand(t, command, "--resume", "--out", out, "--quiet")
		if code != exitInput || !strings.Contains(stderr, out+": no run is there to continue") {
			t.Errorf("%s --resume: exit code %d, %s", command, code, stderr)
		}
		if exists(out) {
			t.Fatalf("%s --resume made %s", command, out)
		}
	}
	if code, _, stderr := runCommand(t, "plan", "--resume", "--out", out, "--train", "40", "--score", "20", "--tune", "20", "--test", "20", "--net", "softmax", "--epochs", "1", "--seeds", "1"); code != exitDone {
		t.Errorf("with settings: exit code %d, %s", code, stderr)
	}
}

// A path of images that is not there is answered with the nearest name in its folder, and is told from a mistyped data set.
func TestMissingPathOfData(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "PHOTOS"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, tt := range []struct {
		data string
		code int
		want string
	}{
		{"PHOTSO", exitInput, "PHOTSO: no such file or folder, did you mean PHOTOS?"},
		{filepath.Join(dir, "FOTOS"), exitInput, "did you mean " + filepath.Join(dir, "PHOTOS")},
		{filepath.Join(dir, "elsewhere", "x"), exitInput, "no such file or folder"}, {"labels.csv", exitInput, "labels.csv: no such file or folder"},
		{"fashon-mnist", exitUsage, "did you mean fashion-mnist?"}, {"imagenot", exitUsage, "unknown data set"},
	} {
		if code, _, stderr := runCommand(t, "run", "--data", tt.data); code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("--data %s: exit code %d, %q, want %d and %q", tt.data, code, stderr, tt.code, tt.want)
		}
	}
}
