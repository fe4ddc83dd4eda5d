package restore

import (
	"math"
	"testing"
)

// pair is that of testdata/metrics.py: two images of whole gray levels.
func pair(height, width, channels, strength int) (a, b *Image) {
	a, b = NewImage(height, width, channels), NewImage(height, width, channels)
	for y := range height {
		for x := range width {
			for c := range channels {
				u := (3*x + 5*y + 40*c + (x*y)%31 + 60*((x/8+y/6)%2)) % 256
				v := min(max(u+strength*((7*x+11*y+13*c+x*y)%9-4), 0), 255)
				at := (y*width+x)*channels + c
				a.Pix[at], b.Pix[at] = float32(u)/255, float32(v)/255
			}
		}
	}
	return a, b
}

// TestAgainstScikitImage: the values are those that testdata/metrics.py prints.
func TestAgainstScikitImage(t *testing.T) {
	for _, tt := range []struct {
		height, width, channels, strength int
		psnr, ssim                        float64
	}{
		{40, 56, 1, 1, 40.591144950, 0.997818778},
		{40, 56, 1, 6, 25.245307329, 0.931095546},
		{11, 11, 1, 3, 30.826184303, 0.979364026},
		{33, 20, 3, 4, 28.093326919, 0.956524508},
	} {
		a, b := pair(tt.height, tt.width, tt.channels, tt.strength)
		if got := PSNR(a, b); math.Abs(got-tt.psnr) > 1e-5 {
			t.Errorf("%+v: PSNR %.9f", tt, got)
		}
		if got := SSIM(a, b); math.Abs(got-tt.ssim) > 1e-6 {
			t.Errorf("%+v: SSIM %.9f", tt, got)
		}
		if got := SSIM(b, a); math.Abs(got-tt.ssim) > 1e-6 {
			t.Errorf("%+v: SSIM the other way round %.9f", tt, got)
		}
		if p, s := PSNR(a, a), SSIM(b, b); !math.IsInf(p, 1) || math.Abs(s-1) > 1e-12 {
			t.Errorf("%+v: an image has PSNR %v and SSIM %v with itself", tt, p, s)
		}
	}
	small := NewImage(10, 40, 1)
	if got := SSIM(small, small); !math.IsNaN(got) {
		t.Errorf("SSIM of an image smaller than its window: %v", got)
	}
}

func TestQuantized(t *testing.T) {
	m := &Image{1, 6, 1, []float32{-0.2, 0.5 / 255 * 0.99, 0.51 / 255, 1.3, 0.5, float32(math.NaN())}}
	for _, tt := range []struct {
		bits int
		want []float64 // in levels
	}{
		{8, []float64{0, 0, 1, 255, 128, 0}},
		{16, []float64{0, 127, 131, 65535, 32768, 0}},
	} {
		levels := float64(int(1)<<tt.bits - 1)
		for k, v := range m.Quantized(tt.bits).Pix {
			if math.Abs(float64(v)*levels-tt.want[k]) > 1e-3*levels/255 {
				t.Errorf("%d bits: value %d is level %v, want %v", tt.bits, k, float64(v)*levels, tt.want[k])
			}
		}
	}
}
