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
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/report"
)

// runOptions are the settings of a run, and the flags that are none.
type runOptions struct {
	settings
	verbosity
	out    string
	resume bool
	force  bool
	budget time.Duration
	given  *pflag.FlagSet
	whole  bool          // what is carried out is a whole run
	upTo   string        // or the stages up to this one
	looks  bool          // nothing is carried out, and nothing is written, no lock either
	lock   *durable.Lock // on the run directory, once it is there
	// keepEvery is the time between two saves of what is unfinished.
	keepEvery time.Duration
	// stage is what a command that changes settings of a run makes anew by others; empty for one that does not.
	stage string
	// replaces says whether that command may replace a setting, a key of config.yaml.
	replaces func(key string) bool
	// again is the command that continues what this one does; empty for run --resume.
	again string
}

func newRunCommand() *cobra.Command {
	o := &runOptions{settings: defaultSettings(), whole: true}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Two-round training: train, score, drop, train again, compare",
		Long: "run trains a network on all training samples (round 1), estimates every sample's removal effect on the score\n" +
			"split, chooses what to drop, trains again from scratch on the rest (round 2) beside two control arms, and\n" +
			"compares the arms on the test split over paired seeds.\n\n" +
			"Without a flag it uses the built-in procedural set with planted wrong labels. With a network that denoises images, such\n" +
			"as --net dncnn-7, it trains on patches of the images of a folder, or of a built-in set with planted bad pairs.\n\n" +
			"It writes a run directory: config.yaml, result.json, scores.csv, drop.csv, keep.txt, curves.csv, report.html with\n" +
			"page.json that it is made of, and what resuming needs. The table goes to stdout, progress to stderr.\n\n" + exitCodesHelp,
		Example: "  datadropout run\n" +
			"  datadropout run --data fashion-mnist --data-dir DIR --train 4000 --score 1000 --tune 1000 --net cnn --out DIR\n" +
			"  datadropout run --data Train400 --test-data Set12 --net dncnn-7 --sigma 25\n" +
			"  datadropout run --config DIR/config.yaml --out NEW-DIR",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.begin(cmd, runRun)
		},
	}
	o.addFlags(cmd.Flags())
	o.addBudgetFlag(cmd.Flags())
	return cmd
}

func (o *runOptions) addFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	c := &o.config
	o.addDataFlags(f)
	o.addTrainingFlags(f)
	o.addScoreFlags(f)
	o.addSelectFlags(f)
	f.IntVar(&c.Seeds, "seeds", c.Seeds, "paired repetitions of every arm")
	o.addDenoiseFlags(f)
	o.addMachineFlags(f)
	f.StringVar(&o.out, "out", "", "run directory to write (default runs/DATA-NET-TIME)")
	f.BoolVar(&o.resume, "resume", false, "continue the run in the run directory")
	f.BoolVar(&o.force, "force", false, "start over in a run directory that already holds a run")
	o.addOutputFlags(f)
}

// addOutputFlags adds those that every stage has.
func (o *runOptions) addOutputFlags(f *pflag.FlagSet) {
	f.DurationVar(&o.keepEvery, "save-every", datadropout.DefaultKeepEvery, "time after which a training or scores in the making are saved again: what a kill may cost")
	o.verbosity.addFlags(f)
}

// addScoreFlags adds those of the stage that scores, and addSelectFlags those of the one that chooses.
func (o *runOptions) addScoreFlags(f *pflag.FlagSet) {
	c := &o.config
	f.StringVar(&c.Estimator, "estimator", c.Estimator, "influence estimator: "+strings.Join(influence.Names(), ", "))
	o.addInfluenceFlags(f)
	f.StringVar(&c.InfluenceNet, "influence-net", c.InfluenceNet, "network that scores are computed with, such as the smooth twin of --net (default: --net)")
	f.StringVar(&c.InfluenceRecipe, "influence-recipe", c.InfluenceRecipe, "recipe that it is trained by: "+recipeNames+" (default: the run's)")
	f.IntVar(&c.InfluenceSeeds, "influence-seeds", c.InfluenceSeeds, "round-1 models whose scores are averaged; 10 for el2n and grand as published")
	f.IntVar(&c.ScoreFolds, "score-folds", c.ScoreFolds, "parts of the score split that give scores a standard error; 1: none")
}

func (o *runOptions) addSelectFlags(f *pflag.FlagSet) {
	c := &o.config
	f.StringVar(&c.Rule, "rule", c.Rule, "what to drop: "+datadropout.Rules)
	f.Float64Var(&c.MinClassShare, "min-class-share", c.MinClassShare, "share of its training samples that every class keeps; 0: no bound")
	f.Float64Var(&c.MinSignAgreement, "min-sign-agreement", c.MinSignAgreement, "share of the score folds, and of the influence seeds, that must find a sample harmful before auto, significant or shrunk drop it; 0: none")
	f.BoolVar(&c.DoseControls, "dose-controls", c.DoseControls, "also try the controls at every amount that auto tries, for the page: two trainings more an amount")
}

// readConfig reads --config, or on --resume the run directory's own config.yaml, under the flags that were given.
func (o *runOptions) readConfig(f *pflag.FlagSet) error {
	if o.file == "" && o.resume && o.out != "" {
		if own := filepath.Join(o.out, report.ConfigFile); exists(own) {
			o.file, o.resumed = own, true
		} else if o.looks && datadropout.HoldsRun(o.out) {
			return &dataset.InputError{Path: own, Err: fmt.Errorf("gone; datadropout run --resume --out %s makes it again", durable.ShellWord(o.out))}
		}
	}
	if err := o.read(f); err != nil {
		return err
	}
	if o.stage != "" && f.Changed("rule") && !f.Changed("dose-controls") {
		// A fixed rule in place of the run's, which may have been auto with controls: they go with it.
		if rule, err := datadropout.ParseRule(o.config.Rule); err == nil && !rule.Adaptive() {
			o.config.DoseControls = false
		}
	}
	if err := o.checkBudget(f); err != nil {
		return err
	}
	return o.fittedBefore()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func runRun(ctx context.Context, o *runOptions, stdout, stderr io.Writer) error {
	return o.carryOut(ctx, stdout, stderr, func(w work) error {
		outcome, err := datadropout.Run(ctx, w.config, w.data, w.backend, w.store, w.printer.event)
		w.printer.endProgress()
		if err != nil {
			return err
		}
		if err := report.Write(o.out, outcome); err != nil {
			return err
		}
		w.printer.result(outcome, o.out)
		if !outcome.Result.Infl.Solver.Converged {
			return errUntrusted
		}
		return nil
	})
}

// work is what a stage of a run works on.
type work struct {
	config  datadropout.Config
	data    *datadropout.Data
	backend compute.Backend
	store   datadropout.Store
	printer printer
}

// carryOut makes ready what the settings ask for and carries a stage out on it.
func (o *runOptions) carryOut(ctx context.Context, stdout, stderr io.Writer, stage func(work) error) error {
	c := o.config
	if err := o.checkSettings(&c); err != nil {
		return err
	}
	if o.resumed && o.stage == "" && !c.Deterministic && !o.quiet {
		fmt.Fprintln(stderr, "with --deterministic=false what goes on does not come to the bits of an unbroken run")
	}
	backend, data, done, err := o.open(ctx, &c, o.progress(stderr))
	if err != nil {
		return err
	}
	defer done()
	var e *estimate
	if o.whole && o.budget > 0 && !o.resumed { // before anything is written: the settings that fit are those of the run
		if e, err = o.estimate(ctx, &c, data, backend, nil, true); err != nil {
			return err
		}
	}
	store, err := o.openStore(c, data, stderr)
	if err != nil {
		return o.explain(err)
	}
	p := newPrinter(o.verbosity, stdout, stderr)
	p.begin(c, data, o.out)
	if (o.whole || o.upTo != "") && e == nil && (o.json || !o.quiet) {
		if e, err = o.estimate(ctx, &c, data, backend, store, false); err != nil {
			return o.explain(err)
		}
	}
	if e != nil {
		p.plan(e, c)
	}
	return o.explain(stage(work{c, data, backend, store, p}))
}

// begin claims the run directory and reads the settings before it runs a command.
func (o *runOptions) begin(cmd *cobra.Command, run func(context.Context, *runOptions, io.Writer, io.Writer) error) error {
	defer func() { o.lock.Unlock() }()
	if err := o.claim(); err != nil {
		return err
	}
	o.given = keepFlags(cmd.Flags(), (&runOptions{settings: defaultSettings()}).addFlags)
	if err := o.readConfig(cmd.Flags()); err != nil {
		return o.blame(err)
	}
	return run(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
}

// claim locks a run directory that is there, and checks the files of one that is continued.
func (o *runOptions) claim() error {
	if info, err := os.Stat(o.out); o.looks || o.out == "" || err != nil || !info.IsDir() {
		return nil
	}
	var err error
	if o.lock, err = durable.NewLock(o.out, durable.LockFile); err != nil || !o.resume || o.force {
		return err
	}
	return checkRun(o.out)
}

// explain says how to go on after what stopped a run.
func (o *runOptions) explain(err error) error {
	return explain(err, cmp.Or(o.again, "datadropout run --resume --out "+durable.ShellWord(o.out)))
}

// checkSettings refuses settings before anything is read or written.
func (o *runOptions) checkSettings(c *datadropout.Config) error {
	if err := o.checkVerbosity(); err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return o.blame(err)
	}
	return o.checkOut()
}

// checkOut settles the run directory's name and refuses one that holds a run, before anything is read or written.
func (o *runOptions) checkOut() error {
	if o.resume && o.force {
		return &datadropout.UsageError{Err: errors.New("--resume continues a run and --force starts over: choose one")}
	}
	if o.out == "" {
		if o.resume {
			return &datadropout.UsageError{Err: errors.New("--resume needs --out with the run directory to continue")}
		}
		o.out = filepath.Join("runs", fmt.Sprintf("%s-%s-%s", o.config.DataName(), o.config.Net, time.Now().Format("20060102-150405")))
	}
	if info, err := os.Stat(o.out); err == nil && !info.IsDir() {
		return &datadropout.UsageError{Err: fmt.Errorf("%s is a file, not a run directory", o.out)}
	}
	if o.resume && !datadropout.HoldsRun(o.out) && !o.setsAnything() {
		return &dataset.InputError{Path: o.out, Err: errors.New("no run is there to continue")}
	}
	return o.checkFree()
}

// setsAnything says whether a flag is given that is a setting of a run. With some, --resume begins a run that was killed before it had
// written anything; with none, the directory is probably mistyped.
func (o *runOptions) setsAnything() bool {
	if o.given == nil || o.file != "" {
		return true
	}
	set := false
	o.given.Visit(func(f *pflag.Flag) {
		set = set || !slices.Contains([]string{"resume", "out", "quiet", "verbose", "json", "threads", "save-every", "budget", "evaluate-test"}, f.Name)
	})
	return set
}

func (o *runOptions) checkFree() error {
	if datadropout.HoldsRun(o.out) && !o.resume && !o.force {
		return &datadropout.UsageError{Err: fmt.Errorf("%s already holds a run: continue it with --resume, or start over with --force", o.out)}
	}
	return nil
}

// openStore makes the run directory ready. It is the first thing that writes.
func (o *runOptions) openStore(c datadropout.Config, data *datadropout.Data, stderr io.Writer) (datadropout.Store, error) {
	if o.lock == nil {
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return nil, &durable.WriteError{Path: o.out, Err: err}
		}
		var err error
		if o.lock, err = durable.NewLock(o.out, durable.LockFile); err != nil {
			return nil, err
		}
		if err := o.checkFree(); err != nil { // another process may have made it since
			return nil, err
		}
	}
	c, err := c.WithAbsolutePaths()
	if err != nil {
		return nil, err
	}
	is, err := datadropout.NewIdentity(c, data)
	if err != nil {
		return nil, err
	}
	if o.force {
		if err := datadropout.RemoveRun(o.out); err != nil {
			return nil, err
		}
	}
	store, err := datadropout.OpenDirStore(o.out, is)
	var differs *datadropout.DiffersError
	if o.stage != "" && errors.As(err, &differs) && !slices.ContainsFunc(differs.Differences, func(d datadropout.Difference) bool { return !o.replaces(d.Setting) }) {
		var changed []datadropout.Difference
		if store, changed, err = amend(o.out, is); err == nil && !o.quiet && !o.json {
			fmt.Fprintf(stderr, "%s: %s and all that follows are made anew\n", datadropout.Changes(changed, settingName), o.stage)
		}
	}
	if err != nil {
		return nil, err
	}
	store.Every = o.keepEvery
	return store, report.WriteSettings(o.out, c, data)
}

// amend opens the run directory's store by other settings from now on. Results of the former ones go first: a kill must not leave them beside
// these. So does config.yaml, which the caller writes.
func amend(dir string, is datadropout.Identity) (*datadropout.DirStore, []datadropout.Difference, error) {
	if err := report.RemoveResults(dir); err != nil {
		return nil, nil, err
	}
	return datadropout.AmendDirStore(dir, is)
}
