package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/fetch"
	"github.com/datadropout/datadropout/internal/nearest"
)

func newDataCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "List, download and inspect data sets",
		Long:  "data lists the data sets that are known by name, downloads them, and shows what is in a data set.\n\n" + dataExitCodes,
		Args:  unknownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDataListCommand(), newDataFetchCommand(), newDataInfoCommand())
	return cmd
}

const dataExitCodes = `Exit codes:
  0    done
  1    failed
  2    wrong usage
  10   an input is missing or unreadable
  130  interrupted; the same command goes on
`

func newDataListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the data sets known by name, and where they are on this machine",
		Long: "list prints the data sets that --data knows by name: what is in them, what a download takes, their terms, and\n" +
			"the folder that they are in, if they are in the user's cache (or below " + dataset.CacheVariable + ").\n\n" + dataExitCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDataList(asJSON, cmd.OutOrStdout()) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON line each")
	return cmd
}

// dataLine is a data set as list --json prints it.
type dataLine struct {
	Type      string `json:"type"`
	Name      string `json:"name"`
	About     string `json:"about"`
	Terms     string `json:"terms,omitempty"`
	Home      string `json:"home,omitempty"`
	Megabytes int    `json:"megabytes,omitempty"`
	// Dir is where it is; empty: it is not on this machine, or in a folder of one's own.
	Dir string `json:"dir,omitempty"`
}

func dataLines() []dataLine {
	var lines []dataLine
	for _, name := range dataset.Known() {
		line := dataLine{Type: "data", Name: name}
		s, ok := fetch.Find(name)
		switch {
		case ok:
			line.About, line.Terms, line.Home, line.Megabytes = s.About, s.Terms, s.Home, s.Megabytes
			if dir, err := dataset.CacheDir(name); err == nil && len(s.Missing(dir)) == 0 {
				line.Dir = dir
			}
		case name == "shapes":
			line.About = "shapes drawn by code, with planted wrong labels"
		}
		lines = append(lines, line)
	}
	return lines
}

func runDataList(asJSON bool, stdout io.Writer) error {
	lines := dataLines()
	if asJSON {
		encoder := json.NewEncoder(stdout)
		for _, l := range lines {
			if err := encoder.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(stdout, 0, 4, 3, ' ', 0)
	fmt.Fprintln(t, "name\twhat\twhere")
	for _, l := range lines {
		where := l.Dir
		switch {
		case where != "":
		case l.Megabytes > 0:
			where = fmt.Sprintf("to fetch, %d MB", l.Megabytes)
		default:
			where = "built in"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", l.Name, l.About, where)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, "\nTo download one: datadropout data fetch NAME. For a copy of your own: --data NAME --data-dir DIR.")
	return err
}

func newDataFetchCommand() *cobra.Command {
	var dir, source string
	cmd := &cobra.Command{
		Use:   "fetch NAME...",
		Short: "Download data sets and check them against their published checksums",
		Long: "fetch downloads data sets from where they are published into the user's cache (or below " + dataset.CacheVariable + "),\n" +
			"checks every file that it downloads against its published checksum, and prints the folder. Files that are there are\n" +
			"not downloaded again: they are checked too, but for those that were unpacked from an archive, which have no checksum\n" +
			"of their own. What an interrupted download has got stays, and the same command goes on from there. Proxies are taken\n" +
			"from the environment.\n\n" + dataExitCodes,
		Example: "  datadropout data fetch fashion-mnist\n" +
			"  datadropout run --data fashion-mnist --net cnn\n" +
			"  datadropout data fetch cifar10 --data-dir DIR --source https://mirror.example/cifar/",
		Args: func(_ *cobra.Command, names []string) error { return checkFetch(names, dir, source) },
		RunE: func(cmd *cobra.Command, names []string) error {
			for _, name := range names {
				at, err := folder(name, dir)
				if err != nil {
					return err
				}
				if err := checkFetched(cmd.Context(), name, at); err != nil {
					return err
				}
				if err := fetchSet(cmd.Context(), name, dir, source, cmd.ErrOrStderr()); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), at)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "folder to put the files in (default: the user's cache)")
	cmd.Flags().StringVar(&source, "source", "", "address of a folder that holds the files, a mirror, in place of the official ones")
	return cmd
}

func checkFetch(names []string, dir, source string) error {
	wrong := func(format string, args ...any) error {
		return &datadropout.UsageError{Err: fmt.Errorf(format, args...)}
	}
	var known []string
	for _, s := range fetch.Sets() {
		known = append(known, s.Name)
	}
	if len(names) == 0 {
		return wrong("name what to fetch: %s", strings.Join(known, ", "))
	}
	for _, name := range names {
		if _, ok := fetch.Find(name); !ok {
			return wrong("%q can't be fetched%s", name, nearest.Among(name, known))
		}
	}
	if len(names) > 1 && (dir != "" || source != "") {
		return wrong("--data-dir and --source are for one data set at a time")
	}
	return nil
}

// checkFetched refuses files of a data set that are there and not as published: truncated, mostly.
func checkFetched(ctx context.Context, name, dir string) error {
	s, _ := fetch.Find(name) // checkFetch knows it
	err := s.Check(ctx, dir)
	var changed *fetch.ChangedError
	switch {
	case errors.As(err, &changed):
		return &dataset.InputError{Path: changed.Path, Err: changed}
	case errors.Is(err, context.Canceled):
		return &interruptedError{again: "the same command", err: err}
	}
	return err
}

func folder(name, dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	return dataset.CacheDir(name)
}

// fetchSet downloads what is missing of a data set, and shows how it goes on.
func fetchSet(ctx context.Context, name, dir, source string, stderr io.Writer) error {
	s, ok := fetch.Find(name)
	if !ok {
		return &datadropout.UsageError{Err: fmt.Errorf("the data set %s can't be fetched", name)}
	}
	dir, err := folder(name, dir)
	if err != nil {
		return err
	}
	if len(s.Missing(dir)) == 0 {
		return nil
	}
	p := &downloadProgress{stderr: stderr, terminal: newScreen(stderr, os.Getenv).redraws()}
	err = fetch.Fetch(ctx, s, fetch.Options{Dir: dir, Source: source, Progress: p.show})
	p.end()
	if errors.Is(err, context.Canceled) {
		return &interruptedError{again: "the same command", err: err}
	}
	return err
}

// downloadProgress shows a download: one line that is redrawn on a terminal, a line a file elsewhere.
type downloadProgress struct {
	stderr   io.Writer
	terminal bool
	file     string
	drawn    time.Time
	open     bool
}

func (p *downloadProgress) show(file string, done, total int64) {
	if file != p.file {
		p.end()
		p.file = file
		if !p.terminal {
			fmt.Fprintf(p.stderr, "fetching %s\n", file)
		}
	}
	if !p.terminal || (time.Since(p.drawn) < redrawEvery && done != total) {
		return
	}
	p.drawn, p.open = time.Now(), true
	line := fmt.Sprintf("%s: %.1f MB", file, float64(done)/1e6)
	if total > 0 {
		line += fmt.Sprintf(" of %.1f, %.0f %%", float64(total)/1e6, 100*float64(done)/float64(total))
	}
	fmt.Fprintf(p.stderr, "\r\x1b[K%s", line)
}

func (p *downloadProgress) end() {
	if p.open {
		fmt.Fprintln(p.stderr)
		p.open = false
	}
}
