package kernel

// lanes is the width of a vector of the register tiles, in floats: a tile has a multiple of lanes columns.
const lanes = 16

// tile is one call of a micro-kernel: a register tile of MR rows by V vectors of 16 columns, repeated
// along the rows,
//
//	C[m, n] (+)= sum over runs r and k < runLen of A[aOff[r] + m*aRow + k*aCol] * B[bOff[r] + k*bRow + n]
//
// with rows of C cRow apart. The accumulators stay in registers over all runs. All strides and offsets
// count floats. The micro-kernels read nothing but the elements of A named above, and of B and C the
// 16*(V-1)+lanes columns of the tile.
//
// Assembly reads the fields by offset; see gen/tile.go.
type tile struct {
	a, b, c    []float32
	aOff, bOff []int // of each run; same length
	runLen     int   // > 0
	aRow, aCol int
	bRow, cRow int
	tiles      int // > 0: number of tiles that follow each other along the rows
	lanes      int // 1..16: columns in the last vector
	add        int // 1: add to C, 0: overwrite C
}

// tileSet is a family of micro-kernels.
type tileSet struct {
	// maxRows[v] is the greatest number of rows of a tile of v vectors, for v = 1..maxVectors.
	maxRows []int
	// call[v][rows], or nil for the portable twin.
	call [][]func(*tile)
	// winograd holds the costs of the Winograd way with these kernels, nil if it is never faster.
	winograd *winogradCosts
}

func (s *tileSet) maxVectors() int { return len(s.maxRows) - 1 }

// run computes t with tiles of the given rows and vectors.
func (s *tileSet) run(t *tile, rows, vectors int) {
	if len(t.aOff) == 0 || t.runLen <= 0 {
		t.empty(rows, vectors)
		return
	}
	if s.call == nil {
		portableTile(t, rows, vectors)
		return
	}
	s.call[vectors][rows](t)
}

// runRows computes m rows of C (a multiple of nothing) by the given number of vectors, split into
// register tiles of nearly equal height. The tile's a and c are moved on by it.
func (s *tileSet) runRows(t *tile, m, vectors int) {
	most := s.maxRows[vectors]
	n := (m + most - 1) / most // tiles
	if n == 0 {
		return
	}
	low := m / n
	high := m - n*low // tiles of low+1 rows
	if high > 0 {
		t.tiles = high
		s.run(t, low+1, vectors)
		if high == n {
			return
		}
		t.a = t.a[min(len(t.a), high*(low+1)*t.aRow):] // A may be empty when no run reads it
		t.c = t.c[high*(low+1)*t.cRow:]
	}
	t.tiles = n - high
	s.run(t, low, vectors)
}

// empty is the tile of a sum over nothing.
func (t *tile) empty(rows, vectors int) {
	if t.add != 0 {
		return
	}
	n := (vectors-1)*lanes + t.lanes
	for m := range rows * t.tiles {
		clear(t.c[m*t.cRow:][:n])
	}
}

// panels splits n columns into panels, for a product of about m rows. It returns the vectors of each panel; the
// panels follow each other.
func (s *tileSet) panels(n, m int) []int {
	var widths []int
	for v := (n + lanes - 1) / lanes; v > 0; {
		p := s.panelVectors(v, m)
		widths = append(widths, p)
		v -= p
	}
	return widths
}

// panelVectors picks the width of the next panel when v vectors are left, for m rows. Two vectors by many
// rows need the fewest loads; few rows need more vectors, for enough accumulators to hide the latency of a
// multiplication.
func (s *tileSet) panelVectors(v, m int) int {
	most := s.maxVectors()
	switch {
	case most < 4 || v == 1:
		return min(v, most, 2)
	case v == 2:
		return 2
	case v == 3:
		return 3
	case m > s.maxRows[4]:
		return 2
	case v == 5 || v == 6:
		return 3
	}
	return 4
}
