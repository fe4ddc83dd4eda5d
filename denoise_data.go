package datadropout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/restore"
	"github.com/datadropout/datadropout/train"
)

// Source returns all samples of the training, score and tune splits, and in classification of the test split.
func (d *Data) Source() dataset.Source {
	if d.Patches != nil {
		return d.Patches
	}
	return d.Images
}

// Loss returns the loss that networks are trained for.
func (d *Data) Loss() train.Loss {
	if d.Patches != nil {
		return train.SquaredError{}
	}
	return train.CrossEntropy{}
}

// NetworkDims returns what [net.New] takes: height, width and channels of an input, and the number of outputs.
func (d *Data) NetworkDims() (input [3]int, outputs int) {
	if d.Patches != nil {
		return [3]int(d.Patches.InputDims()), d.Patches.Channels()
	}
	return [3]int{d.Images.Height, d.Images.Width, d.Images.Channels}, len(d.Images.Classes)
}

// Classes returns the names of the classes; nil in denoising.
func (d *Data) Classes() []string {
	if d.Patches != nil {
		return nil
	}
	return d.Images.Classes
}

// Notes returns what a reader of results must know of how the data were read, a line each.
func (d *Data) Notes() []string {
	if d.Patches != nil {
		return d.notes
	}
	return d.Images.Notes
}

// loadDenoising is LoadData for denoising. Images, not patches, are split, so that no two splits share a pixel.
func loadDenoising(ctx context.Context, c *Config) (*Data, error) {
	o := &c.Denoise
	o.resolve(c.Data == dataset.LeavesName)
	pool, test, notes, err := openImages(ctx, c)
	if err != nil {
		return nil, err
	}
	all := append(pool[:len(pool):len(pool)], test...)
	var official []int
	if test != nil {
		official = positions(len(pool), len(all))
	}
	sizes := dataset.Sizes{Train: c.Train, Score: c.Score, Tune: c.Tune, Test: c.Test}
	if c.Data == dataset.LeavesName {
		sizes = withDefaults(sizes, leavesSizes)
	}
	images, err := dataset.NewSplit(make([]int, len(all)), positions(0, len(pool)), official, sizes, c.Seed)
	var few *dataset.TooFewError
	if errors.As(err, &few) {
		return nil, usagef("the images of %s: %w", c.Data, err)
	}
	if err != nil {
		return nil, fmt.Errorf("the images of %s: %w", c.Data, err)
	}
	pick := func(idx []int) (pairs []dataset.Pair) {
		for _, i := range idx {
			pairs = append(pairs, all[i])
		}
		return pairs
	}
	notes = append(notes, leakageNotes(pick(append(append(images.Train[:len(images.Train):len(images.Train)], images.Score...), images.Tune...)), pick(images.Test))...)
	kinds := o.BadKinds
	if kinds == nil {
		kinds = dataset.BadPairKinds
	}
	training := dataset.PlantBadPairs(pick(images.Train), o.BadPairs, kinds, o.BadInputs, c.Seed)
	d := &Data{Hash: dataset.HashPairs(all), notes: notes,
		TestSet: &restore.Set{Pairs: pick(images.Test), Degradation: o.evaluated(), Seed: c.Seed}}
	if d.Patches, err = dataset.NewPatches(dataset.PatchOptions{
		Size: o.PatchSize, Degradation: o.Degrade, Evaluated: o.evaluated(), NoiseMap: net.TakesNoiseMap(c.Net), Symmetries: !o.NoSymmetries, Seed: c.Seed,
	}); err != nil {
		return nil, &UsageError{Err: err}
	}
	for _, part := range []struct {
		idx   *[]int
		pairs []dataset.Pair
		cut   dataset.Cut
	}{
		{&d.Split.Train, training, dataset.Cut{Stride: o.Stride, Scales: o.Scales, Most: o.Patches}},
		{&d.Split.Score, pick(images.Score), dataset.Cut{Stride: o.PatchSize}},
		{&d.Split.Tune, pick(images.Tune), dataset.Cut{Stride: o.PatchSize}},
	} {
		if *part.idx, err = d.Patches.Add(ctx, part.pairs, part.cut); err != nil {
			return nil, &UsageError{Err: err}
		}
	}
	d.Split.Test = positions(0, len(images.Test))
	c.Train, c.Score, c.Tune, c.Test = len(images.Train), len(images.Score), len(images.Tune), len(images.Test)
	o.Channels = d.Patches.Channels()
	if err := d.cutWhole(c); err != nil {
		return nil, err
	}
	if err := checkEstimatorMemory(c, d); err != nil {
		return nil, err
	}
	return d, nil
}

// cutWhole lowers the number of folds to that of the score images, since an image stays in one fold, and notes it. It also notes
// where there is one tune image, which can't tell a gain from chance. A rule that is left without standard errors is an error.
func (d *Data) cutWhole(c *Config) error {
	if c.ScoreFolds > c.Score {
		cut := fmt.Sprintf("there are %d", c.Score)
		if c.Score == 1 {
			cut = "there are none, and scores have no standard errors by folds"
		}
		d.notes = append(d.notes, fmt.Sprintf("score split: its images stay whole, and %d can't be cut into %d folds: %s", c.Score, c.ScoreFolds, cut))
		c.ScoreFolds = c.Score
	}
	rule, err := ParseRule(c.Rule)
	if err != nil {
		return err
	}
	if rule.Adaptive() && c.Tune == 1 {
		d.notes = append(d.notes, fmt.Sprintf("tune split: one image can't tell a gain from chance, and the rule %s will drop nothing", rule))
	}
	return c.validateStandardErrors(rule)
}

// openImages reads or draws the images to be split and, where there are any of their own, those to test on.
func openImages(ctx context.Context, c *Config) (pool, test []dataset.Pair, notes []string, err error) {
	o := &c.Denoise
	channels := 1
	if usual, _ := net.Usual(c.Net); o.Color == "color" || o.Color == "auto" && usual[2] == 3 {
		channels = 3
	}
	p := dataset.PictureFolderOptions{Color: o.Color, Least: o.PatchSize, SkipUnreadable: c.SkipUnreadable}
	open := func(clean, noisy string) (pairs []dataset.Pair, err error) {
		if noisy != "" {
			var more []string
			pairs, more, err = dataset.OpenPairs(ctx, clean, noisy, p)
			notes = append(notes, more...)
			return pairs, err
		}
		found, err := dataset.OpenPictureFolder(ctx, clean, p)
		if err != nil {
			return nil, err
		}
		notes = append(notes, found.Notes...)
		return dataset.CleanPairs(found.All), nil
	}
	if c.Data == dataset.LeavesName {
		sizes := withDefaults(dataset.Sizes{Train: c.Train, Score: c.Score, Tune: c.Tune, Test: c.Test}, leavesSizes)
		n := sizes.Train + sizes.Score + sizes.Tune
		if o.TestDir == "" {
			n += sizes.Test
		}
		pool = dataset.CleanPairs(dataset.DeadLeaves(ctx, n, max(leavesSide, 2*o.PatchSize), channels, c.Seed))
	} else if pool, err = open(c.DataDir, o.NoisyDir); err != nil {
		return nil, nil, nil, err
	}
	if o.TestDir == "" {
		return pool, nil, notes, ctx.Err()
	}
	p.Color = "gray"
	if pool[0].Clean.Channels == 3 {
		p.Color = "color"
	}
	p.Least = 1
	test, err = open(o.TestDir, o.NoisyTestDir)
	return pool, test, notes, err
}

// leakageNotes says which test images are among the others.
func leakageNotes(others, test []dataset.Pair) []string {
	clean := func(pairs []dataset.Pair) (all []*dataset.Picture) {
		for _, p := range pairs {
			all = append(all, p.Clean)
		}
		return all
	}
	both := dataset.Leakage(clean(others), clean(test))
	if len(both) == 0 {
		return nil
	}
	var names []string
	for _, p := range both[:min(len(both), 3)] {
		names = append(names, p.ID)
	}
	return []string{fmt.Sprintf("leakage: %d of %d test images are among the training, score and tune images too, such as %s: the test flatters", len(both), len(test), strings.Join(names, ", "))}
}
