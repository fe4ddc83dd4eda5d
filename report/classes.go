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

// ClassLine is one class in a table: its accuracy on the test split in the full and the dropped arm, means over seeds, NaN where
// there is none, and the class that the full arm takes its samples for most often, with the share of its samples.
type ClassLine struct {
	Class         string
	Full, Dropped float64
	MistakenFor   string
	Mistaken      float64
}

// Change is the dropped arm's accuracy less the full one's.
func (l ClassLine) Change() float64 { return l.Dropped - l.Full }

// shownClasses is how many classes the page shows.
const shownClasses = 20

// ClassLines returns a line a class. Of more than shownClasses, it returns those whose accuracy changed most, the largest change
// first.
func ClassLines(o *datadropout.Outcome) []ClassLine {
	full, dropped := o.Result.Arms[datadropout.Full], o.Result.Arms[datadropout.Dropped]
	if full == nil || len(full.TestClassAccuracy) != len(o.Data.Images.Classes) {
		return nil
	}
	lines := make([]ClassLine, len(full.TestClassAccuracy))
	for k, class := range o.Data.Images.Classes {
		l := ClassLine{Class: class, Full: float64(full.TestClassAccuracy[k]), Dropped: math.NaN()}
		if dropped != nil && len(dropped.TestClassAccuracy) == len(lines) {
			l.Dropped = float64(dropped.TestClassAccuracy[k])
		}
		if full.TestConfusion != nil {
			all, most, of := 0, 0, 0
			for predicted, n := range full.TestConfusion[k] {
				all += n
				if predicted != k && n > of {
					most, of = predicted, n
				}
			}
			if of > 0 {
				l.MistakenFor, l.Mistaken = o.Data.Images.Classes[most], float64(of)/float64(all)
			}
		}
		lines[k] = l
	}
	if len(lines) > shownClasses {
		size := func(l ClassLine) float64 {
			if math.IsNaN(l.Change()) {
				return -1
			}
			return math.Abs(l.Change())
		}
		slices.SortStableFunc(lines, func(a, b ClassLine) int { return cmp.Compare(size(b), size(a)) })
		lines = lines[:shownClasses]
	}
	return lines
}

// Calibration returns a sentence on the calibration errors and, with many classes, the accuracies among the five most likely classes;
// empty where there are none.
func Calibration(o *datadropout.Outcome) string {
	var errors, topFive []string
	for _, arm := range []string{datadropout.Full, datadropout.Dropped} {
		a := o.Result.Arms[arm]
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
