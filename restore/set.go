package restore

import (
	"context"
	"fmt"
	"image"
	"image/color"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/train"
)

// FromPicture returns the picture's values.
func FromPicture(p *dataset.Picture) *Image {
	m := NewImage(p.Height, p.Width, p.Channels)
	p.Values(m.Pix)
	return m
}

// Picture returns the image as one of 8 or 16 bits that a file can hold; values are clamped to the range.
func (m *Image) Picture(bits int) image.Image {
	levels := float64(int(1)<<bits - 1)
	level := func(k int) uint16 { return uint16(clamp(float64(m.Pix[k]))*levels + 0.5) }
	bounds := image.Rect(0, 0, m.Width, m.Height)
	switch {
	case m.Channels == 1 && bits == 8:
		p := image.NewGray(bounds)
		for k := range p.Pix {
			p.Pix[k] = uint8(level(k))
		}
		return p
	case m.Channels == 1:
		p := image.NewGray16(bounds)
		for k := range m.Pix {
			p.SetGray16(k%m.Width, k/m.Width, color.Gray16{Y: level(k)})
		}
		return p
	case bits == 8:
		p := image.NewRGBA(bounds)
		for k := range m.Height * m.Width {
			p.SetRGBA(k%m.Width, k/m.Width, color.RGBA{R: uint8(level(3 * k)), G: uint8(level(3*k + 1)), B: uint8(level(3*k + 2)), A: 255})
		}
		return p
	}
	p := image.NewRGBA64(bounds)
	for k := range m.Height * m.Width {
		p.SetRGBA64(k%m.Width, k/m.Width, color.RGBA64{R: level(3 * k), G: level(3*k + 1), B: level(3*k + 2), A: 65535})
	}
	return p
}

// Set is a set of whole images to restore and measure by.
type Set struct {
	Pairs []dataset.Pair
	// Degradation makes the inputs where pairs have none of their own, by Seed and the position of the pair.
	Degradation dataset.Degradation
	Seed        uint64
}

// mostPSNR bounds the PSNR of a score: equal images have one of infinity, which has no mean.
const mostPSNR = 100

// Score is how one image was restored.
type Score struct {
	ID            string
	Height, Width int
	// PSNRs are in dB, and at most 100. NoisyPSNR and NoisySSIM are those of the input as it is, not clamped.
	NoisyPSNR, NoisySSIM float64
	// PSNR and SSIM are those of the restored image as a file of 8 bits holds it, and Loss is the [train.SquaredError] of the image as
	// it comes from the network.
	PSNR, SSIM, Loss float64
}

// Input returns the input of the image at position i and the sigma of the noise in it, 0 where it is not known.
func (s *Set) Input(i int) (noisy *Image, sigma float32) {
	p := s.Pairs[i]
	if p.Noisy != nil {
		return FromPicture(p.Noisy), 0
	}
	from := p.Clean
	if p.Source != nil {
		from = p.Source
	}
	noisy = &Image{Height: from.Height, Width: from.Width, Channels: from.Channels}
	noisy.Pix, sigma = s.Degradation.Degraded(from, s.Seed, uint64(i))
	return noisy, sigma
}

// Measure restores every image of the set and compares it with its target. memory is that of [Restorer.Restore].
func (r *Restorer) Measure(ctx context.Context, s *Set, memory int64) ([]Score, error) {
	scores := make([]Score, len(s.Pairs))
	for i, p := range s.Pairs {
		noisy, sigma := s.Input(i)
		out, err := r.Restore(ctx, noisy, sigma, memory)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Clean.ID, err)
		}
		clean := FromPicture(p.Clean)
		shown := out.Quantized(8)
		scores[i] = Score{
			ID: p.Clean.ID, Height: p.Clean.Height, Width: p.Clean.Width,
			NoisyPSNR: min(PSNR(noisy, clean), mostPSNR), NoisySSIM: SSIM(noisy, clean),
			PSNR: min(PSNR(shown, clean), mostPSNR), SSIM: SSIM(shown, clean), Loss: train.SquaredErrorScale * MeanSquaredError(out, clean),
		}
	}
	return scores, nil
}

// Mean returns the means over the images.
func Mean(scores []Score) (m Score) {
	n := float64(len(scores))
	for _, s := range scores {
		m.NoisyPSNR += s.NoisyPSNR / n
		m.NoisySSIM += s.NoisySSIM / n
		m.PSNR += s.PSNR / n
		m.SSIM += s.SSIM / n
		m.Loss += s.Loss / n
	}
	return m
}
