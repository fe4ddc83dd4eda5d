package cpu

import "slices"

// A pooling and a program next to it become one step that goes image by image, if one writes what the other reads: then
// that is read while it is in the cache.

// byImage says how to do a step image by image: image i reads and writes the i-th of equal parts of each of its tensors,
// and nothing else.
type byImage struct {
	images        int
	image         func(r *run, i, worker int)
	reads, writes []ref
}

const (
	// chainImages is the least number of images, for work enough for all threads.
	chainImages = 16
	// chainFloats bounds an image: a few of its size fit the second level of cache.
	chainFloats = 64 << 10
)

// chains says whether a program of n elements and the pooling can go image by image.
func (b *byImage) chains(n int) bool {
	return b != nil && b.images >= chainImages && n%b.images == 0 && n/b.images <= chainFloats
}

// poolingBefore is the last step's if the program, which comes next, can go image by image with it; else nil.
func (p *planner) poolingBefore(g *program) *byImage {
	if len(p.steps) == 0 || !p.backend.fuse {
		return nil
	}
	b := p.steps[len(p.steps)-1].images
	if !b.chains(g.n) || !g.meets(p.steps[len(p.steps)-1].writes, b.writes) {
		return nil
	}
	return b
}

// addPoolingRows adds the step of a pooling that computes one output row after the other.
func (p *planner) addPoolingRows(name string, g *pooling, reads []ref, to ref, row func(r *run, i, worker int)) {
	b := byImage{images: g.batch, reads: reads, writes: []ref{to}, image: func(r *run, i, worker int) {
		for k := range g.outHeight {
			row(r, i*g.outHeight+k, worker)
		}
	}}
	if s := b.step(name); !p.joinProgram(s) {
		s.parts, s.part = g.batch*g.outHeight, row // few large images keep all threads busy too
		p.add(s)
	}
}

// addPoolingImages adds the step of a pooling that computes one image after the other.
func (p *planner) addPoolingImages(name string, b byImage) {
	if s := b.step(name); !p.joinProgram(s) {
		p.add(s)
	}
}

func (b *byImage) step(name string) step {
	s := step{name: name, parts: b.images, part: b.image, images: b}
	for _, x := range b.reads {
		s.reads = append(s.reads, x.slot)
	}
	for _, x := range b.writes {
		s.writes = append(s.writes, x.slot)
	}
	return s
}

// joinProgram joins the step of a pooling with the program before it, if that can go image by image too, and says
// whether it did.
func (p *planner) joinProgram(s step) bool {
	if len(p.steps) == 0 || !p.backend.fuse {
		return false
	}
	g := p.steps[len(p.steps)-1].program
	if g == nil || len(g.sinks) > 0 || !s.images.chains(g.n) || !g.meets(s.reads, s.images.reads) || !g.partitionByImage(s.images.images) {
		return false
	}
	p.join(s)
	return true
}

// meets says whether the program uses tensors that lie in the given slots, all of them element by element and among
// the given ones.
func (g *program) meets(slots []int, tensors []ref) bool {
	for _, l := range g.loads {
		if slices.Contains(slots, l.slot) {
			return false
		}
	}
	found := false
	for _, reg := range g.regs {
		if reg.kind == inScratch || !slices.Contains(slots, reg.mem.slot) {
			continue
		}
		if reg.kind == isScalar || reg.isBool || reg.mem.size != 4*g.n || !slices.Contains(tensors, reg.mem) {
			return false
		}
		found = true
	}
	return found
}

// join makes one step of the last one and s, whose parts are the same images.
func (p *planner) join(s step) {
	before := &p.steps[len(p.steps)-1]
	first, second := before.part, s.part
	if before.images != nil {
		first = before.images.image
	}
	joined := step{
		name: before.name + "+" + s.name, parts: s.parts,
		reads: slices.Concat(before.reads, s.reads), writes: slices.Concat(before.writes, s.writes),
		inPlace: s.inPlace,
		part: func(r *run, i, worker int) {
			first(r, i, worker)
			second(r, i, worker)
		},
	}
	for _, pair := range before.inPlace {
		if !slices.Contains(s.reads, pair[1]) { // else the second half would read what the first has overwritten
			joined.inPlace = append(joined.inPlace, pair)
		}
	}
	*before = joined
}
