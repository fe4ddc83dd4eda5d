package train

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestSquaredError: an error of 25.5 gray levels everywhere has the loss 1 and, by the definition of the PSNR, 20 dB; half of the values
// a fifth of the range off make 100/2/25 = 2.
func TestSquaredError(t *testing.T) {
	x := make([]float32, 3*8)
	y := make([]float32, len(x))
	for k := range 8 {
		x[k], y[k] = 0.5, 0.5+25.5/255
		if k%2 == 0 {
			x[8+k], y[8+k] = 0.4, 0.2
		}
		x[16+k], y[16+k] = 1, 0
	}
	images := func(v []float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(v, 3, 2, 2, 2) }
	out, err := CallOnceN(backend(t, 1), func(x, y *Node) []*Node {
		return []*Node{SquaredError{}.PerSample(x, y), SquaredError{}.PerSampleMetric(x, y)}
	}, images(x), images(y))
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range [][]float64{{1, 2, 100}, {20, 20 - 10*math.Log10(2), 0}} {
		got := make([]float32, 3)
		if err := toFloat32(out[k], got); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if math.Abs(float64(got[i])-want[i]) > 1e-4 {
				t.Errorf("output %d of sample %d is %v, want %v", k, i, got[i], want[i])
			}
		}
	}
}
