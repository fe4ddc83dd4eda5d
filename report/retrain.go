package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
)

// RetrainFile holds the result of a retraining on decisions.
const RetrainFile = "retrain.json"

// ReadResult reads the result.json of a finished run.
func ReadResult(dir string) (*datadropout.Result, error) {
	path := filepath.Join(dir, ResultFile)
	raw, err := readFile(dir, ResultFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &dataset.InputError{Path: path, Err: unfinished(dir, "no finished run is there")}
	}
	if err != nil {
		return nil, err
	}
	r := new(datadropout.Result)
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, &dataset.InputError{Path: path, Err: err}
	}
	return r, nil
}

// ReadRetrained reads the retrain.json of a run directory.
func ReadRetrained(dir string) (*datadropout.Retrained, error) {
	path := filepath.Join(dir, RetrainFile)
	raw, err := readFile(dir, RetrainFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &dataset.InputError{Path: path, Err: errors.New("no such file: nothing was retrained on a review")}
	}
	if err != nil {
		return nil, err
	}
	r := new(datadropout.Retrained)
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, &dataset.InputError{Path: path, Err: err}
	}
	return r, nil
}

// ReadKept reads the keep.txt of a finished run: the positions that it kept.
func ReadKept(dir string) ([]int, error) {
	path := filepath.Join(dir, KeepFile)
	raw, err := readFile(dir, KeepFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &dataset.InputError{Path: path, Err: errors.New("no such file")}
	}
	if err != nil {
		return nil, err
	}
	var kept []int
	for line := range strings.Lines(string(raw)) {
		text := strings.TrimSpace(line)
		p, err := strconv.Atoi(text)
		if err != nil {
			return nil, &dataset.InputError{Path: path, Err: fmt.Errorf("line %d is %q, want the index of a sample", len(kept)+1, text)}
		}
		kept = append(kept, p)
	}
	return kept, nil
}

// Revise applies decisions to what a run kept: what is decided to be dropped goes, what is kept or relabeled comes back or stays,
// and all other samples are as the run left them. The decisions must be on training samples of the data, by id and label.
func Revise(d *datadropout.Data, kept []int, decisions []Decided) (datadropout.Amendment, error) {
	images := d.Images
	a := datadropout.Amendment{Labels: map[int]int{}}
	training := make(map[int]bool, len(d.Split.Train))
	for _, p := range d.Split.Train {
		training[p] = true
	}
	keep := make(map[int]bool, len(kept))
	for _, p := range kept {
		keep[p] = true
	}
	for _, made := range decisions {
		switch p := made.Index; {
		case !training[p]:
			return a, fmt.Errorf("index %d (%s) is no training sample of this run", p, made.ID)
		case images.ID(p) != made.ID || images.Labels[p] != made.Reference.Label:
			return a, fmt.Errorf("index %d is %s with label %d there, and %s with label %d in this run: decisions of another run",
				p, made.ID, made.Reference.Label, images.ID(p), images.Labels[p])
		case made.Action == Relabel && made.Decision.Label >= len(images.Classes):
			return a, fmt.Errorf("index %d (%s): the new label %d is out of range: %d classes", p, made.ID, made.Decision.Label, len(images.Classes))
		case made.Action == Drop:
			delete(keep, p)
		case made.Action == Relabel:
			keep[p], a.Labels[p] = true, made.Decision.Label
		default:
			keep[p] = true
		}
	}
	for p := range keep {
		a.Kept = append(a.Kept, p)
	}
	slices.Sort(a.Kept)
	return a, nil
}

// WriteRetrained writes retrain.json.
func WriteRetrained(dir string, r *datadropout.Retrained) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFiles(dir, durable.File{Name: RetrainFile, Data: append(raw, '\n')})
}

// RetrainedLines returns the arms of a retraining as a table shows them.
func RetrainedLines(r *datadropout.Retrained) []ArmLine {
	var lines []ArmLine
	for arm, gone := range map[string]int{datadropout.Full: 0, datadropout.Dropped: r.RunDropped, datadropout.Reviewed: r.Dropped} {
		a := r.Arms[arm]
		if a == nil {
			continue
		}
		l := ArmLine{Arm: arm, Samples: r.Train - gone, MetricPerSeed: a.TestMetric}
		l.Metric, l.MetricSD = stat.MeanStdDev(a.TestMetric, nil)
		l.Loss, l.LossSD = stat.MeanStdDev(a.TestLoss, nil)
		lines = append(lines, l)
	}
	order := []string{datadropout.Full, datadropout.Dropped, datadropout.Reviewed}
	slices.SortFunc(lines, func(a, b ArmLine) int { return slices.Index(order, a.Arm) - slices.Index(order, b.Arm) })
	return lines
}
