package datadropout

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/train"
)

// confirm trains a proposal at the other seeds, 1 to Seeds-1, and fills in what the tune split says over these. The first seed, by
// which the proposal was selected, is not among them: its change is low by selection. full is dropping nothing at the first seed.
func (r *runner) confirm(ctx context.Context, p Proposal, a *Amount, full Amount) error {
	var after, before []*train.Evaluation
	a.SeedLossChanges = []float64{a.Loss - full.Loss}
	others := r.config.Seeds - 1
	for k := 1; k <= others; k++ {
		x, y, err := r.trial(ctx, p, k, Event{Part: k, Parts: others, What: fmt.Sprintf("%s: confirming at seed %d", p.Rule, r.seed(k))})
		if err != nil {
			return err
		}
		after, before = append(after, x), append(before, y)
		a.SeedLossChanges = append(a.SeedLossChanges, x.Loss-y.Loss)
		a.MetricChange += (x.Metric - y.Metric) / float64(others)
	}
	c := pairedChange(after, before, dataset.Groups(r.data.Source(), r.data.Split.Tune))
	a.LossChange, a.StandardError, a.df = c.mean, c.stdErr, c.df
	p1 := Number(pBelow(a.LossChange, a.StandardError, a.df))
	a.SeedsP = &p1
	return nil
}

// confirmed says whether the tune loss over the confirming seeds is lower by more than chance over tune samples and seeds explains,
// in a one-sided t test at 5 %, and the tune metric no lower. With one confirming seed nothing is known of chance over seeds: then
// the test is over tune samples alone, and says of this one training what the first test says of the first.
func (a *Amount) confirmed() bool {
	return pBelow(a.LossChange, a.StandardError, a.df) < significance && a.MetricChange >= 0
}

// change is a mean change in loss and its standard error, with the degrees of freedom of the t test of it: 0 stands for the normal
// distribution, below 0 nothing can be tested.
type change struct{ mean, stdErr, df float64 }

// pairedChange returns the mean change in loss over samples and seeds. The variance of the mean is that over samples of a sample's
// mean over seeds and, with several seeds, that over seeds, added. group holds the group of each sample, such as the image of a
// patch; nil means that samples are independent. Of samples in groups the variance over samples is that of the sums over groups,
//
//	G/(G-1) sum_g (sum_{i in g} (d_i - mean))^2 / n^2,
//
// for n samples in G groups, whose members may depend on each other in any way (Liang and Zeger, Biometrika 1986). One group has
// none, and then there is no test.
//
// The degrees of freedom of one seed are those of the normal distribution, for the standard error is one over hundreds of samples,
// or G-1. Of several seeds they are Satterthwaite's (Biometrics Bulletin 1946), with one less than there are seeds for the variance
// over these.
func pairedChange(after, before []*train.Evaluation, group []int) change {
	seeds := float64(len(after))
	diff := make([]float64, len(after[0].SampleLoss))
	perSeed := make([]float64, len(after))
	for k := range after {
		perSeed[k] = after[k].Loss - before[k].Loss
		for i := range diff {
			diff[i] += (float64(after[k].SampleLoss[i]) - float64(before[k].SampleLoss[i])) / seeds
		}
	}
	mean, sd := stat.MeanStdDev(diff, nil)
	c := change{mean: mean}
	overSamples, samplesDF := sd*sd/float64(len(diff)), float64(len(diff)-1)
	if group != nil {
		overSamples, samplesDF = groupedVariance(diff, mean, group)
		c.df = samplesDF
	}
	if samplesDF < 1 {
		c.df = -1
		return c
	}
	variance := overSamples
	if len(after) > 1 {
		overSeeds := stat.Variance(perSeed, nil) / seeds
		variance += overSeeds
		if variance > 0 {
			c.df = variance * variance / (overSamples*overSamples/samplesDF + overSeeds*overSeeds/(seeds-1))
		}
	}
	c.stdErr = math.Sqrt(variance)
	return c
}

// groupedVariance returns the variance of the mean of values that depend on each other within groups, and its degrees of freedom,
// one less than there are groups; 0 and 0 for one group.
func groupedVariance(values []float64, mean float64, group []int) (variance, df float64) {
	place := map[int]int{}
	var sums []float64
	for i, x := range values {
		g, ok := place[group[i]]
		if !ok {
			g = len(sums)
			place[group[i]], sums = g, append(sums, 0)
		}
		sums[g] += x - mean
	}
	groups, n := float64(len(sums)), float64(len(values))
	if groups < 2 {
		return 0, 0
	}
	for _, s := range sums {
		variance += s * s
	}
	return variance * groups / (groups - 1) / (n * n), groups - 1
}
