package report

import (
	"bytes"
	"encoding/csv"
	"strconv"

	"github.com/datadropout/datadropout"
)

// ImagesFile has a row a training image, in a run of denoising.
const ImagesFile = "images.csv"

// patchScores is scoresCSV for patches, and patchDrops dropCSV.
func patchScores(o *datadropout.Outcome) []byte {
	order := make([]int, len(o.Data.Split.Train))
	for k := range order {
		order[k] = k
	}
	return patchTable(o, order)
}

func patchDrops(o *datadropout.Outcome) []byte {
	place := make(map[int]int, len(o.Data.Split.Train))
	for k, i := range o.Data.Split.Train {
		place[i] = k
	}
	dropped := make([]int, len(o.Dropped))
	for k, i := range o.Dropped {
		dropped[k] = place[i]
	}
	return patchTable(o, dropped)
}

// patchTable has a row a patch, by places in the training split. delta, standard_error and p_value are those of scores.csv in
// classification; x, y, width and height are the part of the image, in pixels of its own size, that the patch shows.
func patchTable(o *datadropout.Outcome, places []int) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	e := o.Estimates
	header := []string{"index", "id", "image", "scale", "x", "y", "width", "height", "delta", "train_loss"}
	if e.StandardError != nil {
		header = append(header, "standard_error", "p_value")
	}
	planted := o.Data.Planted(o.Data.Split.Train) > 0
	if planted {
		header = append(header, "planted")
	}
	// A bytes.Buffer takes every write, so the writer has no error to report.
	_ = w.Write(header)
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	pValues := e.PValues()
	for _, k := range places {
		i := o.Data.Split.Train[k]
		p, r := o.Data.Patches.Patch(i), o.Data.Patches.Region(i)
		row := []string{
			strconv.Itoa(i), o.Data.Patches.ID(i), o.Data.Patches.Pairs()[p.Pair].Clean.ID, number(p.Scale),
			strconv.Itoa(r.Min.X), strconv.Itoa(r.Min.Y), strconv.Itoa(r.Dx()), strconv.Itoa(r.Dy()),
			number(e.Delta[k]), strconv.FormatFloat(float64(o.TrainLoss[k]), 'g', -1, 32),
		}
		if e.StandardError != nil {
			row = append(row, number(e.StandardError[k]), number(pValues[k]))
		}
		if planted {
			row = append(row, o.Data.Patches.Planted(i))
		}
		_ = w.Write(row)
	}
	w.Flush()
	return b.Bytes()
}

// imageTable has a row a training image, in the order of the data: the number of its patches, the sum of their removal effects, which is
// that of the image to first order, their mean training loss, how many of them were dropped, and what was done to its target on purpose.
func imageTable(o *datadropout.Outcome) []byte {
	gone := make(map[int]bool, len(o.Dropped))
	for _, i := range o.Dropped {
		gone[i] = true
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"image", "patches", "delta", "train_loss", "dropped", "planted"})
	for _, m := range trainingImages(o) {
		dropped, loss := 0, 0.0
		for _, place := range m.places {
			loss += float64(o.TrainLoss[place]) / float64(len(m.places))
			if gone[o.Data.Split.Train[place]] {
				dropped++
			}
		}
		pair := o.Data.Patches.Pairs()[m.pair]
		_ = w.Write([]string{pair.Clean.ID, strconv.Itoa(len(m.places)), strconv.FormatFloat(m.delta, 'g', -1, 64),
			strconv.FormatFloat(loss, 'g', -1, 64), strconv.Itoa(dropped), pair.Planted})
	}
	w.Flush()
	return b.Bytes()
}
