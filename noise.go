package datadropout

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/internal/nearest"
)

// Kinds of label noise that Config.LabelNoiseKind names.
const (
	SymmetricNoise = "symmetric"
	PairNoise      = "pair"
)

// LabelNoiseKinds lists the kinds of label noise.
var LabelNoiseKinds = []string{SymmetricNoise, PairNoise}

// labelsFromFile says whether a file decides the labels trained with.
func (c *Config) labelsFromFile() bool { return c.LabelNoiseMatrix != "" || c.NoisyLabels != "" }

// LabelsHash returns the SHA-256 of the labels trained with, in hexadecimal, where a file beside the data set decides them; else it
// is empty, for the data's hash and the settings say all.
func (d *Data) LabelsHash(c Config) string {
	if !c.labelsFromFile() {
		return ""
	}
	h := sha256.New()
	fmt.Fprintln(h, d.Images.Labels)
	return hex.EncodeToString(h.Sum(nil))
}

// validateLabelNoise reports settings that contradict each other.
func (c *Config) validateLabelNoise() error {
	byRate := c.LabelNoise > 0 || c.LabelNoise == UnsetLabelNoise && c.Data == proceduralSet && !c.labelsFromFile()
	switch {
	case c.LabelNoiseKind != "" && !slices.Contains(LabelNoiseKinds, c.LabelNoiseKind):
		return usagef("unknown kind of label noise %q%s", c.LabelNoiseKind, nearest.Among(c.LabelNoiseKind, LabelNoiseKinds))
	case c.LabelNoiseMatrix != "" && c.NoisyLabels != "":
		return usagef("a label noise matrix and a file of noisy labels exclude each other")
	case c.labelsFromFile() && c.LabelNoise > 0:
		return usagef("label noise %v and a file of the labels' noise exclude each other", c.LabelNoise)
	case c.LabelNoiseKind != "" && !byRate:
		return usagef("label noise of the kind %s needs a share of labels: label noise above 0", c.LabelNoiseKind)
	}
	return nil
}

// plantLabelNoise gives the training split the labels that the settings ask for. All other labels stay as they are: what is
// scored, tuned and tested on is never made wrong on purpose. records is the number of records of the training data, which come
// first.
func (c *Config) plantLabelNoise(images *dataset.Images, train []int, records int) (*dataset.Images, error) {
	switch {
	case c.LabelNoiseMatrix != "":
		transitions, err := dataset.ReadTransitions(c.LabelNoiseMatrix, len(images.Classes))
		if err != nil {
			return nil, err
		}
		return images.WithTransitions(transitions, train, c.Seed)
	case c.NoisyLabels != "":
		path, column := splitColumn(c.NoisyLabels)
		labels, err := dataset.ReadLabels(path, column, records, len(images.Classes))
		if err != nil {
			return nil, err
		}
		return images.WithLabels(labels, train)
	case c.LabelNoise == 0:
		return images, nil
	case c.LabelNoiseKind == PairNoise:
		return images.WithPairNoise(c.LabelNoise, train, c.Seed)
	}
	return images.WithLabelNoise(c.LabelNoise, train, c.Seed)
}

// splitColumn splits FILE:COLUMN. A colon that is part of a file's name, or that a path separator follows, begins no column.
func splitColumn(name string) (path, column string) {
	at := strings.LastIndexByte(name, ':')
	if at < 1 || at == len(name)-1 || strings.ContainsAny(name[at:], `/\`) || filepath.VolumeName(name) == name[:at+1] {
		return name, ""
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		return name, ""
	}
	return name[:at], name[at+1:]
}
