package main

import (
	"io"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/evidence"
)

// printer shows a run or a study: events while it goes on, the result at its end.
type printer interface {
	// begin announces the run.
	begin(c datadropout.Config, d *datadropout.Data, dir string)
	// event shows an event.
	event(e datadropout.Event)
	// endProgress leaves the line of progress, if one is open.
	endProgress()
	// result shows what came out.
	result(o *datadropout.Outcome, dir string)
	// verified shows what came out of a study of the estimators.
	verified(r *evidence.Result, dir string)
}

func newPrinter(asJSON, quiet bool, stdout, stderr io.Writer) printer {
	if asJSON {
		return newJSONPrinter(stdout)
	}
	return newTextPrinter(stdout, stderr, quiet)
}
