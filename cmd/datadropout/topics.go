package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/docs"
	"github.com/datadropout/datadropout/internal/nearest"
)

// addTopics adds the pages of help that are no commands: datadropout help TOPIC.
func addTopics(root *cobra.Command) {
	for _, t := range []struct{ name, about, text string }{
		{"method", "The method with its equations", docs.Method},
		{"files", "The run directory, and every file that is read or written", docs.Files},
		{"rules", "The rules that say what to drop", rulesTopic},
		{"exit-codes", "What the exit codes mean", exitCodesTopic},
		{"environment", "Environment variables, config files, and what comes before what", environmentTopic(root)},
	} {
		root.AddCommand(&cobra.Command{Use: t.name, Short: t.about, Long: strings.TrimSpace(t.text)})
	}
}

// refuseUnknownHelp makes datadropout help and datadropout completion refuse what they do not know, with the nearest name; else they
// show the help of the command above it as if that had been asked for.
func refuseUnknownHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			show := cmd.Run
			cmd.Run = nil
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err == nil && len(rest) == 0 {
					show(cmd, args)
					return nil
				}
				if found == nil || len(rest) == 0 {
					found, rest = root, args
				}
				var known []string
				for _, c := range found.Commands() {
					if c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() {
						known = append(known, c.Name())
					}
				}
				hint := "; see datadropout help"
				if near := nearest.Name(rest[0], known); near != "" {
					hint = ", did you mean " + near + "?"
				}
				return &datadropout.UsageError{Err: fmt.Errorf("no help on %q%s", strings.Join(args, " "), hint)}
			}
		case "completion":
			cmd.Args = unknownCommand
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

const rulesTopic = `A rule (--rule) says which training samples are dropped, given their removal effects delta.

  auto           tries shares of 2, 5, 10, 20 and 30 % of the most harmful samples, never more than have a delta below
                 zero, and, where there are standard errors, what significant:0.1 and shrunk drop. Each is trained once
                 and compared with dropping nothing on the tune split; what qualifies by more than chance is trained
                 again at every seed, and dropped if it holds there. It may drop nothing. The default.
  unfavorable    every sample with a delta below zero: the rule of the Data Dropout paper
  significant:Q  the samples whose delta lies below zero and below the mean of all by more than score folds and seeds
                 differ, with the false discovery rate held at Q, 0 < Q < 1
  shrunk         the samples whose delta is below zero, and below the mean by two standard deviations after it has been
                 drawn towards it as far as it is noise
  count:N        the N most harmful samples, whatever the sign of their delta
  fraction:F     that share of them, 0 < F < 1

significant and shrunk need standard errors: an estimator with the score split for its target and --score-folds
above 1, or --influence-seeds above 1.`

const exitCodesTopic = exitCodesHelp + `
Errors are one line on stderr; data go to stdout, progress to stderr. A run that exits with 3 has written all of its
files: what it found must not be trusted, because the influence solver did not converge, or because training is not
smooth enough for the metagradient. 10 names the file and the record that can't be read, before anything is trained.
Every command's help lists the codes that it has.`

// environmentTopic explains where settings come from, with the names of all variables.
func environmentTopic(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`A setting comes from the first of these that has it:

  1. the flag on the command line, such as --weight-decay 5e-4
  2. the environment variable of the flag: ` + environmentName("weight-decay") + `=5e-4
  3. the config file (--config, or its variable): a run's config.yaml, or a file of your own with some of its keys
  4. the recipe (--recipe)
  5. the default

Every flag has its variable, in every command that has the flag. Switches take true and false. An empty variable is
none, and one that stands for no flag is named on stderr.

A config file may hold flags of run and verify that are no keys of config.yaml under the key flags, by their names:

  net: cnn
  recipe:
    epochs: 12
  flags:
    out: runs/study
    estimators: [cg, graddot]

The variables:

`)
	for _, name := range knownVariables(root) {
		b.WriteString("  " + name + "\n")
	}
	return b.String()
}
