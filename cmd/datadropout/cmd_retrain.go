package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/report"
)

// retrainOptions are the settings of a retraining on decisions.
type retrainOptions struct {
	settings
	dir       string
	decisions string
	dataDir   string
	threads   int
	verbosity
}

func newRetrainCommand() *cobra.Command {
	o := &retrainOptions{settings: defaultSettings()}
	cmd := &cobra.Command{
		Use:   "retrain --run DIR",
		Short: "Round 2 again, with what was decided in a review",
		Long: "retrain trains again from scratch on what a person decided, with the settings and seeds of the run: samples decided to\n" +
			"be dropped are left out, relabeled ones have their new label, kept ones are in, and all others are as the run left\n" +
			"them. It compares with the arms of the run on the test split and writes retrain.json into the run directory.\n\n" +
			"A review that has seen the result of an earlier one has, through it, seen the test split: the interval of its own\n" +
			"result is too good. Runs of denoising have no review, and are not retrained.\n\n" + retrainExitCodes,
		Example: "  datadropout review --run DIR\n  datadropout retrain --run DIR",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runRetrain(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addRunFlag(cmd, &o.dir)
	f := cmd.Flags()
	f.StringVar(&o.decisions, "decisions", "", "decisions to use (default review.csv of the run)")
	f.StringVar(&o.dataDir, "data-dir", "", "folder that holds the data set's files, if they have moved")
	f.IntVar(&o.threads, "threads", 0, "processors to use; 0: all")
	o.addTextFlags(f)
	return cmd
}

// retrainExitCodes are the exit codes of a command that reads a run and may be interrupted.
const retrainExitCodes = reportExitCodes + "  130  interrupted; the same command continues\n"

func runRetrain(ctx context.Context, o *retrainOptions, stdout, stderr io.Writer) error {
	if o.dir == "" {
		return &datadropout.UsageError{Err: errors.New("say which run: --run DIR")}
	}
	if err := o.checkVerbosity(); err != nil {
		return err
	}
	if o.decisions == "" {
		o.decisions = filepath.Join(o.dir, report.ReviewFile)
	}
	lock, err := claimRun(o.dir)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	run, err := report.ReadResult(o.dir)
	if err != nil {
		return err
	}
	if err := refuseDenoising(o.dir, run.Task, "round 2 by the decisions of a review", chooseAgain(o.dir)); err != nil {
		return err
	}
	if own := filepath.Join(o.dir, report.ReviewFile); o.decisions == own && !exists(own) {
		return &dataset.InputError{Path: own, Err: fmt.Errorf("no such file: datadropout review --run %s makes it", durable.ShellWord(o.dir))}
	}
	decisions, err := report.ReadDecisions(o.decisions)
	if err != nil {
		return err
	}
	kept, err := report.ReadKept(o.dir)
	if err != nil {
		return err
	}
	found, err := report.ReadSettings(filepath.Join(o.dir, report.ConfigFile))
	if err != nil {
		return &dataset.InputError{Path: filepath.Join(o.dir, report.ConfigFile), Err: err}
	}
	c := found.Config
	o.hash, o.labels = found.DataHash, found.LabelsHash
	if o.dataDir != "" {
		c.DataDir = o.dataDir
	}
	c.Threads = o.threads
	if err := c.Validate(); err != nil {
		return err
	}
	backend, data, done, err := o.open(ctx, &c, o.progress(stderr))
	if err != nil {
		return err
	}
	defer done()
	amendment, err := report.Revise(data, kept, decisions)
	if err != nil {
		return &dataset.InputError{Path: o.decisions, Err: err}
	}
	is, err := datadropout.NewIdentity(c, data)
	if err != nil {
		return err
	}
	again := "datadropout retrain --run " + durable.ShellWord(o.dir) + " --decisions " + durable.ShellWord(o.decisions)
	store, err := datadropout.OpenDirStore(o.dir, is)
	if err != nil {
		return explain(err, again)
	}
	p := newTextPrinter(stdout, stderr, o.verbosity)
	result, err := datadropout.Retrain(ctx, c, data, backend, store, run, amendment, p.event)
	p.endProgress()
	if err != nil {
		return explain(err, again)
	}
	if err := report.WriteRetrained(o.dir, result); err != nil {
		return explain(err, again)
	}
	p.finishStage()
	printRetrained(stdout, result)
	return nil
}

func printRetrained(w io.Writer, r *datadropout.Retrained) {
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	m := report.MetricOf(r.Metric)
	fmt.Fprintf(t, "arm\tsamples\ttest %s\ttest loss\n", m.Name)
	for _, l := range report.RetrainedLines(r) {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", l.Arm, l.Samples, m.Value(l.Metric, l.MetricSD), report.PlusMinus(l.Loss, l.LossSD))
	}
	t.Flush()
	fmt.Fprintf(w, "\nreviewed - full:     %s\n", m.Effect(r.Effect))
	if r.OverDropped != nil {
		fmt.Fprintf(w, "reviewed - dropped:  %s\n", m.Effect(*r.OverDropped))
	}
	fmt.Fprintf(w, "\n%d dropped, %d relabeled. Verdict against all samples: %s.\n", r.Dropped, r.Relabeled, r.Effect.Verdict)
}
