package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/report"
)

func newCheckCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "check --run DIR",
		Short: "Compare every file of a run directory with its checksum",
		Long: "check reads every file that a run, or a study of verify, has written, and says of each that is damaged or gone what to\n" +
			"do about it. run --resume and the commands that read a run do so by themselves. The files of results are listed in\n" +
			"SHA256SUMS, which sha256sum -c reads too; what people edit, such as review.csv, has no checksum.\n\n" + checkExitCodes,
		Example: "  datadropout check --run runs/shapes-lenet5-20260101-120000",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runCheck(dir, cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&dir, "run", "", "directory of the run or study")
	return cmd
}

const checkExitCodes = `Exit codes:
  0    every file is as it was written
  1    failed
  2    wrong usage
  10   a file is damaged or gone, or nothing is there to check
`

func runCheck(dir string, stdout io.Writer) error {
	if dir == "" {
		return &datadropout.UsageError{Err: errors.New("say which run: --run DIR")}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return &dataset.InputError{Path: dir, Err: errors.New("no such directory")}
	}
	files, unknown, err := report.Check(dir)
	if err != nil {
		return err
	}
	wrong := 0
	for _, f := range files {
		if f.Err != nil {
			wrong++
			fmt.Fprintln(stdout, f.Err)
		}
	}
	if len(unknown) > 0 {
		fmt.Fprintf(stdout, "without a checksum: %s\n", strings.Join(unknown, ", "))
	}
	switch {
	case len(files) == 0:
		return &dataset.InputError{Path: dir, Err: errors.New("no file with a checksum is there")}
	case wrong > 0:
		return &dataset.InputError{Path: dir, Err: fmt.Errorf("%d of %d files are damaged or gone", wrong, len(files))}
	}
	fmt.Fprintf(stdout, "%d files: all as they were written\n", len(files))
	return nil
}
