package main

import (
	"io"

	"github.com/datadropout/datadropout"
)

// printer shows a run: events while it goes on, the result at its end.
type printer interface {
	// begin announces the run.
	begin(c datadropout.Config, d *datadropout.Data, dir string)
	// event shows an event.
	event(e datadropout.Event)
	// endProgress leaves the line of progress, if one is open.
	endProgress()
	// result shows what came out.
	result(o *datadropout.Outcome, dir string)
}

func newPrinter(asJSON, quiet bool, stdout, stderr io.Writer) printer {
	if asJSON {
		return newJSONPrinter(stdout)
	}
	return newTextPrinter(stdout, stderr, quiet)
}
