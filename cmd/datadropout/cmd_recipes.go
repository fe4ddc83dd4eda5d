package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/train"
)

func newRecipesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "recipes [NAME]",
		Short: "List the training recipes, or show one with its source",
		Long: "recipes lists the settings of training that --recipe names, and the networks each is for. With a NAME it prints\n" +
			"that recipe as YAML, with the paper that it is from.\n\n" +
			"What a recipe sets gives way to a config file (--config), and that to flags. A recipe of your own is a config file:\n" +
			"the settings of a recipe under the key recipe, and whatever else config.yaml of a run may hold.\n\n" +
			augmentationHelp + exitCodesHelp,
		Example: "  datadropout recipes\n" +
			"  datadropout recipes cifar-resnet\n" +
			"  datadropout run --data cifar10 --data-dir DIR --net resnet20 --recipe fast --epochs 32",
		Args: atMostOneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return showRecipe(args[0], asJSON, cmd.OutOrStdout())
			}
			return listRecipes(asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON line for each")
	return cmd
}

const augmentationHelp = `Augmentation varies what training sees. crop:4 pads by 4 black pixels on every side and cuts a window out
(crop:4:reflect pads by reflection); resized-crop:0.08 cuts out a part of at least that share and enlarges it; flip
mirrors; brightness:V, contrast:V and saturation:V multiply by 1-V to 1+V; cutout:8 blanks a square of 8 pixels. All of
it is drawn from the seed, the epoch and the sample; scores and evaluation see the images as they are.

`

func atMostOneArgument(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return &datadropout.UsageError{Err: fmt.Errorf("%s takes one name at most, got %q; see datadropout %s --help", cmd.Name(), args, cmd.Name())}
}

func listRecipes(asJSON bool, stdout io.Writer) error {
	if asJSON {
		encoder := json.NewEncoder(stdout)
		for _, r := range train.Catalogue {
			if err := encoder.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "recipe\tnetworks\tepochs\tbatch\tlearning rate\tweight decay\taugmentation\trule")
	for _, r := range train.Catalogue {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%v, %s\t%v\t%s\t%s\n", r.Name, strings.Join(r.Networks, " "), r.Epochs, r.BatchSize,
			r.LearningRate, r.Schedule, r.WeightDecay, r.Augmentation, r.TwoRound.Rule)
	}
	return table.Flush()
}

func showRecipe(name string, asJSON bool, stdout io.Writer) error {
	r, err := train.FindRecipe(name)
	if err != nil {
		return &datadropout.UsageError{Err: err}
	}
	if asJSON {
		return json.NewEncoder(stdout).Encode(r)
	}
	_, err = io.WriteString(stdout, r.YAML)
	return err
}
