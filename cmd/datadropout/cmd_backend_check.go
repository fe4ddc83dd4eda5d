package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/backend"
	"github.com/datadropout/datadropout/bench"
	"github.com/datadropout/datadropout/internal/precision"
	"github.com/datadropout/datadropout/net"
)

type backendCheckOptions struct {
	nets      []string
	batch     int
	precision string
	json      bool
}

func newBackendCheckCommand() *cobra.Command {
	o := &backendCheckOptions{}
	cmd := &cobra.Command{
		Use:   "check BACKEND",
		Short: "Compare what a backend computes with what this program's own does",
		Long: "check computes the same on a backend and on " + backend.CPU + ", from synthetic samples: every phase that bench measures (outputs and losses,\n" +
			"gradients, a training step, directional derivatives, Hessian and Gauss-Newton products), a training of four steps, one on\n" +
			"augmented images, and the scores of cg and metagradient.\n\n" +
			"difference is the largest difference over the largest number; rounding is what the result changes by on " + backend.CPU + " if every pixel\n" +
			"and parameter moves to a neighboring float32. Results agree within 100 roundings. Where ReLU or max-pooling have kinks derivatives\n" +
			"may differ by 5 %, since a number near one can fall on its other side. Seconds count compilation.\n\n" +
			"With --precision tf32 or bfloat16, in which runs may compute, as much more is allowed as their numbers are further apart than\n" +
			"float32's: with bfloat16 in forward, step, trainings and metagradient, and as with tf32 in the rest, which no run computes in it.\n\n" + backendExitCodes,
		Example: "  datadropout backend check xla:cuda\n  datadropout backend check xla:cuda --precision bfloat16",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return &datadropout.UsageError{Err: errors.New("name the backend to check, such as datadropout backend check xla:cuda")}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBackendCheck(cmd.Context(), args[0], o, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringSliceVar(&o.nets, "net", []string{"cnn", "cnn-smooth", "resnet20", "resnet20-smooth"}, "networks, such as cnn, resnet20; datadropout nets lists them")
	f.IntVar(&o.batch, "batch", 16, "samples of a batch")
	f.StringVar(&o.precision, "precision", precision.Float32, precisionUsage)
	f.BoolVar(&o.json, "json", false, "print a JSON line each")
	return cmd
}

// agreementLine is a comparison as check --json prints it. Numbers that are not finite are null.
type agreementLine struct {
	Type       string   `json:"type"`
	Backend    string   `json:"backend"`
	Precision  string   `json:"precision"`
	Net        string   `json:"net"`
	What       string   `json:"what"`
	Difference *float64 `json:"difference"`
	Rounding   *float64 `json:"rounding"`
	Allowed    *float64 `json:"allowed"`
	Seconds    float64  `json:"seconds"`
	Agrees     bool     `json:"agrees"`
}

func orNull(x float64) *float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return nil
	}
	return &x
}

func runBackendCheck(ctx context.Context, name string, o *backendCheckOptions, stdout io.Writer) error {
	for _, n := range o.nets {
		if err := net.Check(n, false); err != nil {
			return &datadropout.UsageError{Err: err}
		}
	}
	if o.batch < 2 {
		return &datadropout.UsageError{Err: fmt.Errorf("the batch must hold at least 2 samples, got %d", o.batch)}
	}
	options := backend.Options{Precision: o.precision}
	b, err := openBackend(&name, &options)
	if err != nil {
		return err
	}
	defer b.Finalize()
	reference, err := backend.Open(backend.CPU, backend.Options{})
	if err != nil {
		return err
	}
	defer reference.Finalize()
	if !o.json {
		fmt.Fprintf(stdout, "%s in %s against %s, batches of %d\n", b.Description(), options.Precision, backend.CPU, o.batch)
		fmt.Fprintf(stdout, "%-16s %-12s %12s %10s %10s %9s\n", "net", "what", "difference", "rounding", "allowed", "seconds")
	}
	var apart []string
	for _, n := range o.nets {
		err := compareBackends(ctx, b, reference, bench.AgreeSetting{Net: n, Batch: o.batch, BFloat16: options.Precision == precision.BFloat16}, func(a bench.Agreement) error {
			agrees, allowed := a.Agrees(options.Precision), a.Allowed(options.Precision)
			note := ""
			if !agrees {
				apart = append(apart, n+" "+a.What)
				note = "  differs"
			}
			if o.json {
				return json.NewEncoder(stdout).Encode(agreementLine{"agreement", name, options.Precision, n, a.What, orNull(a.Difference), orNull(a.Rounding), orNull(allowed), a.Seconds, agrees})
			}
			_, err := fmt.Fprintf(stdout, "%-16s %-12s %12.1e %10.1e %10.1e %9.1f%s\n", n, a.What, a.Difference, a.Rounding, allowed, a.Seconds, note)
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(apart) > 0 {
		return fmt.Errorf("%s and %s differ by more than rounding in %s", name, backend.CPU, strings.Join(apart, ", "))
	}
	return nil
}

// compareBackends is bench.Agree with a report that may fail.
func compareBackends(ctx context.Context, b, reference compute.Backend, s bench.AgreeSetting, report func(bench.Agreement) error) error {
	var failed error
	err := bench.Agree(ctx, b, reference, s, func(a bench.Agreement) {
		if failed == nil {
			failed = report(a)
		}
	})
	if err != nil {
		return err
	}
	return failed
}
