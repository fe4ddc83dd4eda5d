package datadropout

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/internal/nearest"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// Tasks of a run.
const (
	Classification = "classification"
	Denoising      = "denoising"
)

// What a rule drops in denoising.
const (
	DropPatches = "patch"
	DropImages  = "image"
)

// DenoiseConfig holds the settings that denoising has beside those of Config; zeros for classification. Config.Data names
// "dead-leaves", or "folder" for the images of Config.DataDir, and Train, Score, Tune and Test count images. Where a zero says so, it is
// replaced by a default when the data are loaded.
type DenoiseConfig struct {
	// TestDir is a folder of test images; empty: test images are drawn from the data.
	TestDir string `yaml:"test_dir,omitempty" json:",omitempty"`
	// NoisyDir holds the noisy images of real pairs, by the names of the clean ones, and NoisyTestDir those of TestDir; empty: noisy
	// images are made from the clean ones.
	NoisyDir     string `yaml:"noisy_dir,omitempty" json:",omitempty"`
	NoisyTestDir string `yaml:"noisy_test_dir,omitempty" json:",omitempty"`
	// Degrade is how they are made: see [dataset.Degradation]. The zero value means normal noise of sigma 25.
	Degrade dataset.Degradation `yaml:"degrade,omitempty"`
	// TestSigma is the sigma of the noise of the score, tune and test images where that of training is a range. 0 means its middle.
	TestSigma float64 `yaml:"test_sigma,omitempty" json:",omitempty"`
	// Color is "auto", "gray" or "color"; see [dataset.PictureFolderOptions].
	Color string `yaml:"color,omitempty" json:",omitempty"`
	// PatchSize and Stride are the side of a training patch and the distance from one to the next, in pixels. 0 means 40, and half of
	// the patch size.
	PatchSize int `yaml:"patch_size,omitempty" json:",omitempty"`
	Stride    int `yaml:"stride,omitempty" json:",omitempty"`
	// Scales are what training images are scaled by; nil means 1.
	Scales []float64 `yaml:"scales,flow,omitempty" json:",omitempty"`
	// Patches bounds the number of training patches; 0 means no bound.
	Patches int `yaml:"patches,omitempty" json:",omitempty"`
	// NoSymmetries leaves out the flips and rotations of training patches.
	NoSymmetries bool `yaml:"no_symmetries,omitempty" json:",omitempty"`
	// BadPairs is the share of training images whose clean targets are spoiled, in the ways of BadKinds in turn (nil: all of
	// [dataset.BadPairKinds]), for experiments; UnsetBadPairs means 0.15 for dead-leaves, else none. BadInputs makes the noisy images of
	// the spoiled ones too.
	BadPairs  float64  `yaml:"bad_pairs"`
	BadKinds  []string `yaml:"bad_kinds,flow,omitempty" json:",omitempty"`
	BadInputs bool     `yaml:"bad_inputs,omitempty" json:",omitempty"`
	// DropUnit is what a rule drops: "patch", or "image" for all patches of an image, whose removal effect is the sum of theirs.
	DropUnit string `yaml:"drop_unit,omitempty"`
	// Channels is that of the images, once they are loaded.
	Channels int `yaml:"channels,omitempty" json:",omitempty"`
}

// DropUnits lists what DenoiseConfig.DropUnit may be.
var DropUnits = []string{DropPatches, DropImages}

// UnsetBadPairs asks for the data set's default.
const UnsetBadPairs = -1

const (
	// leavesBadPairs is the share of bad pairs of the procedural set.
	leavesBadPairs = 0.15
	// leavesSide is the side of its images in pixels.
	leavesSide = 80
)

// DenoiseRecipe returns the name of the recipe that denoising with a network, or a variant of it, has by default.
func DenoiseRecipe(network string) string {
	for _, r := range train.Catalogue {
		if r.Name == "dncnn" && slices.ContainsFunc(r.Networks, func(n string) bool { return n == network || strings.HasPrefix(network, n+"-") }) {
			return r.Name
		}
	}
	return "denoise"
}

// leavesSizes are the splits of the procedural set where the settings leave them open, in images.
var leavesSizes = dataset.Sizes{Train: 160, Score: 40, Tune: 40, Test: 40}

// DenoisingConfig returns c with what is a default of classification replaced by those of denoising: the data set, the network and the
// task. The recipe stays.
func DenoisingConfig(c Config) Config {
	defaults := DefaultConfig()
	c.Task = Denoising
	if c.Data == defaults.Data {
		c.Data = dataset.LeavesName
	}
	if c.Net == defaults.Net {
		c.Net = "dncnn-7"
	}
	return c
}

// resolve replaces zeros by defaults.
func (d *DenoiseConfig) resolve(procedural bool) {
	if d.Degrade.IsZero() && d.NoisyDir == "" {
		d.Degrade = dataset.Gaussian(25)
	}
	if sigma := d.Degrade.Sigma; sigma[0] != sigma[1] && d.TestSigma == 0 {
		d.TestSigma = (sigma[0] + sigma[1]) / 2
	}
	if d.PatchSize == 0 {
		d.PatchSize = 40
	}
	if d.Stride == 0 {
		d.Stride = max(1, d.PatchSize/2)
	}
	if d.Color == "" {
		d.Color = dataset.ColorModes[0]
	}
	if d.DropUnit == "" {
		d.DropUnit = DropPatches
	}
	if d.BadPairs == UnsetBadPairs {
		d.BadPairs = 0
		if procedural {
			d.BadPairs = leavesBadPairs
		}
	}
}

// evaluated is the degradation of the score, tune and test images.
func (d *DenoiseConfig) evaluated() dataset.Degradation {
	by := d.Degrade
	if by.Sigma[0] != by.Sigma[1] {
		by.Sigma = [2]float64{d.TestSigma, d.TestSigma}
	}
	return by
}

// validateDenoising is Validate for what denoising has of its own.
func (c *Config) validateDenoising() error {
	d := &c.Denoise
	procedural := c.Data == dataset.LeavesName
	switch {
	case !procedural && c.Data != dataset.FolderName:
		return usagef("denoising is trained on %s or on a folder of images, not on %q", dataset.LeavesName, c.Data)
	case !procedural && c.DataDir == "":
		return usagef("say where the folder of images is: --data PATH")
	case procedural && (d.NoisyDir != "" || c.SkipUnreadable):
		return usagef("real pairs and skipping what is unreadable are for folders of images, not for %s", c.Data)
	case c.DataColumns != "":
		return usagef("columns are for data sets of classification; images to denoise are those of a folder")
	case c.DataMemory != 0:
		return usagef("a bound on the memory of pixels is for data sets of classification; images to denoise are all kept in memory")
	case c.ImageSize != "":
		return usagef("images to denoise keep their size: there is no image size to set")
	case c.LabelNoise > 0 || c.LabelNoiseKind != "" || c.labelsFromFile():
		return usagef("label noise is for classification; denoising has bad pairs")
	case !net.IsDenoiser(c.Net):
		return usagef("the network %s maps no images to images; denoisers are: %s", c.Net, strings.Join(net.Denoisers(), ", "))
	case c.InfluenceNet != "" && !net.IsDenoiser(c.InfluenceNet):
		return usagef("the influence network %s maps no images to images; denoisers are: %s", c.InfluenceNet, strings.Join(net.Denoisers(), ", "))
	case c.InfluenceNet != "" && net.TakesNoiseMap(c.InfluenceNet) != net.TakesNoiseMap(c.Net):
		return usagef("%s and %s can't be trained on the same data: one of them takes a map of the noise", c.Net, c.InfluenceNet)
	case influence.Recording(c.Estimator, c.Influence).Dynamics:
		return usagef("the estimator %s ranks samples by their classes, and images to denoise have none", c.Estimator)
	case !c.Recipe.Augmentation.IsZero():
		return usagef("the augmentation %s is for classification; denoising has the symmetries of a patch", c.Recipe.Augmentation)
	case d.Color != "" && !slices.Contains(dataset.ColorModes, d.Color):
		return usagef("unknown color mode %q; known: %s", d.Color, strings.Join(dataset.ColorModes, ", "))
	case d.DropUnit != "" && !slices.Contains(DropUnits, d.DropUnit):
		return usagef("unknown drop unit %q%s", d.DropUnit, nearest.Among(d.DropUnit, DropUnits))
	case d.PatchSize < 0 || d.PatchSize > 1024:
		return usagef("the patch size must lie in 1..1024 pixels, got %d", d.PatchSize)
	case d.Stride < 0:
		return usagef("the stride must be at least 1 pixel, got %d", d.Stride)
	case d.Patches < 0:
		return usagef("the number of patches must not be negative, got %d", d.Patches)
	case d.BadPairs != UnsetBadPairs && (math.IsNaN(d.BadPairs) || d.BadPairs < 0 || d.BadPairs >= 1):
		return usagef("the share of bad pairs must lie in [0, 1), got %v", d.BadPairs)
	case (len(d.BadKinds) > 0 || d.BadInputs) && (d.BadPairs == 0 || d.BadPairs == UnsetBadPairs && !procedural):
		return usagef("kinds and inputs of bad pairs say how images are spoiled, and their share is 0: none are")
	case d.NoisyTestDir != "" && (d.NoisyDir == "" || d.TestDir == ""):
		return usagef("a folder of noisy test images needs those of the training images and of the clean test images beside it")
	case d.NoisyDir != "" && d.TestDir != "" && d.NoisyTestDir == "":
		return usagef("real pairs need noisy test images too: --noisy-test-data DIR")
	case d.NoisyDir != "" && !d.Degrade.IsZero():
		return usagef("real pairs have their own noise: leave out the degradation %s", d.Degrade)
	case d.TestSigma < 0 || d.TestSigma > dataset.MostSigma || math.IsNaN(d.TestSigma):
		return usagef("the sigma of the test images must lie in 0..%d gray levels, got %v", dataset.MostSigma, d.TestSigma)
	case d.TestSigma != 0 && d.Degrade.Sigma[0] == d.Degrade.Sigma[1] && d.TestSigma != d.Degrade.Sigma[0]:
		return usagef("the sigma of the test images is that of training unless that is a range, such as 0-%g", 2*d.TestSigma)
	}
	for _, kind := range d.BadKinds {
		if !slices.Contains(dataset.BadPairKinds, kind) {
			return usagef("unknown kind of bad pair %q; known: %s", kind, strings.Join(dataset.BadPairKinds, ", "))
		}
	}
	for _, s := range d.Scales {
		if !(s > 0 && s <= 1) {
			return usagef("the scales of training images lie in (0, 1], got %v", s)
		}
	}
	if err := d.Degrade.Validate(); err != nil {
		return &UsageError{Err: err}
	}
	noise := d.Degrade
	noise.Sigma = [2]float64{}
	if net.TakesNoiseMap(c.Net) && (d.NoisyDir != "" || !noise.IsZero()) {
		return &UsageError{Err: fmt.Errorf("the network %s is told the sigma of normal noise, and takes no other degradation", c.Net)}
	}
	return nil
}
