package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/report"
	"github.com/datadropout/datadropout/train"
)

// runOptions are the flags of run that are no settings of the run itself.
type runOptions struct {
	config datadropout.Config
	recipe string
	file   string
	out    string
	resume bool
	force  bool
	json   bool
	quiet  bool
	// hash is the data hash of the config file, or empty.
	hash string
}

func newRunCommand() *cobra.Command {
	o := &runOptions{config: datadropout.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Two-round training: train, score, drop, train again, compare",
		Long: "run trains a network on all training samples (round 1), estimates every sample's removal effect on the score\n" +
			"split, chooses what to drop, trains again from scratch on the rest (round 2) beside two control arms, and\n" +
			"compares the arms on the test split over paired seeds.\n\n" +
			"Without a flag it uses the built-in procedural set with planted wrong labels.\n\n" +
			"It writes a run directory: config.yaml, result.json, scores.csv, drop.csv, keep.txt, report.html, and what\n" +
			"resuming needs. The table goes to stdout, progress to stderr.\n\n" + exitCodesHelp,
		Example: "  datadropout run\n" +
			"  datadropout run --data fashion-mnist --data-dir DIR --train 4000 --score 1000 --tune 1000 --net cnn --out DIR\n" +
			"  datadropout run --config DIR/config.yaml --out NEW-DIR",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.readConfig(cmd.Flags()); err != nil {
				return err
			}
			return runRun(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *runOptions) addFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	c := &o.config
	f.StringVar(&c.Data, "data", c.Data, "data set: "+strings.Join(dataset.Known(), ", "))
	f.StringVar(&c.DataDir, "data-dir", c.DataDir, "folder that holds the data set's files")
	f.IntVar(&c.Train, "train", c.Train, "training samples; 0: what the other splits leave")
	f.IntVar(&c.Score, "score", c.Score, "samples that influence is computed on; 0: a default share")
	f.IntVar(&c.Tune, "tune", c.Tune, "samples that choose the amount to drop; 0: a default share")
	f.IntVar(&c.Test, "test", c.Test, "samples of the final comparison; 0: all of the official test set")
	f.Float64Var(&c.LabelNoise, "label-noise", c.LabelNoise, "share of training labels to replace by wrong ones, for experiments; -1: 0.2 for shapes, else none")
	f.StringVar(&c.Net, "net", c.Net, "network: "+strings.Join(net.Classifiers(), ", "))
	f.StringVar(&o.recipe, "recipe", "", "settings of training by name, which the flags below change: "+recipeNames)
	f.IntVar(&c.Recipe.Epochs, "epochs", c.Recipe.Epochs, "passes over the training samples")
	f.IntVar(&c.Recipe.BatchSize, "batch", c.Recipe.BatchSize, "samples a step")
	f.Float64Var(&c.Recipe.LearningRate, "lr", c.Recipe.LearningRate, "largest learning rate")
	f.Float64Var(&c.Recipe.Momentum, "momentum", c.Recipe.Momentum, "momentum of SGD")
	f.Float64Var(&c.Recipe.WeightDecay, "weight-decay", c.Recipe.WeightDecay, "weight decay: an L2 term of half this factor")
	f.StringVar(&c.Recipe.Schedule, "schedule", c.Recipe.Schedule, "learning-rate schedule: cosine, step, constant")
	f.Float64Var(&c.Recipe.WarmupFraction, "warmup", c.Recipe.WarmupFraction, "share of the steps over which the learning rate rises")
	f.StringVar(&c.Estimator, "estimator", c.Estimator, "influence estimator: "+strings.Join(influence.Names(), ", "))
	f.StringVar(&c.Influence.Curvature, "curvature", c.Influence.Curvature, "curvature of cg: gauss-newton, hessian (default gauss-newton)")
	f.Float64Var(&c.Influence.Damping, "damping", c.Influence.Damping, "lambda added to the curvature, beside the weight decay; 0: the default, below 0: none")
	f.IntVar(&c.Influence.HessianSamples, "hessian-samples", c.Influence.HessianSamples, "training samples that curvature products use; 0: the default, below 0: all")
	f.IntVar(&c.Influence.MaxIterations, "max-iterations", c.Influence.MaxIterations, "most conjugate-gradient iterations; 0: the default")
	f.StringVar(&c.InfluenceNet, "influence-net", c.InfluenceNet, "network that scores are computed with, such as the smooth twin of --net (default: --net)")
	f.StringVar(&c.InfluenceRecipe, "influence-recipe", c.InfluenceRecipe, "recipe that it is trained by: "+recipeNames+" (default: the run's)")
	f.IntVar(&c.InfluenceSeeds, "influence-seeds", c.InfluenceSeeds, "round-1 models whose scores are averaged")
	f.IntVar(&c.ScoreFolds, "score-folds", c.ScoreFolds, "parts of the score split that give scores a standard error; 1: none")
	f.StringVar(&c.Rule, "rule", c.Rule, "what to drop: "+datadropout.Rules)
	f.IntVar(&c.Seeds, "seeds", c.Seeds, "paired repetitions of every arm")
	f.Uint64Var(&c.Seed, "seed", c.Seed, "first seed; also draws the split and the label noise")
	f.StringVar(&c.Backend, "backend", c.Backend, "what computes: "+strings.Join(backends, ", "))
	f.IntVar(&c.Threads, "threads", c.Threads, "processors to use; 0: all")
	f.StringVar(&o.file, "config", "", "read the settings from a run's config.yaml; flags override it")
	f.StringVar(&o.out, "out", "", "run directory to write (default runs/DATA-NET-TIME)")
	f.BoolVar(&o.resume, "resume", false, "continue the run in the run directory")
	f.BoolVar(&o.force, "force", false, "start over in a run directory that already holds a run")
	f.BoolVar(&o.json, "json", false, "print JSON lines with a type on stdout")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress on stderr")
}

// readConfig reads --config, or on --resume the run directory's own config.yaml, and --recipe, under the flags that were
// given.
func (o *runOptions) readConfig(f *pflag.FlagSet) error {
	path := o.file
	if path == "" && o.resume && o.out != "" {
		if own := filepath.Join(o.out, report.ConfigFile); exists(own) {
			path = own
		}
	}
	given := map[string]string{}
	f.Visit(func(flag *pflag.Flag) { given[flag.Name] = flag.Value.String() })
	if path != "" {
		settings, err := report.ReadSettings(path)
		if errors.Is(err, os.ErrNotExist) {
			return &dataset.InputError{Path: path, Err: errors.New("no such file")}
		}
		if err != nil {
			return &datadropout.UsageError{Err: err}
		}
		o.config = settings.Config
		o.hash = settings.DataHash
	}
	if o.recipe != "" {
		recipe, ok := train.Recipes[o.recipe]
		if !ok {
			return &datadropout.UsageError{Err: fmt.Errorf("unknown recipe %q; known: %s", o.recipe, recipeNames)}
		}
		o.config.Recipe = recipe
	}
	for name, value := range given {
		if err := f.Set(name, value); err != nil {
			return &datadropout.UsageError{Err: err}
		}
	}
	return nil
}

// recipeNames lists the recipes.
var recipeNames = strings.Join(slices.Sorted(maps.Keys(train.Recipes)), ", ")

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func runRun(ctx context.Context, o *runOptions, stdout, stderr io.Writer) error {
	c := o.config
	if err := c.Validate(); err != nil {
		return err
	}
	if err := o.checkOut(); err != nil {
		return err
	}
	backend, err := openBackend(c.Backend, c.Threads)
	if err != nil {
		return err
	}
	defer backend.Finalize()
	data, err := datadropout.LoadData(&c)
	if err != nil {
		return err
	}
	if o.hash != "" && o.hash != data.Hash {
		return &dataset.InputError{Path: c.DataDir, Err: fmt.Errorf("the data set %s is not the one of the config file: its content hash is %s, there it is %s", c.Data, short(data.Hash), short(o.hash))}
	}
	store, err := o.openStore(c, data)
	if err != nil {
		return err
	}
	p := newPrinter(o.json, o.quiet, stdout, stderr)
	p.begin(c, data, o.out)
	outcome, err := datadropout.Run(ctx, c, data, backend, store, p.event)
	p.endProgress()
	if errors.Is(err, context.Canceled) {
		return &interruptedError{dir: o.out, err: err}
	}
	if err != nil {
		return err
	}
	if err := report.Write(o.out, outcome); err != nil {
		return err
	}
	p.result(outcome, o.out)
	if !outcome.Result.Infl.Solver.Converged {
		return errUntrusted
	}
	return nil
}

// interruptedError says how to go on with an interrupted run.
type interruptedError struct {
	dir string
	err error
}

func (e *interruptedError) Error() string {
	return "interrupted; continue with: datadropout run --out " + e.dir + " --resume"
}

func (e *interruptedError) Unwrap() error { return e.err }

// checkOut settles the run directory's name and refuses one that holds a run, before anything is read or written.
func (o *runOptions) checkOut() error {
	if o.resume && o.force {
		return &datadropout.UsageError{Err: errors.New("--resume continues a run and --force starts over: choose one")}
	}
	if o.out == "" {
		if o.resume {
			return &datadropout.UsageError{Err: errors.New("--resume needs --out with the run directory to continue")}
		}
		o.out = filepath.Join("runs", fmt.Sprintf("%s-%s-%s", o.config.Data, o.config.Net, time.Now().Format("20060102-150405")))
	}
	if info, err := os.Stat(o.out); err == nil && !info.IsDir() {
		return &datadropout.UsageError{Err: fmt.Errorf("%s is a file, not a run directory", o.out)}
	}
	if datadropout.HoldsRun(o.out) && !o.resume && !o.force {
		return &datadropout.UsageError{Err: fmt.Errorf("%s already holds a run: continue it with --resume, or start over with --force", o.out)}
	}
	return nil
}

// openStore makes the run directory ready. It is the first thing that writes.
func (o *runOptions) openStore(c datadropout.Config, data *datadropout.Data) (datadropout.Store, error) {
	fingerprint, err := datadropout.Fingerprint(c, data)
	if err != nil {
		return nil, err
	}
	if o.force {
		if err := datadropout.RemoveRun(o.out); err != nil {
			return nil, err
		}
	}
	store, err := datadropout.OpenDirStore(o.out, fingerprint)
	if err != nil {
		return nil, err
	}
	return store, report.WriteSettings(o.out, c, data)
}

func short(hash string) string { return hash[:min(12, len(hash))] }
