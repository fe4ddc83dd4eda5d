package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/export"
	"github.com/datadropout/datadropout/internal/nearest"
	"github.com/datadropout/datadropout/report"
)

// exportOptions say what of a run is written, and where; what is empty is not written.
type exportOptions struct {
	settings
	dir         string
	scores      string
	float32     bool
	copy, link  string
	dropped     string
	splits      string
	decisions   string
	dataDir     string
	torch       bool
	weights     string
	arm         string
	seed        uint64
	seedGiven   bool
	tensorboard string
	force       bool
	quiet       bool
}

// The values of --splits.
const (
	splitsAll      = "all"
	splitsTrain    = "train"
	splitsSeparate = "separate"
)

var splitsNames = []string{splitsAll, splitsTrain, splitsSeparate}

// exportArms are the values of --arm.
var exportArms = append(slices.Clone(datadropout.Arms), datadropout.Reviewed)

func newExportCommand() *cobra.Command {
	o := &exportOptions{settings: defaultSettings()}
	cmd := &cobra.Command{
		Use:   "export --run DIR",
		Short: "Write a run's scores, cleaned images, weights or curves for other programs",
		Long: "export writes what a finished run found in the formats of other programs. One command may write several.\n\n" +
			"  --scores FILE        the table of scores.csv: .csv, .parquet, or .npy (delta alone, in the order of scores.csv)\n" +
			"  --copy DEST          the images without the dropped ones, in a folder for each class; --symlink links them\n" +
			"  --torch              the Python lines that use keep.txt with a PyTorch Subset, on stdout\n" +
			"  --weights FILE       the trained weights of an arm as safetensors, in PyTorch's layout\n" +
			"  --tensorboard DEST   event files: training curves, the most harmful samples, the distribution of delta\n\n" +
			"--copy and --symlink read the data again and refuse other data than the run's. Of a folder or a list of images they\n" +
			"take the files as they are, of other data sets they write PNG. Relabeled samples (--decisions) go to their new class. By\n" +
			"--splits, the new folder holds all images that the run had but the dropped ones (all), only what round 2 trained\n" +
			"on (train), or train, val (score and tune) and test, each with its classes (separate). A folder appears whole or\n" +
			"not at all, and nothing is overwritten. Of a run of denoising there are --scores, --weights and --tensorboard.\n\n" + retrainExitCodes,
		Example: "  datadropout export --run DIR --copy CLEAN --dropped REMOVED\n" +
			"  datadropout export --run DIR --copy CLEAN --decisions DIR/review.csv\n" +
			"  datadropout export --run DIR --scores scores.parquet --weights dropped.safetensors",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.seedGiven = cmd.Flags().Changed("seed")
			return runExport(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addRunFlag(cmd, &o.dir)
	f := cmd.Flags()
	f.StringVar(&o.scores, "scores", "", "file to write the scores to: .csv, .parquet or .npy")
	f.BoolVar(&o.float32, "float32", false, "numbers of .npy as float32 in place of float64")
	f.StringVar(&o.copy, "copy", "", "new folder to copy the kept images to")
	f.StringVar(&o.link, "symlink", "", "new folder to link the kept images in, for data that are files of images")
	f.StringVar(&o.dropped, "dropped", "", "new folder for the dropped images, beside --copy or --symlink")
	f.StringVar(&o.splits, "splits", splitsAll, "what --copy and --symlink take: "+strings.Join(splitsNames, ", "))
	f.StringVar(&o.decisions, "decisions", "", "decisions of a review to apply to --copy and --symlink, such as review.csv of the run")
	f.StringVar(&o.dataDir, "data-dir", "", "folder that holds the data set's files, if they have moved")
	f.BoolVar(&o.torch, "torch", false, "print the Python lines that use keep.txt with a PyTorch Subset")
	f.StringVar(&o.weights, "weights", "", "file to write the weights to, as safetensors")
	f.StringVar(&o.arm, "arm", "", "whose weights: "+strings.Join(exportArms, ", ")+" (default dropped, or full if nothing was dropped)")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the weights (default the run's first)")
	f.StringVar(&o.tensorboard, "tensorboard", "", "new folder to write event files for TensorBoard to")
	f.BoolVar(&o.force, "force", false, "replace the files of --scores and --weights if they are there")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "nothing on stderr but errors")
	return cmd
}

// check reports flags that do not go together.
func (o *exportOptions) check() error {
	images := o.copy != "" || o.link != ""
	var err error
	switch {
	case o.dir == "":
		err = errors.New("say which run: --run DIR")
	case o.scores == "" && !images && !o.torch && o.weights == "" && o.tensorboard == "":
		err = errors.New("say what to write: --scores, --copy, --symlink, --torch, --weights or --tensorboard")
	case o.copy != "" && o.link != "":
		err = errors.New("--copy and --symlink write the same images: choose one")
	case o.dropped != "" && !images, o.decisions != "" && !images, o.splits != splitsAll && !images:
		err = errors.New("--dropped, --decisions and --splits are for --copy and --symlink")
	case !slices.Contains(splitsNames, o.splits):
		err = fmt.Errorf("unknown --splits %q%s", o.splits, nearest.Among(o.splits, splitsNames))
	case o.arm != "" && !slices.Contains(exportArms, o.arm):
		err = fmt.Errorf("unknown arm %q%s", o.arm, nearest.Among(o.arm, exportArms))
	case o.arm != "" && o.weights == "":
		err = errors.New("--arm is for --weights")
	case o.seedGiven && o.weights == "":
		err = errors.New("--seed is for --weights")
	case o.float32 && filepath.Ext(o.scores) != ".npy":
		err = errors.New("--float32 is for --scores with a name that ends in .npy")
	case o.scores != "" && !slices.Contains(scoreFormats, filepath.Ext(o.scores)):
		err = fmt.Errorf("--scores %s: the name must end in one of %s", o.scores, strings.Join(scoreFormats, ", "))
	}
	if err != nil {
		return &datadropout.UsageError{Err: err}
	}
	for _, file := range []string{o.scores, o.weights} {
		if file != "" && !o.force && export.Exists(file) {
			return &datadropout.UsageError{Err: fmt.Errorf("%s is there already; --force replaces it", file)}
		}
	}
	for _, folder := range []string{o.copy, o.link, o.dropped, o.tensorboard} {
		if folder != "" && export.Exists(folder) {
			return &datadropout.UsageError{Err: fmt.Errorf("%s is there already, and nothing is overwritten: name a new folder", folder)}
		}
	}
	return nil
}

func runExport(ctx context.Context, o *exportOptions, stdout, stderr io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.quiet {
		stderr = io.Discard
	}
	run, err := report.ReadResult(o.dir)
	if err != nil {
		return err
	}
	if err := o.checkTask(run.Task); err != nil {
		return err
	}
	found, err := report.ReadSettings(filepath.Join(o.dir, report.ConfigFile))
	if err != nil {
		return &dataset.InputError{Path: filepath.Join(o.dir, report.ConfigFile), Err: err}
	}
	o.config, o.hash, o.labels = found.Config, found.DataHash, found.LabelsHash
	if o.dataDir != "" {
		o.config.DataDir = o.dataDir
	}
	for _, step := range []struct {
		wanted bool
		write  func() error
	}{
		{o.scores != "", func() error { return o.writeScores(stderr) }},
		{o.weights != "", func() error { return o.writeWeights(run, stderr) }},
		{o.tensorboard != "", func() error { return o.writeEvents(ctx, stderr) }},
		{o.copy != "" || o.link != "", func() error { return o.writeImages(ctx, stderr) }},
		{o.torch, func() error { return printTorch(stdout, o.dir, &o.config) }},
	} {
		if !step.wanted {
			continue
		}
		err := step.write()
		if errors.Is(err, context.Canceled) {
			return &interruptedError{again: "the same command", err: err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkTask refuses what there is not for a run of denoising.
func (o *exportOptions) checkTask(task string) error {
	switch {
	case o.copy != "" || o.link != "":
		return refuseDenoising(o.dir, task, "folder of kept images, since its samples are patches", filepath.Join(o.dir, report.ImagesFile)+" says how many patches of each image were dropped, and --scores exports the patches")
	case o.torch:
		return refuseDenoising(o.dir, task, "PyTorch Subset, since its samples are patches cut by this program", filepath.Join(o.dir, report.ScoresFile)+" has the image and the place of each, and "+filepath.Join(o.dir, report.KeepFile)+" those that are kept")
	case o.arm == datadropout.Reviewed:
		return refuseDenoising(o.dir, task, "arm "+o.arm, "its arms are "+strings.Join(datadropout.Arms, ", "))
	}
	return nil
}

// scoreFormats are the endings that --scores takes.
var scoreFormats = []string{".csv", ".parquet", ".npy"}

// deltaMeaning says in every file of scores what delta is.
const deltaMeaning = "delta: the predicted change of the mean validation loss, in loss units, if the sample is removed; below zero it is unfavorable"

func (o *exportOptions) writeScores(stderr io.Writer) error {
	path := filepath.Join(o.dir, report.ScoresFile)
	scores, err := report.ReadScores(path)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	switch filepath.Ext(o.scores) {
	case ".csv":
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b.Write(raw)
	case ".parquet":
		err = export.WriteParquet(&b, "scores", scores.Columns, map[string]string{"about": deltaMeaning})
	case ".npy":
		if !o.float32 {
			err = export.WriteNumPy(&b, scores.Delta)
			break
		}
		single := make([]float32, len(scores.Delta))
		for k, v := range scores.Delta {
			single[k] = float32(v)
		}
		err = export.WriteNumPy(&b, single)
	}
	if err != nil {
		return err
	}
	if _, err := durable.WriteFile(o.scores, b.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s: %d scores\n", o.scores, len(scores.Delta))
	return nil
}

func (o *exportOptions) writeWeights(run *datadropout.Result, stderr io.Writer) error {
	arm := o.arm
	if arm == "" {
		arm = datadropout.Full
		if run.Drop.Count > 0 {
			arm = datadropout.Dropped
		}
	}
	var reviewed *datadropout.Retrained
	if arm == datadropout.Reviewed {
		var err error
		if reviewed, err = report.ReadRetrained(o.dir); err != nil {
			return err
		}
	} else if a := run.Arms[arm]; a == nil || len(a.TestMetric) == 0 {
		return &datadropout.UsageError{Err: fmt.Errorf("the run trained no arm %s: it dropped nothing", arm)}
	}
	seed, first, seeds := o.seed, o.config.Seed, uint64(o.config.Seeds)
	if !o.seedGiven {
		seed = first
	}
	if seed-first >= seeds { // below the first it wraps around
		return &datadropout.UsageError{Err: fmt.Errorf("the run has no seed %d; its seeds are %d to %d", seed, first, first+seeds-1)}
	}
	network, model, err := datadropout.ArmModel(o.dir, run, reviewed, arm, int(seed-first))
	if err != nil {
		return err
	}
	tensors, err := export.Torch(network, model)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := export.WriteSafetensors(&b, tensors, weightsMetadata(run, arm, seed)); err != nil {
		return err
	}
	if _, err := durable.WriteFile(o.weights, b.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s: %s, arm %s, seed %d: %d tensors\n", o.weights, run.Net.Name, arm, seed, len(tensors))
	return nil
}

// weightsMetadata says what is needed to use weights: what network they are of, and how it is fed.
func weightsMetadata(run *datadropout.Result, arm string, seed uint64) map[string]string {
	if run.Denoising != nil {
		return map[string]string{
			"format": "pt", "datadropout": datadropout.Version(), "net": run.Net.Name, "arm": arm, "seed": fmt.Sprint(seed), "task": run.Task,
			"patch": asJSON(run.Data.Image), "range": "[0,1]", "degradation": run.Denoising.Degradation, "data": run.Data.Name, "data_hash": run.Data.Hash,
		}
	}
	return map[string]string{
		"format": "pt", "datadropout": datadropout.Version(), "net": run.Net.Name, "arm": arm, "seed": fmt.Sprint(seed),
		"image": asJSON(run.Data.Image), "mean": asJSON(run.Data.Mean), "std": asJSON(run.Data.Std), "classes": asJSON(run.Data.Classes),
		"data": run.Data.Name, "data_hash": run.Data.Hash,
	}
}

func (o *exportOptions) writeEvents(ctx context.Context, stderr io.Writer) error {
	content, err := readRun(o.dir)
	if err != nil {
		return err
	}
	scores, err := report.ReadScores(filepath.Join(o.dir, report.ScoresFile))
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(o.dir, report.ResultFile))
	if err != nil {
		return err
	}
	files := report.EventFiles(content, scores.Delta, o.config.Seed, info.ModTime())
	if err := export.WriteTree(ctx, o.tensorboard, files, nil); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s: %d event files; look at them with: tensorboard --logdir %s\n", o.tensorboard, len(files), o.tensorboard)
	return nil
}
