package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"path"
	"strings"
)

// Pair is an image to restore and what it should become.
type Pair struct {
	// Clean is the target.
	Clean *Picture
	// Source is what a degradation is applied to; nil means Clean. Where a clean target was made bad on purpose, Source is it before.
	Source *Picture
	// Noisy is the input as it was taken, of Clean's size, where pairs are real; else it is nil.
	Noisy *Picture
	// Planted says what was done to Clean on purpose, one of BadPairKinds; empty for a pair as it is.
	Planted string
}

// source is what the input is made of.
func (p Pair) source() *Picture {
	switch {
	case p.Noisy != nil:
		return p.Noisy
	case p.Source != nil:
		return p.Source
	}
	return p.Clean
}

// CleanPairs are pairs whose inputs are made from their targets.
func CleanPairs(all []*Picture) []Pair {
	pairs := make([]Pair, len(all))
	for k, p := range all {
		pairs[k].Clean = p
	}
	return pairs
}

// OpenPairs reads real pairs: the images of two folders with the same names, extensions aside. An image without a partner, pairs of
// unequal size and two partners are an [*InputError] that names them. Ids are the names in the clean folder. What can't be read of
// either is left out with its partner where the options allow that.
func OpenPairs(ctx context.Context, clean, noisy string, o PictureFolderOptions) ([]Pair, []string, error) {
	targets, err := OpenPictureFolder(ctx, clean, o)
	if err != nil {
		return nil, nil, err
	}
	inputs, err := OpenPictureFolder(ctx, noisy, o)
	if err != nil {
		return nil, nil, err
	}
	stem := func(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }
	gone := map[string]bool{}
	for _, side := range []*PictureFolder{targets, inputs} {
		for _, f := range side.Skipped {
			gone[stem(f.Path)] = true
		}
	}
	partner := map[string]*Picture{}
	for _, p := range inputs.All {
		if twin := partner[stem(p.ID)]; twin != nil {
			return nil, nil, inputErrorf(noisy, "%s and %s have the same name", twin.ID, p.ID)
		}
		partner[stem(p.ID)] = p
	}
	color := max(targets.All[0].Channels, inputs.All[0].Channels) == 3
	var pairs []Pair
	taken := map[string]string{}
	for _, p := range targets.All {
		name := stem(p.ID)
		q := partner[name]
		switch {
		case taken[name] != "":
			return nil, nil, inputErrorf(clean, "%s and %s have the same name", taken[name], p.ID)
		case q == nil && gone[name]:
			continue
		case q == nil:
			return nil, nil, inputErrorf(clean, "%s has no partner in %s", p.ID, noisy)
		case p.Height != q.Height || p.Width != q.Width:
			return nil, nil, inputErrorf(clean, "%s is of %dx%d pixels, and its partner %s of %dx%d", p.ID, p.Height, p.Width, path.Join(noisy, q.ID), q.Height, q.Width)
		}
		taken[name] = p.ID
		if color {
			p, q = p.Color(), q.Color()
		}
		pairs = append(pairs, Pair{Clean: p, Noisy: q})
	}
	for _, q := range inputs.All {
		if name := stem(q.ID); taken[name] == "" && !gone[name] {
			return nil, nil, inputErrorf(noisy, "%s has no partner in %s", q.ID, clean)
		}
	}
	if len(pairs) == 0 {
		return nil, nil, inputErrorf(clean, "no pair with %s can be read", noisy)
	}
	notes := append(targets.Notes, inputs.Notes...)
	return pairs, notes, nil
}

// HashPairs returns a content hash: SHA-256, in hex, over ids, sizes and pixels.
func HashPairs(pairs []Pair) string {
	h := sha256.New()
	fmt.Fprintf(h, "datadropout pairs 1\n%d\n", len(pairs))
	for _, p := range pairs {
		fmt.Fprintf(h, "%d %s", len(p.Clean.ID), p.Clean.ID)
		for _, m := range []*Picture{p.Clean, p.Source, p.Noisy} {
			if m == nil {
				fmt.Fprint(h, "\n")
				continue
			}
			sum := m.Hash()
			h.Write(sum[:])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// BadPairKinds are the ways in which [PlantBadPairs] spoils a target: blurred by a Gaussian of sigma 2 pixels, with normal noise of
// sigma 25 gray levels, through a JPEG file of quality 5, and shifted by 2 or 3 pixels in each direction. Noise is the odd one out: what
// is independent of the input adds a constant to the expected squared error (Lehtinen et al., "Noise2Noise", 2018, section 2), so such a
// target is bad to look at and no worse to train on.
var BadPairKinds = []string{"blur", "noise", "jpeg", "shift"}

// PlantBadPairs spoils the clean targets of the given share of the pairs, in [0, 1), chosen at random, with the kinds in turn. The
// noisy inputs stay those of the clean images, unless whole says that the inputs are made from the spoiled images too. The pairs given
// stay as they are.
func PlantBadPairs(pairs []Pair, share float64, kinds []string, whole bool, seed uint64) []Pair {
	out := append([]Pair(nil), pairs...)
	rng := stream(seed, purposeBadPairs, 0)
	for k, i := range rng.Perm(len(pairs))[:int(math.Round(share*float64(len(pairs))))] {
		p := &out[i]
		p.Planted = kinds[k%len(kinds)]
		clean := p.Clean
		p.Clean = clean.spoiled(p.Planted, seed, uint64(i))
		if !whole && p.Noisy == nil {
			p.Source = clean
		}
	}
	return out
}

// spoiled returns the picture spoiled in one of the ways of BadPairKinds.
func (p *Picture) spoiled(kind string, seed, index uint64) *Picture {
	rng := stream(seed, purposeBadPairs, index+1)
	q := *p
	switch kind {
	case "blur":
		q.Pix = p.blurred(2)
	case "noise":
		q.Pix = make([]uint16, len(p.Pix))
		for k, v := range p.Pix {
			q.Pix[k] = p.level(float64(v) + 25*257*rng.NormFloat64())
		}
	case "jpeg":
		return p.compressed(5)
	case "shift":
		by := func() int { return (2 + rng.IntN(2)) * (1 - 2*rng.IntN(2)) }
		dy, dx := by(), by()
		q.Pix = make([]uint16, 0, len(p.Pix))
		for y := range p.Height {
			for x := range p.Width {
				at := (within(y+dy, p.Height)*p.Width + within(x+dx, p.Width)) * p.Channels
				q.Pix = append(q.Pix, p.Pix[at:at+p.Channels]...)
			}
		}
	default:
		panic(fmt.Sprintf("dataset: unknown kind of bad pair %q", kind))
	}
	return &q
}

// within returns the nearest of 0, ..., n-1.
func within(at, n int) int { return min(max(at, 0), n-1) }

// blurred returns the pixels after a Gaussian of the standard deviation, with the border repeated.
func (p *Picture) blurred(sigma float64) []uint16 {
	radius := int(math.Ceil(3 * sigma))
	weights, total := make([]float64, 2*radius+1), 0.0
	for k := range weights {
		d := float64(k - radius)
		weights[k] = math.Exp(-d * d / (2 * sigma * sigma))
		total += weights[k]
	}
	values := make([]float64, len(p.Pix))
	for k, v := range p.Pix {
		values[k] = float64(v)
	}
	along := func(dy, dx int) {
		sums := make([]float64, len(values))
		for y := range p.Height {
			for x := range p.Width {
				to := (y*p.Width + x) * p.Channels
				for k, w := range weights {
					from := (within(y+dy*(k-radius), p.Height)*p.Width + within(x+dx*(k-radius), p.Width)) * p.Channels
					for c := range p.Channels {
						sums[to+c] += w / total * values[from+c]
					}
				}
			}
		}
		values = sums
	}
	along(0, 1)
	along(1, 0)
	pix := make([]uint16, len(values))
	for k, v := range values {
		pix[k] = p.level(v)
	}
	return pix
}
