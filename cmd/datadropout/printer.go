package main

import (
	"errors"
	"io"

	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/evidence"
)

// printer shows a run or a study: events while it goes on, the result at its end.
type printer interface {
	// begin announces the run.
	begin(c datadropout.Config, d *datadropout.Data, dir string)
	// plan shows what the run will take.
	plan(e *estimate, c datadropout.Config)
	// event shows an event.
	event(e datadropout.Event)
	// endProgress leaves the line of progress, if one is open.
	endProgress()
	// result shows what came out.
	result(o *datadropout.Outcome, dir string)
	// verified shows what came out of a study of the estimators.
	verified(r *evidence.Result, dir string)
}

// verbosity is how much is told, and in which form.
type verbosity struct{ json, quiet, verbose bool }

func (v *verbosity) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&v.json, "json", false, "print JSON lines with a type on stdout (docs/events.md)")
	v.addTextFlags(f)
}

func (v *verbosity) addTextFlags(f *pflag.FlagSet) {
	f.BoolVarP(&v.quiet, "quiet", "q", false, "no progress on stderr")
	f.BoolVarP(&v.verbose, "verbose", "v", false, "a line for every training, and how the solver fared")
}

func (v *verbosity) checkVerbosity() error {
	if v.quiet && v.verbose {
		return &datadropout.UsageError{Err: errors.New("--quiet and --verbose exclude each other")}
	}
	return nil
}

// progress is where lines about what goes on before a run go: nowhere, if none or JSON was asked for.
func (v *verbosity) progress(stderr io.Writer) io.Writer {
	if v.json || v.quiet {
		return io.Discard
	}
	return stderr
}

func newPrinter(v verbosity, stdout, stderr io.Writer) printer {
	if v.json {
		return newJSONPrinter(stdout)
	}
	return newTextPrinter(stdout, stderr, v)
}
