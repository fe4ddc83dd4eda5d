package datadropout

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"slices"
	"time"

	"github.com/datadropout/datadropout/restore"
)

// ExaminedPatch holds the pictures of a training patch that is shown, without a flip or a rotation.
type ExaminedPatch struct {
	// Clean is the target, Noisy the input as it is scored, and Restored what round 1 of the first seed makes of it, not clamped.
	Clean, Noisy, Restored *restore.Image
}

// ExaminedImage holds the pictures of the test image that is shown: of all, the one whose change of the PSNR by dropping is the median
// at the first seed, or, where nothing was dropped, whose PSNR is.
type ExaminedImage struct {
	// Position is its position in Data.TestSet.Pairs.
	Position int
	// At is the part that the pictures show, in pixels of the image: all of it where it is small, else the square in which the networks
	// of the arms full and dropped differ most or, where nothing was dropped, its middle.
	At image.Rectangle
	// Restored holds what the network of an arm at the first seed makes of it, not clamped, and PSNR that of the whole image, in dB, as
	// a file of 8 bits holds it. The arms are full and, where anything was dropped, dropped.
	Clean, Noisy *restore.Image
	Restored     map[string]*restore.Image
	PSNR         map[string]float64
	NoisyPSNR    float64
}

const (
	// shownPatches is how many of the most harmful and of the most helpful patches are shown.
	shownPatches = 18
	// shownSide bounds the sides of the part of a test image that is shown, in pixels.
	shownSide = 160
)

// examinePatches makes ready what a page shows of a run of denoising: patches, and one test image. The test split has been measured by
// then, and nothing is chosen by it but that picture.
func (r *runner) examinePatches(ctx context.Context) error {
	x := &r.out.Examined
	order := MostHarmful(r.out.Estimates.Delta)
	half := (len(order) + 1) / 2
	x.Harmful = r.apart(order[:half], shownPatches)
	rest := slices.Clone(order[half:])
	slices.Reverse(rest)
	x.Helpful = r.apart(rest, shownPatches)
	piece := Event{Type: "start", Stage: StageExamine, Kind: KindExamination, Part: 1, Parts: 1,
		What: fmt.Sprintf("%d patches and a test image", len(x.Harmful)+len(x.Helpful))}
	r.observe.emit(piece)
	began := time.Now()
	if err := r.picturePatches(ctx); err != nil {
		return err
	}
	if err := r.pictureTest(ctx); err != nil {
		return err
	}
	piece.Type, piece.Fraction, piece.Seconds = "done", 1, time.Since(began).Seconds()
	r.observe.emit(piece)
	return nil
}

// apart returns the first n of the places in the training split none of which shares a pixel of its image with one before it: patches
// overlap, and what is found in one would be found in all around it.
func (r *runner) apart(places []int, n int) []int {
	var chosen []int
	taken := map[int][]image.Rectangle{} // by image
	for _, place := range places {
		i := r.data.Split.Train[place]
		pair, region := r.data.Patches.Patch(i).Pair, r.data.Patches.Region(i)
		if slices.ContainsFunc(taken[pair], region.Overlaps) {
			continue
		}
		taken[pair] = append(taken[pair], region)
		if chosen = append(chosen, place); len(chosen) == n {
			break
		}
	}
	return chosen
}

// picturePatches restores the patches to show by round 1 of the first seed.
func (r *runner) picturePatches(ctx context.Context) error {
	x, patches := &r.out.Examined, r.data.Patches
	size, c := patches.Options().Size, patches.Channels()
	in := patches.InputDims()[2]
	var inputs []*restore.Image
	var sigmas []float32
	for _, place := range append(slices.Clone(x.Harmful), x.Helpful...) {
		p := ExaminedPatch{Clean: restore.NewImage(size, size, c), Noisy: restore.NewImage(size, size, c)}
		input := make([]float32, size*size*in)
		patches.Fill(r.data.Split.Train[place], input, p.Clean.Pix)
		sigma := float32(0)
		for k := range size * size {
			copy(p.Noisy.Pix[k*c:(k+1)*c], input[k*in:])
			if in > c { // the map of the noise
				sigma = input[k*in+c]
			}
		}
		inputs, sigmas = append(inputs, p.Noisy), append(sigmas, sigma)
		x.Patches = append(x.Patches, p)
	}
	restored, err := r.restored(ctx, armKey(Full, 0), inputs, sigmas)
	if err != nil {
		return err
	}
	for k := range x.Patches {
		x.Patches[k].Restored = restored[k]
	}
	return nil
}

// restored applies the model of a training to images.
func (r *runner) restored(ctx context.Context, key string, inputs []*restore.Image, sigmas []float32) ([]*restore.Image, error) {
	m, _, ok, err := r.store.Model(key)
	if err == nil && !ok {
		err = fmt.Errorf("the model %s is gone from the store", key)
	}
	if err != nil {
		return nil, err
	}
	return r.tools.apply(ctx, r.network, m, inputs, sigmas)
}

// pictureTest restores a test image by the networks of the first seed.
func (r *runner) pictureTest(ctx context.Context) error {
	set, arms := r.data.TestSet, r.out.Result.Arms
	shown := []string{Full}
	if len(r.out.Dropped) > 0 {
		shown = append(shown, Dropped)
	}
	score := func(i int) float64 {
		last := arms[shown[len(shown)-1]].images[0][i].PSNR
		if len(shown) > 1 {
			last -= arms[Full].images[0][i].PSNR
		}
		return last
	}
	order := positions(0, len(set.Pairs))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score(a), score(b)) })
	i := order[len(order)/2]
	clean := restore.FromPicture(set.Pairs[i].Clean)
	noisy, sigma := set.Input(i)
	whole := map[string]*restore.Image{}
	e := &ExaminedImage{Position: i, Restored: map[string]*restore.Image{}, PSNR: map[string]float64{}, NoisyPSNR: arms[Full].images[0][i].NoisyPSNR}
	for _, arm := range shown {
		out, err := r.restored(ctx, r.key(arm, 0), []*restore.Image{noisy}, []float32{sigma})
		if err != nil {
			return err
		}
		whole[arm], e.PSNR[arm] = out[0], arms[arm].images[0][i].PSNR
	}
	e.At = mostDifferent(whole[Full], whole[Dropped], clean.Height, clean.Width, shownSide)
	e.Clean, e.Noisy = clean.Part(e.At), noisy.Part(e.At)
	for arm, m := range whole {
		e.Restored[arm] = m.Part(e.At)
	}
	r.out.Examined.Test = e
	return nil
}

// mostDifferent returns the part of two images, at most side pixels high and wide, whose squared difference is largest, on a grid of an
// eighth of the side; the middle where there is no second image.
func mostDifferent(a, b *restore.Image, height, width, side int) image.Rectangle {
	h, w := min(height, side), min(width, side)
	if b == nil {
		return image.Rect(0, 0, w, h).Add(image.Pt((width-w)/2, (height-h)/2))
	}
	// sums holds, at [y][x], the sum over what lies above and to the left.
	sums := make([]float64, (height+1)*(width+1))
	for y := range height {
		row := 0.0
		for x := range width {
			at := (y*width + x) * a.Channels
			for c := range a.Channels {
				d := float64(a.Pix[at+c]) - float64(b.Pix[at+c])
				row += d * d
			}
			sums[(y+1)*(width+1)+x+1] = sums[y*(width+1)+x+1] + row
		}
	}
	step := max(1, side/8)
	best, most := image.Rectangle{}, -1.0
	for _, y := range stops(height-h, step) {
		for _, x := range stops(width-w, step) {
			total := sums[(y+h)*(width+1)+x+w] - sums[y*(width+1)+x+w] - sums[(y+h)*(width+1)+x] + sums[y*(width+1)+x]
			if total > most {
				best, most = image.Rect(x, y, x+w, y+h), total
			}
		}
	}
	return best
}

// stops are 0, step, 2 step, ... and last.
func stops(last, step int) []int {
	var at []int
	for k := 0; k < last; k += step {
		at = append(at, k)
	}
	return append(at, last)
}
