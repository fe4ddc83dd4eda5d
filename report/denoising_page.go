package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
)

//go:embed denoising.html
var denoisingSource string

var denoisingTemplate = template.Must(template.New("denoising").Funcs(pageFunctions).Parse(styleSource + sectionsSource + denoisingSource))

// mostTests bounds the rows of the table of test images.
const mostTests = 100

// denoisingPage is what the page of a run of denoising is made of.
type denoisingPage struct {
	runPage
	Noise                          string // in words
	Tests                          []testRow
	SSIMAt                         int // the column of the table at which SSIM begins
	MoreTests                      int
	Side                           sideBySide
	Gain, Shown                    int
	HarmfulPatches, HelpfulPatches []patchCard
	HarmfulImages, HelpfulImages   []imageCard
	Low, High                      string // ends of the color scale
}

// renderDenoising is Render for a run of denoising.
func (c *Content) renderDenoising() ([]byte, error) {
	d := c.Denoising
	page := denoisingPage{
		runPage: c.newRunPage(), Noise: noiseWords(c.Result.Denoising), Side: c.sideBySide(), Gain: residualGain, Shown: patchSide,
		HarmfulPatches: patchCards(d.Harmful), HelpfulPatches: patchCards(d.Helpful),
		HarmfulImages: imageCards(d.HarmfulImages), HelpfulImages: imageCards(d.HelpfulImages),
		Low: fmt.Sprintf("−%.1e", d.HeatLimit), High: fmt.Sprintf("+%.1e", d.HeatLimit),
	}
	page.Tests, page.MoreTests = c.testRows()
	page.SSIMAt = 2
	if c.Result.Drop.Count > 0 {
		page.SSIMAt = 4
	}
	var b bytes.Buffer
	err := denoisingTemplate.Execute(&b, page)
	return b.Bytes(), err
}

// noiseWords says what the noise is.
func noiseWords(d *datadropout.DenoisingResult) string {
	switch {
	case d.Degradation == "":
		return "real pairs"
	case d.Degradation == d.Evaluated:
		return "noise " + d.Degradation
	}
	return fmt.Sprintf("noise %s in training, %s in the other splits", d.Degradation, d.Evaluated)
}

// patchCard is a patch as the page shows it.
type patchCard struct {
	ShownPatch
	Where, Size, DeltaWords, PSNRWords string
}

func patchCards(patches []ShownPatch) []patchCard {
	cards := make([]patchCard, len(patches))
	for k, p := range patches {
		card := patchCard{ShownPatch: p, DeltaWords: fmt.Sprintf("%+.2e", p.Delta), Where: fmt.Sprintf("x %d, y %d", p.X, p.Y), Size: fmt.Sprintf("%d x %d pixels", p.Width, p.Height)}
		if !math.IsNaN(float64(p.StandardError)) {
			card.DeltaWords += fmt.Sprintf(" ± %.0e", float64(p.StandardError))
		}
		if p.Scale != 1 {
			card.Size += fmt.Sprintf(", scaled by %g", p.Scale)
		}
		card.PSNRWords = fmt.Sprintf("PSNR: noisy %s, round 1 %s", decibels(p.NoisyPSNR), decibels(p.PSNR))
		cards[k] = card
	}
	return cards
}

// decibels writes a PSNR; one that does not exist is that of equal images.
func decibels(v datadropout.Number) string {
	if math.IsNaN(float64(v)) {
		return "the same"
	}
	return fmt.Sprintf("%.1f dB", float64(v))
}

// imageCard is a training image as the page shows it.
type imageCard struct {
	ShownImage
	DeltaWords string
}

func imageCards(images []ShownImage) []imageCard {
	cards := make([]imageCard, len(images))
	for k, m := range images {
		cards[k] = imageCard{m, fmt.Sprintf("%+.2e", m.Delta)}
	}
	return cards
}

// testRow is a row of the table of test images.
type testRow struct {
	Title string
	Mean  bool
	Cells []string
}

// testRows are the rows of the table, the mean over all images last, and how many images are left out.
func (c *Content) testRows() (rows []testRow, more int) {
	r := &c.Result
	d := r.Denoising
	psnr, ssim := MetricOf("psnr"), MetricOf("ssim")
	// cells are those of one metric: noisy, full and, where anything was dropped, dropped and the difference.
	cells := func(m Metric, noisy float64, of func(arm string) float64) []string {
		write := func(v float64, s string) string {
			if math.IsNaN(v) {
				return "–"
			}
			return s
		}
		value := func(v float64) string { return write(v, fmt.Sprintf("%.*f", m.digits, v)) }
		out := []string{value(noisy), value(of(datadropout.Full))}
		if r.Drop.Count > 0 {
			change := of(datadropout.Dropped) - of(datadropout.Full)
			out = append(out, value(of(datadropout.Dropped)), write(change, m.Signed(change)))
		}
		return out
	}
	for k, t := range d.Test {
		if k == mostTests {
			more = len(d.Test) - k
			break
		}
		rows = append(rows, testRow{Title: t.ID, Cells: append(
			cells(psnr, float64(t.NoisyPSNR), func(arm string) float64 { return float64(t.PSNR[arm]) }),
			cells(ssim, float64(t.NoisySSIM), func(arm string) float64 { return float64(t.SSIM[arm]) })...)})
	}
	mean := func(of func(a *datadropout.ArmResult) []float64) func(arm string) float64 {
		return func(arm string) float64 {
			if a := r.Arms[arm]; a != nil && len(of(a)) > 0 {
				return stat.Mean(of(a), nil)
			}
			return math.NaN()
		}
	}
	return append(rows, testRow{Title: "mean", Mean: true, Cells: append(
		cells(psnr, float64(d.NoisyPSNR), mean(func(a *datadropout.ArmResult) []float64 { return a.TestMetric })),
		cells(ssim, float64(d.NoisySSIM), mean(func(a *datadropout.ArmResult) []float64 { return a.TestSSIM }))...)}), more
}

// sideBySide is the test image that the page shows.
type sideBySide struct {
	ID, Part, Chosen string
	Pictures         []sidePicture
}

type sidePicture struct {
	Title, Words string
	Picture      []byte
}

func (c *Content) sideBySide() sideBySide {
	t := c.Denoising.Test
	s := sideBySide{ID: t.ID, Chosen: "the image whose change of PSNR is the median", Pictures: []sidePicture{
		{"clean", "", t.Clean}, {"noisy", decibels(t.NoisyPSNR), t.Noisy},
	}}
	for _, arm := range []string{datadropout.Full, datadropout.Dropped} {
		if m, ok := t.Restored[arm]; ok {
			s.Pictures = append(s.Pictures, sidePicture{armName(arm), fmt.Sprintf("%.2f dB", float64(t.PSNR[arm])), m})
		}
	}
	where := "its middle"
	if len(t.Restored) > 1 {
		where = "the part where the two networks differ most"
	} else {
		s.Chosen = "the image whose PSNR is the median"
	}
	if t.Width < t.WholeWidth || t.Height < t.WholeHeight {
		s.Part = fmt.Sprintf(", %d x %d pixels of %d x %d from x %d, y %d on, %s", t.Width, t.Height, t.WholeWidth, t.WholeHeight, t.X, t.Y, where)
	}
	return s
}

// Noun is what the page calls a sample.
func (c *Content) Noun() string { return SampleNoun(&c.Result) }

// Nouns is what it calls several.
func (c *Content) Nouns() string { return strings.TrimPrefix(Counted(2, c.Noun()), "2 ") }

// TrainingNoun is what it calls a training sample.
func (c *Content) TrainingNoun() string { return "training " + c.Noun() }
