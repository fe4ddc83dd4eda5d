package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/net"
)

type netsOptions struct {
	input   string
	classes int
	json    bool
}

func newNetsCommand() *cobra.Command {
	o := &netsOptions{}
	cmd := &cobra.Command{
		Use:   "nets [NAME...]",
		Short: "List the networks, or the layers of one",
		Long: "nets lists the networks that --net takes: parameters, multiply-adds of convolutions and dense layers for one image,\n" +
			"convolutions and dense layers on the longest path, and what a network is. For one NAME it lists the layers.\n\n" +
			"Counts are for the images that a network is usually measured on, unless --input says otherwise. Every name has variants\n" +
			"of as many parameters: with other activation functions (+" + strings.Join(net.Activations(), ", +") + "), with average\n" +
			"pooling (+avg), or with gelu and avg (-smooth).\n\n" + exitCodesHelp,
		Example: "  datadropout nets\n  datadropout nets --input 28x28x1\n  datadropout nets resnet20-smooth --classes 100",
		RunE:    func(cmd *cobra.Command, args []string) error { return runNets(o, args, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.input, "input", "", "height, width and channels of the images, such as 32x32x3")
	f.IntVar(&o.classes, "classes", 0, "classes; 0: as many as are usual")
	f.BoolVar(&o.json, "json", false, "print a JSON line each")
	return cmd
}

// netLine is a network as --json prints it.
type netLine struct {
	Type         string      `json:"type"`
	Name         string      `json:"name"`
	About        string      `json:"about"`
	Denoiser     bool        `json:"denoiser"`
	Input        [3]int      `json:"input"`
	Outputs      int         `json:"outputs"`
	Parameters   int         `json:"parameters"`
	MultiplyAdds int64       `json:"multiply_adds"`
	Depth        int         `json:"depth"`
	Error        string      `json:"error,omitempty"`
	Layers       []layerLine `json:"layers,omitempty"`
}

type layerLine struct {
	Name         string `json:"name"`
	Kind         string `json:"kind"`
	Output       []int  `json:"output"`
	Parameters   int    `json:"parameters"`
	MultiplyAdds int64  `json:"multiply_adds"`
}

// largestSide bounds the sizes of --input, so that counts are numbers.
const largestSide = 1 << 16

func runNets(o *netsOptions, names []string, stdout io.Writer) error {
	input, err := parseInput(o.input)
	if err != nil {
		return &datadropout.UsageError{Err: err}
	}
	if o.classes < 0 || o.classes > largestSide {
		return &datadropout.UsageError{Err: fmt.Errorf("--classes must lie between 1 and %d, or be 0 for the usual number, got %d", largestSide, o.classes)}
	}
	for _, name := range names {
		if err := net.Check(name, false); err != nil {
			return &datadropout.UsageError{Err: err}
		}
	}
	one := len(names) == 1
	if len(names) == 0 {
		names = net.Names()
	}
	var lines []netLine
	for _, name := range names {
		line, err := describeNet(name, input, o.classes, one)
		if err != nil {
			return err
		}
		if one && line.Error != "" {
			return &datadropout.UsageError{Err: fmt.Errorf("network %s: %s", name, line.Error)}
		}
		lines = append(lines, line)
	}
	switch {
	case o.json:
		encoder := json.NewEncoder(stdout)
		for _, line := range lines {
			if err := encoder.Encode(line); err != nil {
				return err
			}
		}
		return nil
	case one:
		return printLayers(stdout, lines[0])
	}
	return printNets(stdout, lines)
}

// parseInput reads height, width and channels; nothing gives zeros.
func parseInput(s string) (input [3]int, err error) {
	if s == "" {
		return input, nil
	}
	parts := strings.Split(s, "x")
	for k := range min(len(parts), len(input)) {
		if input[k], err = strconv.Atoi(parts[k]); err != nil || input[k] < 1 || input[k] > largestSide {
			return input, fmt.Errorf("--input wants height, width and channels of 1 to %d, such as 32x32x3, got %q", largestSide, s)
		}
	}
	if len(parts) != len(input) {
		return input, fmt.Errorf("--input wants height, width and channels, such as 32x32x3, got %q", s)
	}
	return input, nil
}

// describeNet counts for an input size and a number of classes, where zeros are what is usual.
func describeNet(name string, input [3]int, classes int, layers bool) (netLine, error) {
	usual, outputs := net.Usual(name)
	denoiser := net.IsDenoiser(name)
	mapped := 0 // channels beside the image
	if net.TakesNoiseMap(name) {
		mapped = 1
	}
	if input == [3]int{} {
		input = usual
		input[2] -= mapped
	}
	switch {
	case denoiser:
		outputs = input[2]
	case classes > 0:
		outputs = classes
	}
	line := netLine{Type: "net", Name: name, About: net.About(name), Denoiser: denoiser, Input: input, Outputs: outputs}
	input[2] += mapped
	n, err := net.New(name, input, outputs)
	var small *net.InputSizeError
	if errors.As(err, &small) {
		line.Error = small.Error()
		return line, nil
	}
	if err != nil {
		return line, err
	}
	line.Parameters, line.MultiplyAdds, line.Depth = n.Size(), n.ForwardFLOPs/2, n.Depth
	if layers {
		for _, l := range n.Layers {
			line.Layers = append(line.Layers, layerLine(l))
		}
	}
	return line, nil
}

// printNets prints a table for each size of images and kind of output, the small ones first.
func printNets(stdout io.Writer, lines []netLine) error {
	heading := func(l netLine) string {
		size := fmt.Sprintf("%dx%dx%d", l.Input[0], l.Input[1], l.Input[2])
		if l.Denoiser {
			return "Denoisers, counted on images of " + size
		}
		return fmt.Sprintf("Classifiers, counted on images of %s and %d classes", size, l.Outputs)
	}
	slices.SortStableFunc(lines, func(a, b netLine) int {
		switch {
		case a.Denoiser != b.Denoiser && a.Denoiser:
			return 1
		case a.Denoiser != b.Denoiser:
			return -1
		case a.Input != b.Input:
			return a.Input[0]*a.Input[1]*a.Input[2] - b.Input[0]*b.Input[1]*b.Input[2]
		}
		return naturally(a.Name, b.Name)
	})
	for at := 0; at < len(lines); {
		if at > 0 {
			fmt.Fprintln(stdout)
		}
		first := heading(lines[at])
		rows := [][]string{{"  name", "parameters", "mult-adds", "depth", ""}}
		for ; at < len(lines) && heading(lines[at]) == first; at++ {
			l := lines[at]
			if l.Error != "" {
				rows = append(rows, []string{"  " + l.Name, "-", "-", "-", "needs larger images"})
				continue
			}
			rows = append(rows, []string{"  " + l.Name, short3(int64(l.Parameters)), short3(l.MultiplyAdds), strconv.Itoa(l.Depth), l.About})
		}
		fmt.Fprintf(stdout, "%s:\n", first)
		if err := printColumns(stdout, rows, false, true, true, true, false); err != nil {
			return err
		}
	}
	return nil
}

// printLayers prints the layers of one network.
func printLayers(stdout io.Writer, l netLine) error {
	outputs := fmt.Sprintf("%d classes", l.Outputs)
	if l.Denoiser {
		outputs = "images of as many channels"
	}
	fmt.Fprintf(stdout, "%s: %s\n", l.Name, l.About)
	fmt.Fprintf(stdout, "images of %dx%dx%d to %s: %d parameters, %s multiply-adds, depth %d\n\n",
		l.Input[0], l.Input[1], l.Input[2], outputs, l.Parameters, short3(l.MultiplyAdds), l.Depth)
	rows := [][]string{{"name", "layer", "output", "parameters", "mult-adds"}}
	for _, layer := range l.Layers {
		dims := make([]string, len(layer.Output))
		for k, d := range layer.Output {
			dims[k] = strconv.Itoa(d)
		}
		row := []string{layer.Name, layer.Kind, strings.Join(dims, "x"), "", ""}
		if layer.Parameters > 0 {
			row[3] = strconv.Itoa(layer.Parameters)
		}
		if layer.MultiplyAdds > 0 {
			row[4] = short3(layer.MultiplyAdds)
		}
		rows = append(rows, row)
	}
	return printColumns(stdout, rows, false, false, false, true, true)
}

// printColumns prints rows of as many cells each, those of a column flush left, or right where that is said.
func printColumns(stdout io.Writer, rows [][]string, right ...bool) error {
	widths := make([]int, len(right))
	for _, row := range rows {
		for k, cell := range row {
			widths[k] = max(widths[k], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for k, cell := range row {
			space := strings.Repeat(" ", widths[k]-utf8.RuneCountInString(cell))
			if cells[k] = cell + space; right[k] {
				cells[k] = space + cell
			}
		}
		if _, err := fmt.Fprintln(stdout, strings.TrimRight(strings.Join(cells, "  "), " ")); err != nil {
			return err
		}
	}
	return nil
}

// short3 writes a count with three digits and k, M, G or T.
func short3(n int64) string {
	v, unit := float64(n), ""
	for _, u := range []string{" k", " M", " G", " T", " P"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, u
	}
	switch {
	case unit == "":
		return strconv.FormatInt(n, 10)
	case v < 9.995:
		return fmt.Sprintf("%.2f%s", v, unit)
	case v < 99.95:
		return fmt.Sprintf("%.1f%s", v, unit)
	}
	return fmt.Sprintf("%.0f%s", v, unit)
}

// naturally orders names with their numbers as numbers: resnet20 before resnet110.
func naturally(a, b string) int {
	digits := func(s string) int {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		return n
	}
	for a != "" && b != "" {
		if m, n := digits(a), digits(b); m > 0 && n > 0 {
			x, _ := strconv.Atoi(a[:m])
			y, _ := strconv.Atoi(b[:n])
			if x != y {
				return x - y
			}
			a, b = a[m:], b[n:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}
