package kernel

import (
	"fmt"
	"unsafe"
)

// sumBlock is the number of floats that are added in float32 before the block's sum goes to a float64.
const sumBlock = 4096

// Sum returns the sum of x: in float32 within blocks of 4096, sixteen lanes or more apart, and in float64 over
// lanes and blocks, always in the same order.
func Sum(x []float32) float64 {
	total := 0.0
	for len(x) > 0 {
		n := min(len(x), sumBlock)
		var lane [lanes]float32
		if !asmSum(&lane[0], unsafe.SliceData(x), n) {
			portableSum(&lane, x[:n])
		}
		total += laneSum(&lane)
		x = x[n:]
	}
	return total
}

// Dot returns the sum of x[i]*y[i] over the elements of x, added up like Sum.
func Dot(x, y []float32) float64 {
	flat(len(x), len(y))
	total := 0.0
	for len(x) > 0 {
		n := min(len(x), sumBlock)
		var lane [lanes]float32
		if !asmDot(&lane[0], unsafe.SliceData(x), unsafe.SliceData(y), n) {
			portableDot(&lane, x[:n], y)
		}
		total += laneSum(&lane)
		x, y = x[n:], y[n:]
	}
	return total
}

func laneSum(lane *[lanes]float32) float64 {
	s := 0.0
	for _, x := range lane {
		s += float64(x)
	}
	return s
}

// Largest returns the greatest element of x, NaN if there is one, and -Inf for none.
func Largest(x []float32) float32 {
	var lane [lanes]float32
	if len(x) == 0 || !asmLargest(&lane[0], unsafe.SliceData(x), len(x)) {
		portableLargest(&lane, x)
	}
	m := lane[0]
	for _, y := range lane[1:] {
		m = max(m, y)
	}
	return m
}

// ColumnSums sets dst[j] to the sum over r < rows of x[r*stride+j], for the elements of dst, in the order of
// the rows; add starts from dst's content.
func ColumnSums(dst, x []float32, rows, stride int, add bool) {
	columns(dst, x, nil, rows, stride, 0, add)
}

// ColumnDots sets dst[j] to the sum over r < rows of x[r*xStride+j]*y[r*yStride+j], for the elements of dst, in
// the order of the rows; add starts from dst's content.
func ColumnDots(dst, x, y []float32, rows, xStride, yStride int, add bool) {
	if need := (rows-1)*yStride + len(dst); rows > 0 && len(dst) > 0 && (yStride < 0 || len(y) < need) {
		panic(fmt.Sprintf("kernel: column sums of %d floats, need %d", len(y), need))
	}
	columns(dst, x, y, rows, xStride, yStride, add)
}

// columns computes ColumnSums when y is nil, else ColumnDots, a stripe of columns at a time.
func columns(dst, x, y []float32, rows, xStride, yStride int, add bool) {
	if len(dst) == 0 {
		return
	}
	if rows <= 0 {
		if !add {
			clear(dst)
		}
		return
	}
	if need := (rows-1)*xStride + len(dst); xStride < 0 || len(x) < need {
		panic(fmt.Sprintf("kernel: column sums of %d floats, need %d", len(x), need))
	}
	width := vectorFloats()
	if width == 0 {
		portableColumns(dst, x, y, rows, xStride, yStride, add)
		return
	}
	const most = 4 // vectors of a stripe
	for j := 0; j < len(dst); j += most * width {
		n := min(len(dst)-j, most*width)
		v := (n + width - 1) / width
		last := n - (v-1)*width
		if y == nil {
			asmColumnSums(v, &dst[j], &x[j], rows, xStride, last, add)
		} else {
			asmColumnDots(v, &dst[j], &x[j], &y[j], rows, xStride, yStride, last, add)
		}
	}
}
