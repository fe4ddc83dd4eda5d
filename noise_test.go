package datadropout

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/train"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func shapesConfig() Config {
	c := DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test = 200, 50, 50, 50
	return c
}

// TestLabelNoiseOfEachKind: what each kind does to the labels of the training split, and that no other split is touched.
func TestLabelNoiseOfEachKind(t *testing.T) {
	clean := shapesConfig()
	clean.LabelNoise = 0
	plain, err := LoadData(t.Context(), &clean)
	if err != nil {
		t.Fatal(err)
	}
	var next, swap, column strings.Builder
	column.WriteString("id,worse\n")
	for i := range plain.Images.Len() {
		label := plain.Images.Labels[i]
		if i%4 == 0 {
			label = (label + 3) % 8
		}
		fmt.Fprintf(&column, "%d,%d\n", i, label)
	}
	for c := range 8 {
		row, other := make([]string, 8), make([]string, 8)
		for k := range row {
			row[k], other[k] = "0", "0"
		}
		row[(c+1)%8], row[c] = "1", "3"
		other[c^1] = "7"
		next.WriteString(strings.Join(row, ",") + "\n")
		swap.WriteString(strings.Join(other, ",") + "\n")
	}
	for name, test := range map[string]struct {
		change  func(*Config)
		wrong   func(i, label, was int) bool // what a planted label must be
		planted func(n int) bool
	}{
		"default":         {func(*Config) {}, func(int, int, int) bool { return true }, func(n int) bool { return n == 40 }},
		"pair":            {func(c *Config) { c.LabelNoiseKind, c.LabelNoise = "pair", 0.3 }, func(_, label, was int) bool { return label == (was+1)%8 }, func(n int) bool { return n == 60 }},
		"pair by default": {func(c *Config) { c.LabelNoiseKind = "pair" }, func(_, label, was int) bool { return label == (was+1)%8 }, func(n int) bool { return n == 40 }},
		"matrix of counts": {func(c *Config) { c.LabelNoiseMatrix = write(t, "next.csv", next.String()) }, func(_, label, was int) bool { return label == (was+1)%8 },
			func(n int) bool { return n > 25 && n < 75 }}, // a quarter of 200, within 4 standard deviations
		"matrix of swaps": {func(c *Config) { c.LabelNoiseMatrix = write(t, "swap.csv", swap.String()) }, func(_, label, was int) bool { return label == was^1 }, func(n int) bool { return n == 200 }},
		"labels": {func(c *Config) { c.NoisyLabels = write(t, "labels.csv", column.String()) + ":worse" }, func(i, label, was int) bool { return i%4 == 0 && label == (was+3)%8 },
			func(n int) bool { return n > 25 && n < 75 }},
	} {
		c := shapesConfig()
		test.change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d, err := LoadData(t.Context(), &c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := d.Planted(d.Split.Train); !test.planted(n) {
			t.Errorf("%s: %d planted", name, n)
		}
		for _, i := range d.Split.Train {
			if label, was := d.Images.Labels[i], plain.Images.Labels[i]; label != was && !test.wrong(i, label, was) {
				t.Errorf("%s: record %d of class %d became %d", name, i, was, label)
			}
		}
		for _, i := range slices.Concat(d.Split.Score, d.Split.Tune, d.Split.Test) {
			if d.Images.Labels[i] != plain.Images.Labels[i] {
				t.Errorf("%s: record %d is outside the training split and has another label", name, i)
			}
		}
		if d.Hash != plain.Hash {
			t.Errorf("%s: the hash is not that of the clean data", name)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: the resolved settings, which config.yaml holds, are refused: %v", name, err)
		}
	}
}

func TestLabelNoiseSettingsThatContradict(t *testing.T) {
	for says, change := range map[string]func(*Config){
		"known: symmetric, pair": func(c *Config) { c.LabelNoiseKind = "cyclic" },
		"label noise above 0":    func(c *Config) { c.LabelNoiseKind, c.LabelNoise = "pair", 0 },
		"needs a share":          func(c *Config) { c.LabelNoiseKind, c.Data, c.DataDir = "pair", "mnist", "x" },
		"exclude each other":     func(c *Config) { c.NoisyLabels, c.LabelNoise = "x", 0.2 },
		"a file of noisy labels": func(c *Config) { c.NoisyLabels, c.LabelNoiseMatrix = "x", "y" },
	} {
		c := shapesConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one about %q", err, says)
		}
	}
}

func TestSplitColumn(t *testing.T) {
	odd := write(t, "a:b", "1\n")
	for name, want := range map[string][2]string{
		"labels.csv":         {"labels.csv", ""},
		"labels.csv:worse":   {"labels.csv", "worse"},
		"dir:x/labels.csv:2": {"dir:x/labels.csv", "2"},
		"dir:x/labels.csv":   {"dir:x/labels.csv", ""},
		"labels.csv:":        {"labels.csv:", ""},
		":worse":             {":worse", ""},
		odd:                  {odd, ""},
		odd + ":worse":       {odd, "worse"},
	} {
		if path, column := splitColumn(name); path != want[0] || column != want[1] {
			t.Errorf("%q: %q and %q", name, path, column)
		}
	}
}

// TestFingerprint: what decides a bit of a training is in it, also what a file of labels holds; and what does not is not.
func TestFingerprint(t *testing.T) {
	fingerprint := func(change func(*Config)) string {
		c := shapesConfig()
		change(&c)
		d, err := LoadData(t.Context(), &c)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Fingerprint(c, d)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	var labels strings.Builder
	for i := range 350 {
		fmt.Fprintln(&labels, i%8)
	}
	first, same, other := write(t, "a", labels.String()), write(t, "b", labels.String()), write(t, "c", strings.Replace(labels.String(), "1", "2", 100))
	seen := map[string]string{}
	for name, change := range map[string]func(*Config){
		"default":      func(*Config) {},
		"augmentation": func(c *Config) { c.Recipe.Augmentation = dataset.Augmentation{Flip: true} },
		"cutout":       func(c *Config) { c.Recipe.Augmentation = dataset.Augmentation{Flip: true, Cutout: 3} },
		"milestones":   func(c *Config) { c.Recipe.Schedule, c.Recipe.Milestones = train.Milestones, []float64{0.5} },
		"Nesterov":     func(c *Config) { c.Recipe.Nesterov = true },
		"pair":         func(c *Config) { c.LabelNoiseKind = "pair" },
		"clean":        func(c *Config) { c.LabelNoise = 0 },
		"labels":       func(c *Config) { c.NoisyLabels = first },
		"other labels": func(c *Config) { c.NoisyLabels = other },
	} {
		f := fingerprint(change)
		if twin, ok := seen[f]; ok {
			t.Errorf("%s and %s have one fingerprint", name, twin)
		}
		seen[f] = name
	}
	for name, change := range map[string]func(*Config){
		"default": func(c *Config) { c.Threads = 3 },
		"labels":  func(c *Config) { c.NoisyLabels = same },
	} {
		if got := seen[fingerprint(change)]; got != name {
			t.Errorf("%s elsewhere or on other threads: the fingerprint of %q", name, got)
		}
	}
}
