package datadropout

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat"
)

// Changes by hand: on score the metric rises by 3, 4 and 5 hundredths, on tune by 2, 2 and 2 with a loss
// that falls by 2, 2 and 3 tenths, on test by 1, 1 and 4.
func TestGap(t *testing.T) {
	full := &ArmResult{ScoreMetric: []float64{0.5, 0.5, 0.5}, ScoreLoss: []float64{1, 1, 1}, TuneMetric: []float64{0.5, 0.5, 0.5}, TuneLoss: []float64{1, 1, 1},
		TestMetric: []float64{0.5, 0.5, 0.5}, TestLoss: []float64{1, 1, 1}}
	dropped := &ArmResult{ScoreMetric: []float64{0.53, 0.54, 0.55}, ScoreLoss: []float64{0.7, 0.6, 0.5}, TuneMetric: []float64{0.52, 0.52, 0.52}, TuneLoss: []float64{0.8, 0.8, 0.7},
		TestMetric: []float64{0.51, 0.51, 0.54}, TestLoss: []float64{0.9, 0.9, 0.9}}
	g := NewGap(ArmsResult{Full: full, Dropped: dropped}, -0.5)
	// t(0.975; 2) = 4.302653. The changes on score have the deviation 0.01. Score minus test is 2, 3 and 1 hundredths.
	half := 4.302653 / math.Sqrt(3)
	for _, tt := range []struct {
		name             string
		c                Change
		difference, half float64
	}{
		{"score", g.Score.Metric, 0.04, 0.01 * half},
		{"score loss", g.Score.Loss, -0.4, 0.1 * half},
		{"tune", g.Tune.Metric, 0.02, math.NaN()},
		{"tune loss", g.Tune.Loss, -0.7 / 3, 0.1 / math.Sqrt(3) * half},
		{"test", g.Test.Metric, 0.02, math.Sqrt(3) * 0.01 * half},
		{"test loss", g.Test.Loss, -0.1, math.NaN()},
		{"score minus test", g.ScoreMinusTest.Metric, 0.02, 0.01 * half},
		{"score minus test, loss", g.ScoreMinusTest.Loss, -0.3, 0.1 * half},
		{"tune minus test, loss", g.TuneMinusTest.Loss, -0.4 / 3, 0.1 / math.Sqrt(3) * half},
	} {
		near(t, tt.name, tt.c.Difference, tt.difference, 1e-12)
		if math.IsNaN(tt.half) { // all the same: there is no interval
			if !math.IsNaN(float64(tt.c.CI95[0])) || !math.IsNaN(float64(tt.c.CI95[1])) || !math.IsNaN(float64(tt.c.P)) {
				t.Errorf("%s: %+v", tt.name, tt.c)
			}
			continue
		}
		near(t, tt.name+" low", float64(tt.c.CI95[0]), tt.difference-tt.half, 1e-6)
		near(t, tt.name+" high", float64(tt.c.CI95[1]), tt.difference+tt.half, 1e-6)
	}
	near(t, "p", float64(g.ScoreMinusTest.Metric.P), 0.0741799, 1e-6) // t = 2/sqrt(1/3), 2 degrees of freedom
	if g.PredictedScoreLoss != -0.5 {
		t.Errorf("predicted %v", g.PredictedScoreLoss)
	}
	if NewGap(ArmsResult{Full: full, Dropped: &ArmResult{}}, 0) != nil || NewGap(ArmsResult{Full: full}, 0) != nil {
		t.Error("a gap without a dropped arm")
	}
	dropped.TuneLoss = dropped.TuneLoss[:2]
	if NewGap(ArmsResult{Full: full, Dropped: dropped}, 0) != nil {
		t.Error("a gap of lists that differ in length")
	}
}

// The prediction against finite differences of a model that is trained in closed form: the minimum of sum w_i (theta - x_i)^2 / (2n) +
// lambda theta^2 / 2, which has no mean removal effect of zero. The weights of the dropped fall a little, those of the others
// rise, as training on the rest as on a whole has it.
func TestPredictedAgainstFiniteDifferences(t *testing.T) {
	x := []float64{1, -2, 0.5, 4, 3, -1, 7, 2}
	n := float64(len(x))
	loss := func(w []float64) float64 {
		const lambda, v = 0.3, 1.25
		wx, sum := 0.0, 0.0
		for i := range x {
			wx, sum = wx+w[i]*x[i]/n, sum+w[i]/n
		}
		d := wx/(sum+lambda) - v
		return d * d / 2
	}
	weights := func(change func(i int) float64) []float64 {
		w := make([]float64, len(x))
		for i := range w {
			w[i] = 1 + change(i)
		}
		return w
	}
	const h = 1e-5
	slope := func(change func(i int) float64) float64 {
		up := loss(weights(func(i int) float64 { return h * change(i) }))
		down := loss(weights(func(i int) float64 { return -h * change(i) }))
		return (up - down) / (2 * h)
	}
	e := &Estimates{}
	for k := range x {
		e.Delta = append(e.Delta, slope(func(i int) float64 {
			if i == k {
				return -1
			}
			return 0
		}))
	}
	e.Mean = stat.Mean(e.Delta, nil)
	if math.Abs(e.Mean) < 1e-3 {
		t.Fatalf("the mean removal effect %v tests nothing", e.Mean)
	}
	drop := []int{6, 1, 3}
	want := slope(func(i int) float64 {
		if i == 6 || i == 1 || i == 3 {
			return -1
		}
		return 3 / (n - 3)
	})
	near(t, "predicted", e.Predicted(drop), want, 1e-8)
	if e.Predicted(nil) != 0 {
		t.Error("dropping nothing is predicted to change something")
	}
}
