package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/backend"
)

func newBackendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backend",
		Short: "List and check what can compute here, and install the plugin for NVIDIA GPUs",
		Long: "backend lists what --backend takes on this machine, and installs XLA's plugin for NVIDIA GPUs. Without it everything is\n" +
			"computed by this program itself.\n\n" + backendExitCodes,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBackendListCommand(), newBackendCheckCommand(), newBackendInstallCommand())
	return cmd
}

const backendExitCodes = `Exit codes:
  0    done
  1    failed
  2    wrong usage
`

func newBackendListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the backends, with the devices they find",
		Long: "list prints the backends: which can be used here, the devices they find, and what to do for the others. It opens each plugin\n" +
			"that is installed. Plugins lie where backend install puts them, or in the folders of " + backend.PluginPathEnv + ".\n\n" + backendExitCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBackendList(asJSON, cmd.OutOrStdout()) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON line each")
	return cmd
}

// backendLine is a backend as list --json prints it.
type backendLine struct {
	Type string `json:"type"`
	backend.Description
}

func runBackendList(asJSON bool, stdout io.Writer) error {
	auto, err := backend.Resolve(backend.Auto)
	if err != nil {
		return err
	}
	for _, d := range backend.List() {
		if asJSON {
			if err := json.NewEncoder(stdout).Encode(backendLine{"backend", d}); err != nil {
				return err
			}
			continue
		}
		state := "ready"
		if !d.Ready {
			state = "not ready"
		}
		if d.Name == auto {
			state += ", the default"
		}
		fmt.Fprintf(stdout, "%-10s %s: %s\n", d.Name, d.What, state)
		for _, line := range append([]string{d.Reason, d.Path, d.Version}, d.Devices...) {
			if line != "" {
				fmt.Fprintf(stdout, "%-10s   %s\n", "", line)
			}
		}
	}
	return nil
}

func newBackendInstallCommand() *cobra.Command {
	var cuda int
	cmd := &cobra.Command{
		Use:   "install " + backend.CUDA,
		Short: "Download XLA's plugin for NVIDIA GPUs, with NVIDIA's libraries",
		Long: "install downloads XLA's plugin for NVIDIA GPUs and the libraries it needs, some gigabytes, from the Python package index, where JAX\n" +
			"publishes them. Each file is checked against its published SHA-256. They go into a folder of the user, which it prints;\n" +
			"deleting the folder undoes it. The driver of the GPU must be there already.\n\n" + backendExitCodes,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return &datadropout.UsageError{Err: fmt.Errorf("name what to install: datadropout backend install %s", backend.CUDA)}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBackendInstall(args[0], cuda, cmd.OutOrStdout())
		},
	}
	cmd.Flags().IntVar(&cuda, "cuda", 13, "version of CUDA: 12 or 13; 12 for drivers older than 580")
	return cmd
}

func runBackendInstall(name string, cuda int, stdout io.Writer) error {
	dir, err := backend.Install(name, cuda)
	if errors.Is(err, backend.ErrNotInstallable) {
		return &datadropout.UsageError{Err: err}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Installed in %s\n", dir)
	if !backend.HasGPU() {
		fmt.Fprintln(stdout, "No NVIDIA GPU is in sight here: it will be of use on a machine that has one.")
		return nil
	}
	fmt.Fprintf(stdout, "The default backend is %s from now on; datadropout backend list shows its devices.\n", strings.TrimSpace(name))
	return nil
}
