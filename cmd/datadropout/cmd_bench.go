package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/backend"
	"github.com/datadropout/datadropout/bench"
	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/internal/nearest"
	"github.com/datadropout/datadropout/internal/precision"
	"github.com/datadropout/datadropout/net"
)

type benchOptions struct {
	nets, phases       []string
	batch              int
	threads            int
	backend, precision string
	deterministic      bool
	seconds            float64
	json               bool
}

func newBenchCommand() *cobra.Command {
	o := &benchOptions{}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast networks train and are differentiated on this machine",
		Long: "bench times a phase of a network on synthetic data and prints images a second, GFLOP/s, their share of the\n" +
			"machine's matrix-product peak, measured in the same run, and the process's peak memory.\n\n" +
			"Phases: " + strings.Join(bench.Phases, ", ") + ". GFLOP/s count the convolutions and dense layers only, so they\n" +
			"say how much of the machine is put to that use.\n\n" + exitCodesHelp,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBench(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringSliceVar(&o.nets, "net", []string{"cnn"}, "networks, such as cnn, resnet20; datadropout nets lists them")
	f.StringSliceVar(&o.phases, "phase", []string{"forward", "step", "score"}, "phases: "+strings.Join(bench.Phases, ", "))
	f.IntVar(&o.batch, "batch", 128, "samples a run")
	f.IntVar(&o.threads, "threads", 0, "processors to use; 0: all")
	f.StringVar(&o.backend, "backend", backend.Auto, backendUsage)
	f.StringVar(&o.precision, "precision", precision.Auto, precisionUsage+", and is for forward, step and train, as in a run")
	f.BoolVar(&o.deterministic, "deterministic", true, "the same bits every time; false lets NVIDIA GPUs use operations that vary")
	f.Float64Var(&o.seconds, "seconds", 2, "how long to measure each")
	f.BoolVar(&o.json, "json", false, "print a JSON line each")
	return cmd
}

// benchLine is a measurement as --json prints it.
type benchLine struct {
	Type            string  `json:"type"`
	Net             string  `json:"net"`
	Phase           string  `json:"phase"`
	Batch           int     `json:"batch"`
	Threads         int     `json:"threads"`
	Backend         string  `json:"backend"`
	Precision       string  `json:"precision"`
	Deterministic   bool    `json:"deterministic"`
	ImagesPerSecond float64 `json:"images_per_second"`
	GFLOPS          float64 `json:"gflops"`
	PeakGFLOPS      float64 `json:"peak_gflops"`
	PeakMemory      int64   `json:"peak_memory_bytes"`
}

func runBench(ctx context.Context, o *benchOptions, stdout io.Writer) error {
	for _, name := range o.nets {
		if err := net.Check(name, false); err != nil {
			return &datadropout.UsageError{Err: err}
		}
	}
	for _, phase := range o.phases {
		if !slices.Contains(bench.Phases, phase) {
			return &datadropout.UsageError{Err: fmt.Errorf("unknown phase %q%s", phase, nearest.Among(phase, bench.Phases))}
		}
	}
	if o.batch < 1 || o.threads < 0 {
		return &datadropout.UsageError{Err: fmt.Errorf("the batch must be at least 1 and the threads not negative, got %d and %d", o.batch, o.threads)}
	}
	threads := o.threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	options := backend.Options{Threads: threads, Precision: o.precision, Nondeterministic: !o.deterministic}
	computes, err := openBackend(&o.backend, &options)
	if err != nil {
		return err
	}
	defer computes.Finalize()
	peak := cpu.PeakGFLOPS(threads)
	table := tabwriter.NewWriter(stdout, 0, 4, 3, ' ', tabwriter.AlignRight)
	if !o.json {
		fmt.Fprintf(stdout, "%s on %d threads, %s, batch %d; matrix-product peak %.0f GFLOP/s\n", computes.Description(), threads, options.Precision, o.batch, peak)
		fmt.Fprintln(table, "net\tphase\timages/s\tGFLOP/s\tof peak\tpeak memory\t")
	}
	encoder := json.NewEncoder(stdout)
	for _, name := range o.nets {
		for _, phase := range o.phases {
			m, err := bench.Run(ctx, computes, bench.Setting{
				Net: name, BFloat16: options.Precision == precision.BFloat16, Batch: o.batch, Phase: phase, Seconds: o.seconds,
			})
			if err != nil {
				return err
			}
			line := benchLine{"bench", name, phase, o.batch, threads, o.backend, options.Precision, o.deterministic, m.ImagesPerSecond, m.GFLOPS, peak, datadropout.PeakMemory()}
			if o.json {
				if err := encoder.Encode(line); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(table, "%s\t%s\t%.0f\t%.1f\t%.0f %%\t%.0f MiB\t\n", name, phase, line.ImagesPerSecond, line.GFLOPS,
				100*line.GFLOPS/peak, float64(line.PeakMemory)/(1<<20))
		}
	}
	return table.Flush()
}
