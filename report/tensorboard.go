package report

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/export"
)

// EventFiles returns what TensorBoard shows of a run, a folder with an event file for each of its runs:
//
//   - ARM-seed-S for every arm and seed: train_loss by epoch, and at the last epoch loss and metric on every split;
//   - samples: the pictures of the samples on the page, the most harmful and the most helpful, whose step is their place, and the histogram of
//     delta. Of a patch there are four beside one another: target, noisy input, output of round 1 and residual.
//
// ended is the time that all events have.
func EventFiles(c *Content, delta []float64, firstSeed uint64, ended time.Time) []export.Entry {
	wall := float64(ended.UnixMilli()) / 1000
	file := func(folder string, fill func(e *export.Events) error) export.Entry {
		return export.Entry{Path: folder + "/" + export.EventFile, Write: func(w io.Writer) error {
			e, err := export.NewEvents(w, wall)
			if err != nil {
				return err
			}
			return fill(e)
		}}
	}
	var files []export.Entry
	for _, arm := range datadropout.Arms {
		figures := c.Result.Arms[arm]
		if figures == nil {
			continue
		}
		for k := range figures.TestMetric {
			files = append(files, file(fmt.Sprintf("%s-seed-%d", arm, firstSeed+uint64(k)), func(e *export.Events) error {
				return armEvents(e, c, figures, arm, k)
			}))
		}
	}
	return append(files, file("samples", func(e *export.Events) error { return sampleEvents(e, c, delta) }))
}

// armEvents writes the curve of an arm at seed number k, and what came out.
func armEvents(e *export.Events, c *Content, figures *datadropout.ArmResult, arm string, k int) error {
	epochs := 0
	if curves := c.Curves[arm]; k < len(curves) {
		epochs = len(curves[k])
		for epoch, loss := range curves[k] {
			if err := e.Scalar("train_loss", int64(epoch+1), loss); err != nil {
				return err
			}
		}
	}
	for _, s := range []struct {
		split        string
		metric, loss []float64
	}{
		{"train", figures.TrainMetric, figures.TrainLoss}, {"score", figures.ScoreMetric, figures.ScoreLoss},
		{"tune", figures.TuneMetric, figures.TuneLoss}, {"test", figures.TestMetric, figures.TestLoss},
	} {
		for _, v := range []struct {
			name string
			of   []float64
		}{{c.Result.Metric, s.metric}, {"loss", s.loss}} {
			if k >= len(v.of) {
				continue
			}
			if err := e.Scalar(s.split+"/"+v.name, int64(epochs), v.of[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// sampleEvents writes the pictures of the samples shown and the distribution of delta.
func sampleEvents(e *export.Events, c *Content, delta []float64) error {
	for _, list := range []struct {
		tag     string
		samples []Sample
	}{{"harmful", c.Harmful}, {"helpful", c.Helpful}} {
		for place, s := range list.samples {
			if len(s.Picture) == 0 {
				continue
			}
			tag := strings.Join([]string{list.tag, fmt.Sprintf("%02d", place+1), c.ClassName(s.Label), s.ID}, " ")
			if err := e.Image(tag, int64(place+1), s.Picture); err != nil {
				return err
			}
		}
	}
	if c.Denoising != nil {
		if err := patchEvents(e, c.Denoising); err != nil {
			return err
		}
	}
	finite := slices.DeleteFunc(slices.Clone(delta), func(v float64) bool { return v-v != 0 })
	return e.Histogram("delta", 0, finite)
}

// patchEvents writes the pictures of the patches shown.
func patchEvents(e *export.Events, d *DenoisingContent) error {
	for _, list := range []struct {
		tag     string
		patches []ShownPatch
	}{{"harmful", d.Harmful}, {"helpful", d.Helpful}} {
		for place, p := range list.patches {
			row, err := inARow(p.Clean, p.Noisy, p.Restored, p.Residual)
			if err != nil {
				return fmt.Errorf("patch %d: %w", p.Index, err)
			}
			if err := e.Image(fmt.Sprintf("%s %02d %s+%d+%d", list.tag, place+1, p.Image, p.X, p.Y), int64(place+1), row); err != nil {
				return err
			}
		}
	}
	return nil
}

// inARow puts PNG pictures beside one another, two pixels apart.
func inARow(pictures ...[]byte) ([]byte, error) {
	const gap = 2
	var all []image.Image
	width, height := -gap, 0
	for _, data := range pictures {
		m, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		width, height = width+m.Bounds().Dx()+gap, max(height, m.Bounds().Dy())
	}
	row := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(row, row.Bounds(), image.White, image.Point{}, draw.Src)
	x := 0
	for _, m := range all {
		draw.Draw(row, image.Rect(x, 0, x+m.Bounds().Dx(), m.Bounds().Dy()), m, m.Bounds().Min, draw.Src)
		x += m.Bounds().Dx() + gap
	}
	var b bytes.Buffer
	err := png.Encode(&b, row)
	return b.Bytes(), err
}
