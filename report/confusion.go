package report

import (
	"fmt"
	"math"

	"github.com/datadropout/datadropout"
)

// mostMatrixClasses is the largest number of classes whose confusions are shown as a matrix.
const mostMatrixClasses = 20

// confusionRow is a row of the matrix of differences: a label, and for each class by how many test samples more, or fewer, of that
// label it is predicted after dropping; a model, on average over seeds.
type confusionRow struct {
	Name  string
	Cells []confusionCell
}

// confusionCell is a difference in words and the class of its color: better and worse in three steps, empty near zero.
type confusionCell struct{ Words, Class, Title string }

// confusionMatrix returns the differences of the confusion matrices, dropped minus full; nil where there are none, too many classes, or
// no difference.
func (c *Content) confusionMatrix() []confusionRow {
	full, dropped := c.Result.Arms[datadropout.Full], c.Result.Arms[datadropout.Dropped]
	if full == nil || dropped == nil {
		return nil
	}
	n := len(c.Classes)
	if n > mostMatrixClasses || !square(full.TestConfusion, n) || !square(dropped.TestConfusion, n) {
		return nil
	}
	seeds := float64(max(1, len(full.TestMetric)))
	largest := 0.0
	difference := func(label, predicted int) float64 {
		return float64(dropped.TestConfusion[label][predicted]-full.TestConfusion[label][predicted]) / seeds
	}
	for label := range n {
		for predicted := range n {
			largest = math.Max(largest, math.Abs(difference(label, predicted)))
		}
	}
	if largest == 0 {
		return nil
	}
	rows := make([]confusionRow, n)
	for label := range rows {
		rows[label].Name = c.Classes[label]
		for predicted := range n {
			d := difference(label, predicted)
			cell := confusionCell{Title: fmt.Sprintf("%s taken for %s: %.1f before, %.1f after", c.Classes[label], c.Classes[predicted],
				float64(full.TestConfusion[label][predicted])/seeds, float64(dropped.TestConfusion[label][predicted])/seeds)}
			if label == predicted {
				cell.Title = fmt.Sprintf("%s recognized: %.1f before, %.1f after", c.Classes[label],
					float64(full.TestConfusion[label][label])/seeds, float64(dropped.TestConfusion[label][label])/seeds)
			}
			if d != 0 {
				cell.Words = signedCount(d)
				kind := "worse"
				if (d > 0) == (label == predicted) {
					kind = "better"
				}
				if step := math.Round(3 * math.Abs(d) / largest); step > 0 {
					cell.Class = fmt.Sprintf("%s%.0f", kind, step)
				}
			}
			rows[label].Cells = append(rows[label].Cells, cell)
		}
	}
	return rows
}

func square(m [][]int, n int) bool {
	if len(m) != n {
		return false
	}
	for _, row := range m {
		if len(row) != n {
			return false
		}
	}
	return true
}

// signedCount writes a mean count with its sign, with a decimal where it is small.
func signedCount(d float64) string {
	s := fmt.Sprintf("%+.1f", d)
	if math.Abs(d) >= 9.95 || d == math.Trunc(d) {
		s = fmt.Sprintf("%+.0f", d)
	}
	if d < 0 {
		return "−" + s[1:]
	}
	return s
}
