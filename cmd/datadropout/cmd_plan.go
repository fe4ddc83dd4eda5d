package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/report"
	"github.com/datadropout/datadropout/train"
)

func newPlanCommand() *cobra.Command {
	o := &runOptions{settings: defaultSettings(), whole: true, looks: true}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "What a run would do, and how long it would take",
		Long: "plan takes the flags of run and prints what that run would do: data and splits, network, recipe, what is trained how\n" +
			"often, and how long each stage takes, from training steps and scoring passes of this network measured on this machine\n" +
			"for two seconds, or by a few samples a phase where these take longer. It trains nothing and writes nothing.\n\n" +
			"Where auto chooses the amount to drop, what is trained depends on what is found: times and counts are given for a run\n" +
			"that finds nothing worth dropping, and for one that takes the longest way.\n\n" + exitCodesHelp,
		Example: "  datadropout plan --data fashion-mnist --net resnet20 --epochs 30\n" +
			"  datadropout plan --data fashion-mnist --net cnn --budget 30m\n" +
			"  datadropout plan --out DIR --resume     # what is left to do",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.begin(cmd, runPlan)
		},
	}
	o.addFlags(cmd.Flags())
	o.addBudgetFlag(cmd.Flags())
	return cmd
}

func runPlan(ctx context.Context, o *runOptions, stdout, stderr io.Writer) error {
	c := o.config
	if err := o.checkSettings(&c); err != nil {
		return err
	}
	backend, data, done, err := o.open(ctx, &c, o.progress(stderr))
	if err != nil {
		return err
	}
	defer done()
	var store datadropout.Store
	if o.resume && datadropout.HoldsRun(o.out) {
		is, err := datadropout.NewIdentity(c, data)
		if err != nil {
			return err
		}
		switch found, err := datadropout.ReadDirStore(o.out, is); {
		case errors.Is(err, fs.ErrNotExist): // a run that had just begun
		case err != nil:
			return o.explain(err)
		default:
			store = found
		}
	}
	e, err := o.estimate(ctx, &c, data, backend, store, true)
	if err != nil {
		return err
	}
	if o.json {
		newJSONPrinter(stdout).plan(e, c)
		return nil
	}
	return e.write(stdout, c, data, o.out)
}

// addBudgetFlag adds --budget, a length of time.
func (o *runOptions) addBudgetFlag(f *pflag.FlagSet) {
	f.DurationVar(&o.budget, "budget", 0, "time to fit the run into, such as 30m or 2h: seeds, amounts and samples are lowered until it fits, and it says which")
}

// estimate plans the run, or what is left of it, measures, and fits it into the budget, if there is one; that may change the
// settings. A run that goes on keeps what it was fitted to when it began.
func (o *runOptions) estimate(ctx context.Context, c *datadropout.Config, data *datadropout.Data, backend compute.Backend, store datadropout.Store,
	thorough bool) (*estimate, error) {
	p, err := datadropout.NewPlan(*c, data)
	if err != nil {
		return nil, err
	}
	if store != nil {
		p = p.Left(store.Of)
	}
	if o.upTo != "" {
		p = p.UpTo(o.upTo)
	}
	m := newMeasurer(backend, data)
	e, err := m.estimateRun(ctx, p, thorough)
	if err != nil || o.budget == 0 || store != nil {
		return e, err
	}
	return fit(ctx, c, m, o.budget)
}

// short is the plan in a line.
func (e *estimate) short() string {
	n, least := datadropout.Trainings(e.plan.Most, ""), datadropout.Trainings(e.plan.Least, "")
	if n == 0 {
		return fmt.Sprintf("plan: nothing left to train, about %s", duration(seconds(total(e.most))))
	}
	count := report.Counted(n, "training")
	if least < n {
		count = fmt.Sprintf("%d to %s", least, count)
	}
	return fmt.Sprintf("plan: %s in %s, about %s; about %s of memory and %s of disk",
		count, report.Counted(len(e.stages()), "stage"), span(total(e.least), total(e.most)), size(e.memory), size(e.disk))
}

// cutLines tell what was lowered for the budget.
func (e *estimate) cutLines() []string {
	if e.budget == 0 {
		return nil
	}
	if len(e.cuts) == 0 {
		return []string{fmt.Sprintf("budget %s: nothing had to be cut", duration(e.budget))}
	}
	var lines []string
	for _, c := range e.cuts {
		lines = append(lines, fmt.Sprintf("budget %s: --%s %s in place of %s, %s less: %s", duration(e.budget), c.Setting, c.To, c.From, duration(seconds(c.Saves)), c.Means))
	}
	return lines
}

// write prints the plan whole.
func (e *estimate) write(w io.Writer, c datadropout.Config, d *datadropout.Data, dir string) error {
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	n := e.plan.Networks[c.Net]
	fmt.Fprintf(t, "data\t%s\n", splitLine(c, d))
	if d.Images != nil {
		fmt.Fprintf(t, "images\t%dx%d, %s, %s\n", d.Images.Height, d.Images.Width, report.Counted(d.Images.Channels, "channel"), classes(len(d.Images.Classes)))
	}
	fmt.Fprintf(t, "network\t%s, %s\n", c.Net, report.Counted(n.Size(), "parameter"))
	fmt.Fprintf(t, "recipe\t%s\n", recipeWords(c.Recipe))
	fmt.Fprintf(t, "scores\t%s\n", scoreWords(c))
	fmt.Fprintf(t, "drop\t%s\n", c.Rule)
	fmt.Fprintf(t, "arms\t%s, at %s each\n", strings.Join(datadropout.Arms, ", "), report.Counted(c.Seeds, "seed"))
	for _, line := range e.cutLines() {
		head, rest, _ := strings.Cut(line, ": ")
		fmt.Fprintf(t, "%s\t%s\n", head, rest)
	}
	fmt.Fprintf(t, "into\t%s\n\n", dir)
	if err := t.Flush(); err != nil {
		return err
	}
	t = tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	fmt.Fprintln(t, "stage\ttrainings\ttime")
	for _, stage := range e.stages() {
		most, least := datadropout.Trainings(e.plan.Most, stage), datadropout.Trainings(e.plan.Least, stage)
		fmt.Fprintf(t, "%s\t%s\t%s\n", stageNames[stage], atMost(least, most), span(e.least[stage], e.most[stage]))
	}
	fmt.Fprintf(t, "all\t%s\t%s\n", atMost(datadropout.Trainings(e.plan.Least, ""), datadropout.Trainings(e.plan.Most, "")), span(total(e.least), total(e.most)))
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nAbout %s of memory at most, and %s of disk.", size(e.memory), size(e.disk))
	if e.rate > 0 {
		fmt.Fprintf(w, " Measured for %s: %.0f samples/s of training in batches of %d, with %s.", duration(e.measured), e.rate, e.batch, c.Backend)
	}
	if total(e.least) < total(e.most) {
		fmt.Fprintf(w, "\nThe lower figures are those of a run that finds nothing worth dropping.")
	}
	_, err := fmt.Fprintln(w)
	return err
}

func atMost(least, most int) string {
	switch {
	case most == 0:
		return "-"
	case least < most:
		return fmt.Sprintf("at most %d", most)
	}
	return fmt.Sprint(most)
}

func classes(n int) string {
	if n == 1 {
		return "1 class"
	}
	return fmt.Sprintf("%d classes", n)
}

// recipeWords is a recipe in short.
func recipeWords(r train.Recipe) string {
	words := []string{
		fmt.Sprintf("%s of batches of %d", report.Counted(r.Epochs, "epoch"), r.BatchSize),
		fmt.Sprintf("learning rate %g, %s", r.LearningRate, r.Schedule),
	}
	if r.WarmupFraction > 0 {
		words = append(words, fmt.Sprintf("warmup %g", r.WarmupFraction))
	}
	momentum := "momentum"
	if r.Nesterov {
		momentum = "Nesterov's momentum"
	}
	words = append(words, fmt.Sprintf("%s %g", momentum, r.Momentum), fmt.Sprintf("weight decay %g", r.WeightDecay))
	if !r.Augmentation.IsZero() {
		words = append(words, "augmented by "+r.Augmentation.String())
	}
	return strings.Join(words, ", ")
}

// scoreWords says how removal effects are estimated.
func scoreWords(c datadropout.Config) string {
	words := fmt.Sprintf("%s, %s", c.Estimator, report.Counted(c.InfluenceSeeds, "model"))
	if c.InfluenceNet != "" || c.InfluenceRecipe != "" {
		words += " of its own"
		if c.InfluenceNet != "" {
			words += ", " + c.InfluenceNet
		}
		if c.InfluenceRecipe != "" {
			words += " by the recipe " + c.InfluenceRecipe
		}
	}
	if c.ScoreFolds > 1 {
		words += fmt.Sprintf(", %d folds of the score split", c.ScoreFolds)
	}
	return words
}

// planLine is a plan as --json prints it; docs/events.md has its keys.
type planLine struct {
	Type           string       `json:"type"`
	Train          int          `json:"train"`
	Score          int          `json:"score"`
	Tune           int          `json:"tune"`
	Test           int          `json:"test"`
	Data           string       `json:"data"`
	Net            string       `json:"net"`
	Parameters     int          `json:"parameters"`
	Recipe         train.Recipe `json:"recipe"`
	Estimator      string       `json:"estimator"`
	InfluenceSeeds int          `json:"influence_seeds"`
	HessianSamples int          `json:"hessian_samples"`
	Rule           string       `json:"rule"`
	Arms           []string     `json:"arms"`
	Seeds          int          `json:"seeds"`
	Backend        string       `json:"backend"`
	Precision      string       `json:"precision"`
	Stages         []stageLine  `json:"stages"`
	stageFigures
	SamplesPerSecond float64 `json:"samples_per_second"`
	PeakMemory       int64   `json:"peak_memory_bytes"`
	Disk             int64   `json:"disk_bytes"`
	MeasuredSeconds  float64 `json:"measured_seconds"`
	BudgetSeconds    float64 `json:"budget_seconds,omitempty"`
	Cuts             []cut   `json:"cuts,omitempty"`
}

type stageLine struct {
	Stage string `json:"stage"`
	stageFigures
}

// stageFigures are counts and times of a stage or of the run: the most, and those of a run that finds nothing worth dropping.
type stageFigures struct {
	Trainings      int     `json:"trainings"`
	LeastTrainings int     `json:"least_trainings"`
	Seconds        float64 `json:"seconds"`
	LeastSeconds   float64 `json:"least_seconds"`
}

func planEvent(e *estimate, c datadropout.Config) planLine {
	n := e.plan.Networks[c.Net]
	line := planLine{
		Type: "plan", Data: c.Data, Train: c.Train, Score: c.Score, Tune: c.Tune, Test: c.Test, Net: c.Net, Parameters: n.Size(), Recipe: c.Recipe,
		Estimator: c.Estimator, InfluenceSeeds: c.InfluenceSeeds, HessianSamples: c.Influence.HessianSamples, Rule: c.Rule, Arms: datadropout.Arms,
		Seeds: c.Seeds, Backend: c.Backend, Precision: c.Precision, SamplesPerSecond: e.rate, PeakMemory: e.memory, Disk: e.disk, MeasuredSeconds: e.measured.Seconds(),
		BudgetSeconds: e.budget.Seconds(), Cuts: e.cuts, Stages: []stageLine{},
		stageFigures: stageFigures{datadropout.Trainings(e.plan.Most, ""), datadropout.Trainings(e.plan.Least, ""), total(e.most), total(e.least)},
	}
	for _, stage := range e.stages() {
		line.Stages = append(line.Stages, stageLine{stage, stageFigures{
			datadropout.Trainings(e.plan.Most, stage), datadropout.Trainings(e.plan.Least, stage), e.most[stage], e.least[stage]}})
	}
	return line
}

// fittedBefore takes the settings that a budget may lower from the config.yaml of the run that goes on.
func (o *runOptions) fittedBefore() error {
	if o.budget == 0 || !o.resumed {
		return nil
	}
	found, err := report.ReadSettings(filepath.Join(o.out, report.ConfigFile))
	if err != nil {
		return &dataset.InputError{Path: filepath.Join(o.out, report.ConfigFile), Err: err}
	}
	keepFitted(&o.config, &found.Config)
	return nil
}

// checkBudget refuses a budget that is none.
func (o *runOptions) checkBudget(f *pflag.FlagSet) error {
	if f.Changed("budget") && o.budget < time.Second {
		return &datadropout.UsageError{Err: fmt.Errorf("--budget must be at least a second, such as 30m, got %s", o.budget)}
	}
	return nil
}
