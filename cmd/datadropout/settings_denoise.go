package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
)

// denoiseFlags are the flags that denoising alone has.
var denoiseFlags = []string{"test-data", "sigma", "degrade", "test-sigma", "noisy-data", "noisy-test-data", "color", "patch-size", "stride", "scales", "patches",
	"no-symmetries", "bad-pairs", "bad-kinds", "bad-inputs", "drop-unit"}

// addDenoiseFlags adds the flags of denoising, and the one that asks for it.
func (s *settings) addDenoiseFlags(f *pflag.FlagSet) {
	c, d := &s.config, &s.config.Denoise
	f.StringVar(&c.Task, "task", c.Task, "classification or denoising; a network that denoises, such as dncnn-7, means denoising")
	f.StringVar(&d.TestDir, "test-data", "", "denoising: folder of test images (default: some of --data)")
	f.Var(&sigma{&d.Degrade.Sigma}, "sigma", "denoising: normal noise, in gray levels of 255, such as 25, or 0-55 for a sigma of its own for each patch (default 25)")
	f.Var(&degradation{&d.Degrade}, "degrade", "denoising: how noisy images are made, such as jpeg:10 or poisson:30; terms: "+dataset.DegradationSyntax)
	f.Float64Var(&d.TestSigma, "test-sigma", 0, "denoising: sigma of the score, tune and test images where that of training is a range (default: its middle)")
	f.StringVar(&d.NoisyDir, "noisy-data", "", "denoising: folder of noisy images with the names of those in --data, for real pairs")
	f.StringVar(&d.NoisyTestDir, "noisy-test-data", "", "denoising: the same for --test-data")
	f.StringVar(&d.Color, "color", "", "denoising: "+strings.Join(dataset.ColorModes, ", ")+": gray if all images are gray (default auto)")
	f.IntVar(&d.PatchSize, "patch-size", 0, "denoising: side of a training patch in pixels (default 40)")
	f.IntVar(&d.Stride, "stride", 0, "denoising: pixels from a training patch to the next (default: half of its side)")
	f.Var(&milestones{&d.Scales}, "scales", "denoising: what training images are scaled by, such as 1,0.9,0.8,0.7 (default 1)")
	f.IntVar(&d.Patches, "patches", 0, "denoising: most training patches, drawn at random; 0: all")
	f.BoolVar(&d.NoSymmetries, "no-symmetries", false, "denoising: no flips and rotations of training patches")
	f.Float64Var(&d.BadPairs, "bad-pairs", datadropout.UnsetBadPairs, "denoising: share of training images whose clean target is spoiled, for experiments; -1: 0.15 for "+dataset.LeavesName+", else none")
	f.Var(&words{&d.BadKinds}, "bad-kinds", "denoising: how, such as blur,jpeg; known: "+strings.Join(dataset.BadPairKinds, ", ")+" (default: all)")
	f.BoolVar(&d.BadInputs, "bad-inputs", false, "denoising: the noisy images are made from the spoiled ones too")
	f.StringVar(&d.DropUnit, "drop-unit", "", "denoising: what is dropped: patch, or image for all patches of one (default patch)")
}

// asksForDenoising says whether the flags do, before a config file was read.
func (s *settings) asksForDenoising(f *pflag.FlagSet) bool {
	if f.Lookup("task") == nil { // of a command that has no other task than classification
		return false
	}
	switch c := &s.config; c.Task {
	case "denoise", datadropout.Denoising:
		return true
	default:
		return !f.Changed("task") && (net.IsDenoiser(c.Net) || c.Data == dataset.LeavesName)
	}
}

// settleTask makes the settings, as read, those of their task.
func (s *settings) settleTask(f *pflag.FlagSet) error {
	c := &s.config
	if s.resumed && f.Lookup("task") == nil {
		return nil // a later stage: the settings of the run are those of its task
	}
	if !s.asksForDenoising(f) {
		for _, name := range denoiseFlags {
			if f.Changed(name) {
				return &datadropout.UsageError{Err: fmt.Errorf("--%s is for denoising: ask for it with --task denoise, or with a network that denoises, such as --net dncnn-7", name)}
			}
		}
		c.Denoise = datadropout.DenoiseConfig{}
		return nil
	}
	*c = datadropout.DenoisingConfig(*c)
	if s.file == "" && !f.Changed("bad-pairs") {
		c.Denoise.BadPairs = datadropout.UnsetBadPairs
	}
	if info, err := os.Stat(c.Data); c.Data != dataset.LeavesName && err == nil && info.IsDir() {
		c.Data, c.DataDir = dataset.FolderName, c.Data
	}
	return nil
}

// sigma is a flag in the syntax of [dataset.ParseSigma].
type sigma struct{ at *[2]float64 }

func (s *sigma) String() string {
	switch {
	case s.at == nil || s.at[1] == 0:
		return ""
	case s.at[0] == s.at[1]:
		return fmt.Sprint(s.at[0])
	}
	return fmt.Sprintf("%v-%v", s.at[0], s.at[1])
}

func (s *sigma) Set(text string) error {
	parsed, err := dataset.ParseSigma(text)
	if err == nil && parsed[1] == 0 {
		err = fmt.Errorf("want a sigma above 0, got %q", text)
	}
	if err == nil {
		*s.at = parsed
	}
	return err
}

func (*sigma) Type() string { return "levels" }

// degradation is a flag in the syntax of [dataset.ParseDegradation].
type degradation struct{ by *dataset.Degradation }

func (d *degradation) String() string {
	if d.by == nil || d.by.IsZero() {
		return ""
	}
	return d.by.String()
}

func (d *degradation) Set(s string) error { return d.by.UnmarshalText([]byte(s)) }

func (*degradation) Type() string { return "terms" }

// words is a flag of words, written blur,jpeg.
type words struct{ at *[]string }

func (w *words) String() string {
	if w.at == nil {
		return ""
	}
	return strings.Join(*w.at, ",")
}

func (w *words) Set(s string) error {
	*w.at = nil
	for _, word := range strings.Split(s, ",") {
		*w.at = append(*w.at, strings.TrimSpace(word))
	}
	return nil
}

func (*words) Type() string { return "list" }
