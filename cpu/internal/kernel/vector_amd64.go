package kernel

// The functions below run the assembly of the current level, or return false.

func asmBinary(op BinaryOp, f form, dst, a, b *float32, g *Grid) bool {
	switch CurrentLevel() {
	case AVX512:
		binary512(int(op)*3+int(f), dst, a, b, g.Cols, g.Rows, g.Dst, g.A, g.B)
	case AVX2:
		binary256(int(op)*3+int(f), dst, a, b, g.Cols, g.Rows, g.Dst, g.A, g.B)
	default:
		return false
	}
	return true
}

func asmMulAdd(f form, dst, a, b, c *float32, g *Grid) bool {
	switch l := CurrentLevel(); {
	case l == AVX512 && f == formVV:
		mulAddVV512(dst, a, b, c, g.Cols, g.Rows, g.Dst, g.A, g.B, g.C)
	case l == AVX512:
		mulAddVS512(dst, a, b, c, g.Cols, g.Rows, g.Dst, g.A, g.B, g.C)
	case l == AVX2 && f == formVV:
		mulAddVV256(dst, a, b, c, g.Cols, g.Rows, g.Dst, g.A, g.B, g.C)
	case l == AVX2:
		mulAddVS256(dst, a, b, c, g.Cols, g.Rows, g.Dst, g.A, g.B, g.C)
	default:
		return false
	}
	return true
}

func asmCompare(op CompareOp, f form, dst *bool, a, b *float32, g *Grid) bool {
	switch CurrentLevel() {
	case AVX512:
		compare512(int(op)*2+int(f), dst, a, b, g.Cols, g.Rows, g.Dst, g.A, g.B)
	case AVX2:
		compare256(int(op)*2+int(f), dst, a, b, g.Cols, g.Rows, g.Dst, g.A, g.B)
	default:
		return false
	}
	return true
}

func asmSelect(f form, dst *float32, mask *bool, a, b *float32, n int) bool {
	switch CurrentLevel() {
	case AVX512:
		select512(int(f), dst, mask, a, b, n)
	case AVX2:
		select256(int(f), dst, mask, a, b, n)
	default:
		return false
	}
	return true
}

func asmUnary(op UnaryOp, dst, x *float32, n int) bool {
	switch CurrentLevel() {
	case AVX512:
		unary512(int(op), dst, x, n)
	case AVX2:
		unary256(int(op), dst, x, n)
	default:
		return false
	}
	return true
}

func asmSum(dst, x *float32, n int) bool {
	switch CurrentLevel() {
	case AVX512:
		sum512(dst, x, n)
	case AVX2:
		sum256(dst, x, n)
	default:
		return false
	}
	return true
}

func asmDot(dst, x, y *float32, n int) bool {
	switch CurrentLevel() {
	case AVX512:
		dot512(dst, x, y, n)
	case AVX2:
		dot256(dst, x, y, n)
	default:
		return false
	}
	return true
}

func asmLargest(dst, x *float32, n int) bool {
	switch CurrentLevel() {
	case AVX512:
		largest512(dst, x, n)
	case AVX2:
		largest256(dst, x, n)
	default:
		return false
	}
	return true
}

// vectorFloats returns the floats of a vector of the current level's column sums, 0 without any.
func vectorFloats() int {
	switch CurrentLevel() {
	case AVX512:
		return 16
	case AVX2:
		return 8
	}
	return 0
}

func asmColumnSums(vectors int, dst, x *float32, rows, stride, last int, add bool) {
	if CurrentLevel() == AVX512 {
		columnSums512(vectors-1, dst, x, rows, stride, last, oneIf(add))
	} else {
		columnSums256(vectors-1, dst, x, rows, stride, last, oneIf(add))
	}
}

func asmColumnDots(vectors int, dst, x, y *float32, rows, xStride, yStride, last int, add bool) {
	if CurrentLevel() == AVX512 {
		columnDots512(vectors-1, dst, x, y, rows, xStride, yStride, last, oneIf(add))
	} else {
		columnDots256(vectors-1, dst, x, y, rows, xStride, yStride, last, oneIf(add))
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// asmTranspose transposes blocks of 16 by 16; see gen/transpose.go.
func asmTranspose(dst, src *float32, dstRow, srcRow, blocks int) bool {
	if CurrentLevel() != AVX512 {
		return false
	}
	transpose512(dst, src, dstRow, srcRow, blocks)
	return true
}

func asmWinogradInput(dst, tmp, in *float32, at, matrix, row, pixel, vectors, last int, rows, columns uint) bool {
	switch CurrentLevel() {
	case AVX512:
		winogradInput512(dst, tmp, in, at, matrix, row, pixel, vectors, last, rows, columns)
	case AVX2:
		winogradInput256(dst, tmp, in, at, matrix, row, pixel, vectors, last, rows, columns)
	default:
		return false
	}
	return true
}

func asmWinogradKernel(dst, src *float32, dstMatrix, srcMatrix, vectors, last int) bool {
	switch CurrentLevel() {
	case AVX512:
		winogradKernel512(dst, src, dstMatrix, srcMatrix, vectors, last)
	case AVX2:
		winogradKernel256(dst, src, dstMatrix, srcMatrix, vectors, last)
	default:
		return false
	}
	return true
}

func asmWinogradOutput(dst, src *float32, matrix, row, pixel, vectors, last int) bool {
	switch CurrentLevel() {
	case AVX512:
		winogradOutput512(dst, src, matrix, row, pixel, vectors, last)
	case AVX2:
		winogradOutput256(dst, src, matrix, row, pixel, vectors, last)
	default:
		return false
	}
	return true
}

func asmWinogradSpread(dst, src *float32, matrix, row, pixel, vectors, last int) bool {
	switch CurrentLevel() {
	case AVX512:
		winogradSpread512(dst, src, matrix, row, pixel, vectors, last)
	case AVX2:
		winogradSpread256(dst, src, matrix, row, pixel, vectors, last)
	default:
		return false
	}
	return true
}

func asmWinogradTaps(dst, src *float32, dstMatrix, srcMatrix, vectors, last int) bool {
	switch CurrentLevel() {
	case AVX512:
		winogradTaps512(dst, src, dstMatrix, srcMatrix, vectors, last)
	case AVX2:
		winogradTaps256(dst, src, dstMatrix, srcMatrix, vectors, last)
	default:
		return false
	}
	return true
}

func asmPrefetch(mem *byte, lines int) {
	if CurrentLevel() != Portable {
		prefetch256(mem, lines)
	}
}

func asmPool2(op BinaryOp, dst, top, bottom *float32, n, windows int) bool {
	switch l := CurrentLevel(); {
	case l == AVX512 && op == Max:
		pool2Max512(dst, top, bottom, n, windows)
	case l == AVX512:
		pool2Min512(dst, top, bottom, n, windows)
	case l == AVX2 && op == Max:
		pool2Max256(dst, top, bottom, n, windows)
	case l == AVX2:
		pool2Min256(dst, top, bottom, n, windows)
	default:
		return false
	}
	return true
}

// asmPool2Grad and asmPool2Pick say whether there was no NaN, and whether they have done it.
func asmPool2Grad(op BinaryOp, dTop, dBottom, top, bottom, grad *float32, n, windows int) (ok, done bool) {
	switch l := CurrentLevel(); {
	case l == AVX512 && op == Max:
		return pool2GradMax512(dTop, dBottom, top, bottom, grad, n, windows) == 0, true
	case l == AVX512:
		return pool2GradMin512(dTop, dBottom, top, bottom, grad, n, windows) == 0, true
	case l == AVX2 && op == Max:
		return pool2GradMax256(dTop, dBottom, top, bottom, grad, n, windows) == 0, true
	case l == AVX2:
		return pool2GradMin256(dTop, dBottom, top, bottom, grad, n, windows) == 0, true
	}
	return false, false
}

func asmPool2Pick(op BinaryOp, dst, top, bottom, pickTop, pickBottom *float32, n, windows int) (ok, done bool) {
	switch l := CurrentLevel(); {
	case l == AVX512 && op == Max:
		return pool2PickMax512(dst, top, bottom, pickTop, pickBottom, n, windows) == 0, true
	case l == AVX512:
		return pool2PickMin512(dst, top, bottom, pickTop, pickBottom, n, windows) == 0, true
	case l == AVX2 && op == Max:
		return pool2PickMax256(dst, top, bottom, pickTop, pickBottom, n, windows) == 0, true
	case l == AVX2:
		return pool2PickMin256(dst, top, bottom, pickTop, pickBottom, n, windows) == 0, true
	}
	return false, false
}
