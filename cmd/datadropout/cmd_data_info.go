package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
)

type dataInfoOptions struct {
	settings
	sheet string
	json  bool
}

func newDataInfoCommand() *cobra.Command {
	o := &dataInfoOptions{settings: defaultSettings()}
	cmd := &cobra.Command{
		Use:   "info [NAME|PATH]",
		Short: "Show what is in a data set, and what is wrong with it",
		Long: "info looks at every image of a data set that run takes, and prints how many there are of each class, their sizes,\n" +
			"channel means and deviations in units of pixel/255, and what deserves a look before anything is trained:\n\n" +
			"  copies          images that are the same, pixel for pixel, as an earlier one\n" +
			"  leakage         test images that are among the training images too: the test flatters\n" +
			"  contradictions  the same picture with different labels\n" +
			"  near-blank      images whose brightness has a standard deviation below " + fmt.Sprint(dataset.BlankContrast) + "\n" +
			"  unreadable      images of your own that are damaged, or none\n\n" +
			"Images are compared as run sees them, after your own are scaled and cropped. Training is all that run splits into its\n" +
			"train, score and tune splits. It also draws a contact sheet: some images of each class, as a PNG file.\n\n" +
			"Unreadable images are listed with the exit code 10, and all else is told without them; --skip-unreadable says that\n" +
			"they were expected.\n\n" + dataExitCodes,
		Example: "  datadropout data info fashion-mnist\n" +
			"  datadropout data info PHOTOS --image-size 64 --sheet photos.png",
		Args: atMostOneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if cmd.Flags().Changed("data") {
					return &datadropout.UsageError{Err: fmt.Errorf("name the data set once: %q or --data %s", args[0], o.config.Data)}
				}
				o.config.Data = args[0]
			} else if !cmd.Flags().Changed("data") {
				return &datadropout.UsageError{Err: fmt.Errorf("name a data set (%s) or the path of one", strings.Join(dataset.Known(), ", "))}
			}
			if err := o.read(cmd.Flags()); err != nil {
				return err
			}
			return runDataInfo(cmd.Context(), o, cmd.Flags().Changed("sheet"), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.addSourceFlags(f)
	f.Lookup("data").DefValue = "" // there is none
	f.StringVar(&o.sheet, "sheet", "", "PNG file for the contact sheet; an empty name: none (default: NAME-sheet.png here)")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

func runDataInfo(ctx context.Context, o *dataInfoOptions, sheetNamed bool, stdout, stderr io.Writer) error {
	c := &o.config
	if err := c.Validate(); err != nil {
		return err
	}
	if o.sheet != "" && !strings.EqualFold(filepath.Ext(o.sheet), ".png") {
		return &datadropout.UsageError{Err: fmt.Errorf("the contact sheet is a PNG file, so --sheet wants a name that ends in .png, got %q", o.sheet)}
	}
	if o.fetch {
		if o.json {
			stderr = io.Discard
		}
		if err := fetchSet(ctx, c.Data, c.DataDir, "", stderr); err != nil {
			return err
		}
	}
	found, err := datadropout.InspectData(ctx, c)
	if errors.Is(err, context.Canceled) {
		return &interruptedError{again: "the same command", err: err}
	}
	if err != nil {
		return err
	}
	defer found.Close()
	if !sheetNamed {
		o.sheet = strings.NewReplacer("/", "-", "\\", "-", " ", "-").Replace(found.Name) + "-sheet.png"
	}
	var failed error
	if o.sheet != "" {
		if failed = writeSheet(o.sheet, found.Train); failed != nil {
			o.sheet = ""
		}
	}
	if o.json {
		err = json.NewEncoder(stdout).Encode(newInfoLine(c, found, o.sheet))
	} else {
		err = printInfo(stdout, c, found, o.sheet)
	}
	switch n := len(found.Unreadable); {
	case err != nil:
		return err
	case failed != nil:
		return failed
	case n > 0 && !c.SkipUnreadable:
		return &dataset.InputError{Path: c.DataDir, Err: fmt.Errorf("%s can't be read; run refuses the data set, or leaves them out with --skip-unreadable", images(n))}
	}
	return nil
}

func writeSheet(path string, s *dataset.Images) error {
	var b bytes.Buffer
	if err := png.Encode(&b, dataset.ContactSheet(s)); err != nil {
		return err
	}
	_, err := durable.WriteFile(path, b.Bytes())
	return err
}

// infoLine is what info --json prints.
type infoLine struct {
	Type string `json:"type"`
	Data string `json:"data"`
	Dir  string `json:"dir,omitempty"`
	*dataset.Inspection
	Sizes      *dataset.SizeRange `json:"original_sizes,omitempty"`
	Unreadable []unreadableLine   `json:"unreadable"`
	Sheet      string             `json:"sheet,omitempty"`
}

type unreadableLine struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

func newInfoLine(c *datadropout.Config, found *datadropout.Inspected, sheet string) infoLine {
	line := infoLine{Type: "data_info", Data: c.Data, Dir: c.DataDir, Inspection: found.Inspection, Sizes: found.Sizes, Unreadable: []unreadableLine{}, Sheet: sheet}
	for _, u := range found.Unreadable {
		line.Unreadable = append(line.Unreadable, unreadableLine{u.Path, u.Err.Error()})
	}
	return line
}
