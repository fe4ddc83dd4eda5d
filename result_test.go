package datadropout

import (
	"math"
	"reflect"
	"testing"

	"github.com/datadropout/datadropout/train"
)

// TestClassificationOfArms: the figures by class of a run are those of its accuracies.
func TestClassificationOfArms(t *testing.T) {
	o := smallRun(t, "count:40")
	for name, a := range o.Result.Arms {
		if len(a.TestCalibrationError) != 2 || a.TestTopFive != nil || len(a.TestClassAccuracy) != 8 {
			t.Errorf("%s: %d calibration errors, top 5 %v, %d classes", name, len(a.TestCalibrationError), a.TestTopFive, len(a.TestClassAccuracy))
		}
		right, all := 0, 0
		for k, row := range a.TestConfusion {
			of := 0
			for _, n := range row {
				of += n
			}
			right, all = right+row[k], all+of
			if got, want := float64(a.TestClassAccuracy[k]), float64(row[k])/float64(of); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s: class %d has the accuracy %v, its row of the confusion matrix %v", name, k, got, want)
			}
		}
		mean := (a.TestMetric[0] + a.TestMetric[1]) / 2
		if all != 200 || math.Abs(float64(right)/200-mean) > 1e-9 {
			t.Errorf("%s: %d of %d right, the accuracies are %v", name, right, all, a.TestMetric)
		}
		for k, e := range a.TestCalibrationError {
			if !(e > 0 && e < 1) {
				t.Errorf("%s: calibration error %v at seed %d", name, e, k)
			}
		}
	}
	if !reflect.DeepEqual(o.Result.Data.Classes, o.Data.Images.Classes) {
		t.Errorf("classes %v", o.Result.Data.Classes)
	}
}

// TestAddClassification: two seeds by hand, with many classes.
func TestAddClassification(t *testing.T) {
	seed := func(right, topFive int) train.Classification {
		c := train.Classification{CalibrationError: float64(right) / 10, TopFive: float64(topFive) / 4}
		for range 12 {
			c.Confusion, c.ClassAccuracy = append(c.Confusion, make([]int, 12)), append(c.ClassAccuracy, math.NaN())
		}
		c.Confusion[2][2], c.Confusion[2][5], c.ClassAccuracy[2] = right, 4-right, float64(right)/4
		return c
	}
	a := newArmResult()
	a.addClassification(seed(1, 3))
	a.addClassification(seed(4, 4))
	if !reflect.DeepEqual(a.TestCalibrationError, []float64{0.1, 0.4}) || !reflect.DeepEqual(a.TestTopFive, []float64{0.75, 1}) {
		t.Errorf("calibration errors %v, top 5 %v", a.TestCalibrationError, a.TestTopFive)
	}
	if a.TestClassAccuracy[2] != 0.625 || !math.IsNaN(float64(a.TestClassAccuracy[3])) || a.TestConfusion[2][2] != 5 || a.TestConfusion[2][5] != 3 {
		t.Errorf("class accuracies %v, row %v", a.TestClassAccuracy, a.TestConfusion[2])
	}
	wide := train.Classification{Confusion: make([][]int, 101), ClassAccuracy: make([]float64, 101)}
	b := newArmResult()
	if b.addClassification(wide); b.TestConfusion != nil || len(b.TestClassAccuracy) != 101 {
		t.Errorf("101 classes: a confusion matrix of %d rows", len(b.TestConfusion))
	}
}
