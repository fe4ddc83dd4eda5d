package report

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/influence"
)

var update = flag.Bool("update", false, "write the golden files anew")

// outcome is a finished run with numbers that are easy to follow: 12 training samples, of which the first three were
// given a wrong label and have removal effects below zero; the first two are dropped.
func outcome(t *testing.T) *datadropout.Outcome {
	t.Helper()
	images := dataset.Shapes(24, 1)
	train := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	noisy, err := images.WithLabelNoise(1, train[:3], 1)
	if err != nil {
		t.Fatal(err)
	}
	o := &datadropout.Outcome{
		Config:    datadropout.DefaultConfig(),
		Data:      &datadropout.Data{Images: noisy, Split: dataset.Split{Train: train, Score: []int{12, 13}, Tune: []int{14, 15}, Test: []int{16, 17, 18}}, Hash: images.Hash()},
		Estimates: &datadropout.Estimates{DegreesOfFreedom: 6.5, SeedCorrelation: math.NaN()},
		Solver:    influence.Solver{Iterations: 7, Residual: 0.005, Damping: 1.0005, Converged: true},
		Dropped:   []int{1, 0}, Kept: train[2:],
	}
	for k := range train {
		o.Estimates.Delta = append(o.Estimates.Delta, 1e-4*float64(k)-2.5e-4)
		o.Estimates.StandardError = append(o.Estimates.StandardError, 1e-4+1e-5*float64(k))
		o.Estimates.SignAgreement = append(o.Estimates.SignAgreement, max(0, 1-float64(k)/6))
		o.Predicted = append(o.Predicted, noisy.Labels[k])
		o.TrainLoss = append(o.TrainLoss, float32(12-k)/8)
	}
	o.Estimates.Delta[0], o.Estimates.Delta[1] = -2e-4, -3e-4
	o.Predicted[1] = noisy.Original[1]
	o.Calibrated = true
	o.Examined = datadropout.Examined{Harmful: []int{1, 0, 2}, Helpful: []int{11, 10}, References: 12, Samples: []datadropout.Examination{
		{
			Neighbors:      []datadropout.Neighbor{{Position: 4, Distance: 0.1}, {Position: 5, Distance: 0.25}},
			ClassNeighbors: []datadropout.Neighbor{{Position: 7, Distance: 0.5}},
			Copies:         []int{6}, Contrast: 0.2, ContrastRank: 0.5, Sharpness: 1, SharpnessRank: 0.5,
			Hurts: []datadropout.Hurt{{Position: 12, Product: -3.5, Predicted: noisy.Labels[13]}},
		},
		{Contrast: 0.01, Isolation: 1},
		{Contrast: 0.2, ContrastRank: 0.4, Sharpness: 1, SharpnessRank: 0.6},
	}}
	o.Curves = map[string][][]float64{}
	for k, name := range datadropout.Arms {
		for seed := range 3 {
			o.Curves[name] = append(o.Curves[name], []float64{2, 1 + 0.1*float64(seed), 0.5, 0.25 / float64(k+1)})
		}
	}
	arm := func(metric ...float64) *datadropout.ArmResult {
		a := &datadropout.ArmResult{TestMetric: metric}
		for _, m := range metric {
			a.TestLoss = append(a.TestLoss, 1-m)
			a.ScoreMetric, a.ScoreLoss = append(a.ScoreMetric, 2*m-0.8), append(a.ScoreLoss, 1.8-2*m)
			a.TuneMetric, a.TuneLoss = append(a.TuneMetric, 1.5*m-0.4), append(a.TuneLoss, 1.4-1.5*m)
		}
		return a
	}
	r := &o.Result
	*r = datadropout.Result{
		Schema: 1, Task: "classification", Metric: "accuracy", Backend: "cpu",
		Data: datadropout.DataResult{Name: "shapes", Train: 12, Val: 2, Tune: 2, Test: 3, Hash: o.Data.Hash, Planted: 3},
		Net:  datadropout.NetResult{Name: "lenet5", Parameters: 61706},
		Infl: datadropout.InflResult{Estimator: "cg", Seconds: 1.5, Solver: o.Solver,
			Seeds: 1, Folds: 5, SeedCorrelation: datadropout.Number(math.NaN()), MedianStandardError: 1.55e-4},
		Drop: datadropout.DropResult{Rule: "auto", Count: 2, Fraction: 2.0 / 12, PlantedFound: 2, Unfavorable: 3, Amounts: []datadropout.Amount{
			{Loss: 0.5, Metric: 0.8}, {Rule: "fraction:0.2", Count: 2, Loss: 0.4, Metric: 0.85, LossChange: -0.1, StandardError: 0.02, Chosen: true,
				Random: &datadropout.ControlAmount{LossChange: 0.03, StandardError: 0.01, Metric: 0.79}, HighestLoss: &datadropout.ControlAmount{LossChange: -0.05, StandardError: 0.02, Metric: 0.82}}}},
		Arms: datadropout.ArmsResult{
			datadropout.Full: arm(0.80, 0.81, 0.79), datadropout.Dropped: arm(0.85, 0.865, 0.835),
			datadropout.Random: arm(0.78, 0.80, 0.79), datadropout.HighestLoss: arm(0.83, 0.82, 0.84)},
		Seconds: datadropout.TimesResult{Round1: 3, Influence: 1.5, Choose: 1, Round2: 9, Total: 15}, PeakMemory: 64 << 20,
	}
	// Three test samples in three seeds: the first class has two of them, the second one.
	for k, p := range o.Data.Split.Test {
		noisy.Labels[p] = k / 2
	}
	for arm, right := range map[string]int{datadropout.Full: 3, datadropout.Dropped: 5} {
		a := r.Arms[arm]
		a.TestCalibrationError = []float64{0.1, 0.2, 0.15}
		for range noisy.Classes {
			a.TestConfusion = append(a.TestConfusion, make([]int, len(noisy.Classes)))
			a.TestClassAccuracy = append(a.TestClassAccuracy, datadropout.Number(math.NaN()))
		}
		a.TestClassAccuracy[0], a.TestClassAccuracy[1] = datadropout.Number(right)/6, 1
		a.TestConfusion[0][0], a.TestConfusion[0][2], a.TestConfusion[1][1] = right, 6-right, 3
	}
	r.Data.Classes = noisy.Classes
	compare := func(b string) datadropout.Effect {
		return datadropout.PairedEffect(r.Arms[datadropout.Dropped].TestMetric, r.Arms[b].TestMetric)
	}
	random, highest := compare(datadropout.Random), compare(datadropout.HighestLoss)
	r.Effect = compare(datadropout.Full)
	r.Control = datadropout.Controls{Random: &random, HighestLoss: &highest, LossReduction: &random}
	r.Gap = datadropout.NewGap(r.Arms, -0.12)
	r.Drop.MinClassShare, r.Drop.MinSignAgreement = o.Config.MinClassShare, o.Config.MinSignAgreement
	r.Drop.Guarded = datadropout.Guarded{Count: 1, UnstableSign: 1, Classes: []datadropout.GuardedClass{{Class: noisy.Labels[2], UnstableSign: 1}}}
	p := datadropout.Number(2.9e-7)
	r.Drop.Amounts[1].Guarded, r.Drop.Amounts[1].P, r.Drop.Amounts[1].PHolm = 1, &p, &p
	return o
}

// golden compares with a file in testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs from the golden file; look at the change and run the test with -update", name)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	o := outcome(t)
	if err := WriteSettings(dir, o.Config, o.Data); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, o); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ConfigFile, ResultFile, ScoresFile, DropFile, KeepFile, CurvesFile, ContentFile, PageFile} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, raw)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 9 {
		t.Errorf("%d files in the run directory, want 8, their checksums and no temporary ones (%v)", len(entries), err)
	}
	if _, err := os.Stat(filepath.Join(dir, durable.SumsFile)); err != nil {
		t.Error(err)
	}
}

func TestSettingsReadBack(t *testing.T) {
	dir := t.TempDir()
	o := outcome(t)
	o.Config.Recipe.Epochs, o.Config.Influence.Damping = 17, 0.25
	o.Config.Recipe.Milestones, o.Config.Recipe.Augmentation = []float64{0.5, 12}, dataset.Augmentation{Crop: 4, Flip: true}
	if err := WriteSettings(dir, o.Config, o.Data); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSettings(filepath.Join(dir, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.Config, o.Config) || s.DataHash != o.Data.Hash {
		t.Errorf("read back %+v, want %+v", s.Config, o.Config)
	}
}

func TestReadSettingsNamesAnUnknownKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("net: cnn\nlearning_speed: 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSettings(path); err == nil || !strings.Contains(err.Error(), "learning_speed") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v names neither key nor file", err)
	}
}

func TestVerdictInWords(t *testing.T) {
	tests := []struct {
		name string
		edit func(o *datadropout.Outcome)
		want []string
		not  string
	}{
		{"improved", func(*datadropout.Outcome) {}, []string{"Improved: dropping 2 samples raised"}, "trust"},
		{"tied", func(o *datadropout.Outcome) {
			o.Result.Effect = datadropout.PairedEffect([]float64{0.9, 0.8, 0.7}, []float64{0.8, 0.7, 0.6})
		}, []string{"No significant change", "All seeds changed by the same", "use more seeds"}, "100 more"},
		{"worse", func(o *datadropout.Outcome) { o.Result.Effect.Verdict = datadropout.Worse }, []string{"Worse"}, "raised"},
		{"undecided", func(o *datadropout.Outcome) {
			o.Result.Effect = datadropout.Effect{Verdict: datadropout.NoSignificantChange, MoreSeeds: 2, Detectable: 0.0123}
		}, []string{"No significant change", "2 more seeds would likely settle it", "3 seeds likely show a change of 1.23 points or more"}, "Improved"},
		{"nearly decided", func(o *datadropout.Outcome) {
			o.Result.Effect = datadropout.Effect{Verdict: datadropout.NoSignificantChange, MoreSeeds: 1}
		}, []string{" 1 more seed would likely settle it"}, "seeds would"},
		{"too small to settle", func(o *datadropout.Outcome) {
			o.Result.Effect = datadropout.Effect{Verdict: datadropout.NoSignificantChange, MoreSeeds: -1, Difference: 1e-6}
		}, []string{"Not even 100 more seeds"}, "would likely settle it, if"},
		{"one sample", func(o *datadropout.Outcome) { o.Result.Drop.Count = 1 }, []string{"dropping 1 sample raised"}, "samples"},
		{"all kept back", func(o *datadropout.Outcome) {
			o.Result.Effect.Verdict, o.Result.Drop.Amounts, o.Result.Drop.Guarded.Count = datadropout.NothingDropped, nil, 1
		}, []string{"Nothing dropped: the guards kept back 1 sample,"}, "tune"},
		{"one seed", func(o *datadropout.Outcome) {
			o.Result.Arms[datadropout.Full].TestMetric = []float64{0.8}
			o.Result.Effect = datadropout.PairedEffect([]float64{0.9}, []float64{0.8})
		}, []string{"No significant change", "One seed"}, "Improved"},
		{"nothing dropped", func(o *datadropout.Outcome) { o.Result.Effect.Verdict = datadropout.NothingDropped }, []string{"Nothing dropped", "tune"}, "Improved"},
		{"nothing to drop", func(o *datadropout.Outcome) {
			o.Result.Effect.Verdict, o.Result.Drop.Unfavorable = datadropout.NothingDropped, 0
		}, []string{"Nothing dropped", "below zero"}, "tune"},
		{"not converged", func(o *datadropout.Outcome) { o.Result.Infl.Solver.Converged = false }, []string{"did not converge", "do not trust"}, ""},
	}
	for _, tt := range tests {
		o := outcome(t)
		tt.edit(o)
		got := Verdict(o)
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q lacks %q", tt.name, got, want)
			}
		}
		if tt.not != "" && strings.Contains(got, tt.not) {
			t.Errorf("%s: %q says %q", tt.name, got, tt.not)
		}
	}
}

func TestGuardsInWords(t *testing.T) {
	for _, tt := range []struct {
		name    string
		guarded datadropout.Guarded
		seeds   int
		want    string
	}{
		{"nothing", datadropout.Guarded{}, 1, ""},
		{"signs", datadropout.Guarded{Count: 1, UnstableSign: 1, Classes: []datadropout.GuardedClass{{Class: 1, UnstableSign: 1}}}, 1,
			"The guards kept back 1 sample that the rule would have dropped: fewer than 80 % of the folds of the score split find them harmful. By class: ring 1."},
		{"classes", datadropout.Guarded{Count: 5, ClassShare: 5, Classes: []datadropout.GuardedClass{{Class: 0, ClassShare: 2}, {Class: 3, ClassShare: 3}}}, 1,
			"The guards kept back 5 samples that the rule would have dropped: every class is to keep 50 % of its samples. By class: triangle 3, disc 2."},
		{"both, over seeds too", datadropout.Guarded{Count: 9, ClassShare: 1, UnstableSign: 8, Classes: []datadropout.GuardedClass{
			{Class: 0, UnstableSign: 1}, {Class: 1, UnstableSign: 1}, {Class: 2, UnstableSign: 2}, {Class: 3, UnstableSign: 1}, {Class: 4, UnstableSign: 1},
			{Class: 5, UnstableSign: 1}, {Class: 6, UnstableSign: 1}, {Class: 7, ClassShare: 1}}}, 2,
			"The guards kept back 9 samples that the rule would have dropped: 8 because fewer than 80 % of the folds of the score split or of the seeds find them harmful, " +
				"1 because every class is to keep 50 % of its samples. By class: square 2, disc 1, ring 1, triangle 1, cross 1, star 1, others 2."},
	} {
		o := outcome(t)
		o.Result.Drop.Guarded, o.Result.Infl.Seeds = tt.guarded, tt.seeds
		o.Result.Drop.MinClassShare, o.Result.Drop.MinSignAgreement = 0.5, 0.8
		if got := Guards(o); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestGapInWords(t *testing.T) {
	o := outcome(t)
	o.Result.Gap = datadropout.NewGap(o.Result.Arms, -0.125)
	// The arm full has 0.80, 0.81 and 0.79 on test, dropped 0.85, 0.865 and 0.835; score doubles the difference, tune has 1.5 times it.
	want := "+10.00 points on score, +7.50 on tune, +5.00 on test; loss -0.100 (predicted -0.125), -0.075, -0.050. " + overfitting
	if got := Gap(o); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// Score minus test is 5, 5.5 and 4.5 points: 5 by 4.302653 * 0.5 / sqrt(3).
	rows := gapRows(&o.Result)
	if r := rows[3]; r.Metric.Change != "+5.00" || r.Metric.Interval != "+3.76 to +6.24" || r.Loss.Change != "-0.050" || rows[0].Predicted != "-0.125" {
		t.Errorf("rows %+v", rows)
	}
	// A result of an older version, without a gap, and without a prediction.
	o.Result.Gap = nil
	if got := Gap(o); got != strings.Replace(want, " (predicted -0.125)", "", 1) {
		t.Errorf("of the arms: %q", got)
	}
	o.Result.Arms[datadropout.Dropped] = &datadropout.ArmResult{}
	if got := Gap(o); got != "" || gapRows(&o.Result) != nil {
		t.Errorf("nothing dropped: %q", got)
	}
}

// The words for the number of amounts appear where there are several.
func TestCorrectedInWords(t *testing.T) {
	o := outcome(t)
	if got := corrected(&o.Result); got != "" {
		t.Errorf("one amount: %q", got)
	}
	p := datadropout.Number(0.02)
	o.Result.Drop.Amounts[1].PHolm = &p
	o.Result.Drop.Amounts = append(o.Result.Drop.Amounts, o.Result.Drop.Amounts[1])
	if got := corrected(&o.Result); !strings.Contains(got, "2 amounts were tried") || !strings.Contains(got, "Holm") || !strings.Contains(got, "On test no correction is needed") {
		t.Errorf("two amounts: %q", got)
	}
	o.Result.Drop.Count = 0
	if got := corrected(&o.Result); strings.Contains(got, "On test") {
		t.Errorf("nothing dropped: %q", got)
	}
}

func TestConfusionMatrix(t *testing.T) {
	o := outcome(t)
	c, err := NewContent(o)
	if err != nil {
		t.Fatal(err)
	}
	// Class 0 is recognized 3 and 5 times in three seeds, and taken for class 2 3 times and once.
	rows := c.confusionMatrix()
	if len(rows) != 8 || rows[0].Cells[0] != (confusionCell{"+0.7", "better3", "disc recognized: 1.0 before, 1.7 after"}) ||
		rows[0].Cells[2] != (confusionCell{"−0.7", "better3", "disc taken for square: 1.0 before, 0.3 after"}) || rows[1].Cells[1].Words != "" {
		t.Errorf("rows %+v", rows)
	}
	a := o.Result.Arms[datadropout.Dropped]
	a.TestConfusion[1][1], a.TestConfusion[1][4] = 2, 1
	if rows := c.confusionMatrix(); rows[1].Cells[1].Class != "worse2" || rows[1].Cells[4].Class != "worse2" {
		t.Errorf("a class that is recognized less: %+v", rows[1])
	}
	a.TestConfusion = a.TestConfusion[:7]
	if c.confusionMatrix() != nil {
		t.Error("a matrix of a row too few")
	}
	for _, tt := range []struct {
		d    float64
		want string
	}{{0.33, "+0.3"}, {-2, "−2"}, {12.4, "+12"}, {-9.97, "−10"}} {
		if got := signedCount(tt.d); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.d, got, tt.want)
		}
	}
}

// A run that dropped nothing has empty arms and no controls; the page and the numbers must do without.
func TestPageWithoutDrop(t *testing.T) {
	o := outcome(t)
	o.Dropped, o.Kept = nil, o.Data.Split.Train
	o.Result.Drop.Count, o.Result.Control = 0, datadropout.Controls{}
	o.Result.Effect = datadropout.Effect{Verdict: datadropout.NothingDropped, P: 1}
	o.Curves = map[string][][]float64{datadropout.Full: o.Curves[datadropout.Full]}
	o.Result.Drop.Amounts = o.Result.Drop.Amounts[:1]
	for _, arm := range []string{datadropout.Dropped, datadropout.Random, datadropout.HighestLoss} {
		o.Result.Arms[arm] = &datadropout.ArmResult{}
	}
	page, err := Page(o)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "Nothing dropped") || strings.Contains(string(page), "random control") {
		t.Error("the page of a run that dropped nothing does not say so, or shows arms that were not trained")
	}
}

func TestNumbersThatDoNotExistAreNull(t *testing.T) {
	o := outcome(t)
	o.Result.Effect = datadropout.PairedEffect([]float64{0.9}, []float64{0.8})
	raw, err := json.Marshal(o.Result)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), `"ci95":[null,null],"p_value":null`) {
		t.Errorf("no null in %s", raw)
	}
	if got := Percent(0.5, math.NaN()); got != "50.00 %" {
		t.Errorf("a spread that does not exist is written: %q", got)
	}
}

func TestClassLines(t *testing.T) {
	o := outcome(t)
	lines := classLines(o)
	if len(lines) != len(o.Data.Images.Classes) {
		t.Fatalf("%d lines, want one a class", len(lines))
	}
	if l := lines[0]; l.Test != 2 || l.Before != 0.5 || math.Abs(l.After-5.0/6) > 1e-12 || l.Change() != "+33.33" {
		t.Errorf("%+v, a change of %s", l, l.Change())
	}
	if l := lines[1]; l.Test != 1 || l.Before != 1 || l.Change() != "+0.00" {
		t.Errorf("%+v", l)
	}
	if l := lines[2]; l.Test != 0 || l.Before != 0 || l.Change() != "" {
		t.Errorf("a class without test samples: %+v", l)
	}
	train, dropped := 0, 0
	for _, l := range lines {
		train, dropped = train+l.Train, dropped+l.Dropped
	}
	if train != len(o.Data.Split.Train) || dropped != len(o.Dropped) {
		t.Errorf("%d training samples and %d dropped in the table", train, dropped)
	}
	confusions := confusionLines(o)
	if len(confusions) != 1 || confusions[0] != (ConfusionLine{0, 2, 1, 1.0 / 3}) {
		t.Errorf("confusions %+v", confusions) // 3 and 1 samples in three seeds
	}
	// Of many classes those that changed most.
	many := make([]string, mostClasses+10)
	full, after := &datadropout.ArmResult{}, &datadropout.ArmResult{}
	for k := range many {
		many[k] = fmt.Sprint("class ", k)
		full.TestClassAccuracy = append(full.TestClassAccuracy, 0.5)
		after.TestClassAccuracy = append(after.TestClassAccuracy, 0.5+datadropout.Number(k-20)/200)
	}
	images := *o.Data.Images
	images.Classes = many
	images.Labels = make([]int, len(many))
	o.Data = &datadropout.Data{Images: &images}
	for k := range many {
		images.Labels[k] = k
		o.Data.Split.Test = append(o.Data.Split.Test, k)
	}
	o.Dropped = nil
	o.Result.Arms = datadropout.ArmsResult{datadropout.Full: full, datadropout.Dropped: after}
	lines = classLines(o)
	if len(lines) != mostClasses || lines[0].Class != len(many)-1 {
		t.Errorf("%d lines, the first %+v", len(lines), lines[0])
	}
	for _, l := range lines {
		if l.Class == 20 {
			t.Errorf("class %d is shown, which did not change", l.Class)
		}
	}
}

func TestCompactNumbers(t *testing.T) {
	in := map[string]any{"a": []any{1.5, nil, -2e-9}, "b": [][]int{{1, 2}, {3, 4}}, "c": []string{"1", "2"}, "d": []int{}, "e": map[string]int{"f": 1}}
	indented, err := json.MarshalIndent(in, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got := compactNumbers(indented)
	want := `{
  "a": [1.5, null, -2e-9],
  "b": [
    [1, 2],
    [3, 4]
  ],
  "c": [
    "1",
    "2"
  ],
  "d": [],
  "e": {
    "f": 1
  }
}`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
