package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/report"
)

// reviewOptions are the settings of a review.
type reviewOptions struct {
	dir    string
	listen string
	remote bool
}

func newReviewCommand() *cobra.Command {
	o := &reviewOptions{}
	cmd := &cobra.Command{
		Use:   "review --run DIR",
		Short: "Look at a run's samples in a browser and decide: keep, drop, relabel",
		Long: "review serves the page of a finished run, with buttons and keys to keep, drop or relabel the samples shown, until it\n" +
			"is interrupted. Every decision is saved at once to review.csv in the run directory, and a later review goes on from\n" +
			"there. The data are not needed. It is for classification: a run of denoising has its page, report.html.\n\n" +
			"It listens on this machine only and lets in whoever opens the address that it prints, which holds a random token.\n\n" + reportExitCodes,
		Example: "  datadropout review --run runs/shapes-lenet5-20260101-120000",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runReview(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addRunFlag(cmd, &o.dir)
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to listen on; port 0: a free one")
	f.BoolVar(&o.remote, "allow-remote", false, "accept an address of --listen that other machines reach; there is no encryption")
	return cmd
}

func runReview(ctx context.Context, o *reviewOptions, stdout, stderr io.Writer) error {
	content, err := readRun(o.dir)
	if err != nil {
		return err
	}
	if err := refuseDenoising(o.dir, content.Result.Task, "review", chooseAgain(o.dir)); err != nil {
		return err
	}
	if err := o.checkListen(); err != nil {
		return err
	}
	// Of its own, so that a retraining may go on beside a review; it reads review.csv, which is whole at all times.
	lock, err := durable.NewLock(o.dir, report.ReviewLock)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := durable.SweepOf(o.dir, report.ReviewFile); err != nil {
		return err
	}
	decisions, err := report.OpenDecisions(o.dir, content)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	handler, err := report.NewReviewServer(content, decisions, listener.Addr())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadTimeout: report.ReadTimeout, IdleTimeout: report.IdleTimeout, MaxHeaderBytes: 1 << 16}
	fmt.Fprintln(stdout, handler.URL())
	fmt.Fprintf(stderr, "Open this address in a browser on this machine. Decisions go to %s. Ctrl-C ends the review.\n", filepath.Join(o.dir, report.ReviewFile))
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	// A decision that is on its way is saved before the end.
	grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	fmt.Fprintf(stderr, "%d decided.\n", len(decisions.All()))
	return nil
}

// checkListen refuses an address that is no IP address with a port, or that other machines reach, unless that is asked for.
func (o *reviewOptions) checkListen() error {
	host, _, err := net.SplitHostPort(o.listen)
	ip := net.ParseIP(host)
	switch {
	case err != nil || ip == nil || ip.IsUnspecified():
		return &datadropout.UsageError{Err: fmt.Errorf("--listen is %q, want the IP address of one interface and a port, such as 127.0.0.1:8080", o.listen)}
	case !ip.IsLoopback() && !o.remote:
		return &datadropout.UsageError{Err: fmt.Errorf("other machines reach %s: add --allow-remote if that is meant", o.listen)}
	}
	return nil
}
