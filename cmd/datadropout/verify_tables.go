package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/datadropout/datadropout/evidence"
	"github.com/datadropout/datadropout/report"
)

// verified writes the figures of a study as tables, one a test.
func (p *textPrinter) verified(r *evidence.Result, dir string) {
	p.finishStage()
	w := p.stdout
	fmt.Fprintln(w)
	table := func(head string, rows func(t io.Writer)) {
		t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
		fmt.Fprintln(t, head)
		rows(t)
		t.Flush()
		fmt.Fprintln(w)
	}
	table("estimator\tseconds\tfull trainings\tsolver", func(t io.Writer) {
		for _, e := range r.Estimators {
			solver := "none"
			switch {
			case !e.Solver.Converged:
				solver = "not converged"
			case e.Solver.Iterations > 0:
				solver = fmt.Sprintf("%d iterations to %.1e", e.Solver.Iterations, e.Solver.Residual)
			}
			fmt.Fprintf(t, "%s\t%.2f\t%.3g\t%s\n", e.Name, e.Seconds, e.Trainings, solver)
		}
	})
	asked := func(test string) bool { return slices.Contains(r.Options.Tests, test) }
	if asked(evidence.LOO) {
		table(fmt.Sprintf("leaving out %d\ttrainings\tPearson\tSpearman\tslope", r.Options.LOOGroup), func(t io.Writer) {
			for _, e := range r.Estimators {
				fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", e.Name, len(e.LOO.True), report.Figure(e.LOO.Pearson, 4), report.Correlation(e.LOO.Spearman, e.LOO.SpearmanCI), slope(e, e.LOO.Agreement))
			}
		})
	}
	if asked(evidence.LDS) {
		head := "LDS\tdropped\tSpearman\tPearson\tslope"
		if r.Options.PerPoint > 0 {
			head += "\tper test point"
		}
		table(head, func(t io.Writer) {
			for _, e := range r.Estimators {
				for _, l := range e.LDS {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s", e.Name, share(l.Fraction), report.Correlation(l.Spearman, l.SpearmanCI), report.Figure(l.Pearson, 3), slope(e, l.Agreement))
					if l.PerPoint != nil {
						fmt.Fprintf(t, "\t%s", report.Correlation(l.PerPoint.Spearman, l.PerPoint.SpearmanCI))
					}
					fmt.Fprintln(t)
				}
			}
		})
	}
	if asked(evidence.Group) {
		table("change of the test loss\tdropped\tmost harmful\trandom\tmost helpful\taccuracy, points: harmful\trandom\thelpful", func(t io.Writer) {
			for _, e := range r.Estimators {
				for _, g := range e.Group {
					fmt.Fprintf(t, "%s\t%s\t%+.4f\t%+.4f\t%+.4f\t%+.2f\t%+.2f\t%+.2f\n", e.Name, share(g.Fraction), g.Harmful.TestLoss, g.Random.TestLoss, g.Helpful.TestLoss,
						100*g.Harmful.TestMetric, 100*g.Random.TestMetric, 100*g.Helpful.TestMetric)
				}
			}
		})
	}
	if asked(evidence.Mislabel) {
		table("planted labels\tAUC\tin the first 5 %\t10 %\t20 %", func(t io.Writer) {
			for _, e := range r.Estimators {
				fmt.Fprintf(t, "%s\t%s", e.Name, report.Figure(e.Mislabel.AUC, 3))
				for _, f := range e.Mislabel.Found {
					fmt.Fprintf(t, "\t%.1f %%", 100*f.Found)
				}
				fmt.Fprintln(t)
			}
		})
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "Note: %s\n", warning)
	}
	fmt.Fprintf(w, "Hyper-parameters: %s.\n", r.HyperParameters)
	fmt.Fprintf(w, "Took %s; the page to look at is %s\n", duration(seconds(r.Seconds)), filepath.Join(dir, report.VerifyPageFile))
}

// slope writes a slope where the estimator predicts in loss units.
func slope(e evidence.EstimatorResult, a evidence.Agreement) string {
	if !e.Calibrated {
		return "ranking only"
	}
	return report.Figure(a.Slope, 3)
}

func share(fraction float64) string { return fmt.Sprintf("%.4g %%", 100*fraction) }
