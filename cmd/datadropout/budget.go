package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/datadropout/datadropout"
)

// cut is a setting that was lowered to fit a run into its budget.
type cut struct {
	// Setting is its flag without the dashes. From and To are what it was and is, and Means what that means for the result.
	Setting string `json:"setting"`
	From    string `json:"from"`
	To      string `json:"to"`
	Means   string `json:"means"`
	// Saves is how many seconds less the run takes by it.
	Saves float64 `json:"saves_seconds"`
}

// reduction lowers one setting to a value, where it is higher.
type reduction struct {
	setting, means string
	// value returns the setting as it is written, and lower lowers it; it returns false where there is nothing to lower.
	value func(c *datadropout.Config) string
	lower func(c *datadropout.Config) bool
}

// reductions lists what a budget may cost, what the verdict misses least first. The last ones are the least that a comparison can do
// with.
func reductions() []reduction {
	seeds := func(n int) reduction {
		return reduction{"seeds", "the interval of the effect is wider", func(c *datadropout.Config) string { return strconv.Itoa(c.Seeds) },
			func(c *datadropout.Config) bool { return lower(&c.Seeds, n) }}
	}
	hessian := func(n int) reduction {
		return reduction{"hessian-samples", "the curvature is that of fewer samples, and the scores a little noisier",
			func(c *datadropout.Config) string { return strconv.Itoa(c.Influence.HessianSamples) },
			func(c *datadropout.Config) bool {
				if c.Influence.HessianSamples < 0 {
					c.Influence.HessianSamples = c.Train
				}
				return lower(&c.Influence.HessianSamples, n)
			}}
	}
	amounts := func(fractions ...float64) reduction {
		return reduction{"rule", "fewer amounts to drop are tried", func(c *datadropout.Config) string { return c.Rule },
			func(c *datadropout.Config) bool { return lowerAmounts(c, fractions) }}
	}
	all := []reduction{
		{"dose-controls", "the page has no dose-response of the controls", func(c *datadropout.Config) string { return strconv.FormatBool(c.DoseControls) },
			func(c *datadropout.Config) bool { was := c.DoseControls; c.DoseControls = false; return was }},
		{"influence-seeds", "the scores are those of one initialization", func(c *datadropout.Config) string { return strconv.Itoa(c.InfluenceSeeds) },
			func(c *datadropout.Config) bool { return lower(&c.InfluenceSeeds, 1) }},
		hessian(512),
		amounts(0.05, 0.1, 0.2),
	}
	for n := 30; n > leastSeeds; n-- {
		all = append(all, seeds(n))
	}
	return append(all, hessian(256), seeds(leastSeeds), amounts(0.05, 0.2), amounts(0.1))
}

// leastSeeds is the number of paired repetitions below which an interval says next to nothing.
const leastSeeds = 3

func lower(v *int, to int) bool {
	if *v <= to {
		return false
	}
	*v = to
	return true
}

// lowerAmounts makes the rule auto try those amounts, where it tries more.
func lowerAmounts(c *datadropout.Config, fractions []float64) bool {
	rule, err := datadropout.ParseRule(c.Rule)
	auto, ok := rule.(datadropout.Auto)
	if err != nil || !ok {
		return false
	}
	now := len(auto.Fractions)
	if now == 0 {
		now = len(datadropout.AutoFractions)
	}
	if now <= len(fractions) {
		return false
	}
	c.Rule = datadropout.Auto{Fractions: fractions}.String()
	return true
}

// overBudgetError says that not even the least fits.
type overBudgetError struct {
	budget, least time.Duration
	cuts          []cut
}

func (e *overBudgetError) Error() string {
	with := ""
	for _, c := range e.cuts {
		with += fmt.Sprintf("--%s %s, ", c.Setting, c.To)
	}
	return fmt.Sprintf("--budget %s: even with the least, %sthe run may take %s, %s more; lower --epochs or --train, or take a smaller network",
		duration(e.budget), with, duration(e.least), duration(e.least-e.budget))
}

// fitting looks for the settings by which a run fits.
type fitting struct {
	measurer *measurer
	whole    datadropout.Config
	all      []reduction
}

// lowered returns the settings with the given reductions, by their numbers.
func (f *fitting) lowered(used []int) datadropout.Config {
	c := f.whole
	for _, k := range used {
		f.all[k].lower(&c)
	}
	return c
}

// estimate plans a run with the given reductions.
func (f *fitting) estimate(ctx context.Context, used []int) (*estimate, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := datadropout.NewPlan(f.lowered(used), f.measurer.data)
	if err != nil {
		return nil, err
	}
	return f.measurer.estimate(p), nil
}

// without returns the reductions less those that are not wanted.
func without(used []int, unwanted func(k int) bool) []int {
	return slices.DeleteFunc(slices.Clone(used), unwanted)
}

// fit lowers settings until the run fits into the budget by the plan's upper bound, and takes back what did not have to be lowered.
// It returns the plan that fits. m must have measured the phases of the plan: lowered settings have no others.
func fit(ctx context.Context, c *datadropout.Config, m *measurer, budget time.Duration) (*estimate, error) {
	f := &fitting{measurer: m, whole: *c, all: reductions()}
	var used []int
	fitted, err := f.estimate(ctx, nil)
	if err != nil {
		return nil, err
	}
	fits := func(e *estimate) bool { return total(e.most) <= budget.Seconds() }
	for k := 0; k < len(f.all) && !fits(fitted); k++ {
		if lowered := f.lowered(used); !f.all[k].lower(&lowered) {
			continue
		}
		e, err := f.estimate(ctx, append(slices.Clone(used), k))
		if err != nil {
			return nil, err
		}
		if total(e.most) < total(fitted.most) {
			fitted, used = e, append(used, k)
		}
	}
	if lowered := f.lowered(used); !fits(fitted) {
		return nil, &datadropout.UsageError{Err: &overBudgetError{budget, seconds(total(fitted.most)), cuts(c, &lowered)}}
	}
	for _, k := range slices.Clone(used) {
		back := without(used, func(u int) bool { return u == k })
		e, err := f.estimate(ctx, back)
		if err != nil {
			return nil, err
		}
		if fits(e) {
			fitted, used = e, back
		}
	}
	lowered := f.lowered(used)
	fitted.budget, fitted.cuts = budget, cuts(c, &lowered)
	for i := range fitted.cuts {
		one := &fitted.cuts[i]
		e, err := f.estimate(ctx, without(used, func(u int) bool { return f.all[u].setting == one.Setting }))
		if err != nil {
			return nil, err
		}
		one.Saves = total(e.most) - total(fitted.most)
	}
	*c = lowered
	return fitted, nil
}

// cuts lists the settings that differ.
func cuts(from, to *datadropout.Config) []cut {
	var all []cut
	seen := map[string]bool{}
	for _, r := range reductions() {
		if a, b := r.value(from), r.value(to); a != b && !seen[r.setting] {
			seen[r.setting] = true
			all = append(all, cut{Setting: r.setting, From: a, To: b, Means: r.means})
		}
	}
	return all
}

// keepFitted copies the settings that a budget may lower: those of a run that goes on are what they were fitted to when it began.
func keepFitted(to, from *datadropout.Config) {
	to.DoseControls, to.InfluenceSeeds, to.Rule, to.Seeds = from.DoseControls, from.InfluenceSeeds, from.Rule, from.Seeds
	to.Influence.HessianSamples = from.Influence.HessianSamples
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
