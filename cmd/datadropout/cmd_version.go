package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/cpu"
)

// buildInfo is what version prints of the program and the machine.
type buildInfo struct {
	Type     string `json:"type"`
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	// Time is that of the revision, and Modified says that files differ from it.
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	CGO      bool   `json:"cgo"`
	// Kernels are those that the cpu backend uses here.
	Kernels    string `json:"kernels"`
	Processors int    `json:"processors"`
}

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, how it was built, and the CPU features it uses",
		Long: "version prints the version, the revision that it was built from, where the build recorded it, the Go version, the\n" +
			"platform, and the kernels that the cpu backend uses here (portable, avx2 or avx512).\n\n" + plainExitCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return printVersion(cmd.OutOrStdout(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// plainExitCodes are those of a command that can only be used wrongly.
const plainExitCodes = "Exit codes:\n  0    done\n  2    wrong usage\n"

func readBuildInfo() buildInfo {
	b := buildInfo{Type: "version", Version: datadropout.Version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Processors: runtime.GOMAXPROCS(0)}
	b.Kernels = cpu.Level()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "CGO_ENABLED":
			b.CGO = s.Value == "1"
		}
	}
	return b
}

func printVersion(w io.Writer, asJSON bool) error {
	b := readBuildInfo()
	if asJSON {
		return json.NewEncoder(w).Encode(b)
	}
	revision := "not recorded"
	if b.Revision != "" {
		revision = b.Revision + " of " + b.Time
		if b.Modified {
			revision += ", with changes"
		}
	}
	cgo := "without cgo"
	if b.CGO {
		cgo = "with cgo"
	}
	_, err := fmt.Fprintf(w, "datadropout %s\nrevision:   %s\nbuilt by:   %s for %s/%s, %s\nkernels:    %s\nprocessors: %d\n", b.Version, revision, b.Go, b.OS, b.Arch, cgo, b.Kernels, b.Processors)
	return err
}
