package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/report"
)

// reportExitCodes are those of the commands that read a run.
const reportExitCodes = `Exit codes:
  0    done
  1    failed
  2    wrong usage
  10   the run directory is missing, unfinished or damaged
`

func newReportCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "report --run DIR",
		Short: "Make the page of a finished run anew",
		Long: "report writes report.html of a run directory again, from result.json and page.json: the data are not needed,\n" +
			"page.json holds the pictures. A newer version of the program makes its newer page of an old run.\n\n" + reportExitCodes,
		Example: "  datadropout report --run runs/shapes-lenet5-20260101-120000",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runReport(dir, cmd.OutOrStdout())
		},
	}
	addRunFlag(cmd, &dir)
	return cmd
}

// addRunFlag adds the flag of a command that reads a run.
func addRunFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(dir, "run", "", "directory of the finished run")
}

// readRun reads what the page of the run in the directory shows.
func readRun(dir string) (*report.Content, error) {
	if dir == "" {
		return nil, &datadropout.UsageError{Err: fmt.Errorf("say which run: --run DIR")}
	}
	return report.ReadContent(dir)
}

func runReport(dir string, stdout io.Writer) error {
	lock, err := claimRun(dir)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	content, err := readRun(dir)
	if err != nil {
		return err
	}
	if err := report.WritePage(dir, content); err != nil {
		return err
	}
	fmt.Fprintln(stdout, filepath.Join(dir, report.PageFile))
	return nil
}
