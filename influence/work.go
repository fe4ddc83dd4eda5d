package influence

import (
	"math"

	"github.com/datadropout/datadropout/train"
)

// Phases of evaluation that a [Work] is made of, by the names that package bench measures them under: the loss, its gradient,
// a training step, directional derivatives, Hessian and Gauss-Newton products.
const (
	PhaseForward     = "forward"
	PhaseGradient    = "gradient"
	PhaseStep        = "step"
	PhaseDirectional = "score"
	PhaseHessian     = "hvp"
	PhaseGaussNewton = "ggn"
)

// Work is a part of what an estimator computes: samples that go through one phase.
type Work struct {
	// Phase is one of the Phase constants, Batch the number of samples evaluated at once, and Directions that of the vectors
	// that share a pass; 0 for phases without.
	Phase             string
	Batch, Directions int
	// Samples is how many samples go through the phase, each as often as it does: what to expect where a solver stops by
	// itself, and Most the most there can be.
	Samples, Most int
	// Padded is Samples with the samples that fill up batches.
	Padded int
	// Cost is what a sample costs in units of the phase; 0 means 1.
	Cost float64
	// Trainings is how many whole trainings this is, where it is such.
	Trainings int
	// Memory and Disk are the bytes that it keeps at most, beside what an evaluation takes.
	Memory, Disk int64
}

// most adds up the samples of the parts, as the progress of Score counts them.
func most(parts []Work) int {
	n := 0
	for _, w := range parts {
		n += w.Most
	}
	return n
}

// batchSize is the number of samples that derivatives are evaluated for at once.
func (p *Problem) batchSize() int {
	size := p.Batch
	if size == 0 {
		size = defaultBatch
	}
	return min(size, max(len(p.Train), len(p.Score)))
}

// directionCount is the number of systems, or of gradients of the target, that go side by side.
func (p *Problem) directionCount() int { return max(1, p.Folds) }

// evaluations is n samples through a phase, times times where times are expected and atMost the most.
func (p *Problem) evaluations(phase string, directions, n, times, atMost int) Work {
	size := p.batchSize()
	return Work{
		Phase: phase, Batch: size, Directions: directions,
		Samples: n * times, Most: n * atMost, Padded: padded(n, size) * times,
	}
}

func padded(n, size int) int { return (n + size - 1) / size * size }

// targetWork is what [derivatives.targets] evaluates.
func (p *Problem) targetWork() Work {
	w := Work{Phase: PhaseGradient, Batch: p.batchSize(), Samples: len(p.Score), Most: len(p.Score), Memory: p.vectorMemory(2 * p.directionCount())} // saving them takes them again
	for _, part := range p.folds() {
		w.Padded += padded(len(part), w.Batch)
	}
	return w
}

// effectWork is what [derivatives.removalEffects] and directionals over all folds evaluate.
func (p *Problem) effectWork() Work {
	w := p.evaluations(PhaseDirectional, p.directionCount(), len(p.Train), 1, 1)
	// Right-hand sides and solutions, and these in float32.
	w.Memory = p.vectorMemory(2*p.directionCount()) + p.vectorMemory(p.directionCount())/2
	return w
}

// normWork is what [gradientNorms] evaluates: batches of one.
func (p *Problem) normWork() Work {
	n := len(p.Train)
	return Work{Phase: PhaseGradient, Batch: 1, Samples: n, Most: n, Padded: n}
}

// trainingWork is whole trainings from the problem's recipe, in samples of its batches.
func (p *Problem) trainingWork(trainings int) Work {
	size := min(p.Recipe.BatchSize, len(p.Train))
	n := trainings * p.Recipe.Steps(len(p.Train)) * size
	return Work{Phase: PhaseStep, Batch: size, Samples: n, Most: n, Padded: n, Trainings: trainings}
}

// recordWork is the training that [Problem.record] repeats; none if the record holds what is wanted.
func (p *Problem) recordWork(want train.Recording) []Work {
	if steps, err := p.retrains(want); err != nil || steps == 0 {
		return nil
	}
	return []Work{p.trainingWork(1)}
}

// kroneckerWork is what [newKronecker] evaluates, twice the sample, and the factors that it keeps.
func (p *Problem) kroneckerWork(sample int) Work {
	const twice = 2
	w := Work{Phase: PhaseGradient, Batch: min(kroneckerBatch, p.batchSize()), Cost: kroneckerCost, Samples: twice * sample, Most: twice * sample}
	w.Padded = twice * padded(sample, w.Batch)
	w.Memory = p.kroneckerFactors(kroneckerBlock).built()
	return w
}

// kroneckerCost is about what a sample costs in a pass of [kronecker], in gradients.
const kroneckerCost = 4

// curvature names the phase of products with the curvature of the options.
func (o Options) phase() string {
	if o.Curvature == Hessian {
		return PhaseHessian
	}
	return PhaseGaussNewton
}

// sampleSize is the number of training samples in the curvature.
func (o Options) sampleSize(n int) int {
	if o.HessianSamples < 0 {
		return n
	}
	return min(o.HessianSamples, n)
}

// usualEigenvalue is about the largest eigenvalue of the Gauss-Newton matrix of trained classifiers: see the defaults of
// [Options].
const usualEigenvalue = 35

// usualShare is about the share of the bound of [Options.usualIterations] that conjugate gradients take: 7 of 16 iterations for a
// network that is hardly trained, 10 to 20 for one that is.
const usualShare = 0.7

// usualIterations is about how many iterations conjugate gradients take for the usual largest eigenvalue: a share of what the bound
// 2 ((sqrt k - 1)/(sqrt k + 1))^j of the error says, k the condition number (Saad, Iterative Methods for Sparse Linear Systems,
// eq. 6.128).
func (o Options) usualIterations(lambda float64) int {
	if lambda <= 0 {
		return o.MaxIterations
	}
	bound := usualShare * math.Sqrt(1+usualEigenvalue/lambda) / 2 * math.Log(2/o.Tolerance)
	return max(1, min(o.MaxIterations, int(math.Ceil(bound))))
}

// Work implements Estimator.
func (e *conjugateGradient) Work(p *Problem) []Work {
	o := e.options
	sample := o.sampleSize(len(p.Train))
	// At most MaxIterations products, one for the residual, and one more for each restart.
	usual := o.usualIterations(p.Recipe.WeightDecay+max(0, o.Damping)) + 1
	products := p.evaluations(o.phase(), p.directionCount(), sample, usual, o.MaxIterations+1)
	products.Memory = p.conjugateMemory(o.Preconditioner)
	parts := []Work{p.targetWork(), products, p.effectWork()}
	switch o.Preconditioner {
	case DiagonalPreconditioner:
		parts = append(parts, p.evaluations(o.phase(), 1, sample, 1, 1))
	case KroneckerPreconditioner:
		w := p.kroneckerWork(sample)
		w.Memory += p.vectorMemory(p.directionCount())
		parts = append(parts, w)
	}
	return parts
}

// Work implements Estimator.
func (e *lissa) Work(p *Problem) []Work {
	o := e.options
	sample := o.sampleSize(len(p.Train))
	lambda := p.Recipe.WeightDecay + max(0, o.Damping)
	plan := e.plan(extremes{Largest: usualEigenvalue + lambda}, lambda, sample)
	const usualEigenvalueProducts = 12
	steps, deepest := plan.depth*plan.repeats, max(plan.depth, mostDepth)*plan.repeats
	eigenvalue := p.evaluations(o.phase(), 1, sample, usualEigenvalueProducts, mostEigenvalueProducts)
	eigenvalue.Memory = p.krylovMemory(mostEigenvalueProducts)
	recursion := p.evaluations(o.phase(), p.directionCount(), min(lissaBatch, sample), steps, deepest)
	recursion.Memory = p.recursionMemory(plan.repeats)
	return []Work{
		p.targetWork(), eigenvalue, recursion,
		p.evaluations(o.phase(), p.directionCount(), sample, 1, 1),
		p.effectWork(),
	}
}

// Work implements Estimator.
func (e *arnoldi) Work(p *Problem) []Work {
	o := e.options
	sample, steps := o.sampleSize(len(p.Train)), krylovSize(o.Rank, p.Net.Size())
	products := p.evaluations(o.phase(), 1, sample, steps, steps)
	products.Memory = p.krylovMemory(steps)
	residual := p.evaluations(o.phase(), p.directionCount(), sample, 1, 1)
	// The basis, and right-hand sides, their parts in the subspace, solutions and products, which are saved.
	residual.Memory = p.vectorMemory(steps + (5+1)*p.directionCount())
	return []Work{p.targetWork(), products, residual, p.effectWork()}
}

// Work implements Estimator.
func (e *kroneckerFactored) Work(p *Problem) []Work {
	k := p.directionCount()
	w := p.kroneckerWork(e.options.sampleSize(len(p.Train)))
	w.Memory = p.vectorMemory(k) + p.kroneckerFactors(kroneckerBlock).scoring(p.vectorMemory(k))
	return []Work{p.targetWork(), w, p.effectWork()}
}

// Work implements Estimator.
func (e *selfInfluence) Work(p *Problem) []Work {
	passes := p.kroneckerWork(len(p.Train))
	passes.Samples, passes.Most, passes.Padded = passes.Samples/2, passes.Most/2, passes.Padded/2
	f := p.kroneckerFactors(kroneckerBlock)
	passes.Memory = f.inverted() + 4*(f.blocks+f.moments) // blocks and inverses are inputs of the graph
	return []Work{p.kroneckerWork(e.options.sampleSize(len(p.Train))), passes}
}

// Work implements Estimator.
func (gradDot) Work(p *Problem) []Work { return []Work{p.targetWork(), p.effectWork()} }

// Work implements Estimator.
func (gradCos) Work(p *Problem) []Work { return []Work{p.targetWork(), p.normWork(), p.effectWork()} }

// Work implements Estimator.
func (gradNorm) Work(p *Problem) []Work {
	return append(p.recordWork(train.Recording{Early: true}), p.normWork())
}

// Work implements Estimator.
func (dynamics) Work(p *Problem) []Work { return p.recordWork(train.Recording{Dynamics: true}) }

// Work implements Estimator.
func (e *tracIn) Work(p *Problem) []Work {
	want := train.Recording{Checkpoints: e.options.Checkpoints}
	parts := p.recordWork(want)
	checkpoints := min(want.Checkpoints, p.Recipe.Steps(len(p.Train)))
	for range checkpoints {
		targets := p.targetWork()
		targets.Memory += 4 * int64(checkpoints) * int64(p.Net.Size()+p.Net.StateSize())
		parts = append(parts, targets, p.effectWork())
	}
	return parts
}

// Work implements Estimator.
func (highestLoss) Work(p *Problem) []Work {
	return []Work{p.evaluations(PhaseForward, 0, len(p.Train), 1, 1)}
}

// Work implements Estimator.
func (random) Work(*Problem) []Work { return nil }

// Work implements Estimator. The training that is gone back through is repeated at least once.
func (e *metagradient) Work(p *Problem) []Work {
	replay := train.PlanReplay(p.Net, p.Recipe, len(p.Train), e.bounds(p))
	size := min(p.Recipe.BatchSize, len(p.Train))
	forward := Work{Phase: PhaseStep, Batch: size, Samples: replay.Steps * size, Memory: replay.Memory, Disk: replay.Disk}
	forward.Most, forward.Padded = forward.Samples, forward.Samples
	back := p.trainingWork(0)
	back.Samples = p.Recipe.Steps(len(p.Train)) * size
	back.Phase, back.Directions, back.Most, back.Padded = PhaseHessian, p.directionCount(), back.Samples, back.Samples
	// The adjoints of parameters and momentum, beside what is kept of the training; saving them takes them in float64, twice.
	adjoints := p.vectorMemory(2 * p.directionCount())
	back.Memory = replay.Memory + adjoints/2 + 2*adjoints
	parts := []Work{forward, p.targetWork(), back}
	if !e.options.NoSmoothnessCheck {
		checks := len(perturbedFractions)
		parts = append(parts, p.trainingWork(checks), p.evaluations(PhaseForward, 0, len(p.Score), checks+1, checks+1))
	}
	return parts
}
