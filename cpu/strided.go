package cpu

// collapse drops axes of size 1 and merges neighboring axes that every given set of strides walks as one.
// The result has at least one axis.
func collapse(dims []int, strides ...[]int) ([]int, [][]int) {
	var outDims []int
	out := make([][]int, len(strides))
	for axis, n := range dims {
		if n == 1 {
			continue
		}
		if last := len(outDims) - 1; last >= 0 {
			joined := true
			for k := range strides {
				if out[k][last] != strides[k][axis]*n {
					joined = false
					break
				}
			}
			if joined {
				outDims[last] *= n
				for k := range strides {
					out[k][last] = strides[k][axis]
				}
				continue
			}
		}
		outDims = append(outDims, n)
		for k := range strides {
			out[k] = append(out[k], strides[k][axis])
		}
	}
	if len(outDims) == 0 {
		outDims = []int{1}
		for k := range strides {
			out[k] = []int{1}
		}
	}
	return outDims, out
}

// rowMajor are the strides of a tensor without gaps.
func rowMajor(dims []int) []int {
	strides := make([]int, len(dims))
	n := 1
	for axis := len(dims) - 1; axis >= 0; axis-- {
		strides[axis] = n
		n *= dims[axis]
	}
	return strides
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// copyPartBytes is about how much a part of a copy moves.
const copyPartBytes = 128 << 10

// stridedCopy moves elements between two arrays that are walked with strides, given in elements. It carries
// Transpose, BroadcastInDim, Slice, Reverse, Pad and Concatenate, for any element size.
type stridedCopy struct {
	dims, src, dst []int // the last axis is the innermost loop
	srcOff, dstOff int
	rows           int // iterations of all axes but the innermost one (two, if blocked)
	perPart        int
	blocked        bool // the last two axes are transposed in blocks
}

func newStridedCopy(dims, src []int, srcOff int, dst []int, dstOff, elemSize int) *stridedCopy {
	dims, s := collapse(dims, src, dst)
	c := &stridedCopy{dims: dims, src: s[0], dst: s[1], srcOff: srcOff, dstOff: dstOff}
	last := len(dims) - 1
	if c.src[last] != 1 && c.src[last] != 0 {
		// Put the axis that the source walks fastest next to the innermost one.
		for axis := range last {
			if c.src[axis] == 1 {
				for k := axis; k+1 < last; k++ {
					for _, list := range [][]int{c.dims, c.src, c.dst} {
						list[k], list[k+1] = list[k+1], list[k]
					}
				}
				c.blocked = true
				break
			}
		}
	}
	inner := c.dims[last]
	c.rows = product(c.dims[:last])
	if c.blocked {
		inner *= c.dims[last-1]
		c.rows = product(c.dims[:last-1])
		if c.rows == 1 && last-1 >= 0 && c.dims[last-1] > 64 {
			// A plain matrix: cut the axis before the last into bands, so that there are parts to share.
			n := c.dims[last-1]
			for _, band := range []int{64, 32, 16} {
				if n%band == 0 {
					c.dims = []int{n / band, band, c.dims[last]}
					c.src = []int{c.src[last-1] * band, c.src[last-1], c.src[last]}
					c.dst = []int{c.dst[last-1] * band, c.dst[last-1], c.dst[last]}
					c.rows = n / band
					inner = band * c.dims[2]
					break
				}
			}
		}
	}
	c.perPart = max(1, copyPartBytes/max(1, inner*elemSize))
	return c
}

func (c *stridedCopy) parts() int {
	if product(c.dims) == 0 {
		return 0
	}
	return (c.rows + c.perPart - 1) / c.perPart
}

// part moves the rows of one part.
func (c *stridedCopy) part(dst, src []byte, elemSize, part int) {
	switch elemSize {
	case 1:
		copyRows(c, typed[uint8](dst), typed[uint8](src), part)
	case 2:
		copyRows(c, typed[uint16](dst), typed[uint16](src), part)
	case 4:
		copyRows(c, typed[uint32](dst), typed[uint32](src), part)
	case 8:
		copyRows(c, typed[uint64](dst), typed[uint64](src), part)
	default:
		copyRows(c, typed[[2]uint64](dst), typed[[2]uint64](src), part)
	}
}

func copyRows[T any](c *stridedCopy, dst, src []T, part int) {
	outer := len(c.dims) - 1
	if c.blocked {
		outer--
	}
	var index [16]int
	row := part * c.perPart
	end := min(row+c.perPart, c.rows)
	s, d := c.srcOff, c.dstOff
	for axis, rest := outer-1, row; axis >= 0; axis-- {
		index[axis] = rest % c.dims[axis]
		rest /= c.dims[axis]
		s += index[axis] * c.src[axis]
		d += index[axis] * c.dst[axis]
	}
	for ; row < end; row++ {
		if c.blocked {
			copyBlock(c, dst, src, d, s)
		} else {
			copyRow(c, dst, src, d, s)
		}
		for axis := outer - 1; axis >= 0; axis-- {
			s += c.src[axis]
			d += c.dst[axis]
			index[axis]++
			if index[axis] < c.dims[axis] {
				break
			}
			s -= index[axis] * c.src[axis]
			d -= index[axis] * c.dst[axis]
			index[axis] = 0
		}
	}
}

func copyRow[T any](c *stridedCopy, dst, src []T, d, s int) {
	last := len(c.dims) - 1
	n, ss, ds := c.dims[last], c.src[last], c.dst[last]
	switch {
	case ss == 1 && ds == 1:
		copy(dst[d:d+n], src[s:s+n])
	case ss == 0 && ds == 1:
		x := src[s]
		row := dst[d : d+n]
		for i := range row {
			row[i] = x
		}
	case ds == 1:
		row := dst[d : d+n]
		for i := range row {
			row[i] = src[s]
			s += ss
		}
	default:
		for range n {
			dst[d] = src[s]
			s += ss
			d += ds
		}
	}
}

// copyBlock transposes the last two axes, 16 by 16 elements at a time.
func copyBlock[T any](c *stridedCopy, dst, src []T, d, s int) {
	const block = 16
	last := len(c.dims) - 1
	rows, cols := c.dims[last-1], c.dims[last]
	sr, sc := c.src[last-1], c.src[last]
	dr, dc := c.dst[last-1], c.dst[last]
	for i0 := 0; i0 < rows; i0 += block {
		i1 := min(i0+block, rows)
		for j0 := 0; j0 < cols; j0 += block {
			j1 := min(j0+block, cols)
			for i := i0; i < i1; i++ {
				from, to := s+i*sr+j0*sc, d+i*dr+j0*dc
				for range j1 - j0 {
					dst[to] = src[from]
					from += sc
					to += dc
				}
			}
		}
	}
}
