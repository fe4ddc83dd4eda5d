package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The help of every command is what it was; a change is looked at in the golden file.
func TestHelp(t *testing.T) {
	var visit func(cmd *cobra.Command, path []string)
	visit = func(cmd *cobra.Command, path []string) {
		if cmd.Hidden || cmd.Name() == "completion" || cmd.Name() == "help" {
			return
		}
		code, stdout, stderr := runCommand(t, append(slices.Clone(path), "--help")...)
		if code != exitDone || stderr != "" {
			t.Errorf("%v --help: exit code %d, stderr %q", path, code, stderr)
		}
		golden(t, "help/"+strings.Join(append([]string{"datadropout"}, path...), "-")+".txt", stdout)
		for _, sub := range cmd.Commands() {
			visit(sub, append(slices.Clone(path), sub.Name()))
		}
	}
	visit(newRootCommand(), nil)
}
