package kernel

import "unsafe"

// Pooling over windows of 2 by 2 pixels that follow each other along a pair of rows. top and bottom are the rows,
// [2*windows, channels]; op is Max or Min.

// Pool2 sets dst, [windows, channels], to the extremes of the windows, NaN where there is one.
func Pool2(op BinaryOp, dst, top, bottom []float32, windows, channels int) {
	if !checkPool2(op, windows, channels, dst, nil, top, bottom) {
		return
	}
	d, t, b := unsafe.SliceData(dst), unsafe.SliceData(top), unsafe.SliceData(bottom)
	if asmPool2(op, d, t, b, channels, windows) {
		return
	}
	extreme := binaryFunc(op)
	for i := range dst[:windows*channels] {
		k := i + i/channels*channels // the left pixel
		dst[i] = extreme(extreme(top[k], top[k+channels]), extreme(bottom[k], bottom[k+channels]))
	}
}

// Pool2Grad sets dTop and dBottom, shaped like top and bottom, to the gradient grad, [windows, channels], where a pixel is
// the first in its window that equals the extreme, and to zero elsewhere. It returns false if a pixel is NaN: then what
// it has written means nothing.
func Pool2Grad(op BinaryOp, dTop, dBottom, top, bottom, grad []float32, windows, channels int) bool {
	if !checkPool2(op, windows, channels, grad, dTop, dBottom, top, bottom) {
		return true
	}
	if ok, done := asmPool2Grad(op, unsafe.SliceData(dTop), unsafe.SliceData(dBottom), unsafe.SliceData(top), unsafe.SliceData(bottom),
		unsafe.SliceData(grad), channels, windows); done {
		return ok
	}
	return portablePool2(op, top, bottom, windows, channels, func(i, k int, hit int) {
		dTop[k], dTop[k+channels], dBottom[k], dBottom[k+channels] = 0, 0, 0, 0
		[2][]float32{dTop, dBottom}[hit/2][k+hit%2*channels] = grad[i]
	})
}

// Pool2Pick sets dst, [windows, channels], to the element of pickTop and pickBottom, shaped like top and bottom, that lies
// where the first pixel of the window is that equals the extreme. It returns false if a pixel is NaN: then what it
// has written means nothing.
func Pool2Pick(op BinaryOp, dst, top, bottom, pickTop, pickBottom []float32, windows, channels int) bool {
	if !checkPool2(op, windows, channels, dst, pickTop, pickBottom, top, bottom) {
		return true
	}
	if ok, done := asmPool2Pick(op, unsafe.SliceData(dst), unsafe.SliceData(top), unsafe.SliceData(bottom), unsafe.SliceData(pickTop),
		unsafe.SliceData(pickBottom), channels, windows); done {
		return ok
	}
	return portablePool2(op, top, bottom, windows, channels, func(i, k int, hit int) {
		dst[i] = [2][]float32{pickTop, pickBottom}[hit/2][k+hit%2*channels]
	})
}

// portablePool2 calls use for every channel i of every window, whose left pixel's is element k, with the number of the
// pixel that is hit. It stops at a NaN and returns false.
func portablePool2(op BinaryOp, top, bottom []float32, windows, channels int, use func(i, k, hit int)) bool {
	for i := range windows * channels {
		k := i + i/channels*channels
		hit := 0
		pixels := [4]float32{top[k], top[k+channels], bottom[k], bottom[k+channels]}
		for n, x := range pixels {
			if x != x {
				return false
			}
			if op == Max && x > pixels[hit] || op == Min && x < pixels[hit] {
				hit = n
			}
		}
		use(i, k, hit)
	}
	return true
}

// checkPool2 panics on slices that are too short, and says whether there is anything to do. A nil slice is left out.
func checkPool2(op BinaryOp, windows, channels int, narrow []float32, wide ...[]float32) bool {
	if op != Max && op != Min {
		panic("kernel: pooling is by Max or Min")
	}
	n := windows * channels
	if windows < 0 || channels < 0 || len(narrow) < n {
		panic("kernel: pooling outside of a slice")
	}
	for _, x := range wide {
		if x != nil && len(x) < 2*n {
			panic("kernel: pooling outside of a slice")
		}
	}
	return n > 0
}
