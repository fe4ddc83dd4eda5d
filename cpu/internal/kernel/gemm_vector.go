package kernel

// dotRows is the number of dot products of a task.
const dotRows = 32

// dots computes a product with a single row or column, where both operands are contiguous along K: a dot
// product an element. It returns false when the shape is another one.
func (g *Gemm) dots(p *Pool, a, b, c []float32) bool {
	d := *g
	if d.M > 1 && d.N == 1 && d.CRow == 1 && d.ARow == 1 && d.BRow == 1 {
		// A column of C by a transposed A: the row of C by A' that the tiles are good at.
		d.M, d.N = 1, d.M
		d.ARow, d.ACol, d.BRow, d.BCol = d.BCol, d.BRow, d.ACol, d.ARow
		d.ABatch, d.BBatch = d.BBatch, d.ABatch
		d.CRow = d.N
		d.Run(p, b, a, c)
		return true
	}
	if (d.M != 1 && d.N != 1) || d.ACol != 1 || d.BRow != 1 || d.K < 2*lanes {
		return false
	}
	d.runDots(p, a, b, c)
	return true
}

func (g *Gemm) runDots(p *Pool, a, b, c []float32) {
	d := *g
	elements := d.M * d.N
	blocks := (elements + dotRows - 1) / dotRows
	p.Run(d.Batch*blocks, func(task, _ int) {
		i := task / blocks
		for e := task % blocks * dotRows; e < min(elements, (task%blocks+1)*dotRows); e++ {
			m, n := e/d.N, e%d.N
			sum := Dot(a[i*d.ABatch+m*d.ARow:][:d.K], b[i*d.BBatch+n*d.BCol:])
			at := i*d.CBatch + m*d.CRow + n
			if d.Add {
				sum += float64(c[at])
			}
			c[at] = float32(sum)
		}
	})
}
