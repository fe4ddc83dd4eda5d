package report

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"slices"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/restore"
)

// DenoisingContent is what the page of a run of denoising shows of its own.
type DenoisingContent struct {
	// Harmful and Helpful are the patches shown, the most extreme first.
	Harmful []ShownPatch `json:"harmful"`
	Helpful []ShownPatch `json:"helpful"`
	// HarmfulImages and HelpfulImages are the training images with the lowest sums of removal effects below zero and the highest above, the
	// most extreme first, of Images in all. HeatLimit is the removal effect at which the colors of their maps end.
	HarmfulImages []ShownImage `json:"harmful_images"`
	HelpfulImages []ShownImage `json:"helpful_images"`
	HeatLimit     float64      `json:"heat_limit"`
	Images        int          `json:"images"`
	// Test is the test image shown.
	Test *ShownTest `json:"test"`
}

// ShownPatch is a training patch that the page shows.
type ShownPatch struct {
	// Index is that of scores.csv.
	Index int    `json:"index"`
	Image string `json:"image"`
	// X, Y, Width and Height are the part of the image that it shows, in pixels of the image's own size, and Scale what the image was
	// scaled by before.
	X             int                `json:"x"`
	Y             int                `json:"y"`
	Width         int                `json:"width"`
	Height        int                `json:"height"`
	Scale         float64            `json:"scale"`
	Delta         float64            `json:"delta"`
	StandardError datadropout.Number `json:"standard_error"`
	// NoisyPSNR and PSNR are those of the input and of what round 1 makes of it, against the target, in dB.
	NoisyPSNR datadropout.Number `json:"noisy_psnr"`
	PSNR      datadropout.Number `json:"psnr"`
	Dropped   bool               `json:"dropped"`
	// Planted is what was done to the target on purpose; see [dataset.Pair].
	Planted string `json:"planted,omitempty"`
	// Of a large patch the pictures are the middle.
	Clean    []byte `json:"clean"`
	Noisy    []byte `json:"noisy"`
	Restored []byte `json:"restored"`
	Residual []byte `json:"residual"`
}

// ShownImage is a training image with the map of its patches' removal effects.
type ShownImage struct {
	ID     string `json:"id"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	// Patches counts its patches, and Dropped those that were dropped. Delta is the sum of their removal effects.
	Patches int     `json:"patches"`
	Dropped int     `json:"dropped"`
	Delta   float64 `json:"delta"`
	Planted string  `json:"planted,omitempty"`
	Clean   []byte  `json:"clean"`
	Heat    []byte  `json:"heat"`
}

// ShownTest is a test image, or a part of it.
type ShownTest struct {
	ID string `json:"id"`
	// X, Y, Width and Height are the part, of an image of WholeWidth x WholeHeight.
	X           int `json:"x"`
	Y           int `json:"y"`
	Width       int `json:"width"`
	Height      int `json:"height"`
	WholeWidth  int `json:"whole_width"`
	WholeHeight int `json:"whole_height"`
	// NoisyPSNR, and PSNR by arm, are those of the whole image at the first seed.
	NoisyPSNR datadropout.Number            `json:"noisy_psnr"`
	PSNR      map[string]datadropout.Number `json:"psnr"`
	Clean     []byte                        `json:"clean"`
	Noisy     []byte                        `json:"noisy"`
	// Restored has an entry an arm: full and, where anything was dropped, dropped.
	Restored map[string][]byte `json:"restored"`
}

const (
	// patchSide bounds the side of a patch's pictures: of a larger one they show the middle, pixel by pixel.
	patchSide = 64
	// shownImages is how many of the most harmful and of the most helpful images are shown, heatSide bounds the cells of their maps along
	// a side, and imageSide the side of their pictures.
	shownImages = 6
	heatSide    = 128
	imageSide   = 160
	// residualGain is what residuals are multiplied by.
	residualGain = 3
)

func newDenoisingContent(o *datadropout.Outcome) (*DenoisingContent, error) {
	c := &DenoisingContent{}
	dropped := make(map[int]bool, len(o.Dropped))
	for _, p := range o.Dropped {
		dropped[p] = true
	}
	for k, place := range append(slices.Clone(o.Examined.Harmful), o.Examined.Helpful...) {
		p, err := newShownPatch(o, place, o.Examined.Patches[k], dropped)
		if err != nil {
			return nil, err
		}
		if k < len(o.Examined.Harmful) {
			c.Harmful = append(c.Harmful, p)
		} else {
			c.Helpful = append(c.Helpful, p)
		}
	}
	if err := c.addImages(o, dropped); err != nil {
		return nil, err
	}
	return c, c.addTest(o)
}

func newShownPatch(o *datadropout.Outcome, place int, e datadropout.ExaminedPatch, dropped map[int]bool) (ShownPatch, error) {
	i, patches := o.Data.Split.Train[place], o.Data.Patches
	at, r := patches.Patch(i), patches.Region(i)
	p := ShownPatch{
		Index: i, Image: patches.Pairs()[at.Pair].Clean.ID, X: r.Min.X, Y: r.Min.Y, Width: r.Dx(), Height: r.Dy(), Scale: at.Scale,
		Delta: o.Estimates.Delta[place], StandardError: datadropout.Number(math.NaN()), Dropped: dropped[i], Planted: patches.Planted(i),
		NoisyPSNR: psnr(e.Noisy, e.Clean), PSNR: psnr(e.Restored, e.Clean),
	}
	if o.Estimates.StandardError != nil {
		p.StandardError = datadropout.Number(o.Estimates.StandardError[place])
	}
	residual := restore.NewImage(e.Clean.Height, e.Clean.Width, e.Clean.Channels)
	for k := range residual.Pix {
		residual.Pix[k] = 0.5 + residualGain*(e.Restored.Pix[k]-e.Clean.Pix[k])
	}
	for _, picture := range []struct {
		into *[]byte
		of   *restore.Image
	}{{&p.Clean, e.Clean}, {&p.Noisy, e.Noisy}, {&p.Restored, e.Restored}, {&p.Residual, residual}} {
		var err error
		if *picture.into, err = exact(middle(picture.of, patchSide)); err != nil {
			return p, err
		}
	}
	return p, nil
}

// psnr is a PSNR that JSON can hold: NaN of equal images.
func psnr(a, b *restore.Image) datadropout.Number {
	v := restore.PSNR(a, b)
	if math.IsInf(v, 0) {
		v = math.NaN()
	}
	return datadropout.Number(v)
}

// middle is the middle of an image, at most side pixels high and wide.
func middle(m *restore.Image, side int) *restore.Image {
	h, w := min(m.Height, side), min(m.Width, side)
	return m.Part(image.Rect(0, 0, w, h).Add(image.Pt((m.Width-w)/2, (m.Height-h)/2)))
}

// exact encodes an image pixel by pixel, with 8 bits.
func exact(m *restore.Image) ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, m.Picture(8))
	return b.Bytes(), err
}

// trainingImage is an image of the training split with the places of its patches there.
type trainingImage struct {
	pair   int
	places []int
	delta  float64
}

// trainingImages are those of the training split, in the order of the data.
func trainingImages(o *datadropout.Outcome) []*trainingImage {
	byPair := map[int]*trainingImage{}
	var all []*trainingImage
	for place, i := range o.Data.Split.Train {
		pair := o.Data.Patches.Patch(i).Pair
		m := byPair[pair]
		if m == nil {
			m = &trainingImage{pair: pair}
			byPair[pair] = m
			all = append(all, m)
		}
		m.places = append(m.places, place)
		m.delta += o.Estimates.Delta[place]
	}
	return all
}

// addImages adds the most harmful and the most helpful training images with their maps.
func (c *DenoisingContent) addImages(o *datadropout.Outcome, dropped map[int]bool) error {
	all := trainingImages(o)
	c.Images = len(all)
	slices.SortStableFunc(all, func(a, b *trainingImage) int { return cmp.Compare(a.delta, b.delta) })
	var harmful, helpful []*trainingImage
	for k, m := range all {
		if m.delta < 0 && k < shownImages {
			harmful = append(harmful, m)
		}
		if last := all[len(all)-1-k]; last.delta > 0 && k < shownImages {
			helpful = append(helpful, last)
		}
	}
	shown := append(slices.Clone(harmful), helpful...)
	maps := make([]*heatMap, len(shown))
	for k, m := range shown {
		clean := o.Data.Patches.Pairs()[m.pair].Clean
		var regions []image.Rectangle
		var delta []float64
		for _, place := range m.places {
			regions = append(regions, o.Data.Patches.Region(o.Data.Split.Train[place]))
			delta = append(delta, o.Estimates.Delta[place])
		}
		maps[k] = newHeatMap(clean.Width, clean.Height, regions, delta, heatSide)
	}
	c.HeatLimit = heatLimit(maps)
	for k, m := range shown {
		pair := o.Data.Patches.Pairs()[m.pair]
		s := ShownImage{ID: pair.Clean.ID, Width: pair.Clean.Width, Height: pair.Clean.Height, Patches: len(m.places), Delta: m.delta, Planted: pair.Planted}
		for _, place := range m.places {
			if dropped[o.Data.Split.Train[place]] {
				s.Dropped++
			}
		}
		var err error
		if s.Clean, err = thumbnail(pair.Clean.Image(), imageSide); err != nil {
			return err
		}
		if s.Heat, err = maps[k].png(c.HeatLimit); err != nil {
			return err
		}
		if k < len(harmful) {
			c.HarmfulImages = append(c.HarmfulImages, s)
		} else {
			c.HelpfulImages = append(c.HelpfulImages, s)
		}
	}
	return nil
}

// addTest adds the test image.
func (c *DenoisingContent) addTest(o *datadropout.Outcome) error {
	e := o.Examined.Test
	whole := o.Data.TestSet.Pairs[e.Position].Clean
	t := &ShownTest{
		ID: whole.ID, X: e.At.Min.X, Y: e.At.Min.Y, Width: e.At.Dx(), Height: e.At.Dy(), WholeWidth: whole.Width, WholeHeight: whole.Height,
		NoisyPSNR: datadropout.Number(e.NoisyPSNR), PSNR: map[string]datadropout.Number{}, Restored: map[string][]byte{},
	}
	var err error
	if t.Clean, err = exact(e.Clean); err != nil {
		return err
	}
	if t.Noisy, err = exact(e.Noisy); err != nil {
		return err
	}
	for arm, m := range e.Restored {
		if t.Restored[arm], err = exact(m); err != nil {
			return err
		}
		t.PSNR[arm] = datadropout.Number(e.PSNR[arm])
	}
	c.Test = t
	return nil
}

// check reports what does not fit together in a content that was read.
func (c *DenoisingContent) check() error {
	for _, p := range append(slices.Clone(c.Harmful), c.Helpful...) {
		for _, picture := range [][]byte{p.Clean, p.Noisy, p.Restored, p.Residual} {
			if err := checkPicture(picture); err != nil {
				return fmt.Errorf("patch %d: %w", p.Index, err)
			}
		}
	}
	for _, m := range append(slices.Clone(c.HarmfulImages), c.HelpfulImages...) {
		for _, picture := range [][]byte{m.Clean, m.Heat} {
			if err := checkPicture(picture); err != nil {
				return fmt.Errorf("image %s: %w", m.ID, err)
			}
		}
	}
	if c.Test == nil {
		return errors.New("there is no test image")
	}
	pictures := [][]byte{c.Test.Clean, c.Test.Noisy}
	for _, m := range c.Test.Restored {
		pictures = append(pictures, m)
	}
	for _, picture := range pictures {
		if err := checkPicture(picture); err != nil {
			return fmt.Errorf("test image %s: %w", c.Test.ID, err)
		}
	}
	return nil
}
