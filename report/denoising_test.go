package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/restore"
)

// denoisingKind says what a made-up run of denoising is like.
type denoisingKind struct {
	images, side, size, stride, channels int
	scales                               []float64
	tests                                int
	unit                                 string
	nothing                              bool // was dropped
}

// smallDenoising is six images of 20x20 in 16 patches of 8x8 each.
var smallDenoising = denoisingKind{images: 6, side: 20, size: 8, stride: 4, channels: 1, tests: 2, unit: datadropout.DropPatches}

// shown is how many of the most harmful patches a run shows, and of the most helpful.
const shown = 18

// noisePictures are pictures of noise.
func noisePictures(n, side, channels int, name string, seed uint64) []*dataset.Picture {
	rng := rand.New(rand.NewPCG(seed, 0))
	var all []*dataset.Picture
	for i := range n {
		p := &dataset.Picture{ID: fmt.Sprintf("%s/%d.png", name, i), Height: side, Width: side, Channels: channels, Depth: 8}
		for range side * side * channels {
			p.Pix = append(p.Pix, uint16(rng.IntN(256))*257)
		}
		all = append(all, p)
	}
	return all
}

// denoisingOutcome is a finished run of denoising without a training: patch k of n, in the order of the data, has the removal effect
// (k - n/4) * 1e-6, so that the first quarter is unfavorable; the first 8 patches, or the first image, are dropped; and the network of round
// 1 makes of an input what lies between it and the target.
func denoisingOutcome(t *testing.T, kind denoisingKind) *datadropout.Outcome {
	t.Helper()
	c := datadropout.DenoisingConfig(datadropout.DefaultConfig())
	patches, err := dataset.NewPatches(dataset.PatchOptions{Size: kind.size, Degradation: dataset.Gaussian(25), Symmetries: true, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	pairs := dataset.CleanPairs(noisePictures(kind.images, kind.side, kind.channels, "train", 1))
	pairs[0].Source, pairs[0].Planted = pairs[0].Clean, "blur"
	idx, err := patches.Add(t.Context(), pairs, dataset.Cut{Stride: kind.stride, Scales: kind.scales})
	if err != nil {
		t.Fatal(err)
	}
	tests := dataset.CleanPairs(noisePictures(kind.tests, kind.side, kind.channels, "test", 2))
	o := &datadropout.Outcome{
		Config: c, Calibrated: true, Solver: influence.Solver{Iterations: 7, Residual: 0.005, Damping: 1, Converged: true},
		Data: &datadropout.Data{Patches: patches, Hash: "0123", Split: dataset.Split{Train: idx, Score: idx[:2], Tune: idx[:2]},
			TestSet: &restore.Set{Pairs: tests, Degradation: dataset.Gaussian(25), Seed: 4}},
		Estimates: &datadropout.Estimates{DegreesOfFreedom: 6.5, SeedCorrelation: math.NaN()},
		Curves:    map[string][][]float64{},
	}
	n := len(idx)
	dropped := 8
	if kind.unit == datadropout.DropImages {
		dropped = n / kind.images
	}
	if kind.nothing {
		dropped = 0
	}
	o.Dropped, o.Kept = slices.Clone(idx[:dropped]), idx[dropped:]
	for k := range idx {
		o.Estimates.Delta = append(o.Estimates.Delta, 1e-6*float64(k-n/4))
		o.Estimates.StandardError = append(o.Estimates.StandardError, 2e-7)
		o.TrainLoss = append(o.TrainLoss, 0.5)
	}
	between := func(a, b *restore.Image) *restore.Image {
		m := restore.NewImage(a.Height, a.Width, a.Channels)
		for k := range m.Pix {
			m.Pix[k] = (a.Pix[k] + b.Pix[k]) / 2
		}
		return m
	}
	x := &o.Examined
	for k := range shown {
		x.Harmful, x.Helpful = append(x.Harmful, k), append(x.Helpful, n-1-k)
	}
	for _, place := range append(slices.Clone(x.Harmful), x.Helpful...) {
		p := datadropout.ExaminedPatch{Clean: restore.NewImage(kind.size, kind.size, kind.channels), Noisy: restore.NewImage(kind.size, kind.size, kind.channels)}
		patches.Fill(idx[place], p.Noisy.Pix, p.Clean.Pix)
		p.Restored = between(p.Noisy, p.Clean)
		x.Patches = append(x.Patches, p)
	}
	at := image.Rect(0, 0, min(kind.side, 160), min(kind.side, 160))
	clean := restore.FromPicture(tests[1].Clean).Part(at)
	noisy, _ := o.Data.TestSet.Input(1)
	noisy = noisy.Part(at)
	x.Test = &datadropout.ExaminedImage{Position: 1, At: at, Clean: clean, Noisy: noisy, NoisyPSNR: 20.17,
		Restored: map[string]*restore.Image{datadropout.Full: between(noisy, clean)}, PSNR: map[string]float64{datadropout.Full: 26.18}}
	r := &o.Result
	*r = datadropout.Result{
		Schema: 1, Task: datadropout.Denoising, Metric: "psnr", Backend: "cpu",
		Data: datadropout.DataResult{Name: "dead-leaves", Train: n, Val: 2, Tune: 2, Test: kind.tests, Hash: "0123", Planted: n / kind.images, Image: patches.InputDims()},
		Net:  datadropout.NetResult{Name: "dncnn-7", Parameters: 186000},
		Infl: datadropout.InflResult{Estimator: "cg", Solver: o.Solver, Seeds: 1, Folds: 5, SeedCorrelation: datadropout.Number(math.NaN()), MedianStandardError: 2e-7},
		Drop: datadropout.DropResult{Rule: "count:8", Count: dropped, Fraction: float64(dropped) / float64(n), PlantedFound: dropped, Unfavorable: n / 4,
			MinClassShare: 0.5, MinSignAgreement: 0.8, Amounts: []datadropout.Amount{{Loss: 0.5, Metric: 28}, {Rule: "fraction:0.1", Count: dropped, Loss: 0.49, Metric: 28.1, LossChange: -0.01, StandardError: 0.002}}},
		Arms:   datadropout.ArmsResult{},
		Effect: datadropout.Effect{Verdict: datadropout.NothingDropped, P: 1},
	}
	d := &datadropout.DenoisingResult{
		Degradation: "gaussian:25", Evaluated: "gaussian:25", Channels: kind.channels, PatchSize: kind.size, TrainImages: kind.images, ScoreImages: 1, TuneImages: 1,
		TestImages: kind.tests, DropUnit: kind.unit, PatchesDropped: dropped, ImagesTouched: 1, NoisyPSNR: 20.17, NoisySSIM: 0.4, PlantedImages: 1, PlantedImagesTouched: 1,
	}
	if kind.unit == datadropout.DropImages {
		d.ImagesDropped = 1
	}
	arms := datadropout.Arms
	if kind.nothing {
		arms = arms[:1]
	}
	for k, arm := range datadropout.Arms {
		r.Arms[arm] = &datadropout.ArmResult{}
		if k >= len(arms) {
			continue
		}
		for seed := range 3 {
			v := 28 + 0.1*float64(k) + 0.01*float64(seed) + 0.002*float64((seed+k)%3-1) // the arms differ by 0.1 in the mean
			a := r.Arms[arm]
			a.TestMetric, a.TestLoss, a.TestSSIM = append(a.TestMetric, v), append(a.TestLoss, 0.4-v/1000), append(a.TestSSIM, 0.8+v/1000)
			a.TuneMetric, a.TuneLoss = append(a.TuneMetric, v), append(a.TuneLoss, 0.4)
			a.ScoreMetric, a.ScoreLoss = append(a.ScoreMetric, v), append(a.ScoreLoss, 0.4)
			o.Curves[arm] = append(o.Curves[arm], []float64{2, 1, 0.5})
		}
	}
	for i, p := range tests {
		m := datadropout.TestImage{ID: p.Clean.ID, Height: kind.side, Width: kind.side, NoisyPSNR: 20.17, NoisySSIM: 0.4, PSNR: map[string]datadropout.Number{}, SSIM: map[string]datadropout.Number{}}
		for k, arm := range arms {
			m.PSNR[arm], m.SSIM[arm] = datadropout.Number(28+float64(i)+0.25*float64(k)), datadropout.Number(0.8+0.01*float64(k))
		}
		d.Test = append(d.Test, m)
	}
	r.Denoising = d
	if !kind.nothing {
		x.Test.Restored[datadropout.Dropped], x.Test.PSNR[datadropout.Dropped] = between(noisy, clean), 26.43
		compare := func(arm string) datadropout.Effect {
			return datadropout.PairedEffect(r.Arms[datadropout.Dropped].TestMetric, r.Arms[arm].TestMetric)
		}
		random, highest := compare(datadropout.Random), compare(datadropout.HighestLoss)
		r.Effect, r.Control = compare(datadropout.Full), datadropout.Controls{Random: &random, HighestLoss: &highest, LossReduction: &random}
		r.Gap = datadropout.NewGap(r.Arms, -0.01)
	}
	return o
}

// TestDenoisingFiles: the files of a run of denoising, and the page made again from them byte for byte.
func TestDenoisingFiles(t *testing.T) {
	dir := runDirectory(t, denoisingOutcome(t, smallDenoising))
	for _, name := range []string{ResultFile, ScoresFile, DropFile, KeepFile, CurvesFile, ImagesFile, ContentFile, PageFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	checkPageMadeAgain(t, dir)
	rows := strings.Split(string(imageTable(denoisingOutcome(t, smallDenoising))), "\n")
	// Patches 0 to 15 have -24e-6, -23e-6, ..., -9e-6: -264e-6 in all; half of them are dropped.
	if fields := strings.Split(rows[1], ","); len(rows) != 8 || fields[0] != "train/0.png" || fields[1] != "16" || !strings.HasPrefix(fields[2], "-0.00026") || strings.Join(fields[3:], ",") != "0.5,8,blur" {
		t.Errorf("images.csv: %q", rows)
	}
}

// TestDenoisingPage: what the page says, where it comes first, and that every number in it is that of the run.
func TestDenoisingPage(t *testing.T) {
	page, err := Page(denoisingOutcome(t, smallDenoising))
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	last := -1
	for _, want := range []string{
		"6 training images in 96 patches of 8 x 8 pixels", "noise gaussian:25", "the targets of 1 training image (16 patches) spoiled on purpose",
		"Improved: dropping 8 patches raised the test PSNR.", "dropped minus full: <b>&#43;0.100 dB, 95 % interval",
		"8 of 96 patches (8.3 %), from 1 of 6 images, by the rule count:8; 24 patches have a removal effect below zero. 8 of the dropped patches are of targets spoiled on purpose: 100 % of the dropped, 50 % of the 16 spoiled.",
		`<section id="arms">`, `<th scope="col">patches</th>`, `<section id="gap">`, `<section id="test" class="wide">`,
		"test/0.png</th><td>20.17</td><td>28.00</td><td>28.25</td><td>&#43;0.250</td><td class=\"first\">0.4000</td><td>0.8000</td><td>0.8100</td><td>&#43;0.0100</td>",
		"mean</th><td>20.17</td><td>28.01</td><td>28.11</td><td>&#43;0.100</td>",
		`<section id="side"`, "20.2 dB", "26.18 dB", "26.43 dB", `<section id="dose"`, `<section id="effects">`, "The removal effect of a patch is", `<section id="curves">`, `<section id="solver">`,
		"The 18 most harmful training patches", "train/0.png", "delta -2.40e-05 ± 2e-07", "target spoiled on purpose: blur", "x 0, y 0, 8 x 8 pixels",
		"The 18 most helpful training patches", "delta &#43;7.10e-05", "Of 6 training images", "sum of delta -2.64e-04", "16 patches, <b>8 dropped</b>; 20 x 20 pixels",
		// The images 0 to 5 have, in units of 1e-6, the sums -264, -8, 248, 504, 760 and 1016.
		"sum of delta -8.00e-06", "Most helpful images", "train/5.png", "sum of delta &#43;1.02e-03", "train/2.png", "sum of delta &#43;2.48e-04", "images.csv",
	} {
		at := strings.Index(text[last+1:], want)
		if at < 0 {
			t.Errorf("the page lacks %q behind what comes before", want)
			continue
		}
		last += at
	}
	for _, no := range []string{"<script", "ZgotmplZ", "samples", "class keeps", "http:", "https:"} {
		if strings.Contains(text, no) {
			t.Errorf("the page says %q: …%s", no, text[max(0, strings.Index(text, no)-60):][:120])
		}
	}
	if n := strings.Count(text, `class="sample`); n != 2*shown+6 {
		t.Errorf("%d cards, want %d harmful and as many helpful patches and 6 images", n, shown)
	}

	images := smallDenoising
	images.unit = datadropout.DropImages
	page, err = Page(denoisingOutcome(t, images))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"dropping 1 image (16 patches) raised", "Dropped: 1 of 6 images, which are 16 of 96 patches (16.7 %), by the rule", "(1 of 1 image).", "effects of 6 images, of which 1 were dropped", "The removal effect of an image, the sum"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page of dropped images lacks %q", want)
		}
	}
	// Nothing dropped, no standard errors, one test image too small for SSIM, and a network that restores perfectly.
	none := smallDenoising
	none.nothing = true
	o := denoisingOutcome(t, none)
	o.Estimates.StandardError = nil
	nan := datadropout.Number(math.NaN())
	o.Result.Denoising.NoisySSIM, o.Result.Denoising.Test[0].NoisySSIM, o.Result.Denoising.Test[0].SSIM[datadropout.Full], o.Result.Arms[datadropout.Full].TestSSIM = nan, nan, nan, nil
	o.Examined.Patches[0].Restored = o.Examined.Patches[0].Clean
	page, err = Page(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Nothing dropped", "test/0.png</th><td>20.17</td><td>28.00</td><td class=\"first\">–</td><td>–</td>", "round 1 the same", "delta -2.40e-05</span>"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page of a run that dropped nothing lacks %q", want)
		}
	}
	if strings.Contains(string(page), "random control") || strings.Contains(string(page), "NaN") {
		t.Error("the page of a run that dropped nothing shows arms that were not trained, or NaN")
	}
}

// TestShownPatches: the pictures of a patch are its pixels, and the residual what is left of the target, around gray.
func TestShownPatches(t *testing.T) {
	o := denoisingOutcome(t, smallDenoising)
	c, err := NewContent(o)
	if err != nil {
		t.Fatal(err)
	}
	place := o.Examined.Helpful[3]
	p, e := c.Denoising.Helpful[3], o.Examined.Patches[shown+3]
	r := o.Data.Patches.Region(o.Data.Split.Train[place])
	if p.Index != o.Data.Split.Train[place] || p.X != r.Min.X || p.Y != r.Min.Y || p.Width != 8 || p.Height != 8 || p.Image != "train/5.png" || p.Planted != "" || p.Dropped {
		t.Errorf("%+v", p)
	}
	own := o.Data.Patches.Pairs()[5].Clean
	for name, data := range map[string][]byte{"clean": p.Clean, "noisy": p.Noisy, "restored": p.Restored, "residual": p.Residual} {
		m, err := png.Decode(bytes.NewReader(data))
		if err != nil || m.Bounds() != image.Rect(0, 0, 8, 8) {
			t.Fatalf("%s: %v, %v", name, m, err)
		}
		for k := range 64 {
			want := map[string]float32{"clean": float32(own.Pix[(p.Y+k/8)*20+p.X+k%8]) / 65535, "noisy": e.Noisy.Pix[k], "restored": e.Restored.Pix[k], "residual": 0.5 + 3*(e.Restored.Pix[k]-e.Clean.Pix[k])}[name]
			if got := m.At(k%8, k/8).(color.Gray).Y; math.Abs(float64(got)-255*float64(min(max(want, 0), 1))) > 0.51 {
				t.Fatalf("%s: pixel %d is %d, want %v", name, k, got, 255*want)
			}
		}
	}
	if got := restore.PSNR(e.Noisy, e.Clean); math.Abs(float64(p.NoisyPSNR)-got) > 1e-9 || math.Abs(float64(p.PSNR)-got-20*math.Log10(2)) > 1e-3 {
		t.Errorf("%v and %v dB; the noise has %v, and half of it 6.02 more", p.NoisyPSNR, p.PSNR, got)
	}
}

// TestDenoisingPageEscapesNames: names of files that are markup stay text.
func TestDenoisingPageEscapesNames(t *testing.T) {
	const hostile = `</title><script>alert(1)</script>"'><img src=x onerror=alert(2)>`
	o := denoisingOutcome(t, smallDenoising)
	r := &o.Result
	r.Data.Name, r.Net.Name, r.Infl.Solver.Message, r.Infl.Solver.Converged = hostile, hostile, hostile, false
	r.Drop.Rule, r.Drop.Amounts[1].Rule = hostile, hostile
	r.Denoising.Degradation = hostile
	for k := range r.Denoising.Test {
		r.Denoising.Test[k].ID = hostile
	}
	for k, p := range o.Data.Patches.Pairs() {
		p.Clean.ID = hostile
		o.Data.Patches.Pairs()[k].Planted = hostile
	}
	for _, p := range o.Data.TestSet.Pairs {
		p.Clean.ID = hostile
	}
	page, err := Page(o)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if strings.Contains(text, "<script") || strings.Contains(text, "<img src=x") || strings.Contains(text, `"'>`) || strings.Contains(text, "ZgotmplZ") {
		t.Error("a name is part of the markup")
	}
	if n := strings.Count(text, "alert(1)"); n < 80 {
		t.Errorf("the name is there %d times only", n)
	}
}

// TestDenoisingPageSizeIsBounded: large patches of large images in color, all noise that no encoder makes small, and many test images.
func TestDenoisingPageSizeIsBounded(t *testing.T) {
	kind := denoisingKind{images: 12, side: 400, size: 128, stride: 68, channels: 3, tests: 300, unit: datadropout.DropPatches}
	dir := runDirectory(t, denoisingOutcome(t, kind))
	for _, name := range []string{PageFile, ContentFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.2f MiB", name, float64(info.Size())/(1<<20))
		if info.Size() > 5<<20 {
			t.Errorf("%s has %.1f MiB, want at most 5", name, float64(info.Size())/(1<<20))
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, PageFile))
	if err != nil || !strings.Contains(string(page), "200 more are in result.json") || !strings.Contains(string(page), "The pictures are the middle 64 x 64 pixels") || !strings.Contains(string(page), "160 x 160 pixels of 400 x 400") {
		t.Errorf("the page does not say what it leaves out (%v)", err)
	}
}

// TestReadDenoisingRefuses: a page.json that does not fit its result.json, or that lacks a picture, is told.
func TestReadDenoisingRefuses(t *testing.T) {
	for want, edit := range map[string]func(c *Content){
		"it is not of the run that result.json is of":     func(c *Content) { c.Denoising = nil },
		"patch 3: a picture is missing":                   func(c *Content) { c.Denoising.Harmful[3].Residual = nil },
		"image train/0.png: a picture is missing":         func(c *Content) { c.Denoising.HarmfulImages[0].Heat = nil },
		"there is no test image":                          func(c *Content) { c.Denoising.Test = nil },
		"test image test/1.png: a picture of 2000000 byt": func(c *Content) { c.Denoising.Test.Restored[datadropout.Full] = make([]byte, 2_000_000) },
	} {
		dir := runDirectory(t, denoisingOutcome(t, smallDenoising))
		c, err := ReadContent(dir)
		if err != nil {
			t.Fatal(err)
		}
		edit(c)
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ContentFile), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "SHA256SUMS")); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadContent(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestNoReviewOfDenoising: there is no page with buttons.
func TestNoReviewOfDenoising(t *testing.T) {
	c, err := NewContent(denoisingOutcome(t, smallDenoising))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Render(&Review{}); err == nil {
		t.Error("a review of patches")
	}
}
