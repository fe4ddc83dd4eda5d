// Package report writes the files and pages that people and other programs read: a run directory's config.yaml,
// result.json, scores.csv, drop.csv, keep.txt, curves.csv, page.json and report.html, and a study's verify.json, verify.csv and verify.html.
// docs/files.md describes each.
package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/train"
)

// Names of the files in a run directory.
const (
	ConfigFile = "config.yaml"
	ResultFile = "result.json"
	ScoresFile = "scores.csv"
	DropFile   = "drop.csv"
	KeepFile   = "keep.txt"
	CurvesFile = "curves.csv"
	PageFile   = "report.html"
	// ContentFile is what report.html is made of, beside result.json.
	ContentFile = "page.json"
)

// Settings is the content of config.yaml: the settings of a run and what they were resolved against.
type Settings struct {
	datadropout.Config `yaml:",inline"`
	// DataHash is the content hash of the data; a repeated run checks it. Version and Revision name the program.
	DataHash string `yaml:"data_hash"`
	// LabelsHash is that of the labels, where a file beside the data set decides them.
	LabelsHash string `yaml:"labels_hash,omitempty"`
	Version    string `yaml:"version"`
	Revision   string `yaml:"revision,omitempty"`
	// Flags holds flags of a command by their names, such as out or estimators. A run writes none; a file of a person's own may.
	Flags map[string]any `yaml:"flags,omitempty"`
}

// WriteSettings writes config.yaml.
func WriteSettings(dir string, c datadropout.Config, d *datadropout.Data) error {
	return writeSettings(dir, Settings{Config: c, DataHash: d.Hash, LabelsHash: d.LabelsHash(c), Version: datadropout.Version(), Revision: datadropout.Revision()})
}

func writeSettings(dir string, s Settings) error {
	var b bytes.Buffer
	b.WriteString("# The settings of this run as resolved. `datadropout run --config THIS-FILE --out NEW-DIRECTORY` repeats it.\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(s); err != nil {
		return err
	}
	return writeFiles(dir, durable.File{Name: ConfigFile, Data: b.Bytes()})
}

// RestoreSettings writes the config.yaml of a run directory again, from its state, if it was deleted and there is a state.
func RestoreSettings(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, ConfigFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	is, err := datadropout.StoredIdentity(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	raw, err := json.Marshal(is.Settings)
	if err != nil {
		return err
	}
	// JSON is YAML.
	s := Settings{Config: datadropout.DefaultConfig(), DataHash: is.Data, LabelsHash: is.Labels, Version: is.Version}
	if err := yaml.Unmarshal(raw, &s.Config); err != nil {
		return fmt.Errorf("the settings in the state of %s: %w", dir, err)
	}
	return writeSettings(dir, s)
}

// ReadSettings reads a config.yaml. Settings that the file leaves out have their defaults; a key that is no setting is
// an error that names it.
func ReadSettings(path string) (*Settings, error) {
	return ReadSettingsOver(path, datadropout.DefaultConfig())
}

// ReadSettingsOver is ReadSettings with other defaults, such as those of a recipe.
func ReadSettingsOver(path string, defaults datadropout.Config) (*Settings, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Settings{Config: defaults}
	if err := train.DecodeSettings(raw, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Write writes every file of a finished run but config.yaml, each under a temporary name first, and their checksums. result.json
// comes last, so a directory that holds it is complete.
func Write(dir string, o *datadropout.Outcome) error {
	content, err := NewContent(o)
	if err != nil {
		return err
	}
	page, err := content.Render(nil)
	if err != nil {
		return err
	}
	kept, err := json.Marshal(content)
	if err != nil {
		return err
	}
	result, err := json.MarshalIndent(o.Result, "", "  ")
	if err != nil {
		return err
	}
	files := []durable.File{{Name: ScoresFile, Data: scoresCSV(o)}, {Name: DropFile, Data: dropCSV(o)}}
	if o.Data.Patches != nil {
		files = append(files, durable.File{Name: ImagesFile, Data: imageTable(o)})
	}
	return writeFiles(dir, append(files,
		durable.File{Name: KeepFile, Data: keepTXT(o)},
		durable.File{Name: CurvesFile, Data: curvesCSV(o)},
		durable.File{Name: ContentFile, Data: append(kept, '\n')},
		durable.File{Name: PageFile, Data: page},
		durable.File{Name: ResultFile, Data: append(compactNumbers(result), '\n')},
	)...)
}

// WriteScores writes scores.csv, which is all that is known once the samples are scored.
func WriteScores(dir string, o *datadropout.Outcome) error {
	return writeFiles(dir, durable.File{Name: ScoresFile, Data: scoresCSV(o)})
}

// WriteSelection writes scores.csv, drop.csv and keep.txt, which is all that is known once it is chosen what to drop.
func WriteSelection(dir string, o *datadropout.Outcome) error {
	return writeFiles(dir,
		durable.File{Name: ScoresFile, Data: scoresCSV(o)},
		durable.File{Name: DropFile, Data: dropCSV(o)},
		durable.File{Name: KeepFile, Data: keepTXT(o)},
	)
}

// numbersOnLines is a list of numbers with a line for each, as json.MarshalIndent writes it.
var numbersOnLines = regexp.MustCompile(`\[\s+(?:(?:-?[0-9][-+.eE0-9]*|null),?\s+)+\]`)

// compactNumbers writes every list of numbers on one line: a confusion matrix is then one to look at.
func compactNumbers(indented []byte) []byte {
	return numbersOnLines.ReplaceAllFunc(indented, func(list []byte) []byte {
		return append(append([]byte("["), bytes.Join(bytes.Fields(list[1:len(list)-1]), []byte(" "))...), ']')
	})
}

// row is one training sample as the tables show it.
type row struct {
	// position is the sample's position in the data set and order its place in the training split.
	position, order int
}

// header names the columns. delta is the removal effect: the predicted change of the mean validation loss, in loss
// units, if the sample is removed; below zero the sample is unfavorable. standard_error is that of what
// delta lies above the mean of all samples, p_value the one-sided one of that against zero or more, and sign_agreement the share of
// folds and seeds that find the sample harmful.
func header(o *datadropout.Outcome) []string {
	h := []string{"index", "id", "label", "delta", "predicted", "train_loss"}
	if o.Estimates.StandardError != nil {
		h = append(h, "standard_error", "p_value")
	}
	if o.Estimates.SignAgreement != nil {
		h = append(h, "sign_agreement")
	}
	if o.Data.Images.Original != nil {
		h = append(h, "original_label")
	}
	return h
}

func record(o *datadropout.Outcome, pValues []float64, r row) []string {
	images := o.Data.Images
	rec := []string{
		strconv.Itoa(r.position), images.ID(r.position), strconv.Itoa(images.Labels[r.position]),
		strconv.FormatFloat(o.Estimates.Delta[r.order], 'g', -1, 64),
		strconv.Itoa(o.Predicted[r.order]), strconv.FormatFloat(float64(o.TrainLoss[r.order]), 'g', -1, 32),
	}
	if e := o.Estimates; e.StandardError != nil {
		rec = append(rec, strconv.FormatFloat(e.StandardError[r.order], 'g', -1, 64), strconv.FormatFloat(pValues[r.order], 'g', -1, 64))
	}
	if a := o.Estimates.SignAgreement; a != nil {
		rec = append(rec, strconv.FormatFloat(a[r.order], 'g', 4, 64))
	}
	if images.Original != nil {
		rec = append(rec, strconv.Itoa(images.Original[r.position]))
	}
	return rec
}

func table(o *datadropout.Outcome, rows []row) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	// A bytes.Buffer takes every write, so the writer has no error to report.
	_ = w.Write(header(o))
	pValues := o.Estimates.PValues()
	for _, r := range rows {
		_ = w.Write(record(o, pValues, r))
	}
	w.Flush()
	return b.Bytes()
}

func scoresCSV(o *datadropout.Outcome) []byte {
	if o.Data.Patches != nil {
		return patchScores(o)
	}
	rows := make([]row, len(o.Data.Split.Train))
	for k, position := range o.Data.Split.Train {
		rows[k] = row{position, k}
	}
	return table(o, rows)
}

func dropCSV(o *datadropout.Outcome) []byte {
	if o.Data.Patches != nil {
		return patchDrops(o)
	}
	place := make(map[int]int, len(o.Data.Split.Train))
	for k, position := range o.Data.Split.Train {
		place[position] = k
	}
	rows := make([]row, len(o.Dropped))
	for k, position := range o.Dropped {
		rows[k] = row{position, place[position]}
	}
	return table(o, rows)
}

func keepTXT(o *datadropout.Outcome) []byte {
	var b bytes.Buffer
	for _, position := range o.Kept {
		b.WriteString(strconv.Itoa(position))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// unfinished says why a file of a finished run is not in its directory, and what to type where a run began there.
func unfinished(dir, otherwise string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return errors.New("there is no such run directory")
	}
	if _, err := os.Stat(filepath.Join(dir, ResultFile)); err != nil && datadropout.HoldsRun(dir) {
		return fmt.Errorf("the run is not finished; it goes on with: datadropout run --resume --out %s", durable.ShellWord(dir))
	}
	return errors.New("no such file: " + otherwise)
}
