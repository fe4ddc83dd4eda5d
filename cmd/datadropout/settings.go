package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute"
	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/backend"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/internal/nearest"
	"github.com/datadropout/datadropout/internal/precision"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/report"
	"github.com/datadropout/datadropout/train"
)

// settings are those that commands share: what is trained on what, and how it is scored, from flags over a config file.
type settings struct {
	config datadropout.Config
	recipe string // by name, or empty
	// activation and pooling make a variant of the network, or are empty.
	activation, pooling string
	file                string
	fetch               bool // download data that is missing
	resumed             bool // file is that of the run that is continued
	rescored            bool // by another estimator, maybe, with its own defaults
	// hash is the data hash of the config file, and labels that of labels from a file, or empty.
	hash, labels string
}

func defaultSettings() settings { return settings{config: machineDefaults()} }

// machineDefaults are the settings of a run without flags, on the machine that runs it: a recipe or a config file that does not say what
// computes leaves that to be found out.
func machineDefaults() datadropout.Config {
	c := datadropout.DefaultConfig()
	c.Backend, c.Precision = backend.Auto, precision.Auto
	return c
}

// addSourceFlags adds those that say which images are read.
func (s *settings) addSourceFlags(f *pflag.FlagSet) {
	c := &s.config
	f.StringVar(&c.Data, "data", c.Data, "data set by name ("+strings.Join(dataset.Known(), ", ")+"), or a path: of the files of one of these, of a folder that holds a folder of images for each class, of a CSV file of paths and labels, or of Parquet files")
	f.StringVar(&c.DataDir, "data-dir", c.DataDir, "folder that holds the data set's files (default: where data fetch puts them)")
	f.StringVar(&c.ImageSize, "image-size", c.ImageSize, "size that images of your own are scaled and cropped to, such as 64 or 48x64 (default: theirs, or 64 where they differ)")
	f.StringVar(&c.DataColumns, "data-columns", c.DataColumns, "columns of a CSV or Parquet file that have other than the usual names, such as path=COLUMN,label=COLUMN; also split, image")
	f.BoolVar(&c.SkipUnreadable, "skip-unreadable", c.SkipUnreadable, "leave out images of your own that can't be read")
	f.Var(&mebibytes{&c.DataMemory, 1}, "data-memory", "MiB of their pixels that may be in memory; more are kept in a file in the cache folder (default 2048)")
	f.BoolVar(&s.fetch, "fetch", false, "download the data set where it is missing")
}

func (s *settings) addDataFlags(f *pflag.FlagSet) {
	c := &s.config
	s.addSourceFlags(f)
	f.IntVar(&c.Train, "train", c.Train, "training samples; 0: what the other splits leave")
	f.IntVar(&c.Score, "score", c.Score, "samples that influence is computed on; 0: a default share")
	f.IntVar(&c.Tune, "tune", c.Tune, "samples that choose the amount to drop; 0: a default share")
	f.IntVar(&c.Test, "test", c.Test, "samples of the final comparison; 0: all of the official test set")
	f.Float64Var(&c.LabelNoise, "label-noise", c.LabelNoise, "share of training labels to replace by wrong ones, for experiments; -1: 0.2 for shapes, else none")
	f.StringVar(&c.LabelNoiseKind, "label-noise-kind", c.LabelNoiseKind, "which: "+strings.Join(datadropout.LabelNoiseKinds, " (any other class), ")+" (the next class) (default symmetric)")
	f.StringVar(&c.LabelNoiseMatrix, "label-noise-matrix", c.LabelNoiseMatrix, "CSV file, a row a class, of probabilities or counts that training labels are drawn anew by")
	f.StringVar(&c.NoisyLabels, "noisy-labels", c.NoisyLabels, "FILE or FILE:COLUMN of other labels for the training data, one a record, which training takes")
}

func (s *settings) addTrainingFlags(f *pflag.FlagSet) {
	c := &s.config
	f.StringVar(&c.Net, "net", c.Net, "network, such as softmax, cnn, lenet5, resnet20; datadropout nets lists them; with -smooth: gelu and average pooling")
	f.StringVar(&s.activation, "activation", "", "its activation functions: "+strings.Join(net.Activations(), ", ")+" (default relu)")
	f.StringVar(&s.pooling, "pool", "", "its pooling: "+strings.Join(net.Poolings(), ", ")+" (default max)")
	f.StringVar(&s.recipe, "recipe", "", "settings of training by name, which the flags below change: "+recipeNames+"; see datadropout recipes")
	f.IntVar(&c.Recipe.Epochs, "epochs", c.Recipe.Epochs, "passes over the training samples")
	f.IntVar(&c.Recipe.BatchSize, "batch", c.Recipe.BatchSize, "samples a step")
	f.Float64Var(&c.Recipe.LearningRate, "lr", c.Recipe.LearningRate, "largest learning rate")
	f.Float64Var(&c.Recipe.Momentum, "momentum", c.Recipe.Momentum, "momentum of SGD")
	f.Float64Var(&c.Recipe.WeightDecay, "weight-decay", c.Recipe.WeightDecay, "weight decay: an L2 term of half this factor")
	f.BoolVar(&c.Recipe.Nesterov, "nesterov", c.Recipe.Nesterov, "Nesterov's momentum in place of the classical one")
	f.StringVar(&c.Recipe.Schedule, "schedule", c.Recipe.Schedule, "learning-rate schedule: "+strings.Join(train.Schedules, ", "))
	f.Var(&milestones{&c.Recipe.Milestones}, "milestones", "where the learning rate drops, such as 0.5,0.75: below 1 as shares of the training, from 1 on in epochs; means --schedule milestones")
	f.IntVar(&c.Recipe.StepEvery, "step-every", c.Recipe.StepEvery, "epochs between two drops, means --schedule step; 0: a third of them")
	f.Float64Var(&c.Recipe.StepFactor, "step-factor", c.Recipe.StepFactor, "factor of the learning rate at a drop or milestone; 0: 0.1")
	f.Float64Var(&c.Recipe.WarmupFraction, "warmup", c.Recipe.WarmupFraction, "share of the steps over which the learning rate rises")
	f.Float64Var(&c.Recipe.LabelSmoothing, "label-smoothing", c.Recipe.LabelSmoothing, "share of a training target that is spread over all classes; scores follow the loss trained for, results are measured without")
	f.Var(&augmentation{&c.Recipe.Augmentation}, "augment", "how training images are varied, such as crop:4,flip,cutout:8; terms: "+dataset.AugmentationSyntax)
}

func (s *settings) addInfluenceFlags(f *pflag.FlagSet) {
	c := &s.config
	f.StringVar(&c.Influence.Curvature, "curvature", c.Influence.Curvature, "curvature of cg: gauss-newton, hessian (default gauss-newton)")
	f.Float64Var(&c.Influence.Damping, "damping", c.Influence.Damping, "lambda added to the curvature, beside the weight decay; 0: the default, below 0: none")
	f.IntVar(&c.Influence.HessianSamples, "hessian-samples", c.Influence.HessianSamples, "training samples that curvature products use; 0: the default, below 0: all")
	f.IntVar(&c.Influence.MaxIterations, "max-iterations", c.Influence.MaxIterations, "most iterations of a solver; 0: the default")
	f.StringVar(&c.Influence.Preconditioner, "preconditioner", c.Influence.Preconditioner, "of cg: none, diagonal, kronecker (default none)")
	f.Float64Var(&c.Influence.Scale, "lissa-scale", c.Influence.Scale, "scale of lissa; 0: from the measured largest eigenvalue")
	f.IntVar(&c.Influence.Depth, "lissa-depth", c.Influence.Depth, "steps of lissa; 0: from scale and damping")
	f.IntVar(&c.Influence.Repeats, "lissa-repeats", c.Influence.Repeats, "repeats of lissa; 0: the default")
	f.IntVar(&c.Influence.Rank, "rank", c.Influence.Rank, "eigenpairs of arnoldi; 0: the default")
	f.IntVar(&c.Influence.Checkpoints, "checkpoints", c.Influence.Checkpoints, "checkpoints of training that tracin adds up over; 0: the default")
	f.Var(&mebibytes{&c.Influence.Memory, 1}, "replay-memory", "MiB that metagradient may keep in memory of the training that it repeats (default 1024)")
	f.Var(&mebibytes{&c.Influence.Disk, 0}, "replay-disk", "MiB beyond that which it may keep on disk, before it trains again for them; 0: none (default 0)")
	f.BoolVar(&c.Influence.NoSmoothnessCheck, "no-smoothness-check", c.Influence.NoSmoothnessCheck, "leave out metagradient's check that training is smooth: three trainings")
}

func (s *settings) addMachineFlags(f *pflag.FlagSet) {
	c := &s.config
	f.Uint64Var(&c.Seed, "seed", c.Seed, "first seed; also draws the split and the label noise")
	f.StringVar(&c.Backend, "backend", c.Backend, backendUsage)
	f.StringVar(&c.Precision, "precision", c.Precision, precisionUsage)
	f.BoolVar(&c.Deterministic, "deterministic", c.Deterministic, "the same seed gives the same bits; false lets NVIDIA GPUs use faster operations that vary, and excludes metagradient")
	f.IntVar(&c.Threads, "threads", c.Threads, "processors to use; 0: all")
	f.Var(&mebibytes{&c.DeviceMemory, 1}, "device-memory", "MiB that XLA may keep on a GPU between steps: training images, and the steps that metagradient goes back through (default 8192)")
	f.StringVar(&s.file, "config", "", "read the settings from a run's config.yaml; flags override it")
}

// recipeNames lists the recipes.
var recipeNames = strings.Join(train.RecipeNames(), ", ")

// read reads the recipe and the config file, where they are named: a recipe gives way to the config file, and both to the flags that
// were given.
func (s *settings) read(f *pflag.FlagSet) error {
	if s.file == "" && s.recipe == "" && s.asksForDenoising(f) {
		s.recipe = datadropout.DenoiseRecipe(s.config.Net)
	}
	if err := s.readFiles(f); err != nil {
		return err
	}
	if err := s.settleTask(f); err != nil {
		return err
	}
	c := &s.config
	c.Net = net.Variant(c.Net, s.activation, s.pooling)
	if c.Task == datadropout.Classification && !slices.Contains(dataset.PicturesNames(), c.Data) && !slices.Contains(dataset.Known(), c.Data) {
		name, ok := recognized(c.Data)
		if !ok {
			if err := missingPath(c.Data); err != nil {
				return err
			}
		} else {
			c.Data, c.DataDir = name, c.Data
		}
	}
	if !f.Changed("schedule") {
		switch {
		case f.Changed("milestones"):
			c.Recipe.Schedule = train.Milestones
		case f.Changed("step-every"):
			c.Recipe.Schedule = train.Step
		}
	}
	return nil
}

// recognized tells which data set is at a path.
func recognized(path string) (string, bool) {
	if name, ok := dataset.Recognize(path); ok {
		return name, true
	}
	return dataset.RecognizePictures(path)
}

// missingPath is the error of what can't be the name of a data set and is no path either, with the nearest name that is in its folder;
// nil where it may be a mistyped data set.
func missingPath(path string) error {
	if exists(path) || nearest.Name(path, dataset.Known()) != "" {
		return nil
	}
	dir, base := filepath.Split(filepath.Clean(path))
	entries, _ := os.ReadDir(cmp.Or(dir, "."))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if near := nearest.Name(base, names); near != "" {
		return &dataset.InputError{Path: path, Err: fmt.Errorf("no such file or folder, did you mean %s?", filepath.Join(dir, near))}
	}
	if dir != "" || strings.ContainsAny(path, `/\.~`) {
		return &dataset.InputError{Path: path, Err: errors.New("no such file or folder")}
	}
	return nil
}

func (s *settings) readFiles(f *pflag.FlagSet) error {
	if s.file == "" && s.recipe == "" {
		return nil
	}
	if s.recipe == "" {
		s.recipe = recipeOfFile(s.file)
	}
	type value struct{ name, text string }
	var given []value
	fromFile := map[string]any{}
	f.Visit(func(flag *pflag.Flag) { given = append(given, value{flag.Name, flag.Value.String()}) })
	base, err := s.recipeOver(machineDefaults())
	if err != nil {
		return err
	}
	if s.file != "" {
		found, err := report.ReadSettingsOver(s.file, base)
		if errors.Is(err, os.ErrNotExist) {
			return &dataset.InputError{Path: s.file, Err: errors.New("no such file")}
		}
		if err != nil {
			return &datadropout.UsageError{Err: err}
		}
		base, s.hash, s.labels, fromFile = found.Config, found.DataHash, found.LabelsHash, found.Flags
		switch {
		case s.recipe == "" || s.hash == "":
		case s.resumed:
			// The command is that of the run that is continued, whose settings began with the recipe.
			if base, err = s.recipeOver(base); err != nil {
				return err
			}
		default:
			return &datadropout.UsageError{Err: fmt.Errorf("%s is the config of a run and sets all that the recipe %s would: leave one of them out, "+
				"or change single settings by flags", s.file, s.recipe)}
		}
	}
	if e := s.config.Estimator; s.rescored && f.Changed("estimator") && e != base.Estimator {
		base.Influence = influence.Options{Memory: base.Influence.Memory, Disk: base.Influence.Disk}
	}
	s.config = base
	isGiven := func(name string) bool {
		return slices.ContainsFunc(given, func(v value) bool { return v.name == name })
	}
	if err := setFromFile(f, s.file, fromFile, isGiven); err != nil {
		return err
	}
	for _, v := range given {
		if f.Lookup(v.name).Value.Type() == "stringSlice" || f.Lookup(v.name).Value.Type() == "float64Slice" {
			continue // no setting of the file, and a list would not be read back as it is printed
		}
		if err := f.Set(v.name, v.text); err != nil {
			return &datadropout.UsageError{Err: err}
		}
	}
	return nil
}

// recipeOver returns the settings with those of the recipe, if one is named.
func (s *settings) recipeOver(c datadropout.Config) (datadropout.Config, error) {
	if s.recipe == "" {
		return c, nil
	}
	named, err := train.FindRecipe(s.recipe)
	if err != nil {
		return c, &datadropout.UsageError{Err: err}
	}
	c.Recipe = named.Recipe
	c.Rule = cmp.Or(named.TwoRound.Rule, c.Rule)
	c.Estimator = cmp.Or(named.TwoRound.Estimator, c.Estimator)
	return c, nil
}

// open opens the backend that the settings name and loads the data. done closes both.
func (s *settings) open(ctx context.Context, c *datadropout.Config, progress io.Writer) (engine compute.Backend, data *datadropout.Data, done func(), err error) {
	if engine, err = openConfigured(c); err != nil {
		return nil, nil, nil, err
	}
	if data, err = s.load(ctx, c, progress); err != nil {
		engine.Finalize()
		return nil, nil, nil, err
	}
	return engine, data, func() { _ = data.Close(); engine.Finalize() }, nil
}

// load reads the data that the settings, which are resolved, name, and refuses other data than the config file's. Where asked to,
// it downloads the data first, and tells progress so.
func (s *settings) load(ctx context.Context, c *datadropout.Config, progress io.Writer) (*datadropout.Data, error) {
	if s.fetch {
		if err := fetchSet(ctx, c.Data, c.DataDir, "", progress); err != nil {
			return nil, err
		}
	}
	data, err := datadropout.LoadData(ctx, c)
	if errors.Is(err, context.Canceled) {
		return nil, &interruptedError{again: "the same command", err: err}
	}
	if err != nil {
		return nil, err
	}
	if s.resumed {
		return data, nil // the run directory says all that differs at once
	}
	if err := s.check(c, data); err != nil {
		_ = data.Close()
		return nil, err
	}
	return data, nil
}

// check refuses other data than those of the config file.
func (s *settings) check(c *datadropout.Config, data *datadropout.Data) error {
	if s.hash != "" && s.hash != data.Hash {
		return &dataset.InputError{Path: cmp.Or(c.DataDir, c.Data), Err: fmt.Errorf("the data set %s is not the one of the config file: its content hash is %s, there it is %s", c.Data, short(data.Hash), short(s.hash))}
	}
	if got := data.LabelsHash(*c); s.labels != "" && got != "" && s.labels != got {
		return &dataset.InputError{Path: cmp.Or(c.NoisyLabels, c.LabelNoiseMatrix),
			Err: errors.New("the labels trained with are not those of the config file: this file or the split has changed")}
	}
	return nil
}

func short(hash string) string { return hash[:min(12, len(hash))] }

// mebibytes is a flag of a number of bytes, written in MiB, least of them or more.
type mebibytes struct {
	bytes *int64
	least int64
}

func (m *mebibytes) String() string {
	if m.bytes == nil || *m.bytes < m.least<<20 {
		return ""
	}
	return strconv.FormatInt(*m.bytes>>20, 10)
}

func (m *mebibytes) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < m.least || n > 1<<30 {
		return fmt.Errorf("want a whole number of MiB of at least %d, got %q", m.least, s)
	}
	*m.bytes = n << 20
	return nil
}

func (*mebibytes) Type() string { return "MiB" }

// milestones is a flag of numbers in ascending order, written 0.5,0.75.
type milestones struct{ at *[]float64 }

func (m *milestones) String() string {
	if m.at == nil {
		return ""
	}
	text := make([]string, len(*m.at))
	for k, v := range *m.at {
		text[k] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strings.Join(text, ",")
}

func (m *milestones) Set(s string) error {
	var at []float64
	for _, text := range strings.Split(s, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return fmt.Errorf("want numbers such as 0.5,0.75, got %q", s)
		}
		at = append(at, v)
	}
	*m.at = at
	return nil
}

func (*milestones) Type() string { return "list" }

// augmentation is a flag in the syntax of [dataset.ParseAugmentation].
type augmentation struct{ by *dataset.Augmentation }

func (a *augmentation) String() string {
	if a.by == nil {
		return ""
	}
	return a.by.String()
}

func (a *augmentation) Set(s string) error { return a.by.UnmarshalText([]byte(s)) }

func (*augmentation) Type() string { return "terms" }
