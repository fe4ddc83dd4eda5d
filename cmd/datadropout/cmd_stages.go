package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/report"
)

// The stages of a run are commands of their own over its directory: train, score, select; run --resume does the rest. Each does what
// is missing of the stages before it, and finds what they have finished.

func newTrainCommand() *cobra.Command {
	o := &runOptions{settings: defaultSettings(), upTo: datadropout.StageRound1}
	test := false
	cmd := &cobra.Command{
		Use:   "train --out DIR",
		Short: "The first stage of a run: round 1 at every seed",
		Long: "train trains a network on all training samples at every seed, as run does first, and prints how the models fare on the tune\n" +
			"split. It has the flags of run but --budget: what they say of later stages is kept for these. Continue with score, select and\n" +
			"run --resume, each of which does what is missing before it.\n\n" +
			"The test split is for the end. --evaluate-test shows it all the same: what is decided after that has seen it.\n\n" + stageExitCodes,
		Example: "  datadropout train --data fashion-mnist --train 5000 --net cnn --out DIR\n  datadropout score --run DIR\n" +
			"  datadropout select --run DIR --rule auto\n  datadropout run --resume --out DIR",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.begin(cmd, func(ctx context.Context, o *runOptions, stdout, stderr io.Writer) error {
				return runTrain(ctx, o, test, stdout, stderr)
			})
		},
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&test, "evaluate-test", false, "also evaluate on the test split")
	return cmd
}

const stageExitCodes = `Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    done, but the result must not be trusted: the influence solver did not converge
  10   an input is missing or unreadable, or a file of the run directory is damaged
  130  interrupted; the command that is printed continues
`

func runTrain(ctx context.Context, o *runOptions, test bool, stdout, stderr io.Writer) error {
	return o.carryOut(ctx, stdout, stderr, func(w work) error {
		if o.again = "datadropout train --resume --out " + durable.ShellWord(o.out); test {
			o.again += " --evaluate-test"
		}
		trained, err := datadropout.Train(ctx, w.config, w.data, w.backend, w.store, test, w.printer.event)
		w.printer.endProgress()
		if err != nil {
			return err
		}
		printTrained(stdout, o, report.MetricOf(w.data.Loss().Metric()), trained)
		return nil
	})
}

// newStageCommand returns a command over a run directory that continues it up to its stage, by other settings if they are given.
func newStageCommand(o *runOptions, addFlags func(*pflag.FlagSet), cmd *cobra.Command, run func(context.Context, *runOptions, io.Writer, io.Writer) error) *cobra.Command {
	cmd.Args = noArguments
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.out == "" {
			return &datadropout.UsageError{Err: errors.New("say which run: --run DIR")}
		}
		if info, err := os.Stat(o.out); err != nil || !info.IsDir() || !datadropout.HoldsRun(o.out) {
			return &dataset.InputError{Path: o.out, Err: errors.New("no run is there; datadropout train or run begins one")}
		}
		o.resume, o.again = true, "datadropout "+cmd.Name()+" --run "+durable.ShellWord(o.out)
		return o.begin(cmd, run)
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.out, "run", "", "directory of the run")
	addFlags(f)
	f.StringVar(&o.config.DataDir, "data-dir", "", "folder that holds the data set's files, if they have moved")
	f.IntVar(&o.config.Threads, "threads", 0, "processors to use; 0: all")
	o.addOutputFlags(f)
	o.replaces = func(key string) bool {
		name, ok := strings.CutPrefix(settingName(key), "--")
		// Another estimator begins with its own defaults, also of what has no flag.
		return ok && f.Lookup(name) != nil || o.rescored && strings.HasPrefix(key, "influence.")
	}
	return cmd
}

func newScoreCommand() *cobra.Command {
	o := &runOptions{settings: defaultSettings(), stage: "scores", upTo: datadropout.StageInfluence}
	o.rescored = true
	return newStageCommand(o, o.addScoreFlags, &cobra.Command{
		Use:   "score --run DIR",
		Short: "The second stage of a run: the removal effect of every training sample",
		Long: "score estimates the removal effects with the models of round 1 and writes scores.csv. Settings that are not given are\n" +
			"those of the run; another estimator begins with its own defaults. A run has one estimator: another one, or other settings of\n" +
			"it, take the place of the run's, the scores there are replaced, and the results of later stages are removed. What was\n" +
			"trained is used again wherever it is the same.\n\n" + stageExitCodes,
		Example: "  datadropout score --run DIR\n  datadropout score --run DIR --estimator ekfac --damping 0.1",
	}, runScore)
}

func runScore(ctx context.Context, o *runOptions, stdout, stderr io.Writer) error {
	return o.carryOut(ctx, stdout, stderr, func(w work) error {
		outcome, err := datadropout.Score(ctx, w.config, w.data, w.backend, w.store, w.printer.event)
		w.printer.endProgress()
		if err != nil {
			return err
		}
		if err := report.WriteScores(o.out, outcome); err != nil {
			return err
		}
		printScored(stdout, o, outcome)
		return trusted(outcome)
	})
}

func newSelectCommand() *cobra.Command {
	o := &runOptions{settings: defaultSettings(), stage: "the choice", upTo: datadropout.StageChoose}
	return newStageCommand(o, o.addSelectFlags, &cobra.Command{
		Use:   "select --run DIR",
		Short: "The third stage of a run: what to drop",
		Long: "select chooses what to drop by the removal effects and writes drop.csv and keep.txt. The rule auto trains for it, and judges\n" +
			"by the tune split. Another rule takes the place of the run's, and the results of later stages are removed.\n" +
			"run --resume then trains round 2 and the controls, and compares.\n\n" + stageExitCodes,
		Example: "  datadropout select --run DIR\n  datadropout select --run DIR --rule fraction:0.05",
	}, runSelect)
}

func runSelect(ctx context.Context, o *runOptions, stdout, stderr io.Writer) error {
	return o.carryOut(ctx, stdout, stderr, func(w work) error {
		outcome, err := datadropout.Select(ctx, w.config, w.data, w.backend, w.store, w.printer.event)
		w.printer.endProgress()
		if err != nil {
			return err
		}
		if err := report.WriteSelection(o.out, outcome); err != nil {
			return err
		}
		printSelected(stdout, o, outcome)
		return trusted(outcome)
	})
}

func trusted(o *datadropout.Outcome) error {
	if !o.Solver.Converged {
		return errUntrusted
	}
	return nil
}

// written is where a stage has written a file.
func (o *runOptions) written(name string) string { return filepath.Join(o.out, name) }

// next prints the command of the next stage.
func (o *runOptions) next(w io.Writer, command string) {
	if !o.quiet {
		fmt.Fprintf(w, "Next: datadropout %s %s\n", command, durable.ShellWord(o.out))
	}
}
