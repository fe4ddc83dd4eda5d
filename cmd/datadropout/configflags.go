package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/internal/nearest"
	"github.com/datadropout/datadropout/report"
)

// notInFiles are flags that say where the settings come from, which the settings can't.
var notInFiles = []string{"config", "help", "resume", "force"}

// setFromFile sets the flags that a config file names under the key flags, less those that were given. A list is joined by commas.
func setFromFile(flags *pflag.FlagSet, file string, values map[string]any, given func(name string) bool) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		wrong := func(format string, args ...any) error {
			return &datadropout.UsageError{Err: fmt.Errorf("%s: flags: "+format, append([]any{file}, args...)...)}
		}
		if flags.Lookup(name) == nil || slices.Contains(notInFiles, name) {
			var known []string
			flags.VisitAll(func(f *pflag.Flag) {
				if !slices.Contains(notInFiles, f.Name) {
					known = append(known, f.Name)
				}
			})
			return wrong("unknown flag %q%s", name, nearest.Among(name, known))
		}
		if given(name) || name == "recipe" { // which is read before
			continue
		}
		if err := flags.Set(name, flagText(values[name])); err != nil {
			return wrong("%s: %w", name, err)
		}
	}
	return nil
}

// flagText writes a value of YAML as a flag takes it.
func flagText(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	texts := make([]string, len(list))
	for k, item := range list {
		texts[k] = fmt.Sprint(item)
	}
	return strings.Join(texts, ",")
}

// recipeOfFile is the recipe that a config file names under the key flags; empty where there is none, or no such file.
func recipeOfFile(file string) string {
	found, err := report.ReadSettings(file)
	if err != nil || found.Flags["recipe"] == nil {
		return "" // what is wrong with the file is said when it is read
	}
	return flagText(found.Flags["recipe"])
}
