package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"strconv"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/evidence"
)

// Names of the files that a study of the estimators writes, and of the folder of its retrainings.
const (
	VerifyFile      = "verify.json"
	VerifyTableFile = "verify.csv"
	VerifyPageFile  = "verify.html"
	CacheDir        = "cache"
)

// WriteVerify writes verify.csv, verify.html and verify.json, each under a temporary name first. verify.json comes last, so
// a directory that holds it is complete.
func WriteVerify(dir string, r *evidence.Result) error {
	page, err := VerifyPage(r)
	if err != nil {
		return err
	}
	result, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFiles(dir,
		durable.File{Name: VerifyTableFile, Data: verifyCSV(r)},
		durable.File{Name: VerifyPageFile, Data: page},
		durable.File{Name: VerifyFile, Data: append(result, '\n')},
	)
}

// verifyHeader names the columns of verify.csv; a cell is empty where a test has no such figure.
var verifyHeader = []string{
	"estimator", "test", "fraction", "count", "pairs", "pearson", "spearman", "spearman_low", "spearman_high", "slope", "offset",
	"points", "point_spearman", "point_spearman_low", "point_spearman_high",
	"harmful_score_loss", "harmful_test_loss", "harmful_test_metric",
	"helpful_score_loss", "helpful_test_loss", "helpful_test_metric",
	"random_score_loss", "random_test_loss", "random_test_metric",
	"auc", "found_5", "found_10", "found_20",
	"calibrated", "converged", "seconds", "trainings",
}

// verifyCSV has a row an estimator, test and fraction.
func verifyCSV(r *evidence.Result) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	// A bytes.Buffer takes every write, so the writer has no error to report.
	_ = w.Write(verifyHeader)
	for _, e := range r.Estimators {
		row := func(test string, cells map[string]string) {
			cells["estimator"], cells["test"] = e.Name, test
			cells["calibrated"], cells["converged"] = strconv.FormatBool(e.Calibrated), strconv.FormatBool(e.Solver.Converged)
			cells["seconds"], cells["trainings"] = cell(e.Seconds), cell(e.Trainings)
			record := make([]string, len(verifyHeader))
			for k, name := range verifyHeader {
				record[k] = cells[name]
			}
			_ = w.Write(record)
		}
		if e.LOO != nil {
			cells := agreementCells(e.LOO.Agreement)
			cells["count"] = strconv.Itoa(e.LOO.Group)
			row(evidence.LOO, cells)
		}
		for _, l := range e.LDS {
			cells := agreementCells(l.Agreement)
			cells["fraction"], cells["count"] = cell(l.Fraction), strconv.Itoa(l.Count)
			if p := l.PerPoint; p != nil {
				cells["points"], cells["point_spearman"] = strconv.Itoa(p.Points), cell(float64(p.Spearman))
				cells["point_spearman_low"], cells["point_spearman_high"] = cell(float64(p.SpearmanCI[0])), cell(float64(p.SpearmanCI[1]))
			}
			row(evidence.LDS, cells)
		}
		for _, g := range e.Group {
			cells := map[string]string{"fraction": cell(g.Fraction), "count": strconv.Itoa(g.Count)}
			for name, c := range map[string]evidence.Change{"harmful": g.Harmful, "helpful": g.Helpful, "random": g.Random} {
				cells[name+"_score_loss"], cells[name+"_test_loss"], cells[name+"_test_metric"] = cell(c.ScoreLoss), cell(c.TestLoss), cell(c.TestMetric)
			}
			row(evidence.Group, cells)
		}
		if m := e.Mislabel; m != nil {
			cells := map[string]string{"count": strconv.Itoa(m.Planted), "auc": cell(float64(m.AUC))}
			for _, f := range m.Found {
				cells["found_"+strconv.Itoa(int(math.Round(100*f.Inspected)))] = cell(f.Found)
			}
			row(evidence.Mislabel, cells)
		}
	}
	w.Flush()
	return b.Bytes()
}

func agreementCells(a evidence.Agreement) map[string]string {
	return map[string]string{
		"pairs": strconv.Itoa(len(a.True)), "pearson": cell(float64(a.Pearson)), "spearman": cell(float64(a.Spearman)),
		"spearman_low": cell(float64(a.SpearmanCI[0])), "spearman_high": cell(float64(a.SpearmanCI[1])), "slope": cell(float64(a.Slope)), "offset": cell(float64(a.Offset)),
	}
}

// cell writes a number in full, and nothing for one that does not exist.
func cell(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// Correlation writes a correlation with its interval, such as "0.953 (0.91 to 0.98)"; "none" where it does not exist.
func Correlation(r datadropout.Number, ci datadropout.Interval) string {
	if math.IsNaN(float64(r)) {
		return "none"
	}
	return Figure(r, 3) + " (" + Figure(ci[0], 2) + " to " + Figure(ci[1], 2) + ")"
}

// Figure writes a number to so many decimals; "none" where it does not exist.
func Figure(v datadropout.Number, decimals int) string {
	if math.IsNaN(float64(v)) {
		return "none"
	}
	return strconv.FormatFloat(float64(v), 'f', decimals, 64)
}
