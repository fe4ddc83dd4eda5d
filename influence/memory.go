package influence

import (
	"strings"

	"github.com/datadropout/datadropout/net"
)

// Solvers compute in float64. What they hold at once is counted here in vectors of parameters, for [Work].Memory; directions and their
// products in float32, which a backend is handed and hands back, are together one such vector each. Saving how far solvers are encodes
// one piece at a time, which takes as much memory again as the piece.

// vectorMemory is the bytes of n vectors in parameter space.
func (p *Problem) vectorMemory(n int) int64 { return 8 * int64(n) * int64(p.Net.Size()) }

// conjugateMemory is what [solveAll] holds: right-hand side, solution, residual, direction and product of every system, and what
// saving the second to fourth takes; and with a preconditioner the preconditioned residuals and, where the preconditioner is diagonal, its
// diagonal.
func (p *Problem) conjugateMemory(preconditioner string) int64 {
	k := p.directionCount()
	held, saved := (5+1)*k, 3*k
	switch preconditioner {
	case DiagonalPreconditioner:
		held += k + 1
	case KroneckerPreconditioner:
		held += k
		f := p.kroneckerFactors(kroneckerBlock)
		// Systems are preconditioned side by side, and not while they are saved.
		return p.vectorMemory(held) + f.inverted() + max(p.vectorMemory(saved), int64(k)*(p.vectorMemory(1)+f.solving()))
	}
	return p.vectorMemory(held + saved)
}

// krylovMemory is what [lanczos] holds beside the right-hand sides: the basis after so many steps, the start, the next vector, and what saving
// it takes.
func (p *Problem) krylovMemory(steps int) int64 {
	return p.vectorMemory(p.directionCount() + min(steps, p.Net.Size()) + 3 + 1)
}

// recursionMemory is what lissa's [repeats] hold: right-hand sides, an iterate, the next one and the mean of every system, the results of
// the repeats before, and what saving them with iterate and mean takes.
func (p *Problem) recursionMemory(repeats int) int64 {
	return p.vectorMemory(p.directionCount() * (4 + 1 + repeats - 1 + 2 + repeats - 1))
}

// kroneckerFactors is the size of [kronecker].
type kroneckerFactors struct {
	// blocks counts the values of the blocks of all factors, moments those of Lambda, and widest those of the largest layer.
	blocks, moments, widest int64
}

// kroneckerFactors counts the factors without a graph: layers are told by the dimensions of their weights, and have a bias where the
// next parameter is called so.
func (p *Problem) kroneckerFactors(block int) kroneckerFactors {
	var f kroneckerFactors
	params := p.Net.Params
	for i, w := range params {
		f.moments += int64(elements(w))
		if len(w.Dims) < 2 {
			continue
		}
		columns := w.Dims[len(w.Dims)-1]
		rows := elements(w) / columns
		if i+1 < len(params) && isBiasOf(params[i+1], w) {
			rows++
		}
		f.widest = max(f.widest, int64(rows*columns))
		for _, side := range []int{rows, columns} {
			for _, s := range blockSpans(side, block) {
				f.blocks += int64(s[1]-s[0]) * int64(s[1]-s[0])
			}
		}
	}
	return f
}

// isBiasOf says whether b is the bias of the layer that w is the weight of.
func isBiasOf(b, w net.Param) bool {
	layer := w.Name[:strings.LastIndexByte(w.Name, '/')+1]
	return b.Name == layer+"bias"
}

// built is what computing the factors holds: the blocks, in float32 too as inputs of graphs, and Lambda, and what saving them takes.
func (f kroneckerFactors) built() int64 { return (8+4+8)*f.blocks + (8+8)*f.moments }

// inverted is what is held to solve with: the blocks, Lambda and its inverse.
func (f kroneckerFactors) inverted() int64 { return 8*f.blocks + 16*f.moments }

// solving is what [kronecker.solve] takes beside the solution: a layer's matrix and two products with it.
func (f kroneckerFactors) solving() int64 { return 3 * 8 * f.widest }

// scoring is the most that is held on the way to solutions of so many bytes.
func (f kroneckerFactors) scoring(solutions int64) int64 {
	return max(f.built(), f.inverted()+f.solving()+solutions)
}
