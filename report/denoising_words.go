package report

import (
	"fmt"

	"github.com/datadropout/datadropout"
)

// SampleNoun is what a training sample of the result is called: a sample, or a patch.
func SampleNoun(r *datadropout.Result) string {
	if r.Denoising != nil {
		return "patch"
	}
	return "sample"
}

// droppedWords counts what was dropped; where that were whole images, their patches too.
func droppedWords(r *datadropout.Result) string {
	words := Counted(r.Drop.Count, SampleNoun(r))
	if d := r.Denoising; d != nil && d.DropUnit == datadropout.DropImages {
		return fmt.Sprintf("%s (%s)", Counted(d.ImagesDropped, "image"), words)
	}
	return words
}

// droppingPatches is dropping of a run of denoising.
func droppingPatches(r *datadropout.Result) string {
	d, n := r.Drop, r.Denoising
	patches := fmt.Sprintf("%d of %s (%.1f %%)", d.Count, Counted(r.Data.Train, "patch"), 100*d.Fraction)
	s := fmt.Sprintf("%s, from %d of %s,", patches, n.ImagesTouched, Counted(n.TrainImages, "image"))
	if n.DropUnit == datadropout.DropImages {
		s = fmt.Sprintf("%d of %s, which are %s,", n.ImagesDropped, Counted(n.TrainImages, "image"), patches)
	}
	have := "have"
	if d.Unfavorable == 1 {
		have = "has"
	}
	s += fmt.Sprintf(" by the rule %s; %s %s a removal effect below zero", d.Rule, Counted(d.Unfavorable, "patch"), have)
	if planted := r.Data.Planted; planted > 0 && d.Count > 0 {
		s += fmt.Sprintf(". %d of the dropped patches are of targets spoiled on purpose: %.0f %% of the dropped, %.0f %% of the %d spoiled",
			d.PlantedFound, 100*float64(d.PlantedFound)/float64(d.Count), 100*float64(d.PlantedFound)/float64(planted), planted)
		if n.DropUnit == datadropout.DropImages {
			s += fmt.Sprintf(" (%d of %s)", n.PlantedImagesTouched, Counted(n.PlantedImages, "image"))
		}
	}
	return s + "."
}
