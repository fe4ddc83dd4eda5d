package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
)

// ClassLine is how the test samples of a class fare before and after, over all seeds, and how many training samples of it were
// dropped.
type ClassLine struct {
	Class int `json:"class"`
	// Test counts the test samples, and Train and Dropped the training samples.
	Test    int `json:"test"`
	Train   int `json:"train"`
	Dropped int `json:"dropped"`
	// Before and After are the mean accuracies over seeds of the full and of the dropped arm.
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// ConfusionLine is how often a label is taken for another class, a model, on average over seeds.
type ConfusionLine struct {
	Label     int     `json:"label"`
	Predicted int     `json:"predicted"`
	Before    float64 `json:"before"`
	After     float64 `json:"after"`
}

// shownConfusions is how many pairs of classes the page lists.
const shownConfusions = 10

// classLines returns a line a class, those that change most where there are more than mostClasses; nil where nothing was
// dropped or classes were not counted.
func classLines(o *datadropout.Outcome) []ClassLine {
	full, dropped := compared(o)
	if full == nil {
		return nil
	}
	lines := make([]ClassLine, len(full.TestClassAccuracy))
	labels := o.Data.Images.Labels
	for _, p := range o.Data.Split.Test {
		lines[labels[p]].Test++
	}
	for k := range lines {
		lines[k].Class = k
		if lines[k].Test > 0 {
			lines[k].Before, lines[k].After = float64(full.TestClassAccuracy[k]), float64(dropped.TestClassAccuracy[k])
		}
	}
	for _, p := range o.Data.Split.Train {
		lines[labels[p]].Train++
	}
	for _, p := range o.Dropped {
		lines[labels[p]].Dropped++
	}
	if len(lines) > mostClasses {
		slices.SortStableFunc(lines, func(a, b ClassLine) int { return cmp.Compare(magnitude(b.After-b.Before), magnitude(a.After-a.Before)) })
		lines = lines[:mostClasses]
	}
	return lines
}

// compared returns the full and the dropped arm, or nil where one has no figures by class.
func compared(o *datadropout.Outcome) (full, dropped *datadropout.ArmResult) {
	full, dropped = o.Result.Arms[datadropout.Full], o.Result.Arms[datadropout.Dropped]
	for _, a := range []*datadropout.ArmResult{full, dropped} {
		if a == nil || len(a.TestClassAccuracy) != len(o.Data.Images.Classes) {
			return nil, nil
		}
	}
	return full, dropped
}

// confusionLines returns the pairs whose count changes most; none where there are too many classes to count pairs.
func confusionLines(o *datadropout.Outcome) []ConfusionLine {
	full, dropped := compared(o)
	if full == nil || full.TestConfusion == nil || dropped.TestConfusion == nil {
		return nil
	}
	var lines []ConfusionLine
	seeds := float64(max(1, len(full.TestMetric)))
	for label, row := range full.TestConfusion {
		for predicted, n := range row {
			l := ConfusionLine{label, predicted, float64(n) / seeds, float64(dropped.TestConfusion[label][predicted]) / seeds}
			if label != predicted && l.Before != l.After {
				lines = append(lines, l)
			}
		}
	}
	slices.SortFunc(lines, func(a, b ConfusionLine) int {
		return cmp.Or(cmp.Compare(magnitude(b.After-b.Before), magnitude(a.After-a.Before)), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Predicted, b.Predicted))
	})
	return lines[:min(len(lines), shownConfusions)]
}

func magnitude(x float64) float64 { return max(x, -x) }

// Change writes the change of the accuracy in points.
func (l ClassLine) Change() string {
	if l.Test == 0 {
		return ""
	}
	return fmt.Sprintf("%+.2f", 100*(l.After-l.Before))
}

// Calibration returns a sentence on the calibration errors and, with many classes, the accuracies among the five most likely classes;
// empty where there are none.
func Calibration(r datadropout.Result) string {
	var errors, topFive []string
	for _, arm := range []string{datadropout.Full, datadropout.Dropped} {
		a := r.Arms[arm]
		if a == nil || len(a.TestCalibrationError) == 0 {
			continue
		}
		errors = append(errors, fmt.Sprintf("%s %.3f", arm, stat.Mean(a.TestCalibrationError, nil)))
		if len(a.TestTopFive) > 0 {
			topFive = append(topFive, fmt.Sprintf("%s %s", arm, Percent(stat.Mean(a.TestTopFive, nil), math.NaN())))
		}
	}
	if errors == nil {
		return ""
	}
	s := "Expected calibration error: " + strings.Join(errors, ", ") + "."
	if topFive != nil {
		s += " Accuracy among the five most likely classes: " + strings.Join(topFive, ", ") + "."
	}
	return s
}
