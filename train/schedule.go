package train

import "math"

// Learning-rate schedules.
const (
	Cosine     = "cosine"
	Linear     = "linear"
	Step       = "step"
	Milestones = "milestones"
	Constant   = "constant"
)

// Schedules lists the schedules.
var Schedules = []string{Cosine, Linear, Step, Milestones, Constant}

// Rate returns the learning rate of step t of T, t = 0 ... T-1.
//
// Over the first W = round(WarmupFraction T) steps it rises linearly, lr (t+1)/(W+1). From then on it is
//
//	cosine:      lr (1 + cos(pi (t-W)/(T-W))) / 2     (Loshchilov and Hutter, ICLR 2017, eq. 5, one period)
//	linear:      lr (T-t)/(T-W)                       with warmup one cycle (Smith and Topin 2018)
//	step:        lr StepFactor^floor(e/StepEvery)     with e = t Epochs/T, the epochs done; after each third of the steps
//	                                                  where StepEvery is 0
//	milestones:  lr StepFactor^k                      with k the milestones that t has reached
//	constant:    lr
func (r Recipe) Rate(t, T int) float64 {
	w := int(math.Round(r.WarmupFraction * float64(T)))
	if t < w {
		return r.LearningRate * float64(t+1) / float64(w+1)
	}
	switch r.Schedule {
	case Linear:
		return r.LearningRate * float64(T-t) / float64(T-w)
	case Step:
		if r.StepEvery == 0 {
			return r.dropped(3 * t / T)
		}
		return r.dropped(t * r.Epochs / T / r.StepEvery)
	case Milestones:
		reached := 0
		for _, m := range r.Milestones {
			// The step that begins at a milestone has reached it, whatever rounding makes of the share.
			if float64(t) >= r.share(m)*float64(T)-1e-6 {
				reached++
			}
		}
		return r.dropped(reached)
	case Constant:
		return r.LearningRate
	default:
		return r.LearningRate * (1 + math.Cos(math.Pi*float64(t-w)/float64(T-w))) / 2
	}
}

// dropped returns the learning rate after so many drops.
func (r Recipe) dropped(times int) float64 {
	factor := r.StepFactor
	if factor == 0 {
		factor = 0.1
	}
	return r.LearningRate * math.Pow(factor, float64(times))
}
