package datadropout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/fetch"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/restore"
	"github.com/datadropout/datadropout/train"
)

// proceduralSet is the built-in data set, drawn by code.
const proceduralSet = "shapes"

// proceduralSizes are the splits of the procedural set where the settings leave them open.
var proceduralSizes = dataset.Sizes{Train: 4000, Score: 1000, Tune: 1000, Test: 4000}

// Data is a data set made ready for a run: split, labels corrupted if the experiment asks for it, normalized.
type Data struct {
	// Images holds all samples of all splits. Where the data set has its own training and test files, the training
	// samples come first, so a position in the training split is the record's number in the training files.
	Images *dataset.Images
	// Split holds the positions of the four splits in Images.
	Split dataset.Split
	// Hash is the content hash of the data set as it was read, before label noise.
	Hash string
	// In denoising Images is nil: Patches holds the samples of the training, score and tune splits, whose positions in it Split
	// holds, and TestSet the whole images of the test split, whose positions in TestSet.Pairs Split.Test holds.
	Patches *dataset.Patches
	TestSet *restore.Set
	notes   []string
}

// LoadData reads or draws the data set that the settings name, splits it, plants label noise in the training split and
// sets the normalization to the training split's channel means and deviations. Settings that depend on the data are
// filled in: c is resolved afterwards. Cancelling ctx stops the reading of images. The data may keep pixels on disk until
// they are closed.
func LoadData(ctx context.Context, c *Config) (_ *Data, err error) {
	c.resolve()
	if c.Task == Denoising {
		return loadDenoising(ctx, c)
	}
	sizes := dataset.Sizes{Train: c.Train, Score: c.Score, Tune: c.Tune, Test: c.Test}
	var images *dataset.Images
	var pool, test []int
	if c.Data == proceduralSet {
		sizes = withDefaults(sizes, proceduralSizes)
		images = dataset.Shapes(sizes.Train+sizes.Score+sizes.Tune+sizes.Test, c.Seed)
		pool = positions(0, images.Len())
	} else {
		training, official, err := open(ctx, c)
		if err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				_ = training.Close()
			}
		}()
		images, pool = training, positions(0, training.Len())
		if official != nil {
			if images, err = dataset.Concat(training, official); err != nil {
				return nil, err
			}
			test = positions(training.Len(), images.Len())
		}
	}
	if err := images.Validate(); err != nil {
		return nil, err
	}
	split, err := dataset.NewSplit(images.Labels, pool, test, sizes, c.Seed)
	var few *dataset.TooFewError
	if errors.As(err, &few) {
		return nil, usagef("data set %s: %w", c.Data, err)
	}
	if err != nil {
		return nil, fmt.Errorf("data set %s: %w", c.Data, err)
	}
	d := &Data{Images: images, Split: split, Hash: images.Hash()}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if d.Images, err = c.plantLabelNoise(images, split.Train, len(pool)); err != nil {
		return nil, err
	}
	d.Images.Mean, d.Images.Std = d.Images.ChannelStats(split.Train)
	// An augmentation that does not fit the images is found before anything is trained.
	for _, recipe := range []train.Recipe{c.Recipe, train.Recipes[c.InfluenceRecipe]} {
		if _, err := dataset.Augmented(d.Images, recipe.Augmentation); err != nil {
			return nil, &UsageError{Err: err}
		}
	}
	if err := d.checkClasses(c.Data); err != nil {
		return nil, err
	}
	if err := d.Images.Err(); err != nil {
		return nil, err
	}
	if err := checkEstimatorMemory(c, d); err != nil {
		return nil, err
	}
	c.Train, c.Score, c.Tune, c.Test = len(split.Train), len(split.Score), len(split.Tune), len(split.Test)
	return d, nil
}

// checkEstimatorMemory refuses bounds on the memory of the estimator that are too small for the training split, before anything is
// trained. A network that the data do not fit is left to those who train it.
func checkEstimatorMemory(c *Config, d *Data) error {
	input, outputs := d.NetworkDims()
	network, err := net.New(cmp.Or(c.InfluenceNet, c.Net), input, outputs)
	if err != nil {
		return nil
	}
	recipe := c.Recipe
	if c.InfluenceRecipe != "" {
		recipe = train.Recipes[c.InfluenceRecipe]
	}
	onDevice := train.LeftOnDevice(c.DeviceMemory, d.Source(), recipe)
	if err := influence.CheckMemory(c.Estimator, c.Influence, onDevice, network, recipe, len(d.Split.Train)); err != nil {
		return usagef("%w; raise --replay-memory or --replay-disk", err)
	}
	return nil
}

// checkClasses refuses a training split of one class, and notes classes that it has no sample of.
func (d *Data) checkClasses(name string) error {
	counts := make([]int, len(d.Images.Classes))
	for _, i := range d.Split.Train {
		counts[d.Images.Labels[i]]++
	}
	var empty []string
	for k, n := range counts {
		if n == 0 {
			empty = append(empty, d.Images.Classes[k])
		}
	}
	switch present := len(counts) - len(empty); {
	case present == 1 && len(d.Split.Train) > 1:
		return &dataset.InputError{Path: name, Err: fmt.Errorf("all %d training samples are of one class, %q", len(d.Split.Train), d.Images.Classes[d.Images.Labels[d.Split.Train[0]]])}
	case len(empty) > 0:
		note := fmt.Sprintf("%s: %d of %d classes have no training sample, such as %s", name, len(empty), len(counts), empty[0])
		d.Images.Notes = append(slices.Clip(d.Images.Notes), note)
	}
	return nil
}

// Close removes what the data keep on disk. They can't be read any more.
func (d *Data) Close() error {
	if d.Images == nil {
		return nil
	}
	return d.Images.Close()
}

// open reads the data set that the settings name; test is nil where it has no test set of its own.
func open(ctx context.Context, c *Config) (train, test *dataset.Images, err error) {
	if !c.ofPictures() {
		return openNamed(c)
	}
	p, err := openPictures(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	return p.Train, p.Test, nil
}

// openPictures reads the images of a person's own that the settings name.
func openPictures(ctx context.Context, c *Config) (*dataset.Pictures, error) {
	o := dataset.PictureOptions{SkipUnreadable: c.SkipUnreadable, Memory: c.DataMemory}
	var err error
	if c.ImageSize != "" {
		if o.Height, o.Width, err = dataset.ParseSize(c.ImageSize); err != nil {
			return nil, &UsageError{Err: err}
		}
	}
	if o.Columns, err = dataset.ParseColumns(c.DataColumns); err != nil {
		return nil, &UsageError{Err: err}
	}
	return dataset.OpenPictures(ctx, c.Data, c.DataDir, o)
}

// openNamed reads the data set from its folder, which is the user's cache where the settings name none. What is missing
// there is an error that names the way to it.
func openNamed(c *Config) (train, test *dataset.Images, err error) {
	if c.DataDir != "" {
		return dataset.OpenDir(c.Data, c.DataDir)
	}
	dir, err := dataset.CacheDir(c.Data)
	if err != nil {
		return nil, nil, err
	}
	s, fetched := fetch.Find(c.Data)
	_, gone := os.Stat(dir)
	switch {
	case fetched && len(s.Missing(dir)) > 0:
		return nil, nil, &dataset.InputError{Path: dir, Err: fmt.Errorf("the data set %s is not on this machine, or not whole; type: datadropout data fetch %s (or say where its files are with --data-dir)", c.Data, c.Data)}
	case errors.Is(gone, fs.ErrNotExist):
		return nil, nil, &dataset.InputError{Path: dir, Err: fmt.Errorf("the data set %s is not on this machine; say where its files are with --data-dir", c.Data)}
	}
	return dataset.OpenDir(c.Data, dir)
}

// Planted returns how many of the given positions carry a planted wrong label or, in denoising, are patches of a target that was
// spoiled on purpose.
func (d *Data) Planted(idx []int) int {
	n := 0
	for _, i := range idx {
		if d.Patches != nil && d.Patches.Planted(i) != "" || d.Images != nil && d.Images.Planted(i) {
			n++
		}
	}
	return n
}

// labels returns those at the given positions.
func (d *Data) labels(idx []int) []int {
	labels := make([]int, len(idx))
	for k, i := range idx {
		labels[k] = d.Images.Labels[i]
	}
	return labels
}

// without returns the training split less the dropped positions, in order.
func (d *Data) without(dropped []int) []int {
	gone := make(map[int]bool, len(dropped))
	for _, i := range dropped {
		gone[i] = true
	}
	kept := make([]int, 0, len(d.Split.Train)-len(dropped))
	for _, i := range d.Split.Train {
		if !gone[i] {
			kept = append(kept, i)
		}
	}
	return kept
}

func withDefaults(s, d dataset.Sizes) dataset.Sizes {
	pick := func(v, def int) int {
		if v == 0 {
			return def
		}
		return v
	}
	return dataset.Sizes{
		Train: pick(s.Train, d.Train), Score: pick(s.Score, d.Score),
		Tune: pick(s.Tune, d.Tune), Test: pick(s.Test, d.Test),
	}
}

func positions(from, to int) []int {
	p := make([]int, to-from)
	for i := range p {
		p[i] = from + i
	}
	return p
}
