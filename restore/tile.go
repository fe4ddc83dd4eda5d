package restore

import "fmt"

// span is a stretch of one axis: a tile reads from..to of the image, and what it says of core..coreTo is kept.
type span struct{ from, to, core, coreTo int }

// spans cuts an axis of n pixels into tiles of the given size, at places that are multiples of grid, as n and size are. A tile is
// trusted reach pixels away from those of its edges that are not the image's: there the padding of the network comes in. So tiles
// overlap, and each pixel is kept from one that sees all of what it depends on.
func spans(n, size, reach, grid int) []span {
	if n <= size {
		return []span{{0, n, 0, n}}
	}
	var all []span
	for core := 0; core < n; {
		from := max(0, core-reach)
		from = min(from-from%grid, n-size)
		s := span{from, from + size, core, from + size - reach}
		if s.to == n {
			s.coreTo = n
		}
		all = append(all, s)
		core = s.coreTo
	}
	return all
}

// MemoryError says that a tile large enough for the network does not fit into the bound of memory.
type MemoryError struct {
	Network string
	// Bound and Needed are bytes.
	Bound, Needed int64
}

// Error implements error.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("tiles for %s need at least %d MiB of memory, and %d are allowed", e.Network, (e.Needed+1<<20-1)>>20, e.Bound>>20)
}

// leastCore is the least number of pixels, in each direction, that a tile is kept for.
const leastCore = 32

// tileSize returns height and width of the tiles of an image for a bound of memory: the whole image, or all of its shorter side, or a
// square. Sizes are multiples of the network's grid, as those of the image are.
func (r *Restorer) tileSize(height, width int, memory int64) (int, int, error) {
	if int64(height)*int64(width) <= memory/r.bytesPerPixel {
		return height, width, nil
	}
	reach, grid := r.net.Reach, r.net.Grid
	if reach < 0 {
		return 0, 0, &MemoryError{r.net.Name, memory, int64(height) * int64(width) * r.bytesPerPixel}
	}
	least := 2*reach + leastCore
	least += (grid - least%grid) % grid
	side := 0
	for int64(side+grid)*int64(side+grid) <= memory/r.bytesPerPixel {
		side += grid
	}
	long := func(short int) int { // the other side of a tile
		n := int(memory / r.bytesPerPixel / int64(short))
		return n - n%grid
	}
	h, w := side, side
	switch {
	case height <= side:
		h, w = height, min(width, long(height))
	case width <= side:
		h, w = min(height, long(width)), width
	}
	if h < min(height, least) || w < min(width, least) {
		needed := int64(min(height, least)) * int64(min(width, least)) * r.bytesPerPixel
		return 0, 0, &MemoryError{r.net.Name, memory, needed}
	}
	return h, w, nil
}
