package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/report"
)

// denoisingWords says what is trained on to denoise.
func denoisingWords(c datadropout.Config, d *datadropout.Data) string {
	o := c.Denoise
	words := fmt.Sprintf(" (images); %d training patches of %dx%d, ", len(d.Split.Train), o.PatchSize, o.PatchSize)
	if o.NoisyDir == "" {
		words += fmt.Sprint(o.Degrade)
	} else {
		words += "real pairs"
	}
	if planted := d.Planted(d.Split.Train); planted > 0 {
		words += fmt.Sprintf(", %d of them with a target spoiled on purpose", planted)
	}
	return words
}

// mostTestImages bounds the table of test images.
const mostTestImages = 12

// testImages writes a row a test image: the PSNR before and after, in dB.
func (p *textPrinter) testImages(r *datadropout.Result) {
	var arms []string
	for _, arm := range datadropout.Arms {
		if a := r.Arms[arm]; a != nil && len(a.TestMetric) > 0 {
			arms = append(arms, arm)
		}
	}
	d := r.Denoising
	t := tabwriter.NewWriter(p.stdout, 0, 4, 3, ' ', 0)
	fmt.Fprint(t, "PSNR, dB (SSIM)\tnoisy")
	for _, arm := range arms {
		fmt.Fprintf(t, "\t%s", arm)
	}
	fmt.Fprintln(t)
	for k, m := range d.Test {
		if k == mostTestImages {
			fmt.Fprintf(t, "%d more in %s\n", len(d.Test)-k, report.ResultFile)
			break
		}
		fmt.Fprintf(t, "%s\t%.2f (%.3f)", m.ID, m.NoisyPSNR, m.NoisySSIM)
		for _, arm := range arms {
			fmt.Fprintf(t, "\t%.2f (%.3f)", m.PSNR[arm], m.SSIM[arm])
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	fmt.Fprintln(p.stdout)
}
