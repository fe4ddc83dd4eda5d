package report

import (
	"bytes"
	"encoding/csv"
	"strconv"

	"github.com/datadropout/datadropout"
)

// curvesCSV has a row an arm, seed and epoch, epochs counted from 1: the mean training loss over the steps of the epoch, each
// taken before its update.
func curvesCSV(o *datadropout.Outcome) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	// A bytes.Buffer takes every write, so the writer has no error to report.
	_ = w.Write([]string{"arm", "seed", "epoch", "train_loss"})
	for _, arm := range datadropout.Arms {
		for k, curve := range o.Curves[arm] {
			for e, loss := range curve {
				_ = w.Write([]string{arm, strconv.FormatUint(o.Config.Seed+uint64(k), 10), strconv.Itoa(e + 1), strconv.FormatFloat(loss, 'g', -1, 64)})
			}
		}
	}
	w.Flush()
	return b.Bytes()
}
