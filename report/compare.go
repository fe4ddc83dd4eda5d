package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
)

// Comparison puts finished runs side by side: what `datadropout compare --json` prints. Keys stay; more may be added.
type Comparison struct {
	Schema int           `json:"schema"`
	Runs   []ComparedRun `json:"runs"`
	// Settings are those that differ between the runs.
	Settings []SettingLine `json:"settings"`
	// Warnings say what can't be compared, and why.
	Warnings []string `json:"warnings"`
	// Pairs has an entry for every two runs.
	Pairs []RunPair `json:"pairs"`
}

// ComparedRun is a run of a comparison.
type ComparedRun struct {
	// Name is the last part of the path that tells the runs apart, and Dir the path.
	Name string `json:"name"`
	Dir  string `json:"dir"`
	// Trusted says that the influence solver converged.
	Trusted bool `json:"trusted"`
	// Arms are the arms that were trained.
	Arms []ComparedArm `json:"arms"`
	// Result is that of result.json, without the figures by class.
	Result datadropout.Result `json:"result"`

	settings *Settings
	scores   *Scores
	dropped  map[string]bool // ids
}

// ComparedArm is an arm on the test split: means over seeds.
type ComparedArm struct {
	Arm     string             `json:"arm"`
	Samples int                `json:"samples"`
	Metric  float64            `json:"test_metric"`
	SD      datadropout.Number `json:"test_metric_sd"`
	Loss    float64            `json:"test_loss"`
}

// SettingLine is a setting of config.yaml that differs, with its value in every run; empty where it is not set.
type SettingLine struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// RunPair is what two runs, by their places from 0, have in common. Figures that do not exist are NaN (null).
type RunPair struct {
	A int `json:"a"`
	B int `json:"b"`
	// Common counts the training samples that both have, by id, and is 0 where the data differ.
	Common int `json:"common"`
	// Jaccard is the share of the samples dropped by both among those dropped by either, of the common ones (Jaccard 1912), and BothDropped
	// their number.
	Jaccard     datadropout.Number `json:"jaccard"`
	BothDropped int                `json:"both_dropped"`
	// Spearman is the rank correlation of the removal effects of the common samples.
	Spearman datadropout.Number `json:"spearman"`
	// Effect compares the dropped arm of B with that of A, over the seeds that they share; nil where they were not tested alike.
	Effect *datadropout.Effect `json:"effect"`
}

const comparisonSchema = 1

// Compare reads finished runs and puts them side by side.
func Compare(dirs []string) (*Comparison, error) {
	c := &Comparison{Schema: comparisonSchema, Settings: []SettingLine{}, Warnings: []string{}, Pairs: []RunPair{}}
	names := shortNames(dirs)
	for k, dir := range dirs {
		r, err := readCompared(dir)
		if err != nil {
			return nil, err
		}
		r.Name = names[k]
		c.Runs = append(c.Runs, *r)
	}
	if err := c.findDifferences(); err != nil {
		return nil, err
	}
	c.warn()
	for a := range c.Runs {
		for b := a + 1; b < len(c.Runs); b++ {
			c.Pairs = append(c.Pairs, comparePair(a, b, &c.Runs[a], &c.Runs[b]))
		}
	}
	return c, nil
}

func readCompared(dir string) (*ComparedRun, error) {
	result, err := ReadResult(dir)
	if err != nil {
		return nil, err
	}
	r := &ComparedRun{Dir: dir, Result: *result, Trusted: result.Infl.Solver.Converged, dropped: map[string]bool{}}
	config := filepath.Join(dir, ConfigFile)
	if r.settings, err = ReadSettings(config); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = errors.New("no such file")
		}
		return nil, &dataset.InputError{Path: config, Err: err}
	}
	if r.scores, err = ReadScores(filepath.Join(dir, ScoresFile)); err != nil {
		return nil, err
	}
	dropped, err := ReadScores(filepath.Join(dir, DropFile))
	if err != nil {
		return nil, err
	}
	for _, id := range dropped.IDs {
		r.dropped[id] = true
	}
	for _, l := range armLines(result) {
		r.Arms = append(r.Arms, ComparedArm{l.Arm, l.Samples, l.Metric, datadropout.Number(l.MetricSD), l.Loss})
	}
	// Figures by class are for one run's page.
	for arm, a := range r.Result.Arms {
		slim := *a
		slim.TestConfusion, slim.TestClassAccuracy = nil, nil
		r.Result.Arms[arm] = &slim
	}
	return r, nil
}

// shortNames are the last parts of paths, as many as tell them apart, and the whole paths where none do.
func shortNames(dirs []string) []string {
	for parts := 1; parts <= 3; parts++ {
		var names []string
		for _, dir := range dirs {
			all := strings.Split(filepath.ToSlash(filepath.Clean(dir)), "/")
			names = append(names, strings.Join(all[max(0, len(all)-parts):], "/"))
		}
		if sorted := slices.Sorted(slices.Values(names)); len(slices.Compact(sorted)) == len(dirs) {
			return names
		}
	}
	return dirs
}

// findDifferences fills in the settings that differ.
func (c *Comparison) findDifferences() error {
	all := make([]map[string]string, len(c.Runs))
	keys := map[string]bool{}
	for k, r := range c.Runs {
		s := *r.settings
		// Where the data lie, and how much of the machine was used, change no result.
		s.Denoise.TestDir, s.Denoise.NoisyDir, s.Denoise.NoisyTestDir = "", "", ""
		s.LabelNoiseMatrix, s.NoisyLabels = "", "" // which the hash of the labels tells apart
		s.DataDir, s.Threads, s.DataMemory, s.Influence.Memory, s.Influence.Disk = "", 0, 0, 0, 0
		var tree map[string]any
		raw, err := yaml.Marshal(s)
		if err == nil {
			err = yaml.Unmarshal(raw, &tree)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.Dir, err)
		}
		all[k] = map[string]string{}
		flatten("", tree, all[k])
		for key := range all[k] {
			keys[key] = true
		}
	}
	for key := range keys {
		line := SettingLine{Key: key}
		for _, values := range all {
			line.Values = append(line.Values, values[key])
		}
		if slices.ContainsFunc(line.Values, func(v string) bool { return v != line.Values[0] }) {
			c.Settings = append(c.Settings, line)
		}
	}
	slices.SortFunc(c.Settings, func(a, b SettingLine) int { return strings.Compare(a.Key, b.Key) })
	return nil
}

// flatten gives every leaf of a tree of settings a key such as recipe.epochs.
func flatten(prefix string, tree map[string]any, into map[string]string) {
	for key, v := range tree {
		if sub, ok := v.(map[string]any); ok {
			flatten(prefix+key+".", sub, into)
			continue
		}
		into[prefix+key] = strings.Trim(fmt.Sprint(v), "[]")
	}
}

// warn says what keeps the runs from being compared with the first one.
func (c *Comparison) warn() {
	first := &c.Runs[0]
	for k := range c.Runs {
		r := &c.Runs[k]
		if !r.Trusted {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s: the influence solver did not converge, so its removal effects must not be trusted", r.Name))
		}
		if n := seedsOf(&r.Result); n < 2 {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s: one seed, so its effect has no interval", r.Name))
		}
		if k == 0 {
			continue
		}
		if why := first.otherTest(r); why != "" {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s and %s were not tested on the same samples: %s", first.Name, r.Name, why))
		}
		a, b := &first.Result, &r.Result
		if a.Metric != b.Metric {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s is measured by %s and %s by %s: neither effects nor arms compare", first.Name, a.Metric, r.Name, b.Metric))
		}
		if a.Net.Name != b.Net.Name {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s trains %s and %s %s: arms differ by the network as well", first.Name, a.Net.Name, r.Name, b.Net.Name))
		} else if asText(first.settings.Recipe) != asText(r.settings.Recipe) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s and %s train by different recipes: arms differ by that as well", first.Name, r.Name))
		}
		if labelNoise(first.settings) != labelNoise(r.settings) && a.Data.Hash == b.Data.Hash {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s and %s differ in their label noise: they train on other labels", first.Name, r.Name))
		}
		if badPairs(first.settings) != badPairs(r.settings) && a.Data.Hash == b.Data.Hash {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s and %s differ in their bad pairs: they train on other targets", first.Name, r.Name))
		}
		if p, q := patchSize(first), patchSize(r); p != q && p > 0 && q > 0 {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s is trained on patches of %dx%d and %s of %dx%d: they have no sample in common", first.Name, p, p, r.Name, q, q))
		}
	}
}

// otherTest says why the test samples of two runs differ, or may; nothing if they are the same.
func (r *ComparedRun) otherTest(o *ComparedRun) string {
	a, b := &r.Result.Data, &o.Result.Data
	switch {
	case a.Hash != b.Hash && a.Name != b.Name:
		return fmt.Sprintf("the data are %s and %s", a.Name, b.Name)
	case a.Hash != b.Hash:
		return "the content of their data differs"
	case a.Test != b.Test:
		return fmt.Sprintf("%d and %d of them", a.Test, b.Test)
	case r.Result.Denoising != nil && o.Result.Denoising != nil:
		return r.otherTestImages(o)
	case r.settings.Seed != o.settings.Seed:
		return fmt.Sprintf("the split is drawn by the seeds %d and %d", r.settings.Seed, o.settings.Seed)
	case (a.Name == "shapes" || !slices.Contains(dataset.Known(), a.Name)) && ([3]int{a.Train, a.Val, a.Tune} != [3]int{b.Train, b.Val, b.Tune}):
		return "the sizes of the splits differ"
	}
	return ""
}

// otherTestImages is otherTest of runs that denoise, of as many test images of the same data.
func (r *ComparedRun) otherTestImages(o *ComparedRun) string {
	a, b := r.Result.Denoising, o.Result.Denoising
	drawn := r.settings.Denoise.TestDir == "" || o.settings.Denoise.TestDir == ""
	switch {
	case r.settings.Seed != o.settings.Seed:
		return fmt.Sprintf("noise and splits are drawn by the seeds %d and %d", r.settings.Seed, o.settings.Seed)
	case a.Evaluated != b.Evaluated:
		return fmt.Sprintf("their noise is %s and %s", cmp.Or(a.Evaluated, "that of real pairs"), cmp.Or(b.Evaluated, "that of real pairs"))
	case drawn && [3]int{a.TrainImages, a.ScoreImages, a.TuneImages} != [3]int{b.TrainImages, b.ScoreImages, b.TuneImages}:
		return "the sizes of the splits differ"
	}
	return ""
}

// patchSize is the side of the patches of a run that denoises; 0 of others.
func patchSize(r *ComparedRun) int {
	if d := r.Result.Denoising; d != nil {
		return d.PatchSize
	}
	return 0
}

func badPairs(s *Settings) string {
	return fmt.Sprint(s.Denoise.BadPairs, s.Denoise.BadKinds, s.Denoise.BadInputs)
}

func labelNoise(s *Settings) string {
	return fmt.Sprint(s.LabelNoise, s.LabelNoiseKind, s.LabelsHash)
}

// asText is a value in JSON, for comparing.
func asText(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// comparePair compares two runs by what they say of the samples that both trained on, and by their dropped arms.
func comparePair(a, b int, x, y *ComparedRun) RunPair {
	nan := datadropout.Number(math.NaN())
	p := RunPair{A: a, B: b, Jaccard: nan, Spearman: nan}
	if x.Result.Data.Hash == y.Result.Data.Hash && patchSize(x) == patchSize(y) {
		place := make(map[string]int, len(y.scores.IDs))
		for k, id := range y.scores.IDs {
			place[id] = k
		}
		var left, right []float64
		either := 0
		for k, id := range x.scores.IDs {
			j, both := place[id]
			if !both {
				continue
			}
			left, right = append(left, x.scores.Delta[k]), append(right, y.scores.Delta[j])
			if x.dropped[id] || y.dropped[id] {
				either++
			}
			if x.dropped[id] && y.dropped[id] {
				p.BothDropped++
			}
		}
		p.Common = len(left)
		if either > 0 {
			p.Jaccard = datadropout.Number(float64(p.BothDropped) / float64(either))
		}
		if vary(left) && vary(right) {
			p.Spearman = datadropout.Number(stat.Correlation(datadropout.Ranks(left), datadropout.Ranks(right), nil))
		}
	}
	if x.Result.Metric == y.Result.Metric && x.otherTest(y) == "" {
		p.Effect = overSeeds(x.final(), y.final())
	}
	return p
}

// final returns the test metric of what a run ends with, an entry a seed: the dropped arm, or the full one where nothing was dropped.
func (r *ComparedRun) final() []float64 {
	for _, arm := range []string{datadropout.Dropped, datadropout.Full} {
		if a := r.Result.Arms[arm]; a != nil && len(a.TestMetric) > 0 {
			return a.TestMetric
		}
	}
	return nil
}

// overSeeds compares b with a over the seeds that both have, which begin alike; nil without any.
func overSeeds(a, b []float64) *datadropout.Effect {
	n := min(len(a), len(b))
	if n == 0 {
		return nil
	}
	e := datadropout.PairedEffect(b[:n], a[:n])
	return &e
}

func vary(v []float64) bool {
	return slices.ContainsFunc(v, func(x float64) bool { return x != v[0] })
}
