package report

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/evidence"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/train"
)

// verified is a finished study of a calibrated estimator and of a ranking, with numbers that are easy to follow.
func verified() *evidence.Result {
	agreement := func(slope float64) evidence.Agreement {
		return evidence.Agreement{
			Pearson: 0.97, Spearman: 0.9, SpearmanCI: datadropout.Interval{0.7, 1}, Slope: datadropout.Number(slope), Offset: 2e-5,
			Predicted: []float64{-0.002, -0.001, 0, 0.001, 0.003}, True: []float64{-0.0018, -0.0012, 0.0001, 0.0008, 0.0031},
		}
	}
	nan := datadropout.Number(math.NaN())
	none := evidence.Agreement{Pearson: nan, Spearman: nan, SpearmanCI: datadropout.Interval{nan, nan}, Slope: nan, Offset: nan,
		Predicted: []float64{0, 0, 0}, True: []float64{0.001, 0.002, -0.001}}
	group := evidence.GroupResult{Fraction: 0.1, Count: 12, Harmful: evidence.Change{ScoreLoss: -0.05, TestLoss: -0.04, TestMetric: 0.02},
		Helpful: evidence.Change{ScoreLoss: 0.03, TestLoss: 0.02, TestMetric: -0.01}, Random: evidence.Change{ScoreLoss: 0.001},
		RandomSD: evidence.SpreadOf{ScoreLoss: 0.002, TestLoss: 0.003, TestMetric: 0.001}, Draws: 5, PredictedHarmful: -0.06, PredictedHelpful: 0.02}
	mislabel := &evidence.MislabelResult{Planted: 24, AUC: 0.95, Found: []evidence.FoundResult{{Inspected: 0.05, Found: 0.25, Possible: 0.25}, {Inspected: 0.1, Found: 0.45, Possible: 0.5}, {Inspected: 0.2, Found: 0.8, Possible: 1}}}
	return &evidence.Result{
		Schema: 1, Version: "0.1.0", Task: "classification", Backend: "cpu", Metric: "accuracy", HyperParameters: evidence.FixedBefore,
		Data: datadropout.DataResult{Name: "shapes", Train: 120, Val: 60, Test: 60, Hash: "abc", Planted: 24}, Net: datadropout.NetResult{Name: "lenet5", Parameters: 61706},
		Recipe:  train.Recipe{Epochs: 3, BatchSize: 32, LearningRate: 0.02, Momentum: 0.9, WeightDecay: 5e-4},
		Options: evidence.Options{Estimators: []string{"cg", "loss"}, PerPoint: 4}.WithDefaults(true),
		Full:    []evidence.FullResult{{ScoreLoss: 0.5, TestLoss: 0.6, TestMetric: 0.8}}, TrainingSeconds: 2, Retrainings: 90, Resumed: 4,
		Warnings: []string{"A limit <of> the figures."}, Seconds: 180, PeakMemory: 64 << 20,
		Estimators: []evidence.EstimatorResult{
			{Name: "cg", Calibrated: true, Solver: influence.Solver{Iterations: 12, Residual: 0.005, Converged: true}, Seconds: 1, Trainings: 0.5,
				LOO: &evidence.LOOResult{Group: 1, Agreement: agreement(1.02)},
				LDS: []evidence.LDSResult{{Fraction: 0.1, Count: 12, Agreement: agreement(0.95),
					PerPoint: &evidence.PerPointResult{Points: 4, Spearman: 0.4, SpearmanCI: datadropout.Interval{0.3, 0.5}, Seconds: 2}}},
				Group: []evidence.GroupResult{group}, Mislabel: mislabel},
			{Name: "loss", Solver: influence.Solver{Converged: true}, Seconds: 0.1, Trainings: 0.05,
				LOO: &evidence.LOOResult{Group: 1, Agreement: none}, LDS: []evidence.LDSResult{{Fraction: 0.1, Count: 12, Agreement: none}},
				Group: []evidence.GroupResult{group}, Mislabel: mislabel},
		},
	}
}

func TestVerifyFiles(t *testing.T) {
	dir := t.TempDir()
	r := verified()
	r.Options.Tests = evidence.Tests
	if err := WriteVerify(dir, r); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{VerifyFile, VerifyTableFile, VerifyPageFile} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, raw)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("%d files in the directory, want 3, their checksums and no temporary ones (%v)", len(entries), err)
	}
}

// Every figure of the table stands under its name, and figures that do not exist are empty cells.
func TestVerifyTable(t *testing.T) {
	records, err := csv.NewReader(strings.NewReader(string(verifyCSV(verified())))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 1+2*4 {
		t.Fatalf("%d rows, want a header and 8", len(records))
	}
	column := map[string]int{}
	for k, name := range records[0] {
		column[name] = k
	}
	for _, test := range []struct {
		row          int
		column, want string
	}{
		{1, "estimator", "cg"}, {1, "test", "loo"}, {1, "count", "1"}, {1, "slope", "1.02"}, {1, "offset", "2e-05"}, {1, "fraction", ""}, {1, "pairs", "5"},
		{2, "test", "lds"}, {2, "fraction", "0.1"}, {2, "spearman", "0.9"}, {2, "spearman_low", "0.7"}, {2, "point_spearman", "0.4"}, {2, "auc", ""},
		{3, "harmful_test_loss", "-0.04"}, {3, "helpful_test_metric", "-0.01"}, {3, "random_score_loss", "0.001"},
		{4, "auc", "0.95"}, {4, "found_5", "0.25"}, {4, "found_10", "0.45"}, {4, "found_20", "0.8"}, {4, "calibrated", "true"}, {4, "trainings", "0.5"},
		{5, "estimator", "loss"}, {5, "pearson", ""}, {5, "spearman_high", ""}, {5, "calibrated", "false"},
	} {
		if got := records[test.row][column[test.column]]; got != test.want {
			t.Errorf("row %d: %s is %q, want %q", test.row, test.column, got, test.want)
		}
	}
}

func TestVerifyPage(t *testing.T) {
	r := verified()
	r.Options.Tests = evidence.Tests
	page, err := VerifyPage(r)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, want := range []string{evidence.FixedBefore, "A limit &lt;of&gt; the figures.", "0.900 (0.70 to 1.00)", "ranking only", "80.0 %", "12 iterations"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if got := strings.Count(text, "<svg"); got != 4 {
		t.Errorf("%d plots, want one of loo and one of lds for each estimator", got)
	}
	if got := strings.Count(text, `class="exact"`); got != 2 {
		t.Errorf("%d lines of exact prediction, want those of the calibrated estimator", got)
	}
	for _, not := range []string{"http://", "https://", "ZgotmplZ", "NaN"} {
		if strings.Contains(text, not) {
			t.Errorf("the page holds %q", not)
		}
	}
	r.Options.Tests = []string{evidence.Mislabel}
	for k := range r.Estimators {
		e := &r.Estimators[k]
		e.LOO, e.LDS, e.Group = nil, nil, nil
	}
	if page, err = VerifyPage(r); err != nil || strings.Contains(string(page), "<svg") || strings.Contains(string(page), "Random subsets") {
		t.Errorf("a study of planted labels alone shows tests that were not asked for (%v)", err)
	}
}

func TestVerifyNumbersThatDoNotExistAreNull(t *testing.T) {
	raw, err := json.Marshal(verified())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), `"pearson":null,"spearman":null,"spearman_ci95":[null,null],"slope":null,"offset":null`) {
		t.Errorf("no null in %s", raw)
	}
}
