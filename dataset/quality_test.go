package dataset

import (
	"math"
	"testing"
)

// picture is a set of one image of the given brightness.
func drawn(height, width, channels int, at func(y, x, c int) uint8) *Images {
	s := &Images{Height: height, Width: width, Channels: channels, Labels: []int{0}, Classes: []string{"a"}, IDs: []string{"a"}}
	for y := range height {
		for x := range width {
			for c := range channels {
				s.Pix = append(s.Pix, at(y, x, c))
			}
		}
	}
	return s
}

func TestContrastAndSharpness(t *testing.T) {
	checkers := func(y, x, _ int) uint8 { return uint8((x + y) % 2 * 255) }
	tests := []struct {
		name                string
		s                   *Images
		contrast, sharpness float64
	}{
		{"blank", drawn(8, 8, 1, func(_, _, _ int) uint8 { return 200 }), 0, 0},
		// Half the pixels at 0 and half at 1 have the deviation 1/2; the Laplacian is 4 or -4 everywhere.
		{"checkers", drawn(8, 8, 1, checkers), 0.5, 8},
		{"checkers in color", drawn(8, 8, 3, checkers), 0.5, 8},
		// Alpha is not brightness.
		{"checkers under alpha", drawn(8, 8, 2, func(y, x, c int) uint8 {
			if c == 1 {
				return 255
			}
			return checkers(y, x, c)
		}), 0.5, 8},
		// A plane has no Laplacian. Columns 0, 10, ... 70: the deviation is 10 sqrt((64-1)/12).
		{"ramp", drawn(8, 8, 1, func(_, x, _ int) uint8 { return uint8(10 * x) }), 10 * math.Sqrt(63.0/12) / 255, 0},
		{"too small for a Laplacian", drawn(2, 8, 1, checkers), 0.5, 0},
	}
	for _, tt := range tests {
		if got := tt.s.Contrast(0); math.Abs(got-tt.contrast) > 1e-12 {
			t.Errorf("%s: contrast %v, want %v", tt.name, got, tt.contrast)
		}
		if got := tt.s.Sharpness(0); math.Abs(got-tt.sharpness) > 1e-9 {
			t.Errorf("%s: sharpness %v, want %v", tt.name, got, tt.sharpness)
		}
	}
}

// Blurring takes sharpness away, less contrast does not.
func TestSharpnessIsThatOfDetail(t *testing.T) {
	s := Shapes(1, 3)
	sharp := s.Sharpness(0)
	flat := drawn(s.Height, s.Width, 1, func(y, x, _ int) uint8 { return s.Pix[y*s.Width+x] / 4 * 2 })
	if got := flat.Sharpness(0); math.Abs(got/sharp-1) > 0.1 {
		t.Errorf("sharpness %v at half the contrast, %v before", got, sharp)
	}
	blurred := drawn(s.Height, s.Width, 1, func(y, x, _ int) uint8 {
		sum, n := 0, 0
		for dy := -2; dy <= 2; dy++ {
			for dx := -2; dx <= 2; dx++ {
				if y, x := y+dy, x+dx; y >= 0 && y < s.Height && x >= 0 && x < s.Width {
					sum, n = sum+int(s.Pix[y*s.Width+x]), n+1
				}
			}
		}
		return uint8(sum / n)
	})
	if got := blurred.Sharpness(0); got > sharp/2 {
		t.Errorf("sharpness %v after blurring, %v before", got, sharp)
	}
}

func TestPixelDistance(t *testing.T) {
	s := &Images{Height: 1, Width: 4, Channels: 1, Pix: []uint8{0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 51}, Labels: make([]int, 3)}
	for _, tt := range []struct {
		i, j int
		want float64
	}{{0, 0, 0}, {0, 1, 1}, {0, 2, 0.1}, {2, 0, 0.1}} {
		if got := s.PixelDistance(tt.i, tt.j); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("distance of %d and %d is %v, want %v", tt.i, tt.j, got, tt.want)
		}
	}
}
