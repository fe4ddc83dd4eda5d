package evidence

import (
	"math"
	"slices"
	"testing"

	"github.com/datadropout/datadropout"
)

func near(a, b float64) bool {
	return math.Abs(a-b) < 1e-9 || math.IsNaN(a) && math.IsNaN(b)
}

func TestCorrelations(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		name              string
		a, b              []float64
		pearson, spearman float64
	}{
		// Deviations -1, 0, 1 and -7/3, -1/3, 8/3: 5 / sqrt(2 * 114/9).
		{"three values", []float64{1, 2, 3}, []float64{2, 4, 7}, 5 / math.Sqrt(2*114.0/9), 1},
		// Rank differences -1, 1, -1, 1, 0: 1 - 6*4 / (5 * 24).
		{"swapped neighbours", []float64{1, 2, 3, 4, 5}, []float64{2, 1, 4, 3, 5}, 0.8, 0.8},
		{"a decreasing curve", []float64{1, 2, 3}, []float64{1, 1.0 / 2, 1.0 / 3}, -(1 - 1.0/3) / math.Sqrt(2*(49.0/36-121.0/108)), -1},
		// Ranks 1.5, 1.5, 3 and 1, 2, 3: 1.5 / sqrt(1.5 * 2).
		{"ties share their rank", []float64{5, 5, 9}, []float64{1, 2, 3}, 4 / math.Sqrt(32.0/3*2), 1.5 / math.Sqrt(3)},
		{"no variation", []float64{4, 4, 4}, []float64{1, 2, 3}, nan, nan},
	} {
		if got := pearson(test.a, test.b); !near(got, test.pearson) {
			t.Errorf("%s: Pearson %v, want %v", test.name, got, test.pearson)
		}
		if got := spearman(test.a, test.b); !near(got, test.spearman) {
			t.Errorf("%s: Spearman %v, want %v", test.name, got, test.spearman)
		}
	}
}

func TestRanks(t *testing.T) {
	if got, want := datadropout.Ranks([]float64{3, 1, 3, 2, 3}), []float64{4, 1, 4, 2, 4}; !slices.Equal(got, want) {
		t.Errorf("ranks %v, want %v", got, want)
	}
}

// The slope is that of the truth over the prediction: a prediction of half the true size has the slope 2.
func TestSlopeIsTruthOverPrediction(t *testing.T) {
	a := agree([]float64{1, 2, 3, 5}, []float64{3, 5, 7, 11}, 1)
	if !near(float64(a.Slope), 2) || !near(float64(a.Offset), 1) || !near(float64(a.Pearson), 1) || a.SpearmanCI != (datadropout.Interval{1, 1}) {
		t.Errorf("%+v, want slope 2, offset 1 and correlations of 1", a)
	}
	if a := agree([]float64{1, 1, 1}, []float64{3, 5, 7}, 1); !math.IsNaN(float64(a.Slope)) || !math.IsNaN(float64(a.Offset)) || !math.IsNaN(float64(a.Spearman)) || !math.IsNaN(float64(a.SpearmanCI[0])) {
		t.Errorf("predictions that do not vary: %+v", a)
	}
}

func TestBootstrap(t *testing.T) {
	// The mean of 400 values of which half are 0 and half 1 has a standard error of 0.5/20: the interval is 0.5 +- 0.049.
	statistic := func(drawn []int) float64 {
		sum := 0
		for _, i := range drawn {
			sum += i % 2
		}
		return float64(sum) / float64(len(drawn))
	}
	ci := bootstrap(400, 7, statistic)
	if math.Abs(float64(ci[0])-0.451) > 0.008 || math.Abs(float64(ci[1])-0.549) > 0.008 {
		t.Errorf("interval %v, want about 0.451 to 0.549", ci)
	}
	if again := bootstrap(400, 7, statistic); again != ci {
		t.Errorf("the same seed gives %v and %v", ci, again)
	}
	// Of three pairs, draws of one alone have no correlation, and are left out.
	if ci := bootstrap(3, 1, func(drawn []int) float64 {
		v := at([]float64{1, 2, 3}, drawn)
		return spearman(v, v)
	}); ci != (datadropout.Interval{1, 1}) {
		t.Errorf("interval %v, want 1 to 1", ci)
	}
}

func TestAreaUnderCurve(t *testing.T) {
	for _, test := range []struct {
		name    string
		values  []float64
		planted []bool
		want    float64
	}{
		// Of the six pairs, the planted one is lower in four and equal in one.
		{"a tie", []float64{1, 2, 3, 3, 4}, []bool{true, false, true, false, false}, 4.5 / 6},
		{"all first", []float64{-2, -1, 0, 1}, []bool{true, true, false, false}, 1},
		{"all last", []float64{-2, -1, 0, 1}, []bool{false, false, true, true}, 0},
		{"all equal", []float64{1, 1, 1}, []bool{true, false, false}, 0.5},
		{"none planted", []float64{1, 2}, []bool{false, false}, math.NaN()},
	} {
		if got := areaUnderCurve(test.values, test.planted); !near(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestDetect(t *testing.T) {
	delta, planted := make([]float64, 40), make([]bool, 40)
	for i := range delta {
		delta[i] = float64(i)
	}
	for _, i := range []int{0, 1, 3, 30} { // two of the first 2, three of the first 4 and of the first 8
		planted[i] = true
	}
	m := detect(delta, planted)
	want := []FoundResult{{0.05, 0.5, 0.5}, {0.1, 0.75, 1}, {0.2, 0.75, 1}}
	if m.Planted != 4 || !slices.Equal(m.Found, want) {
		t.Errorf("%+v, want 4 planted and %v", m, want)
	}
	// Of the 4 * 36 pairs those with a planted sample behind: 1 of sample 3, 27 of sample 30.
	if !near(float64(m.AUC), 1-28.0/144) {
		t.Errorf("AUC %v, want %v", m.AUC, 1-28.0/144)
	}
}

func TestSpread(t *testing.T) {
	m, sd := spread([]Change{{1, 2, 0.1}, {3, 2, 0.3}, {5, 2, 0.5}})
	if !near(m.ScoreLoss, 3) || !near(m.TestLoss, 2) || !near(m.TestMetric, 0.3) || !near(float64(sd.ScoreLoss), 2) || sd.TestLoss != 0 || !near(float64(sd.TestMetric), 0.2) {
		t.Errorf("mean %v, deviation %v", m, sd)
	}
	if _, sd := spread([]Change{{1, 2, 3}}); !math.IsNaN(float64(sd.ScoreLoss)) {
		t.Errorf("one draw has a deviation of %v", sd.ScoreLoss)
	}
}

func TestExtremes(t *testing.T) {
	harmful, helpful := extremes([]float64{0.3, -1, 0, 2, -2}, 2)
	if !slices.Equal(harmful, []int{1, 4}) || !slices.Equal(helpful, []int{0, 3}) {
		t.Errorf("harmful %v and helpful %v, want [1 4] and [0 3]", harmful, helpful)
	}
}

func TestAveragePoints(t *testing.T) {
	p := averagePoints([]float64{0.2, 0.4, 0.6}, 1)
	if p.Points != 3 || !near(float64(p.Spearman), 0.4) || p.SpearmanCI[0] < 0.2 || p.SpearmanCI[0] >= 0.4 || p.SpearmanCI[1] <= 0.4 {
		t.Errorf("%+v", p)
	}
	if p := averagePoints(nil, 1); p.Points != 0 || !math.IsNaN(float64(p.Spearman)) || !math.IsNaN(float64(p.SpearmanCI[1])) {
		t.Errorf("no points: %+v", p)
	}
}
