package datadropout

import (
	"context"
	"fmt"
	"math"

	"github.com/datadropout/datadropout/restore"
	"github.com/datadropout/datadropout/train"
)

// DenoisingResult is what result.json holds for denoising alone. PSNR is in dB. Inputs are measured as they are, restored images as a
// file of 8 bits holds them.
type DenoisingResult struct {
	// Degradation is how noisy images were made in training, and Evaluated in the other splits; both are empty for real pairs.
	Degradation string `json:"degradation"`
	Evaluated   string `json:"evaluated"`
	Channels    int    `json:"channels"`
	PatchSize   int    `json:"patch_size"`
	// TrainImages, ScoreImages, TuneImages and TestImages count the images of the splits. DropUnit is what the rule dropped.
	TrainImages int    `json:"train_images"`
	ScoreImages int    `json:"score_images"`
	TuneImages  int    `json:"tune_images"`
	TestImages  int    `json:"test_images"`
	DropUnit    string `json:"drop_unit"`
	// PatchesDropped is what DropResult.Count counts as well, whatever the unit. ImagesDropped counts the training images of which no patch
	// is left, and ImagesTouched those of which a patch was dropped.
	PatchesDropped int `json:"patches_dropped"`
	ImagesDropped  int `json:"images_dropped"`
	ImagesTouched  int `json:"images_touched"`
	// PlantedImages counts the training images whose target was spoiled on purpose, and PlantedImagesTouched those of them of which a patch
	// was dropped.
	PlantedImages        int `json:"planted_images"`
	PlantedImagesTouched int `json:"planted_images_touched"`
	// NoisyPSNR and NoisySSIM are the means of the noisy test images.
	NoisyPSNR Number `json:"noisy_psnr"`
	NoisySSIM Number `json:"noisy_ssim"`
	// Test has an entry a test image.
	Test []TestImage `json:"test"`
}

// TestImage is how one test image was restored: the means over seeds of each arm.
type TestImage struct {
	ID        string            `json:"id"`
	Height    int               `json:"height"`
	Width     int               `json:"width"`
	NoisyPSNR Number            `json:"noisy_psnr"`
	NoisySSIM Number            `json:"noisy_ssim"`
	PSNR      map[string]Number `json:"psnr"`
	SSIM      map[string]Number `json:"ssim"`
}

// measureImages appends the figures of an arm's model at seed number k on the test images: the mean PSNR as its metric, and the mean
// loss. A loss that is not finite is an error that names the image.
func (r *runner) measureImages(ctx context.Context, m *train.Model, arm string, k int, a *ArmResult) error {
	scores, err := r.tools.restore(ctx, r.network, m, r.data.TestSet)
	if err != nil {
		return err
	}
	for i, s := range scores {
		if math.IsNaN(s.Loss) || math.IsInf(s.Loss, 0) {
			return fmt.Errorf("%s, seed %d, test image %s: %w", arm, r.seed(k), s.ID,
				&train.NotFiniteError{Net: r.network.Name, Count: 1, Samples: 1, Position: i, Loss: s.Loss})
		}
	}
	mean := restore.Mean(scores)
	a.TestMetric, a.TestLoss, a.TestSSIM = append(a.TestMetric, mean.PSNR), append(a.TestLoss, mean.Loss), append(a.TestSSIM, mean.SSIM)
	a.images = append(a.images, scores)
	return nil
}

// denoisingResult gathers what only denoising has; nil in classification.
func (r *runner) denoisingResult() *DenoisingResult {
	if r.data.Patches == nil {
		return nil
	}
	c, o, d := r.config, r.config.Denoise, r.data
	out := &DenoisingResult{
		Channels: o.Channels, PatchSize: o.PatchSize, DropUnit: o.DropUnit,
		TrainImages: c.Train, ScoreImages: c.Score, TuneImages: c.Tune, TestImages: c.Test,
	}
	if o.NoisyDir == "" {
		out.Degradation, out.Evaluated = o.Degrade.String(), o.evaluated().String()
	}
	left := map[int]bool{}
	for _, i := range r.out.Kept {
		left[d.Patches.Patch(i).Pair] = true
	}
	of := map[int]bool{}
	for _, i := range d.Split.Train {
		of[d.Patches.Patch(i).Pair] = true
	}
	touched := map[int]bool{}
	for _, i := range r.out.Dropped {
		touched[d.Patches.Patch(i).Pair] = true
	}
	out.PatchesDropped, out.ImagesDropped, out.ImagesTouched = len(r.out.Dropped), len(of)-len(left), len(touched)
	for pair := range of {
		if d.Patches.Pairs()[pair].Planted == "" {
			continue
		}
		out.PlantedImages++
		if touched[pair] {
			out.PlantedImagesTouched++
		}
	}
	arms := r.out.Result.Arms
	for i, s := range arms[Full].images[0] {
		t := TestImage{ID: s.ID, Height: s.Height, Width: s.Width, NoisyPSNR: Number(s.NoisyPSNR), NoisySSIM: Number(s.NoisySSIM),
			PSNR: map[string]Number{}, SSIM: map[string]Number{}}
		for _, arm := range Arms {
			seeds := float64(len(arms[arm].images))
			for _, scores := range arms[arm].images {
				t.PSNR[arm] += Number(scores[i].PSNR / seeds)
				t.SSIM[arm] += Number(scores[i].SSIM / seeds)
			}
		}
		out.Test = append(out.Test, t)
	}
	mean := restore.Mean(arms[Full].images[0])
	out.NoisyPSNR, out.NoisySSIM = Number(mean.NoisyPSNR), Number(mean.NoisySSIM)
	if math.IsNaN(mean.SSIM) {
		for _, arm := range Arms {
			arms[arm].TestSSIM = nil // JSON has no NaN
		}
	}
	return out
}
