package datadropout

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/internal/nearest"
	"github.com/datadropout/datadropout/internal/precision"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// Config holds every setting of a run. Its YAML form is the run directory's config.yaml.
type Config struct {
	// Task is "classification" or "denoising".
	Task string `yaml:"task"`
	// Data names the data set: one of [dataset.Known], or images of one's own, "folder", "manifest" or "parquet", see
	// [dataset.OpenPictures]. DataDir is the folder that holds it, or the file of a manifest or of Parquet; empty for a built-in set
	// and for the user's cache, see [dataset.CacheDir].
	Data    string `yaml:"data"`
	DataDir string `yaml:"data_dir,omitempty"`
	// ImageSize is the size that images of one's own are brought to, HEIGHTxWIDTH or one number for both; empty means that of
	// [dataset.OpenPictures]. SkipUnreadable leaves out those that can't be read. DataColumns names the columns of a manifest or of Parquet
	// files, see [dataset.ParseColumns]. DataMemory is how many bytes of their pixels may be in memory; more are kept on disk, and 0 means
	// [dataset.DefaultPixelMemory].
	ImageSize      string `yaml:"image_size,omitempty" json:",omitempty"`
	SkipUnreadable bool   `yaml:"skip_unreadable,omitempty" json:",omitempty"`
	DataColumns    string `yaml:"data_columns,omitempty" json:",omitempty"`
	DataMemory     int64  `yaml:"data_memory,omitempty" json:",omitempty"`
	// Train, Score, Tune and Test are the sizes of the splits. 0 means the data set's default share.
	Train int `yaml:"train"`
	Score int `yaml:"score"`
	Tune  int `yaml:"tune"`
	Test  int `yaml:"test"`
	// LabelNoise is the share of training labels, in [0, 1), replaced by a wrong class before anything is trained.
	// It is an experiment's means: the planted samples are known, so finding them can be counted.
	LabelNoise float64 `yaml:"label_noise"`
	// LabelNoiseKind is "symmetric" (any other class, the same for all), which empty means, or "pair" (the next class).
	LabelNoiseKind string `yaml:"label_noise_kind,omitempty" json:",omitempty"`
	// LabelNoiseMatrix names a file of transitions between the classes that training labels are drawn anew by, in place of
	// LabelNoise; see [dataset.ReadTransitions].
	LabelNoiseMatrix string `yaml:"label_noise_matrix,omitempty" json:",omitempty"`
	// NoisyLabels names a file of labels, one for every record of the training data, that take the place of those of the training
	// split: FILE or FILE:COLUMN; see [dataset.ReadLabels].
	NoisyLabels string `yaml:"noisy_labels,omitempty" json:",omitempty"`
	// Net names the network.
	Net string `yaml:"net"`
	// Recipe is the training recipe that both rounds and all arms share.
	Recipe train.Recipe `yaml:"recipe"`
	// Estimator names the influence estimator and Influence holds its settings.
	Estimator string            `yaml:"estimator"`
	Influence influence.Options `yaml:"influence"`
	// InfluenceNet and InfluenceRecipe name the network and the recipe (see [train.Recipes]) that removal effects are computed
	// with, trained for that purpose; empty means those of the run. A smooth twin of the network serves the metagradient.
	InfluenceNet    string `yaml:"influence_net,omitempty"`
	InfluenceRecipe string `yaml:"influence_recipe,omitempty"`
	// InfluenceSeeds is the number of round-1 models, of the first seeds, whose scores are averaged. ScoreFolds is the number
	// of parts of the score split that give every removal effect a standard error; 1 means none.
	InfluenceSeeds int `yaml:"influence_seeds"`
	ScoreFolds     int `yaml:"score_folds"`
	// Rule says what to drop; see [ParseRule].
	Rule string `yaml:"rule"`
	// MinClassShare is the share of its training samples that every class keeps, whatever the rule, in [0, 1); 0 means no bound.
	// MinSignAgreement is the share of the score folds, and of the influence seeds, that have to find a sample harmful before it is
	// dropped, in [0, 1], under the rules auto, significant and shrunk; 0 means none. See [Estimates].SignAgreement.
	MinClassShare    float64 `yaml:"min_class_share"`
	MinSignAgreement float64 `yaml:"min_sign_agreement"`
	// DoseControls trains, at the first seed, the random and the highest-loss control beside every amount that an adaptive rule
	// tries: two trainings an amount, for the dose-response of the page. They decide nothing.
	DoseControls bool `yaml:"dose_controls,omitempty"`
	// Seeds is the number of paired repetitions of every arm, and Seed the first of them. Repetition k uses seed
	// Seed+k for its initial weights and its order of samples. Seed also draws the split and the label noise.
	Seeds int    `yaml:"seeds"`
	Seed  uint64 `yaml:"seed"`
	// Backend names what computes, such as "cpu". Threads bounds the processors used; 0 means all.
	Backend string `yaml:"backend"`
	Threads int    `yaml:"threads"`
	// DeviceMemory bounds what XLA keeps on its device between steps, in bytes: the pixels of a training set that fits are there, and are fed
	// batch by batch otherwise; what they leave is for the steps of metagradient. 0 means [train.DefaultDeviceMemory]; it is 0 where the backend is not XLA.
	DeviceMemory int64 `yaml:"device_memory,omitempty" json:",omitempty"`
	// Precision is what products are computed in: "float32", "tf32" or "bfloat16". Networks are trained and evaluated in bfloat16 by it (see
	// [net.Network.BFloat16]); the rest is up to who opens the backend. Deterministic says that the backend gives the same bits every time.
	Precision     string `yaml:"precision"`
	Deterministic bool   `yaml:"deterministic"`
	// Denoise holds what denoising has beside that.
	Denoise DenoiseConfig `yaml:"denoise,omitempty" json:",omitzero"`
}

// DefaultConfig returns the settings of a run without flags: the built-in procedural set and a small network.
func DefaultConfig() Config {
	return Config{
		Task:           Classification,
		Data:           "shapes",
		LabelNoise:     UnsetLabelNoise,
		Net:            "lenet5",
		Recipe:         train.Recipes["default"],
		Estimator:      "cg",
		InfluenceSeeds: 1,
		ScoreFolds:     5,
		Rule:           "auto",
		Seeds:          5,
		Backend:        "cpu",
		Precision:      precision.Float32,
		Deterministic:  true,

		MinClassShare:    DefaultMinClassShare,
		MinSignAgreement: DefaultMinSignAgreement,
	}
}

// Defaults of the guards. Where more than half of a class would go, its wrong labels would outnumber the right ones, and nothing
// tells any longer which are which: rather the class is hard, or rare in the score split. Of five folds four have to agree; of a
// sample without any effect they do so one time in five.
const (
	DefaultMinClassShare    = 0.5
	DefaultMinSignAgreement = 0.8
)

// UnsetLabelNoise asks for the data set's default: a fifth of the labels for the procedural set, whose purpose is to
// show planted errors being found, and none for real data.
const UnsetLabelNoise = -1

const proceduralLabelNoise = 0.2

// Bounds of settings that a slip of the keyboard would exceed and a machine could not follow. An image of the procedural set takes
// less than a kilobyte.
const (
	mostSamples = 2_000_000_000
	mostShapes  = 2_000_000
	mostSeeds   = 100_000
	mostThreads = 4096
)

// resolve fills in what is left to defaults or depends on other settings.
func (c *Config) resolve() {
	c.Influence = c.Influence.WithDefaults(c.Estimator)
	if c.LabelNoise == UnsetLabelNoise {
		c.LabelNoise = 0
		if c.Data == proceduralSet && !c.labelsFromFile() {
			c.LabelNoise = proceduralLabelNoise
		}
	}
	if !strings.HasPrefix(c.Backend, "xla:") { // the host's memory is all there is
		c.DeviceMemory = 0
	} else if c.DeviceMemory == 0 {
		c.DeviceMemory = train.DefaultDeviceMemory
	}
}

// Validate reports the first setting that is out of range or unknown. It reads no data.
func (c *Config) Validate() error {
	switch c.Task {
	case Classification:
		if err := c.validateClassification(); err != nil {
			return err
		}
	case Denoising:
		if err := c.validateDenoising(); err != nil {
			return err
		}
	default:
		return usagef("unknown task %q; known: %s, %s", c.Task, Classification, Denoising)
	}
	return c.validateRun()
}

// validateClassification is Validate for what classification has of its own.
func (c *Config) validateClassification() error {
	switch {
	case !c.ofPictures() && !slices.Contains(dataset.Known(), c.Data):
		return usagef("unknown data set %q%s, and the path of images of your own: a folder that holds a folder of images for each class, a CSV file of "+
			"paths and labels, or Parquet files", c.Data, nearest.Among(c.Data, dataset.Known()))
	case c.ofPictures() && c.DataDir == "":
		return usagef("say where the images are: --data PATH")
	case !c.ofPictures() && (c.ImageSize != "" || c.SkipUnreadable || c.DataColumns != "" || c.DataMemory != 0):
		return usagef("an image size, columns, a bound on memory and skipping what is unreadable are for images of your own, not for %s", c.Data)
	case c.Data == dataset.FolderName && c.DataColumns != "":
		return usagef("columns are for manifests and Parquet files, not for a folder of images")
	case c.DataMemory < 0:
		return usagef("the memory for pixels must not be negative, got %d bytes", c.DataMemory)
	case net.Check(c.Net, true) != nil:
		return &UsageError{Err: net.Check(c.Net, true)}
	case c.InfluenceNet != "" && net.Check(c.InfluenceNet, true) != nil:
		return &UsageError{Err: net.Check(c.InfluenceNet, true)}
	case c.LabelNoise != UnsetLabelNoise && (math.IsNaN(c.LabelNoise) || c.LabelNoise < 0 || c.LabelNoise >= 1):
		return usagef("label noise must lie in [0, 1), got %v", c.LabelNoise)
	}
	if err := c.validateLabelNoise(); err != nil {
		return err
	}
	if c.ImageSize != "" {
		if _, _, err := dataset.ParseSize(c.ImageSize); err != nil {
			return usagef("image size: %w", err)
		}
	}
	if _, err := dataset.ParseColumns(c.DataColumns); err != nil {
		return &UsageError{Err: err}
	}
	return nil
}

// validateRun is Validate for what every task has.
func (c *Config) validateRun() error {
	switch {
	case c.InfluenceRecipe != "" && train.Recipes[c.InfluenceRecipe].Epochs == 0:
		return usagef("unknown influence recipe %q%s", c.InfluenceRecipe, nearest.Among(c.InfluenceRecipe, train.RecipeNames()))
	case c.Seeds < 1:
		return usagef("seeds must be at least 1, got %d", c.Seeds)
	case c.InfluenceSeeds < 1:
		return usagef("influence seeds must be at least 1, got %d", c.InfluenceSeeds)
	case c.ScoreFolds < 1:
		return usagef("score folds must be at least 1, got %d", c.ScoreFolds)
	case !(c.MinClassShare >= 0 && c.MinClassShare < 1):
		return usagef("the minimum class share must lie in [0, 1), got %v", c.MinClassShare)
	case !(c.MinSignAgreement >= 0 && c.MinSignAgreement <= 1):
		return usagef("the minimum sign agreement must lie in [0, 1], got %v", c.MinSignAgreement)
	case c.Seeds > mostSeeds || c.InfluenceSeeds > mostSeeds:
		return usagef("seeds must be at most %d, got %d", mostSeeds, max(c.Seeds, c.InfluenceSeeds))
	case c.DeviceMemory < 0:
		return usagef("the memory of the device must not be negative, got %d bytes", c.DeviceMemory)
	case c.Threads < 0 || c.Threads > mostThreads:
		return usagef("threads must lie between 1 and %d, or be 0 for all, got %d", mostThreads, c.Threads)
	}
	for _, size := range []struct {
		name  string
		value int
	}{{"train", c.Train}, {"score", c.Score}, {"tune", c.Tune}, {"test", c.Test}} {
		if size.value < 0 {
			return usagef("the size of the %s split must not be negative, got %d", size.name, size.value)
		}
		if size.value > mostSamples {
			return usagef("the size of the %s split must be at most %d, got %d", size.name, mostSamples, size.value)
		}
		if c.Data == proceduralSet && size.value > mostShapes {
			return usagef("the size of the %s split of %s must be at most %d, got %d", size.name, c.Data, mostShapes, size.value)
		}
	}
	if err := precision.Check(c.Precision); err != nil {
		return &UsageError{Err: err}
	}
	if err := c.CheckRepeats(c.Estimator, true); err != nil {
		return err
	}
	if err := c.Recipe.Validate(); err != nil {
		return &UsageError{Err: err}
	}
	if _, err := influence.New(c.Estimator, c.Influence); err != nil {
		return &UsageError{Err: err}
	}
	rule, err := ParseRule(c.Rule)
	if err != nil {
		return err
	}
	if c.DoseControls && !rule.Adaptive() {
		return usagef("controls beside every amount are for the rule auto, which tries several: a fixed rule has one")
	}
	return c.validateStandardErrors(rule)
}

// validateStandardErrors reports a rule that needs standard errors where there will be none.
func (c *Config) validateStandardErrors(rule Rule) error {
	switch rule.(type) {
	case Significant, Shrunk:
		if c.InfluenceSeeds < 2 && (c.ScoreFolds < 2 || !influence.HasTarget(c.Estimator)) {
			return errNoStandardErrors(rule)
		}
	}
	return nil
}

// NewNetwork returns the network of a name, as [net.New] does, in the precision of the settings.
func (c *Config) NewNetwork(name string, input [3]int, outputs int) (*net.Network, error) {
	n, err := net.New(name, input, outputs)
	if err == nil && c.Precision == precision.BFloat16 {
		n = n.BFloat16()
	}
	return n, err
}

// CheckRepeats returns an error for an estimator that repeats the training where the settings let that end elsewhere. recorded says that what it
// wants to know of the training is recorded when the model is trained; else it repeats the training for that.
func (c *Config) CheckRepeats(estimator string, recorded bool) error {
	repeats := influence.Repeats(estimator) || !recorded && influence.Recording(estimator, c.Influence) != (train.Recording{})
	if c.Deterministic || !repeats {
		return nil
	}
	return usagef("the estimator %s repeats the training and has to come to the same bits, which it does not with --deterministic=false: leave that out, or take another estimator", estimator)
}

// ofPictures says whether the data are images of a person's own, as [dataset.OpenPictures] reads them.
func (c *Config) ofPictures() bool { return slices.Contains(dataset.PicturesNames(), c.Data) }

// DataName is what people call the data: the name of the set or, of images of one's own, of their folder or file.
func (c *Config) DataName() string {
	if !c.ofPictures() && c.Data != dataset.FolderName || c.DataDir == "" {
		return c.Data
	}
	path, err := filepath.Abs(c.DataDir)
	if name := filepath.Base(path); err == nil && name != string(filepath.Separator) {
		return name
	}
	return c.Data
}

// WithAbsolutePaths returns the settings with every path made absolute, as they are kept with a run: whoever goes on with it may stand
// in another folder.
func (c Config) WithAbsolutePaths() (Config, error) {
	for _, path := range []*string{&c.DataDir, &c.LabelNoiseMatrix, &c.NoisyLabels, &c.Denoise.TestDir, &c.Denoise.NoisyDir, &c.Denoise.NoisyTestDir} {
		if *path == "" {
			continue
		}
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return c, err
		}
	}
	return c, nil
}

// UsageError marks a setting that is wrong in itself, whatever the data: the command exits with 2.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

func usagef(format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...)}
}
