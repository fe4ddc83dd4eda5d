package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ReadTransitions reads a square table of numbers, a row and a column a class, separated by commas: probabilities or counts of
// class (row) becoming class (column), as a confusion matrix has them. Lines that begin with # are comments. A number that is
// negative or not finite, a row that is too short, too long or all zero, and too few or too many rows are an [*InputError] that
// names the line.
func ReadTransitions(path string, classes int) ([][]float64, error) {
	raw, err := readBounded(path, int64(classes)*int64(classes)*64+1<<16)
	if err != nil {
		return nil, err
	}
	transitions, err := parseTransitions(raw, classes)
	if err != nil {
		return nil, &InputError{Path: path, Err: err}
	}
	return transitions, nil
}

func parseTransitions(raw []byte, classes int) ([][]float64, error) {
	r := newTable(raw)
	r.Comment = '#'
	var rows [][]float64
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		if len(rows) == classes {
			return nil, fmt.Errorf("line %d: more than %d rows, one a class", line, classes)
		}
		if len(record) != classes {
			return nil, fmt.Errorf("line %d: %d numbers, want %d, one a class", line, len(record), classes)
		}
		row := make([]float64, classes)
		for k, text := range record {
			if row[k], err = strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
				return nil, fmt.Errorf("line %d: %.40q is not a number", line, text)
			}
		}
		if err := checkTransition(row); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		rows = append(rows, row)
	}
	if len(rows) != classes {
		return nil, fmt.Errorf("%d rows, want %d, one a class", len(rows), classes)
	}
	return rows, nil
}

func checkTransitions(transitions [][]float64, classes int) error {
	if len(transitions) != classes {
		return fmt.Errorf("transitions of %d classes for a set of %d", len(transitions), classes)
	}
	for c, row := range transitions {
		if len(row) != classes {
			return fmt.Errorf("transitions of class %d to %d classes, want %d", c, len(row), classes)
		}
		if err := checkTransition(row); err != nil {
			return fmt.Errorf("transitions of class %d: %w", c, err)
		}
	}
	return nil
}

// checkTransition refuses a row that nothing can be drawn by.
func checkTransition(row []float64) error {
	sum := 0.0
	for _, v := range row {
		if !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("%v is not a probability or a count", v)
		}
		sum += v
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return fmt.Errorf("the row adds up to %v", sum)
	}
	return nil
}

// ReadLabels reads n labels, each an integer in [0, classes), in the order of the records they are for. Without a column the file
// holds one a line. With one it is a table separated by commas, and column is the name that its first line gives it, or its
// number from 1. Labels that are out of range or no integers, and another number of them, are an [*InputError] that
// names the line.
func ReadLabels(path, column string, n, classes int) ([]int, error) {
	raw, err := readBounded(path, int64(n)*1024+1<<16)
	if err != nil {
		return nil, err
	}
	labels, err := parseLabels(raw, column, n, classes)
	if err != nil {
		return nil, &InputError{Path: path, Err: err}
	}
	return labels, nil
}

func parseLabels(raw []byte, column string, n, classes int) ([]int, error) {
	r := newTable(raw)
	at, first := 0, true
	labels := make([]int, 0, min(n, len(raw)))
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		if first {
			first = false
			var header bool
			if at, header, err = findColumn(record, column); err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
			if header {
				continue
			}
		}
		if at >= len(record) {
			return nil, fmt.Errorf("line %d: %d columns, and the labels are in column %d", line, len(record), at+1)
		}
		label, err := strconv.Atoi(strings.TrimSpace(record[at]))
		switch {
		case column == "" && len(record) > 1:
			return nil, fmt.Errorf("line %d: %d columns: name the one that holds the labels, FILE:COLUMN", line, len(record))
		case err != nil:
			return nil, fmt.Errorf("line %d: %.40q is not a label, an integer", line, record[at])
		case label < 0 || label >= classes:
			return nil, fmt.Errorf("line %d: label %d is out of range: %d classes", line, label, classes)
		case len(labels) == n:
			return nil, fmt.Errorf("line %d: more than %d labels, one for each record of the training data", line, n)
		}
		labels = append(labels, label)
	}
	if len(labels) != n {
		return nil, fmt.Errorf("%d labels, want %d, one for each record of the training data", len(labels), n)
	}
	return labels, nil
}

// findColumn returns where the column is, and whether the first line, which is given, names it.
func findColumn(first []string, column string) (at int, header bool, err error) {
	if column == "" {
		return 0, false, nil
	}
	for k, name := range first {
		if strings.TrimSpace(name) == column {
			if _, err := strconv.Atoi(column); err != nil { // a name, and not a label that looks like the column's number
				return k, true, nil
			}
		}
	}
	number, err := strconv.Atoi(column)
	if err != nil {
		return 0, false, fmt.Errorf("no column %.40q; there are: %.200s", column, strings.Join(first, ", "))
	}
	if number < 1 || number > len(first) {
		return 0, false, fmt.Errorf("no column %d: there are %d", number, len(first))
	}
	_, err = strconv.Atoi(strings.TrimSpace(first[number-1]))
	return number - 1, err != nil, nil
}

// newTable reads comma-separated values with rows of any length.
func newTable(raw []byte) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.ReuseRecord = -1, true, true
	return r
}

// readBounded reads a file of no more than so many bytes: one that can't be what is asked for is not read at all.
func readBounded(path string, limit int64) ([]byte, error) {
	f, _, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if int64(len(raw)) > limit {
		return nil, inputErrorf(path, "larger than %d bytes, which is more than it can hold of what is asked for", limit)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, &InputError{Path: path, Err: errors.New("the file is empty")}
	}
	return slices.Clip(raw), nil
}
