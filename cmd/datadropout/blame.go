package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
)

// blame names the flag that a usage error is about: the one without which the settings are right, or wrong in another way. check
// returns the error of the flags without one of them, and of all of them for "". An error that names a flag, or that no single flag is to
// blame for, stays as it is.
func blame(err error, given *pflag.FlagSet, check func(without string) error) error {
	var usage *datadropout.UsageError
	if given == nil || !errors.As(err, &usage) || strings.Contains(err.Error(), "--") {
		return err
	}
	if again := check(""); again == nil || again.Error() != err.Error() {
		return err // which is not the flags' alone
	}
	// A flag whose value the message repeats comes first: another one may only decide whether that value counts. One without which all is
	// right comes before one without which something else is wrong.
	var found string
	best := 0
	given.Visit(func(f *pflag.Flag) {
		rank := 1
		switch other := check(f.Name); {
		case other != nil && other.Error() == err.Error():
			return
		case strings.Contains(err.Error(), f.Value.String()):
			rank = 3
		case other == nil:
			rank = 2
		}
		if rank > best {
			found, best = f.Name, rank
		}
	})
	if found == "" {
		return err
	}
	return &datadropout.UsageError{Err: fmt.Errorf("--%s: %w", found, err)}
}

// copyFlags sets in one set of flags what is given in another, but for the one of the name. Those that it does not know are left out.
func copyFlags(to, from *pflag.FlagSet, without string) error {
	var failed error
	from.Visit(func(f *pflag.Flag) {
		into := to.Lookup(f.Name)
		if into == nil || f.Name == without || failed != nil {
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			failed = into.Value.(pflag.SliceValue).Replace(list.GetSlice())
			into.Changed = true
			return
		}
		failed = to.Set(f.Name, f.Value.String())
	})
	return failed
}

// keepFlags returns the flags of a command as they were given, with variables of their own: reading settings changes those of the command.
func keepFlags(given *pflag.FlagSet, add func(*pflag.FlagSet)) *pflag.FlagSet {
	kept := pflag.NewFlagSet("", pflag.ContinueOnError)
	add(kept)
	_ = copyFlags(kept, given, "") // what was parsed once parses again
	return kept
}

// blame names the flag of a run that a usage error is about.
func (o *runOptions) blame(err error) error {
	return blame(err, o.given, func(without string) error {
		again := &runOptions{settings: defaultSettings()}
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		again.addFlags(f)
		if err := copyFlags(f, o.given, without); err != nil {
			return err
		}
		again.out, again.resume, again.rescored, again.stage = o.out, o.resume, o.rescored, o.stage
		if err := again.readConfig(f); err != nil {
			return err
		}
		return again.config.Validate()
	})
}

// blame names the flag of a study that a usage error is about.
func (o *verifyOptions) blame(err error) error {
	return blame(err, o.given, func(without string) error {
		again := &verifyOptions{settings: defaultSettings()}
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		again.addFlags(f)
		if err := copyFlags(f, o.given, without); err != nil {
			return err
		}
		if err := again.read(f); err != nil {
			return err
		}
		if err := again.config.Validate(); err != nil {
			return err
		}
		return again.study.Validate()
	})
}
