package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/bench"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/evidence"
	"github.com/datadropout/datadropout/fetch"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// flagNames are the values that a shell completes behind a flag, whichever command has it.
func flagNames() map[string][]string {
	return map[string][]string{
		"net": net.Classifiers(), "influence-net": net.Classifiers(), "activation": net.Activations(), "pool": net.Poolings(),
		"recipe": train.RecipeNames(), "influence-recipe": train.RecipeNames(), "schedule": train.Schedules,
		"estimator": influence.Names(), "estimators": influence.Names(), "curvature": {influence.GaussNewton, influence.Hessian},
		"rule": strings.Split(datadropout.Rules, ", "), "label-noise-kind": datadropout.LabelNoiseKinds,
		"tests": evidence.Tests, "removal": {evidence.ByWeight, evidence.ByLeavingOut}, "phase": bench.Phases,
		"splits": splitsNames, "arm": exportArms,
	}
}

// flagFolders are the flags that take a folder.
var flagFolders = []string{"run", "out", "copy", "symlink", "dropped", "tensorboard", "data-dir"}

// addCompletion tells shells what to complete in every command.
func addCompletion(cmd *cobra.Command) {
	names := flagNames()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if known, ok := names[f.Name]; ok {
			must(cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp)))
		}
	})
	if cmd.Flags().Lookup("data") != nil { // a name, or a path
		must(cmd.RegisterFlagCompletionFunc("data", cobra.FixedCompletions(dataset.Known(), cobra.ShellCompDirectiveDefault)))
	}
	for _, name := range flagFolders {
		if cmd.Flags().Lookup(name) != nil {
			must(cmd.MarkFlagDirname(name))
		}
	}
	switch cmd.CommandPath() {
	case "datadropout nets":
		cmd.ValidArgs = net.Names()
	case "datadropout recipes":
		cmd.ValidArgs = train.RecipeNames()
	case "datadropout data fetch":
		for _, s := range fetch.Sets() {
			cmd.ValidArgs = append(cmd.ValidArgs, s.Name)
		}
	case "datadropout compare":
		cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	}
	for _, sub := range cmd.Commands() {
		addCompletion(sub)
	}
}

// must is for what can't fail: the flags were looked up.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
