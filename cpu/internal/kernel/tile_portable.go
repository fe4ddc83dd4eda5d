package kernel

// portableTiles are the micro-kernels in plain Go: the twin of the assembly, and the only family where
// there is no assembly.
var portableTiles = tileSet{maxRows: []int{0, 4}}

// portableTile is the twin of every micro-kernel.
func portableTile(t *tile, rows, vectors int) {
	for m := range rows * t.tiles {
		for v := range vectors {
			n := lanes
			if v == vectors-1 {
				n = t.lanes
			}
			if n == lanes {
				portableRow(t, m, v*lanes)
			} else {
				portableTail(t, m, v*lanes, n)
			}
		}
	}
}

// portableRow computes 16 columns of row m from column col.
func portableRow(t *tile, m, col int) {
	var s [lanes]float32
	c := (*[lanes]float32)(t.c[m*t.cRow+col:])
	if t.add != 0 {
		s = *c
	}
	for r, ao := range t.aOff {
		ai, bi := ao+m*t.aRow, t.bOff[r]+col
		for range t.runLen {
			x := t.a[ai]
			b := (*[lanes]float32)(t.b[bi:])
			s[0] += x * b[0]
			s[1] += x * b[1]
			s[2] += x * b[2]
			s[3] += x * b[3]
			s[4] += x * b[4]
			s[5] += x * b[5]
			s[6] += x * b[6]
			s[7] += x * b[7]
			s[8] += x * b[8]
			s[9] += x * b[9]
			s[10] += x * b[10]
			s[11] += x * b[11]
			s[12] += x * b[12]
			s[13] += x * b[13]
			s[14] += x * b[14]
			s[15] += x * b[15]
			ai += t.aCol
			bi += t.bRow
		}
	}
	*c = s
}

// portableTail computes n < 16 columns of row m from column col.
func portableTail(t *tile, m, col, n int) {
	var s [lanes]float32
	c := t.c[m*t.cRow+col:][:n]
	if t.add != 0 {
		copy(s[:], c)
	}
	for r, ao := range t.aOff {
		ai, bi := ao+m*t.aRow, t.bOff[r]+col
		for range t.runLen {
			x := t.a[ai]
			for j, y := range t.b[bi : bi+n] {
				s[j&(lanes-1)] += x * y
			}
			ai += t.aCol
			bi += t.bRow
		}
	}
	copy(c, s[:])
}
