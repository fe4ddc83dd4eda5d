package report

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
)

// ReviewFile holds the decisions of a review, in the run directory.
const ReviewFile = "review.csv"

// What a person decides on a sample.
const (
	Keep    = "keep"
	Drop    = "drop"
	Relabel = "relabel"
)

// Decision is what a person decided on a sample: an action, empty for none, and the new label of a relabeling.
type Decision struct {
	Action string
	Label  int
}

// Decided is a row of review.csv: a training sample, the label that it was decided with, and the decision.
type Decided struct {
	Reference
	Decision
}

var reviewHeader = []string{"index", "id", "label", "action", "new_label"}

// ReadDecisions reads a review.csv. Whatever is wrong in it is an error that names the file and the line.
func ReadDecisions(path string) ([]Decided, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = errors.New("no such file")
		}
		return nil, &dataset.InputError{Path: path, Err: err}
	}
	defer f.Close()
	list, err := parseDecisions(f)
	if err != nil {
		return nil, &dataset.InputError{Path: path, Err: err}
	}
	return list, nil
}

func parseDecisions(in io.Reader) ([]Decided, error) {
	r := csv.NewReader(in)
	r.FieldsPerRecord = len(reviewHeader)
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("line 1: empty, where the names of the columns should be")
	}
	if err != nil {
		return nil, err
	}
	if !slices.Equal(header, reviewHeader) {
		return nil, fmt.Errorf("line 1: the columns are %q, want %q", header, reviewHeader)
	}
	var list []Decided
	seen := map[int]bool{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		d, err := parseDecided(record)
		if err == nil && seen[d.Index] {
			err = fmt.Errorf("a second decision on the sample of index %d", d.Index)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		seen[d.Index] = true
		list = append(list, d)
	}
}

func parseDecided(record []string) (Decided, error) {
	d := Decided{Reference: Reference{ID: record[1]}, Decision: Decision{Action: record[3]}}
	number := func(name, text string) (int, error) {
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 {
			return 0, fmt.Errorf("%s is %q, want a number from 0", name, text)
		}
		return v, nil
	}
	var err error
	if d.Index, err = number("index", record[0]); err != nil {
		return d, err
	}
	if d.Reference.Label, err = number("label", record[2]); err != nil {
		return d, err
	}
	switch d.Action {
	case Keep, Drop:
		if record[4] != "" {
			return d, fmt.Errorf("a new label beside the action %s", d.Action)
		}
	case Relabel:
		d.Decision.Label, err = number("new_label", record[4])
	default:
		err = fmt.Errorf("the action is %q, want %s, %s or %s", d.Action, Keep, Drop, Relabel)
	}
	return d, err
}

func formatDecisions(list []Decided) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	// A bytes.Buffer takes every write, so the writer has no error to report.
	_ = w.Write(reviewHeader)
	for _, d := range list {
		label := ""
		if d.Action == Relabel {
			label = strconv.Itoa(d.Decision.Label)
		}
		_ = w.Write([]string{strconv.Itoa(d.Index), d.ID, strconv.Itoa(d.Reference.Label), d.Action, label})
	}
	w.Flush()
	return b.Bytes()
}

// Decisions are the decisions on the samples that a page shows, kept in a run directory's review.csv. They are safe for
// concurrent use.
type Decisions struct {
	path    string
	classes int
	samples map[int]Reference

	mu   sync.Mutex
	made map[int]Decided
}

// OpenDecisions reads the decisions of a run directory, none where there is no review.csv. Decisions on samples that the page
// does not show stay as they are.
func OpenDecisions(dir string, c *Content) (*Decisions, error) {
	d := &Decisions{path: filepath.Join(dir, ReviewFile), classes: len(c.Classes), samples: map[int]Reference{}, made: map[int]Decided{}}
	for _, list := range [][]Sample{c.Harmful, c.Helpful} {
		for _, s := range list {
			d.samples[s.Index] = s.Reference
		}
	}
	if _, err := os.Stat(d.path); errors.Is(err, os.ErrNotExist) {
		return d, nil
	}
	list, err := ReadDecisions(d.path)
	if err != nil {
		return nil, err
	}
	for _, made := range list {
		if made.Action == Relabel && made.Decision.Label >= d.classes {
			return nil, &dataset.InputError{Path: d.path, Err: fmt.Errorf("sample %s: the new label %d is out of range: %d classes", made.ID, made.Decision.Label, d.classes)}
		}
		if s, shown := d.samples[made.Index]; shown && s != made.Reference {
			return nil, &dataset.InputError{Path: d.path, Err: fmt.Errorf("index %d is %s with label %d there, and %s with label %d in this run: a review of another run", made.Index, made.ID, made.Reference.Label, s.ID, s.Label)}
		}
		d.made[made.Index] = made
	}
	return d, nil
}

// errDecision is a decision that can't be: of a sample that is not shown, or no action.
type errDecision struct{ error }

// Decide saves a decision; an empty action takes one back. When it returns nil, the file on disk holds the decision; when it
// fails, file and decisions are as before.
func (d *Decisions) Decide(index int, decision Decision) error {
	s, shown := d.samples[index]
	if !shown {
		return errDecision{fmt.Errorf("the page shows no sample of index %d", index)}
	}
	switch decision.Action {
	case "", Keep, Drop:
		decision.Label = 0
	case Relabel:
		if decision.Label < 0 || decision.Label >= d.classes {
			return errDecision{fmt.Errorf("the label %d is out of range: %d classes", decision.Label, d.classes)}
		}
	default:
		return errDecision{fmt.Errorf("unknown action %q", decision.Action)}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	next := make([]Decided, 0, len(d.made)+1)
	for k, made := range d.made {
		if k != index {
			next = append(next, made)
		}
	}
	if decision.Action != "" {
		next = append(next, Decided{s, decision})
	}
	slices.SortFunc(next, func(a, b Decided) int { return cmp.Compare(a.Index, b.Index) })
	if _, err := durable.WriteFile(d.path, formatDecisions(next)); err != nil {
		return err
	}
	delete(d.made, index)
	if decision.Action != "" {
		d.made[index] = Decided{s, decision}
	}
	return nil
}

// All returns the decisions by the index of their sample.
func (d *Decisions) All() map[int]Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[int]Decision, len(d.made))
	for k, made := range d.made {
		all[k] = made.Decision
	}
	return all
}
