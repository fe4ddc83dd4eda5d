package kernel

// pack writes the k by n matrix at src[offset + i*row + j*col] to dst, whose rows are width >= n floats apart;
// zero says whether to clear them beyond column n.
func pack(dst []float32, width int, src []float32, offset, row, col, k, n int, zero bool) {
	if col == 1 {
		for i := range k {
			copy(dst[i*width:][:n], src[offset+i*row:])
		}
		clearBeyond(dst, width, k, n, zero)
		return
	}
	// Blocks of 16 columns of the matrix that lie in rows of src.
	if row == 1 && col >= 0 && k >= lanes {
		whole := k / lanes
		j := 0
		for ; j+lanes <= n; j += lanes {
			if !asmTranspose(&dst[j], &src[offset+j*col], width, col, whole) {
				break
			}
		}
		if j > 0 {
			done := whole * lanes
			if done < k {
				packScalar(dst[done*width:], width, src, offset+done, row, col, k-done, 0, j)
			}
			packScalar(dst, width, src, offset, row, col, k, j, n)
			clearBeyond(dst, width, k, n, zero)
			return
		}
	}
	packScalar(dst, width, src, offset, row, col, k, 0, n)
	clearBeyond(dst, width, k, n, zero)
}

func clearBeyond(dst []float32, width, k, n int, zero bool) {
	if n == width || !zero {
		return
	}
	for i := range k {
		clear(dst[i*width+n:][:width-n])
	}
}

// packScalar packs columns [j0, j1).
func packScalar(dst []float32, width int, src []float32, offset, row, col, k, j0, j1 int) {
	const block = 16 // rows that stay in cache while the columns are walked
	for i0 := 0; i0 < k; i0 += block {
		i1 := min(i0+block, k)
		for j := j0; j < j1; j++ {
			at := offset + j*col + i0*row
			for i := i0; i < i1; i++ {
				dst[i*width+j] = src[at]
				at += row
			}
		}
	}
}
