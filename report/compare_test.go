package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
)

// comparedDir writes the files of a run that Compare reads: samples with the given removal effects, of which the dropped ones are named by place.
func comparedDir(t *testing.T, name string, deltas []float64, dropped []int, full, after []float64, change func(r *datadropout.Result, s *Settings)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := datadropout.Result{
		Schema: 1, Metric: "accuracy", Net: datadropout.NetResult{Name: "cnn"}, Data: datadropout.DataResult{Name: "shapes", Train: len(deltas), Val: 5, Tune: 5, Test: 50, Hash: "abc"},
		Drop: datadropout.DropResult{Rule: "count:2", Count: len(dropped), Fraction: float64(len(dropped)) / float64(len(deltas))},
		Arms: datadropout.ArmsResult{"full": {TestMetric: full, TestLoss: full}, "dropped": {TestMetric: after, TestLoss: after}},
	}
	r.Infl.Estimator, r.Infl.Solver.Converged = "cg", true
	r.Effect = datadropout.PairedEffect(after, full)
	s := Settings{Config: datadropout.DefaultConfig(), DataHash: "abc", Version: "1"}
	if change != nil {
		change(&r, &s)
	}
	table := func(places []int) []byte {
		var b strings.Builder
		b.WriteString("index,id,label,delta\n")
		for _, k := range places {
			fmt.Fprintf(&b, "%d,s/%d,0,%v\n", k, k, deltas[k])
		}
		return []byte(b.String())
	}
	all := make([]int, len(deltas))
	for k := range all {
		all[k] = k
	}
	result, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("net: %s\nseed: %d\nlabel_noise: %v\nrecipe:\n  epochs: %d\ndata_hash: %s\nversion: %s\n", s.Net, s.Seed, s.LabelNoise, s.Recipe.Epochs, s.DataHash, s.Version)
	if d := s.Denoise; s.Task == datadropout.Denoising {
		config += fmt.Sprintf("task: %s\ndenoise:\n  bad_pairs: %v\n  stride: %d\n", s.Task, d.BadPairs, d.Stride)
	}
	if s.NoisyLabels != "" {
		config += fmt.Sprintf("noisy_labels: %s\nlabels_hash: %s\n", s.NoisyLabels, s.LabelsHash)
	}
	for file, raw := range map[string][]byte{ResultFile: result, ConfigFile: []byte(config), ScoresFile: table(all), DropFile: table(dropped)} {
		if err := os.WriteFile(filepath.Join(dir, file), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCompare(t *testing.T) {
	a := comparedDir(t, "a", []float64{-3, -2, -1, 0, 1}, []int{0, 1}, []float64{0.5, 0.6}, []float64{0.6, 0.8}, nil)
	b := comparedDir(t, "b", []float64{-2, -3, 1, 0, -1}, []int{1, 0, 4}, []float64{0.5, 0.6, 0.7}, []float64{0.7, 0.9, 1}, func(_ *datadropout.Result, s *Settings) { s.Recipe.Epochs = 99 })
	c, err := Compare([]string{a, b})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Pairs[0]
	// Ranks 1 2 3 4 5 against 2 1 5 4 3: 1 - 6 (1+1+4+0+4) / (5 24) = 0.5.
	if len(c.Pairs) != 1 || p.Common != 5 || p.BothDropped != 2 || math.Abs(float64(p.Jaccard)-2.0/3) > 1e-15 || math.Abs(float64(p.Spearman)-0.5) > 1e-12 {
		t.Errorf("%+v", p)
	}
	if p.Effect == nil || math.Abs(p.Effect.Difference-0.1) > 1e-12 {
		t.Errorf("effect of the second over the first: %+v", p.Effect)
	}
	if len(c.Settings) != 1 || c.Settings[0].Key != "recipe.epochs" || c.Settings[0].Values[1] != "99" {
		t.Errorf("settings %+v", c.Settings)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "recipes") {
		t.Errorf("warnings %q", c.Warnings)
	}
	if c.Runs[0].Name != "a" || c.Runs[1].Name != "b" {
		t.Errorf("names %s, %s", c.Runs[0].Name, c.Runs[1].Name)
	}
	raw, err := json.Marshal(c)
	if err != nil || !strings.Contains(string(raw), `"jaccard":0.666`) {
		t.Errorf("%s, %v", raw, err)
	}
}

// Labels from files are told apart by what the files hold, and not by where they lie.
func TestCompareLabelsByContent(t *testing.T) {
	labels := func(path, hash string) string {
		return comparedDir(t, hash, []float64{-2, -1, 0}, []int{0}, []float64{0.5, 0.6}, []float64{0.6, 0.8},
			func(_ *datadropout.Result, s *Settings) { s.NoisyLabels, s.LabelsHash = path, hash })
	}
	a := labels("labels.csv", "aa")
	for _, test := range []struct {
		dir   string
		other bool
	}{{labels("/elsewhere/labels.csv", "aa"), false}, {labels("labels.csv", "bb"), true}} {
		c, err := Compare([]string{a, test.dir})
		if err != nil {
			t.Fatal(err)
		}
		if warns := strings.Contains(strings.Join(c.Warnings, "\n"), "label noise"); warns != test.other || (len(c.Settings) > 0) != test.other {
			t.Errorf("%s: warnings %q, settings %+v", test.dir, c.Warnings, c.Settings)
		}
	}
}

// What is not comparable is said, and not compared.
func TestCompareWarns(t *testing.T) {
	deltas, dropped, full, after := []float64{-3, -2, -1, 0, 1}, []int{0}, []float64{0.5, 0.6}, []float64{0.6, 0.8}
	a := comparedDir(t, "a", deltas, dropped, full, after, nil)
	for name, tt := range map[string]struct {
		change func(r *datadropout.Result, s *Settings)
		says   string
		alike  bool // tested on the same samples
		common int
	}{
		"same":     {nil, "", true, 5},
		"data":     {func(r *datadropout.Result, s *Settings) { r.Data.Hash, s.DataHash = "other", "other" }, "the content of their data differs", false, 0},
		"set":      {func(r *datadropout.Result, _ *Settings) { r.Data.Hash, r.Data.Name = "other", "mnist" }, "shapes and mnist", false, 0},
		"seed":     {func(_ *datadropout.Result, s *Settings) { s.Seed = 7 }, "seeds 0 and 7", false, 5},
		"size":     {func(r *datadropout.Result, _ *Settings) { r.Data.Test = 40 }, "50 and 40", false, 5},
		"split":    {func(r *datadropout.Result, _ *Settings) { r.Data.Val = 4 }, "sizes of the splits", false, 5},
		"net":      {func(r *datadropout.Result, s *Settings) { r.Net.Name, s.Net = "mlp", "mlp" }, "mlp: arms differ", true, 5},
		"noise":    {func(_ *datadropout.Result, s *Settings) { s.LabelNoise = 0.3 }, "label noise", true, 5},
		"metric":   {func(r *datadropout.Result, _ *Settings) { r.Metric = "psnr" }, "psnr", false, 5},
		"trust":    {func(r *datadropout.Result, _ *Settings) { r.Infl.Solver.Converged = false }, "must not be trusted", true, 5},
		"one seed": {func(r *datadropout.Result, _ *Settings) { r.Arms["full"].TestMetric = full[:1] }, "no interval", true, 5},
	} {
		c, err := Compare([]string{a, comparedDir(t, "b", deltas, dropped, full, after, tt.change)})
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(c.Warnings, "\n"); !strings.Contains(all, tt.says) || (tt.says == "") != (all == "") {
			t.Errorf("%s: warnings %q", name, all)
		}
		if p := c.Pairs[0]; (p.Effect != nil) != tt.alike || p.Common != tt.common {
			t.Errorf("%s: %+v", name, p)
		}
		if _, err := c.Page(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestComparePageEscapes(t *testing.T) {
	deltas, values := []float64{-1, 1}, []float64{0.5, 0.6}
	bad := "<script>alert(1)</script>"
	a := comparedDir(t, "a", deltas, []int{0}, values, values, nil)
	b := comparedDir(t, "b", deltas, []int{0}, values, values, func(r *datadropout.Result, _ *Settings) { r.Data.Name, r.Drop.Rule = bad, bad })
	c, err := Compare([]string{a, b})
	if err != nil {
		t.Fatal(err)
	}
	page, err := c.Page()
	if err != nil || strings.Contains(string(page), "<script") || !strings.Contains(string(page), "&lt;script&gt;") {
		t.Errorf("%v: a name is not escaped", err)
	}
}

func TestShortNames(t *testing.T) {
	for _, tt := range []struct{ dirs, want []string }{
		{[]string{"runs/a", "runs/b/"}, []string{"a", "b"}},
		{[]string{"x/run", "y/run"}, []string{"x/run", "y/run"}},
		{[]string{"run", "run"}, []string{"run", "run"}},
	} {
		if got := shortNames(tt.dirs); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v", tt.dirs, got)
		}
	}
}

func TestReadScoresRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"":                            "line 1",
		"index,id\n1,a\n":             "delta is missing",
		"index,id,delta\n1,a,x\n":     "line 2",
		"index,id,delta\n1,a,\n":      "line 2",
		"index,id,delta\n1.5,a,0\n":   "line 2",
		"index,id,delta\n1,a,0\n2,b":  "line 3",
		"index,id,delta\n1,\"a,0,0\n": "line 2",
	} {
		path := filepath.Join(t.TempDir(), ScoresFile)
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadScores(path); err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), ScoresFile)
	if err := os.WriteFile(path, []byte("index,id,delta,share,word\n4,a,-1e-3,,yes\n9,b,2,0.5,no\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := ReadScores(path)
	if err != nil || !slices.Equal(s.Index, []int{4, 9}) || s.Delta[0] != -1e-3 || !s.Columns[3].Absent[0] || s.Columns[3].Floats[1] != 0.5 || s.Columns[4].Texts[0] != "yes" {
		t.Errorf("%+v, %v", s, err)
	}
}

// Runs that denoise are compared where they restored the same images with the same noise, and their patches where they are of one size.
func TestCompareDenoising(t *testing.T) {
	kind := func(edit func(d *datadropout.DenoisingResult, s *Settings)) func(r *datadropout.Result, s *Settings) {
		return func(r *datadropout.Result, s *Settings) {
			r.Metric, r.Data.Name = "psnr", "dead-leaves"
			s.Config = datadropout.DenoisingConfig(s.Config)
			r.Denoising = &datadropout.DenoisingResult{Evaluated: "gaussian:25", PatchSize: 40, TrainImages: 9, ScoreImages: 2, TuneImages: 2, TestImages: 50}
			if edit != nil {
				edit(r.Denoising, s)
			}
		}
	}
	run := func(name string, edit func(d *datadropout.DenoisingResult, s *Settings)) string {
		return comparedDir(t, name, []float64{-3, -2, 1, 2}, []int{0, 1}, []float64{28, 28.1}, []float64{28.2, 28.4}, kind(edit))
	}
	first := run("first", nil)
	for _, tt := range []struct {
		name   string
		edit   func(d *datadropout.DenoisingResult, s *Settings)
		says   string
		common int
		alike  bool
	}{
		{"same", nil, "", 4, true},
		{"more patches", func(_ *datadropout.DenoisingResult, s *Settings) { s.Denoise.Stride = 7 }, "", 4, true},
		{"noise", func(d *datadropout.DenoisingResult, _ *Settings) { d.Evaluated = "gaussian:15" }, "their noise is gaussian:25 and gaussian:15", 4, false},
		{"seed", func(_ *datadropout.DenoisingResult, s *Settings) { s.Seed++ }, "noise and splits are drawn by the seeds", 4, false},
		{"split", func(d *datadropout.DenoisingResult, _ *Settings) { d.TrainImages++ }, "the sizes of the splits differ", 4, false},
		{"patch size", func(d *datadropout.DenoisingResult, _ *Settings) { d.PatchSize = 24 }, "is trained on patches of 40x40 and patch size of 24x24: they have no sample in common", 0, true},
		{"bad pairs", func(_ *datadropout.DenoisingResult, s *Settings) { s.Denoise.BadPairs = 0.5 }, "differ in their bad pairs", 4, true},
	} {
		c, err := Compare([]string{first, run(tt.name, tt.edit)})
		if err != nil {
			t.Fatal(err)
		}
		if p := c.Pairs[0]; p.Common != tt.common || (p.Effect != nil) != tt.alike {
			t.Errorf("%s: %+v", tt.name, p)
		}
		if said := strings.Join(c.Warnings, "; "); !strings.Contains(said, tt.says) || tt.says == "" && said != "" {
			t.Errorf("%s: warnings %q, want %q", tt.name, said, tt.says)
		}
	}
}
