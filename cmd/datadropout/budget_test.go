package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/report"
)

// paced is a measurer that has measured: every sample of every phase takes a millisecond.
func paced(t *testing.T, c *datadropout.Config) *measurer {
	t.Helper()
	data, err := datadropout.LoadData(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := datadropout.NewPlan(*c, data)
	if err != nil {
		t.Fatal(err)
	}
	m := newMeasurer(nil, data)
	for _, phase := range p.Phases() {
		m.speeds[phase] = datadropout.Speed{Sample: 1e-3}
	}
	return m
}

func budgetConfig() datadropout.Config {
	c := datadropout.DefaultConfig()
	c.Train, c.Score, c.Tune, c.Test, c.Net = 400, 100, 100, 100, "softmax"
	c.Recipe.Epochs = 2
	return c
}

// A budget lowers no more than it has to: with a cut taken back the run would not fit.
func TestFitLowersNoMoreThanItMust(t *testing.T) {
	whole := budgetConfig()
	m := paced(t, &whole)
	p, err := datadropout.NewPlan(whole, m.data)
	if err != nil {
		t.Fatal(err)
	}
	all := total(m.estimate(p).most)
	for _, share := range []float64{1.01, 0.7} {
		c := whole
		budget := seconds(share * all)
		e, err := fit(t.Context(), &c, m, budget)
		if err != nil {
			t.Errorf("%.0f %% of the time: %v", 100*share, err)
			continue
		}
		if total(e.most) > budget.Seconds() {
			t.Errorf("%.0f %% of the time: the plan takes %v", 100*share, total(e.most)/all)
		}
		if share > 1 != (len(e.cuts) == 0) {
			t.Errorf("%.0f %% of the time: cuts %+v", 100*share, e.cuts)
		}
		// The settings say what was cut.
		for _, cut := range e.cuts {
			if cut.Saves <= 0 || cut.From == cut.To || cut.Means == "" {
				t.Errorf("%.0f %% of the time: cut %+v", 100*share, cut)
			}
			back := c
			switch cut.Setting {
			case "seeds":
				back.Seeds++
			case "rule":
				back.Rule = whole.Rule
			case "hessian-samples":
				back.Influence.HessianSamples = whole.Influence.HessianSamples
			default:
				continue
			}
			more, err := datadropout.NewPlan(back, m.data)
			if err != nil {
				t.Fatal(err)
			}
			if took := total(m.estimate(more).most); cut.Setting == "seeds" && took <= budget.Seconds() {
				t.Errorf("%.0f %% of the time: %s was cut to %s, and one more would have fitted", 100*share, cut.Setting, cut.To)
			}
		}
		if c.Seeds < leastSeeds {
			t.Errorf("%.0f %% of the time: %d seeds", 100*share, c.Seeds)
		}
	}
	c := whole
	_, err = fit(t.Context(), &c, m, seconds(0.05*all))
	var over *overBudgetError
	var usage *datadropout.UsageError
	if !errors.As(err, &over) || !errors.As(err, &usage) || over.least <= over.budget || !strings.Contains(err.Error(), "--seeds 3") || !strings.Contains(err.Error(), "more") {
		t.Errorf("a twentieth of the time: %v", err)
	}
	if c.Seeds != whole.Seeds || c.Rule != whole.Rule {
		t.Error("the settings were changed though nothing fits")
	}
}

// Dose controls and influence seeds go first, for the verdict does not depend on them.
func TestFitCutsWhatTheVerdictMissesLeast(t *testing.T) {
	whole := budgetConfig()
	whole.DoseControls, whole.InfluenceSeeds = true, 3
	m := paced(t, &whole)
	without := whole
	without.DoseControls = false
	p, err := datadropout.NewPlan(without, m.data)
	if err != nil {
		t.Fatal(err)
	}
	c := whole
	e, err := fit(t.Context(), &c, m, seconds(total(m.estimate(p).most)+0.001))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.cuts) != 1 || e.cuts[0].Setting != "dose-controls" || c.DoseControls || c.Seeds != whole.Seeds || c.InfluenceSeeds != 3 {
		t.Errorf("cuts %+v", e.cuts)
	}
}

// The settings that a budget led to are those of the run directory: it goes on, and is repeated, without measuring again.
func TestBudgetLandsInTheConfig(t *testing.T) {
	if testing.Short() {
		t.Skip("a run with a measurement of two seconds")
	}
	out := filepath.Join(t.TempDir(), "run")
	args := with(out, "--rule", "auto", "--seeds", "6")
	code, _, stderr := runCommand(t, append(args, "--epochs", "100000", "--budget", "1s")...)
	if code != exitUsage || !strings.Contains(stderr, "--budget 1.0 s") || !strings.Contains(stderr, "more") {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	if exists(out) {
		t.Error("something was written for a run that does not fit")
	}
	code, _, stderr = runCommand(t, append(args, "--budget", "9h")...)
	if code != exitDone || !strings.Contains(stderr, "nothing had to be cut") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	found, err := report.ReadSettings(filepath.Join(out, report.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if found.Config.Seeds != 6 {
		t.Errorf("%d seeds in the config", found.Config.Seeds)
	}
	began := time.Now()
	// The same command with --resume, and a budget by which it would not be begun.
	if code, _, stderr := runCommand(t, append(args, "--seeds", "7", "--budget", "1s", "--resume")...); code != exitDone {
		t.Errorf("resumed: exit code %d after %v: %s", code, time.Since(began), stderr)
	}
}
