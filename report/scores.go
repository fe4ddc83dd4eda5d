package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/export"
)

// Scores is a scores.csv: a row a training sample, in the order of the training split.
type Scores struct {
	Index []int
	IDs   []string
	// Delta is the removal effect.
	Delta []float64
	// Columns holds every column of the file, those above included.
	Columns []export.Column
}

// textColumns and wholeColumns are the columns of scores.csv that do not hold real numbers.
var (
	textColumns  = []string{"id", "image", "planted"}
	wholeColumns = []string{"index", "label", "predicted", "original_label", "x", "y", "width", "height"}
)

// ReadScores reads a scores.csv. Whatever is wrong in it is an error that names the file and the line.
func ReadScores(path string) (*Scores, error) {
	raw, err := readFile(filepath.Dir(path), filepath.Base(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil, &dataset.InputError{Path: path, Err: unfinished(filepath.Dir(path), "no finished run is there")}
	}
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err == nil && len(rows) == 0 {
		err = errors.New("line 1: empty, where the names of the columns should be")
	}
	var s *Scores
	if err == nil {
		s, err = newScores(rows[0], rows[1:])
	}
	if err != nil {
		return nil, &dataset.InputError{Path: path, Err: err}
	}
	return s, nil
}

func newScores(header []string, rows [][]string) (*Scores, error) {
	s := &Scores{}
	for k, name := range header {
		c, err := newColumn(name, k, rows)
		if err != nil {
			return nil, err
		}
		switch {
		case name == "index":
			for _, v := range c.Ints {
				s.Index = append(s.Index, int(v))
			}
		case name == "id":
			s.IDs = c.Texts
		case name == "delta":
			s.Delta = c.Floats
		}
		s.Columns = append(s.Columns, c)
	}
	for _, name := range []string{"index", "id", "delta"} {
		if !slices.Contains(header, name) {
			return nil, fmt.Errorf("line 1: the column %s is missing", name)
		}
	}
	return s, nil
}

// newColumn reads column k of the rows: whole numbers, text, or numbers; of a column that this version does not know, numbers if all of its
// cells are, and text otherwise. An empty cell of numbers is an absent value.
func newColumn(name string, k int, rows [][]string) (export.Column, error) {
	c := export.Column{Name: name}
	texts := make([]string, len(rows))
	for i, row := range rows {
		texts[i] = row[k]
	}
	if slices.Contains(textColumns, name) {
		c.Texts = texts
		return c, nil
	}
	for i, text := range texts {
		if text == "" {
			if c.Absent == nil {
				c.Absent = make([]bool, len(rows))
			}
			c.Absent[i] = true
		}
	}
	whole := slices.Contains(wholeColumns, name)
	if whole {
		c.Ints = make([]int64, len(rows))
	} else {
		c.Floats = make([]float64, len(rows))
	}
	for i, text := range texts {
		var err error
		switch {
		case text == "" && (name == "index" || name == "delta"):
			return c, fmt.Errorf("line %d: the column %s is empty", i+2, name)
		case text == "":
		case whole:
			c.Ints[i], err = strconv.ParseInt(text, 10, 64)
		default:
			c.Floats[i], err = strconv.ParseFloat(text, 64)
		}
		switch {
		case err == nil:
		case whole || name == "delta":
			return c, fmt.Errorf("line %d: the column %s holds %q, want a number", i+2, name, text)
		default:
			return export.Column{Name: name, Texts: texts}, nil
		}
	}
	return c, nil
}
