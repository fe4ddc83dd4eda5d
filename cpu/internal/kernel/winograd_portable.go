package kernel

import "math/bits"

// The transforms of F(4x4, 3x3), for vectors of 16 channels of which the last has only some: interpolation at 0,
// 1, -1, 2, -2 and infinity (Lavin & Gray 2016, arXiv:1509.09308, equation 15). Cell 6*j+i of a transformed tile
// belongs to row i and column j.

// winogradInput writes B' d B of the 6 by 6 pixels from element at of in, whose rows are row floats and pixels pixel
// floats apart, to 36 matrices that begin matrix floats apart, with zeros in the lanes beyond last. Rows and columns
// whose bits are not set lie outside of the image: their pixels are zero, and are not read. tmp has 36*16 floats.
func winogradInput(dst, tmp, in []float32, at, matrix, row, pixel, vectors, last int, rows, columns uint) {
	if rows == 0 || columns == 0 {
		for cell := range winogradCells {
			clear(dst[cell*matrix:][:vectors*lanes])
		}
		return
	}
	_ = dst[(winogradCells-1)*matrix+vectors*lanes-1]
	_ = tmp[winogradCells*lanes-1]
	_ = in[at+bits.TrailingZeros(rows)*row+bits.TrailingZeros(columns)*pixel]
	_ = in[at+(bits.Len(rows)-1)*row+(bits.Len(columns)-1)*pixel+(vectors-1)*lanes+last-1]
	if asmWinogradInput(&dst[0], &tmp[0], &in[0], at, matrix, row, pixel, vectors, last, rows, columns) {
		return
	}
	for ch := range vectors * lanes {
		var d [6][6]float32
		if ch < (vectors-1)*lanes+last {
			for i := range d {
				for j := range d {
					if rows>>i&1 == 1 && columns>>j&1 == 1 {
						d[j][i] = in[at+i*row+j*pixel+ch]
					}
				}
			}
		}
		var rows [6][6]float32 // [row][column]
		for i := range rows {
			rows[i] = winogradInput1(d[0][i], d[1][i], d[2][i], d[3][i], d[4][i], d[5][i])
		}
		for j := range d {
			for i, x := range winogradInput1(rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j]) {
				dst[(6*j+i)*matrix+ch] = x
			}
		}
	}
}

func winogradInput1(d0, d1, d2, d3, d4, d5 float32) [6]float32 {
	a, b := d4-4*d2, d3-4*d1
	c, e := d4-d2, d3-d1
	return [6]float32{4*d0 + (d4 - 5*d2), a + b, a - b, c + 2*e, c - 2*e, 4*d1 + (d5 - 5*d3)}
}

// winogradKernel writes G g G' of the taps at src, nine matrices, to 36 matrices.
func winogradKernel(dst, src []float32, dstMatrix, srcMatrix, vectors, last int) {
	n := (vectors-1)*lanes + last
	_ = dst[(winogradCells-1)*dstMatrix+n-1]
	_ = src[8*srcMatrix+n-1]
	if asmWinogradKernel(&dst[0], &src[0], dstMatrix, srcMatrix, vectors, last) {
		return
	}
	for ch := range n {
		var rows [3][6]float32
		for i := range rows {
			at := 3*i*srcMatrix + ch
			rows[i] = winogradKernel1(src[at], src[at+srcMatrix], src[at+2*srcMatrix])
		}
		for j := range 6 {
			for i, x := range winogradKernel1(rows[0][j], rows[1][j], rows[2][j]) {
				dst[(6*j+i)*dstMatrix+ch] = x
			}
		}
	}
}

func winogradKernel1(g0, g1, g2 float32) [6]float32 {
	a, b := (g0+g2)*(-1./6), g1*(1./6)
	c, e := g2*(1./6)+g0*(1./24), g1*(1./12)
	return [6]float32{g0 * (1. / 4), a - b, a + b, c + e, c - e, g2}
}

// winogradOutput writes A' m A of the 36 matrices at src to 4 by 4 pixels.
func winogradOutput(dst, src []float32, matrix, row, pixel, vectors, last int) {
	n := (vectors-1)*lanes + last
	_ = dst[(winogradOut-1)*(row+pixel)+n-1]
	_ = src[(winogradCells-1)*matrix+vectors*lanes-1]
	if asmWinogradOutput(&dst[0], &src[0], matrix, row, pixel, vectors, last) {
		return
	}
	for ch := range n {
		var columns [6][4]float32
		for j := range columns {
			at := func(i int) float32 { return src[(6*j+i)*matrix+ch] }
			columns[j] = winogradOutput1(at(0), at(1), at(2), at(3), at(4), at(5))
		}
		for y := range winogradOut {
			values := winogradOutput1(columns[0][y], columns[1][y], columns[2][y], columns[3][y], columns[4][y], columns[5][y])
			for x, v := range values {
				dst[y*row+x*pixel+ch] = v
			}
		}
	}
}

func winogradOutput1(m0, m1, m2, m3, m4, m5 float32) [4]float32 {
	p, q, r, s := m1+m2, m1-m2, m3+m4, m3-m4
	return [4]float32{m0 + p + r, q + 2*s, p + 4*r, m5 + q + 8*s}
}

// winogradSpread writes A y A' of the 4 by 4 pixels at src to 36 matrices, with zeros in the lanes beyond last.
func winogradSpread(dst, src []float32, matrix, row, pixel, vectors, last int) {
	n := (vectors-1)*lanes + last
	_ = dst[(winogradCells-1)*matrix+vectors*lanes-1]
	_ = src[(winogradOut-1)*(row+pixel)+n-1]
	if asmWinogradSpread(&dst[0], &src[0], matrix, row, pixel, vectors, last) {
		return
	}
	for ch := range vectors * lanes {
		var rows [4][6]float32
		for i := range rows {
			if ch < n {
				at := i*row + ch
				rows[i] = winogradSpread1(src[at], src[at+pixel], src[at+2*pixel], src[at+3*pixel])
			}
		}
		for j := range 6 {
			for i, x := range winogradSpread1(rows[0][j], rows[1][j], rows[2][j], rows[3][j]) {
				dst[(6*j+i)*matrix+ch] = x
			}
		}
	}
}

func winogradSpread1(y0, y1, y2, y3 float32) [6]float32 {
	a, b, c, e := y0+y2, y1+y3, y0+4*y2, y1+4*y3
	return [6]float32{y0, a + b, a - b, c + 2*e, c - 2*e, y3}
}

// winogradTaps writes G' u G of the 36 matrices at src to nine matrices, one a tap.
func winogradTaps(dst, src []float32, dstMatrix, srcMatrix, vectors, last int) {
	n := (vectors-1)*lanes + last
	_ = dst[8*dstMatrix+n-1]
	_ = src[(winogradCells-1)*srcMatrix+n-1]
	if asmWinogradTaps(&dst[0], &src[0], dstMatrix, srcMatrix, vectors, last) {
		return
	}
	for ch := range n {
		var columns [6][3]float32
		for j := range columns {
			at := func(i int) float32 { return src[(6*j+i)*srcMatrix+ch] }
			columns[j] = winogradTaps1(at(0), at(1), at(2), at(3), at(4), at(5))
		}
		for ky := range 3 {
			values := winogradTaps1(columns[0][ky], columns[1][ky], columns[2][ky], columns[3][ky], columns[4][ky], columns[5][ky])
			for kx, x := range values {
				dst[(3*ky+kx)*dstMatrix+ch] = x
			}
		}
	}
}

func winogradTaps1(u0, u1, u2, u3, u4, u5 float32) [3]float32 {
	p, q, r, s := (u1+u2)*(-1./6), (u2-u1)*(1./6), u3+u4, u3-u4
	return [3]float32{p + u0*(1./4) + r*(1./24), q + s*(1./12), p + u5 + r*(1./6)}
}
