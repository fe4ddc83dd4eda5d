package influence

import (
	"context"

	"github.com/datadropout/datadropout/train"
)

// dynamics are the baselines "aum", "forgetting" and "el2n", rankings by what was seen of a sample while the model was
// trained: see [train.Record]. All are of classifications. They know no scoring set, and predict nothing: only their
// sequence means something. A sample that no step presented has a removal effect of 0.
type dynamics struct {
	name string
	// rank returns the ranking values of all samples, lowest for the most suspect.
	rank func(r *train.Record) []float64
}

var _ Estimator = dynamics{}

// Name implements Estimator.
func (e dynamics) Name() string { return e.name }

// Score implements Estimator.
func (e dynamics) Score(ctx context.Context, p *Problem, progress func(done, total int)) (*Scores, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	want := train.Recording{Dynamics: true}
	steps, err := p.retrains(want)
	if err != nil {
		return nil, err
	}
	n := len(p.Train)
	count := newCounter(progress, steps*min(p.Recipe.BatchSize, n)+n)
	r, message, err := p.record(ctx, want, count.add)
	if err != nil {
		return nil, err
	}
	delta := e.rank(r)
	for i := range delta {
		delta[i] /= float64(n)
	}
	if err := finite(delta, "the values recorded in training"); err != nil {
		return nil, err
	}
	count.advance(0)
	return &Scores{Delta: delta, Solver: Solver{Converged: true, Message: message}}, nil
}

// areaUnderMargin ranks by delta_i = AUM_i / n: the mean over training of the logit of the given label less the largest of
// the others (Pleiss et al., NeurIPS 2020). It is below zero where the network kept seeing another class in the sample.
func areaUnderMargin(r *train.Record) []float64 {
	return append([]float64(nil), r.AUM...)
}

// forgettingEvents ranks by delta_i = -c_i / n, with c_i the number of times that the sample was forgotten; a sample that
// was never learned counts one more than the most forgotten (Toneva et al., ICLR 2019, who sort them last as well). Toneva et
// al. keep the samples that are forgotten often; wrong labels are among them.
func forgettingEvents(r *train.Record) []float64 {
	most := 0
	for _, c := range r.Forgotten {
		most = max(most, c)
	}
	v := make([]float64, len(r.Forgotten))
	for i, c := range r.Forgotten {
		if !r.Learned[i] && r.Presentations[i] > 0 {
			c = most + 1
		}
		v[i] = 0 - float64(c) // not the negative zero
	}
	return v
}

// errorNorm ranks by delta_i = -EL2N_i / n: the mean of |softmax(z) - y| early in training (Paul et al., NeurIPS 2021, over ten
// initializations: average the scores of models trained from as many seeds for that). They
// keep the samples of a high score; the highest are wrong labels and outliers as well.
func errorNorm(r *train.Record) []float64 {
	v := make([]float64, len(r.EL2N))
	for i, x := range r.EL2N {
		v[i] = 0 - x // not the negative zero
	}
	return v
}
