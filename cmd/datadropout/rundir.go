package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/report"
)

// claimRun locks the directory of a run and checks its files.
func claimRun(dir string) (*durable.Lock, error) {
	if dir == "" {
		return nil, &datadropout.UsageError{Err: errors.New("say which run: --run DIR")}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, &dataset.InputError{Path: dir, Err: errors.New("no such run directory")}
	}
	if !datadropout.HoldsRun(dir) {
		return nil, &dataset.InputError{Path: dir, Err: errors.New("no finished run is there: it is empty, or the run was not finished")}
	}
	lock, err := durable.NewLock(dir, durable.LockFile)
	if err != nil {
		return nil, err
	}
	if err := checkRun(dir); err != nil {
		lock.Unlock()
		return nil, err
	}
	return lock, nil
}

// refuseDenoising refuses a run of denoising with what there is not for it, and says what to do instead.
func refuseDenoising(dir, task, what, instead string) error {
	if task != datadropout.Denoising {
		return nil
	}
	return &datadropout.UsageError{Err: fmt.Errorf("%s is a run of denoising, for which there is no %s: %s", dir, what, instead)}
}

// chooseAgain says how to drop something else in a run.
func chooseAgain(dir string) string {
	word := durable.ShellWord(dir)
	return fmt.Sprintf("look at %s, choose again with datadropout select --run %s --rule RULE, and train with datadropout run --resume --out %s", filepath.Join(dir, report.PageFile), word, word)
}

// checkRun refuses a locked run directory of which a file is damaged, clears away what killed processes have left half written,
// and writes config.yaml again if it was deleted. Other files that are gone are made again by whoever needs them.
func checkRun(dir string) error {
	files, _, err := report.Check(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		var damaged *durable.DamagedError
		if errors.As(f.Err, &damaged) {
			return f.Err
		}
	}
	if err := datadropout.Sweep(dir, report.ReviewFile); err != nil {
		return err
	}
	return report.RestoreSettings(dir)
}

// interruptedError says how to go on with what was interrupted.
type interruptedError struct {
	again string
	err   error
}

func (e *interruptedError) Error() string {
	return "interrupted; continue with: " + e.again
}

func (e *interruptedError) Unwrap() error { return e.err }

// explain says of an interruption, and of a disk that takes no more, what command goes on.
func explain(err error, again string) error {
	var unwritable *durable.WriteError
	var differs *datadropout.DiffersError
	switch {
	case errors.As(err, &differs):
		return &differentError{differs}
	case errors.Is(err, context.Canceled):
		return &interruptedError{again: again, err: err}
	case errors.As(err, &unwritable):
		return fmt.Errorf("%w; what is finished is kept: once it can be written, continue with: %s", err, again)
	}
	return err
}

// differentError names what differs by the flags of run.
type differentError struct{ *datadropout.DiffersError }

func (e *differentError) Error() string { return e.Words(settingName) }
func (e *differentError) Unwrap() error { return e.DiffersError }

// exitCodeOf tells wrong usage from data that have changed and from another version of the program.
func exitCodeOf(e *datadropout.DiffersError) int {
	code := exitFailed
	for _, d := range e.Differences {
		switch d.Setting {
		case datadropout.DifferentVersion:
		case datadropout.DifferentData, datadropout.DifferentLabels:
			code = exitInput
		default:
			return exitUsage
		}
	}
	return code
}

// flagsOf are the flags of settings that have another name in config.yaml.
var flagsOf = map[string]string{
	"recipe.batch_size": "batch", "recipe.learning_rate": "lr", "recipe.warmup_fraction": "warmup", "recipe.augmentation": "augment",
	"influence.scale": "lissa-scale", "influence.depth": "lissa-depth", "influence.repeats": "lissa-repeats",
	"influence.memory": "replay-memory", "influence.disk": "replay-disk",
	"denoise.test_dir": "test-data", "denoise.noisy_dir": "noisy-data", "denoise.noisy_test_dir": "noisy-test-data",
}

// settingName is the flag of run for a key of config.yaml, or the key where there is none.
func settingName(whole string) string {
	key := whole
	name := flagsOf[key]
	if name == "" {
		for _, group := range []string{"recipe.", "influence.", "denoise."} {
			key, _ = strings.CutPrefix(key, group)
		}
		name = strings.ReplaceAll(key, "_", "-")
	}
	if newRunCommand().Flags().Lookup(name) == nil {
		return whole + " of config.yaml"
	}
	return "--" + name
}
