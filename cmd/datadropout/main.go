// Command datadropout finds the training samples that hurt a convolutional network, drops them, trains again from
// scratch, and measures on untouched data whether it helped.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/internal/nearest"
)

// Exit codes, as every command's help lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUntrusted   = 3
	exitInput       = 10
	exitInterrupted = 130
)

const exitCodesHelp = `Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    done, but the result must not be trusted: the influence solver did not converge
  10   an input is missing or unreadable
  130  interrupted; the same command with --resume continues
`

// errUntrusted says that a run finished with a solver that did not converge.
var errUntrusted = errors.New("the influence solver did not converge: the result must not be trusted")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for the step
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs the command line and returns the exit code. Errors go to stderr in one line.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	refuseUnknownHelp(root) // the command completion writes to what was set
	warnOfVariables(root, os.Environ(), stderr)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "datadropout: "+oneLine(err))
	}
	return exitCode(err)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "datadropout",
		Short: "Find the training samples that hurt, drop them, train again, and prove whether it helped",
		Long: "datadropout trains an image classifier, estimates for every training sample how the validation loss would\n" +
			"change if that sample were removed, drops the harmful ones, trains again from scratch with identical\n" +
			"settings, and measures on untouched test data whether that helped.\n\n" + exitCodesHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       datadropout.Version(),
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRunCommand(), newPlanCommand(), newTrainCommand(), newScoreCommand(), newSelectCommand(), newRetrainCommand(), newReportCommand(), newReviewCommand(),
		newExportCommand(), newCompareCommand(), newCheckCommand(), newVerifyCommand(), newDataCommand(), newNetsCommand(),
		newRecipesCommand(), newBenchCommand(), newBackendCommand(), newDenoiseCommand(), newVersionCommand())
	addCompletion(root)
	addTopics(root)
	readEnvironment(root)
	return root
}

// flagError is what is wrong with the flags of a command line, with the nearest flag where one is unknown.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near := nearest.Name(unknown.GetSpecifiedName(), known); near != "" {
			err = fmt.Errorf("%w, did you mean --%s?", err, near)
		}
	}
	return &datadropout.UsageError{Err: plainValue(err)}
}

// plainValue says in plain words what is wrong with the value of a flag.
func plainValue(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	wanted, ok := map[string]string{
		"int": "a whole number", "int64": "a whole number", "uint64": "a whole number of at least 0", "float64": "a number", "bool": "true or false",
		"duration": "a length of time such as 90s, 30m or 2h",
	}[bad.GetFlag().Value.Type()]
	if !ok {
		return fmt.Errorf("--%s: %w", bad.GetFlag().Name, bad.Unwrap())
	}
	if errors.Is(bad.Unwrap(), strconv.ErrRange) {
		return fmt.Errorf("--%s: %s is beyond what a number can be", bad.GetFlag().Name, bad.GetValue())
	}
	return fmt.Errorf("--%s: %q is not %s", bad.GetFlag().Name, bad.GetValue(), wanted)
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	hint := ""
	if near := nearest.Name(args[0], known); near != "" {
		hint = ", did you mean " + near + "?"
	}
	return &datadropout.UsageError{Err: fmt.Errorf("unknown command %q%s; see %s --help", args[0], hint, cmd.CommandPath())}
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &datadropout.UsageError{Err: fmt.Errorf("%s takes no argument, got %q; see datadropout %s --help", cmd.Name(), args[0], cmd.Name())}
}

func exitCode(err error) int {
	var usage *datadropout.UsageError
	var input *dataset.InputError
	var path *fs.PathError
	var unreadable *dataset.UnreadableError
	var unwritable *durable.WriteError
	var damaged *durable.DamagedError
	var differs *datadropout.DiffersError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &differs):
		return exitCodeOf(differs)
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, errUntrusted):
		return exitUntrusted
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &input), errors.As(err, &unreadable), errors.As(err, &damaged):
		return exitInput
	case errors.As(err, &unwritable):
		return exitFailed
	case errors.As(err, &path) && errors.Is(err, fs.ErrNotExist):
		return exitInput
	}
	return exitFailed
}

// oneLine joins an error's lines: a message is one line, whatever a library put into it, but for a list of files.
func oneLine(err error) string {
	var unreadable *dataset.UnreadableError
	if errors.As(err, &unreadable) {
		return err.Error()
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", " ")), " ")
}
