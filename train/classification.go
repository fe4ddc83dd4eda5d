package train

import "math"

// Classification is how a classifier does on a set of samples beyond its loss and accuracy.
type Classification struct {
	// Confusion counts the samples of each class (row) that were taken for each class (column).
	Confusion [][]int
	// ClassAccuracy is the accuracy on the samples of each class; NaN where there are none.
	ClassAccuracy []float64
	// CalibrationError is the expected calibration error; see [CalibrationError].
	CalibrationError float64
	// TopFive is the share of samples whose class is among the five of the largest outputs.
	TopFive float64
}

// CalibrationBins is the number of bins of equal width of the calibration error.
const CalibrationBins = 15

// Classification compares the predictions with the labels of the same samples, in the same order. It panics if their numbers
// differ, or the evaluation is not that of a classifier.
func (ev *Evaluation) Classification(labels []int, classes int) Classification {
	if len(labels) != len(ev.Predicted) {
		panic("train: Classification of another number of labels than were evaluated")
	}
	c := Classification{Confusion: make([][]int, classes), ClassAccuracy: make([]float64, classes)}
	for k := range c.Confusion {
		c.Confusion[k] = make([]int, classes)
	}
	correct, topFive := make([]bool, len(labels)), 0
	for i, label := range labels {
		c.Confusion[label][ev.Predicted[i]]++
		correct[i] = label == ev.Predicted[i]
		if ev.Rank[i] < 5 {
			topFive++
		}
	}
	for k, row := range c.Confusion {
		of := 0
		for _, n := range row {
			of += n
		}
		c.ClassAccuracy[k] = float64(row[k]) / float64(of) // 0/0 is NaN
	}
	c.CalibrationError = CalibrationError(ev.Confidence, correct)
	c.TopFive = float64(topFive) / float64(len(labels))
	return c
}

// CalibrationError returns the expected calibration error (Naeini et al. 2015; Guo et al., ICML 2017, eq. 3): the predictions are
// sorted by confidence into CalibrationBins bins ((m-1)/M, m/M], and
//
//	ECE = sum_m |B_m|/n |accuracy(B_m) - mean confidence(B_m)|
//
// It is 0 where confidences are met, and NaN for no predictions.
func CalibrationError(confidence []float32, correct []bool) float64 {
	var sums [CalibrationBins]float64 // of 1 less the confidence for what is correct, and minus the confidence for what is not
	for i, p := range confidence {
		bin := int(math.Ceil(float64(p)*CalibrationBins)) - 1
		bin = min(max(bin, 0), CalibrationBins-1)
		sums[bin] -= float64(p)
		if correct[i] {
			sums[bin]++
		}
	}
	total := 0.0
	for _, sum := range sums {
		total += math.Abs(sum)
	}
	return total / float64(len(confidence))
}
