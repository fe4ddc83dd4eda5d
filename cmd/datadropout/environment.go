package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/internal/nearest"
)

// environmentPrefix begins the names of the environment variables that stand for flags.
const environmentPrefix = "DATADROPOUT_"

// otherVariables are read by the packages below and stand for no flag. Those for tests begin with testPrefix.
var otherVariables = []string{dataset.CacheVariable, "DATADROPOUT_CPU_LEVEL", "DATADROPOUT_CPU_WINOGRAD"}

const testPrefix = environmentPrefix + "TESTING_"

// environmentName is the variable that stands for a flag: DATADROPOUT_WEIGHT_DECAY for --weight-decay.
func environmentName(flag string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// flagOfCommandLine says whether a flag can be given on the command line only.
func flagOfCommandLine(name string) bool { return name == "help" || name == "version" }

// readEnvironment makes every command set the flags that its command line leaves open from the environment, so that they count as given:
// a flag comes before its variable, and both before config file and recipe. It has to be before the arguments are checked,
// which looks at flags.
func readEnvironment(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		readEnvironment(sub)
	}
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := setFromEnvironment(cmd.Flags()); err != nil {
			return err
		}
		if check == nil {
			return nil
		}
		return check(cmd, args)
	}
}

// setFromEnvironment sets the flags that were not given. An empty variable is none.
func setFromEnvironment(flags *pflag.FlagSet) error {
	var wrong error
	flags.VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(environmentName(f.Name))
		if value == "" || f.Changed || flagOfCommandLine(f.Name) || wrong != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			wrong = &datadropout.UsageError{Err: fmt.Errorf("environment variable %s: %w", environmentName(f.Name), plainValue(err))}
		}
	})
	return wrong
}

// knownVariables lists the environment variables that a command or one below it reads, sorted.
func knownVariables(cmd *cobra.Command) []string {
	known := slices.Clone(otherVariables)
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !flagOfCommandLine(f.Name) {
				known = append(known, environmentName(f.Name))
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(cmd)
	slices.Sort(known)
	return slices.Compact(known)
}

// warnOfVariables names the variables of the environment that look like flags and are none.
func warnOfVariables(root *cobra.Command, environment []string, stderr io.Writer) {
	known := knownVariables(root)
	for _, entry := range slices.Sorted(slices.Values(environment)) {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, environmentPrefix) || strings.HasPrefix(name, testPrefix) || slices.Contains(known, name) {
			continue
		}
		hint := cmp.Or(nearest.Name(name, known), "datadropout help environment lists them")
		if strings.HasPrefix(hint, environmentPrefix) {
			hint = "did you mean " + hint + "?"
		}
		fmt.Fprintf(stderr, "datadropout: note: the environment variable %s stands for no flag; %s\n", name, hint)
	}
}
