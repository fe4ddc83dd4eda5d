package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/evidence"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/report"
)

// verifyOptions are the settings of a study of the estimators, and the flags that are none.
type verifyOptions struct {
	settings
	study evidence.Options
	verbosity
	out   string
	given *pflag.FlagSet
}

// verifyExitCodes differ from those of run in how to go on: retrainings are kept by content, so nothing needs to be said.
var verifyExitCodes = strings.Replace(exitCodesHelp, "the same command with --resume continues", "the same command with the same --out continues", 1)

func newVerifyCommand() *cobra.Command {
	o := &verifyOptions{settings: defaultSettings()}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Measure how good removal effects are, by training again without the samples",
		Long: "verify trains a network on all training samples, scores them with every estimator asked for, and compares the\n" +
			"scores with the truth: with training again on less.\n\n" +
			"  loo       leaves out samples one at a time (or groups, with --loo-group): true against predicted change\n" +
			"  lds       drops random subsets: linear datamodeling score, with --per-point also for single test samples\n" +
			"  group     drops the most harmful and the most helpful samples, against as many at random\n" +
			"  mislabel  looks for planted labels: area under the curve, share found in the first 5, 10, 20 %\n\n" +
			"Settings are fixed before the first retraining. What a score costs, in seconds and in full trainings, stands\n" +
			"beside its quality.\n\n" +
			"It writes verify.json, verify.csv and verify.html, and keeps every retraining in the folder cache by its content:\n" +
			"an interrupted study goes on, and one with more estimators or subsets repeats nothing. Tables go to stdout,\n" +
			"progress to stderr.\n\n" + verifyExitCodes,
		Example: "  datadropout verify --net softmax --train 500 --estimators cg,metagradient,random\n" +
			"  datadropout verify --data fashion-mnist --data-dir DIR --train 5000 --score 2000 --net cnn-smooth --out DIR\n" +
			"  datadropout verify --config RUN-DIR/config.yaml --estimators cg,metagradient --fractions 0.02,0.1 --out DIR",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.given = keepFlags(cmd.Flags(), (&verifyOptions{settings: defaultSettings()}).addFlags)
			if err := o.read(cmd.Flags()); err != nil {
				return o.blame(err)
			}
			return runVerify(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *verifyOptions) addFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	s := &o.study
	o.addDataFlags(f)
	o.addTrainingFlags(f)
	f.StringSliceVar(&s.Estimators, "estimators", evidence.DefaultEstimators, "estimators to measure: "+strings.Join(influence.Names(), ", "))
	o.addInfluenceFlags(f)
	f.StringSliceVar(&s.Tests, "tests", nil, "what to measure: "+strings.Join(evidence.Tests, ", ")+" (default lds, group and, where labels are planted, mislabel)")
	f.Float64SliceVar(&s.Fractions, "fractions", evidence.DefaultFractions, "shares of the training samples that lds and group drop")
	f.IntVar(&s.Subsets, "subsets", evidence.DefaultSubsets, "random subsets at each share")
	f.StringVar(&s.Removal, "removal", evidence.ByWeight, "how loo and lds remove samples: weight (weight 0, same batches), leave-out (train on the rest)")
	f.IntVar(&s.RetrainSeeds, "retrain-seeds", 1, "seeds that every retraining is repeated with, and averaged over")
	f.IntVar(&s.InfluenceSeeds, "influence-seeds", 1, "seeds whose full models are scored; the scores are averaged; 10 for el2n and grand as published")
	f.IntVar(&s.LOOSamples, "loo-samples", evidence.DefaultLOOSamples, "samples, or groups, that loo leaves out, one at a time")
	f.IntVar(&s.LOOGroup, "loo-group", 1, "samples in each group that loo leaves out")
	f.IntVar(&s.PerPoint, "per-point", 0, "test samples, the first ones, whose own losses lds predicts as well; 0: none")
	f.IntVar(&s.Parallel, "parallel", 0, "retrainings at a time; 0: one for every 4 processors")
	o.addMachineFlags(f)
	f.StringVar(&o.out, "out", "", "directory to write (default runs/verify-DATA-NET-TIME)")
	o.verbosity.addFlags(f)
}

func runVerify(ctx context.Context, o *verifyOptions, stdout, stderr io.Writer) error {
	c := o.config
	if c.Task == datadropout.Denoising || net.IsDenoiser(c.Net) || c.Data == dataset.LeavesName {
		return evidence.ErrDenoising
	}
	if err := c.Validate(); err != nil {
		return o.blame(err)
	}
	if err := o.checkVerbosity(); err != nil {
		return err
	}
	if err := o.study.Validate(); err != nil {
		return o.blame(err)
	}
	if o.out == "" {
		o.out = filepath.Join("runs", fmt.Sprintf("verify-%s-%s-%s", c.DataName(), c.Net, time.Now().Format("20060102-150405")))
	}
	if info, err := os.Stat(o.out); err == nil && !info.IsDir() {
		return &datadropout.UsageError{Err: fmt.Errorf("%s is a file, not a directory", o.out)}
	}
	backend, data, done, err := o.open(ctx, &c, o.progress(stderr))
	if err != nil {
		return err
	}
	defer done()
	c.Influence = o.config.Influence // every estimator has defaults of its own
	p := newPrinter(o.verbosity, stdout, stderr)
	c.Seeds = o.study.RetrainSeeds
	study := evidence.Study{Config: c, Data: data, Backend: backend, Cache: filepath.Join(o.out, report.CacheDir), Observe: p.event}
	if err := study.Check(o.study); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return &durable.WriteError{Path: o.out, Err: err}
	}
	lock, err := durable.NewLock(o.out, durable.LockFile)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	p.begin(c, data, o.out)
	result, err := study.Run(ctx, o.study)
	p.endProgress()
	again := "the same command with --out " + durable.ShellWord(o.out)
	if err != nil {
		return explain(err, again)
	}
	if err := report.WriteVerify(o.out, result); err != nil {
		return explain(err, again)
	}
	p.verified(result, o.out)
	if !result.Trusted() {
		return errUntrusted
	}
	return nil
}
