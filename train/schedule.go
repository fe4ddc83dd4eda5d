package train

import "math"

// Learning-rate schedules.
const (
	Cosine   = "cosine"
	Step     = "step"
	Constant = "constant"
)

// Rate returns the learning rate of step t of T, t = 0 ... T-1.
//
// Over the first W = round(WarmupFraction T) steps it rises linearly, lr (t+1)/(W+1). From then on it is
//
//	cosine:    lr (1 + cos(pi (t-W)/(T-W))) / 2     (Loshchilov and Hutter, ICLR 2017, eq. 5, one period)
//	step:      lr StepFactor^floor(e/StepEvery)     with e = t Epochs/T, the epochs done
//	constant:  lr
func (r Recipe) Rate(t, T int) float64 {
	w := int(math.Round(r.WarmupFraction * float64(T)))
	if t < w {
		return r.LearningRate * float64(t+1) / float64(w+1)
	}
	switch r.Schedule {
	case Step:
		every, factor := r.StepEvery, r.StepFactor
		if every == 0 {
			every = max(1, r.Epochs/3)
		}
		if factor == 0 {
			factor = 0.1
		}
		return r.LearningRate * math.Pow(factor, float64(t*r.Epochs/T/every))
	case Constant:
		return r.LearningRate
	default:
		return r.LearningRate * (1 + math.Cos(math.Pi*float64(t-w)/float64(T-w))) / 2
	}
}
