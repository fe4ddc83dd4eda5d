package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/report"
)

type compareOptions struct {
	json bool
	html string
}

func newCompareCommand() *cobra.Command {
	o := &compareOptions{}
	cmd := &cobra.Command{
		Use:   "compare DIR DIR...",
		Short: "Put finished runs side by side: estimators, networks, data",
		Long: "compare shows finished runs beside each other: what dropping changed with its 95 % interval, the arms, how many samples\n" +
			"were dropped, what it cost, and the settings that differ. For every two runs on the same data it says how far\n" +
			"they agree: the rank correlation of their removal effects, and what both dropped (Jaccard: of the samples that\n" +
			"either dropped, the share that both did). Runs that were tested on the same samples are also compared with each\n" +
			"other, paired over seeds. Where runs can't be compared, it says why. The data are not needed.\n\n" + reportExitCodes,
		Example: "  datadropout compare runs/cg runs/metagradient\n" +
			"  datadropout compare runs/* --html compare.html",
		Args: func(_ *cobra.Command, dirs []string) error {
			if len(dirs) < 2 {
				return &datadropout.UsageError{Err: errors.New("name the directories of two finished runs or more")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, dirs []string) error {
			return runCompare(o, dirs, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.StringVar(&o.html, "html", "", "file to write a page to")
	return cmd
}

func runCompare(o *compareOptions, dirs []string, stdout, stderr io.Writer) error {
	c, err := report.Compare(dirs)
	if err != nil {
		return err
	}
	if o.html != "" {
		page, err := c.Page()
		if err != nil {
			return err
		}
		if _, err := durable.WriteFile(o.html, page); err != nil {
			return err
		}
	}
	if o.json {
		return json.NewEncoder(stdout).Encode(struct {
			Type string `json:"type"`
			*report.Comparison
		}{"comparison", c})
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(stderr, "note: %s\n", w)
	}
	return printComparison(stdout, c)
}

func printComparison(w io.Writer, c *report.Comparison) error {
	tables := [][][]string{{{"run", "data", "net", "estimator", "rule", "dropped", c.EffectTitle(), "verdict"}}, {{"run", "seeds", "full", "dropped", "random", "highest_loss", "influence", "in all"}}}
	for k := range c.Runs {
		r := &c.Runs[k]
		tables[0] = append(tables[0], []string{r.Name, r.Result.Data.Name, r.Result.Net.Name, r.Result.Infl.Estimator, r.Result.Drop.Rule, r.Drop(), r.Effect(), r.Result.Effect.Verdict})
		line := []string{r.Name, fmt.Sprint(r.Seeds())}
		for _, arm := range datadropout.Arms {
			line = append(line, r.ArmMetric(arm))
		}
		tables[1] = append(tables[1], append(line, fmt.Sprintf("%.3g s", r.Result.Seconds.Influence), fmt.Sprintf("%.3g s", r.Result.Seconds.Total)))
	}
	pairs := [][]string{{"runs", "common", "rank correlation", "dropped by both", "Jaccard", "second - first"}}
	for _, p := range c.Pairs {
		line := []string{c.Name(p.A) + ", " + c.Name(p.B), "other data", "", "", "", c.PairEffect(p)}
		if p.Common > 0 {
			line = []string{line[0], fmt.Sprint(p.Common), p.SpearmanWords(), fmt.Sprint(p.BothDropped), p.JaccardWords(), line[5]}
		}
		pairs = append(pairs, line)
	}
	tables = append(tables, pairs)
	if len(c.Settings) > 0 {
		settings := [][]string{{"differs"}}
		for k := range c.Runs {
			settings[0] = append(settings[0], c.Name(k))
		}
		for _, s := range c.Settings {
			line := []string{s.Key}
			for _, v := range s.Values {
				line = append(line, shortValue(v))
			}
			settings = append(settings, line)
		}
		tables = append(tables, settings)
	}
	for k, rows := range tables {
		if k > 0 {
			fmt.Fprintln(w)
		}
		if err := printColumns(w, rows, make([]bool, len(rows[0]))...); err != nil {
			return err
		}
	}
	return nil
}

// shortValue cuts a value that would make a table too wide.
func shortValue(s string) string {
	if r := []rune(s); len(r) > 24 {
		return string(r[:23]) + "…"
	}
	return s
}
