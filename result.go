package datadropout

import (
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/restore"
	"github.com/datadropout/datadropout/train"
)

// Arms of the comparison, in the order that tables show them.
const (
	Full        = "full"
	Dropped     = "dropped"
	Random      = "random"
	HighestLoss = "highest_loss"
)

// Arms lists the arms in the order that tables show them.
var Arms = []string{Full, Dropped, Random, HighestLoss}

// Result is the content of result.json. Keys stay; more may be added. Metrics are in natural units: accuracy in 0..1.
type Result struct {
	Schema  int        `json:"schema"`
	Task    string     `json:"task"`
	Data    DataResult `json:"data"`
	Net     NetResult  `json:"net"`
	Backend string     `json:"backend"`
	// Precision is what products were computed in, see [Config].Precision; empty in results of older versions.
	Precision string     `json:"precision,omitempty"`
	Metric    string     `json:"metric"`
	Infl      InflResult `json:"influence"`
	Drop      DropResult `json:"drop"`
	Arms      ArmsResult `json:"arms"`
	Effect    Effect     `json:"effect"`
	Control   Controls   `json:"controls"`
	// Gap is nil where nothing was dropped.
	Gap     *Gap        `json:"gap,omitempty"`
	Seconds TimesResult `json:"seconds"`
	// Denoising holds what only denoising has.
	Denoising *DenoisingResult `json:"denoising,omitempty"`
	// PeakMemory is the largest resident size of the process so far, in bytes.
	PeakMemory int64 `json:"peak_memory_bytes"`
}

// DataResult counts the samples of each split; Val is the score split, on which influence is computed.
type DataResult struct {
	Name    string `json:"name"`
	Train   int    `json:"train"`
	Val     int    `json:"val"`
	Tune    int    `json:"tune"`
	Test    int    `json:"test"`
	Hash    string `json:"hash"`
	Planted int    `json:"planted"`
	// Image holds height, width and channels of an image, and Mean and Std what a network is fed by: (pixel/255 - mean) / std,
	// channel by channel.
	Image []int     `json:"image,omitempty"`
	Mean  []float32 `json:"mean,omitempty"`
	Std   []float32 `json:"std,omitempty"`
	// Classes names the classes, in the order of the figures by class.
	Classes []string `json:"classes,omitempty"`
}

// NetResult names the network.
type NetResult struct {
	Name       string `json:"name"`
	Parameters int    `json:"parameters"`
}

// InflResult says how the removal effects were estimated and how the solver fared.
type InflResult struct {
	Estimator string           `json:"estimator"`
	Seconds   float64          `json:"seconds"`
	Solver    influence.Solver `json:"solver"`
	// Seeds is the number of round-1 models whose scores were averaged, and Folds the number of parts of the score split
	// behind the standard errors; 0 if the estimator has none.
	Seeds int `json:"seeds"`
	Folds int `json:"folds"`
	// SeedCorrelation is the mean Spearman correlation between the scores of two seeds; null with one seed.
	SeedCorrelation Number `json:"seed_rank_correlation"`
	// MedianStandardError is the median standard error of a removal effect, in loss units; null where there is none.
	MedianStandardError Number `json:"median_standard_error"`
}

// DropResult says what was dropped and, where labels were planted, how many of the dropped were planted. It counts samples: in denoising
// patches, also where a rule drops whole images, of which DenoisingResult has the count.
type DropResult struct {
	Rule         string  `json:"rule"`
	Count        int     `json:"count"`
	Fraction     float64 `json:"fraction"`
	PlantedFound int     `json:"planted_found"`
	Unfavorable  int     `json:"unfavorable"`
	// MinClassShare and MinSignAgreement are the guards (see [Config]), and Guarded what they kept back of what is dropped or, where they left nothing to try, of all.
	MinClassShare    float64  `json:"min_class_share"`
	MinSignAgreement float64  `json:"min_sign_agreement"`
	Guarded          Guarded  `json:"guarded"`
	Amounts          []Amount `json:"amounts,omitempty"`
}

// Guarded counts the samples that the rule would have dropped and that were kept back: those whose sign is unstable (see
// [Estimates].SignAgreement), and those without which a class would keep too small a share of its training samples.
type Guarded struct {
	Count        int `json:"count"`
	UnstableSign int `json:"unstable_sign"`
	ClassShare   int `json:"class_share"`
	// Classes has an entry for each class that has samples among them.
	Classes []GuardedClass `json:"classes,omitempty"`
}

// GuardedClass counts the samples of one class, in the order of DataResult.Classes.
type GuardedClass struct {
	Class        int `json:"class"`
	UnstableSign int `json:"unstable_sign"`
	ClassShare   int `json:"class_share"`
}

// Amount is one proposal that the auto rule tried, with what the tune split said of it. Rule is the fixed rule that it is
// by, empty for dropping nothing.
type Amount struct {
	Rule  string `json:"rule,omitempty"`
	Count int    `json:"count"`
	// Images counts the images that the patches are of, where whole images are dropped.
	Images int `json:"images,omitempty"`
	// Guarded is how many samples more the rule would have dropped without the guards.
	Guarded int     `json:"guarded,omitempty"`
	Loss    float64 `json:"tune_loss"`
	Metric  float64 `json:"tune_metric"`
	// LossChange is the mean over tune samples of the loss after dropping minus the loss of the full arm, and
	// StandardError its standard error over those samples, or over images where the samples are patches of these, at the first
	// seed. Both are 0 for the full arm itself. For a proposal that was to be confirmed both are over the other seeds, and over
	// chance between these as well where there are two or more; MetricChange is the mean change of the tune metric over them.
	// SeedLossChanges holds the change at each seed, that at the first one, by which the proposal was selected, first.
	LossChange      float64   `json:"tune_loss_change"`
	StandardError   float64   `json:"standard_error"`
	SeedLossChanges []float64 `json:"seed_loss_changes,omitempty"`
	// P is the one-sided p value of the change at the first seed against zero or more, PHolm the same corrected for the number
	// of amounts tried (see [Holm]), and SeedsP that over the other seeds, for a proposal that was to be confirmed.
	P            *Number `json:"p_value,omitempty"`
	PHolm        *Number `json:"p_holm,omitempty"`
	SeedsP       *Number `json:"seeds_p_value,omitempty"`
	MetricChange float64 `json:"tune_metric_change,omitempty"`
	Chosen       bool    `json:"chosen"`
	// Random and HighestLoss are the controls of the same count, where the settings ask for them.
	Random      *ControlAmount `json:"random,omitempty"`
	HighestLoss *ControlAmount `json:"highest_loss,omitempty"`

	df float64 // behind StandardError, see change
}

// ControlAmount is what the tune split says of a control that drops as many samples as a proposal, at the first seed: the
// change of the mean loss against the full arm, its standard error over the tune samples, and the tune metric.
type ControlAmount struct {
	LossChange    float64 `json:"tune_loss_change"`
	StandardError float64 `json:"standard_error"`
	Metric        float64 `json:"tune_metric"`
}

// ArmResult holds one entry a seed, seeds in the same order in every arm.
type ArmResult struct {
	TestMetric  []float64 `json:"test_metric"`
	TestLoss    []float64 `json:"test_loss"`
	TuneMetric  []float64 `json:"tune_metric"`
	TuneLoss    []float64 `json:"tune_loss"`
	ScoreMetric []float64 `json:"score_metric"`
	ScoreLoss   []float64 `json:"score_loss"`
	TrainMetric []float64 `json:"train_metric"`
	TrainLoss   []float64 `json:"train_loss"`
	// What a classifier does on the test split beyond that. The expected calibration error (see [train.CalibrationError]) and, with
	// more than 10 classes, the accuracy among the five largest outputs, an entry a seed; the accuracy on each class, the mean
	// over seeds, null for a class without test samples; and the samples of each class (row) taken for each class (column),
	// summed over seeds, with up to MostConfusionClasses classes.
	TestCalibrationError []float64 `json:"test_calibration_error,omitempty"`
	TestTopFive          []float64 `json:"test_top5_accuracy,omitempty"`
	TestClassAccuracy    []Number  `json:"test_class_accuracy,omitempty"`
	TestConfusion        [][]int   `json:"test_confusion,omitempty"`
	// TestSSIM is the mean SSIM of the restored test images, an entry a seed, in denoising.
	TestSSIM []float64 `json:"test_ssim,omitempty"`
	// images holds the scores of the test images, a list a seed, in denoising.
	images [][]restore.Score
}

// MostConfusionClasses is the largest number of classes that ArmResult.TestConfusion is kept for.
const MostConfusionClasses = 100

// classes above which the accuracy among the five largest outputs says something
const topFiveAbove = 10

// ArmsResult maps the name of an arm to its results. An arm that was not trained has empty lists.
type ArmsResult map[string]*ArmResult

// Controls holds further paired comparisons by the statistics of Effect: the dropped arm minus each control arm. They
// are nil where nothing was dropped.
type Controls struct {
	Random      *Effect `json:"random"`
	HighestLoss *Effect `json:"highest_loss"`
	// LossReduction is the paired reduction of the test loss, full minus dropped: above zero is better.
	LossReduction *Effect `json:"test_loss_reduction"`
}

// TimesResult holds the seconds of each stage. On a resumed run they include the stages done before.
type TimesResult struct {
	Round1    float64 `json:"round1"`
	Influence float64 `json:"influence"`
	Choose    float64 `json:"choose"`
	Round2    float64 `json:"round2"`
	Total     float64 `json:"total"`
}

func newArmResult() *ArmResult {
	return &ArmResult{
		TestMetric: []float64{}, TestLoss: []float64{}, TuneMetric: []float64{}, TuneLoss: []float64{},
		ScoreMetric: []float64{}, ScoreLoss: []float64{}, TrainMetric: []float64{}, TrainLoss: []float64{},
	}
}

// addClassification adds the figures of one more seed on the test split.
func (a *ArmResult) addClassification(c train.Classification) {
	seeds, classes := float64(len(a.TestCalibrationError)), len(c.ClassAccuracy)
	a.TestCalibrationError = append(a.TestCalibrationError, c.CalibrationError)
	if classes > topFiveAbove {
		a.TestTopFive = append(a.TestTopFive, c.TopFive)
	}
	if a.TestClassAccuracy == nil {
		a.TestClassAccuracy = make([]Number, classes)
	}
	for k, v := range c.ClassAccuracy {
		a.TestClassAccuracy[k] = (Number(seeds)*a.TestClassAccuracy[k] + Number(v)) / Number(seeds+1)
	}
	if classes > MostConfusionClasses {
		return
	}
	if a.TestConfusion == nil {
		a.TestConfusion = make([][]int, classes)
		for k := range a.TestConfusion {
			a.TestConfusion[k] = make([]int, classes)
		}
	}
	for label, row := range c.Confusion {
		for predicted, n := range row {
			a.TestConfusion[label][predicted] += n
		}
	}
}
